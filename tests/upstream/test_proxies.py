"""Which requests go through a proxy, by the variables that all tools know."""

import pytest

from gateway.errors import ConfigError
from gateway.secrecy.secret import Secret
from gateway.upstream.proxies import Proxies, proxies_from
from gateway.wire.address import address_of

P, Q = "http://p:3128", "https://ana:pw@q"


def proxy_of(url, **environ):
    found = proxies_from(environ).proxy_for(address_of(url))
    return found.reveal() if found is not None else None


@pytest.mark.parametrize(
    ("environ", "https", "http"),
    [
        ({}, None, None),
        ({"HTTPS_PROXY": P}, P, None),
        ({"http_proxy": P}, None, P),
        ({"ALL_PROXY": P}, P, P),
        ({"all_proxy": P, "HTTPS_PROXY": Q}, Q, P),
        ({"HTTPS_PROXY": P, "https_proxy": Q}, Q, None),
        ({"HTTPS_PROXY": P, "https_proxy": ""}, None, None),
        ({"ALL_PROXY": P, "HTTPS_PROXY": ""}, None, P),
        ({"HTTPS_PROXY": "p:3128"}, P, None),
        ({"HTTPS_PROXY": P, "HTTP_PROXY": Q, "GATEWAY_TRUST_ENV_PROXY": "off"}, None, None),
        ({"HTTPS_PROXY": P, "GATEWAY_TRUST_ENV_PROXY": "on"}, P, None),
        ({"ALL_PROXY": "socks5://p", "HTTPS_PROXY": P, "HTTP_PROXY": P}, P, P),
    ],
)
def test_which_proxy(environ, https, http):
    """In lower case they come first, and set to nothing they stand for none."""
    assert (proxy_of("https://h.example/", **environ), proxy_of("http://h.example/", **environ)) == (https, http)


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("h.example", "https://h.example/", True),
        ("h.example", "https://a.h.example/", True),
        (".h.example", "https://a.h.example/", True),
        (".h.example", "https://h.example/", True),
        ("*.h.example", "https://a.h.example/", True),
        ("H.Example", "https://h.EXAMPLE/", True),
        ("h.example", "https://h.example./", True),
        ("h.example", "https://ah.example/", False),
        ("h.example", "https://h.example.org/", False),
        ("a, b  ,h.example", "https://h.example/", True),
        ("a b h.example", "https://h.example/", True),
        ("*", "https://h.example/", True),
        ("h.example:443", "https://h.example/", True),
        ("h.example:444", "https://h.example/", False),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("10.0.0.1", "https://10.0.0.1/", True),
        ("10.0.0.1:443", "https://10.0.0.1/", True),
        ("fd00::/8", "https://[fd00::1]/", True),
        ("[fd00::1]", "https://[fd00::1]/", True),
        ("[fd00::1]:443", "https://[fd00::1]/", True),
        ("[fd00::1]:444", "https://[fd00::1]/", False),
        ("10.0.0.0/8", "https://10.example/", False),
        ("", "https://127.0.0.1/", True),
        ("", "https://localhost/", True),
        ("", "https://[::1]/", True),
    ],
)
def test_what_is_called_directly(no_proxy, url, is_direct):
    """Nothing on this machine is asked of a proxy, which would look on its own."""
    assert proxy_of(url, HTTPS_PROXY=P, NO_PROXY=no_proxy) == (None if is_direct else P)


@pytest.mark.parametrize(
    "url", ["socks5://p:1080", "http://", "http://p:0", "http://p:99999", "ftp://p", "http://[::1", "http://a b"]
)
def test_a_proxy_that_cannot_be_used(url):
    """Going out without it is not what was asked for. What is said holds no credentials."""
    with pytest.raises(ConfigError) as refused:
        proxies_from({"ALL_PROXY": url})

    assert str(refused.value) == (
        "the environment: ALL_PROXY: is no http or https proxy, as in http://proxy.example:3128; "
        "GATEWAY_TRUST_ENV_PROXY=off ignores the variables"
    )
    assert proxies_from({"ALL_PROXY": url, "GATEWAY_TRUST_ENV_PROXY": "off"}) == Proxies()


def test_two_proxies_that_cannot_be_used():
    with pytest.raises(ConfigError) as refused:
        proxies_from({"HTTP_PROXY": "socks5://p", "https_proxy": "ftp://p"})

    assert [fault.path for fault in refused.value.faults] == ["HTTP_PROXY", "HTTPS_PROXY"]


def test_a_switch_that_is_neither():
    with pytest.raises(ConfigError, match="must be on or off, and is 'maybe'"):
        proxies_from({"GATEWAY_TRUST_ENV_PROXY": "maybe"})


def test_credentials_are_not_shown():
    assert "pw" not in repr(proxies_from({"HTTPS_PROXY": Q}))
    assert proxies_from({"HTTPS_PROXY": Q}).https == Secret(Q)
