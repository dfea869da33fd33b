"""Carries what requests used to the database, without any of them waiting for it.

ledger = Ledger(LedgerStore(url), spool=Path("/var/spool/gateway"))
await counters.restore(await ledger.used())
ledger.add(entry)
"""

from gateway.state.ledger.ledger import Ledger
from gateway.state.ledger.open_requests import OpenRequests

__all__ = ["Ledger", "OpenRequests"]
