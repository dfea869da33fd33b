"""Any HTTP API behind each of the servers: uploads and streams pass while they come."""

import asyncio

import pytest

IN_TIME_S = 30
PIECE = b"x" * 65_536
BUFFERED_BYTES = 40 * 1024 * 1024


class Provider:
    """Reads one request in chunks, and answers when it is told to."""

    def __init__(self):
        self.pieces = asyncio.Queue()
        self.answer = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()
        self.head = b""

    async def talk(self, reader, writer):
        self.head = await reader.readuntil(b"\r\n\r\n")
        await self.reads.wait()
        if b"transfer-encoding: chunked" in self.head:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                self.pieces.put_nowait((await reader.readexactly(size + 2))[:-2])
        while (piece := await self.answer.get()) is not None:
            writer.write(piece)
            await writer.drain()


@pytest.fixture
async def anything(speaker_socket, tcp_server):
    provider = Provider()
    async with tcp_server(provider.talk, sock=speaker_socket.dup(), limit=2**20):
        yield provider


async def test_an_upload_and_a_stream_pass_while_they_come(gateway, connect, anything):
    async with asyncio.timeout(IN_TIME_S):
        client = await connect(gateway)
        head = client.request(b"", "/proxy-api/any/thing/upload?a=b", content_length=None, transfer_encoding="chunked")
        client.send(head)
        for number in range(3):
            client.send(b"5\r\npart%d\r\n" % number)
            assert await anything.pieces.get() == b"part%d" % number
        client.send(b"0\r\n\r\n")
        anything.answer.put_nowait(b"HTTP/1.1 418 Tea\r\ncontent-type: text/event-stream\r\nx-own: 1\r\n\r\n")
        anything.answer.put_nowait(b"data: 1\n\n")
        answer = await client.head()
        assert (answer.status, answer.headers["x-own"]) == (418, "1")
        assert await client.piece(answer) == b"data: 1\n\n"
        anything.answer.put_nowait(b"data: 2\n\n")
        anything.answer.put_nowait(None)
        await client.rest(answer)

    assert answer.body == b"data: 1\n\ndata: 2\n\n"
    assert anything.head.startswith(b"POST /base/upload?a=b HTTP/1.1\r\n")
    assert b"authorization: Basic key-of-any" in anything.head


async def test_an_upload_waits_for_a_provider_that_does_not_read(gateway, connect, anything, settled):
    """Nothing piles up in between."""
    sent_bytes = 0

    async def flood(client):
        nonlocal sent_bytes
        while True:
            client.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
            await client.writer.drain()
            sent_bytes += len(PIECE)

    anything.reads.clear()
    client = await connect(gateway)
    client.send(client.request(b"", "/proxy-api/any/thing", content_length=None, transfer_encoding="chunked"))
    flooding = asyncio.create_task(flood(client))

    assert 0 < await settled(lambda: sent_bytes) < BUFFERED_BYTES
    flooding.cancel()
    client.close()
