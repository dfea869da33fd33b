"""Everything a plugin needs: the protocols it implements and the values that cross them.

middleware  any ASGI app; entry point group `gateway.middlewares`
Provider    how to speak to one vendor; entry point group `gateway.providers`
Dialect     one client-facing API
Observer    looks at a reply while it passes
Counters    limits and budgets, taken and given back; in `gateway.holds`
Tokens      who is calling
Sink        where request records go
"""

from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from gateway.address import address_of
from gateway.errors import GatewayError, Refused, UpstreamError
from gateway.headers import wrong_headers, wrong_value
from gateway.logs import MASK
from gateway.pricing import Price
from gateway.routing import Room, Route, Tier
from gateway.secret import Secret
from gateway.usage import Usage


class Outcome(StrEnum):
    """How a request ended; every request has exactly one."""

    REFUSED = "refused"
    COMPLETE = "complete"
    CLIENT_LEFT = "client_left"
    UPSTREAM_BROKE = "upstream_broke"
    BLOCKED = "blocked"
    STOPPED = "stopped"


# --- who calls ---------------------------------------------------------------


class Credential(StrEnum):
    """What a caller presented."""

    PERSONAL = "personal-access-token"
    VIRTUAL_ACCOUNT = "virtual-account-token"
    JWT = "jwt"
    OTHER = "other"


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who is calling. `subject` as manifests write it: `user:ana@example.com`, `virtualaccount:ci`.

    `token_id` names the token without giving it away. `subjects`, which follow from the rest, are all whose grants the
    caller has: its own, those of its teams and, of a user, those of `team:everyone`.
    """

    subject: str
    teams: frozenset[str] = frozenset()
    is_admin: bool = False
    credential: Credential = Credential.OTHER
    token_id: str | None = None
    subjects: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        everyone = ("team:everyone",) if self.subject.startswith("user:") else ()
        subjects = frozenset((self.subject, *everyone, *(f"team:{team}" for team in self.teams)))
        msgspec.structs.force_setattr(self, "subjects", subjects)


class Tokens(Protocol):
    """Who is calling, from what was presented. Unknown, expired and revoked look the same: None."""

    def find(self, token: bytes) -> Caller | None:
        """What is known at once."""

    async def verify(self, token: bytes) -> Caller | None:
        """Asked when `find` knew nobody; may wait for an identity provider.

        Raises:
            Unavailable: just now nobody can say whose it is.
        """


# --- what is asked -----------------------------------------------------------


class Ask(msgspec.Struct, frozen=True, gc=False):
    """What every dialect can say of a request without looking at its content.

    `input_tokens` is an estimate from the size of the body; `max_output_tokens` is the caller's own limit for each of
    so many `choices`. Without `has_output` an answer has no tokens of its own, as with embeddings.
    """

    model: str
    stream: bool = False
    wants_usage: bool = False
    max_output_tokens: int | None = None
    input_tokens: int = 0
    choices: int = 1
    has_output: bool = True


class Call(msgspec.Struct, frozen=True, gc=False):
    """One request, decoded once. `fields`: the top-level fields of the body, each as the very bytes the client sent.

    `provider_key` is the Authorization which the caller sent for the provider, scheme included.
    """

    dialect: "Dialect"
    ask: Ask
    fields: Mapping[str, msgspec.Raw]
    provider_key: Secret | None = None


class Reading(Protocol):
    """One reply, read as it comes, and put into the caller's dialect; made for one attempt. No I/O."""

    events: int
    """Events of content so far; keep-alive comments are not events."""
    has_begun: bool
    """There is some of the answer; until then an error is still a status, and another provider may answer instead."""
    is_over: bool
    """The provider has said that this was all: nothing more is waited for, whatever its connection does."""

    def feed(self, data: bytes) -> bytes:
        """What may go to the client now, `b""` for nothing yet; the same object when there is nothing to change.

        Raises:
            UpstreamError: before `has_begun`, that the provider sent an error, or something else than it should.
        """

    def end(self) -> bytes:
        """What is left when the provider has finished. Raises like `feed`."""

    def is_complete(self) -> bool:
        """True once the reply has come to its proper end."""

    def told_error(self) -> UpstreamError | None:
        """What the provider said has gone wrong after it had begun. It has been passed on as it came."""

    def usage(self) -> Usage | None:
        """What the provider says was used, once it has said so."""

    def service_tier(self) -> str | None:
        """How fast, and for which price, the reply was made, as it says itself."""


