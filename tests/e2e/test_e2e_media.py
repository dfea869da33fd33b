"""OpenAI's SDK, unchanged, calls the APIs for pictures, sound, reranking and moderation; both kinds of it do."""

import asyncio
import base64
import json
import re
import socket
import time
from pathlib import Path

import cohere
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from gateway import servers

MODELS = {
    "pictures": "image",
    "paintings": "image",
    "ears": "audio_transcription",
    "interpreter": "audio_translation",
    "voice": "text_to_speech",
    "judge": "rerank",
    "censor": "moderation",
    "reader": "ocr",
    "vectors": "embedding",
}
PICTURE = base64.b64encode(b"a picture").decode()
PICTURES = {
    "created": 1700000000,
    "data": [{"b64_json": PICTURE}],
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"text_tokens": 4, "image_tokens": 5},
        "output_tokens": 272,
        "total_tokens": 281,
    },
}
HEARD = {
    "text": "hello",
    "usage": {
        "type": "tokens",
        "input_tokens": 14,
        "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
        "output_tokens": 3,
        "total_tokens": 17,
    },
}
VERBOSE = {"task": "transcribe", "language": "english", "duration": 8.47, "text": "hello", "segments": []}
SCORES = {"sexual": 0.1, "violence": 0.2}
JUDGED = {
    "id": "modr-1",
    "model": "real-censor",
    "results": [{"flagged": False, "categories": {}, "category_scores": SCORES}],
}
RANKED = {"id": "r-1", "results": [{"index": 1, "relevance_score": 0.9}], "meta": {"billed_units": {"search_units": 1}}}
PARTIAL = {
    "type": "image_generation.partial_image",
    "b64_json": PICTURE,
    "partial_image_index": 0,
    "created_at": 1700000000,
    "background": "opaque",
    "output_format": "png",
    "quality": "low",
    "size": "1024x1024",
}
COMPLETED = {**PARTIAL, "type": "image_generation.completed", "usage": PICTURES["usage"]}
EDITED = {**COMPLETED, "type": "image_edit.completed"}
WAV = (
    b"RIFF\x24\x7d\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
    b"data\x00\x7d\x00\x00" + 32000 * b"\0"
)
FILE = ("a speech.wav", WAV, "audio/wav")


@pytest.fixture(scope="module")
def gateway(gateway_of_module, provider_url):
    models = [
        {
            "type": "integration/model/self-hosted-model",
            "name": name,
            "hosted_model_name": f"real-{name}",
            "url": provider_url,
            "model_server": "openai-compatible",
            "model_types": [kind],
        }
        for name, kind in MODELS.items()
    ]
    models[1]["cost"] = {
        "metric": "per_image",
        "value": {"image": 0.04, "variants": [{"size": "1024x1792", "quality": "hd", "cost": 0.12}]},
    }
    models.append({**models[0], "name": "tei", "model_server": "tei", "model_types": ["rerank"]})
    account = {"type": "provider-account/self-hosted-model", "name": "media", "integrations": models}
    process = gateway_of_module(config=json.dumps([account]))
    yield process
    process.assert_sound()


def events(say, *values):
    named = (b"event: %b\n%b" % (value["type"].encode(), say.data(value)) for value in values)
    return [say.STREAM, *map(say.chunk, named), say.END]


def spoken(say):
    return [
        b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n",
        say.chunk(b"\xff\xfb"),
        say.chunk(b"sound"),
        say.END,
    ]


def result_of(answer):
    """Of streams, the types of the events; of raw answers, the bytes."""
    if isinstance(answer, openai.Stream):
        return [event.type for event in answer]
    return answer.content if hasattr(answer, "iter_bytes") else answer


async def aresult_of(answer):
    if isinstance(answer, openai.AsyncStream):
        return [event.type async for event in answer]
    return answer.content if hasattr(answer, "iter_bytes") else answer


