"""How an attempt failed, and what to do next."""

from typing import Any, Literal

import msgspec

from gateway.contract.route import Candidate

Reason = Literal["final", "exhausted", "deadline", "budget", "empty"]


class Failure(msgspec.Struct, frozen=True):
    """How an attempt ended that was no success. Only those before anything was passed on count here.

    `status`: the provider's; 408 for a timeout, 502 for no connection or a broken one. `error`: what to raise for it.
    `was_asked`: False when the gateway itself held the request back, because the account is busy or a limit used up.
    """

    status: int
    retry_after_s: float | None = None
    is_ttft_timeout: bool = False
    was_asked: bool = True
    error: Any = None


class Try(msgspec.Struct, frozen=True):
    """Wait, and ask this one."""

    candidate: Candidate
    after_s: float = 0.0


class GiveUp(msgspec.Struct, frozen=True):
    """Answer with this failure; None: nobody was asked.

    `reason`, for logs: the status is "final", all were asked ("exhausted") or nobody may be ("empty"), or an attempt
    more would pass the "deadline" or the "budget".
    """

    failure: Failure | None
    reason: Reason
