"""What replicas tell each other about targets.

Times are ages, so that the clocks of replicas need not agree. Whoever may publish is believed, as long as it makes
sense; a channel strangers can write to is not meant for this.
"""

from collections import OrderedDict
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.rules.routing.names import Names

MAX_ITEMS = 500
"""Names of one kind in one message; what is left comes with the next."""
MAX_BYTES = 512 * 1024
MAX_CALLS = 100_000
"""Measured for one name between two messages; more are not told."""
MAX_REPLICAS = 1000

_Name = Annotated[str, Meta(max_length=400)]
_Seconds = Annotated[float, Meta(ge=0, le=300)]
_Calls = Annotated[int, Meta(ge=0, le=MAX_CALLS)]
_Total = Annotated[float, Meta(ge=0)]
_Number = Annotated[int, Meta(ge=0)]


class Item(msgspec.Struct, array_like=True, gc=False):
    """News of one target or account. Each total is the sum over the calls before it."""

    name: _Name
    failed_ago_s: Annotated[tuple[_Seconds, ...], Meta(max_length=2)] = ()
    cooldown_s: _Seconds = 0.0
    output_calls: _Calls = 0
    output_total_s: _Total = 0.0
    first_calls: _Calls = 0
    first_total_s: _Total = 0.0


class News(msgspec.Struct, array_like=True, gc=False):
    """`number` grows with each message of a replica."""

    version: Literal[1]
    replica: _Number
    number: _Number
    targets: Annotated[list[Item], Meta(max_length=MAX_ITEMS)]
    accounts: Annotated[list[Item], Meta(max_length=MAX_ITEMS)]


class Seen:
    """What is to be told of one name."""

    __slots__ = ("cooldown_until_s", "failed_at_s", "first_calls", "first_total_s", "output_calls", "output_total_s")

    def __init__(self) -> None:
        self.failed_at_s: tuple[float, ...] = ()
        self.cooldown_until_s = 0.0
        self.output_calls = self.first_calls = 0
        self.output_total_s = self.first_total_s = 0.0

    def failed(self, at_s: float, cooldown_until_s: float) -> None:
        self.failed_at_s = (*self.failed_at_s, at_s)[-2:]
        self.cooldown_until_s = cooldown_until_s

    def observed_output(self, time_s: float) -> None:
        if self.output_calls < MAX_CALLS:
            self.output_calls += 1
            self.output_total_s += time_s

    def observed_first(self, time_s: float) -> None:
        if self.first_calls < MAX_CALLS:
            self.first_calls += 1
            self.first_total_s += time_s

    def item(self, name: str, now_s: float) -> Item:
        return Item(
            name=name,
            failed_ago_s=tuple(now_s - at_s for at_s in self.failed_at_s if 0 <= now_s - at_s <= 300),
            cooldown_s=min(max(0.0, self.cooldown_until_s - now_s), 300.0),
            output_calls=self.output_calls,
            output_total_s=self.output_total_s,
            first_calls=self.first_calls,
            first_total_s=self.first_total_s,
        )


class Gossip:
    """Gathers news, and tells which of those that come in are new. A replica that starts again is another one."""

    def __init__(self, replica: int, max_names: int) -> None:
        self.targets = Names(Seen, max_names)
        self.accounts = Names(Seen, max_names)
        self._replica = replica
        self._number = 0
        self._heard: OrderedDict[int, int] = OrderedDict()  # replica -> the number of its latest news

    def take(self, now_s: float) -> bytes:
        if not self.targets and not self.accounts:
            return b""
        self._number += 1
        targets, accounts = _taken(self.targets, now_s), _taken(self.accounts, now_s)
        return _encoder.encode(News(1, self._replica, self._number, targets, accounts))

    def listen(self, data: bytes) -> News | None:
        """None when it is not news, or not new."""
        if len(data) > MAX_BYTES:
            return None
        try:
            news = _decoder.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        if news.replica == self._replica or news.number <= self._heard.get(news.replica, 0):
            return None
        self._heard[news.replica] = news.number
        self._heard.move_to_end(news.replica)
        if len(self._heard) > MAX_REPLICAS:
            self._heard.popitem(last=False)
        return news


_decoder = msgspec.msgpack.Decoder(News)
_encoder = msgspec.msgpack.Encoder()


def _taken(names: Names[Seen], now_s: float) -> list[Item]:
    taken = list(names)[:MAX_ITEMS]
    return [names.pop(name).item(name, now_s) for name in taken]
