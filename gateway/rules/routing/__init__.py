"""Which target is asked, when another, and when none. Decisions only: nothing here waits, writes or speaks to anybody.

    attempts = Attempts(order(route, health=health, now_s=now_s, random=random), health=health, budget=budget)
    step = attempts.next(None, now_s, random)
    while isinstance(step, Try):
        ...                                       # wait step.after_s, ask step.candidate
        step = attempts.next(Failure(503), now_s, random)   # or attempts.answered(), or attempts.abandoned()

Times called `now_s` are of one monotonic clock, those called `wall_s` are seconds since 1970.
"""

from gateway.rules.routing.attempts import Attempts, Once
from gateway.rules.routing.budget import RetryBudget
from gateway.rules.routing.bulkhead import AsyncBulkhead, Bulkhead, Stage, Ticket
from gateway.rules.routing.complexity import Complexity, classify
from gateway.rules.routing.failures import FaultOwner, owner_of
from gateway.rules.routing.health import Condition, Health
from gateway.rules.routing.order import order
from gateway.rules.routing.retry_after import retry_after_s
from gateway.rules.routing.step import Failure, GiveUp, Try
from gateway.rules.routing.sticky import session_of

__all__ = [
    "AsyncBulkhead",
    "Attempts",
    "Bulkhead",
    "Complexity",
    "Condition",
    "Failure",
    "FaultOwner",
    "GiveUp",
    "Health",
    "Once",
    "RetryBudget",
    "Stage",
    "Ticket",
    "Try",
    "classify",
    "order",
    "owner_of",
    "retry_after_s",
    "session_of",
]
