"""Providers whose format is not the caller's, through the whole app: translated, counted, complete.

Two of them are written here as plugins would be, in the shapes that are hardest to carry: events that are no chat
chunks, and binary frames that are no server-sent events. A third answers with audio.
"""

import json
import struct
import zlib

import msgspec
import pytest

from gateway.contract import Call, Endpoint, Head, JsonBody, Outcome, Request, Target, UpstreamRequest
from gateway.contract.usage import Usage
from gateway.dialects import CHAT as CHAT_DIALECT
from gateway.errors import BrokeOff, Refused
from gateway.manifests.accounts import KeyAccount
from gateway.testing import FakeUpstream, post
from gateway.translators import find
from gateway.translators.reading import DocumentReading, EventReading
from gateway.wire.plain import PlainReading

CHAT = "/v1/chat/completions"
ASK = {"model": "vendor/m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
STREAM = {**ASK, "stream": True, "stream_options": {"include_usage": True}}


def chunk(**fields):
    return b"data: %b\n\n" % msgspec.json.encode({"object": "chat.completion.chunk", **fields})


def delta(text=None, finish=None):
    return chunk(choices=[{"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}])


class MessagesDocument(DocumentReading):
    def document(self, body):
        said = json.loads(body)
        used = said["usage"]
        self.told_usage = Usage(input=used["input_tokens"], output=used["output_tokens"])
        text = "".join(part["text"] for part in said["content"])
        message = {"role": "assistant", "content": text}
        return msgspec.json.encode({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


class MessagesEvents(EventReading):
    def __init__(self):
        super().__init__()
        self.input = 0

    def event(self, data):
        said = json.loads(data)
        match said["type"]:
            case "error":
                raise Refused(said["error"]["message"], status=529)
            case "message_start":
                self.input = said["message"]["usage"]["input_tokens"]
                return chunk(choices=[{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}])
            case "content_block_delta":
                self.has_begun = True
                return delta(said["delta"]["text"])
            case "message_delta":
                self.told_usage = Usage(input=self.input, output=said["usage"]["output_tokens"])
                return delta(finish="stop")
            case "message_stop":
                self.is_over = True
                return b"data: [DONE]\n\n"
        return b""


class Frames(MessagesEvents):
    """The same events in AWS's frames: lengths, headers, payload, checksums.

    Source: docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html, read 2026-11.
    """

    def __init__(self):
        super().__init__()
        self.held = b""

    def split(self, data):
        self.held += data
        events = []
        while len(self.held) >= 12:
            total, headers, checksum = struct.unpack(">III", self.held[:12])
            if zlib.crc32(self.held[:8]) != checksum:
                raise BrokeOff("the provider's frame is damaged")
            if len(self.held) < total:
                break
            events.append(self.held[12 + headers : total - 4])
            self.held = self.held[total:]
        return events


class ToMessages:
    """A translator: OpenAI's chat into the other's messages."""

    dialect, format = "chat", "messages"

    def __init__(self, events=MessagesEvents):
        self.events = events

    def request(self, call, model):
        fields = {name: call.fields[name] for name in ("messages", "max_tokens", "stream") if name in call.fields}
        return JsonBody({"model": msgspec.Raw(msgspec.json.encode(model)), **fields})

    def reading(self, call, head):
        return self.events() if call.ask.stream else MessagesDocument()


class VendorAccount(KeyAccount, frozen=True, kw_only=True):
    """What a plugin's manifest looks like."""


class Vendor:
    """A provider that speaks its own format, and that alone."""

    def __init__(self, translator):
        self.accounts = {"provider-account/vendor": VendorAccount}
        self.translator = translator

    def targets(self, account):
        headers = {"content-type": "application/json", "x-api-key": account.auth_data.api_key.reveal()}
        endpoint = Endpoint("https://vendor.example/messages", headers)
        for model in account.integrations:
            types = frozenset(model.model_types)
            name = f"{account.name}/{model.name}"
            yield Target(name=name, model=model.model_id, model_types=types, provider=self, settings=endpoint)

    def request(self, call, target):
        body = self.translator.request(call, target.model)
        return UpstreamRequest(target.settings, msgspec.json.encode(body.fields))

    def reading(self, call, target, head):
        return self.translator.reading(call, head)

    def refusal(self, call, target, head, body):
        return Refused(json.loads(body)["error"]["message"], status=head.status)


MANIFEST = """\
type: provider-account/vendor
name: vendor
auth_data: {type: api-key, api_key: k-vendor-0123456789}
integrations:
  - {type: integration/model/vendor, name: m, model_id: real-m, model_types: [chat, text_to_speech]}
"""


@pytest.fixture
def vendor_app(app_with, tmp_path):
    def make(upstream, translator, **options):
        path = tmp_path / "vendor.yaml"
        path.write_text(MANIFEST)
        return app_with(upstream, path, providers=[Vendor(translator)], **options)

    return make


def sse(*events):
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), msgspec.json.encode(e)) for e in events)


def frames(*events):
    out = b""
    for event in events:
        payload = msgspec.json.encode(event)
        head = struct.pack(">II", 16 + len(payload), 0)
        message = head + struct.pack(">I", zlib.crc32(head)) + payload
        out += message + struct.pack(">I", zlib.crc32(message))
    return out


EVENTS = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 7}}},
    {"type": "content_block_delta", "delta": {"text": "hel"}},
    {"type": "ping"},
    {"type": "content_block_delta", "delta": {"text": "lo"}},
    {"type": "message_delta", "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
]
FRAMED = {"content-type": "application/vnd.amazon.eventstream"}
OVERLOADED = {"type": "error", "error": {"message": "overloaded"}}
WORDS = ["hel", "lo"]


