"""Carries what requests used to the database, without any of them waiting for it.

ledger = Ledger(LedgerStore(url), spool=Path("/var/spool/gateway"))
async with ledger.running(), Restoring(ledger, counters).running():
    ledger.add(entry)
"""

from gateway.state.ledger.ledger import Ledger
from gateway.state.ledger.open_requests import OpenRequests
from gateway.state.ledger.restoring import Restoring, restore

__all__ = ["Ledger", "OpenRequests", "Restoring", "restore"]
