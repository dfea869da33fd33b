"""Which target is asked, when another, and when none. Decisions only: nothing here waits, writes or speaks to anybody.

    attempts = Attempts(order(route, health=health, now_s=now_s, random=random), health=health, budget=budget)
    step = attempts.next(None, now_s, random)
    while isinstance(step, Try):
        ...                                       # wait step.after_s, ask step.candidate
        step = attempts.next(Failure(503), now_s, random)   # or attempts.answered(), or attempts.abandoned()

Times called `now_s` are of one monotonic clock, those called `wall_s` are seconds since 1970.
"""

from gateway.routing.attempts import Attempts
from gateway.routing.budget import RetryBudget
from gateway.routing.bulkhead import AsyncBulkhead, Bulkhead, Room, Stage, Ticket
from gateway.routing.complexity import Complexity, classify
from gateway.routing.health import Condition, Health
from gateway.routing.order import order
from gateway.routing.retry_after import retry_after_s
from gateway.routing.route import Candidate, Retry, Route, Sla, Sticky, Strategy, Tier
from gateway.routing.step import Failure, GiveUp, Try
from gateway.routing.sticky import session_of
from gateway.routing.trouble import Lane, lane_of

__all__ = [
    "AsyncBulkhead",
    "Attempts",
    "Bulkhead",
    "Candidate",
    "Complexity",
    "Condition",
    "Failure",
    "GiveUp",
    "Health",
    "Lane",
    "Retry",
    "RetryBudget",
    "Room",
    "Route",
    "Sla",
    "Stage",
    "Sticky",
    "Strategy",
    "Ticket",
    "Tier",
    "Try",
    "classify",
    "lane_of",
    "order",
    "retry_after_s",
    "session_of",
]