def words(answer):
    events = [json.loads(line[6:]) for line in answer.body.split(b"\n\n") if line.startswith(b"data: {")]
    choices = [choice for event in events for choice in event.get("choices", [])]
    return [choice["delta"]["content"] for choice in choices if choice["delta"].get("content")]


async def test_a_whole_answer(vendor_app, auth, sink):
    """It went out untranslated, with 0 tokens."""
    body = {"content": [{"type": "text", "text": "hello"}], "usage": {"input_tokens": 7, "output_tokens": 3}}
    upstream = FakeUpstream((200, [msgspec.json.encode(body)]))
    app = vendor_app(upstream, ToMessages())

    answer = await post(app, CHAT, ASK, headers=auth)
    await app.close()

    assert upstream.asked() == {"model": "real-m", "messages": ASK["messages"], "max_tokens": 9}
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert (sink.records[0].outcome, sink.records[0].usage) == (Outcome.COMPLETE, Usage(input=7, output=3))


@pytest.mark.parametrize(
    ("written", "reading", "headers"), [(sse, MessagesEvents, {}), (frames, Frames, FRAMED)], ids=["events", "frames"]
)
async def test_a_stream_cut_anywhere(vendor_app, auth, sink, written, reading, headers):
    """Events in another shape ended with an error behind [DONE], and AWS's frames were 502."""
    stream = written(*EVENTS)
    cuts = range(1, len(stream), 5)
    app = vendor_app(FakeUpstream(*[(200, [stream[:cut], stream[cut:]], headers) for cut in cuts]), ToMessages(reading))

    for _ in cuts:
        answer = await post(app, CHAT, STREAM, headers=auth)
        assert (words(answer), answer.body[-16:], answer.is_complete) == (WORDS, b"\n\ndata: [DONE]\n\n", True)
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    await app.close()

    assert {(each.outcome, each.usage) for each in sink.records} == {(Outcome.COMPLETE, Usage(input=7, output=3))}


@pytest.mark.parametrize(("written", "reading"), [(sse, MessagesEvents), (frames, Frames)])
async def test_an_error_before_the_first_content_is_a_status(vendor_app, auth, written, reading):
    app = vendor_app(FakeUpstream((200, [written(EVENTS[0], OVERLOADED)])), ToMessages(reading))

    answer = await post(app, CHAT, STREAM, headers=auth)

    assert (answer.status, answer.json()["error"]["message"]) == (529, "overloaded")


