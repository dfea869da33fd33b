"""OpenAI's client has text spoken by each of the vendors."""

import json
from base64 import b64decode

import openai
import pytest

from gateway.contract.usage import Usage

VOICE = "21m00Tcm4TlvDq8ikWAM"
MODELS = {"eleven/eleven_flash_v2_5": VOICE, "deep/aura-2": "thalia", "cart/sonic-3": "v1", "small/pro": "magnus"}
PCM = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000}
WAV = {"container": "wav", "encoding": "pcm_s16le", "sample_rate": 24000}


@pytest.mark.parametrize(
    ("model", "fields", "asked"),
    [
        (
            "eleven/eleven_flash_v2_5",
            {"voice": VOICE},
            (
                f"/v1/text-to-speech/{VOICE}/stream",
                [("output_format", "mp3_44100_128")],
                {"text": "Hi, you", "model_id": "eleven_flash_v2_5"},
            ),
        ),
        (
            "eleven/eleven_flash_v2_5",
            {
                "voice": "alloy",
                "response_format": "wav",
                "speed": 1.1,
                "extra_body": {"language": "de", "seed": 7, "voice_settings": {"stability": 0.3}},
            },
            (
                f"/v1/text-to-speech/{VOICE}",
                [("output_format", "wav_24000")],
                {
                    "text": "Hi, you",
                    "model_id": "eleven_flash_v2_5",
                    "language_code": "de",
                    "voice_settings": {"speed": 1.1, "stability": 0.3},
                    "seed": 7,
                },
            ),
        ),
        (
            "deep/aura-2",
            {"voice": "thalia", "response_format": "opus", "speed": 0.9},
            (
                "/v1/speak",
                [("model", "aura-2-thalia-en"), ("encoding", "opus"), ("container", "ogg"), ("speed", "0.9")],
                {"text": "Hi, you"},
            ),
        ),
        (
            "deep/aura-2",
            {"voice": "viktoria", "response_format": "flac", "extra_body": {"language": "de"}},
            (
                "/v1/speak",
                [("model", "aura-2-viktoria-de"), ("encoding", "flac"), ("sample_rate", "48000")],
                {"text": "Hi, you"},
            ),
        ),
        (
            "deep/thalia",
            {"voice": "thalia", "response_format": "pcm"},
            (
                "/v1/speak",
                [
                    ("model", "aura-2-thalia-en"),
                    ("encoding", "linear16"),
                    ("container", "none"),
                    ("sample_rate", "24000"),
                ],
                {"text": "Hi, you"},
            ),
        ),
        (
            "cart/sonic-3",
            {"voice": "v1", "response_format": "pcm", "speed": 1.25, "extra_body": {"language": "en"}},
            (
                "/tts/bytes",
                [],
                {
                    "model_id": "sonic-3",
                    "transcript": "Hi, you",
                    "voice": {"mode": "id", "id": "v1"},
                    "output_format": PCM,
                    "language": "en",
                    "generation_config": {"speed": 1.25},
                },
            ),
        ),
        (
            "small/pro",
            {"voice": "magnus", "response_format": "wav", "speed": 0.5, "extra_body": {"language": "hi"}},
            (
                "/waves/v1/tts",
                [],
                {
                    "text": "Hi, you",
                    "voice_id": "magnus",
                    "model": "lightning_v3.1_pro",
                    "output_format": "wav",
                    "speed": 0.5,
                    "language": "hi",
                    "sample_rate": 24000,
                },
            ),
        ),
    ],
)
async def test_asks_each_vendor_in_its_words(openai_client, vendors, said, model, fields, asked):
    async with openai_client() as audio:
        answer = await audio.speech.create(model=model, input="Hi, you", **fields)

    assert answer.content == vendors.sound
    assert said() == asked
    assert "x-gateway-dropped-params" not in answer.response.headers


@pytest.mark.parametrize("model", MODELS)
async def test_the_key_is_the_accounts(openai_client, vendors, token, model):
    async with openai_client() as audio:
        await audio.speech.create(model=model, input="Hi", voice=MODELS[model])

    assert token not in str(vendors.asked[0].headers)


@pytest.mark.parametrize(
    ("model", "formats"),
    [
        ("eleven/eleven_flash_v2_5", {"mp3", "opus", "wav", "pcm"}),
        ("deep/aura-2", {"mp3", "opus", "aac", "flac", "wav", "pcm"}),
        ("cart/sonic-3", {"mp3", "wav", "pcm"}),
        ("small/pro", {"mp3", "wav", "pcm"}),
    ],
)
async def test_each_format_is_taken_or_refused(openai_client, vendors, model, formats):
    """By the vendor as by the gateway: nobody gets another format than the one asked for."""
    async with openai_client() as audio:
        for name in formats:
            await audio.speech.create(model=model, input="Hi", voice=MODELS[model], response_format=name)
        for name in {"mp3", "opus", "aac", "flac", "wav", "pcm", "alaw"} - formats:
            with pytest.raises(openai.BadRequestError, match=f"and no {name}"):
                await audio.speech.create(model=model, input="Hi", voice=MODELS[model], response_format=name)

    assert len(vendors.asked) == len(formats)


