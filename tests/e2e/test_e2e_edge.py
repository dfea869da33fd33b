"""Clients that are slow, hostile or broken, against each of the servers."""

import asyncio
import json
import time
from contextlib import suppress

import pytest

CHAT = "/v1/chat/completions"
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\n"


async def is_alive(connect, gateway):
    return (await (await connect(gateway)).get("/healthz")).status == 200


# --- slow ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["hypercorn", "uvicorn"])  # granian has one timer for this and for idle connections
async def test_headers_that_do_not_end_are_not_waited_for(hasty_gateway, connect):
    """D.5 row 1: many such connections, a byte now and then; others are served meanwhile."""
    clients = [await connect(hasty_gateway) for _ in range(50)]
    for client in clients:
        client.send(HEAD + b"x-slow: ")
    trickling = asyncio.create_task(trickle(clients[0]))

    assert await is_alive(connect, hasty_gateway)
    since = time.perf_counter()
    ends = await asyncio.gather(*(client.ended() for client in clients))

    trickling.cancel()
    assert [end[:12] for end in ends if end and not end.startswith(b"HTTP/1.1 408")] == []
    assert time.perf_counter() - since < 20


async def trickle(client):
    while True:
        client.send(b"y")
        await asyncio.sleep(0.05)


async def test_a_body_that_does_not_end_is_not_waited_for(hasty_gateway, connect, provider):
    """D.5 row 2"""
    client = await connect(hasty_gateway)
    client.send(client.request(b"", content_length=1000) + b'{"model": ')

    trickling = asyncio.create_task(trickle(client))
    answer = await client.answer()
    await client.ended()

    trickling.cancel()
    assert (answer.status, answer.json["error"]["code"]) == (408, "request_timeout")
    assert provider.requests == []


async def test_a_client_that_closes_its_half_has_left(gateway, connect, provider, ask, say):
    """D.5 row 5: the three servers do not tell it from a client that is gone, so its provider is let go at once."""
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("one")), provider.STALL])
    client = await connect(gateway)
    client.ask(ask())
    answer = await client.head()
    await client.event(answer)

    client.writer.write_eof()

    await provider.requests[0].seconds_until_closed(0)
    await client.ended()
    [record] = await gateway.records_of(answer.id)
    assert record["outcome"] == "client_left"


# --- too much --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packets", [1, 20])
@pytest.mark.parametrize("size", [17_000, 70_000])
async def test_headers_that_are_too_large(gateway, server, connect, packets, size):
    """D.5 row 6: in one packet and in many. Far above the limit it is the server that refuses.

    granian then closes while the rest still comes, and the reset can overtake its answer.
    """
    client = await connect(gateway)
    data = client.request(b"{}", x_large="x" * size)
    step = len(data) // packets + 1

    for start in range(0, len(data), step):
        client.send(data[start : start + step])
        await asyncio.sleep(0)
    try:
        status = (await client.head()).status
    except (ConnectionError, asyncio.IncompleteReadError):
        status = None

    assert status == 431 or (status is None and (server, size) == ("granian", 70_000))


async def test_headers_that_are_too_many(gateway, connect):
    """D.5 row 7"""
    client = await connect(gateway)

    client.send(client.request(b"{}", **{f"x{number}": "y" for number in range(1500)}))

    assert (await client.head()).status == 431


async def test_a_url_that_is_too_long(gateway, connect):
    """D.5 row 8: the gateway's own limit first, the server's for what is far beyond it."""
    long = await (await connect(gateway)).get("/v1/models?x=" + "y" * 9_000)
    client = await connect(gateway)
    client.send(client.request(b"", "/v1/models?x=" + "y" * 65_536, method="GET"))
    huge = await client.head()

    assert long.status == 414
    assert huge.status in (400, 414, 431)


