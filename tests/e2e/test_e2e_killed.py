"""What a gateway leaves behind that is killed, with the database it makes for itself."""

import asyncio
from datetime import date

from gateway.state.database.ledger import LedgerStore
from gateway.state.ledger import Ledger, OpenRequests

STREAMS = 100


async def nothing():
    pass


async def test_open_streams_leave_bills(gateway_process, provider, manifests, connect, ask, say):
    """None of a hundred was in the ledger. Its last second may be missing, so what is billed is what was seen before
    the last note at least, and no more than there was."""
    may_go_on = asyncio.Event()
    begin = [say.STREAM, *[say.chunk(say.event(f"word {number}")) for number in range(10)]]
    provider.on("real-chat", [*begin, may_go_on, say.chunk(say.event("more")), provider.STALL])
    gateway = gateway_process(config=manifests)
    ledger = LedgerStore(f"sqlite:///{gateway.folder}/.gateway/gateway.db")
    clients = [await connect(gateway) for _ in range(STREAMS)]
    for client in clients:
        client.ask(ask())
    for client in clients:
        await client.event(await client.head())

    async with asyncio.timeout(30):
        while [len(await ledger.open_entries(*note)) for note in (await ledger.open_notes()).items()] != [STREAMS]:
            await asyncio.sleep(0.05)
    may_go_on.set()
    gateway.process.kill()
    gateway.process.wait()
    buffer = Ledger(ledger)
    next_one = OpenRequests(ledger, bills=tuple, write=buffer.write, adopted=nothing, settled=buffer.flush)
    for _ in range(4):
        await next_one.look()

    [used] = await ledger.usage("model", date(2000, 1, 1), date(3000, 1, 1))
    assert (used.requests, used.usage.output) == (STREAMS, 9 * STREAMS)
    assert await ledger.open_notes() == {}
    await ledger.close()
