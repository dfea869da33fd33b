"""Claude Code itself, in front of a model that has only chat, and of one that speaks Anthropic's API, where the gateway
changes nothing. It calls nobody but the gateway.

It is looked for at `GATEWAY_TEST_CLAUDE`, or on the path; `npm install @anthropic-ai/claude-code` brings it.
"""

import asyncio
import json
import os
import re
import shutil

import pytest

CLAUDE = os.environ.get("GATEWAY_TEST_CLAUDE") or shutil.which("claude")
IN_TIME_S = 120
ASKED = "Greet the gateway in notes.txt"

pytestmark = pytest.mark.skipif(CLAUDE is None, reason="needs Claude Code: set GATEWAY_TEST_CLAUDE to where it is")


class Tap:
    """Stands before a gateway, and keeps what clients send to it, to the byte."""

    def __init__(self, gateway):
        self._gateway = gateway
        self._sent = []

    @property
    def bodies(self):
        """Of all that was posted to `/v1/messages`, in the order of the connections."""
        found = []
        for sent in map(bytes, self._sent):
            while sent:
                head, _, rest = sent.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                size = int(length[1]) if length else 0
                if head.startswith(b"POST /v1/messages?"):
                    found.append(rest[:size])
                sent = rest[size:]
        return found

    async def talk(self, reader, writer):
        sent = bytearray()
        self._sent.append(sent)
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._gateway.port)
        await asyncio.gather(pump(reader, there_writer, sent), pump(there_reader, writer, bytearray()))