@pytest.mark.parametrize("path", [b"/v1/models\x00", b"/v1/mo\rdels", b"/v1/models%00", b"/v1/mo%0ddels", b"/v1/%0a"])
async def test_a_path_with_control_characters(gateway, connect, path):
    """D.5 row 8: nor do they get into the log, where they would begin a line of their own."""
    client = await connect(gateway)

    client.send(b"GET " + path + b" HTTP/1.1\r\nhost: gateway\r\n\r\n")
    answer = await client.head()

    assert answer.status == 400
    if "x-request-id" in answer.headers:
        assert len(await gateway.records_of(answer.id)) == 1


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large_is_refused_while_it_comes(gateway, connect, declared):
    """D.5 row 11: the client reads its 413, and is not reset on the way; twenty times."""
    part = b" " * 2**20
    size = {"content_length": 30 * len(part)} if declared else {"content_length": None, "transfer_encoding": "chunked"}
    piece = part if declared else b"%x\r\n%b\r\n" % (len(part), part)
    answers = []

    for _ in range(20):
        client = await connect(gateway)
        client.send(client.request(b"", **size))

        async def send_all(client=client):
            for _ in range(30):
                client.send(piece)
                await client.writer.drain()
            client.send(b"" if declared else b"0\r\n\r\n")

        sending = asyncio.create_task(send_all())
        answer = await client.answer()
        await asyncio.wait([sending])
        answers.append((answer.status, answer.is_whole or len(answer.body) == int(answer.headers["content-length"])))
        client.close()
        await asyncio.gather(sending, return_exceptions=True)

    assert answers == [(413, True)] * 20


async def test_a_refused_client_is_not_asked_for_its_body(gateway, connect):
    """D.5 row 12: it waits to be told to continue, and is told no."""
    client = await connect(gateway)

    client.send(client.request(b"", authorization="Bearer wrong", expect="100-continue", content_length=1000))

    assert (await client.head()).status == 401
    assert await client.ended()  # what comes next could be its body, or another request


async def test_an_accepted_client_is_asked_for_its_body(gateway, connect, ask):
    """D.5 row 12"""
    client = await connect(gateway)
    body = json.dumps(ask("demo/echo", stream=False)).encode()

    client.send(client.request(b"", expect="100-continue", content_length=len(body)))
    interim = await client.head()
    client.send(body)

    assert interim.status == 100
    assert (await client.answer()).status == 200


async def test_500_connections_at_once(gateway, connect, measured):
    """D.5 row 18: none waits for a retransmission, which is what a short backlog does."""
    since = time.perf_counter()
    clients = await asyncio.gather(*(connect(gateway) for _ in range(500)))
    measured("500 connections", time.perf_counter() - since, "s")
    answers = await asyncio.gather(*(client.get("/healthz") for client in clients))
    measured("500 answers", time.perf_counter() - since, "s")

    assert [answer.status for answer in answers] == [200] * 500


async def test_a_gateway_that_is_full_says_so(hasty_gateway, connect, provider, ask, say):
    """D.5 row 19: the newest is sent away, the others go on, and probes are answered."""
    go_on = asyncio.Event()
    end = [say.chunk(say.event("", "stop")), say.chunk(say.DONE), say.END]
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("one")), go_on, *end])
    streams = []
    for _ in range(4):
        client = await connect(hasty_gateway)
        client.ask(ask())
        answer = await client.head()
        await client.event(answer)
        streams.append((client, answer))

    refused = await connect(hasty_gateway)
    refused.ask(ask())
    refusal = await refused.answer()
    assert await is_alive(connect, hasty_gateway)
    go_on.set()
    for client, answer in streams:
        await client.rest(answer)

    assert (refusal.status, refusal.json["error"]["code"]) == (503, "overloaded")
    assert refusal.headers["retry-after"] == "1"
    assert [answer.is_whole and answer.events[-1] for _, answer in streams] == [b"[DONE]"] * 4
    again = await connect(hasty_gateway)
    again.ask(ask())
    assert (await again.answer()).status == 200


# --- strange ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [b"a/b", b"a?b", b"user@host", b"a b", b"a:port", b"", b"a#b", b"a\\b", b"[::1"])
async def test_a_host_that_is_none(gateway, connect, host):
    """D.5 row 16: what frameworks make URLs of must not decide differently from what routes."""
    client = await connect(gateway)

    client.send(b"GET /v1/models HTTP/1.1\r\nhost: " + host + b"\r\n\r\n")

    assert (await client.head()).status == 400


@pytest.mark.parametrize("hosts", [b"", b"host: a\r\nhost: b\r\n"])
async def test_not_exactly_one_host(gateway, connect, hosts):
    """D.5 row 16"""
    client = await connect(gateway)

    client.send(b"GET /v1/models HTTP/1.1\r\n" + hosts + b"\r\n")

    assert (await client.head()).status == 400