@pytest.fixture
def call(gateway, token):
    """`await call(lambda client: ...)`: what the call gives, to both clients alike, and what the log says of it."""

    async def call(method):
        before = len(requests_in(gateway.log))

        def sync():
            with OpenAI(base_url=gateway.url, api_key=token, timeout=30, max_retries=0) as client:
                return result_of(method(client))

        one = await asyncio.to_thread(sync)
        async with AsyncOpenAI(base_url=gateway.url, api_key=token, timeout=30, max_retries=0) as client:
            other = await aresult_of(await method(client))
        assert type(one) is type(other)
        assert one == other
        async with asyncio.timeout(30):
            while len(records := requests_in(gateway.log)[before:]) < 2:
                await asyncio.sleep(0.02)
        assert [record["outcome"] for record in records] == ["complete", "complete"]
        assert records[0]["usage"] == records[1]["usage"]
        return one, records[0]

    return call


def requests_in(log):
    return [line for line in log if line["event"] == "request"]


async def test_pictures(call, provider, say):
    provider.on("real-pictures", [say.whole(PICTURES)])

    made, record = await call(
        lambda client: client.images.generate(model="media/pictures", prompt="a cat", quality="low", n=1)
    )

    assert made.data[0].b64_json == PICTURE
    assert made.usage.output_tokens == 272
    asked = provider.requests[0]
    assert b"POST /v1/images/generations HTTP/1.1" in asked.head
    assert asked.fields == {"model": "real-pictures", "prompt": "a cat", "quality": "low", "n": 1}
    assert record["request_type"] == "images"
    assert record["usage"] == {"input": 4, "image_input": 5, "image_output": 272, "images": 1, "image_quality": "low"}


async def test_pictures_that_are_paid_for_one_by_one(call, provider, say):
    """By the number that came; by the size and the quality that were asked for, where the answer says nothing."""
    painted = {"created": 1700000000, "data": 2 * [{"b64_json": PICTURE, "revised_prompt": 'a "cat"'}]}
    provider.on("real-paintings", [say.whole(painted)])

    made, record = await call(
        lambda client: client.images.generate(
            model="media/paintings", prompt="a cat", quality="hd", size="1024x1792", n=3
        )
    )

    assert [each.b64_json for each in made.data] == [PICTURE, PICTURE]
    assert record["usage"] == {"images": 2, "image_size": "1024x1792", "image_quality": "hd"}
    assert record["cost_nanousd"] == 240_000_000


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # of the SDK
async def test_pictures_of_pictures(call, provider, say):
    provider.on("real-pictures", [say.whole(PICTURES)])
    images = [("a.png", b"\x89PNG\r\n\r\n--", "image/png"), ("b.png", b"", "image/png")]

    edited, _ = await call(
        lambda client: client.images.edit(
            model="media/pictures", image=images, mask=("m.png", b"mask"), prompt="a hat\r\n", size="1024x1024"
        )
    )
    varied, _ = await call(lambda client: client.images.create_variation(model="media/pictures", image=images[0], n=2))

    assert edited.data[0].b64_json == varied.data[0].b64_json == PICTURE
    edit, _, variation, _ = provider.requests
    assert b"POST /v1/images/edits HTTP/1.1" in edit.head
    assert [(part.name, part.data, part.filename, part.content_type) for part in edit.parts] == [
        ("prompt", b"a hat\r\n", None, None),
        ("model", b"real-pictures", None, None),
        ("size", b"1024x1024", None, None),
        ("image[]", b"\x89PNG\r\n\r\n--", "a.png", "image/png"),
        ("image[]", b"", "b.png", "image/png"),
        ("mask", b"mask", "m.png", "image/png"),
    ]
    assert b"POST /v1/images/variations HTTP/1.1" in variation.head
    assert variation.fields == {"model": "real-pictures", "n": "2"}


async def test_pictures_as_events(call, provider, say):
    made_of = events(say, PARTIAL, COMPLETED)
    provider.on("real-pictures", made_of, made_of, events(say, EDITED))

    made, record = await call(
        lambda client: client.images.generate(model="media/pictures", prompt="a cat", stream=True)
    )
    edited, record = await call(
        lambda client: client.images.edit(model="media/pictures", image=("a.png", b"a"), prompt="a hat", stream=True)
    )

    assert made == ["image_generation.partial_image", "image_generation.completed"]
    assert edited == ["image_edit.completed"]
    assert record["usage"]["image_output"] == 272