async def pump(reader, writer, kept):
    try:
        while data := await reader.read(65536):
            kept += data
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture
def claude(token, tmp_path):
    """`await claude(url, model, *words)`: its exit code, and what it tells; it works in `tmp_path / "work"`."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    (work / "notes.txt").write_text("hello world\n")

    async def run(url, model, *words):
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_AUTH_TOKEN": token,
            "ANTHROPIC_MODEL": model,
            "ANTHROPIC_SMALL_FAST_MODEL": model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "0",
        }
        process = await asyncio.create_subprocess_exec(
            CLAUDE,
            *("-p", *words, "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits"),
            cwd=work,
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(IN_TIME_S):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert out, err
        return process.returncode, [json.loads(line) for line in out.splitlines()]

    return run


def calling(say, id_, name, arguments):
    """A stream of OpenAI's in which a tool is called, its arguments in three pieces."""
    text = json.dumps(arguments)
    pieces = [text[:9], text[9:20], text[20:]]
    deltas = [{"tool_calls": [{"index": 0, "id": id_, "function": {"name": name, "arguments": ""}}]}]
    deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
    events = [say.data({**say.head(), "choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
    return [say.STREAM, *map(say.chunk, [*events, say.event("", "tool_calls"), say.usage(), say.DONE]), say.END]


def edits(notes):
    """What the model wants done, in turn."""
    return [
        ("Read", {"file_path": str(notes)}),
        ("Edit", {"file_path": str(notes), "old_string": "hello world", "new_string": "hello gateway"}),
    ]


async def test_a_session_on_a_model_that_has_only_chat(claude, one_gateway, provider, say, tmp_path):
    notes = tmp_path / "work" / "notes.txt"
    (read, read_how), (edit, edit_how) = edits(notes)
    provider.on(
        "real-chat",
        calling(say, "call_1", read, read_how),
        calling(say, "call_2", edit, edit_how),
        say.stream("I changed ", "the notes."),
    )

    code, told = await claude(one_gateway.url.removesuffix("/v1"), "mock/chat", ASKED)

    assert (code, notes.read_text()) == (0, "hello gateway\n"), told
    assert (told[-1]["type"], told[-1]["subtype"], told[-1]["result"]) == ("result", "success", "I changed the notes.")
    assert [turn.fields["stream"] for turn in provider.requests] == [True, True, True]
    first, second, third = [turn.fields["messages"] for turn in provider.requests]
    assert [message["role"] for message in first] == ["system", "user"]
    assert ASKED in json.dumps(first[-1]["content"])
    assert [message["role"] for message in second[-2:]] == ["assistant", "tool"]
    assert second[-2]["tool_calls"][0]["function"]["name"] == "Read"
    assert "hello world" in second[-1]["content"]
    assert [message["role"] for message in third[2:]] == ["assistant", "tool", "assistant", "tool"]
    assert third[-1]["tool_call_id"] == third[-2]["tool_calls"][0]["id"] == "call_2"
    assert {"Read", "Edit", "Bash"} <= {tool["function"]["name"] for tool in provider.requests[0].fields["tools"]}


# --- in front of Anthropic -------------------------------------------------------------------------------------------

MODEL_ID = "claude-sonnet-4-5-20250929"


@pytest.fixture
def anthropic_gateway(gateway_process, provider_url):
    """Its model `claude/sonnet` is `claude-sonnet-4-5-20250929` of the provider."""
    pytest.importorskip("gateway_anthropic", reason="needs the plugin for Anthropic")
    account = {
        "type": "provider-account/anthropic",
        "name": "claude",
        "base_url": provider_url,
        "auth_data": {"type": "api-key", "api_key": "sk-ant-of-the-account"},
        "integrations": [
            {"type": "integration/model/anthropic", "name": "sonnet", "model_id": MODEL_ID, "model_types": ["chat"]}
        ],
    }
    process = gateway_process(config=json.dumps(account))
    yield process
    process.assert_sound()


def events(say, *told):
    return [say.STREAM, *(say.chunk(event(one)) for one in told), say.END]


def event(one):
    return f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode()


def message(id_, blocks, stop_reason):
    """The events of a message of Anthropic's, each block as its start and its deltas. Claude Code takes two messages of
    one id for one."""
    head = {"id": id_, "type": "message", "role": "assistant", "model": MODEL_ID, "content": []}
    usage = {"input_tokens": 7, "output_tokens": 1, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    told = [{"type": "message_start", "message": {**head, "stop_reason": None, "stop_sequence": None, "usage": usage}}]
    for index, (block, deltas) in enumerate(blocks):
        told += [{"type": "content_block_start", "index": index, "content_block": block}]
        told += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        told += [{"type": "content_block_stop", "index": index}]
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return [*told, {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9}}, {"type": "message_stop"}]


def thinking():
    deltas = [{"type": "thinking_delta", "thinking": "hm é"}, {"type": "signature_delta", "signature": "c2lnbmVk"}]
    return {"type": "thinking", "thinking": "", "signature": ""}, deltas


def tool_use(id_, name, arguments):
    text = json.dumps(arguments)
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in (text[:9], text[9:20], text[20:])]
    return {"type": "tool_use", "id": id_, "name": name, "input": {}}, deltas


async def test_a_session_on_anthropics_own_api_is_passed_on_to_the_byte(
    claude, anthropic_gateway, provider, tcp_server, say, tmp_path
):
    """All but the name of the model: prompt caches hit, and signatures of thoughts stay what they were."""
    notes = tmp_path / "work" / "notes.txt"
    (read, read_how), (edit, edit_how) = edits(notes)
    done = {"type": "text", "text": ""}, [{"type": "text_delta", "text": "I changed the notes."}]
    provider.on(
        MODEL_ID,
        events(say, *message("msg_1", [thinking(), tool_use("toolu_1", read, read_how)], "tool_use")),
        events(say, *message("msg_2", [tool_use("toolu_2", edit, edit_how)], "tool_use")),
        events(say, *message("msg_3", [done], "end_turn")),
    )
    tap = Tap(anthropic_gateway)

    async with tcp_server(tap.talk) as port:
        code, told = await claude(f"http://127.0.0.1:{port}", "claude/sonnet", ASKED)

    assert (code, notes.read_text()) == (0, "hello gateway\n"), told
    assert (told[-1]["subtype"], told[-1]["result"]) == ("success", "I changed the notes.")
    renamed = [body.replace(b'"model":"claude/sonnet"', f'"model":"{MODEL_ID}"'.encode(), 1) for body in tap.bodies]
    assert [asked.body for asked in provider.requests] == renamed
    assert [renamed.count(body) for body in tap.bodies] == [0, 0, 0]
    heads = [asked.head.lower() for asked in provider.requests]
    assert [b"x-api-key: sk-ant-of-the-account" in head for head in heads] == [True, True, True]
    assert [b"anthropic-beta: " in head and b"claude-code-" in head for head in heads] == [True, True, True]
    assert [b"authorization" in head for head in heads] == [False, False, False]
    assert provider.requests[2].fields["messages"][-1]["content"][0]["tool_use_id"] == "toolu_2"


async def test_a_provider_that_is_down_is_told_as_it_is(claude, one_gateway, provider, say):
    provider.on("real-chat", [say.whole({"error": {"message": "closed for today"}}, 403)])

    code, told = await claude(one_gateway.url.removesuffix("/v1"), "mock/chat", "Say hello")

    assert code != 0
    assert "closed for today" in told[-1]["result"]