@pytest.mark.parametrize("is_one_piece", [True, False])
async def test_an_error_behind_it_ends_the_stream_in_the_callers_dialect(vendor_app, auth, sink, is_one_piece):
    """Nothing of what came before it is lost."""
    pieces = [sse(*EVENTS[:4]), sse(OVERLOADED)]
    app = vendor_app(FakeUpstream((200, [b"".join(pieces)] if is_one_piece else pieces)), ToMessages())

    answer = await post(app, CHAT, STREAM, headers=auth)
    await app.close()

    assert words(answer) == WORDS
    assert b'"message":"overloaded"' in answer.chunks[-1]
    assert b"[DONE]" not in answer.body
    assert sink.records[0].error_message == "overloaded"


async def test_a_stream_that_ends_early_is_told(vendor_app, auth, sink):
    app = vendor_app(FakeUpstream((200, [sse(*EVENTS[:4])])), ToMessages())

    answer = await post(app, CHAT, STREAM, headers=auth)
    await app.close()

    assert b"ended its stream before the answer was complete" in answer.chunks[-1]
    assert (sink.records[0].outcome, sink.records[0].usage.estimated) == (Outcome.UPSTREAM_BROKE, True)


async def test_a_refusal_is_worded_by_the_dialect(vendor_app, auth):
    """The provider's own shape is of no use to the caller."""
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"too busy"}}'
    app = vendor_app(FakeUpstream((529, [body])), ToMessages())

    answer = await post(app, CHAT, ASK, headers=auth)

    assert (answer.status, answer.json()["error"]["message"], answer.json()["error"]["type"]) == (
        529,
        "too busy",
        "upstream_error",
    )


class Speech(type(CHAT_DIALECT)):
    """A dialect whose answers are audio."""

    def reading(self, call, head):
        return PlainReading()


SPEECH = Speech("speech", "/audio/speech", "text_to_speech", prompt="input")


class Verbatim(ToMessages):
    def request(self, call, model):
        return JsonBody({**call.fields, "model": msgspec.Raw(msgspec.json.encode(model))})

    def reading(self, call, head):
        return None


@pytest.mark.parametrize("size", [1, 1000, 400_000])
async def test_a_binary_answer(vendor_app, auth, sink, size):
    """A small one was 502, for being no JSON."""
    audio = bytes(range(256)) * (size // 256 + 1)
    reply = (200, [audio[:100], audio[100:]], {"content-type": "audio/mpeg", "content-length": str(len(audio))})
    app = vendor_app(FakeUpstream(reply), Verbatim(), dialects=[SPEECH])

    answer = await post(app, "/v1/audio/speech", {"model": "vendor/m", "input": "hi"}, headers=auth)
    await app.close()

    assert (answer.status, answer.body == audio, answer.headers["content-type"]) == (200, True, "audio/mpeg")
    assert answer.headers["content-length"] == str(len(audio))
    assert (sink.records[0].outcome, sink.records[0].usage.estimated) == (Outcome.COMPLETE, True)


class Loud:
    """A translator of another API into the hub: it shouts."""

    dialect, format = "loud", "chat"

    def request(self, call, model):
        return JsonBody(call.fields)

    def reading(self, call, head):
        reading = Shouting()
        return reading if head.is_stream else PlainReading()


class Shouting(EventReading):
    def event(self, data):
        if data == b"[DONE]":
            self.is_over = True
            return b"END\n"
        said = json.loads(data)["choices"][0]["delta"].get("content") or ""
        self.has_begun = self.has_begun or bool(said)
        return said.upper().encode()


def test_two_translators_are_one_where_none_leads_all_the_way():
    """So that each API and each format needs one, and not each pair."""
    to_messages, loud = ToMessages(), Loud()
    known = {("chat", "messages"): to_messages, ("loud", "chat"): loud}
    assert find(known, "chat", "messages") is to_messages
    assert find(known, "loud", "other") is None

    both = find(known, "loud", "messages")
    request = Request(body=JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in STREAM.items()}))
    call = Call(CHAT_DIALECT, CHAT_DIALECT.parse(request), request)
    reading = both.reading(call, Head(200, {}, is_stream=True))
    out = [reading.feed(sse(event)) for event in EVENTS]

    assert (both.dialect, both.format) == ("loud", "messages")
    assert both.request(call, "real-m").fields.keys() == {"model", "messages", "max_tokens", "stream"}
    assert b"".join(out) + reading.end() == b"HELLOEND\n"
    assert (reading.usage(), reading.is_complete(), reading.is_over) == (Usage(input=7, output=3), True, True)
