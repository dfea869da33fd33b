"""The vendors' own APIs below /tts and /stt, as their SDKs call them; what those send is written out here."""

import pytest

from gateway.contract.usage import Usage

VOICE = "21m00Tcm4TlvDq8ikWAM"
WAV = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\x7d\0\0" + 32000 * b"\0"
LARGE = bytes(range(256)) * 8192
SAID = {
    "eleven": ("xi-api-key", "{}", f"/v1/text-to-speech/{VOICE}/stream?output_format=mp3_44100_128"),
    "deep": ("authorization", "Token {}", "/v1/speak?encoding=linear16&container=wav&model=thalia"),
    "cart": ("authorization", "Bearer {}", "/tts/bytes"),
    "small": ("authorization", "Bearer {}", "/waves/v1/tts"),
}
MP3 = {"container": "mp3", "sample_rate": 44100, "bit_rate": 128000}
BODIES = {
    "eleven": {"text": "Hi, you", "model_id": "eleven_flash_v2_5"},
    "deep": {"text": "Hi, you"},
    "cart": {
        "model_id": "sonic-3",
        "transcript": "Hi, you",
        "voice": {"mode": "id", "id": "v1"},
        "output_format": MP3,
        "save": False,
    },
    "small": {
        "model": "pro",
        "text": "Hi, you",
        "voice_id": "magnus",
        "sample_rate": 24000,
        "output_format": "wav",
    },
}


@pytest.mark.parametrize(
    ("account", "characters"), [("eleven", 7), ("cart", 7), ("small", 7)], ids=["eleven", "cart", "small"]
)
async def test_speaks(http, vendors, sink, token, key, account, characters):
    name, value, path = SAID[account]
    async with http() as client:
        headers = {name: value.format(token), "accept": "audio/wav", "cartesia-version": "2026-08-14"}
        answer = await client.post(f"/tts/{account}{path}", json=BODIES[account], headers=headers)

    assert (answer.status_code, answer.content) == (200, vendors.sound)
    assert answer.headers["content-type"] == "audio/mpeg"
    [asked] = vendors.asked
    assert asked.raw_path.partition("/")[2].partition("/")[2] == path.removeprefix("/")
    assert asked.body == BODIES[account] | ({"model": "lightning_v3.1_pro"} if account == "small" else {})
    assert token not in str(asked.headers)
    assert asked.headers["cartesia-version"] == "2026-08-14"
    [record] = sink.records
    assert record.usage == Usage(characters=characters)


async def test_the_model_of_deepgram_is_in_the_query(http, vendors, sink, token):
    async with http() as client:
        answer = await client.post(
            "/tts/deep/v1/speak?encoding=linear16&model=thalia&container=wav&api_key=x&tag=a%20b",
            json={"text": "Hi, you"},
            headers={"authorization": f"Token {token}"},
        )

    assert answer.content == vendors.sound
    assert vendors.asked[0].raw_path == (
        "/deepgram/v1/speak?encoding=linear16&container=wav&tag=a%20b&model=aura-2-thalia-en"
    )
    assert sink.records[0].usage == Usage(characters=7)


@pytest.mark.parametrize("data", [WAV, LARGE], ids=["small", "large"])
async def test_hears_raw_bytes(http, vendors, sink, token, data):
    """Large ones by way of a file, in pieces of known length."""
    async with http() as client:
        answer = await client.post(
            "/stt/deep/v1/listen?model=nova-3&smart_format=true&keyterm=a&keyterm=b",
            content=data,
            headers={"authorization": f"Token {token}", "content-type": "application/octet-stream"},
        )

    assert answer.json() == vendors.heard["deepgram"]
    [asked] = vendors.asked
    assert (asked.path, asked.body == data, asked.headers["content-length"]) == ("/v1/listen", True, str(len(data)))
    assert [*asked.query.items()] == [
        ("smart_format", "true"),
        ("keyterm", "a"),
        ("keyterm", "b"),
        ("model", "nova-3"),
    ]
    assert sink.records[0].usage == Usage(audio_seconds=3)


async def test_hears_what_is_at_an_address(http, vendors, sink, token):
    async with http() as client:
        answer = await client.post(
            "/stt/deep/v1/listen?model=nova-3",
            json={"url": "https://example.com/a.wav"},
            headers={"authorization": f"Token {token}"},
        )

    assert answer.json() == vendors.heard["deepgram"]
    assert vendors.asked[0].body == {"url": "https://example.com/a.wav"}
    assert sink.records[0].usage == Usage(audio_seconds=3)


