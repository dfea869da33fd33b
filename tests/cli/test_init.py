"""The first file: it is right as it is written, and never in place of another."""

import re

import pytest

from gateway import build_app
from gateway.cli.init import first_file
from gateway.testing import FakeUpstream, get, post

REPLY = (200, [b'{"choices":[{"message":{"content":"hello"}}]}'])
ASK = {"messages": [{"role": "user", "content": "hello"}]}


def test_writes_a_file_that_check_takes(cli, tmp_path):
    result = cli("init", OPENAI_API_KEY=None)

    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "wrote gateway.yaml: one account, one grant, one virtual model, one limit",
        "",
        "Next:",
        "  gateway check gateway.yaml",
        "  gateway serve",
        "  gateway token create --user you@example.com    (in another terminal: a token to call it with)",
    ]
    assert cli("check", "--strict", "gateway.yaml").output == "2 accounts, 2 models\n"


def test_with_a_key_the_account_is_for_it(cli, tmp_path):
    cli("init", "openai.yaml", OPENAI_API_KEY="sk-canary")

    text = (tmp_path / "openai.yaml").read_text()
    assert "sk-canary" not in text
    assert "demo" not in text
    checked = cli("check", "--strict", "openai.yaml", OPENAI_API_KEY="sk-canary")
    assert (checked.output, checked.exit_code) == ("2 accounts, 2 models\n", 0)


def test_another_file_is_named_to_serve(cli):
    assert "  gateway serve --config other.yaml\n" in cli("init", "other.yaml").output


def test_overwrites_nothing(cli, tmp_path):
    (tmp_path / "gateway.yaml").write_text("mine")

    result = cli("init")

    assert result.stderr == "Error: gateway.yaml is there already, and stays as it is; name another file\n"
    assert result.exit_code == 1
    assert (tmp_path / "gateway.yaml").read_text() == "mine"


def test_says_why_it_cannot_write(cli):
    result = cli("init", "nowhere/gateway.yaml")

    assert result.stderr == "Error: nowhere/gateway.yaml cannot be written: No such file or directory\n"
    assert result.exit_code == 1


async def test_what_is_commented_out_works_as_well(tmp_path):
    """A budget, and a guardrail, by taking away what stands in front of their lines."""
    first, mark, more = first_file(has_key=False).partition("# ---\n# type: tenant-budget-config\n")
    path = tmp_path / "gateway.yaml"
    path.write_text(first + re.sub("^# ", "", mark + more, flags=re.MULTILINE).replace("Guardrails: ", "# "))
    app = build_app(path, environ={"GATEWAY_TOKENS": "user:ana@example.com=token-of-ana-0123456789"}, sinks=[])
    auth = {"authorization": "Bearer token-of-ana-0123456789"}
    mail = {"model": "models/small", "messages": [{"role": "user", "content": "mail ana@example.com"}]}
    dear = {**mail, "max_tokens": 10_000_000}

    answers = [await post(app, "/v1/chat/completions", ask, headers=auth) for ask in (mail, dear)]

    assert [answer.status for answer in answers] == [200, 429]
    assert answers[0].json()["choices"][0]["message"]["content"] == "mail [EMAIL]"
    assert answers[1].json()["error"]["code"] == "budget_exceeded"


@pytest.mark.parametrize("has_key", [False, True])
async def test_answers_by_every_name(tmp_path, has_key):
    """To a user who is in no team, until the limit is reached."""
    path = tmp_path / "gateway.yaml"
    path.write_text(first_file(has_key=has_key))
    environ = {"OPENAI_API_KEY": "sk-1", "GATEWAY_TOKENS": "user:ana@example.com=token-of-ana-0123456789"}
    app = build_app(path, environ=environ, network=FakeUpstream(*[REPLY] * 60), sinks=[])
    auth = {"authorization": "Bearer token-of-ana-0123456789"}
    own, alias = ("openai/gpt-4o-mini", "gpt-4o-mini") if has_key else ("demo/echo", "echo")

    listed = (await get(app, "/v1/models", headers=auth)).json()["data"]
    answers = [
        await post(app, "/v1/chat/completions", {"model": model, **ASK}, headers=auth)
        for model in [own, "models/small", alias] + [own] * 58
    ]

    assert [model["id"] for model in listed] == [own, "models/small", alias]
    assert [answer.status for answer in answers] == [200] * 60 + [429]
    assert answers[1].json()["choices"][0]["message"]["content"] == "hello"
