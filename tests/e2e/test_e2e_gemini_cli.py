"""Gemini CLI, as people install it, in front of a model that speaks OpenAI's API. Where it is not installed, nothing is
tried: `npm install --global @google/gemini-cli`."""

import asyncio
import json
import os
import shutil

import pytest

pytestmark = pytest.mark.skipif(shutil.which("gemini") is None, reason="needs Gemini CLI")

SETTINGS = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}
IN_TIME_S = 120


def called(say, name, arguments):
    """A whole stream that calls a function, its arguments in two pieces."""
    half = len(arguments) // 2
    begun = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments[:half]}}
    rest = {"index": 0, "function": {"arguments": arguments[half:]}}
    deltas = [{"tool_calls": [call]} for call in (begun, rest)]
    events = [say.data({**say.head(), "choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
    return [say.STREAM, *map(say.chunk, [*events, say.event("", "tool_calls"), say.usage(), say.DONE]), say.END]


async def gemini(home, gateway, token, *words):
    """What it says at the end, and what it wrote beside that."""
    (home / ".gemini").mkdir()
    (home / ".gemini" / "settings.json").write_text(json.dumps(SETTINGS))
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GEMINI_API_KEY": token,
        "GOOGLE_GEMINI_BASE_URL": gateway.url.removesuffix("/v1"),
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }
    folder = home / "work"
    folder.mkdir()
    (folder / "secret.txt").write_text("the word is Rösti\n")
    process = await asyncio.create_subprocess_exec(
        "gemini", *words, cwd=folder, env=environ, stdin=asyncio.subprocess.DEVNULL, stdout=-1, stderr=-1
    )
    try:
        async with asyncio.timeout(IN_TIME_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(), err.decode()


async def test_a_whole_turn_with_a_tool(one_gateway, provider, say, token, tmp_path):
    """It reads a file because the model says so, and shows what the model makes of it."""
    read = called(say, "read_file", '{"file_path": "secret.txt"}')
    provider.on("real-chat", read, say.stream("It is ", "Rösti."))

    code, out, err = await gemini(tmp_path, one_gateway, token, "-m", "mock/chat", "-p", "What is the word?")

    assert (code, out.strip()) == (0, "It is Rösti."), err
    asked = provider.requests[1].fields
    assert {"read_file"} <= {tool["function"]["name"] for tool in asked["tools"]}
    call, result = asked["messages"][-2:]
    assert call["tool_calls"][0]["function"]["name"] == "read_file"
    assert (result["role"], result["tool_call_id"]) == ("tool", call["tool_calls"][0]["id"])
    assert "the word is Rösti" in result["content"]
    assert asked["messages"][0]["role"] == "system"