@pytest.mark.parametrize("host", ["gateway", "gateway:9999", "127.0.0.1:1", "[::1]:8787", "under_score.example"])
async def test_a_host_is_any_name_and_port(gateway, connect, host):
    """D.5 row 16: behind a service or a port mapping, the client's port is not ours."""
    client = await connect(gateway)

    client.send(client.request(b"", "/v1/models", method="GET", host=host))

    assert (await client.answer()).status == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /healthz HTTP/1.0\r\n", 200),
        (b"GET /healthz HTTP/1.0\r\nhost: a/b\r\n", 400),
        (b"GET http://other/healthz?x HTTP/1.1\r\nhost: gateway\r\n", 200),
        (b"GET http://other HTTP/1.1\r\nhost: gateway\r\n", 200),
        (b"GET ftp://other/healthz HTTP/1.1\r\nhost: gateway\r\n", 400),
        (b"GET http://user@other/healthz HTTP/1.1\r\nhost: gateway\r\n", 400),
        (b"GET other:443 HTTP/1.1\r\nhost: gateway\r\n", 400),
    ],
)
async def test_requests_as_old_probes_and_proxies_write_them(gateway, server, connect, head, status):
    """granian keeps the path of a target, and says no more of it."""
    client = await connect(gateway)

    client.send(head + b"\r\n")

    seen = (await client.head()).status
    assert seen == status or (server == "granian" and head.startswith((b"GET ftp", b"GET http://user", b"GET other")))


TRICKS = [
    "//v1/chat/completions",
    "/v1//chat/completions",
    "/v1/../v1/chat/completions",
    "/v1/%2e%2e/v1/chat/completions",
    "/healthz/../v1/chat/completions",
    "/healthz/..%2fv1/chat/completions",
    "/v1/chat/completions;x=1",
    "/v1/chat/completions/",
    "/v1/chat/completions.",
    "/v1/chat/completions%20",
    "/V1/chat/completions",
    "/v1/Chat/Completions",
    "/v1/chat%252fcompletions",
    "/v1/chat\\completions",
    "/./v1/chat/completions",
]


@pytest.mark.parametrize("path", TRICKS)
async def test_a_path_is_taken_as_it_stands(gateway, connect, ask, path):
    """D.5 row 17: nothing is resolved or folded, so a filter in front and the router here mean the same."""
    client = await connect(gateway)

    client.ask(ask("demo/echo", stream=False), path)

    assert (await client.answer()).status == 404


@pytest.mark.parametrize(
    "path", ["/v1/chat%2fcompletions", "/v1/%63hat/completions", "http://other/v1/chat/completions"]
)
async def test_no_way_of_writing_a_path_goes_round_the_token(gateway, connect, ask, path):
    """D.5 row 17: percent signs are decoded once, and absolute URLs are allowed."""
    client = await connect(gateway)

    client.ask(ask("demo/echo", stream=False), path, authorization="Bearer wrong")
    refused = await client.answer()
    other = await connect(gateway)
    other.ask(ask("demo/echo", stream=False), path)
    accepted = await other.answer()

    assert (refused.status, accepted.status) in [(401, 200), (404, 404), (400, 400)]


GET = b"GET /healthz HTTP/1.1\r\nhost: gateway\r\n"
NO_HTTP = {
    "a bare line feed behind the first line": b"GET /healthz HTTP/1.1\nhost: gateway\r\n\r\n",
    "a bare line feed behind a header": GET + b"x: a\ny: b\r\n\r\n",
    "a bare line feed at the end": GET + b"\n",
    "a bare carriage return between headers": GET + b"x: a\rcontent-length: 3\r\n\r\n",
    "a bare carriage return in the target": b"GET /healthz\rx HTTP/1.1\r\nhost: gateway\r\n\r\n",
    "a folded header": GET + b"x: a\r\n b\r\n\r\n",
    "a space before the first header": b"GET /healthz HTTP/1.1\r\n host: gateway\r\n\r\n",
    "a space before the colon": GET + b"x : a\r\n\r\n",
    "a space in a name": GET + b"x y: a\r\n\r\n",
    "no colon": GET + b"x\r\n\r\n",
    "no name": GET + b": a\r\n\r\n",
    "NUL in a name": GET + b"x\0y: a\r\n\r\n",
    "NUL in a value": GET + b"x: a\0b\r\n\r\n",
    "a control character in a value": GET + b"x: a\x01b\r\n\r\n",
    "DEL in a value": GET + b"x: a\x7fb\r\n\r\n",
    "a vertical tab before a value": GET + b"transfer-encoding: \x0bchunked\r\n\r\n",
    "NUL in the method": b"G\0T /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n",
    "a method that is no token": b"G(T /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n",
    "a tab behind the method": b"GET\t/healthz HTTP/1.1\r\nhost: gateway\r\n\r\n",
    "a space before the method": b" GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n",
    "a space behind the version": b"GET /healthz HTTP/1.1 \r\nhost: gateway\r\n\r\n",
    "a target that is not ASCII": b"GET /healthz\xe9 HTTP/1.1\r\nhost: gateway\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/0.9 by name": b"GET /healthz HTTP/0.9\r\n\r\n",
    "HTTP/1.2": b"GET /healthz HTTP/1.2\r\nhost: gateway\r\n\r\n",
    "HTTP/1.10": b"GET /healthz HTTP/1.10\r\nhost: gateway\r\n\r\n",
    "HTTP/2.0": b"GET /healthz HTTP/2.0\r\nhost: gateway\r\n\r\n",
    "a version in small letters": b"GET /healthz http/1.1\r\nhost: gateway\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
}
TAKEN_BY_GRANIAN = {
    "a bare line feed behind the first line",
    "a bare line feed behind a header",
    "a bare line feed at the end",
}


