"""What was asked and answered, in traces: only where that is wanted, and without what must not be read."""

import json
import re

import pytest

from gateway.manifests.telemetry import HttpTraces, OtelConfig
from gateway.proxy.content import Kept
from gateway.rules.logging import Redaction
from gateway.state.telemetry.exporter import BATCH_BYTES
from gateway.state.telemetry.settings import telemetry_from
from gateway.state.telemetry.tally import Tally
from gateway.state.telemetry.telemetry import Telemetry
from gateway.state.telemetry.words import Words, told_of

KEY = "sk-canary0123456789abcdef"
HIDES = Redaction(((re.compile(r"[a-z]+@example\.com"), "[EMAIL]"),))
QUESTION = json.dumps({"messages": [{"role": "user", "content": f"{KEY} ana@example.com"}]}).encode()


def stream(*words):
    chunks = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in words]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks)


ANSWER = stream("hi")


def kept(request_id, question=QUESTION, answer=ANSWER, hides=None):
    return Kept(request_id, question, answer, False, hides)


@pytest.fixture
def telemetry_with(described, receiver):
    def make(exclude=None, **environ):
        traces = HttpTraces(endpoint=f"{receiver.url}/v1/traces", encoding="proto", exclude_request_data=exclude)
        config = OtelConfig(type="gateway-otel-config", otel_traces_exporter_config=traces)
        return Telemetry(Tally(described), telemetry_from(environ), config=lambda: config)

    return make


@pytest.mark.parametrize(
    ("exclude", "said", "count"),
    [
        (None, "", 0),
        (None, "true", 1),
        (None, "SPAN_ONLY", 1),
        (None, "no_content", 0),
        (True, "true", 0),
        (False, "", 1),
    ],
)
async def test_only_where_it_is_wanted(telemetry_with, receiver, record, attributes_of, exclude, said, count):
    telemetry = telemetry_with(exclude, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=said)

    async with telemetry.running():
        telemetry.keep(kept(record().request_id))
        await telemetry.write([record()])
        await telemetry.flush()

    request, asked = receiver.spans
    told = attributes_of(asked)
    assert [name in told for name in ("gen_ai.input.messages", "gen_ai.output.messages")] == [bool(count)] * 2
    assert b"ana@example.com" in receiver.messages["traces"][0].SerializeToString() or not count
    assert KEY.encode() not in receiver.messages["traces"][0].SerializeToString()
    assert "gen_ai.input.messages" not in attributes_of(request)


def test_what_rules_hide_is_hidden_where_a_stream_parts_it():
    """Each event alone shows none of it."""
    told = told_of(kept("r", answer=stream("mail a", "na@exam", "ple.com", f" {KEY[:6]}", KEY[6:]), hides=HIDES))

    assert json.loads(told.input) == [{"role": "user", "parts": [{"type": "text", "content": "*** [EMAIL]"}]}]
    assert json.loads(told.output) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "mail [EMAIL] ***"}], "finish_reason": "stop"}
    ]


def test_what_is_only_a_beginning_is_told_as_it_came():
    told = told_of(kept("r", question=QUESTION[:-2], answer=b"", hides=HIDES))

    assert (told.input, told.output, told.raw_output) == (None, None, None)
    assert (KEY in told.raw_input, "[EMAIL]" in told.raw_input) == (False, True)


def test_there_is_room_for_so_much():
    """The oldest goes: its record is late, and will do without."""
    words = Words(most_bytes=3 * (len(QUESTION) + len(ANSWER)))
    for name in "abcd":
        words.add(kept(name))

    assert [words.size_of(name) > 0 for name in "abcd"] == [False, True, True, True]
    assert words.dropped == 1
    words.forget("bcd")
    words.add(kept("e"))
    assert words.dropped == 1


async def test_messages_stay_as_small_as_receivers_take_them(telemetry_with, receiver, record):
    """Those of gRPC refuse more than 4 MiB."""
    telemetry = telemetry_with(exclude=False)
    long = json.dumps({"messages": [{"role": "user", "content": "x" * 60_000}]}).encode()
    records = [record(request_id=f"{number:032x}") for number in range(100)]

    async with telemetry.running():
        for each in records:
            telemetry.keep(kept(each.request_id, long, stream("y" * 60_000)))
        await telemetry.write(records)
        await telemetry.flush()

    sizes = [message.ByteSize() for message in receiver.messages["traces"]]
    assert len(receiver.spans) == 200
    assert max(sizes) < BATCH_BYTES * 1.2


async def test_a_trace_that_is_not_kept_leaves_nothing_behind(telemetry_with, record):
    telemetry = telemetry_with(exclude=False, OTEL_TRACES_SAMPLER="always_off")

    async with telemetry.running():
        telemetry.keep(kept(record().request_id))
        await telemetry.write([record()])
        assert telemetry._words.size_of(record().request_id) == 0
