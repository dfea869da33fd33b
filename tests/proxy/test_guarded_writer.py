"""What comes in other ways than OpenAI's: the vendors' own streams, sounds, and what nobody can look at."""

import json

import pytest

from gateway.contract import GuardrailSpec, Hook
from gateway.errors import Blocked
from gateway.guardrails.found import make
from gateway.manifests.guardrail_kinds import SecretsConfig
from gateway.proxy.checks import Reach
from gateway.proxy.exchange import Exchange
from gateway.proxy.guarded import GuardedWriter
from gateway.proxy.guarding import Guarding, Panel
from gateway.proxy.writer import ResponseWriter
from gateway.rules.guards import Check, GuardRules
from gateway.wire.wording import MAX_TEXTS

pytest.importorskip("re2")

SECRET = "AKIAIOSFODNN7EXAMPLQ"
BINARY = "application/vnd.amazon.eventstream"


class Sent:
    """A `GuardedWriter`, and what came out of it."""

    def __init__(self, strategy="enforce", *, redacts=True):
        self.messages = []
        guardrail = make(GuardrailSpec(name="g/x", kind="x", config=SecretsConfig(), redacts=redacts))
        panel = Panel(Hook.LLM_OUTPUT, (), (Check(guardrail, strategy, 1, redacts),))
        exchange = Exchange()
        reach = Reach(None, ask=None, find=None, dialects={})
        guarding = Guarding(exchange, GuardRules(), reach, {Hook.LLM_OUTPUT: panel})
        self.writer = GuardedWriter(ResponseWriter(self.send, exchange), exchange, guarding, panel, self.passed)

    async def send(self, message):
        self.messages.append(message)

    async def passed(self):
        pass

    @property
    def bodies(self):
        return [message["body"] for message in self.messages[1:]]

    @property
    def headers(self):
        return dict(self.messages[0]["headers"])


def gemini(text):
    return f"data: {json.dumps({'candidates': [{'index': 0, 'content': {'parts': [{'text': text}]}}]})}\n\n".encode()


async def test_a_vendors_own_stream_is_looked_at_event_by_event():
    sent = Sent()

    await sent.writer.start(200, [(b"content-type", b"text/event-stream"), (b"content-length", b"999")])
    for text in ("a key: ", SECRET[:5], SECRET[5:], " and more"):
        await sent.writer.write(gemini(text))
    await sent.writer.finish()

    body = b"".join(sent.bodies)
    texts = [json.loads(line[6:])["candidates"][0]["content"]["parts"][0]["text"] for line in body.split(b"\n\n")[:-1]]
    assert "".join(texts) == "a key: [REDACTED] and more"
    assert b"content-length" not in sent.headers


async def test_sounds_go_on_as_they_come():
    sent = Sent()

    await sent.writer.start(200, [(b"content-type", b"audio/mpeg")])
    await sent.writer.write(b"\xff\x01")
    await sent.writer.finish(b"\x02")

    assert sent.bodies == [b"\xff\x01", b"\x02"]


@pytest.mark.parametrize(("strategy", "is_blocked"), [("enforce", True), ("enforce_but_ignore_on_error", False)])
async def test_what_nobody_can_look_at(strategy, is_blocked):
    """A guardrail that sees nothing must not be taken for one that found nothing."""
    sent = Sent(strategy)
    await sent.writer.start(200, [(b"content-type", BINARY.encode())])
    await sent.writer.write(b"\x00\x01")

    if is_blocked:
        with pytest.raises(Blocked, match="answers of this kind cannot be looked at"):
            await sent.writer.finish(b"\x02")
    else:
        await sent.writer.finish(b"\x02")

    assert sent.bodies == ([] if is_blocked else [b"\x00\x01\x02"])


async def test_a_document_of_too_many_texts():
    body = json.dumps({"choices": [{"message": {"content": ["a"] * (MAX_TEXTS + 1)}}]}).encode()

    with pytest.raises(Blocked, match="more than 20,000 texts"):
        await Sent().writer.whole(200, "application/json", body)


async def test_a_text_is_one():
    """As transcripts are, where they are asked for so."""
    sent = Sent()

    await sent.writer.whole(200, "text/plain; charset=utf-8", f"he said {SECRET}".encode())

    assert sent.bodies == [b"he said [REDACTED]"]


async def test_what_only_audits_does_not_wait_for_tools():
    """Nor for anything else."""
    sent = Sent("audit")
    part = {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"a'}}]}}]}
    event = f"data: {json.dumps(part)}\n\n".encode()

    await sent.writer.start_stream("text/event-stream")
    await sent.writer.write(event)

    assert sent.bodies == [event]


async def test_a_finder_that_crashes():
    class Broken:
        def find(self, text, start):
            raise RuntimeError("x")

        def open_from(self, text, start):
            return start

    blocked, passed = Sent("enforce"), Sent("enforce_but_ignore_on_error")
    for sent in (blocked, passed):
        sent.writer._panel.checks[0].guardrail.finder = Broken()
        await sent.writer.start_stream("text/event-stream")

    with pytest.raises(Blocked, match="a guardrail failed"):
        await blocked.writer.write(gemini("a"))
    await passed.writer.write(gemini("a"))
    await passed.writer.write(gemini("b"))

    assert passed.bodies == [gemini("a"), gemini("b")]