@pytest.mark.parametrize(
    ("model", "fields", "dropped"),
    [
        ("eleven/eleven_flash_v2_5", {"voice": VOICE, "speed": 4, "instructions": "whisper"}, "instructions,speed"),
        ("eleven/eleven_flash_v2_5", {"voice": VOICE, "speed": 0.25}, "speed"),
        ("deep/aura-2", {"voice": "thalia", "speed": 2, "extra_body": {"seed": 1}}, "seed,speed"),
        ("deep/thalia", {"voice": "alloy"}, "voice"),
        ("cart/sonic-3", {"voice": "v1", "speed": 0.25}, "speed"),
        ("cart/sonic-2", {"voice": "v1", "speed": 1.5}, "speed"),
        ("cart/sonic-2", {"voice": "v1", "speed": 1}, None),
        ("small/pro", {"voice": "magnus", "speed": 4, "instructions": "whisper"}, "instructions,speed"),
    ],
)
async def test_what_cannot_be_kept_is_told(openai_client, vendors, model, fields, dropped):
    """A speed that the vendor would refuse becomes the next one that it has."""
    async with openai_client() as audio:
        answer = await audio.speech.create(model=model, input="Hi", **fields)

    assert answer.content == vendors.sound
    assert answer.response.headers.get("x-gateway-dropped-params") == dropped


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        ("eleven/eleven_flash_v2_5", {"input": "Hi", "voice": ""}, "voice"),
        ("eleven/eleven_flash_v2_5", {"input": "Hi", "voice": None}, "voice"),
        ("eleven/eleven_flash_v2_5", {"input": "Hi", "voice": 5}, "voice"),
        ("eleven/eleven_flash_v2_5", {"input": "Hi", "voice": ".."}, None),
        ("eleven/eleven_flash_v2_5", {"input": "Hi", "voice": "../user"}, None),
        ("eleven/eleven_flash_v2_5", {"voice": VOICE}, "input"),
        ("eleven/eleven_flash_v2_5", {"input": ["Hi"], "voice": VOICE}, "input"),
        ("eleven/eleven_flash_v2_5", {"input": "Hi", "voice": VOICE, "speed": "fast"}, "speed"),
        ("eleven/eleven_flash_v2_5", {"input": "Hi", "voice": VOICE, "speed": "nan"}, "speed"),
        ("eleven/eleven_flash_v2_5", {"input": "Hi", "voice": VOICE, "stream_format": "x"}, "stream_format"),
        ("eleven/eleven_flash_v2_5", {"input": "Hi", "voice": VOICE, "voice_settings": 1}, "voice_settings"),
        ("deep/aura-2", {"input": "Hi"}, "voice"),
        ("deep/aura-2", {"input": "Hi", "voice": "aura-thalia-en"}, "voice"),
        ("deep/aura-2", {"input": "Hi", "voice": "a&model=nova"}, "voice"),
        ("cart/sonic-3", {"input": "Hi"}, "voice"),
        ("small/pro", {"input": "Hi"}, "voice"),
    ],
)
async def test_what_makes_no_sense_is_the_callers_fault(http, vendors, token, model, fields, param):
    async with http() as client:
        headers = {"authorization": f"Bearer {token}"}
        answer = await client.post("/v1/audio/speech", json={"model": model, **fields}, headers=headers)

    assert (answer.status_code, answer.json()["error"]["param"], vendors.asked) == (400, param, [])


async def test_a_slash_in_a_voice_stays_in_it(openai_client, vendors):
    """Else it would lead to another path, with the account's key."""
    async with openai_client() as audio:
        with pytest.raises(openai.NotFoundError):
            await audio.speech.create(model="eleven/eleven_flash_v2_5", input="Hi", voice="a/b?c")

    assert vendors.asked[0].raw_path.startswith("/elevenlabs/v1/text-to-speech/a%2Fb%3Fc/stream?")


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("eleven/eleven_flash_v2_5", Usage(characters=5)),
        ("deep/aura-2", Usage(characters=7)),
        ("cart/sonic-3", Usage(characters=5)),
        ("small/pro", Usage(characters=5)),
    ],
)
async def test_characters_are_billed(openai_client, sink, model, usage):
    """As many as the vendor says, where it does. What has no price is unknown, and not for nothing."""
    async with openai_client() as audio:
        await audio.speech.create(model=model, input="Grüße", voice=MODELS[model])

    [record] = sink.records
    assert record.usage == usage
    assert record.cost_nanousd == (250_000 if model.startswith("eleven") else None)


async def test_as_events(http, token, vendors, sink):
    async with http() as client:
        answer = await client.post(
            "/v1/audio/speech",
            json={"model": "cart/sonic-3", "input": "Hi", "voice": "v1", "stream_format": "sse"},
            headers={"authorization": f"Bearer {token}"},
        )

    *deltas, done = [json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n")[:-1]]
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert b"".join(b64decode(delta["audio"]) for delta in deltas) == vendors.sound
    assert done == {"type": "speech.audio.done"}
    assert sink.records[0].usage == Usage(characters=2)


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
async def test_silence_is_no_answer(http, token, vendors, sink, stream_format):
    """A status of 200 with nothing behind it was taken for speech; it is a fault of the vendor, and not billed."""
    vendors.sound = b""
    async with http() as client:
        answer = await client.post(
            "/v1/audio/speech",
            json={"model": "cart/sonic-3", "input": "Hi", "voice": "v1", "stream_format": stream_format},
            headers={"authorization": f"Bearer {token}"},
        )

    assert (answer.status_code, answer.json()["message"]) == (502, "the provider sent no sound")
    assert sink.records[0].usage is None


async def test_an_error_that_looks_well(openai_client, vendors):
    vendors.sound, vendors.kind = b'{"error": {"message": "no such voice"}}', "application/json"

    async with openai_client() as audio:
        with pytest.raises(openai.InternalServerError, match="no sound, but: no such voice"):
            await audio.speech.create(model="cart/sonic-3", input="Hi", voice="v1")


async def test_other_apis_are_refused(http, token, vendors):
    """Before it is asked for something that it has not."""
    async with http() as client:
        headers = {"authorization": f"Bearer {token}"}
        answer = await client.post("/v1/embeddings", json={"model": "deep/nova-3", "input": "a"}, headers=headers)

    assert (answer.status_code, vendors.asked) == (400, [])
