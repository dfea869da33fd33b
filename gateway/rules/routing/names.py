"""Something for each name, within bounds."""

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Names(OrderedDict[str, T]):
    """At most `max_names` names; of more, those written to least lately are forgotten."""

    def __init__(self, make: Callable[[], T], max_names: int) -> None:
        super().__init__()
        self._make = make
        self._max_names = max_names

    def at(self, name: str) -> T:
        """To write to: made when it is not there."""
        value = self.get(name)
        if value is None:
            value = self[name] = self._make()
            if len(self) > self._max_names:
                self.popitem(last=False)
        else:
            self.move_to_end(name)
        return value

    def has_room_for(self, name: str) -> bool:
        """Nobody is forgotten when it is written to."""
        return len(self) < self._max_names or name in self