class Dialect(Protocol):
    """One client-facing API: how its requests and its replies are read, and how its errors are written."""

    name: str
    path: str
    """Below every base path, for example `/chat/completions`."""
    model_type: str
    """What a model must be declared as in `model_types`, for example `chat`."""

    def parse(self, fields: Mapping[str, msgspec.Raw], body: bytes) -> Ask:
        """What a body asks for, which is said in its top-level fields and, how much there is to read, by its size.

        Raises:
            BadRequest: a field it needs is missing or of the wrong type.
        """

    def reading(self, *, streamed: bool) -> Reading:
        """How the replies of this API itself are read."""

    def error(self, error: GatewayError) -> bytes:
        """The body of a refused request."""

    def stream_error(self, error: GatewayError) -> bytes:
        """The last event of a stream that broke; no proper end may follow it."""


# --- where it goes -----------------------------------------------------------


class Tls(msgspec.Struct, frozen=True):
    """How a provider's certificate is checked. `ca_cert` is PEM text added to the system's authorities."""

    verify: bool = True
    ca_cert: str | None = None


_NO_SECRETS = frozenset({b"host", b"accept-encoding", b"content-type"})
SHORTEST_SECRET = 8
"""Bytes; less is a word that may stand anywhere."""


class Endpoint:
    """One URL of a provider, ready to be called: where to connect, and the request head, written once.

    Args:
        url: absolute, http or https, with the query if there is one.
        headers: sent with every call, credentials included. Content-Length and Host are added.

    Raises:
        ValueError: it could not be called safely; worded for the operator, and without what is secret.
    """

    __slots__ = ("head", "host", "is_tls", "origin", "port", "tls", "url")

    def __init__(
        self, url: str, headers: Mapping[str, str] | None = None, *, method: str = "POST", tls: Tls | None = None
    ) -> None:
        try:
            address = address_of(url)
        except ValueError as error:
            raise ValueError(f"the URL {error}") from None
        # Of plugins, too: what ends a request, or hides another in it, is the gateway's to say.
        if wrong := wrong_headers((headers or {}).items(), fixed=()):
            raise ValueError(f"headers for {address.host}: {next(iter(wrong.values()))}")
        self.url = url
        self.is_tls = address.is_tls
        self.host = address.host
        self.port = address.port
        self.tls = tls or Tls()
        self.origin = (self.host, self.port, self.tls if self.is_tls else None)
        lines = {"host": address.authority, "accept-encoding": "identity"}
        lines |= {name.lower(): value for name, value in (headers or {}).items()}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.head = f"{method} {address.target} HTTP/1.1\r\n{text}".encode()

    def with_headers(self, headers: Mapping[str, str], remove: Collection[str] = ()) -> "Endpoint":
        """The same with other headers, for a single request; names in lower case.

        Raises:
            ValueError: a value cannot be one.
        """
        for name, value in headers.items():
            if wrong := wrong_value(value):
                raise ValueError(f"{name}: {wrong}")
        gone = {name.encode() for name in (*headers, *remove)}
        request, *lines = self.head.split(b"\r\n")[:-1]
        kept = [line for line in lines if line.partition(b":")[0] not in gone]
        new = [f"{name}: {value}".encode() for name, value in headers.items()]
        other = copy(self)
        other.head = b"\r\n".join([request, *kept, *new, b""])
        return other

    def hidden(self, data: bytes) -> bytes:
        """Without the values of its headers, the key among them: some servers repeat them in errors."""
        for line in self.head.split(b"\r\n")[1:-1]:
            name, _, value = line.partition(b": ")
            for part in (value, value.rpartition(b" ")[2]) if name not in _NO_SECRETS else ():
                if len(part) >= SHORTEST_SECRET:
                    data = data.replace(part, MASK.encode())
        return data

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r})"  # the head holds the key


class UpstreamRequest(msgspec.Struct, frozen=True, gc=False):
    """`dropped_params`: fields of the call that this provider would refuse, and that were left out."""

    endpoint: Endpoint
    body: bytes
    dropped_params: tuple[str, ...] = ()


class Reply(Protocol):
    """A provider's answer whose head has arrived."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Case-insensitive."""

    def read(self) -> Awaitable[bytes]:
        """What has arrived since the last call, at least one byte; `b""` at the end.

        Raises:
            BrokeOff: the connection ended before the reply did, or it is not HTTP.
        """

    def close(self) -> None:
        """Gives the connection back, or closes it when the reply was not read to its end. Safe to call twice."""