async def test_what_is_heard(call, provider, say):
    provider.on("real-ears", [say.whole(HEARD)])

    heard, record = await call(
        lambda client: client.audio.transcriptions.create(model="media/ears", file=FILE, language="en")
    )

    assert (heard.text, heard.usage.input_token_details.audio_tokens) == ("hello", 10)
    assert [(part.name, part.data, part.filename, part.content_type) for part in provider.requests[0].parts] == [
        ("model", b"real-ears", None, None),
        ("language", b"en", None, None),
        ("file", WAV, "a speech.wav", "audio/wav"),
    ]
    assert record["usage"] == {"input": 4, "audio_input": 10, "output": 3}


async def test_what_is_heard_with_its_length(call, provider, say):
    provider.on("real-ears", [say.whole(VERBOSE)])

    heard, record = await call(
        lambda client: client.audio.transcriptions.create(
            model="media/ears", file=FILE, response_format="verbose_json", timestamp_granularities=["word", "segment"]
        )
    )

    assert heard.duration == 8.47
    assert record["usage"] == {"audio_seconds": 9}
    granularities = [part.data for part in provider.requests[0].parts if part.name == "timestamp_granularities[]"]
    assert granularities == [b"word", b"segment"]


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
async def test_what_is_heard_as_plain_text(call, provider, say, response_format):
    """Nobody says how long it was, but the file does: two seconds."""
    text = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 6\r\n\r\nhello\n"
    provider.on("real-ears", [text])

    heard, record = await call(
        lambda client: client.audio.transcriptions.create(
            model="media/ears", file=FILE, response_format=response_format
        )
    )

    assert heard == "hello\n"
    assert record["usage"] == {"audio_seconds": 2, "estimated": True}


async def test_what_is_heard_as_events(call, provider, say):
    delta = {"type": "transcript.text.delta", "delta": "hel"}
    done = {"type": "transcript.text.done", **HEARD}
    provider.on("real-ears", events(say, delta, delta, done))

    heard, record = await call(
        lambda client: client.audio.transcriptions.create(model="media/ears", file=FILE, stream=True)
    )

    assert heard == ["transcript.text.delta", "transcript.text.delta", "transcript.text.done"]
    assert record["usage"] == {"input": 4, "audio_input": 10, "output": 3}


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # of the SDK
async def test_translations(call, provider, say):
    provider.on("real-interpreter", [say.whole({"text": "hello"})])

    heard, _ = await call(lambda client: client.audio.translations.create(model="media/interpreter", file=FILE))

    assert heard.text == "hello"
    assert b"POST /v1/audio/translations HTTP/1.1" in provider.requests[0].head


async def test_speech(call, provider, say):
    provider.on("real-voice", spoken(say))

    sound, record = await call(
        lambda client: client.audio.speech.create(model="media/voice", voice="alloy", input="grüße")
    )

    assert sound == b"\xff\xfbsound"
    assert provider.requests[0].fields == {"model": "real-voice", "voice": "alloy", "input": "grüße"}
    assert record["usage"] == {"characters": 5, "estimated": True}


async def test_speech_as_it_comes(gateway, token, provider, say):
    """The first of it is there before the last is made, under the provider's own label."""
    heard = asyncio.Event()
    head, first, last, end = spoken(say)
    provider.on("real-voice", [head, first, heard, last, end])

    async with AsyncOpenAI(base_url=gateway.url, api_key=token, timeout=30) as client:
        speech = client.audio.speech.with_streaming_response
        async with speech.create(model="media/voice", voice="alloy", input="hi") as answer:
            pieces = answer.iter_bytes()
            assert await anext(pieces) == b"\xff\xfb"
            heard.set()
            assert [piece async for piece in pieces] == [b"sound"]

    assert answer.headers["content-type"] == "audio/mpeg"


async def test_speech_as_events(gateway, connect, provider, say):
    """The SDK gives them as they are."""
    delta = {"type": "speech.audio.delta", "audio": PICTURE}
    usage = {"input_tokens": 2, "output_tokens": 40, "total_tokens": 42}
    stream = events(say, delta, {"type": "speech.audio.done", "usage": usage})
    provider.on("real-voice", stream)
    client = await connect(gateway)

    client.ask(
        {"model": "media/voice", "voice": "alloy", "input": "hi", "stream_format": "sse"}, path="/v1/audio/speech"
    )
    answer = await client.answer()

    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.body.count(b"speech.audio.delta") == 2
    (record,) = await gateway.records_of(answer.id)
    assert (record["outcome"], record["usage"]) == ("complete", {"input": 2, "output": 40})


