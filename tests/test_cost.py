"""What one request and one event take, counted and not timed, so that a slow idea fails on any machine.

Who makes one of these grow has to know why; who makes it shrink lowers the number.
"""

import asyncio
import sys
import tracemalloc
from collections import Counter

import msgspec
import pytest

from gateway import build_app
from gateway.testing import FakeReply, ListSink, http_scope

TOKEN = "cost-0123456789abcdef0123456789abcdef"
HEADERS = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
MANIFEST = """\
type: provider-account/self-hosted-model
name: mock
integrations:
  - type: integration/model/self-hosted-model
    name: m
    hosted_model_name: m
    url: http://127.0.0.1:9/v1
    model_server: openai-compatible
    model_types: [chat]
    cost: {metric: per_1000_tokens, value: {input: 0.001, output: 0.002}}
"""
LIMITS = """\
---
type: gateway-rate-limiting-config
name: requests
rules:
  - {id: per-user, when: {}, limit_to: 1000000000, unit: requests_per_minute, rate_limit_applies_per: [user]}
---
type: tenant-rate-limit-config/model
name: tokens
limits: {tokens_per_minute: 1000000000000}
applies_to: {type: per-user}
mode: enforce
---
type: tenant-budget-config
name: money
limits: {cost_per_month: 1000000}
applies_to: {type: per-user}
mode: enforce
"""
ANSWER = (
    b'{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":7,"completion_tokens":3}}'
)
EVENT = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}\n\n'
END = (
    b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n'
    b"data: [DONE]\n\n"
)
DECODERS = {"decode", "loads", "raw_decode", "convert"}


class PacedReply(FakeReply):
    """Lets others have their turn before each chunk."""

    async def read(self):
        await asyncio.sleep(0)
        return await super().read()


class Provider:
    def __init__(self, chunks, reply=FakeReply):
        self.chunks = chunks
        self.reply = reply

    async def call(self, _):
        kind = "application/json" if self.chunks == [ANSWER] else "text/event-stream"
        return self.reply(200, self.chunks, {"content-type": kind})


class Counts:
    """Of what runs in the gateway itself: functions that are entered, and JSON that is decoded."""

    def __init__(self):
        self.calls = Counter()
        self.decoded = 0

    def __call__(self, frame, kind, what):
        if "/gateway/" in frame.f_code.co_filename and not frame.f_code.co_filename.endswith("gateway/testing.py"):
            if kind == "call":
                self.calls[frame.f_code.co_qualname] += 1
            elif kind == "c_call" and what.__name__ in DECODERS and isinstance(what.__self__, msgspec.json.Decoder):
                self.decoded += 1


@pytest.fixture
def asked(tmp_path):
    """Asks once to warm up, and once under the eyes of `watch`; gives what was sent, and how many tasks were made."""
    path = tmp_path / "gateway.yaml"

    async def ask(chunks, *, limits=False, watch=None, reply=FakeReply, keeps=True):
        path.write_text(MANIFEST + (LIMITS if limits else ""))
        provider = Provider(chunks, reply)
        app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, network=provider, sinks=[ListSink()])
        question = {"model": "mock/m", "messages": [{"role": "user", "content": "hi"}]}
        body = msgspec.json.encode(question if chunks == [ANSWER] else {**question, "stream": True})
        sent = []

        async def send(message):
            if keeps or not sent:
                sent.append(message)

        async def once():
            pieces = [{"type": "http.request", "body": body, "more_body": False}]

            async def receive():
                return pieces.pop() if pieces else await asyncio.Event().wait()

            sent.clear()
            await app(http_scope("POST", "/v1/chat/completions", HEADERS, len(body)), receive, send)

        loop, made = asyncio.get_running_loop(), []

        def counting(of, coroutine, **options):
            made.append(coroutine.__qualname__)
            return asyncio.Task(coroutine, loop=of, **options)

        async with app.lifespan():
            for _ in range(3):
                await once()
            loop.set_task_factory(counting)
            sys.setprofile(watch)
            tracemalloc.reset_peak()
            try:
                await once()
            finally:
                sys.setprofile(None)
                loop.set_task_factory(None)
        assert sent[0]["status"] == 200
        return sent, [name for name in made if not name.startswith(("Pump.", "Stalls."))]

    return ask


@pytest.mark.parametrize(("limits", "calls"), [(False, 131), (True, 149)])
async def test_a_request(asked, limits, calls):
    counts = Counts()

    _, tasks = await asked([ANSWER], limits=limits, watch=counts)

    assert tasks == []
    assert counts.decoded == 3  # the question, the model in it, the answer
    # Two more than usual: what is done ten times a second for all requests may fall on this one.
    assert counts.calls.total() <= calls, counts.calls.most_common(20)


async def test_an_event(asked):
    few, many = Counts(), Counts()

    await asked([EVENT] * 10 + [END], watch=few)
    sent, tasks = await asked([EVENT] * 110 + [END], watch=many)

    assert tasks == ["_stream"]
    assert many.decoded == few.decoded
    assert (many.calls.total() - few.calls.total()) / 100 <= 6.1, (many.calls - few.calls).most_common(20)
    assert all(message["body"] is EVENT for message in sent[1:111])  # the very object that the provider gave


async def test_an_event_leaves_nothing_behind(asked):
    """A stream of any length takes the same memory: nothing of it is kept but its end."""
    grown = []
    tracemalloc.start()
    try:
        for events in (1_000, 11_000):
            chunks = [EVENT + b": %d\n\n" % number for number in range(events)] + [END]
            before, _ = tracemalloc.get_traced_memory()
            await asked(chunks, reply=PacedReply, keeps=False)
            grown.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()

    assert grown[1] - grown[0] < 600_000  # of 1 MB more that passed by, in twice as many objects; the rest is by chance
