"""Counters that never refuse: what stands in while no limits are configured."""

from collections.abc import Sequence

from gateway.contract import Hold, Verdict
from gateway.usage import Usage


class UnlimitedCounters:
    async def reserve(self, holds: Sequence[Hold]) -> Verdict:
        return Verdict(ticket="")

    async def settle(self, ticket: str, actual: Usage | None) -> None:
        return None
