"""EdgeMiddleware, alone around a foreign app."""

import pytest

from gateway.errors import BadRequest, HeadersTooLarge, TooLarge, UnsupportedEncoding, UriTooLong
from gateway.middleware import EdgeMiddleware
from gateway.testing import get


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


EDGE = EdgeMiddleware(hello, max_body_bytes=1000)
HOST = (b"host", b"gateway.test")


async def head(*headers, app=EDGE, path="/", **scope):
    """Sends a request whose headers are these and no others."""
    sent = []

    async def send(message):
        sent.append(message)

    await app({"type": "http", "path": path, "headers": [*headers], **scope}, None, send)
    return sent[0]["status"]


@pytest.mark.parametrize(
    "host",
    ["a", "gateway.test", "gateway.test:8787", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8787", "a_b.test", "a-b~c"],
)
async def test_hosts(host):
    assert await head((b"host", host.encode())) == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a/b",
        "a/healthz",
        "a?b",
        "a#b",
        "user@a",
        "a b",
        "a:",
        "a:x",
        "a:123456",
        "a:80:80",
        "a,b",
        "[::1",
        "::1",
        "[::1]x",
        "a\\b",
        "a%2fb",
        "a\r\nx: y",
        "a\n",
        "\xe9.test",
    ],
)
async def test_cve_2026_48710_badhost(host):
    """A Host with a slash made Starlette build `request.url` with another path than the router had decided on."""
    with pytest.raises(BadRequest, match="Host"):
        await head((b"host", host.encode("latin-1")))


async def test_a_host_is_needed():
    with pytest.raises(BadRequest):
        await head()


@pytest.mark.parametrize("version", ["1.0", "1"])
@pytest.mark.parametrize("headers", [[], [(b"host", b"")]])
async def test_no_host_is_needed_before_http_1_1(version, headers):
    """Probes of load balancers ask so. granian calls that version "1", and makes an empty header of none."""
    assert await head(*headers, http_version=version) == 200


@pytest.mark.parametrize("version", ["1.0", "1"])
async def test_a_gateway_with_names_needs_one_in_any_version(version):
    app = EdgeMiddleware(hello, max_body_bytes=1000, hosts=["gateway.test"])

    with pytest.raises(BadRequest, match="missing"):
        await head(app=app, http_version=version)


@pytest.mark.parametrize(("version", "host"), [("1.0", b"a/b"), ("1", b"user@a"), ("1.1", b""), ("1.2", b"")])
async def test_a_host_that_is_none_in_any_version(version, host):
    with pytest.raises(BadRequest, match="Host"):
        await head((b"host", host), http_version=version)


@pytest.mark.parametrize("host", ["gateway.test", "GATEWAY.test:443", "[::1]:80"])
async def test_answers_to_its_names(host):
    app = EdgeMiddleware(hello, max_body_bytes=1000, hosts=["Gateway.Test", "[::1]"])

    assert await head((b"host", host.encode()), app=app) == 200


@pytest.mark.parametrize("host", ["evil.test", "gateway.test.evil.test", "xgateway.test", "127.0.0.1"])
async def test_does_not_answer_to_other_names(host):
    """DNS rebinding: a page in a browser reaches the gateway under a name of its own."""
    app = EdgeMiddleware(hello, max_body_bytes=1000, hosts=["gateway.test"])

    with pytest.raises(BadRequest, match="names another host"):
        await head((b"host", host.encode()), app=app)


async def test_a_hundred_headers_are_enough():
    many = [(b"x-%d" % number, b"") for number in range(99)]

    assert await head(HOST, *many) == 200
    with pytest.raises(HeadersTooLarge):
        await head(HOST, *many, (b"x", b""))


async def test_sixteen_kib_of_headers_are_enough():
    """Names count too, and so do many small ones: Hypercorn alone takes 17 kB in one packet."""
    room = 16 * 1024 - len(b"hostgateway.test") - len(b"x")

    assert await head(HOST, (b"x", room * b"y")) == 200
    with pytest.raises(HeadersTooLarge):
        await head(HOST, (b"x", room * b"y" + b"y"))


@pytest.mark.parametrize("scope", [{"path": 8192 * "a"}, {"raw_path": 8192 * b"a"}, {"query_string": 8191 * b"a"}])
async def test_eight_kib_of_url_are_enough(scope):
    longer = {name: value + value[:1] for name, value in scope.items()}

    assert await head(HOST, **scope) == 200
    with pytest.raises(UriTooLong):
        await head(HOST, **longer)