@pytest.mark.parametrize(
    ("path", "field", "model", "asked"),
    [
        ("/stt/eleven/v1/speech-to-text", "model_id", "scribe_v2", "scribe_v2"),
        ("/tts/eleven/v1/speech-to-text", "model_id", "eleven/scribe_v2", "scribe_v2"),
        ("/stt/cart/stt", "model", "ink", "ink-whisper"),
    ],
)
async def test_hears_forms(http, vendors, sink, token, path, field, model, asked):
    """The vendor's own name for the model is put into its place; one address serves for both, as an SDK has one."""
    async with http() as client:
        answer = await client.post(
            path,
            data={field: model, "language_code" if "eleven" in path else "language": "en"},
            files={"file": ("a.wav", WAV, "audio/wav")},
            headers={"x-api-key": token},
        )

    assert answer.json()["text"] == "Hello there. How are you?"
    assert vendors.asked[0].form[field] == [asked]
    assert vendors.asked[0].file == ("a.wav", WAV, "audio/wav")
    assert sink.records[0].usage == Usage(audio_seconds=3)


async def test_each_channel_is_billed(http, vendors, sink, token):
    vendors.heard["deepgram"] = {"metadata": {"duration": 2.4, "channels": 2}, "results": {"channels": []}}
    by_json = {"model_id": "scribe_v2", "source_url": "https://x", "use_multi_channel": True}
    vendors.heard["elevenlabs"] = {"transcripts": [{"text": "a"}, {"text": "b"}], "audio_duration_secs": 2.4}
    async with http() as client:
        for path in ("multichannel=true", "multichannel=false"):
            await client.post(f"/stt/deep/v1/listen?model=nova-3&{path}", content=WAV, headers={"x-api-key": token})
        await client.post(
            "/stt/eleven/v1/speech-to-text",
            data={"model_id": "scribe_v2", "use_multi_channel": "true"},
            files={"file": WAV},
            headers={"x-api-key": token},
        )

        await client.post("/stt/eleven/v1/speech-to-text", json=by_json, headers={"x-api-key": token})

    assert [record.usage.audio_seconds for record in sink.records] == [5, 3, 5, 5]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/stt/deep/v1/listen?model=nova-3&callback=https://x.test", None),
        ("/stt/small/waves/v1/stt/?model=pulse&language=en&webhook_url=https://x.test", None),
        ("/tts/deep/v1/speak?model=thalia&callback=https://x.test", {"text": "Hi"}),
        ("/stt/eleven/v1/speech-to-text", {"model_id": "scribe_v2", "webhook": True}),
    ],
)
async def test_an_answer_elsewhere_is_refused(http, vendors, token, path, fields):
    """What it cost would never be known."""
    async with http() as client:
        body = {"content": WAV} if fields is None else {"json": fields}
        answer = await client.post(path, headers={"x-api-key": token}, **body)

    assert (answer.status_code, vendors.asked) == (400, [])
    assert "wait for the answer here" in answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/tts/eleven/v1/voices"),
        ("GET", "/tts/eleven/v1/user"),
        ("GET", "/stt/deep/v1/projects"),
        ("POST", "/tts/eleven/v1/voices/add"),
        ("DELETE", "/tts/eleven/v1/voices/x"),
        ("GET", "/stt/eleven/v1/speech-to-text"),
        ("POST", "/tts/eleven/v1/text-to-speech/a/../../voices/add"),
        ("POST", "/tts/cart/tts/bytes/../../voices"),
        ("POST", "/stt/small/waves/v1/lightning/get_speech"),
    ],
)
async def test_what_belongs_to_the_whole_account_is_not_passed_on(http, vendors, token, method, path):
    async with http() as client:
        request = client.build_request(method, path, headers={"x-api-key": token})
        answer = await client.send(request)

    assert (answer.status_code, vendors.asked) == (501, [])


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/tts/eleven/v1/text-to-speech/v", {"text": "Hi"}, 400),
        ("/tts/eleven/v1/text-to-speech/v", {"text": "Hi", "model_id": 5}, 400),
        ("/tts/eleven/v1/text-to-speech/v", {"text": "Hi", "model_id": 600 * "x"}, 400),
        ("/tts/eleven/v1/text-to-speech/v", {"text": "Hi", "model_id": "another"}, 404),
        ("/tts/nobody/v1/text-to-speech/v", {"text": "Hi", "model_id": "eleven_flash_v2_5"}, 404),
        ("/tts/eleven/v1/text-to-speech/%2e%2e", {"text": "Hi", "model_id": "eleven_flash_v2_5"}, 400),
        ("/tts/deep/v1/speak", {"text": "Hi", "model": "thalia"}, 400),
        ("/tts/deep/v1/speak?model=thalia&model=aura-2", {"text": "Hi"}, 400),
        ("/tts/deep/v1/speak?model=thalia&mod%65l=aura-2", {"text": "Hi"}, 400),
        ("/tts/cart/v1/text-to-speech/v", {"text": "Hi", "model_id": "sonic-3"}, 400),
    ],
)
async def test_a_model_that_may_be_used_has_to_be_named(http, vendors, token, path, body, status):
    async with http() as client:
        answer = await client.post(path, json=body, headers={"x-api-key": token})

    assert (answer.status_code, vendors.asked) == (status, [])


