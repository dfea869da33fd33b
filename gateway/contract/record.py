"""What is written down of a request, and where that goes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

import msgspec

from gateway.contract.usage import Usage


class Outcome(StrEnum):
    """How a request ended; every request has exactly one."""

    REFUSED = "refused"
    COMPLETE = "complete"
    CLIENT_LEFT = "client_left"
    UPSTREAM_BROKE = "upstream_broke"
    BLOCKED = "blocked"
    STOPPED = "stopped"


class Span(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One thing that a request waited for: a model, by `account/model`, a guardrail, a tool, the cache.

    `reason`: why it was no success. `started_ms` is counted from the request's own start. Of guardrails, `hook` is when
    it was asked, as in `Hook`, `result` what it said (`passed`, `mutated`, `flagged`, `failed`, `error`), and `found`
    what it found: names and numbers, nothing of a text. `rule`: by which rule it was asked; None: the caller chose it.
    """

    kind: Literal["model", "guardrail", "mcp", "cache"]
    name: str
    status: int
    reason: str | None
    started_ms: float
    duration_ms: float
    hook: str | None = None
    result: str | None = None
    found: Any = None
    rule: str | None = None


class SideCall(msgspec.Struct, frozen=True, gc=False):
    """A model that was asked to find out who should answer. The ledger has a line for it, beside the request's own."""

    resolved_model: str
    usage: Usage
    cost_nanousd: int | None


class Content(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What was asked and answered, where it is to be kept: the beginning of either, without what looks like a key.

    `is_cut`: there was more of one of them.
    """

    input: str = ""
    output: str = ""
    is_cut: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="event", tag="request"):
    """One request, as it is logged. Durations in milliseconds; null or left out: it did not come to that."""

    timestamp: datetime
    """When the request came in; UTC."""
    level: str
    """`error` when the gateway or a provider failed, else `info`."""
    request_id: str
    method: str
    path: str
    status: int
    outcome: Outcome
    duration_ms: float
    request_type: str | None = None
    subject: str | None = None
    token_id: str | None = None
    model: str | None = None
    """As the caller asked for it."""
    resolved_model: str | None = None
    """`account/model` that answered."""
    stream: bool = False
    usage: Usage | None = None
    cost_nanousd: int | None = None
    """In nano-dollars; null: not known."""
    over_limits: tuple[str, ...] = ()
    """Rules that would have refused it, if they were enforced."""
    time_to_first_token_ms: float | None = None
    time_per_output_token_ms: float | None = None
    overhead_ms: float | None = None
    """What the gateway itself took: all of the duration that was not spent waiting for the provider."""
    upstream_status: int | None = None
    spans: tuple[Span, ...] = ()
    """All of them; none, if the only one was a model that answered well: the record says the same."""
    gave_up: str | None = None
    """Why there were no more: `retry_budget`, or the caller's `deadline`."""
    dropped_params: tuple[str, ...] = ()
    error_type: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    client: str | None = None
    user_agent: str | None = None
    teams: tuple[str, ...] = ()
    metadata: Mapping[str, str] = {}
    """What the caller says of it, for whoever looks at it later."""
    limit_rules: tuple[str, ...] = ()
    """Rules whose limits it drew on; `budget_rules`: the same of budgets."""
    budget_rules: tuple[str, ...] = ()
    applied: Mapping[str, Any] | None = None
    """How it was routed, as in the header `x-tfy-applied-rules`."""
    side_calls: tuple[SideCall, ...] = ()
    destination: str | None = None
    """Where `gateway-data-routing-config` sends it, for whoever sorts records; null: it says nothing."""
    traceparent: str | None = None
    """The caller's own, if it was well formed. Without one, the request's id is that of its trace."""


class Sink(Protocol):
    async def write(self, records: Sequence[Record]) -> None:
        """A batch, in the order in which the requests ended."""
