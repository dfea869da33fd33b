import json

import pytest

PASSED = {
    "verdict": "passed",
    "texts": ["mail [EMAIL]", "hello"],
    "results": [
        {
            "guardrail_integration": "safety/pii",
            "result": "mutated",
            "explanation": "found Email",
            "found": {"Email": 1},
            "duration_ms": 0.25,
        }
    ],
}
BLOCKED = {
    "verdict": "failed",
    "texts": ["x"],
    "results": [{"guardrail_integration": "safety/words", "result": "failed", "explanation": "found word_list"}],
}


def test_what_is_made_of_texts(cli, control):
    control.answer(PASSED)

    result = cli("guardrails", "test", "-g", "safety/pii", "mail ana@example.com", "hello")

    assert result.output.splitlines() == [
        "GUARDRAIL   RESULT   WHY          TOOK",
        "safety/pii  mutated  found Email  0.2 ms",
        "changed to: mail [EMAIL]",
    ]
    assert result.exit_code == 0
    body = {"guardrails": ["safety/pii"], "hook": "llm_input", "texts": ["mail ana@example.com", "hello"]}
    assert control.requests == [("POST", "/guardrails/test", body)]


def test_what_would_be_blocked_is_a_failure(cli, control):
    """For pipelines. Each line of standard input is a text."""
    control.answer(BLOCKED)

    result = cli("guardrails", "test", "-g", "safety/words", "--hook", "llm_output", given="x\n\ny\n")

    assert result.exit_code == 1
    assert control.requests[0][2] == {"guardrails": ["safety/words"], "hook": "llm_output", "texts": ["x", "y"]}


def test_as_json(cli, control):
    control.answer(PASSED)

    assert json.loads(cli("guardrails", "test", "-g", "safety/pii", "--json", "a", "b").stdout) == PASSED


@pytest.mark.parametrize("answer", [b"<html>", {}, {"verdict": 5}])
def test_what_is_no_report(cli, control, answer):
    control.answer(answer)

    result = cli("guardrails", "test", "-g", "safety/pii", "a")

    assert result.exit_code == 1
    assert "is that a gateway?" in result.stderr or "is its version another?" in result.stderr
