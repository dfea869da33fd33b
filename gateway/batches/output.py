"""What a provider's own batch has used and costs, line by line of its output file. No I/O.

A line is priced for itself: of a batch as a whole nobody could say which of its requests was so long that another
tariff applies.

Source: platform.openai.com/docs/guides/batch, read 2026-11.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from gateway.contract.price import LINE_MAX, Bill, BillLine, Price
from gateway.contract.usage import AMOUNTS, Usage

VARIANT = "processing=batch"
"""Of prices."""
MAX_MODELS = 100
"""That are told apart in one batch; those beyond are one without a name, whose price nobody knows."""
MAX_MODEL_CHARS = 200
UNTOLD = "requests without usage"
"""In `Bill.unpriced`."""


class Model(msgspec.Struct, frozen=True):
    """
    Args:
        name: as the ledger calls it.
        price: None: nobody knows.
    """

    name: str
    price: Price | None = None


ModelOf = Callable[[str], Model]
"""The provider's name for a model -> what the gateway knows of it."""


class _Response(msgspec.Struct):
    status_code: Any = None
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Line(msgspec.Struct):
    response: _Response | None = None


class _Body(msgspec.Struct):
    model: Any = None
    usage: Any = None


_line = msgspec.json.Decoder(_Line)
_body = msgspec.json.Decoder(_Body)


class Tab:
    """What one model has used."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.untold = 0
        """Requests that were answered, of which nobody says what they used."""
        self._price = model.price.for_variant(VARIANT) if model.price is not None else None
        self._used: Counter[str] = Counter()
        self._lines: dict[tuple[str, int, int], list[int]] = {}
        self._tariffs: dict[str, None] = {}
        self._unpriced: dict[str, None] = {}

    def add(self, usage: Usage, at: datetime) -> None:
        for name in AMOUNTS:
            self._used[name] += getattr(usage, name)
        if self._price is None:
            return
        bill = self._price.bill(usage, at)
        for line in bill.lines:
            summed = self._lines.setdefault((line.name, line.rate, line.per), [0, 0])
            summed[0] += line.amount
            summed[1] += line.cost
        self._tariffs[bill.tariff] = None
        self._unpriced.update(dict.fromkeys(bill.unpriced))

    @property
    def usage(self) -> Usage | None:
        """None: nothing is known of it."""
        return msgspec.convert(+self._used, Usage) if +self._used else None

    def bill(self) -> Bill | None:
        """None: nobody knows what it costs."""
        usage, price = self.usage, self._price
        if price is None or usage is None or not price.knows(usage):
            return None
        lines = [
            BillLine(name, amount, rate, per, min(cost, LINE_MAX))
            for (name, rate, per), (amount, cost) in self._lines.items()
        ]
        return Bill(
            sum(line.cost for line in lines),
            price.row,
            price.version,
            tuple(lines),
            price.discount_percent,
            "; ".join(filter(None, self._tariffs)),
            (*self._unpriced, *([UNTOLD] if self.untold else [])),
        )


class Output:
    """
    Args:
        at: when it counts, and by the prices of which moment.
    """

    def __init__(self, model_of: ModelOf, at: datetime) -> None:
        self._model_of = model_of
        self._at = at
        self._by_name: dict[str, Tab] = {}
        """By the provider's name, of which several may be of one model."""
        self._tabs: dict[str, Tab] = {}

    def look(self, lines: Iterable[bytes]) -> None:
        """What cannot be read was not answered, or nobody says what it used."""
        for data in lines:
            try:
                response = _line.decode(data).response
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._tab("").untold += 1
                continue
            if response is None or not _is_good(response.status_code):
                continue
            try:
                body = _body.decode(response.body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                body = _Body()
            self.add(body.model, body.usage)

    def add(self, model: object, said: object) -> None:
        """
        Args:
            said: the `usage` of an answer, or of a batch.
        """
        tab, usage = self._tab(model), Usage.from_openai(said)
        if usage is None:
            tab.untold += 1
        else:
            tab.add(usage, self._at)

    @property
    def is_told(self) -> bool:
        """It says of some request what that has used."""
        return any(tab.usage is not None for tab in self._tabs.values())

    @property
    def tabs(self) -> Sequence[Tab]:
        """In the order of the names, so that it is the same whoever reads it."""
        return [self._tabs[name] for name in sorted(self._tabs)]

    def _tab(self, model: object) -> Tab:
        name = model[:MAX_MODEL_CHARS] if isinstance(model, str) and model.isprintable() else ""
        if name not in self._by_name and len(self._by_name) >= MAX_MODELS:
            name = ""
        if name not in self._by_name:
            found = self._model_of(name)
            self._by_name[name] = self._tabs.setdefault(found.name, Tab(found))
        return self._by_name[name]


def _is_good(status: object) -> bool:
    """Who leaves it out means that all is well."""
    return status is None or (isinstance(status, int) and 200 <= status < 300)