@pytest.mark.parametrize("packets", ["in one packet", "byte by byte"])
@pytest.mark.parametrize("what", NO_HTTP)
async def test_what_is_no_request_is_refused(gateway, server, connect, what, packets):
    """D.5 row 9: and nothing behind it is read, which might be the rest of it to somebody else."""
    client = await connect(gateway)

    for piece in cut(NO_HTTP[what] + GET + b"connection: close\r\n\r\n", packets):
        client.send(piece)
        await asyncio.sleep(0)
    statuses = statuses_in(await client.ended())

    assert statuses in ([400], [505], []) or (server == "granian" and what in TAKEN_BY_GRANIAN)


def cut(data, packets):
    return [data] if packets == "in one packet" else [data[i : i + 1] for i in range(len(data))]


def statuses_in(data):
    return [int(answer[:3]) for answer in data.split(b"HTTP/1.1 ")[1:]]


BODY = b'{"model": "mock/chat", "messages": []}'
SIZE = b"%d" % len(BODY)
CHUNKED = b"transfer-encoding: chunked\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(BODY), BODY)
LAST = b"0\r\n\r\n"
BAD_FRAMING = {
    "two lengths": (b"content-length: 5\r\ncontent-length: " + SIZE + b"\r\n", BODY),
    "the same length twice": (b"content-length: " + SIZE + b"\r\ncontent-length: " + SIZE + b"\r\n", BODY),
    "two lengths in a line": (b"content-length: " + SIZE + b", " + SIZE + b"\r\n", BODY),
    "a length with a sign": (b"content-length: +" + SIZE + b"\r\n", BODY),
    "a length below 0": (b"content-length: -1\r\n", BODY),
    "a length with a prefix": (b"content-length: 0x5\r\n", BODY),
    "a length with a space": (b"content-length: 3 8\r\n", BODY),
    "no length": (b"content-length:\r\n", BODY),
    "a length beyond 64 bits": (b"content-length: 99999999999999999999999\r\n", BODY),
    "a space behind the name of the length": (b"content-length : " + SIZE + b"\r\n", BODY),
    "a length and chunks": (b"content-length: 5\r\n" + CHUNKED, CHUNK + LAST),
    "chunks and a length": (CHUNKED + b"content-length: 5\r\n", CHUNK + LAST),
    "chunks, then as it is": (b"transfer-encoding: chunked, identity\r\n", CHUNK + LAST),
    "as it is, then chunks": (b"transfer-encoding: identity, chunked\r\n", CHUNK + LAST),
    "packed, then chunks": (b"transfer-encoding: gzip, chunked\r\n", CHUNK + LAST),
    "as it is": (b"transfer-encoding: identity\r\ncontent-length: " + SIZE + b"\r\n", BODY),
    "chunks of some other kind": (b"transfer-encoding: xchunked\r\n", CHUNK + LAST),
    "chunks twice": (CHUNKED + CHUNKED, CHUNK + LAST),
    "chunks in a line of their own": (b"transfer-encoding: identity\r\n" + CHUNKED, CHUNK + LAST),
    "quoted chunks": (b'transfer-encoding: "chunked"\r\n', CHUNK + LAST),
    "chunks with a parameter": (b"transfer-encoding: chunked;q=1\r\n", CHUNK + LAST),
    "nothing, then chunks": (b"transfer-encoding: ,chunked\r\n", CHUNK + LAST),
    "folded chunks": (b"transfer-encoding:\r\n chunked\r\n", CHUNK + LAST),
    "a space behind the name of the coding": (b"transfer-encoding : chunked\r\n", CHUNK + LAST),
    "a size that ends in a line feed": (CHUNKED, CHUNK.replace(b"\r\n", b"\n", 1) + LAST),
    "a chunk that ends in a line feed": (CHUNKED, CHUNK[:-2] + b"\n" + LAST),
    "a chunk that does not end": (CHUNKED, CHUNK[:-2] + LAST),
    "a chunk that is longer than it says": (CHUNKED, CHUNK[:-2] + b" \r\n" + LAST),
    "a size with a prefix": (CHUNKED, b"0x" + CHUNK + LAST),
    "a size with a sign": (CHUNKED, b"+" + CHUNK + LAST),
    "a size below 0": (CHUNKED, b"-" + CHUNK + LAST),
    "no size": (CHUNKED, b"\r\n" + CHUNK + LAST),
    "a size beyond 64 bits": (CHUNKED, b"1" + b"0" * 16 + CHUNK + LAST),
    "a line feed in an extension": (CHUNKED, b"1;a\nb\r\n{\r\n" + CHUNK + LAST),
    "a carriage return in an extension": (CHUNKED, b"1;a\rb\r\n{\r\n" + CHUNK + LAST),
    "an extension without an end": (CHUNKED, b"1;" + b"a" * 40_000),
    "a size without an end": (CHUNKED, b"0" * 40_000),
    "a trailer without an end": (CHUNKED, CHUNK + b"0\r\nx: " + b"y" * 400_000),
    "a trailer that ends in a line feed": (CHUNKED, CHUNK + b"0\r\nx: y\n\r\n"),
    "a folded trailer": (CHUNKED, CHUNK + b"0\r\nx: y\r\n z\r\n\r\n"),
}


