"""WebSockets to providers: opened, refused, and kept to the rules for addresses."""

from contextlib import asynccontextmanager, suppress

import pytest
from websockets import ConnectionClosed
from websockets.asyncio.server import serve

from gateway.contract import Endpoint, Tls, UpstreamRequest
from gateway.errors import BrokeOff, Unreachable
from gateway.upstream.client import HttpUpstream

HEADERS = {"authorization": "Bearer key", "content-type": "application/json"}


@asynccontextmanager
async def provider(handler):
    async with serve(handler, "127.0.0.1", 0, max_size=None, compression=None) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime?model=m%2F1"


@pytest.fixture
def answering(tcp_server):
    """`async with answering(answer) as (url, heads)`: a provider that gives the same bytes to whoever comes, and tells
    what it was asked."""

    @asynccontextmanager
    async def serve(answer):
        heads = []

        async def script(reader, writer):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()

        async with tcp_server(script) as port:
            yield f"http://127.0.0.1:{port}/v1/realtime", heads

    return serve


@pytest.fixture
async def upstream():
    upstream = HttpUpstream()
    yield upstream
    await upstream.close()


def handshake(url, **options):
    return UpstreamRequest(Endpoint(url, HEADERS, method="GET", **options), b"", opens_socket=True)


async def test_says_what_it_is_told_to_and_hears(upstream):
    seen = []

    async def echo(session):
        seen.append((session.request.path, [*session.request.headers.raw_items()]))
        async for message in session:
            await session.send(message)

    async with provider(echo) as url:
        socket = await upstream.call(handshake(url))
        await socket.send("text")
        await socket.send(b"\0bytes")
        heard = [await socket.receive(), await socket.receive()]
        await socket.end(1000)
        socket.close()

    assert (socket.status, heard) == (101, ["text", b"\0bytes"])
    [(path, headers)] = seen
    assert path == "/v1/realtime?model=m%2F1"
    assert sorted({name.lower() for name, _ in headers}) == [
        "accept-encoding",
        "authorization",
        "connection",
        "host",
        "sec-websocket-key",
        "sec-websocket-version",
        "upgrade",
    ]


async def test_how_the_provider_closes(upstream):
    async def close(session):
        await session.send("last")
        await session.close(4001, "expired")

    async with provider(close) as url:
        socket = await upstream.call(handshake(url))
        heard = [await socket.receive(), await socket.receive()]
        await socket.end(1000)

    assert heard == ["last", None]
    assert (socket.close_code, socket.close_reason) == (4001, "expired")


async def test_a_provider_that_drops(upstream):
    async def drop(session):
        session.transport.abort()

    async with provider(drop) as url:
        socket = await upstream.call(handshake(url))
        with pytest.raises(BrokeOff):
            await socket.receive()
        with pytest.raises(BrokeOff):
            await socket.send("more")
        await socket.end(1000)


async def test_a_message_that_is_too_large(upstream):
    async def large(session):
        with suppress(ConnectionClosed):
            await session.send(bytes(16 * 1024 * 1024 + 1))

    async with provider(large) as url:
        socket = await upstream.call(handshake(url))
        with pytest.raises(BrokeOff):
            await socket.receive()
        socket.close()


async def test_a_refusal_is_a_reply(upstream, answering):
    """With its body, from which the caller is told why."""
    answer = b"HTTP/1.1 403 No\r\ncontent-length: 6\r\nretry-after: 7\r\n\r\ndenied"

    async with answering(answer) as (url, _):
        reply = await upstream.call(handshake(url))

    assert (reply.status, reply.headers["Retry-After"]) == (403, "7")
    assert [await reply.read(), await reply.read()] == [b"denied", b""]


async def test_is_not_sent_elsewhere(upstream, answering):
    """A redirect would take the key along."""
    async with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as (other, asked_there):
        answer = f"HTTP/1.1 307 There\r\nlocation: {other}\r\ncontent-length: 0\r\n\r\n".encode()
        async with answering(answer) as (url, asked):
            reply = await upstream.call(handshake(url))

    assert (reply.status, len(asked), asked_there) == (307, 1, [])


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: wrong\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: other\r\nconnection: upgrade\r\n\r\n",
    ],
)
async def test_what_is_no_websocket(upstream, answering, answer):
    async with answering(answer) as (url, _):
        with pytest.raises(BrokeOff, match="in a wrong way"):
            await upstream.call(handshake(url))


async def test_nobody_there(upstream, answering):
    async with answering(b"") as (url, _):
        pass

    with pytest.raises(Unreachable, match="connection refused"):
        await upstream.call(handshake(url))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254"])
async def test_goes_only_where_it_may(answering, host):
    """As with all calls: what a user wrote does not lead to this machine."""
    guarded = HttpUpstream(is_trusted=False)
    async with answering(b"") as (url, asked):
        with pytest.raises(Unreachable, match=r"private network|never calls"):
            await guarded.call(handshake(url.replace("127.0.0.1", host)))

    assert asked == []
    await guarded.close()


async def test_a_certificate_that_cannot_be_one(upstream):
    with pytest.raises(Unreachable, match="ca_cert is not a certificate"):
        await upstream.call(handshake("https://127.0.0.1:9/", tls=Tls(ca_cert="no certificate")))
