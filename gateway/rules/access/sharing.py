"""Sets of subjects and grants that many hold: kept once, however many that are.

What is kept so grows with what the manifests say, and not with the product of those who may and what they may.
"""

from collections.abc import Collection, Iterable, Iterator, Set
from typing import TypeVar

T = TypeVar("T")


class Unions(dict[Collection[frozenset[T]], frozenset[T]]):
    """Sets -> all that is in them. For equal sets it is the same object."""

    def __missing__(self, sets: Collection[frozenset[T]]) -> frozenset[T]:
        union = self[sets] = frozenset().union(*sets) if len(sets) != 1 else next(iter(sets))
        return union


class Joined(Set[T]):
    """What is in any of the sets, without a copy of them."""

    __slots__ = ("sets",)

    def __init__(self, sets: tuple[frozenset[T], ...]) -> None:
        self.sets = sets

    def isdisjoint(self, other: Iterable[object]) -> bool:
        return all(each.isdisjoint(other) for each in self.sets)

    def __contains__(self, item: object) -> bool:
        return any(item in each for each in self.sets)

    def __iter__(self) -> Iterator[T]:
        return iter(frozenset().union(*self.sets))

    def __len__(self) -> int:
        return len(frozenset().union(*self.sets))

    @classmethod
    def _from_iterable(cls, items: Iterable[T]) -> "Set[T]":  # type: ignore[override]  # what `&` and `|` make
        return frozenset(items)
