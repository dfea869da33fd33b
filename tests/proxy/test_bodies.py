"""Reading bodies, by whoever needs one."""

import asyncio
import re
from pathlib import Path

import pytest

import gateway
from gateway.errors import BadRequest, BodyTooSlow, ClientLeft, TooLarge
from gateway.proxy.bodies import Bodies
from gateway.proxy.exchange import Exchange
from gateway.testing import http_scope


def begun():
    """Gives the first piece of a body; the next never comes."""
    pieces = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive():
        return pieces.pop() if pieces else await asyncio.Event().wait()

    return receive


async def read(receive, *, max_bytes):
    return await Bodies().read(Exchange.of(http_scope("POST", "/", {}, 9)), receive, max_bytes=max_bytes)


def receiving(*messages):
    left = list(messages)

    async def receive():
        return left.pop(0)

    return receive


def piece(body, more=True):
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_one_piece_is_the_object_that_arrived():
    """20 MB are not copied for nothing."""
    body = bytes(1000)

    pieces = await read(receiving(piece(body, more=False)), max_bytes=1000)

    assert pieces[0] is body
    assert len(pieces) == 1


@pytest.mark.parametrize(
    ("messages", "body"),
    [
        ([{"type": "http.request"}], b""),
        ([piece(b"a"), piece(b""), piece(b"b"), piece(b"", more=False)], b"ab"),
        ([piece(b"a"), {"type": "http.request", "body": b"b"}], b"ab"),
    ],
)
async def test_bodies(messages, body):
    assert b"".join(await read(receiving(*messages), max_bytes=2)) == body


@pytest.mark.parametrize("messages", [[piece(b"abc", more=False)], [piece(b"ab"), piece(b"c")]])
async def test_a_body_too_large(messages):
    with pytest.raises(TooLarge):
        await read(receiving(*messages), max_bytes=2)


async def refuse(piece):
    raise BadRequest("no form")


@pytest.mark.parametrize("more", [True, False])
async def test_who_refuses_a_body_knows_whether_all_of_it_is_there(more):
    """A broken form, or one byte too many at the very end: the answer came after two seconds, in which nothing more
    could come."""
    refused = Exchange.of(http_scope("POST", "/", {}, 9))
    too_long, uploaded = (Exchange.of(http_scope("POST", "/", {}, 9)) for _ in range(2))

    with pytest.raises(BadRequest):
        await Bodies().upload(refused, receiving(piece(b"abc", more)), refuse, max_bytes=9)
    with pytest.raises(TooLarge):
        await Bodies().upload(uploaded, receiving(piece(b"abc", more)), refuse, max_bytes=2)
    with pytest.raises(TooLarge):
        await Bodies().read(too_long, receiving(piece(b"abc", more)), max_bytes=2)

    assert [each.has_unread_body for each in (refused, uploaded, too_long)] == [more, more, more]


async def test_a_client_that_leaves():
    with pytest.raises(ClientLeft):
        await read(receiving(piece(b"a"), {"type": "http.disconnect"}), max_bytes=2)


async def test_a_body_that_does_not_arrive():
    exchange = Exchange.of(http_scope("POST", "/", {}, 9))

    with pytest.raises(BodyTooSlow, match=r"within 0\.01 s"):
        await Bodies(timeout_s=0.01).read(exchange, begun(), max_bytes=1000)

    assert asyncio.current_task().cancelling() == 0
    assert not exchange.body_is_read


async def test_being_cancelled_is_not_being_slow():
    async def read():
        await Bodies().read(Exchange.of(http_scope("POST", "/", {}, 9)), begun(), max_bytes=1000)

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


# --- uploads ---------------------------------------------------------------------------------------------------------


async def upload(*messages, max_bytes=10**9, bodies=None, receive=None):
    taken = []

    async def take(data):
        taken.append(len(data))

    exchange = Exchange.of(http_scope("POST", "/", {}, 9))
    await (bodies or Bodies()).upload(exchange, receive or receiving(*messages), take, max_bytes=max_bytes)
    return taken, exchange.body_is_read


async def test_an_upload_is_handed_on_in_small_pieces():
    """Some servers give a MiB at once, which takes a parser too long for one turn of the event loop."""
    assert await upload(piece(b""), piece(150_000 * b"a"), piece(b"b", more=False)) == (
        [65_536, 65_536, 18_928, 1],
        True,
    )


async def test_an_upload_too_large_is_not_taken_to_its_end():
    with pytest.raises(TooLarge, match="over 2 bytes"):
        await upload(piece(b"ab"), piece(b"c"), piece(b"d", more=False), max_bytes=2)


async def test_who_leaves_during_an_upload():
    with pytest.raises(ClientLeft):
        await upload(piece(b"a"), {"type": "http.disconnect"})


async def test_an_upload_that_does_not_arrive():
    with pytest.raises(BodyTooSlow, match=r"within 0\.01 s"):
        await upload(bodies=Bodies(timeout_s=0.01), receive=begun())

    assert asyncio.current_task().cancelling() == 0


async def test_each_part_of_an_upload_has_its_time():
    """As a whole, half a gigabyte takes longer than any other body may."""
    left = 45

    async def receive():
        nonlocal left
        left -= 1
        await asyncio.sleep(0.03)
        return piece(1_048_576 * b"a", more=left > 0)

    taken, is_read = await upload(bodies=Bodies(timeout_s=1.0), receive=receive)

    assert (sum(taken), is_read) == (45 * 1_048_576, True)


def test_nobody_else_reads_them():
    """The control API did, without a deadline: a slow body was still open after 45 s."""
    reads = re.compile(r"message = await receive\(\)")

    readers = {path.name for path in Path(gateway.__file__).parent.rglob("*.py") if reads.search(path.read_text())}

    assert readers == {"bodies.py", "errors.py"}  # the latter throws it away, for two seconds at most
