"""From a call to its answer: asks one target after the other until one answers.

What to do after a failure is decided in `gateway.rules.routing`; here it is done. Another target may be asked for as
long as nothing of an answer has gone to the client: comments that keep a stream alive do not count.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from random import Random
from time import perf_counter, time

import msgspec

from gateway.contract import Attempt, Call, Choice, Classifier, Reply, Target, Upstream, UpstreamRequest
from gateway.contract.provider import Concurrency
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
from gateway.proxy.classify import tier_of
from gateway.proxy.exchange import Exchange
from gateway.proxy.options import RequestOptions, options_of
from gateway.proxy.relay import relay
from gateway.proxy.writer import ResponseWriter
from gateway.rules.routing import (
    AsyncBulkhead,
    Attempts,
    Complexity,
    Failure,
    Health,
    RetryBudget,
    Try,
    order,
    owner_of,
    retry_after_s,
)
from gateway.rules.routing.routes import direct
from gateway.rules.routing.sticky import session_of

MAX_ERROR_BODY = 256 * 1024
ERROR_BODY_S = 5.0
"""The rest of it is not waited for: another target may be waiting to be asked."""
MAX_BUDGETS = 10_000
Admit = Callable[[Exchange, Target], Awaitable[None] | None]
"""To be awaited, if there is anything to wait for. Raises RateLimited."""

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
    """

    def __init__(
        self,
        network: Upstream,
        *,
        health: Health,
        random: Random,
        clock: Callable[[], float] = perf_counter,
        admit: Admit | None = None,
    ) -> None:
        self.network = network
        self.health = health
        self.random = random
        self.clock = clock
        self.admit = admit
        self._budgets: dict[str, RetryBudget] = {}
        self._bulkheads: dict[str, AsyncBulkhead] = {}

    async def answer(self, exchange: Exchange, call: Call, choice: Choice, writer: ResponseWriter) -> None:
        """Relays an answer to its end.

        Raises:
            UpstreamError: no target answered, or the one that did broke off.
        """
        options = options_of(exchange.headers)
        route = choice.route
        if route is None:
            if options.attempts is None and options.attempt_s is None and options.first_token_s is None:
                await self._only(exchange, call, choice, writer)
                return
            route = _route_of(choice.target, options)
        await self._routed(exchange, call, route, choice, options, writer)

    async def _only(self, exchange: Exchange, call: Call, choice: Choice, writer: ResponseWriter) -> None:
        """A model that was named directly is asked once: what more it takes, the caller knows best."""
        target = choice.target
        answered = partial(self.health.answered, target.name)
        try:
            await self._attempt(exchange, call, RouteTarget(target), choice.priority, None, writer, answered)
        except UpstreamError as error:
            self._failed(call, target, error)
            self._note(exchange, target, exchange.sent_at or exchange.started, error.status, error.code)
            raise
        except asyncio.CancelledError:
            self._cancelled(exchange, call, target)
            raise

    def _failed(self, call: Call, target: Target, error: GatewayError) -> None:
        """For what `Attempts` is not told of."""
        owner = owner_of(error.status, callers_key=call.provider_key is not None)
        account = target.account
        self.health.failed(target.name, account, owner, self.clock(), _retry_after_s(error))

    def _cancelled(self, exchange: Exchange, call: Call, target: Target) -> None:
        """The provider's fault only if it was silent for too long."""
        if isinstance(exchange.interrupted, UpstreamError):
            self._failed(call, target, exchange.interrupted)

    async def _routed(
        self,
        exchange: Exchange,
        call: Call,
        route: Route,
        choice: Choice,
        options: RequestOptions,
        writer: ResponseWriter,
    ) -> None:
        tier = await self._tier(exchange, call, choice.classifier) if choice.classifier is not None else None
        now_s = self.clock()
        candidates = order(
            route,
            health=self.health,
            now_s=now_s,
            random=self.random,
            session=session_of(route.sticky, _texts(exchange), exchange.metadata, time()) if route.sticky else None,
            metadata=exchange.metadata,
            tier=tier.tier if tier is not None else None,
        )
        exchange.applied = {"routing_model_order": [candidate.name for candidate in candidates]}
        if choice.rule is not None:
            exchange.applied["rule"] = choice.rule
        if tier is not None:
            exchange.applied["complexity"] = {"tier": tier.tier, "cause": tier.cause}
        attempts = Attempts(
            candidates,
            health=self.health,
            budget=self._budget(route.name),
            deadline_s=exchange.started + options.deadline_s if options.deadline_s is not None else None,
            attempts=options.attempts,
            statuses=options.statuses,
            callers_key=call.provider_key is not None,
        )
        limit = _timeout_of(call, options)
        step = attempts.next(None, now_s, self.random)
        try:
            while isinstance(step, Try):
                if step.after_s:
                    await asyncio.sleep(step.after_s)
                began = self.clock()
                leg: RouteTarget = step.candidate.route_target
                try:
                    if self.admit is not None and (admitted := self.admit(exchange, leg.target)) is not None:
                        await admitted
                    await self._attempt(exchange, call, leg, choice.priority, limit, writer, attempts.answered)
                except (UpstreamError, Overloaded, RateLimited) as error:
                    self._note(exchange, leg.target, began, error.status, error.code)
                    if writer.has_content:
                        self._failed(call, leg.target, error)
                        raise
                    step = attempts.next(_failure(error), self.clock(), self.random)
                except asyncio.CancelledError:
                    silence = exchange.interrupted
                    if writer.has_content or not isinstance(silence, UpstreamError):
                        self._cancelled(exchange, call, leg.target)
                        if exchange.attempts:
                            ended = silence or ClientLeft("the server cancelled the request")
                            self._note(
                                exchange, leg.target, began, exchange.upstream_status or ended.status, ended.code
                            )
                        raise
                    exchange.overcome()
                    self._note(exchange, leg.target, began, silence.status, silence.code)
                    step = attempts.next(_failure(silence), self.clock(), self.random)
                else:
                    if exchange.attempts:
                        self._note(exchange, leg.target, began, exchange.upstream_status or 200, None)
                    if route.strategy == "latency" or step.candidate.sla is not None:
                        self._observe(exchange, call, leg.target)
                    return
        except BaseException:
            attempts.abandoned()
            raise
        if step.reason in HELD_BACK:
            exchange.gave_up = HELD_BACK[step.reason]
            told = {**exchange.applied, "gave_up": exchange.gave_up}
            exchange.limit_headers.append((b"x-tfy-applied-rules", msgspec.json.encode(told)))
        if step.failure is not None:
            raise step.failure.error
        if step.reason == "deadline":
            raise TimedOut("the time the client allows was over before a provider could be asked")
        why = "none matches its metadata" if route.candidates else "none of those in its manifest is there"
        raise NoTarget(f"{route.name} has no target for this request: {why}")

    async def _tier(self, exchange: Exchange, call: Call, classifier: Classifier) -> Complexity:
        judged = await tier_of(call, classifier, self.network)
        if judged.usage is not None and classifier.target is not None:
            exchange.side_calls.append((classifier.target, judged.usage))
        return judged.complexity

    async def _attempt(
        self,
        exchange: Exchange,
        call: Call,
        leg: RouteTarget,
        priority: float,
        limit: "AttemptTimeout | None",
        writer: ResponseWriter,
        answered: Callable[[], None],
    ) -> None:
        """Asks one target, and relays what it answers. `answered` is called before anything goes to the client.

        Raises:
            UpstreamError: it did not answer as it should.
            Overloaded: it was not asked, because its account is busy.
        """
        exchange.target = leg.target
        exchange.reading = exchange.usage = exchange.upstream_status = None
        exchange.first_byte_at = exchange.last_byte_at = None
        concurrency = leg.target.concurrency
        if concurrency is None:
            await self._within(exchange, call, leg, limit, writer, answered)
            return
        bulkhead = self._bulkhead(leg.target, concurrency)
        place = await bulkhead.enter(priority=priority)
        try:
            await self._within(exchange, call, leg, limit, writer, answered)
        finally:
            bulkhead.leave(place)

    async def _within(
        self,
        exchange: Exchange,
        call: Call,
        leg: RouteTarget,
        limit: "AttemptTimeout | None",
        writer: ResponseWriter,
        answered: Callable[[], None],
    ) -> None:
        """Gives up when no answer has begun in time."""
        if limit is None:
            await self._ask(exchange, call, leg, writer, answered)
            return

        def begun() -> None:
            timeout.reschedule(None)
            answered()

        try:
            async with asyncio.timeout(limit.after_s) as timeout:
                await self._ask(exchange, call, leg, writer, begun)
        except (UpstreamError, TimeoutError) as error:
            if timeout.expired():
                raise limit.error() from error
            raise  # a TimeoutError that is not ours is the client's connection

    async def _ask(
        self, exchange: Exchange, call: Call, leg: RouteTarget, writer: ResponseWriter, answered: Callable[[], None]
    ) -> None:
        if leg.params:
            call = msgspec.structs.replace(call, fields={**call.fields, **leg.params})
        try:
            await self._ask_once(exchange, call, leg, writer, answered)
        except Refused as error:
            if not error.is_worth_asking_again:
                raise
            await self._ask_once(exchange, call, leg, writer, answered)

    async def _ask_once(
        self, exchange: Exchange, call: Call, leg: RouteTarget, writer: ResponseWriter, answered: Callable[[], None]
    ) -> None:
        target = leg.target
        request = target.provider.request(call, target)
        if leg.set_headers or leg.remove_headers:
            endpoint = request.endpoint.with_headers(leg.set_headers, leg.remove_headers)
            request = UpstreamRequest(endpoint, request.body, request.dropped_params)
        exchange.dropped_params = request.dropped_params
        exchange.sent_at = perf_counter()
        try:
            reply = await (target.upstream or self.network).call(request)
        except Unreachable as error:
            # Without the frames of the first one, which hold the attempt: see `_failure`.
            raise Unreachable(f"{target.name}: {error.message}") from error.with_traceback(None)
        exchange.upstream_status = reply.status
        try:
            if reply.status >= 300:
                body = await read_error(reply)
                exchange.first_byte_at = exchange.last_byte_at = perf_counter()
                raise target.provider.refusal(call, target, reply.status, reply.headers, body)
            await relay(exchange, call, target, reply, writer, answered)
        except UpstreamError as error:
            error.message = request.endpoint.hidden(error.message.encode()).decode()
            if isinstance(error, Refused) and error.body is not None:
                error.body = request.endpoint.hidden(error.body)
            raise
        finally:
            reply.close()

    def _bulkhead(self, target: Target, concurrency: Concurrency) -> AsyncBulkhead:
        account = target.account
        bulkhead = self._bulkheads.get(account)
        if bulkhead is None:
            bulkhead = self._bulkheads[account] = AsyncBulkhead(concurrency)
        elif bulkhead.concurrency != concurrency:
            bulkhead.resize(concurrency)
        return bulkhead

    def _observe(self, exchange: Exchange, call: Call, target: Target) -> None:
        """How fast a target was, for routes that choose by it."""
        first, last, sent = exchange.first_byte_at, exchange.last_byte_at, exchange.sent_at
        if first is None or last is None or sent is None:
            return
        tokens = exchange.usage.output_tokens if exchange.usage is not None else 0
        per_token_s = None
        if call.ask.stream and tokens > 1:
            per_token_s = (last - first) / (tokens - 1)
        elif not call.ask.stream and tokens:
            per_token_s = (last - sent) / tokens
        self.health.observed(target.name, first - sent if call.ask.stream else None, per_token_s, self.clock())

    def _note(self, exchange: Exchange, target: Target, began: float, status: int, reason: str | None) -> None:
        now_s = self.clock()
        exchange.attempts.append(
            Attempt(
                target=target.name,
                status=status,
                reason=reason,
                started_ms=int((began - exchange.started) * 1e6) / 1e3,
                duration_ms=int((now_s - began) * 1e6) / 1e3,
            )
        )

    def _budget(self, route: str) -> RetryBudget:
        budget = self._budgets.get(route)
        if budget is None:
            if len(self._budgets) >= MAX_BUDGETS:
                self._budgets.clear()
            budget = self._budgets[route] = RetryBudget()
        return budget


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
