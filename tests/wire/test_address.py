"""URLs as people write them."""

import pytest

from gateway.wire.address import NO_HOST, Address, address_of, below, host_of, path_of


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://h", Address(True, "h", 443, "h", "/")),
        ("HTTPS://API.Example/v1", Address(True, "api.example", 443, "api.example", "/v1")),
        ("http://h:80/x", Address(False, "h", 80, "h", "/x")),
        ("https://h:8443/v1?a=1&b", Address(True, "h", 8443, "h:8443", "/v1?a=1&b")),
        ("https://h:/v1", Address(True, "h", 443, "h", "/v1")),
        ("http://h?a=1", Address(False, "h", 80, "h", "/?a=1")),
        ("http://[::1]:8000/v1", Address(False, "::1", 8000, "[::1]:8000", "/v1")),
        ("http://[2001:DB8:0::1]", Address(False, "2001:db8::1", 80, "[2001:db8::1]", "/")),
        ("http://my_server.svc.:9/%2Fa//b", Address(False, "my_server.svc.", 9, "my_server.svc.:9", "/%2Fa//b")),
        (
            "https://bücher.example/ü?q=ä",
            Address(True, "xn--bcher-kva.example", 443, "xn--bcher-kva.example", "/%C3%BC?q=%C3%A4"),
        ),
        ("http://１２７.0.0.1/", Address(False, "127.0.0.1", 80, "127.0.0.1", "/")),
    ],
)
def test_reads_an_address(url, address):
    assert address_of(url) == address


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("api.openai.com/v1", "must be an http or https URL"),
        ("ftp://h/", "must be an http or https URL"),
        ("https:///v1", "must be an http or https URL"),
        ("https:/h/v1", "must be an http or https URL"),
        ("", "must be an http or https URL"),
        ("https://h/v1#x", "must not have a #fragment: it is never sent"),
        ("https://h/v1#", "must not have a #fragment: it is never sent"),
        ("https://u:p@h/v1", "must not hold credentials: they belong in auth_data"),
        ("https://@h/v1", "must not hold credentials: they belong in auth_data"),
        ("https://h:0/", "must have a port from 1 to 65535, or none"),
        ("https://h:99999/", "must have a port from 1 to 65535, or none"),
        ("https://h:x/", "must have a port from 1 to 65535, or none"),
        ("https://h/a b", "must be a URL, without spaces, backslashes and control characters"),
        (" https://h/", "must be a URL, without spaces, backslashes and control characters"),
        ("https://h/\n", "must be a URL, without spaces, backslashes and control characters"),
        ("https://h\\@evil/", "must be a URL, without spaces, backslashes and control characters"),
        ("http://[::1", "must be a URL, and the host in it a name or an IP address"),
        ("http://[::1%25eth0]/", NO_HOST),
        ("http://[v1.x]/", NO_HOST),
        ("http://%31%32%37.0.0.1/", NO_HOST),
        ("http://a..b/", NO_HOST),
        ("http://-/", NO_HOST),
        ("http://:80/", NO_HOST),
        (f"http://{'a' * 64}.example/", NO_HOST),
        (f"http://{'a.' * 127}example/", NO_HOST),
    ],
)
def test_what_cannot_be_called(url, problem):
    """What is wrong is said, and the URL is not: it may hold a secret."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        address_of(url)

    assert str(refused.value) in (problem, "must be a URL, and the host in it a name or an IP address")


@pytest.mark.parametrize(
    ("base", "called"),
    [
        ("https://h/v1", "https://h/v1/x"),
        ("https://h/v1/", "https://h/v1/x"),
        ("https://h", "https://h/x"),
        ("https://h//", "https://h/x"),
        ("https://h/v1?api-version=1", "https://h/v1/x?api-version=1"),
        ("https://h/v1/?a=/b/", "https://h/v1/x?a=/b/"),
        ("https://h?a=1?b", "https://h/x?a=1?b"),
    ],
)
def test_a_path_goes_before_the_query(base, called):
    """`POST /v1?api-version=1/chat/completions` was what a server got, and answered with 404."""
    assert below(base, "/x") == called


@pytest.mark.parametrize(
    ("text", "host"), [("Mail.Example", "mail.example"), ("::1", "::1"), ("[::1]", "::1"), ("10.0.0.1", "10.0.0.1")]
)
def test_a_host_alone(text, host):
    assert host_of(text) == host


@pytest.mark.parametrize("text", ["", "a b", "host:25", "a/b", "u@h", "fe80::1%eth0", "h\n"])
def test_what_is_no_host(text):
    with pytest.raises(ValueError, match=NO_HOST):
        host_of(text)


def test_a_path_of_what_is_no_url():
    """A bracket without its fellow ended `gateway check` with a traceback."""
    assert (path_of("http://[::1/v1"), path_of("http://[::1]/v1")) == ("", "/v1")
