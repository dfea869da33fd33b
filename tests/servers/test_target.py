import pytest

from gateway.servers.target import BadTarget, is_handshake, is_served, read_target, with_host


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"/", b"/", None),
        (b"/healthz?a=1", b"/healthz?a=1", None),
        (b"//evil/healthz", b"//evil/healthz", None),
        (b"http://host/healthz?a=1", b"/healthz?a=1", b"host"),
        (b"https://host:8443/healthz", b"/healthz", b"host:8443"),
        (b"HTTP://Host/healthz", b"/healthz", b"Host"),
        (b"http://[::1]:80/", b"/", b"[::1]:80"),
        (b"http://host", b"/", b"host"),
        (b"http://host?a=1", b"/?a=1", b"host"),
        (b"http://host//healthz", b"//healthz", b"host"),
        (b"http://host/http://other/", b"/http://other/", b"host"),
        (b"http://user:pass@host/", b"/", b"user:pass@host"),  # no host: it is refused as one
    ],
)
def test_a_path_or_a_url(target, path, host):
    """As clients of a proxy ask, and whoever was told that the gateway is one."""
    assert read_target(b"GET", target) == (path, host)


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"*",
        b"healthz",
        b"host:443",
        b"http://",
        b"http:///healthz",
        b"http://?a",
        b"http:/healthz",
        b"ftp://host/",
        b"file:///etc/passwd",
        b"?a=1",
        b"\\\\host",
        b"/healthz#top",
        b"http://host/#top",
        b"http://host#@other/",
    ],
)
def test_neither(target):
    with pytest.raises(BadTarget):
        read_target(b"GET", target)


def test_options_may_ask_of_the_server_itself():
    assert read_target(b"OPTIONS", b"*") == (b"*", None)
    assert read_target(b"OPTIONS", b"http://host") == (b"/", b"host")


@pytest.mark.parametrize("target", [b"host:443", b"/healthz", b"http://host/"])
def test_what_connect_asks_for_is_no_path(target):
    """It was looked up as one, and answered as any other request: to a client, a tunnel."""
    assert read_target(b"CONNECT", target) == (b"/", None)


@pytest.mark.parametrize(
    ("version", "headers", "replaced"),
    [
        ("1.1", [(b"a", b"b"), (b"host", b"old")], [(b"a", b"b"), (b"host", b"new")]),
        ("1.1", [(b"host", b"old"), (b"host", b"older")], [(b"host", b"new"), (b"host", b"new")]),
        ("1.1", [(b"a", b"b")], [(b"a", b"b")]),
        ("1.0", [(b"a", b"b")], [(b"a", b"b"), (b"host", b"new")]),
    ],
)
def test_the_host_of_the_target_counts_more(version, headers, replaced):
    """Two are still two, and none is still none where one has to be: both are refused later."""
    assert with_host(headers, b"new", version) == replaced


@pytest.mark.parametrize(
    ("version", "is_ours"),
    [("1.0", True), ("1.1", True), ("1.9", True), ("0.9", False), ("2.0", False), ("9.9", False)],
)
def test_versions(version, is_ours):
    assert is_served(version, [(b"host", b"a")]) == is_ours


def test_chunks_before_http_1_1_are_not_to_be_trusted():
    """A proxy that does not know them takes what they hold for the next request."""
    assert not is_served("1.0", [(b"transfer-encoding", b"chunked")])
    assert is_served("1.1", [(b"transfer-encoding", b"chunked")])


HANDSHAKE = {
    b"host": b"a",
    b"connection": b"keep-alive, Upgrade",
    b"upgrade": b"WebSocket",
    b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",
    b"sec-websocket-version": b"13",
    b"sec-websocket-protocol": b"realtime, x",
}


@pytest.mark.parametrize("more", [{}, {b"content-length": b"0"}, {b"connection": b"upgrade"}, {b"x-a": b"\xe9"}])
def test_a_handshake(more):
    """Source: RFC 6455, section 4.2.1."""
    assert is_handshake(b"GET", "1.1", [*(HANDSHAKE | more).items()])


@pytest.mark.parametrize("missing", [b"connection", b"upgrade", b"sec-websocket-key", b"sec-websocket-version"])
def test_a_handshake_that_lacks_something(missing):
    headers = [header for header in HANDSHAKE.items() if header[0] != missing]

    assert not is_handshake(b"GET", "1.1", headers)


@pytest.mark.parametrize(
    "other",
    [
        {b"connection": b"keep-alive"},
        {b"upgrade": b"h2c"},
        {b"sec-websocket-version": b"8"},
        {b"content-length": b"4"},
        {b"transfer-encoding": b"chunked"},
        {b"connection": b"upgrade, \xe9"},
        {b"sec-websocket-key": b"\xe9"},
        {b"sec-websocket-protocol": b"\xe9"},
        {b"sec-websocket-extensions": b"\xe9"},
    ],
)
def test_what_only_looks_like_a_handshake(other):
    """It is left to the app: it has a body, which nobody would read, or makes wsproto fail."""
    assert not is_handshake(b"GET", "1.1", [*(HANDSHAKE | other).items()])


@pytest.mark.parametrize(("method", "version"), [(b"POST", "1.1"), (b"HEAD", "1.1"), (b"GET", "1.0")])
def test_other_requests_ask_for_no_websocket(method, version):
    assert not is_handshake(method, version, [*HANDSHAKE.items()])
