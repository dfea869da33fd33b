"""What is known of one request, from its first byte to its last."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from time import perf_counter, time
from typing import Any, Self

import msgspec

from gateway.contract import (
    Call,
    Caller,
    Choice,
    Dialect,
    Observer,
    Outcome,
    Provider,
    Reading,
    Span,
    Target,
    UpstreamRequest,
)
from gateway.contract.limits import Amounts, Hold, Ticket
from gateway.contract.objects import AccountObject
from gateway.contract.price import Bill, Price
from gateway.contract.route import NO_METADATA
from gateway.contract.usage import Usage
from gateway.errors import Blocked, ClientLeft, GatewayError, RateLimited, Refused, Stopping, UpstreamError
from gateway.proxy.asgi import Message, Send
from gateway.proxy.options import NO_OPTIONS, RequestOptions
from gateway.proxy.session_keys import SessionKey
from gateway.secrecy.secret import Secret

KEY = "gateway.proxy.exchange"
HEADS = frozenset(("http.response.start", "websocket.http.response.start", "websocket.accept"))
ACCEPTED, REFUSED = 101, 403
"""What servers answer when a WebSocket is accepted, or closed before that. Source: ASGI's specification of them."""


class Attempt(msgspec.Struct, eq=False):
    """One target, asked once: what belongs to that, filled as it goes on. Moments are as in the exchange.

    Args:
        tell_good: called when a good answer has begun, before any of it goes to the client.
        timer: ends the attempt when no answer has begun in time.
        stand_in: who is asked in place of the target's own provider.
        usage: what the provider said; later, what is billed.
    """

    target: Target
    began_at: float
    tell_good: Callable[[], None]
    stand_in: Provider | None = None
    timer: asyncio.TimerHandle | None = None
    request: UpstreamRequest | None = None
    dropped_params: tuple[str, ...] = ()
    """Those of the request."""
    sent_at: float | None = None
    status: int | None = None
    """The provider's."""
    headers: Mapping[str, str] = {}
    """Of its answer."""
    first_byte_at: float | None = None
    last_byte_at: float | None = None
    reading: Reading | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    ended_at: float | None = None
    error: GatewayError | None = None

    def answered(self) -> None:
        """A good answer has begun."""
        if self.timer is not None:
            self.timer.cancel()
        self.tell_good()

    def ended(self, at: float, error: GatewayError | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None  # it holds what interrupts the exchange, which holds this
        self.ended_at = at
        self.error = error

    def hidden(self, data: bytes) -> bytes:
        """Without the secrets that were sent: some providers repeat them in what goes wrong."""
        return data if self.request is None else self.request.endpoint.hidden(data)

    def span(self, started: float) -> Span:
        """
        Args:
            started: when the request came in.
        """
        error, status = self.error, self.status or 200
        if error is not None and (self.status is None or isinstance(error, UpstreamError)):
            status = error.status
        ended_at = self.began_at if self.ended_at is None else self.ended_at
        return Span(
            kind="model",
            name=self.target.name,
            status=status,
            reason=error.code if error is not None else None,
            started_ms=int((self.began_at - started) * 1e6) / 1e3,
            duration_ms=int((ended_at - self.began_at) * 1e6) / 1e3,
        )


class Exchange(msgspec.Struct, kw_only=True, eq=False):
    """One request. Each step fills its own fields and overwrites nobody else's; None means "not yet" or "none".

    `at` is in seconds since 1970; `started` and the other moments are readings of one monotonic clock, in seconds.
    """

    # log
    id: str = ""
    at: float = msgspec.field(default_factory=time)
    started: float = msgspec.field(default_factory=perf_counter)
    task: "asyncio.Task[Any] | None" = None
    # edge
    headers: dict[bytes, bytes] = {}
    body_is_read: bool = False
    # router
    dialect: Dialect | None = None
    route: str = ""
    # auth
    caller: Caller | None = None
    provider_key: Secret | None = None
    session_key: SessionKey | None = None
    """With which a realtime session is opened."""
    # parse
    call: Call | None = None
    metadata: Mapping[str, str] = NO_METADATA
    options: RequestOptions = NO_OPTIONS
    # model
    choice: Choice | None = None
    account_object: AccountObject | None = None
    """Which the request names by its id."""
    # limit, budget
    holds: list[Hold] = []
    ticket: Ticket | None = None
    target_ticket: Ticket | None = None
    affordable: frozenset[str] = frozenset()
    too_dear: RateLimited | None = None
    limit_headers: list[tuple[bytes, bytes]] = []
    audited_rules: tuple[str, ...] = ()
    price: Price | None = None
    bill: Bill | None = None
    cost: int | None = None
    counted: Amounts | None = None
    """Of a session: what was counted while it went on."""
    # guard, third-party middlewares
    observers: list[Observer] = []
    # guard responder
    guard_spans: list[Span] = []
    # whoever makes a request that nobody waits for
    before_sending: Callable[[], Awaitable[None]] | None = None
    """Awaited before each attempt, when only the provider is left to be asked. Whatever it raises ends the request."""
    # dispatch
    attempt: Attempt | None = None
    attempts: list[Attempt] = []
    """All of them, `attempt` last."""
    applied: dict[str, Any] | None = None
    gave_up: str | None = None
    side_calls: list[tuple[Target, Usage]] = []
    # writer
    answered_at: float | None = None
    # whoever ends it
    is_noting: bool = False
    status: int = 0
    outcome: Outcome | None = None
    error: GatewayError | None = None
    interrupted: GatewayError | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Asking the task is cheaper than `asyncio.get_running_loop`, which makes a system call on Python 3.11."""
        assert self.task is not None
        return self.task.get_loop()

    @property
    def has_unread_body(self) -> bool:
        headers = self.headers
        if self.body_is_read:
            return False
        return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers

    def __repr__(self) -> str:
        return f"Exchange({self.id})"  # the headers hold the caller's token

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> "Exchange":
        """The one of this request. The first to ask makes it, so that each middleware also works alone."""
        try:
            exchange: Exchange = scope["state"][KEY]
        except (KeyError, TypeError):  # TypeError: `state` is None
            has_no_body = scope.get("type") == "websocket"
            exchange = cls(headers=dict(scope["headers"]), task=asyncio.current_task(), body_is_read=has_no_body)
            if scope.get("state") is None:
                scope["state"] = {}
            scope["state"][KEY] = exchange
        return exchange

    def noting(self, send: Send) -> Send:
        """`send` that notes the status of the answer and adds the request's id; made once, whoever asks first."""
        if self.is_noting:
            return send
        self.is_noting = True

        def send_and_note(message: Message) -> Awaitable[None]:
            kind = message["type"]
            if kind == "http.response.body":
                return send(message)
            if kind in HEADS:
                self.status = ACCEPTED if kind == "websocket.accept" else message["status"]
                if not self.body_is_read and self.has_unread_body:
                    # A server may wait for the rest as long as it trickles in.
                    message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
                if self.id:
                    # The OpenAI SDKs read the first name, the Anthropic SDKs the second.
                    id_ = self.id.encode()
                    ids = ((b"x-request-id", id_), (b"request-id", id_))
                    message = {**message, "headers": [*message.get("headers", ()), *self.limit_headers, *ids]}
            elif kind == "websocket.close":
                self.status = self.status or REFUSED
            return send(message)

        return send_and_note

    def interrupt(self, reason: GatewayError) -> None:
        """Ends the request from outside: the client left, the provider fell silent, the gateway stops.

        The request's task is cancelled; where it is `interruptible`, the reason is raised.
        """
        if self.interrupted is None and self.task is not None:
            self.interrupted = reason
            self.task.cancel()

    def interruptible(self) -> Self:
        """`with` it, an interrupt is an error like any other: its reason is raised in place of the CancelledError. A
        task that was cancelled by somebody else stays cancelled."""
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is asyncio.CancelledError:
            self.raise_interrupt()

    def raise_interrupt(self) -> None:
        """What `interruptible` does, for who is entered by each request: called when a CancelledError was caught, which
        is then raised again by those who get here and no further."""
        task, reason = self.task, self.interrupted
        if reason is not None and task is not None and task.cancelling():
            task.uncancel()
            raise reason from None


def outcome_of(error: BaseException | None) -> Outcome:
    """How a request ended that was ended by this."""
    match error:
        case None:
            return Outcome.COMPLETE
        case ClientLeft() | asyncio.CancelledError():
            return Outcome.CLIENT_LEFT
        case Stopping():
            return Outcome.STOPPED
        case Blocked():
            return Outcome.BLOCKED
        case UpstreamError() if not isinstance(error, Refused):
            return Outcome.UPSTREAM_BROKE
        case _:
            return Outcome.REFUSED
