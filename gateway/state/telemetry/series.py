"""What is counted, for each value of its labels, and never for too many."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from gateway.contract.part import Spread

OTHER = "other"

Cell = TypeVar("Cell")


class Bounded(Generic[Cell]):
    """Labels -> what is counted for them. What comes when there are `most` is counted together, under `other`: whoever
    chooses names must not be able to fill the memory of those that watch.

    Args:
        make: an empty cell.
    """

    def __init__(self, make: Callable[[], Cell], *, labels: int, most: int) -> None:
        self.cells: dict[tuple[str, ...], Cell] = {}
        self.overflowed = 0
        self._make = make
        self._other = (OTHER,) * labels
        self._most = most

    def at(self, labels: tuple[str, ...], many: int = 1) -> Cell:
        """`many`: how many values are counted there."""
        cell = self.cells.get(labels)
        if cell is None:
            if len(self.cells) >= self._most and labels != self._other:
                self.overflowed += many
                return self.at(self._other)
            cell = self.cells[labels] = self._make()
        return cell


class Count:
    """A number that grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Values:
    """How large values were. `bounds` rise; a value that is equal to one is not beyond it."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_all(self, values: Sequence[float]) -> None:
        for value in values:
            self.counts[bisect_left(self.bounds, value)] += 1
        self.total += sum(values)

    @property
    def spread(self) -> Spread:
        return Spread(tuple(self.counts), self.total)