READ_BY_GRANIAN = {
    "the same length twice",
    "a length and chunks",
    "chunks and a length",
    "a trailer that ends in a line feed",
    "a folded trailer",
}
"""It takes one of the same lengths, chunks rather than a length, which the app does not see then, and most trailers."""


@pytest.mark.parametrize("packets", ["in one packet", "in two"])
@pytest.mark.parametrize("what", BAD_FRAMING)
async def test_a_body_whose_end_is_in_doubt_is_refused(gateway, server, connect, provider, say, token, what, packets):
    """D.5 row 9: two that read it may find two requests in it, of which one of them has seen only the first."""
    provider.on("real-chat", [say.completion()])
    client = await connect(gateway)
    headers, body = BAD_FRAMING[what]

    client.send(HEAD + b"authorization: Bearer " + token.encode() + b"\r\n" + headers + b"\r\n")
    if packets == "in two":
        await client.writer.drain()
    client.send(body + GET + b"\r\n")
    if server == "granian":
        with suppress(OSError):
            client.writer.write_eof()  # it waits for more of what it has given up
    statuses = statuses_in(await client.ended())

    if server == "granian" and what in READ_BY_GRANIAN:
        assert len(statuses) <= 1
    else:
        assert statuses in ([400], [501], []) or (server == "granian" and statuses == [500])
        assert provider.requests == []


@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        (GET + b"\r\n", [200, 200]),
        (b"\r\n" + GET + b"x: \t \r\n\r\n", [200, 200]),
        (GET + b"connection: close\r\n\r\n", [200]),
        (GET.replace(b"1.1", b"1.0") + b"connection: keep-alive\r\n\r\n", [200]),
        (GET + b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n", [200, 200]),
        (GET + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\nabc", [200]),  # it was not read
    ],
)
async def test_what_is_behind_a_request_is_the_next_one(gateway, connect, request_, statuses):
    """D.5 rows 10 and 13: each once, in their order, and none where the first was to be the last."""
    client = await connect(gateway)

    client.send(request_ + GET + b"connection: close\r\n\r\n")

    assert statuses_in(await client.ended()) == statuses


