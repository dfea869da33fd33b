"""From a call to its answer: asks one target after the other until one answers.

What to do after a failure is decided in `gateway.rules.routing`; here it is done. Another target may be asked for as
long as nothing of an answer has gone to the client: comments that keep a stream alive do not count.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from time import perf_counter, time

import msgspec

from gateway.contract import (
    Call,
    Choice,
    Classifier,
    Head,
    JsonBody,
    Provider,
    RelaysRefusals,
    Reply,
    StreamBody,
    Target,
    Upstream,
)
from gateway.contract.route import RETRIED, Retry, Route, RouteTarget
from gateway.errors import (
    BrokeOff,
    ClientLeft,
    GatewayError,
    NoTarget,
    Overloaded,
    RateLimited,
    Refused,
    TimedOut,
    Unreachable,
    UpstreamError,
)
from gateway.proxy.bodies import LARGE
from gateway.proxy.classify import tier_of
from gateway.proxy.exchange import Attempt, Exchange
from gateway.proxy.options import NO_OPTIONS, RequestOptions
from gateway.proxy.relay import relay
from gateway.proxy.tracing import Tracing
from gateway.proxy.writer import ResponseWriter
from gateway.rules.routing import (
    AsyncBulkhead,
    Attempts,
    Complexity,
    Failure,
    GiveUp,
    Health,
    Once,
    RetryBudget,
    Try,
    order,
    owner_of,
    retry_after_s,
)
from gateway.rules.routing.routes import direct
from gateway.rules.routing.sticky import session_of

MAX_ERROR_BODY = 256 * 1024
MAX_ASKED_BODY = 64 * 1024
"""Of an answer to a call of our own."""
ERROR_BODY_S = 5.0
"""The rest of it is not waited for: another target may be waiting to be asked."""
MAX_BUDGETS = 10_000
Admit = Callable[[Exchange, Target], Awaitable[None] | None]
"""To be awaited, if there is anything to wait for. Raises RateLimited."""

NO_STAND_INS: Mapping[str, Callable[[Provider], Provider]] = {}

FIRST_TOKEN = "first_token_timeout"
HELD_BACK: Mapping[str, str] = {"budget": "retry_budget", "deadline": "deadline"}
"""Why nobody else was asked, though there was somebody to ask; for the log and the caller."""


class Dispatcher:
    """Sends calls to providers. One for a process: it knows how each target is doing.

    Args:
        network: calls those targets that do not answer themselves.
        random: draws targets and spreads retries.
        clock: monotonic seconds, the same as in `health`.
        admit: asked before each attempt of a route whether its target's limits have room.
        tracing: tells providers which trace a request is part of; None: they are not told.
        stand_ins: name of a dialect that hardly any provider has -> who is asked in place of a provider.
    """

    def __init__(
        self,
        network: Upstream,
        *,
        health: Health,
        random: Random,
        clock: Callable[[], float] = perf_counter,
        admit: Admit | None = None,
        tracing: Tracing | None = None,
        stand_ins: Mapping[str, Callable[[Provider], Provider]] = NO_STAND_INS,
    ) -> None:
        self.network = network
        self.health = health
        self.random = random
        self.clock = clock
        self.admit = admit
        self.tracing = tracing
        self.stand_ins = stand_ins
        self._budgets: dict[str, RetryBudget] = {}
        self._bulkheads: dict[str, AsyncBulkhead] = {}

    async def respond(self, exchange: Exchange, writer: ResponseWriter) -> None:
        """Relays an answer to its end.

        Raises:
            UpstreamError: no target answered, or the one that did broke off.
        """
        call, choice = exchange.call, exchange.choice
        assert call is not None
        assert choice is not None
        chooses_by_speed = choice.route is not None and choice.route.strategy == "latency"
        attempts: Attempts | Once
        if choice.alone is not None and (exchange.options is NO_OPTIONS or not exchange.options.is_about_attempts):
            attempts = Once(choice.alone, health=self.health, callers_key=call.provider_key is not None)
        else:
            attempts = await self._attempts(exchange, call, choice)
        step = attempts.next(None, self.clock(), self.random)
        try:
            while isinstance(step, Try):
                if step.after_s:
                    await asyncio.sleep(step.after_s)
                route_target = step.candidate.route_target
                attempt = Attempt(route_target.target, self.clock(), attempts.answered)
                error: GatewayError | None = None
                try:
                    try:
                        await self._ask(exchange, call, choice, attempt, route_target, writer)
                    except asyncio.CancelledError:
                        exchange.raise_interrupt()
                        raise
                except GatewayError as raised:
                    error = raised
                    is_final = writer.has_content or _is_spent(call)
                    if is_final or not isinstance(raised, (UpstreamError, Overloaded, RateLimited)):
                        if isinstance(raised, UpstreamError):
                            self._failed(call, attempt.target, raised)
                        raise
                    exchange.interrupted = None
                    step = attempts.next(_failure(raised), self.clock(), self.random)
                except asyncio.CancelledError:
                    error = ClientLeft("the server cancelled the request")
                    raise
                else:
                    if chooses_by_speed or step.candidate.sla is not None:
                        self._observe(call, attempt)
                    return
                finally:
                    attempt.ended(self.clock(), error)
        except BaseException:
            attempts.abandoned()
            raise
        raise self._given_up(exchange, choice, step)

    async def ask(self, call: Call, target: Target, *, max_bytes: int = MAX_ASKED_BODY) -> bytes:
        """A call of our own: the whole answer of one target, which counts for its health and its account. It is cut off
        once it has more than `max_bytes`.

        Raises:
            UpstreamError: it did not answer as it should.
            Overloaded: it was not asked, because its account is busy.
        """
        async with self.open(call, target) as reply:
            body = b""
            while (more := await reply.read()) and len(body) < max_bytes:
                body += more
        return body

    @asynccontextmanager
    async def open(self, call: Call, target: Target) -> AsyncIterator[Reply]:
        """The same, to be read as it comes. Raises as `ask` does."""
        attempt = Attempt(target, self.clock(), lambda: self.health.answered(target.name))
        bulkhead = self._bulkhead(target)
        place = await bulkhead.enter() if bulkhead is not None else None
        try:
            reply = await self._reply(call, attempt, RouteTarget(target))
            try:
                yield reply
            finally:
                reply.close()
        except UpstreamError as error:
            self._failed(call, target, error)
            raise
        finally:
            if bulkhead is not None and place is not None:
                bulkhead.leave(place)
        attempt.answered()

    async def _attempts(self, exchange: Exchange, call: Call, choice: Choice) -> Attempts:
        """Who is asked, in which order, and how often."""
        options, health = exchange.options, self.health
        route = choice.route or _route_of(choice.target, options)
        tier = await self._tier(exchange, call, choice.classifier) if choice.classifier is not None else None
        candidates = order(
            route,
            health=health,
            now_s=self.clock(),
            random=self.random,
            session=session_of(route.sticky, _texts(exchange), exchange.metadata, time()) if route.sticky else None,
            metadata=exchange.metadata,
            tier=tier.tier if tier is not None else None,
            prefers=choice.prefers,
        )
        exchange.applied = {"routing_model_order": [candidate.name for candidate in candidates]}
        if choice.rule is not None:
            exchange.applied["rule"] = choice.rule
        if tier is not None:
            exchange.applied["complexity"] = {"tier": tier.tier, "cause": tier.cause}
        return Attempts(
            candidates,
            health=health,
            budget=self._budget(route.name),
            deadline_s=exchange.started + options.deadline_s if options.deadline_s is not None else None,
            attempts=options.attempts,
            statuses=options.statuses,
            callers_key=call.provider_key is not None,
        )

    async def _ask(
        self,
        exchange: Exchange,
        call: Call,
        choice: Choice,
        attempt: Attempt,
        route_target: RouteTarget,
        writer: ResponseWriter,
    ) -> None:
        """Asks one target, and relays what it answers.

        Raises:
            UpstreamError: it did not answer as it should.
            Overloaded, RateLimited: it was not asked, because its account is busy, or a limit of it used up.
        """
        exchange.attempt = attempt
        exchange.attempts.append(attempt)
        target = attempt.target
        if choice.leads_back:
            call = msgspec.structs.replace(call, account=target.account)
        if call.dialect.name in self.stand_ins:
            attempt.stand_in = self.stand_ins[call.dialect.name](target.provider)
        if self.tracing is not None:
            route_target = self.tracing.onto(route_target, exchange)
        if self.admit is not None and choice.route is not None:  # else it was admitted with the request
            admitted = self.admit(exchange, target)
            if admitted is not None:
                await admitted
        bulkhead = self._bulkhead(target) if target.concurrency is not None else None
        place = await bulkhead.enter(priority=choice.priority) if bulkhead is not None else None
        options = exchange.options
        try:
            if options is not NO_OPTIONS and (timeout := _timeout_of(call, options)) is not None:
                attempt.timer = exchange.loop.call_later(timeout.after_s, exchange.interrupt, timeout.error())
            if exchange.before_sending is not None:
                await exchange.before_sending()
            reply = await self._reply(call, attempt, route_target)
            try:
                await relay(exchange, call, attempt, reply, writer)
            finally:
                reply.close()
        except UpstreamError as error:
            _hide(error, attempt)
            raise
        finally:
            if bulkhead is not None and place is not None:
                bulkhead.leave(place)

    async def _reply(self, call: Call, attempt: Attempt, route_target: RouteTarget) -> Reply:
        """A reply that is no refusal. One that refuses what is the gateway's own is asked for once more, without it."""
        target = attempt.target
        provider = attempt.stand_in or target.provider
        network = target.upstream or self.network
        sent = call.request.body
        is_large = isinstance(sent, JsonBody) and len(sent.data) > LARGE
        if route_target.params:
            call = call.with_fields({**call.fields, **route_target.params})
        is_second = False
        while True:
            # To translate half a million turns takes two seconds, in which nobody else may be held up.
            write = provider.request
            request = await asyncio.to_thread(write, call, target) if is_large else write(call, target)
            if route_target.set_headers or route_target.remove_headers:
                endpoint = request.endpoint.with_headers(route_target.set_headers, route_target.remove_headers)
                request = msgspec.structs.replace(request, endpoint=endpoint)
            try:
                if target.signer is not None:
                    request = await target.signer.sign(request, network)
                attempt.request, attempt.dropped_params = request, request.dropped_params
                attempt.sent_at = perf_counter()
                reply = await network.call(request)
            except Unreachable as error:
                # Without the frames of the first one, which hold the attempt: see `_failure`.
                raise Unreachable(f"{target.name}: {error.message}") from error.with_traceback(None)
            attempt.status, attempt.headers = reply.status, reply.headers
            if reply.status < 300:
                return reply
            if isinstance(target.provider, RelaysRefusals) and target.provider.relays(call, target, reply.status):
                return reply
            try:
                body = await read_error(reply)
            finally:
                reply.close()
            attempt.first_byte_at = attempt.last_byte_at = perf_counter()
            refused = provider.refusal(call, target, Head(reply.status, reply.headers), body)
            if is_second or not refused.is_worth_asking_again:
                raise refused
            is_second = True

    def _given_up(self, exchange: Exchange, choice: Choice, step: GiveUp) -> GatewayError:
        """What to say when there is nobody left to ask."""
        if step.reason in HELD_BACK:
            exchange.gave_up = HELD_BACK[step.reason]
            told = {**(exchange.applied or {}), "gave_up": exchange.gave_up}
            exchange.limit_headers.append((b"x-tfy-applied-rules", msgspec.json.encode(told)))
        if step.failure is not None:
            error: GatewayError = step.failure.error
            return error
        if step.reason == "deadline":
            return TimedOut("the time the client allows was over before a provider could be asked")
        route = choice.route
        name, has_any = (route.name, bool(route.candidates)) if route is not None else (choice.target.name, True)
        why = "none matches its metadata" if has_any else "none of those in its manifest is there"
        return NoTarget(f"{name} has no target for this request: {why}")

    def _failed(self, call: Call, target: Target, error: GatewayError) -> None:
        """For what `Attempts` is not told of."""
        owner = owner_of(error.status, callers_key=call.provider_key is not None)
        self.health.failed(target.name, target.account, owner, self.clock(), _retry_after_s(error))

    async def _tier(self, exchange: Exchange, call: Call, classifier: Classifier) -> Complexity:
        judged = await tier_of(call, classifier, self.ask)
        if judged.usage is not None and classifier.target is not None:
            exchange.side_calls.append((classifier.target, judged.usage))
        return judged.complexity

    def _bulkhead(self, target: Target) -> AsyncBulkhead | None:
        concurrency = target.concurrency
        if concurrency is None:
            return None
        bulkhead = self._bulkheads.get(target.account)
        if bulkhead is None:
            bulkhead = self._bulkheads[target.account] = AsyncBulkhead(concurrency)
        elif bulkhead.concurrency != concurrency:
            bulkhead.resize(concurrency)
        return bulkhead

    def _observe(self, call: Call, attempt: Attempt) -> None:
        """How fast a target was, for routes that choose by it."""
        first, last, sent = attempt.first_byte_at, attempt.last_byte_at, attempt.sent_at
        if first is None or last is None or sent is None:
            return
        tokens = attempt.usage.output_tokens if attempt.usage is not None else 0
        per_token_s = None
        if call.ask.stream and tokens > 1:
            per_token_s = (last - first) / (tokens - 1)
        elif not call.ask.stream and tokens:
            per_token_s = (last - sent) / tokens
        self.health.observed(attempt.target.name, first - sent if call.ask.stream else None, per_token_s, self.clock())

    def _budget(self, route: str) -> RetryBudget:
        budget = self._budgets.get(route)
        if budget is None:
            if len(self._budgets) >= MAX_BUDGETS:
                self._budgets.clear()
            budget = self._budgets[route] = RetryBudget()
        return budget


