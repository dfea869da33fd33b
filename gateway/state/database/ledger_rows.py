"""What the ledger answers, row by row. Amounts of cost are in nano-dollars."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from gateway.contract.limits import Mode, Unit
from gateway.contract.usage import Usage
from gateway.contract.windows import Window


class Total(msgspec.Struct, frozen=True):
    """What a calendar counter came to from `begins_s` until before `ends_s`, in seconds since 1970."""

    key: str
    rule: str
    scope: str
    unit: Unit
    window: Window
    begins_s: int
    ends_s: int
    amount: int


class UsageRow(msgspec.Struct, frozen=True):
    """What a group of requests used. `cost` is without the `unpriced` ones, whose cost nobody knows.

    Args:
        group: the subject, `team:research`, the model, the day as in `2026-01-31`, or the value of the metadata.
        usage: of all its requests together.
    """

    group: str
    requests: int
    unpriced: int
    cost: int
    usage: Usage


class Alerting(Protocol):
    """When and where to tell that a budget is used up: percentages of its limit, and targets that are JSON objects."""

    @property
    def thresholds(self) -> Sequence[float]: ...

    @property
    def targets(self) -> Sequence[Any]: ...


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A budget has reached `threshold` percent of its limit. `key` is that of its counter.

    Args:
        rule: what people know the budget as.
        scope: whom it counts, as in `user:ana@example.com`; empty: all together.
        used: in the window, when that was seen: nano-dollars, tokens or requests, as `limit`.
        begins_s: of the window, in seconds since 1970; it lasts until just before `ends_s`.
    """

    key: str
    rule: str
    scope: str
    unit: Unit
    window: Window
    begins_s: int
    ends_s: int
    used: int
    limit: int
    threshold: float
    mode: Mode


class DueAlert(msgspec.Struct, frozen=True):
    """An alert to be sent. `attempts` counts this one; `targets`, as they were given, have not got it yet."""

    alert: Alert
    targets: tuple[Any, ...]
    attempts: int
