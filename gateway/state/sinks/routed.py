"""Records to where `gateway-data-routing-config` sends them: a destination that has sinks of its own has its records
there, and the sinks of all others do not get them."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from gateway.contract import Record, Sink

Make = Callable[[Mapping[str, str]], Sink | None]
"""Of a kind of sink, from the environment; None: nobody wants it."""

OWN = re.compile(r"(GATEWAY_[A-Z0-9_]*?[A-Z0-9])__([A-Z0-9]+(?:_[A-Z0-9]+)*)")
_OTHER_CHARS = re.compile(r"[^A-Z0-9]+")


class RoutedSink:
    """
    Args:
        only: the destinations, as in variables, whose records it gets; None: those of all but `others`.
    """

    def __init__(self, sink: Sink, *, only: str | None = None, others: Iterable[str] = ()) -> None:
        self.sink = sink
        self.only = only
        self.others = frozenset(others)

    async def write(self, records: Sequence[Record]) -> None:
        if wanted := [record for record in records if self._wants(record)]:
            await self.sink.write(wanted)

    async def close(self) -> None:
        if (close := getattr(self.sink, "close", None)) is not None:
            await close()

    def _wants(self, record: Record) -> bool:
        destination = in_variables(record.destination or "")
        return destination == self.only if self.only is not None else destination not in self.others


def routed(makers: Mapping[str, Make], environ: Mapping[str, str]) -> dict[str, Sink]:
    """All that the environment asks for, by name: `GATEWAY_RECORDS_FILE` for everybody, and
    with `__EU_BUCKET` behind it for the destination `eu-bucket`. Raises ConfigError: one cannot be used.
    """
    own: dict[str, dict[str, str]] = {}
    for name, value in environ.items():
        if match := OWN.fullmatch(name):
            own.setdefault(match[2], {})[match[1]] = value
    plain = {name: value for name, value in environ.items() if not OWN.fullmatch(name)}
    others = {name: value for name, value in plain.items() if not name.startswith("GATEWAY_")}
    apart: dict[str, Sink] = {}
    taken: set[str] = set()
    for destination, variables in own.items():
        for name, make in makers.items():
            if (sink := make(others | variables)) is not None:
                apart[f"{name}-{destination.lower()}"] = RoutedSink(sink, only=destination)
                taken.add(destination)
    found = {name: sink for name, make in makers.items() if (sink := make(plain)) is not None}
    if not taken:
        return found
    return {name: RoutedSink(sink, others=taken) for name, sink in found.items()} | apart


def in_variables(destination: str) -> str:
    """Its name, as variables can hold it: `eu-bucket` is `EU_BUCKET`."""
    return _OTHER_CHARS.sub("_", destination.upper()).strip("_")
