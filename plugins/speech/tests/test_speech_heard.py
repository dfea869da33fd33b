"""OpenAI's client has recordings written down by each of the vendors."""

import json

import openai
import pytest

from gateway.contract.usage import Usage

WAV = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\x7d\0\0" + 32000 * b"\0"
FILE = ("a speech.wav", WAV, "audio/wav")
LARGE = ("long.mp3", bytes(range(256)) * 8192, "audio/mpeg")
MODELS = ["eleven/scribe_v2", "deep/nova-3", "cart/ink", "small/pulse"]
TEXT = "Hello there. How are you?"
SEGMENTS = [(0.1, 1.0, "Hello there."), (1.2, 2.3, "How are you?")]
WORDS = [("Hello", 0.1, 0.5), ("there.", 0.6, 1.0), ("How", 1.2, 1.4), ("are", 1.5, 1.7), ("you?", 1.8, 2.3)]
SRT = "1\n00:00:00,100 --> 00:00:01,000\nHello there.\n\n2\n00:00:01,200 --> 00:00:02,300\nHow are you?\n\n"
VTT = "WEBVTT\n\n00:00:00.100 --> 00:00:01.000\nHello there.\n\n00:00:01.200 --> 00:00:02.300\nHow are you?\n\n"


@pytest.mark.parametrize(
    ("model", "fields", "asked"),
    [
        (
            "eleven/scribe_v2",
            {},
            (
                "/v1/speech-to-text",
                [],
                {
                    "model_id": ["scribe_v2"],
                    "timestamps_granularity": ["none"],
                    "tag_audio_events": ["false"],
                    "diarize": ["false"],
                },
            ),
        ),
        (
            "eleven/scribe_v2",
            {
                "language": "de",
                "prompt": "Grüße, Ana Lovelace, ZX-81",
                "temperature": 0.5,
                "response_format": "srt",
                "extra_body": {"seed": 7, "tag_audio_events": "true"},
            },
            (
                "/v1/speech-to-text",
                [],
                {
                    "model_id": ["scribe_v2"],
                    "timestamps_granularity": ["word"],
                    "tag_audio_events": ["true"],
                    "diarize": ["false"],
                    "keyterms": ["Grüße", "Ana Lovelace", "ZX-81"],
                    "language_code": ["de"],
                    "temperature": ["0.5"],
                    "seed": ["7"],
                },
            ),
        ),
        (
            "deep/nova-3",
            {},
            ("/v1/listen", [("model", "nova-3"), ("smart_format", "true"), ("detect_language", "true")], WAV),
        ),
        (
            "deep/nova-3",
            {"language": "de", "prompt": "Grüße, Ana", "response_format": "diarized_json"},
            (
                "/v1/listen",
                [
                    ("model", "nova-3"),
                    ("smart_format", "true"),
                    ("language", "de"),
                    ("diarize", "true"),
                    ("keyterm", "Grüße"),
                    ("keyterm", "Ana"),
                ],
                WAV,
            ),
        ),
        ("cart/ink", {}, ("/stt", [], {"model": ["ink-whisper"]})),
        (
            "cart/ink",
            {"language": "de", "response_format": "verbose_json", "timestamp_granularities": ["word"]},
            ("/stt", [], {"model": ["ink-whisper"], "language": ["de"], "timestamp_granularities[]": ["word"]}),
        ),
        ("small/pulse", {}, ("/waves/v1/stt/", [("model", "pulse"), ("language", "multi-eu")], WAV)),
        ("small/pulse-pro", {}, ("/waves/v1/stt/", [("model", "pulse-pro"), ("language", "en")], WAV)),
        (
            "small/pulse",
            {"language": "de", "response_format": "vtt"},
            ("/waves/v1/stt/", [("model", "pulse"), ("language", "de"), ("word_timestamps", "true")], WAV),
        ),
    ],
)
async def test_asks_each_vendor_in_its_words(openai_client, vendors, said, model, fields, asked):
    async with openai_client() as audio:
        answer = await audio.transcriptions.with_raw_response.create(model=model, file=FILE, **fields)

    assert said() == asked
    assert vendors.asked[0].file in (None, FILE)
    assert "x-gateway-dropped-params" not in answer.headers


