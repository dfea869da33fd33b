"""Carries what requests used to the database, without any of them waiting for it.

ledger = Ledger(LedgerStore(url), spool=Path("/var/spool/gateway"))
await counters.restore(await ledger.used())
ledger.add(entry)
"""

from gateway.ledger.ledger import Ledger

__all__ = ["Ledger"]
