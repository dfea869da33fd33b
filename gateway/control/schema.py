"""What the control API answers, for the handlers that write it and the commands that read it.

Plain values only: a command that imports this must not wait for a database or a web server. What commands can do
without has a default, so that they understand a gateway of another version.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

Time = Annotated[datetime, msgspec.Meta(tz=True)]
Amount = float | msgspec.Raw
"""Requests or tokens, or US dollars as an exact decimal number; whoever reads it has a float."""


class Listing(msgspec.Struct, Generic[T], frozen=True):
    data: list[T]


class Shown(msgspec.Struct, Generic[T], frozen=True):
    data: T


# --- manifests ---------------------------------------------------------------

_DONE = {"CREATE": "created", "UPDATE": "updated", "DELETE": "deleted"}


class Applied(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was done with a manifest, or would be; nothing if not `changed`.

    `version` is the one it has from then on; in a dry run, and when it was deleted, the one it had. The manifests have
    their secrets masked; None: there was none, or there is none any more.
    """

    action: str
    changed: bool = True
    type: str = ""
    name: str = ""
    manifest: dict[str, Any] | None = None
    existing_manifest: dict[str, Any] | None = None
    version: int | None = None
    warnings: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def done(self) -> str:
        """`created`, `updated`, `deleted` or `unchanged`."""
        return _DONE.get(self.action, self.action) if self.changed else "unchanged"


class HistoryEntry(msgspec.Struct, frozen=True):
    """`diff` None: it was no manifest that changed."""

    number: int
    at: Time
    subject: str
    action: str
    type: str
    name: str
    version: int | None = None
    diff: str | None = None


# --- who there is ------------------------------------------------------------