async def test_of_two_models_in_a_form_none_is_asked(http, vendors, token):
    async with http() as client:
        answer = await client.post(
            "/stt/cart/stt",
            data={"model": ["ink", "sonic-3"]},
            files={"file": WAV},
            headers={"x-api-key": token},
        )

    assert (answer.status_code, vendors.asked) == (400, [])


@pytest.mark.parametrize("account", SAID)
async def test_errors_are_in_the_words_of_the_vendor(http, vendors, token, key, account):
    """Of whichever: what all of them read is in it."""
    vendors.refusal = (400, {"err_code": "Bad Request", "err_msg": f"no, {key}"}, None)
    _, _, path = SAID[account]
    async with http() as client:
        answer = await client.post(f"/tts/{account}{path}", json=BODIES[account], headers={"x-api-key": token})

    said = answer.json()
    assert (answer.status_code, said.pop("request_id")) == (400, answer.headers["x-request-id"])
    assert said == {
        "detail": {"status": "Bad Request", "message": "no, ***"},
        "err_code": "Bad Request",
        "err_msg": "no, ***",
        "error_code": "Bad Request",
        "title": "Bad Request",
        "message": "no, ***",
        "error": "no, ***",
    }


async def test_events_are_passed_on_to_the_byte(http, vendors, sink, token):
    """Cartesia and Smallest stream sound in events: nothing of the gateway's own gets into them."""
    vendors.sound, vendors.kind = b'event: chunk\ndata: {"data":"AAAA"}\n\ndata: {"done":true}\n\n', "text/event-stream"
    async with http() as client:
        answer = await client.post("/tts/cart/tts/sse", json=BODIES["cart"], headers={"x-api-key": token})

    assert (answer.content, answer.headers["content-type"]) == (vendors.sound, "text/event-stream")
    assert sink.records[0].usage == Usage(characters=7)


@pytest.mark.parametrize("heard", ["{}", "[]", "<html>", '{"metadata": {"duration": "x"}}', '{"transcripts": 5}'])
async def test_what_cannot_be_read_is_passed_on_too(http, vendors, sink, token, heard):
    """And billed by what the file looks like."""
    vendors.refusal = (200, heard, None)
    async with http() as client:
        answer = await client.post("/stt/deep/v1/listen?model=nova-3", content=WAV, headers={"x-api-key": token})

    assert (answer.status_code, answer.text) == (200, heard)
    assert sink.records[0].usage == Usage(audio_seconds=2, estimated=True)


@pytest.mark.parametrize("headers", [{}, {"xi-api-key": "x"}, {"authorization": "Token x"}, {"authorization": "Token"}])
async def test_strangers_are_refused(http, vendors, headers):
    async with http() as client:
        answer = await client.post("/stt/deep/v1/listen?model=nova-3", content=WAV, headers=headers)

    assert (answer.status_code, vendors.asked) == (401, [])


async def test_limits_and_prices_hold(http, vendors, sink, token):
    """A refusal of the gateway's own reads like one of the vendor's."""
    rule = "{id: few, limit_to: 1, unit: requests_per_minute}"
    few = f"---\ntype: gateway-rate-limiting-config\nname: few\nrules: [{rule}]\n"
    name, value, path = SAID["eleven"]
    async with http(few) as client:
        for status in (200, 429):
            answer = await client.post(f"/tts/eleven{path}", json=BODIES["eleven"], headers={name: value.format(token)})
            assert answer.status_code == status

    assert answer.json()["detail"]["status"] == "rate_limit_exceeded"
    assert "retry-after" in answer.headers
    assert len(vendors.asked) == 1
    assert [record.cost_nanousd for record in sink.records] == [350_000, None]
