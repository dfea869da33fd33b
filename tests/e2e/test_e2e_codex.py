"""The Codex CLI itself, in front of a model that has only chat. It calls nobody but the gateway.

It is looked for at `GATEWAY_TEST_CODEX`, or on the path; `npm install @openai/codex` brings it.
"""

import asyncio
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from gateway.testing import ResponseGrammar

CODEX = os.environ.get("GATEWAY_TEST_CODEX") or shutil.which("codex")
IN_TIME_S = 60
DOCS = Path(__file__).parents[2] / "docs" / "codex.md"
NO_RETRIES = "request_max_retries = 0\nstream_max_retries = 0\n"
SOCKETS = {"requests": "", "a WebSocket": "supports_websockets = true\n"}
PATCH = """\
apply_patch <<'EOF'
*** Begin Patch
*** Update File: notes.txt
@@
-hello world
+hello gateway
*** End Patch
EOF
"""


@pytest.fixture(params=SOCKETS.values(), ids=SOCKETS)
def codex(one_gateway, token, tmp_path, request):
    """`await codex("do this")`: its exit code, and all that it wrote; it works in `tmp_path / "work"`."""
    if CODEX is None:
        pytest.skip("there is no Codex: set GATEWAY_TEST_CODEX to where it is")
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    shown = re.search(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)[1]
    config = shown.replace("local/qwen", "mock/chat").replace("http://127.0.0.1:8787/v1", one_gateway.url)
    (home / "config.toml").write_text(config + NO_RETRIES + request.param)
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "CODEX_HOME": str(home), "GATEWAY_TOKEN": token}

    async def run(prompt):
        process = await asyncio.create_subprocess_exec(
            CODEX,
            *("exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", prompt),
            cwd=work,
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(IN_TIME_S):
                said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode, said.decode()

    return run


def calling(say, id_, command):
    """A stream in which the model runs something in the shell, its arguments in three pieces."""
    arguments = json.dumps({"cmd": command})
    pieces = [arguments[:9], arguments[9:20], arguments[20:]]
    deltas = [{"tool_calls": [{"index": 0, "id": id_, "function": {"name": "exec_command", "arguments": ""}}]}]
    deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
    events = [say.data({**say.head(), "choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
    return [say.STREAM, *map(say.chunk, [*events, say.event("", "tool_calls"), say.usage(), say.DONE]), say.END]


async def test_a_session_in_which_a_file_is_read_and_changed(codex, provider, say, tmp_path):
    notes = tmp_path / "work" / "notes.txt"
    notes.write_text("hello world\n")
    provider.on(
        "real-chat",
        calling(say, "call_1", "cat notes.txt"),
        calling(say, "call_2", PATCH),
        say.stream("I changed ", "the notes."),
    )

    code, said = await codex("Greet the gateway in notes.txt")

    assert (code, notes.read_text()) == (0, "hello gateway\n"), said
    assert said.rstrip().endswith("I changed the notes.")
    first, second, third = [asked.fields["messages"] for asked in provider.requests]
    assert [message["role"] for message in first[:1] + first[-1:]] == ["system", "user"]
    assert first[-1]["content"] == "Greet the gateway in notes.txt"
    assert [message["role"] for message in second[len(first) :]] == ["assistant", "tool"]
    assert "hello world" in second[-1]["content"]
    assert (third[-1]["tool_call_id"], "Success" in third[-1]["content"]) == ("call_2", True)


async def test_a_provider_that_is_down_is_told_as_it_is(codex, provider, say):
    provider.on("real-chat", [say.whole({"error": {"message": "closed for today"}}, 403)])

    code, said = await codex("Say hello")

    assert code != 0
    assert "closed for today" in said


async def test_what_codex_is_sent_keeps_to_the_grammar(one_gateway, connect, provider, say):
    provider.on("real-chat", calling(say, "call_1", "true"))

    client = await connect(one_gateway)
    client.ask({"model": "mock/chat", "input": "hi", "stream": True, "store": False}, "/v1/responses")

    [call] = ResponseGrammar.of((await client.answer()).body).response["output"]
    assert (call["type"], call["arguments"]) == ("function_call", '{"cmd": "true"}')