def _is_spent(call: Call) -> bool:
    """Its body has been sent, and cannot be sent to another target."""
    body = call.request.body
    return isinstance(body, StreamBody) and body.pieces.is_taken


def _route_of(target: Target, options: RequestOptions) -> Route:
    """For a model that was named directly, by a caller who wants more than one attempt, or a limit."""
    retry = Retry(options.attempts or 1, statuses=options.statuses or RETRIED)
    return Route(target.name, "only", (direct(target, retry),))


class AttemptTimeout(msgspec.Struct, frozen=True):
    """How long an attempt may take until its answer begins."""

    after_s: float
    is_first_token: bool

    def error(self) -> UpstreamError:
        what = "no token came" if self.is_first_token else "the provider did not answer"
        return TimedOut(f"{what} within {self.after_s:g} s", code=FIRST_TOKEN if self.is_first_token else None)


def _timeout_of(call: Call, options: RequestOptions) -> AttemptTimeout | None:
    """The tighter of the two there may be."""
    attempt_s, first_token_s = options.attempt_s, options.first_token_s if call.ask.stream else None
    if first_token_s is not None and (attempt_s is None or first_token_s <= attempt_s):
        return AttemptTimeout(first_token_s, is_first_token=True)
    return AttemptTimeout(attempt_s, is_first_token=False) if attempt_s is not None else None


def _failure(error: GatewayError) -> Failure:
    # Its frames hold the attempts, which hold the error: see `ErrorsMiddleware` for what such a ring keeps alive.
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return Failure(
        error.status,
        _retry_after_s(error),
        is_ttft_timeout=error.code == FIRST_TOKEN,
        was_asked=isinstance(error, UpstreamError),
        error=error,
    )


def _hide(error: UpstreamError, attempt: Attempt) -> None:
    """Takes out what was secret in the request, if the provider repeats it."""
    error.message = attempt.hidden(error.message.encode()).decode()
    if isinstance(error, Refused) and error.body is not None:
        error.body = attempt.hidden(error.body)


def _retry_after_s(error: GatewayError) -> float | None:
    return retry_after_s(error.headers, time()) if isinstance(error, Refused) else error.retry_after_s


def _texts(exchange: Exchange) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.headers.items()}


async def read_error(reply: Reply, *, within_s: float = ERROR_BODY_S) -> bytes:
    parts = []
    size = 0
    try:
        async with asyncio.timeout(within_s):
            while size < MAX_ERROR_BODY and (data := await reply.read()):
                parts.append(data)
                size += len(data)
    except (BrokeOff, TimeoutError):
        pass  # the status says enough
    return b"".join(parts)
