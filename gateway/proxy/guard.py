"""Asks guardrails about a call before a provider is asked for an answer, and about the answer before the client has it.

On the way in, those that change something go one after the other; those that only judge see what the client sent. Of
these, those that have to ask somebody wait beside the model, and nothing of its answer goes out before they are done.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeAlias

from gateway.contract import Call, Caller, Hook
from gateway.errors import BadRequest, Blocked, UpstreamError
from gateway.proxy.asked import Asked, has_tokens, is_readable
from gateway.proxy.checks import Checked, Reach
from gateway.proxy.exchange import Exchange
from gateway.proxy.guarded import GuardedWriter
from gateway.proxy.guarding import Guarding, Panel
from gateway.proxy.responder import Responder
from gateway.proxy.session import SocketWriter
from gateway.proxy.writer import ResponseWriter
from gateway.rules.guards import NOTHING_CHOSEN, GuardRules, checks_by_name, checks_of, chosen_in

CHOSEN, SCOPE = b"x-tfy-guardrails", b"x-tfy-guardrails-scope"
_SCOPES: Mapping[bytes, bool] = {b"all": False, b"last": True}

MayUse: TypeAlias = Callable[[Caller | None, str], bool]
"""Whether a caller may use the guardrails of a group."""


class GuardResponder:
    """
    Args:
        rules: gives those in force.
        reach: what guardrails may reach.
    """

    def __init__(
        self,
        responder: Responder,
        *,
        rules: Callable[[], GuardRules],
        reach: Reach | None = None,
        may_use: MayUse = lambda *_: True,
    ) -> None:
        self.responder = responder
        self.rules = rules
        self.reach = reach or Reach(_NoNetwork(), ask=_no_model, find=lambda _: None, dialects={})
        self.may_use = may_use

    def respond(self, exchange: Exchange, writer: ResponseWriter) -> Coroutine[Any, Any, None]:
        """Raises Blocked, besides what the inner one raises."""
        rules = self.rules()
        if rules.is_empty and CHOSEN not in exchange.headers:  # who asks for one that is not there is told
            return self.responder.respond(exchange, writer)
        return self._respond(rules, exchange, writer)

    async def _respond(self, rules: GuardRules, exchange: Exchange, writer: ResponseWriter) -> None:
        panels = self._panels(rules, exchange)
        if not any(panel.checks for panel in panels.values()):
            await self.responder.respond(exchange, writer)
            return
        guarding = Guarding(exchange, rules, self.reach, panels)
        if isinstance(writer, SocketWriter):
            await _enter_blindly(guarding, panels.values(), "what is said in a session cannot be looked at")
            await self.responder.respond(exchange, writer)
            return
        waiting = await _enter(guarding, is_parallel=rules.is_parallel)
        leaving = panels[Hook.LLM_OUTPUT]
        if not waiting.tasks and not leaving.checks:
            guarding.report()
            await self.responder.respond(exchange, writer)
            return
        guarded = GuardedWriter(writer, exchange, guarding, leaving, waiting.passed)
        try:
            try:
                await self.responder.respond(exchange, guarded)
            except UpstreamError:
                await guarded.flush()  # what came before it broke
                raise
            await guarded.opened()  # also if nothing was written
            await waiting.ended()
            await guarded.ended()
        finally:
            waiting.cancel()

    def _panels(self, rules: GuardRules, exchange: Exchange) -> dict[Hook, Panel]:
        """Raises BadRequest: the caller asks for guardrails that are not there."""
        choice, headers = exchange.choice, exchange.headers
        assert choice is not None
        chosen = chosen_in(headers[CHOSEN]) if CHOSEN in headers else NOTHING_CHOSEN
        panels = {}
        for hook in (Hook.LLM_INPUT, Hook.LLM_OUTPUT):
            matching = rules.matching(hook, choice, exchange.caller, exchange.metadata)
            names = chosen.of(hook)
            more = (
                checks_by_name(rules, hook, names, lambda group: self.may_use(exchange.caller, group)) if names else ()
            )
            panels[hook] = Panel(hook, matching, checks_of(matching, more))
        return panels


class Waiting:
    """Those that judge the request while the model is at work.

    Args:
        tasks: with whether the answer has to wait for it.
    """

    def __init__(self, guarding: Guarding, tasks: Mapping["asyncio.Task[Checked]", bool]) -> None:
        self.tasks = tasks
        self._guarding = guarding
        self._judges = [task for task, is_waited_for in tasks.items() if is_waited_for]
        self._is_at_gate = False
        for task in self._judges:
            task.add_done_callback(self._tell)

    async def passed(self) -> None:
        """Raises Blocked."""
        self._is_at_gate = True
        if self._judges:
            await asyncio.wait(self._judges)
        self._guarding.refuse(Hook.LLM_INPUT, [task.result() for task in self._judges])

    async def ended(self) -> None:
        if self.tasks:
            await asyncio.wait(self.tasks)

    def cancel(self) -> None:
        self._is_at_gate = True
        for task in self.tasks:
            task.cancel()

    def _tell(self, task: "asyncio.Task[Checked]") -> None:
        """The model need not go on if nobody will see what it says."""
        if self._is_at_gate or task.cancelled() or task.result().objection is None:
            return
        try:
            self._guarding.refuse(Hook.LLM_INPUT, [each.result() for each in self._judges if each.done()])
        except Blocked as blocked:
            self._guarding.exchange.interrupt(blocked)


async def _enter(guarding: Guarding, *, is_parallel: bool) -> Waiting:
    """Raises Blocked: it must not go on. What was changed is in `Exchange.call`."""
    exchange, hook = guarding.exchange, Hook.LLM_INPUT
    panel = guarding.panels[hook]
    if not panel.checks:
        return Waiting(guarding, {})
    call = exchange.call
    assert call is not None
    if not is_readable(call):
        await _enter_blindly(guarding, [panel], "a body of this kind cannot be looked at")
        return Waiting(guarding, {})
    if has_tokens(call):
        await _enter_blindly(guarding, [panel], "numbers of tokens cannot be looked at: send texts")
        return Waiting(guarding, {})
    request = await _asked(call, panel, is_last=_scope(exchange))
    texts = request.texts(is_thorough=False)
    tasks = {
        asyncio.create_task(guarding.ask(check, hook, texts)): check.blocks
        for check in panel.judges
        if not check.is_quick
    }
    waiting = Waiting(guarding, tasks)
    try:
        quick = [check for check in panel.judges if check.is_quick]
        results = await guarding.ask_all([check for check in quick if not check.is_thorough], hook, texts)
        thorough = [check for check in quick if check.is_thorough]
        if thorough:
            results += await guarding.ask_all(thorough, hook, request.texts(is_thorough=True))
        guarding.refuse(hook, results)
        for check in panel.mutators:
            is_thorough = check.is_thorough
            result = await guarding.ask(check, hook, request.texts(is_thorough=is_thorough))
            guarding.refuse(hook, [result])
            if result.span.result == "mutated" and result.finding is not None:
                finding, then = result.finding, exchange.call or call
                exchange.call = await request.changed(then, finding.texts, finding.body, is_thorough=is_thorough)
        if not is_parallel:
            await waiting.passed()
    except BaseException:
        waiting.cancel()
        raise
    return waiting


async def _asked(call: Call, panel: Panel, *, is_last: bool) -> Asked:
    """Raises BadRequest."""
    reading = [check for check in panel.checks if check.reads_texts]
    if not reading:
        return Asked()
    # A caller may narrow what it asked for itself, and nothing that a rule asks for.
    required = {check.name for check in checks_of(panel.rules) if check.reads_texts}
    is_thorough = any(check.is_thorough for check in reading)
    return await Asked.of(call, is_last=is_last and not required, is_thorough=is_thorough)


async def _enter_blindly(guarding: Guarding, panels: Iterable[Panel], why: str) -> None:
    """Of those that look at texts, each has failed: not to see is not to find nothing. Raises Blocked."""
    for panel in panels:
        hook, blind = panel.hook, [check for check in panel.checks if check.reads_texts]
        guarding.refuse(hook, [guarding.failed(check, hook, why) for check in blind])
        guarding.refuse(hook, await guarding.ask_all([each for each in panel.checks if not each.reads_texts], hook))
    guarding.report()


def _scope(exchange: Exchange) -> bool:
    """`X-TFY-GUARDRAILS-SCOPE`: whether only the last message is to be looked at. Raises BadRequest."""
    value = exchange.headers.get(SCOPE)
    if value is None:
        return False
    try:
        return _SCOPES[value.strip().lower()]
    except KeyError:
        raise BadRequest("x-tfy-guardrails-scope has to be all or last") from None


class _NoNetwork:
    async def call(self, _: Any) -> Any:
        raise UpstreamError("there is no network here")


def _no_model(*_: Any) -> Awaitable[bytes]:
    raise UpstreamError("there are no models here")
