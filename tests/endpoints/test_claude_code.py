"""Guardrails of Claude Code's hooks."""

import json

import pytest

from gateway.testing import post

pytest.importorskip("re2")

SECRET = "AKIAIOSFODNN7EXAMPLQ"


async def hooked(app, auth, event, **chosen):
    headers = {**auth, "x-tfy-guardrails": json.dumps(chosen)}
    answer = await post(app, "/hooks/claude-code", event, headers=headers)
    assert answer.status == 200
    return answer.json()


PROMPT = {"hook_event_name": "UserPromptSubmit", "prompt": f"use {SECRET}"}
USE = {
    "hook_event_name": "PreToolUse",
    "tool_name": "Bash",
    "tool_input": {"command": f"echo {SECRET}", "url": "x", "n": 5},
}
USED = {"hook_event_name": "PostToolUse", "tool_name": "Bash", "tool_response": {"stdout": f"{SECRET}\n"}}


async def test_a_prompt_is_refused(guarded, auth):
    blocked = {
        "decision": "block",
        "reason": "Input Guardrail checks failed for integrations: [safety/finds]: found aws_access_key",
    }

    assert await hooked(guarded(), auth, PROMPT, llm_input_guardrails=["safety/finds"]) == blocked
    assert await hooked(guarded(), auth, PROMPT, llm_input_guardrails=["safety/redacts"]) == {
        "decision": "block",
        "reason": "found aws_access_key: take it out and send it again",
    }


async def test_what_a_tool_is_given(guarded, auth):
    """Changed, it is for the user to allow."""
    assert await hooked(guarded(), auth, USE, mcp_tool_pre_invoke_guardrails=["safety/redacts"]) == {
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": "ask",
            "updatedInput": {"command": "echo [REDACTED]", "url": "x", "n": 5},
        }
    }
    denied = await hooked(guarded(), auth, USE, mcp_tool_pre_invoke_guardrails=["safety/finds"])
    assert denied["hookSpecificOutput"]["permissionDecision"] == "deny"


async def test_what_a_tool_says(guarded, auth):
    changed = await hooked(guarded(), auth, USED, mcp_tool_post_invoke_guardrails=["safety/redacts"])
    blocked = await hooked(guarded(), auth, USED, mcp_tool_post_invoke_guardrails=["safety/finds"])

    assert changed == {
        "hookSpecificOutput": {"hookEventName": "PostToolUse", "updatedToolOutput": {"stdout": "[REDACTED]\n"}}
    }
    assert blocked["decision"] == "block"
    assert SECRET not in json.dumps(blocked)


@pytest.mark.parametrize(
    ("event", "chosen"),
    [
        (PROMPT, {}),
        (PROMPT, {"llm_output_guardrails": ["safety/finds"]}),
        ({"hook_event_name": "SessionStart"}, {"llm_input_guardrails": ["safety/finds"]}),
        ({"hook_event_name": "UserPromptSubmit", "prompt": "hello"}, {"llm_input_guardrails": ["safety/finds"]}),
        ({"hook_event_name": "UserPromptSubmit"}, {"llm_input_guardrails": ["safety/finds"]}),
    ],
)
async def test_what_nobody_objects_to(guarded, auth, event, chosen):
    assert await hooked(guarded(), auth, event, **chosen) == {}


@pytest.mark.parametrize("event", [[], {}, {"hook_event_name": 5}, b"{", b"[" * 100_000])
async def test_what_is_no_event(guarded, auth, event):
    answer = await post(guarded(), "/hooks/claude-code", event, headers=auth)

    assert answer.status == 400