@pytest.mark.parametrize("packets", ["in one packet", "byte by byte"])
@pytest.mark.parametrize("headers", [b"", b"connection: upgrade\r\nupgrade: h2c\r\n", b"upgrade: websocket\r\n"])
async def test_what_is_in_a_body_is_no_request(gateway, server, connect, headers, packets):
    """llhttp takes what comes behind a request for an upgrade for another protocol, and read the body as a request."""
    client = await connect(gateway)
    inner = GET.replace(b"/healthz", b"/readyz") + b"\r\n"

    request = GET + headers + b"content-length: %d\r\n\r\n" % len(inner) + inner
    for piece in cut(request + GET + b"connection: close\r\n\r\n", packets):
        client.send(piece)
        await asyncio.sleep(0)
    answers = await client.ended()

    # A client that is answered while it sends gets no other answer, and from granian a reset that may overtake it.
    assert statuses_in(answers) in ([200, 200], [200]) or (server == "granian" and answers == b"")
    assert b"configuration" not in answers


BAD_JSON = {
    "nothing": b"",
    "an array": b"[]",
    "a string": b'"model"',
    "null": b"null",
    "cut off": b'{"model": "demo/echo", "messages": [',
    "more than one": b'{"model": "demo/echo"}{}',
    "a trailing comma": b'{"model": "demo/echo",}',
    "single quotes": b"{'model': 'demo/echo'}",
    "NaN": b'{"model": "demo/echo", "temperature": NaN}',
    "not UTF-8": b'{"model": "demo/echo", "user": "\xff"}',
    "half of a surrogate pair as bytes": b'{"model": "demo/echo", "user": "\xed\xa0\x80"}',
    "half of a surrogate pair": b'{"model": "demo/echo", "user": "\\ud800"}',
    "a byte order mark": b'\xef\xbb\xbf{"model": "demo/echo"}',
    "UTF-16": '{"model": "demo/echo"}'.encode("utf-16"),
    "a control character": b'{"model": "demo/\x01echo"}',
    "100,000 arrays deep": b'{"model": "demo/echo", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 objects deep": b'{"x": ' * 100_000 + b"1" + b"}" * 100_000,
    "no model": b'{"messages": []}',
    "a model that is a number": b'{"model": 7}',
    "a limit that is a text": b'{"model": "demo/echo", "max_tokens": "many"}',
    "a limit of 5,000 digits": b'{"model": "demo/echo", "max_tokens": ' + b"9" * 5000 + b"}",
    "a stream that is a text": b'{"model": "demo/echo", "stream": "yes"}',
}


@pytest.mark.parametrize("what", BAD_JSON)
async def test_json_that_cannot_be_understood(gateway, connect, what):
    """D.5 row 20: told so, and quickly."""
    client = await connect(gateway)

    client.ask(BAD_JSON[what])
    answer = await client.answer()

    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")


async def test_json_with_ten_million_items(gateway, connect, measured):
    """D.5 row 20: just under the limit of the body. It is looked through once, and nothing is made of it."""
    client = await connect(gateway)
    body = b'{"model": "nobody/knows", "messages": [' + b"0," * 9_999_999 + b"0]}"

    since = time.perf_counter()
    client.ask(body)
    answer = await client.answer()

    measured("20 MB of JSON", time.perf_counter() - since, "s")
    assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")


async def test_a_model_named_twice_is_one_model(gateway, connect, provider, say):
    """D.5 row 20: the one that was looked at is the one that is asked for."""
    provider.on("real-chat", [say.completion()])
    client = await connect(gateway)

    client.ask(b'{"model": "mock/old", "model": "mock/chat", "messages": [], "messages": [1]}')

    assert (await client.answer()).status == 200
    assert provider.requests[0].body.count(b'"model"') == 1
    assert provider.requests[0].fields == {"model": "real-chat", "messages": [1]}


async def test_what_the_gateway_does_not_know_passes_to_the_byte(gateway, connect, provider, say):
    """D.5 row 20: numbers too large for a float, text that only looks broken, and fields of next year."""
    odd = rb'{"n": 123456789012345678901234567890, "e": 1e400, "s": "\ud83d\ude00 \u0000 \/", "new_field": [1.0, 1.50]}'
    provider.on("real-chat", [say.completion()])
    client = await connect(gateway)

    client.ask(b'{"model": "mock/chat", "messages": [], "x": ' + odd + b"}")

    assert (await client.answer()).status == 200
    assert odd in provider.requests[0].body