class Upstream(Protocol):
    async def call(self, request: UpstreamRequest) -> Reply:
        """Sends a request and waits for the head of the answer.

        Raises:
            Unreachable: no connection could be made.
            BrokeOff: the connection ended before there was a head.
            TimedOut: connecting took too long, or the connection died before there was a head.
        """


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One model of one provider account, compiled from its manifest."""

    name: str
    """`account/model`: what callers ask for."""
    model: str
    """The provider's own name for it."""
    model_types: frozenset[str]
    provider: "Provider"
    users: frozenset[str] = frozenset()
    """Subjects that may use it, besides admins; compiled from the grants, not by the provider."""
    only: frozenset[str] | None = None
    """Of those, the ones that may; None is all."""
    room: Room | None = None
    """How much its account takes at once; None is any number."""
    price: Price | None = None
    """None: what it costs is not known."""
    settings: Any = None
    """What the provider prepared for itself when the manifest was compiled."""
    upstream: Upstream | None = None
    """Who answers; None is the network."""


class Classifier(msgspec.Struct, frozen=True, kw_only=True):
    """How a route tells the tier of a request: by asking `target`, and else, or without one, by looking at the text.

    Args:
        dialect: in which the target is asked.
        tier: the one to take when the target does not say; None: look at the text.
    """

    dialect: "Dialect"
    target: Target | None = None
    timeout_s: float = 2.0
    tier: Tier | None = None


class Choice(msgspec.Struct, frozen=True, gc=False):
    """What a caller asked for.

    Args:
        target: the model, real or virtual.
        route: the real models to choose from; None: the target is real, and alone.
        rule: the id of the rule that decided this.
        priority: who of those that wait for an account goes first: the highest.
    """

    target: Target
    route: Route | None = None
    rule: str | None = None
    priority: float = 0
    classifier: Classifier | None = None


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One target, asked once. `reason`: why it was no success. `started_ms` is counted from the request's own start."""

    target: str
    status: int
    reason: str | None
    started_ms: float
    duration_ms: float


class Provider(Protocol):
    """How to speak to one vendor: bytes in, bytes out, no network. Made once; serves all accounts of its types."""

    accounts: Mapping[str, Any]
    """Manifest `type` -> the msgspec.Struct its document is read into."""

    def targets(self, account: Any) -> Iterable[Target]:
        """The models of one account. Raises ValueError, worded for the operator, when it cannot be used."""

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """Raises BadRequest when this provider has no such API."""

    def reading(self, call: Call, target: Target, *, streamed: bool) -> Reading | None:
        """None: the provider speaks the caller's dialect, and its bytes are relayed as they are."""

    def refusal(self, call: Call, target: Target, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """The provider's error answer, put into the caller's dialect."""


class Models(Protocol):
    """The models of the configuration in force."""

    def find(self, name: str, caller: Caller | None, metadata: Mapping[str, str], model_type: str | None) -> Choice:
        """What to ask for a model; the caller None is somebody who may use everything.

        Args:
            model_type: what it is asked for, as in `Dialect.model_type`. Rules choose among such models only.

        Raises:
            UnknownModel: there is none of that name, or none the caller may know of.
            Forbidden: the caller may know of it, and not use it.
        """

    def names(self, caller: Caller | None) -> Sequence[str]:
        """All that the caller may use."""


# --- looking at requests -----------------------------------------------------


class Guard(Protocol):
    """Looks at a request before it is sent on, and may attach observers to the reply."""

    async def check(self, call: Call) -> "Sequence[Observer]":
        """Raises Blocked."""


class Observer(Protocol):
    """Looks at a reply while it passes.

    `chunk` sees the very bytes that go to the client; it must not wait or copy, and may raise Blocked. `end` is called
    exactly once, however the reply ends.
    """

    def chunk(self, data: bytes) -> None: ...

    def end(self, outcome: Outcome) -> None: ...


# --- what is written down ----------------------------------------------------


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
    attempts: tuple[Attempt, ...] = ()
    """All of them, when one was no success."""
    gave_up: str | None = None
    """Why there were no more: `retry_budget`, or the caller's `deadline`."""
    dropped_params: tuple[str, ...] = ()
    error_type: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    client: str | None = None
    user_agent: str | None = None


class Sink(Protocol):
    async def write(self, records: Sequence[Record]) -> None:
        """A batch, in the order in which the requests ended."""
