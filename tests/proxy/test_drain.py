"""Who is being served, and how that comes to an end."""

import asyncio

from gateway.errors import Stopping
from gateway.proxy.drain import Drain
from gateway.proxy.exchange import Exchange


async def test_is_idle_when_nobody_is_served():
    drain = Drain()
    await drain.idle()
    one, other = Exchange(), Exchange()

    drain.enter(one)
    drain.enter(other)
    waiting = asyncio.create_task(drain.idle())
    drain.leave(one)
    drain.leave(one)
    await asyncio.sleep(0)
    assert not waiting.done()
    drain.leave(other)
    await waiting

    assert len(drain) == 0


async def test_begins_to_stop():
    drain = Drain()
    assert (drain.is_stopping, drain.is_refusing) == (False, False)

    drain.announce()
    assert (drain.is_stopping, drain.is_refusing) == (True, False)

    drain.begin()
    assert (drain.is_stopping, drain.is_refusing) == (True, True)


async def test_cuts_all_who_are_left():
    drain = Drain()
    ends = []

    async def request():
        exchange = Exchange(task=asyncio.current_task())
        drain.enter(exchange)
        try:
            with exchange.interruptible():
                await asyncio.Event().wait()
        except Stopping as error:
            ends.append(error)
        finally:
            drain.leave(exchange)

    tasks = [asyncio.create_task(request()) for _ in range(100)]
    await asyncio.sleep(0)
    drain.cut()
    drain.cut()
    await drain.idle()
    await asyncio.gather(*tasks)

    assert [type(end) for end in ends] == [Stopping] * 100
    assert (ends[0].code, ends[0].retry_after_s) == ("server_shutdown", 1)
