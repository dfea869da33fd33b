"""Guardrails for texts that do not pass through here, and `POST /guardrails/test`, by which they are tried."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.contract import Caller, Hook, Text, ToolUse
from gateway.errors import BadRequest
from gateway.proxy.admission import Admission
from gateway.proxy.asgi import Receive, Scope, Send, send_body
from gateway.proxy.bodies import Bodies
from gateway.proxy.checks import Reach
from gateway.proxy.exchange import Exchange
from gateway.proxy.side_bills import BilledAsk
from gateway.proxy.trial import Trial, trial
from gateway.rules.guards import GuardRules, checks_by_name, checks_of
from gateway.wire.allowed import why_not

MAX_BODY_BYTES = 1024 * 1024
MayUse = Callable[[Caller | None, str], bool]


class Trials:
    """What all of them need: the guardrails in force, and what they may reach."""

    def __init__(
        self,
        *,
        rules: Callable[[], GuardRules],
        reach: Reach,
        may_use: MayUse,
        admission: Admission,
        bodies: Bodies | None = None,
    ) -> None:
        self.admission = admission
        self.rules = rules
        self.reach = reach
        self.may_use = may_use
        self.bodies = bodies or Bodies()

    async def body(self, exchange: Exchange, receive: Receive) -> bytes:
        return b"".join(await self.bodies.read(exchange, receive, max_bytes=MAX_BODY_BYTES))

    async def run(
        self,
        exchange: Exchange,
        hook: Hook,
        names: tuple[str, ...],
        texts: list[Text],
        metadata: Mapping[str, str],
        *,
        tool: ToolUse | None = None,
        is_strict: bool = False,
    ) -> Trial:
        """
        Raises:
            BadRequest: one of them is not there.
            RateLimited: the caller has no room for what a model would cost that one of them asks.
        """
        caller, rules = exchange.caller, self.rules()
        ask = BilledAsk(self.reach.ask_model, self.admission, exchange, metadata)
        checks = checks_of((), checks_by_name(rules, hook, names, lambda group: self.may_use(caller, group)))
        said = await trial(
            checks,
            hook,
            texts,
            caller=caller,
            metadata=metadata,
            reach=self.reach.asking(ask),
            timeout_s=rules.timeout_s,
            tool=tool,
            exchange=exchange,
            is_strict=is_strict,
        )
        if ask.refused is not None:
            raise ask.refused
        return said


class TestedText(msgspec.Struct, frozen=True):
    content: str
    role: str = "user"


class TestBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`texts`: as they are, or with who says them."""

    guardrails: tuple[str, ...]
    texts: tuple[str | TestedText, ...]
    hook: Hook = Hook.LLM_INPUT
    metadata: dict[str, str] = {}
    tool: ToolUse | None = None


_test_body = msgspec.json.Decoder(TestBody)


class GuardrailTestEndpoint:
    """Says what each guardrail makes of texts. No model is asked, but those that guardrails ask themselves."""

    def __init__(self, trials: Trials) -> None:
        self.trials = trials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        try:
            asked = _test_body.decode(await self.trials.body(exchange, receive))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(f"the request body cannot be used: {why_not(error, TestBody)}") from error
        texts = [Text("user", text) if isinstance(text, str) else Text(text.role, text.content) for text in asked.texts]
        said = await self.trials.run(exchange, asked.hook, asked.guardrails, texts, asked.metadata, tool=asked.tool)
        await send_body(send, 200, msgspec.json.encode(report_of(said)))


def report_of(said: Trial) -> dict[str, Any]:
    """What came of it, as JSON."""
    return {
        "verdict": "failed" if said.objections else "passed",
        "texts": said.texts,
        "results": [
            {
                "guardrail_integration": each.name,
                "result": each.span.result,
                "explanation": each.explanation,
                "found": each.span.found,
                "duration_ms": each.span.duration_ms,
            }
            for each in said.results
        ],
    }
