"""What all that lives as long as the gateway has in common: it is opened, watched, counted and closed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Literal, Protocol

import msgspec


class Status(msgspec.Struct, frozen=True):
    """How a part is doing.

    Args:
        problem: what is wrong with it, though requests go on; None: it works as it should.
        is_ready: False until it has what no request can do without.
    """

    problem: str | None = None
    is_ready: bool = True


class Figure(msgspec.Struct, frozen=True):
    """A metric. `values`: the values of its `labels` -> what it stands at; without labels, `()` is the only key."""

    name: str
    help: str
    kind: Literal["counter", "gauge"]
    values: Mapping[tuple[str, ...], float]
    labels: tuple[str, ...] = ()


class Spread(msgspec.Struct, frozen=True):
    """How large the values were: how many up to each bound, one by one, the last beyond all; and their sum."""

    counts: Sequence[int]
    total: float


class Distribution(msgspec.Struct, frozen=True):
    """A metric of many amounts. `bounds` rise, in the unit that the name ends in; the rest is as in `Figure`."""

    name: str
    help: str
    bounds: tuple[float, ...]
    values: Mapping[tuple[str, ...], Spread]
    labels: tuple[str, ...] = ()


def counter(name: str, help: str, value: float) -> Figure:  # noqa: A002  as Prometheus calls it
    """Of what only grows; `name` without the `_total` that is put behind it."""
    return Figure(name, help, "counter", {(): value})


def gauge(name: str, help: str, value: float) -> Figure:  # noqa: A002
    """Of what goes up and down."""
    return Figure(name, help, "gauge", {(): value})


class Part(Protocol):
    """The gateway opens its parts in order, and closes them the other way round.

    Who inherits from this leaves out what there is nothing to say of.
    """

    name: str
    """As /readyz and the metrics call it. Parts of one name are one to those who ask, and the first problem is told."""

    def running(self) -> AbstractAsyncContextManager[object]:
        """Inside, it is open. After that nothing of it goes on."""
        return nullcontext()

    @property
    def status(self) -> Status | None:
        """None: what is wrong with it shows elsewhere."""
        return None

    def figures(self) -> Iterable[Figure | Distribution]:
        """Read when they are asked for, so that counting costs requests nothing."""
        return ()


@asynccontextmanager
async def ending_with(close: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """For what opens by itself when it is used, and has to be closed."""
    try:
        yield
    finally:
        await close()
