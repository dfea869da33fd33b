"""Counters that never refuse."""

from gateway.contract import Hold, Verdict
from gateway.stores.unlimited import UnlimitedCounters


async def test_takes_everything():
    counters = UnlimitedCounters()
    hold = Hold(key="user:ana", unit="requests", amount=10**9, limit=1, window_s=60)

    assert await counters.reserve([hold]) == Verdict(ticket="")
    assert await counters.settle("", None) is None
