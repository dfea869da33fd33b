"""The four vendors on loopback, each as strict as its documentation, and the gateway in front of them."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx2
import openai
import pytest
from aiohttp import web
from gateway_speech.provider import Speech

from gateway import build_app
from gateway.testing import ListSink

TOKEN = "gw-test-0123456789abcdef"
KEY = "canary-vendor-key-0123456789"
VOICE = "21m00Tcm4TlvDq8ikWAM"
SOUND = b"ID3\x04" + bytes(range(256)) * 8
MANIFEST = """\
type: provider-account/elevenlabs
name: eleven
base_url: {url}/elevenlabs
auth_data: {{type: api-key, api_key: {key}}}
voices: {{alloy: {voice}}}
integrations:
  - type: integration/model/elevenlabs
    name: eleven_flash_v2_5
    model_id: eleven_flash_v2_5
    model_types: [text_to_speech]
    cost: {{metric: per_million_characters, value: {{input: 50}}}}
  - type: integration/model/elevenlabs
    name: scribe_v2
    model_id: scribe_v2
    model_types: [audio_transcription]
    cost: {{metric: per_minute_of_audio, value: {{input: 0.006}}}}
  - {{type: integration/model/elevenlabs, name: old, model_id: scribe_v1, model_types: [audio_transcription]}}
---
type: provider-account/deepgram
name: deep
base_url: {url}/deepgram/v1
auth_data: {{type: api-key, api_key: {key}}}
integrations:
  - {{type: integration/model/deepgram, name: aura-2, model_id: aura-2, model_types: [text_to_speech]}}
  - {{type: integration/model/deepgram, name: thalia, model_id: aura-2-thalia-en, model_types: [text_to_speech]}}
  - {{type: integration/model/deepgram, name: nova-3, model_id: nova-3, model_types: [audio_transcription]}}
  - {{type: integration/model/deepgram, name: nova-2, model_id: nova-2, model_types: [audio_transcription]}}
---
type: provider-account/cartesia
name: cart
cartesia_version: 2025-04-16
base_url: {url}/cartesia
auth_data: {{type: api-key, api_key: {key}}}
integrations:
  - {{type: integration/model/cartesia, name: sonic-3, model_id: sonic-3, model_types: [text_to_speech]}}
  - {{type: integration/model/cartesia, name: sonic-2, model_id: sonic-2, model_types: [text_to_speech]}}
  - {{type: integration/model/cartesia, name: ink, model_id: ink-whisper, model_types: [audio_transcription]}}
---
type: provider-account/smallest-ai
name: small
base_url: {url}/smallest
auth_data: {{type: api-key, api_key: {key}}}
integrations:
  - {{type: integration/model/smallest-ai, name: pro, model_id: lightning_v3.1_pro, model_types: [text_to_speech]}}
  - {{type: integration/model/smallest-ai, name: pulse, model_id: pulse, model_types: [audio_transcription]}}
  - {{type: integration/model/smallest-ai, name: pulse-pro, model_id: pulse-pro, model_types: [audio_transcription]}}
---
type: provider-account/virtual-model
name: any
integrations:
  - type: integration/model/virtual
    name: ears
    model_types: [audio_transcription]
    routing_config:
      type: priority-based-routing
      load_balance_targets:
        - {{target: eleven/scribe_v2, priority: 0, retry_config: {{attempts: 1}}}}
        - {{target: deep/nova-3, priority: 1}}