async def test_a_listener_that_leaves_ends_the_speech(gateway, connect, provider, say):
    provider.on("real-voice", [*spoken(say)[:2], provider.STALL])
    client = await connect(gateway)
    client.ask({"model": "media/voice", "voice": "alloy", "input": "hi"}, path="/v1/audio/speech")
    answer = await client.head()
    await client.piece(answer)

    client.reset()

    await (await provider.asked()).seconds_until_closed(time.perf_counter())
    (record,) = await gateway.records_of(answer.id)
    assert (record["outcome"], record["usage"]) == ("client_left", {"characters": 2, "estimated": True})


async def test_moderations_and_reranking(call, provider, say):
    provider.on("real-censor", [say.whole(JUDGED)])
    provider.on("real-judge", [say.whole(RANKED)])
    body = {"model": "media/judge", "query": "q", "documents": ["a", "b"], "top_n": 1}

    judged, record = await call(lambda client: client.moderations.create(model="media/censor", input=["a", "b"]))
    ranked, record = await call(lambda client: client.post("/rerank", body=body, cast_to=object))
    _, other = await call(lambda client: client.post("/v2/rerank", body=body, cast_to=object))

    assert judged.results[0].category_scores.violence == 0.2
    assert ranked == RANKED
    assert record["usage"] == other["usage"] == {"searches": 1}
    assert provider.requests[-1].fields == {**body, "model": "real-judge"}


async def test_what_is_read(call, provider, say):
    """As Mistral has it, by any client."""
    said = {
        "pages": [
            {"index": 0, "markdown": 'the invoice says "pages_processed": 900,', "images": [], "dimensions": None}
        ],
        "model": "real-reader",
        "document_annotation": '{"total": 7}',
        "usage_info": {"pages_processed": 3, "doc_size_bytes": 1000},
    }
    provider.on("real-reader", [say.whole(said)])
    document = {"type": "document_url", "document_url": "https://x.test/a.pdf"}
    body = {"model": "media/reader", "document": document, "document_annotation_format": {"type": "text"}}

    read, record = await call(lambda client: client.post("/ocr", body=body, cast_to=object))

    assert read == said
    assert b"POST /v1/ocr HTTP/1.1" in provider.requests[-1].head
    assert provider.requests[-1].fields == {**body, "model": "real-reader"}
    assert (record["request_type"], record["usage"]) == ("ocr", {"annotated_pages": 3})


async def test_reranking_by_coheres_own_sdk(gateway, token, provider, say):
    provider.on("real-judge", [say.whole(RANKED)])

    async with cohere.AsyncClientV2(token, base_url=gateway.url.removesuffix("/v1")) as client:
        ranked = await client.rerank(model="media/judge", query="q", documents=["a", "b"], top_n=1)

    assert [(result.index, result.relevance_score) for result in ranked.results] == [(1, 0.9)]
    assert ranked.meta.billed_units.search_units == 1.0


async def test_reranking_by_a_server_with_words_of_its_own(gateway, token, provider, say):
    """Which names no model."""
    provider.on(None, [say.whole([{"index": 0, "score": 0.25}, {"index": 1, "score": 0.75}])])

    async with cohere.AsyncClientV2(token, base_url=gateway.url.removesuffix("/v1")) as client:
        ranked = await client.rerank(model="media/tei", query="q", documents=["a", "b"], top_n=1)

    assert [(result.index, result.relevance_score) for result in ranked.results] == [(1, 0.75)]
    assert provider.requests[-1].fields == {"query": "q", "texts": ["a", "b"], "truncate": True}


async def test_refusals_are_in_openais_shape(call, provider, say):
    """Before the first byte of sound, as well."""
    provider.on("real-voice", [say.whole({"error": {"message": "no such voice", "code": "voice"}}, status=400)])
    provider.on("real-ears", [say.whole({"error": {"message": "no sound in it"}}, status=422)])

    with pytest.raises(openai.BadRequestError, match="no such voice"):
        await call(lambda client: client.audio.speech.create(model="media/voice", voice="x", input="hi"))
    with pytest.raises(openai.UnprocessableEntityError, match="no sound in it"):
        await call(lambda client: client.audio.transcriptions.create(model="media/ears", file=FILE))
    with pytest.raises(openai.BadRequestError, match=r"media/vectors is not declared as image \(model_types\)"):
        await call(lambda client: client.images.generate(model="media/vectors", prompt="a cat"))