@pytest.mark.parametrize("model", MODELS)
async def test_json(openai_client, model):
    async with openai_client() as audio:
        answer = await audio.transcriptions.create(model=model, file=FILE)

    assert (answer.text, answer.usage.type, answer.usage.seconds) == (TEXT, "duration", 3)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("name", "text"), [("text", f"{TEXT}\n"), ("srt", SRT), ("vtt", VTT)])
async def test_plain_text_and_subtitles(openai_client, model, name, text):
    async with openai_client() as audio:
        answer = await audio.transcriptions.with_raw_response.create(model=model, file=FILE, response_format=name)

    assert (answer.text, answer.headers["content-type"]) == (text, "text/plain; charset=utf-8")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("granularities", "has_segments", "has_words"),
    [(None, True, False), (["word"], False, True), (["segment"], True, False), (["word", "segment"], True, True)],
)
async def test_verbose(openai_client, model, granularities, has_segments, has_words):
    more = {} if granularities is None else {"timestamp_granularities": granularities}
    async with openai_client() as audio:
        answer = await audio.transcriptions.create(model=model, file=FILE, response_format="verbose_json", **more)

    assert (answer.text, answer.duration) == (TEXT, 2.4)
    assert answer.language == ("eng" if model.startswith("eleven") else "en")
    segments = [(each.start, each.end, each.text) for each in answer.segments or ()]
    assert segments == (SEGMENTS if has_segments else [])
    assert [(each.word, each.start, each.end) for each in answer.words or ()] == (WORDS if has_words else [])


@pytest.mark.parametrize("model", ["eleven/scribe_v2", "deep/nova-3", "small/pulse"])
async def test_who_speaks(openai_client, model):
    async with openai_client() as audio:
        answer = await audio.transcriptions.create(model=model, file=FILE, response_format="diarized_json")

    first, second = answer.segments
    assert (first.type, first.id, first.text) == ("transcript.text.segment", "seg_0", "Hello there.")
    assert first.speaker != second.speaker
    assert answer.duration == 2.4


async def test_who_speaks_is_not_known_everywhere(openai_client, vendors):
    async with openai_client() as audio:
        with pytest.raises(openai.BadRequestError, match="does not tell who speaks"):
            await audio.transcriptions.create(model="cart/ink", file=FILE, response_format="diarized_json")

    assert vendors.asked == []


@pytest.mark.parametrize("model", MODELS)
async def test_as_a_stream(openai_client, sink, model):
    """All at once, since none of them streams a file's text; who waits for events gets some."""
    async with openai_client() as audio:
        stream = await audio.transcriptions.create(model=model, file=FILE, stream=True)
        events = [event async for event in stream]

    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert (events[0].delta, events[1].text) == (TEXT, TEXT)
    assert sink.records[0].usage == Usage(audio_seconds=3)


@pytest.mark.parametrize("model", MODELS)
async def test_seconds_are_billed(openai_client, sink, model):
    """As many as the vendor says, begun ones too, and not what was guessed from the file."""
    async with openai_client() as audio:
        await audio.transcriptions.create(model=model, file=LARGE)

    [record] = sink.records
    assert record.usage == Usage(audio_seconds=3)
    assert record.cost_nanousd == (300_000 if model.startswith("eleven") else None)


async def test_seconds_are_guessed_where_nobody_says_them(openai_client, vendors, sink):
    vendors.heard["cartesia"] = {"type": "transcript", "text": "Hello"}

    async with openai_client() as audio:
        answer = await audio.transcriptions.create(model="cart/ink", file=FILE)

    assert (answer.text, answer.usage) == ("Hello", None)
    assert sink.records[0].usage == Usage(audio_seconds=2, estimated=True)


@pytest.mark.parametrize("model", MODELS)
async def test_a_large_recording_passes_through_a_file(openai_client, vendors, model):
    """It goes out in pieces, with its length, so that no vendor has to take chunks."""
    async with openai_client() as audio:
        answer = await audio.transcriptions.create(model=model, file=LARGE)

    assert answer.text == TEXT
    [asked] = vendors.asked
    assert LARGE in (asked.file, ("long.mp3", asked.body, asked.headers["content-type"]))
    assert "content-length" in asked.headers


