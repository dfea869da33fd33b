"""What the ledger keeps of a request: what it used, what that cost, and which budgets it drew on."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from gateway.contract.limits import Hold
from gateway.contract.price import Bill, Price
from gateway.contract.usage import Usage


class Charge(msgspec.Struct, frozen=True, gc=False):
    """What one request adds to one calendar counter: tokens, nano-dollars or requests, as its hold says."""

    hold: Hold
    amount: int


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request that may have used something; `request_id` is unique.

    Args:
        at: when its charges count; UTC.
        model: as the caller asked for it; `resolved_model` is `account/model` that answered.
        price: by which its bill is yet to be made, in a quiet moment.
        bill: None when nobody knows what it costs.
    """

    request_id: str
    at: datetime
    subject: str
    teams: frozenset[str] = frozenset()
    token_id: str | None = None
    model: str
    resolved_model: str | None = None
    metadata: Mapping[str, str] = {}
    outcome: str
    usage: Usage | None = None
    price: Price | None = None
    bill: Bill | None = None
    charges: tuple[Charge, ...] = ()

    def billed(self) -> "Entry":
        """With its bill, if there was a price."""
        if self.price is None or self.usage is None:
            return self
        return msgspec.structs.replace(self, bill=self.price.bill(self.usage, self.at), price=None)