# --- uploads that are larger than memory should be -------------------------------------------------------------------

PIECE = 1024 * 1024
PIECES = 300
BEHIND = b'\r\n--x1\r\nContent-Disposition: form-data; name="model"\r\n\r\nmedia/ears\r\n--x1--\r\n'
BEFORE = b'--x1\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'


class Sink(asyncio.Protocol):
    """Takes an upload and answers when it has come, however long it is, and keeps nothing of it."""

    def __init__(self, transports):
        self.transports = transports

    def connection_made(self, transport):
        self.transport = transport
        self.transports.append(transport)
        self.head = b""
        self.left = None

    def data_received(self, data):
        if self.left is None:
            self.head += data
            head, blank, data = self.head.partition(b"\r\n\r\n")
            if not blank:
                return
            self.left = int(re.search(rb"content-length: (\d+)", head)[1])
        self.left -= len(data)
        if self.left == 0:
            self.head, self.left = b"", None
            body = json.dumps({"text": "hello"}).encode()
            self.transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )


def status_kib(pid, name):
    return int(re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def send_upload(port, token, pieces, *, is_whole=True):
    """Returns the head of the answer; without an end, leaves in the middle."""
    length = len(BEFORE) + pieces * PIECE + len(BEHIND)
    head = (
        f"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {token}\r\n"
        f"content-type: multipart/form-data; boundary=x1\r\ncontent-length: {length}\r\n\r\n"
    )
    piece = bytes(range(256)) * (PIECE // 256)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(head.encode() + BEFORE)
        for _ in range(pieces if is_whole else pieces // 2):
            sock.sendall(piece)
        if not is_whole:
            return None
        sock.sendall(BEHIND)
        return sock.recv(65536)


@pytest.fixture
async def ears():
    """A provider that listens, and the account of it."""
    transports = []
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Sink(transports), "127.0.0.1", 0)
    model = {
        "type": "integration/model/self-hosted-model",
        "name": "ears",
        "hosted_model_name": "real-ears",
        "url": f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1",
        "model_server": "openai-compatible",
        "model_types": ["audio_transcription"],
    }
    yield json.dumps([{"type": "provider-account/self-hosted-model", "name": "media", "integrations": [model]}])
    listener.close()
    for transport in transports:
        transport.abort()
    await asyncio.sleep(0)


@pytest.mark.parametrize("server", servers.NAMES)
async def test_an_upload_of_300_mb_takes_no_memory(gateway_process, ears, token, server, measured):
    gateway = gateway_process(server=server, config=ears)
    await asyncio.to_thread(send_upload, gateway.port, token, 2)  # warms up
    Path(f"/proc/{gateway.pid}/clear_refs").write_text("5")
    before = status_kib(gateway.pid, "VmRSS")
    started = time.perf_counter()

    answer = await asyncio.to_thread(send_upload, gateway.port, token, PIECES)

    measured("upload", time.perf_counter() - started, "s")
    measured("grown", (status_kib(gateway.pid, "VmHWM") - before) / 1024, "MiB")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert status_kib(gateway.pid, "VmHWM") - before < 16 * 1024


async def test_who_leaves_in_the_middle_leaves_no_file_behind(gateway_process, ears, token, tmp_path, settled):
    folder = tmp_path / "uploads"
    folder.mkdir()
    gateway = gateway_process(config=ears, environ={"TMPDIR": str(folder)})
    await asyncio.to_thread(send_upload, gateway.port, token, 2)
    before = await settled(lambda: gateway.files)

    await asyncio.to_thread(send_upload, gateway.port, token, 20, is_whole=False)

    async with asyncio.timeout(30):
        while len(records := requests_in(gateway.log)) < 2:
            await asyncio.sleep(0.02)
    assert (records[1]["outcome"], records[1]["status"]) == ("client_left", 499)
    assert list(folder.iterdir()) == []
    assert await settled(lambda: gateway.files) <= before
    gateway.assert_sound()