"""

ELEVENLABS_HEARD = {
    "language_code": "eng",
    "language_probability": 0.98,
    "text": "Hello there. How are you?",
    "audio_duration_secs": 2.4,
    "transcription_id": "t1",
    "words": [
        {"text": "Hello", "start": 0.1, "end": 0.5, "type": "word", "speaker_id": "speaker_0", "logprob": 0.0},
        {"text": " ", "start": 0.5, "end": 0.6, "type": "spacing", "speaker_id": "speaker_0", "logprob": 0.0},
        {"text": "there.", "start": 0.6, "end": 1.0, "type": "word", "speaker_id": "speaker_0", "logprob": 0.0},
        {"text": " ", "start": 1.0, "end": 1.2, "type": "spacing", "speaker_id": "speaker_1", "logprob": 0.0},
        {"text": "How", "start": 1.2, "end": 1.4, "type": "word", "speaker_id": "speaker_1", "logprob": 0.0},
        {"text": " ", "start": 1.4, "end": 1.5, "type": "spacing", "speaker_id": "speaker_1", "logprob": 0.0},
        {"text": "are", "start": 1.5, "end": 1.7, "type": "word", "speaker_id": "speaker_1", "logprob": 0.0},
        {"text": " ", "start": 1.7, "end": 1.8, "type": "spacing", "speaker_id": "speaker_1", "logprob": 0.0},
        {"text": "you?", "start": 1.8, "end": 2.3, "type": "word", "speaker_id": "speaker_1", "logprob": 0.0},
    ],
}
TIMES = [
    ("hello", "Hello", 0.1, 0.5, 0),
    ("there", "there.", 0.6, 1.0, 0),
    ("how", "How", 1.2, 1.4, 1),
    ("are", "are", 1.5, 1.7, 1),
    ("you", "you?", 1.8, 2.3, 1),
]
DEEPGRAM_HEARD = {
    "metadata": {
        "transaction_key": "deprecated",
        "request_id": "r1",
        "sha256": "00",
        "created": "2026-11-01T00:00:00.000Z",
        "duration": 2.4,
        "channels": 1,
        "models": ["m1"],
        "model_info": {"m1": {"name": "general-nova-3", "version": "2024-12-20.0", "arch": "nova-3"}},
    },
    "results": {
        "channels": [
            {
                "alternatives": [
                    {
                        "transcript": "Hello there. How are you?",
                        "confidence": 0.99,
                        "words": [
                            {
                                "word": word,
                                "punctuated_word": written,
                                "start": start,
                                "end": end,
                                "confidence": 0.99,
                                "speaker": speaker,
                                "speaker_confidence": 0.9,
                            }
                            for word, written, start, end, speaker in TIMES
                        ],
                    }
                ],
                "detected_language": "en",
                "language_confidence": 0.99,
            }
        ]
    },
}
CARTESIA_HEARD = {
    "type": "transcript",
    "is_final": True,
    "request_id": "r1",
    "text": "Hello there. How are you?",
    "language": "en",
    "duration": 2.4,
    "words": [{"word": written, "start": start, "end": end} for _, written, start, end, _ in TIMES],
}
SMALLEST_HEARD = {
    "status": "success",
    "transcription": "Hello there. How are you?",
    "language": "en",
    "words": [
        {"word": written, "start": start, "end": end, "confidence": 0.9, "speaker": f"speaker_{speaker}"}
        for _, written, start, end, speaker in TIMES
    ],
    "metadata": {"duration": 2.4, "filename": "", "fileSize": 12},
    "request_id": "r1",
}

MP3 = {f"mp3_{rate}" for rate in ("22050_32", "24000_48", "44100_32", "44100_64", "44100_96", "44100_128", "44100_192")}
STREAMED = MP3 | {f"pcm_{rate}" for rate in (8000, 16000, 22050, 24000, 32000, 44100, 48000)}
STREAMED |= {"ulaw_8000", "alaw_8000"} | {f"opus_48000_{rate}" for rate in (32, 64, 96, 128, 192)}
WHOLE = STREAMED | {f"wav_{rate}" for rate in (8000, 16000, 22050, 24000, 32000, 44100, 48000)}
ELEVENLABS_FIELDS = {"text", "model_id", "language_code", "voice_settings", "seed", "previous_text", "next_text"}
ELEVENLABS_FORM = {"model_id", "timestamps_granularity", "tag_audio_events", "diarize", "keyterms", "language_code"}
ELEVENLABS_FORM |= {"temperature", "seed", "num_speakers", "use_multi_channel"}
ELEVENLABS_FORM |= {"webhook_metadata", "entity_detection", "entity_redaction"}  # its SDK always sends these
LINEAR = {None, "8000", "16000", "24000", "32000", "48000"}
DEEPGRAM_COMBINATIONS = {
    "linear16": ({None, "wav", "none"}, LINEAR),
    "mp3": ({None}, {None}),
    "opus": ({None, "ogg"}, {None}),
    "flac": ({None}, {"8000", "16000", "22050", "32000", "48000"}),
    "aac": ({None}, {None}),
}
CARTESIA_RATES = {8000, 16000, 22050, 24000, 44100, 48000}


class Refused(Exception):
    """`status`, and what is said."""


def check(is_so, status, body):
    if not is_so:
        raise Refused(status, body)


def detail(status, message):
    return {"detail": {"status": status, "message": message}}


def deepgram_error(code, message):
    return {"err_code": code, "err_msg": message, "request_id": "r1"}


class Vendors:
    """Keeps what was asked, and answers with `sound` or what was `heard`. `refusal`: (status, body, headers), in the
    place of all answers, or those of the vendor that `refuses`."""

    def __init__(self):
        self.asked = []
        self.refusal = None
        self.refuses = None
        self.sound = SOUND
        self.kind = "audio/mpeg"
        self.heard = {
            "elevenlabs": ELEVENLABS_HEARD,
            "deepgram": DEEPGRAM_HEARD,
            "cartesia": CARTESIA_HEARD,
            "smallest": SMALLEST_HEARD,
        }

    async def answer(self, request):
        _, vendor, path = request.path.split("/", 2)
        asked = SimpleNamespace(
            vendor=vendor, path=f"/{path}", query=request.query, headers=request.headers, raw_path=request.raw_path
        )
        self.asked.append(asked)
        asked.form, asked.body, asked.file = {}, None, None
        if request.content_type == "multipart/form-data":
            async for part in await request.multipart():
                if part.filename is not None:
                    asked.file = (part.filename, bytes(await part.read()), part.headers.get("content-type"))
                else:
                    asked.form.setdefault(part.name, []).append(await part.text())
        elif request.content_type == "application/json" and request.method == "POST":
            asked.body = await request.json()
        else:
            asked.body = await request.read()
        if self.refusal is not None and self.refuses in (None, vendor):
            status, body, headers = self.refusal
            return self._said(status, body, headers)
        try:
            return getattr(self, f"_{vendor}")(request, asked)
        except Refused as refused:
            return self._said(*refused.args)

    def _said(self, status, body, headers=None):
        if isinstance(body, str):
            return web.Response(status=status, text=body, headers=headers)
        return web.json_response(body, status=status, headers=headers)

    def _sound(self, **headers):
        return web.Response(body=self.sound, headers={"content-type": self.kind, **headers})

    def _elevenlabs(self, request, asked):
        check(request.headers.get("xi-api-key") == KEY, 401, detail("invalid_api_key", "Invalid API key"))
        if asked.path == "/v1/models":
            return web.json_response([{"model_id": "eleven_v3", "can_do_text_to_speech": True}])
        if asked.path == "/v1/speech-to-text" and isinstance(asked.body, dict):
            check("source_url" in asked.body, 400, detail("missing_file", "no file"))
            return web.json_response(self.heard["elevenlabs"])
        if asked.path == "/v1/speech-to-text":
            model = asked.form.get("model_id")
            check(model in (["scribe_v1"], ["scribe_v2"]), 400, detail("invalid_model_id", "no such model"))
            check(
                model == ["scribe_v2"] or "keyterms" not in asked.form, 400, detail("bad", "keyterms: Scribe 2 alone")
            )
            unknown = asked.form.keys() - ELEVENLABS_FORM
            check(not unknown, 422, {"detail": [{"loc": ["body", *unknown], "msg": "unknown", "type": "extra"}]})
            check(asked.file is not None, 400, detail("missing_file", "no file"))
            check(all(len(term) <= 50 for term in asked.form.get("keyterms", [])), 400, detail("bad", "keyterm"))
            return web.json_response(self.heard["elevenlabs"])
        voice, _, end = asked.path.removeprefix("/v1/text-to-speech/").partition("/")
        check(voice == VOICE, 404, detail("voice_not_found", f"A voice with the voice_id {voice} was not found."))
        check(end in ("", "stream"), 404, {"detail": "Not Found"})
        check(request.query["output_format"] in (STREAMED if end else WHOLE), 400, detail("bad", "output_format"))
        unknown = asked.body.keys() - ELEVENLABS_FIELDS
        check(not unknown, 422, {"detail": [{"loc": ["body", *unknown], "msg": "unknown", "type": "extra"}]})
        speed = asked.body.get("voice_settings", {}).get("speed", 1)
        check(0.7 <= speed <= 1.2, 400, detail("invalid_voice_settings", "speed"))
        return self._sound()

    def _deepgram(self, request, asked):
        check(request.headers.get("authorization") == f"Token {KEY}", 401, deepgram_error("INVALID_AUTH", "key"))
        query = request.query
        if asked.path == "/v1/models":
            return web.json_response(
                {
                    "stt": [{"name": "general", "canonical_name": "nova-3"}] * 2,
                    "tts": [{"name": "thalia", "canonical_name": "aura-2-thalia-en"}],
                }
            )
        if asked.path == "/v1/listen":
            is_new = query["model"].startswith("nova-3")
            check(is_new or "keyterm" not in query, 400, deepgram_error("Bad Request", "keyterm needs nova-3"))
            is_url = request.content_type == "application/json"
            check(not is_url or "url" in asked.body, 400, deepgram_error("Bad Request", "no url"))
            return web.json_response(self.heard["deepgram"])
        check(query["model"].startswith("aura-2-"), 400, deepgram_error("INVALID_QUERY_PARAMETER", "model"))
        check(asked.body.keys() == {"text"}, 400, deepgram_error("INVALID_JSON", "body"))
        check(len(asked.body["text"]) <= 2000, 413, deepgram_error("Payload Too Large", "over 2000 characters"))
        containers, rates = DEEPGRAM_COMBINATIONS[query.get("encoding", "mp3")]
        is_one = query.get("container") in containers and query.get("sample_rate") in rates
        check(is_one, 400, deepgram_error("UNSUPPORTED_AUDIO_FORMAT", "no such combination"))
        check(0.7 <= float(query.get("speed", 1)) <= 1.5, 400, deepgram_error("INVALID_QUERY_PARAMETER", "speed"))
        return self._sound(**{"dg-char-count": "7"})

    def _cartesia(self, request, asked):
        key = request.headers.get("x-api-key")
        check(key == KEY, 401, "Unauthorized: invalid API key")
        check("cartesia-version" in request.headers, 400, "Bad Request: no Cartesia-Version")
        if asked.path == "/stt":
            check(asked.form.get("model") == ["ink-whisper"], 400, "Bad Request: model")
            known = {"model", "language", "timestamp_granularities[]"}
            check(asked.form.keys() <= known, 400, "Bad Request: unknown fields")
            heard = self.heard["cartesia"]
            has_words = asked.form.get("timestamp_granularities[]") == ["word"]
            return web.json_response(heard if has_words else {**heard, "words": None})
        body = asked.body
        sound = body["output_format"]
        fields = {"container", "sample_rate", "bit_rate" if sound["container"] == "mp3" else "encoding"}
        check(sound.keys() == fields and sound["sample_rate"] in CARTESIA_RATES, 400, "Bad Request: output_format")
        check(0.6 <= body.get("generation_config", {}).get("speed", 1) <= 1.5, 400, "Bad Request: speed")
        check(body["model_id"] != "sonic-2" or "generation_config" not in body, 400, "Bad Request: Sonic 3 alone")
        check(body["voice"].keys() == {"mode", "id"}, 400, "Bad Request: voice")
        return self._sound()

    def _smallest(self, request, asked):
        is_known = request.headers.get("authorization") == f"Bearer {KEY}"
        check(is_known, 401, {"error": "unauthorized", "message": "Invalid token"})
        if asked.path == "/waves/v1/stt/":
            languages = {"en", "de", "multi-eu"}
            check(request.query.get("language") in languages, 400, {"error": "Invalid language", "request_id": "r1"})
            check(request.query.get("model") in ("pulse", "pulse-pro"), 400, {"error": "Invalid model"})
            return web.json_response(self.heard["smallest"])
        body = asked.body
        models = ("lightning_v3.1", "lightning_v3.1_pro")
        check(body.get("model") in models, 400, {"status": "error", "error": {"message": "model", "code": "bad_model"}})
        check(body["sample_rate"] in (8000, 16000, 24000, 44100), 400, {"error": "bad", "message": "sample_rate"})
        check(
            body["output_format"] in ("mp3", "pcm", "wav", "ulaw", "alaw"), 400, {"error": "bad", "message": "format"}
        )
        check(0.5 <= body.get("speed", 1) <= 2, 400, {"error": "bad", "message": "speed"})
        return self._sound()


@pytest.fixture
async def vendors():
    vendors = Vendors()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{rest:.*}", vendors.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    vendors.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield vendors
    await runner.cleanup()


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
def http(vendors, sink, tmp_path):
    """`async with http() as client`: a client of the gateway. When it ends, `sink` has all records. With `more`
    manifests."""

    @asynccontextmanager
    async def make(more=""):
        path = tmp_path / "speech.yaml"
        path.write_text(MANIFEST.format(url=vendors.url, key=KEY, voice=VOICE) + more)
        app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, providers=[Speech()], sinks=[sink])
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
            yield client
        await app.close()

    return make


@pytest.fixture
def openai_client(http):
    """`async with openai_client() as client`: OpenAI's own."""

    @asynccontextmanager
    async def make():
        async with http() as client:
            yield openai.AsyncOpenAI(
                api_key=TOKEN, base_url="http://gateway.test/v1", http_client=client, max_retries=0
            ).audio

    return make


@pytest.fixture
def said(vendors):
    """What a vendor was asked last: path, query, and JSON or form."""

    def of():
        asked = vendors.asked[-1]
        pairs = [(name, value) for name, value in asked.query.items()]
        return asked.path, pairs, asked.form or asked.body

    return of


@pytest.fixture
def token():
    return TOKEN


@pytest.fixture
def key():
    return KEY