@pytest.mark.parametrize("length", ["0", "5", "1000", "00005"])
async def test_lengths(length):
    assert await head(HOST, (b"content-length", length.encode())) == 200


@pytest.mark.parametrize("length", ["", "+3", "-3", "3, 3", "3x", "0x3", " 3", "3.0", "\xb3"])
async def test_what_is_no_length(length):
    """Two programs that read it differently disagree about where the request ends: request smuggling."""
    with pytest.raises(BadRequest, match="Content-Length is not a number"):
        await head(HOST, (b"content-length", length.encode("latin-1")))


@pytest.mark.parametrize("length", ["1001", 20 * "9", 5000 * "9"], ids=["1001", "20 digits", "5000 digits"])
async def test_a_declared_body_that_is_too_large(length):
    with pytest.raises(TooLarge, match="over 1,000 bytes"):
        await head(HOST, (b"content-length", length.encode()))


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"identity", b"identity, chunked", b"chunked, chunked", b""])
async def test_a_transfer_coding_that_is_not_undone(coding):
    """granian takes the chunks apart, and hands on what is in them."""
    with pytest.raises(BadRequest, match="no other transfer coding"):
        await head(HOST, (b"transfer-encoding", coding))


async def test_chunks_in_any_case():
    assert await head(HOST, (b"transfer-encoding", b"Chunked")) == 200


async def test_length_and_chunked_exclude_each_other():
    with pytest.raises(BadRequest, match="exclude each other"):
        await head(HOST, (b"content-length", b"3"), (b"transfer-encoding", b"chunked"))


@pytest.mark.parametrize(
    "name",
    [
        "host",
        "content-length",
        "transfer-encoding",
        "authorization",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "x-tfy-api-key",
        "xi-api-key",
    ],
)
async def test_what_decides_must_not_have_two_values(name):
    """One program takes the first, another the last."""
    headers = {"host": "a", name: "1"}
    lines = [(key.encode(), value.encode()) for key, value in headers.items()]

    with pytest.raises(BadRequest, match=f"{name} was sent twice"):
        await head(*lines, (name.encode(), b"2"))


async def test_other_headers_may_come_twice():
    assert await head(HOST, (b"accept", b"a"), (b"accept", b"b")) == 200


@pytest.mark.parametrize(
    "encoding",
    ["gzip", "GZIP", "br", "zstd", "identity, gzip", "gzip,identity", ",gzip", "x", "iden tity", '""', "*"],
)
async def test_packed_bodies_are_refused(encoding):
    """agentgateway#2404. A few KiB of gzip unpack to gigabytes."""
    with pytest.raises(UnsupportedEncoding):
        await head(HOST, (b"content-encoding", encoding.encode()))


async def test_a_packed_body_in_a_line_of_its_own():
    """One line says identity, and it may be the last."""
    with pytest.raises(UnsupportedEncoding):
        await head(HOST, (b"content-encoding", b"gzip"), (b"content-encoding", b"identity"))


@pytest.mark.parametrize("value", ["identity", "Identity", "", " ", "\tidentity ", "identity, IDENTITY", ","])
async def test_identity_is_no_encoding(value):
    assert await head(HOST, (b"content-encoding", value.encode())) == 200


@pytest.mark.parametrize("path", ["/a\0", "/a\r\nb", "/\x1b[2J", "/\x7f", "/a\tb"])
async def test_control_characters_in_a_path(path):
    """They would move the cursor of whoever reads the log."""
    with pytest.raises(BadRequest, match="control character"):
        await head(HOST, path=path)


async def test_works_alone():
    answer = await get(EDGE, "/")

    assert answer.body == b"hello"


@pytest.mark.parametrize(
    ("headers", "scope", "error"),
    [
        ([], {}, BadRequest),
        ([HOST, (b"authorization", b"1"), (b"authorization", b"2")], {}, BadRequest),
        ([HOST, (b"x", 16 * 1024 * b"y")], {}, HeadersTooLarge),
        ([HOST], {"path": "/" + 8192 * "a"}, UriTooLong),
    ],
)
async def test_a_handshake_is_checked_as_a_request_is(headers, scope, error):
    with pytest.raises(error):
        await head(*headers, **{"type": "websocket", **scope})


async def test_other_scopes_pass():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    await EdgeMiddleware(app, max_body_bytes=1)({"type": "lifespan"}, None, None)

    assert seen == [{"type": "lifespan"}]
