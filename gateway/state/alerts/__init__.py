"""Tells people that a budget is used up, or soon will be.

    outbox = Outbox(ledger_store, Delivery(channel_of).send)
    await outbox.run()

The ledger notes an alert in the same transaction as the request that crossed a threshold; here they are sent.
"""

from gateway.state.alerts.delivery import Delivery
from gateway.state.alerts.outbox import Outbox

__all__ = ["Delivery", "Outbox"]
