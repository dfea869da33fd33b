"""The hooks of Claude Code, which ask guardrails what they make of prompts, tools and answers.

Source: code.claude.com/docs/en/hooks (payloads, `decision`, `hookSpecificOutput`); read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.contract import Hook, Text, ToolUse
from gateway.endpoints.guardrails import Trials
from gateway.errors import BadRequest
from gateway.proxy.asgi import Receive, Scope, Send, send_body
from gateway.proxy.exchange import Exchange
from gateway.proxy.options import metadata_of
from gateway.proxy.trial import Trial
from gateway.rules.guards import chosen_in, refusal
from gateway.wire.wording import Spot, TooManyTexts, free_spots, put_all

CHOSEN = b"x-tfy-guardrails"
OWN_TOOLS = "claude-code"
"""What counts as the server of tools that Claude Code has itself."""
_HOOKS: Mapping[str, tuple[Hook, str]] = {
    "UserPromptSubmit": (Hook.LLM_INPUT, "prompt"),
    "PreToolUse": (Hook.MCP_PRE, "tool_input"),
    "PostToolUse": (Hook.MCP_POST, "tool_response"),
    "Stop": (Hook.LLM_OUTPUT, "last_assistant_message"),
    "SubagentStop": (Hook.LLM_OUTPUT, "last_assistant_message"),
}
"""Event -> which of the lists of `X-TFY-GUARDRAILS` is for it, and the field that is looked at."""
_ROLES = {Hook.LLM_INPUT: "user", Hook.MCP_PRE: "assistant", Hook.MCP_POST: "tool", Hook.LLM_OUTPUT: "assistant"}
_event = msgspec.json.Decoder(dict[str, Any])


class ClaudeCodeEndpoint:
    """Runs the guardrails that the header names, and answers in the words of hooks. What only fails is passed over, or
    stops it, as each guardrail's strategy says; one that redacts and fails always stops it."""

    def __init__(self, trials: Trials) -> None:
        self.trials = trials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        chosen = chosen_in(exchange.headers.get(CHOSEN))
        metadata = metadata_of(exchange.headers)
        try:
            event = _event.decode(await self.trials.body(exchange, receive))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(f"the hook's payload cannot be used: {error}") from error
        name = event.get("hook_event_name")
        if not isinstance(name, str):
            raise BadRequest("the hook's payload has no hook_event_name")
        answer: dict[str, Any] = {}
        if name in _HOOKS and chosen.of(_HOOKS[name][0]):
            hook, field = _HOOKS[name]
            spots = _spots(event, field, _ROLES[hook])
            texts = [Text(spot.role, spot.text) for spot in spots]
            names, tool = chosen.of(hook), _tool_in(event)
            said = await self.trials.run(exchange, hook, names, texts, metadata, tool=tool, is_strict=True)
            answer = _answer(name, hook, event, field, spots, said)
        await send_body(send, 200, msgspec.json.encode(answer))


def _tool_in(event: Mapping[str, Any]) -> ToolUse | None:
    """Those of MCP servers are called `mcp__github__create_issue`; others are Claude Code's own."""
    name, arguments = event.get("tool_name"), event.get("tool_input")
    if not isinstance(name, str):
        return None
    mark, _, rest = name.partition("__")
    server, _, tool = rest.partition("__") if mark == "mcp" else (OWN_TOOLS, "", name)
    return ToolUse(server, tool, arguments if isinstance(arguments, dict) else {})


def _spots(event: dict[str, Any], field: str, role: str) -> list[Spot]:
    """Raises BadRequest: they are hidden too deeply."""
    value = event.get(field)
    if isinstance(value, str):
        return [Spot(role, value, event, field)]
    try:
        return [*free_spots(value, role)]
    except TooManyTexts as error:
        raise BadRequest(f"{field} of the hook cannot be looked at: {error}", param=field) from error


def _answer(name: str, hook: Hook, event: dict[str, Any], field: str, spots: list[Spot], said: Trial) -> dict[str, Any]:
    """Source: the section "JSON output" of that page. A prompt cannot be changed by a hook, only be refused."""
    is_changed = said.texts != [spot.text for spot in spots]
    if said.objections:
        reason = refusal(hook, (), said.objections)
    elif is_changed and hook in (Hook.LLM_INPUT, Hook.LLM_OUTPUT):
        found = "; ".join(each.explanation for each in said.results if each.span.result == "mutated")
        reason = f"{found}: take it out and send it again"
    else:
        reason = ""
    if reason:
        return _refused(name, reason)
    if not is_changed:
        return {}
    put_all((spot, text) for spot, text in zip(spots, said.texts, strict=True) if text != spot.text)
    if name == "PreToolUse":
        # Not `allow`: that would also give the permission that only the user can give.
        return _specific(name, permissionDecision="ask", updatedInput=event[field])
    return _specific(name, updatedToolOutput=event[field])


def _refused(name: str, reason: str) -> dict[str, Any]:
    if name == "PreToolUse":
        return _specific(name, permissionDecision="deny", permissionDecisionReason=reason)
    if name == "PostToolUse":  # the tool has run; what it said is kept from the model
        return {"decision": "block", "reason": reason} | _specific(name, updatedToolOutput=reason)
    return {"decision": "block", "reason": reason}


def _specific(name: str, **fields: Any) -> dict[str, Any]:
    return {"hookSpecificOutput": {"hookEventName": name, **fields}}
