"""Finds rules by what they ask for, so that a request costs the same with one of them and with ten thousand."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
Key = tuple[str, str]
"""What a request is of: `("subject", "team:backend")`, `("model", "main/gpt")`, `("metadata.env", "prod")`."""


class Index(Generic[T]):
    """Rules in their order.

    Args:
        items: (rule, keys of which a request has to have one for the rule to fit). None: any request may fit.
    """

    FEW = 4
    """So many are looked at one by one faster than found."""

    def __init__(self, items: Iterable[tuple[T, Iterable[Key] | None]] = ()) -> None:
        self._items: list[T] = []
        self._always: list[int] = []
        self._by_key: defaultdict[Key, list[int]] = defaultdict(list)
        for number, (item, keys) in enumerate(items):
            self._items.append(item)
            if keys is None:
                self._always.append(number)
            else:
                for key in keys:
                    self._by_key[key].append(number)

    def candidates(self, keys: Iterable[Key]) -> Sequence[T]:
        """Those that may fit a request of these keys, in their order."""
        if len(self._items) <= self.FEW or not self._by_key:
            return self._items
        numbers = set(self._always)
        for key in keys:
            if found := self._by_key.get(key):
                numbers.update(found)
        return [self._items[number] for number in sorted(numbers)]
