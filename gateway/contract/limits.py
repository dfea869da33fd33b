"""What a request takes from limits and budgets: the values that policies, counters and the ledger hand each other.

A policy says which counters a request draws on, as `Hold`s, and how much it will probably need, as `Amounts`. Counters
take all of it or nothing, and give a `Ticket`; with it they are told in the end what was really used.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from gateway.contract.part import Part, Status
from gateway.contract.windows import Window


class Unit(StrEnum):
    """What is counted. Cost is in nano-dollars; concurrent requests are counted while they last."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    COST = "cost"
    CONCURRENT = "concurrent_requests"


_TOKENS, _COST = Unit.TOKENS, Unit.COST
"""Each request asks for them: to compare by `match` takes three times as long."""


class Mode(StrEnum):
    """What happens to a request that does not fit.

    count: nothing; another rule decides. audit: nothing, but it is told. enforce: it is refused. soft_enforce: it is
    refused if no other budget it draws on has room for it.
    """

    COUNT = "count"
    AUDIT = "audit"
    ENFORCE = "enforce"
    SOFT = "soft_enforce"


class WhenLost(StrEnum):
    """What a shared limit does while its counters cannot be reached.

    local: each replica keeps to its share. open: all pass. closed: none does.
    """

    LOCAL = "local"
    OPEN = "open"
    CLOSED = "closed"


class Hold(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A counter a request draws on, and the most it may come to.

    Args:
        key: of the counter: the rule, unit, window and whom it is about. The same key always has the same unit and
            window; its limit may change.
        rule: what people know the rule as.
        scope: whom it counts, as in `user:ana@example.com`; empty when it counts all together.
        is_budget: whether it is one of those that `Mode.SOFT` asks.
    """

    key: str
    rule: str
    unit: Unit
    window: Window
    limit: int
    scope: str = ""
    mode: Mode = Mode.ENFORCE
    when_lost: WhenLost = WhenLost.LOCAL
    is_budget: bool = False


class Amounts(msgspec.Struct, frozen=True, gc=False):
    """What one request needs or has used, besides being one request. Cost in nano-dollars."""

    tokens: int = 0
    cost: int = 0

    def of(self, unit: Unit) -> int:
        if unit is _TOKENS:
            return self.tokens
        return self.cost if unit is _COST else 1


class Level(msgspec.Struct, frozen=True, gc=False):
    """How full a counter is. `used` includes what is reserved; `resets_s`: until all of it is free again."""

    hold: Hold
    used: int
    resets_s: float

    @property
    def remaining(self) -> int:
        left = self.hold.limit - self.used
        return left if left > 0 else 0  # noqa: FURB136  max takes three times as long, and each answer asks


class Ticket(msgspec.Struct, eq=False):
    """Stands for what was taken. It is one request's own, and settled once.

    Args:
        at_s: when it was taken, in seconds since 1970; calendar windows are those of that moment.
    """

    at_s: float
    holds: tuple[Hold, ...]
    need: Amounts
    is_settled: bool = False


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """Either all holds were taken, and there is a ticket, or none was, and `refused` is why.

    Args:
        levels: of all holds, in their order: after the reservation, or as they stand when it was refused.
        retry_after_s: when it may fit; None: never, because it needs more than the whole limit.
        is_local: the shared counters could not be reached, and each hold's `when_lost` decided.
    """

    ticket: Ticket | None
    levels: Sequence[Level] = ()
    refused: Level | None = None
    retry_after_s: float | None = None
    is_local: bool = False


class Counters(Part, Protocol):
    """All limits and budgets of one request, in one atomic step.

    `running` is left after the last request: what was settled has arrived where it is kept then, or could not.
    """

    name: str = "counters"

    @property
    def status(self) -> Status:
        return Status()

    async def reserve(self, holds: Sequence[Hold], need: Amounts) -> Verdict:
        """Takes `need` from every hold, or nothing from any. Never raises for counters that cannot be reached.

        A hold of which nothing is needed refuses nothing, however much of it is used.

        A ticket that is lost before it is settled gives back what it reserved; that the request was made still counts.
        """

    def settle(self, ticket: Ticket, used: Amounts | None) -> None:
        """Replaces what was reserved by what was used; None: nothing was sent, so even the request is given back.

        Never waits and never raises, so that it can be the last thing a cancelled request does. Settling twice is
        settling once. What a ticket reserved in a sliding window counts from then; what was used beyond that counts
        from now.
        """

    async def levels(self, holds: Sequence[Hold]) -> Sequence[Level]:
        """How full they are just now, in the order of `holds`. Takes nothing.

        Raises:
            Unavailable: the counters cannot be reached.
        """

    async def restore(self, used: Sequence[tuple[Hold, float, int]]) -> None:
        """Sets calendar counters to what the ledger knows: (hold, any moment in its window, amount).

        A counter that already stands higher is left as it is.

        Raises:
            Unavailable: the counters cannot be reached, and will not ask for it again.
        """