@pytest.mark.parametrize("label", ["application/json", "text/html", "audio/x\u00e4", ""])
async def test_a_recording_is_never_taken_for_an_address(openai_client, vendors, label):
    """Of JSON, Deepgram would fetch what stands under `url`, with whatever it finds there."""
    async with openai_client() as audio:
        await audio.transcriptions.create(model="deep/nova-3", file=("a", b'{"url": "http://x"}', label))

    assert vendors.asked[0].headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("model", "fields", "dropped"),
    [
        ("eleven/scribe_v2", {"prompt": "So we went there, and it was good. Then we left again."}, "prompt"),
        ("eleven/scribe_v2", {"prompt": "Hello, welcome to my lecture."}, "prompt"),
        ("eleven/scribe_v2", {"prompt": "a, <b>"}, "prompt"),
        ("eleven/old", {"prompt": "Ana"}, "prompt"),
        ("eleven/scribe_v2", {"prompt": 101 * "a,"}, "prompt"),
        ("eleven/scribe_v2", {"temperature": 3, "include": ["logprobs"]}, "include[],temperature"),
        ("deep/nova-3", {"prompt": "Ana", "temperature": 0.2}, "temperature"),
        ("deep/nova-2", {"prompt": "Ana"}, "prompt"),
        ("deep/nova-2", {"extra_body": {"keyterms": ["Ana"]}}, "keyterms"),
        ("cart/ink", {"prompt": "Ana", "temperature": 0.2}, "prompt,temperature"),
        ("small/pulse", {"prompt": "Ana", "chunking_strategy": "auto"}, "chunking_strategy,prompt"),
    ],
)
async def test_what_cannot_be_kept_is_told(openai_client, model, fields, dropped):
    async with openai_client() as audio:
        answer = await audio.transcriptions.with_raw_response.create(model=model, file=FILE, **fields)

    assert sorted(answer.headers["x-gateway-dropped-params"].split(",")) == dropped.split(",")


@pytest.mark.parametrize(
    ("fields", "files", "param"),
    [
        ({}, {}, "file"),
        ({}, {"sound": ("a.wav", WAV)}, "file"),
        ({"response_format": "ogg"}, {"file": ("a.wav", WAV)}, "response_format"),
        ({"temperature": "hot"}, {"file": ("a.wav", WAV)}, "temperature"),
        ({"temperature": "inf"}, {"file": ("a.wav", WAV)}, "temperature"),
        ({"timestamp_granularities[]": "letter"}, {"file": ("a.wav", WAV)}, "timestamp_granularities"),
        ({"language": ["de", "en"]}, {"file": ("a.wav", WAV)}, "language"),
    ],
)
async def test_what_makes_no_sense_is_the_callers_fault(http, vendors, token, fields, files, param):
    async with http() as client:
        answer = await client.post(
            "/v1/audio/transcriptions",
            data={"model": "deep/nova-3", **fields},
            files=files or {"x": (None, "y")},
            headers={"authorization": f"Bearer {token}"},
        )

    assert (answer.status_code, answer.json()["error"]["param"], vendors.asked) == (400, param, [])


async def test_a_transcript_has_an_end(openai_client, vendors):
    """One that would take seconds to be written anew would hold everybody up."""
    vendors.heard["cartesia"] = {"text": 17 * 1024 * 1024 * "x"}

    async with openai_client() as audio:
        with pytest.raises(openai.InternalServerError, match="the provider's transcript is too large"):
            await audio.transcriptions.create(model="cart/ink", file=FILE)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("heard", ["[]", "{}", '{"text": 5}', "<html>", ""])
@pytest.mark.parametrize("model", MODELS)
async def test_something_else_is_no_transcript(http, vendors, token, model, heard, stream):
    vendors.refusal = (200, heard, None)
    async with http() as client:
        answer = await client.post(
            "/v1/audio/transcriptions",
            data={"model": model, "stream": json.dumps(stream)},
            files={"file": ("a.wav", WAV)},
            headers={"authorization": f"Bearer {token}"},
        )

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "stream_interrupted")