class NewToken(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The one answer that holds the token. `replaces` and `old_expires_at` are those of a rotation."""

    id: str
    token: str
    subject: str
    name: str | None = None
    hint: str | None = None
    expires_at: Time | None = None
    replaces: str | None = None
    old_expires_at: Time | None = None

    def __repr__(self) -> str:
        return f"NewToken({self.id})"


class Held(msgspec.Struct, frozen=True):
    permission: str
    resource: str


class Me(msgspec.Struct, frozen=True, rename="camel"):
    """Who the caller is, and all it may do."""

    subject: str
    teams: tuple[str, ...] = ()
    is_admin: bool = False
    credential: str | None = None
    token_id: str | None = None
    permissions: tuple[Held, ...] = ()
    models: tuple[str, ...] = ()


class DeletedUser(msgspec.Struct, frozen=True, rename="camel"):
    """Of teams that files manage, the user is still a member."""

    email: str = ""
    status: str = ""
    teams_managed_by_files: tuple[str, ...] = ()


# --- limits, budgets and usage -----------------------------------------------


class Standing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A limit or budget, and how much of it is used in the window of now.

    Args:
        policy: the manifest, and in it the rule, as the keys of counters have it.
        unit: as in manifests: `cost_per_month`.
        scope: whom it counts, as in `user:ana@example.com`; empty: all together. A `*` is one counter for each.
        used: None: not known.
        percentage: of the limit, 100 at most.
        start, end: of the window, in seconds since 1970; None: it counts what is going on now.
        limit_nano_usd, used_nano_usd: None: it is no money.
        target: the model a virtual one leads to, if it is only about that.
    """

    rule: str
    policy: str
    is_budget: bool
    mode: str
    scope: str
    unit: str
    limit: Amount
    used: Amount | None
    percentage: float | None
    start: int | None
    end: int | None
    limit_nano_usd: int | None = None
    used_nano_usd: int | None = None
    target: str | None = None


class Standings(msgspec.Struct, frozen=True):
    """`source`: who knows what is used, `counters` or `ledger`."""

    data: tuple[Standing, ...]
    source: str | None = None


class Used(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a group of requests used. The cost is without the `unpriced` ones, which cost nobody knows what."""

    group: str
    requests: int
    input_tokens: int
    output_tokens: int
    cost: msgspec.Raw
    cost_nano_usd: int
    unpriced: int
    usage: Any
    """A `gateway.contract.usage.Usage`, as is that of a request; the package takes too long to import."""


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """Groups by cost, the highest first; days in their order.

    Args:
        since, until: the first day and the last.
        who: None: everybody the caller may see.
        total: None for teams, because who is in two of them counts in both.
    """

    data: tuple[Used, ...]
    total: Used | None
    by: str
    since: date
    until: date
    who: str | None


class BillLine(msgspec.Struct, frozen=True, rename="camel"):
    """`rate` US dollars are for `per` of it. The discount is in `cost`.

    `sum` is the calculation, as in `93 x $2.5 / 1000000 = $0.0002325`.
    """

    name: str
    amount: int
    rate: msgspec.Raw
    per: int
    cost: msgspec.Raw
    cost_nano_usd: int
    sum: str


class Bill(msgspec.Struct, frozen=True, rename="camel"):
    """Costs in US dollars and in nano-dollars."""

    cost: msgspec.Raw
    cost_nano_usd: int
    price_row: str
    price_version: str
    tariff: str
    discount_percent: float
    lines: tuple[BillLine, ...]
    unpriced: tuple[str, ...]


class Request(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One request; its bill is None when nobody knows what it costs."""

    request_id: str
    at: Time
    subject: str
    teams: tuple[str, ...]
    token_id: str | None
    model: str
    resolved_model: str | None
    metadata: Mapping[str, str]
    outcome: str
    usage: Any
    bill: Bill | None


# --- single requests and what they come to -------------------------------------


class RequestStep(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One thing that a request waited for. `reason`: why it was no success.

    Of guardrails, `result` is what it said, at which `hook`, and by which `rule` it was asked.
    """

    kind: str
    name: str
    status: int
    reason: str | None
    started_ms: float
    duration_ms: float
    hook: str | None = None
    result: str | None = None
    rule: str | None = None


class SideCall(msgspec.Struct, frozen=True, rename="camel"):
    resolved_model: str
    usage: Any
    cost: str | None


class FeedbackRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What somebody said of a request. `kind`: `thumbs`, `number`, `category`, or `comment` where there is no value.

    `pending`: the request was not in the records when it was given. It counts once it is there, if it was the giver's.
    """

    id: str = ""
    request_id: str = ""
    name: str
    kind: str
    value: str | float | None = None
    comment: str | None = None
    metadata: Mapping[str, str] = {}
    by: str = ""
    created_at: Time | None = None
    updated_at: Time | None = None
    pending: bool = False


class RequestRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One request, in a list. What it cost, in US dollars, is text: None: nobody knows."""

    request_id: str
    at: Time
    type: str | None = None
    method: str = ""
    path: str = ""
    subject: str | None = None
    teams: tuple[str, ...] = ()
    token_id: str | None = None
    model: str | None = None
    resolved_model: str | None = None
    stream: bool = False
    status: int
    outcome: str
    duration_ms: float
    time_to_first_token_ms: float | None = None
    time_per_output_token_ms: float | None = None
    overhead_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    usage: Any = None
    cost: str | None = None
    metadata: Mapping[str, str] = {}
    limit_rules: tuple[str, ...] = ()
    budget_rules: tuple[str, ...] = ()
    over_limits: tuple[str, ...] = ()
    upstream_status: int | None = None
    gave_up: str | None = None
    dropped_params: tuple[str, ...] = ()
    error_type: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    client: str | None = None
    user_agent: str | None = None
    feedback: tuple[FeedbackRow, ...] = ()


class RequestList(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`next_cursor` None: there is no more. A page may have fewer rows than were asked for, and still not be the last:
    it ends when it was looked for long enough."""

    data: tuple[RequestRow, ...]
    next_cursor: str | None = None


class RequestDetails(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """
    Args:
        applied: why it went where it did: `rule`, `routing_model_order`, `complexity`.
        steps: all models and guardrails that it waited for, in their order.
        bill: how the cost comes about; None: nobody knows, or the ledger has forgotten it.
        input, output: what was asked and answered, where that is kept. `is_cut`: only the beginning.
    """

    request: RequestRow
    applied: Mapping[str, Any] | None = None
    steps: tuple[RequestStep, ...] = ()
    side_calls: tuple[SideCall, ...] = ()
    bill: Bill | None = None
    input: str | None = None
    output: str | None = None
    is_cut: bool = False


class Facet(msgspec.Struct, frozen=True):
    value: str
    requests: int


class MetricsRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`timestamp`: when its step begins; None: it is about all of the time."""

    group_by: Mapping[str, str]
    values: Mapping[str, Any]
    timestamp: Time | None = None


class Metrics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`previous`: the same of as long a time before."""

    data: tuple[MetricsRow, ...]
    previous: tuple[MetricsRow, ...] | None = None
    start: Time
    end: Time
    interval_in_seconds: int | None = None


# --- what commands read of rows that have more for others ----------------------


class Managed(msgspec.Struct, frozen=True, rename="camel"):
    """A manifest and where it is managed: `api`, or `file:<path>:<line>`."""

    type: str
    name: str
    managed_by: str


class Budget(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    name: str
    managed_by: str
    manifest: Mapping[str, Any] = {}
    version: int | None = None


class Team(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    members: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()
    managed_by: str | None = None
    version: int | None = None


class Token(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    subject: str
    status: str
    name: str | None = None
    hint: str | None = None
    token_type: str | None = None
    created_at: Time | None = None
    expires_at: Time | None = None
    last_used_at: Time | None = None


class User(msgspec.Struct, frozen=True, rename="camel"):
    email: str
    active: bool
    teams: tuple[str, ...] = ()
    created_at: Time | None = None
    created_by: str | None = None


class GuardrailResult(msgspec.Struct, frozen=True):
    """What one guardrail made of texts: `passed`, `mutated`, `flagged`, `failed`, `error`."""

    guardrail_integration: str
    result: str
    explanation: str = ""
    found: Any = None
    duration_ms: float = 0.0


class GuardrailReport(msgspec.Struct, frozen=True):
    """Of all that were asked; `texts` as they are after what was changed."""

    verdict: str
    texts: list[str]
    results: list[GuardrailResult]
