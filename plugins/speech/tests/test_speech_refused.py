"""What the vendors refuse, as OpenAI's clients understand it."""

import openai
import pytest
from gateway_speech.refusal import Said, said_in

DETAIL = b'{"detail":{"status":"voice_not_found","message":"A voice was not found."}}'
NEWER = b'{"detail":{"type":"not_found","code":"voice_not_found","message":"No voice.","request_id":"r"}}'


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, DETAIL, Said(404, "A voice was not found.", "voice_not_found")),
        (404, NEWER, Said(404, "No voice.", "voice_not_found")),
        (422, b'{"detail":[{"loc":["body","text"],"msg":"Field required"}]}', Said(422, "body.text: Field required")),
        (401, b'{"detail":{"status":"quota_exceeded","message":"No."}}', Said(429, "No.", "insufficient_quota")),
        (401, b'{"detail":{"status":"invalid_api_key","message":"No."}}', Said(401, "No.", "invalid_api_key")),
        (400, b'{"err_code":"Bad Request","err_msg":"No.","request_id":"r"}', Said(400, "No.", "Bad Request")),
        (
            400,
            b'{"category":"INVALID_JSON","message":"Invalid.","details":"line 7","request_id":"r"}',
            Said(400, "Invalid: line 7", "INVALID_JSON"),
        ),
        (402, b'{"err_code":"ASR_PAYMENT_REQUIRED","err_msg":"Pay."}', Said(429, "Pay.", "insufficient_quota")),
        (
            429,
            b'{"error_code":"concurrency_limited","title":"Too many","message":"Over your limit."}',
            Said(429, "Over your limit.", "concurrency_limited"),
        ),
        (400, b"Bad Request: no such voice", Said(400, "Bad Request: no such voice")),
        (400, b'{"error":"Invalid input","message":"No voice."}', Said(400, "No voice.", "Invalid input")),
        (400, b'{"error":"Invalid language","request_id":"r"}', Said(400, "Invalid language")),
        (400, b'{"status":"error","error":{"message":"No.","code":"bad"}}', Said(400, "No.", "bad")),
        (402, b"", Said(429, "the account of the gateway at the provider has nothing left", "insufficient_quota")),
        (500, b"<html><title>Oops</title>", Said(500, "a page with the title 'Oops'")),
        (500, b"[]", Said(500)),
        (500, b'{"detail":{"status":5,"message":[]}}', Said(500)),
        (500, b"\xff\xfe", Said(500)),
    ],
)
def test_says_why(status, body, said):
    """All shapes that the four are known to use, and those that nobody should."""
    assert said_in(status, body) == said


@pytest.mark.parametrize(
    ("status", "body", "error", "code"),
    [
        (400, {"err_code": "Bad Request", "err_msg": "corrupt or unsupported data"}, openai.BadRequestError, None),
        (401, {"detail": {"status": "quota_exceeded", "message": "0 left"}}, openai.RateLimitError, None),
        (402, {"err_code": "ASR_PAYMENT_REQUIRED", "err_msg": "0 left"}, openai.RateLimitError, "insufficient_quota"),
        (404, {"detail": {"status": "voice_not_found", "message": "?"}}, openai.NotFoundError, "voice_not_found"),
        (422, {"detail": [{"loc": ["body"], "msg": "?"}]}, openai.UnprocessableEntityError, None),
        (429, {"error_code": "concurrency_limited", "message": "?"}, openai.RateLimitError, "concurrency_limited"),
        (500, "Internal Server Error", openai.InternalServerError, None),
    ],
)
async def test_each_is_of_the_right_class(openai_client, vendors, status, body, error, code):
    vendors.refusal = (status, body, {"retry-after": "7"})

    async with openai_client() as audio:
        with pytest.raises(error) as raised:
            await audio.speech.create(model="cart/sonic-3", input="Hi", voice="v1")

    assert code is None or raised.value.code == code
    assert raised.value.response.headers["retry-after"] == "7"


async def test_a_key_that_is_wrong_is_the_operators_affair(openai_client, vendors, key):
    """And stays secret, though the vendor repeats it."""
    vendors.refusal = (401, f"Unauthorized: invalid API key {key}", None)

    async with openai_client() as audio:
        with pytest.raises(openai.AuthenticationError, match="tell whoever runs the gateway") as raised:
            await audio.speech.create(model="cart/sonic-3", input="Hi", voice="v1")

    assert key not in raised.value.response.text


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
async def test_the_key_is_in_no_error(openai_client, vendors, sink, key, status):
    vendors.refusal = (status, {"err_code": key, "err_msg": f"key {key} has no rights"}, None)

    async with openai_client() as audio:
        with pytest.raises(openai.APIStatusError) as raised:
            await audio.speech.create(model="cart/sonic-3", input="Hi", voice="v1")

    assert key not in raised.value.response.text
    assert key not in str(sink.records)


async def test_what_is_used_up_is_not_tried_again(openai_client, vendors):
    vendors.refusal = (402, {"err_code": "ASR_PAYMENT_REQUIRED", "err_msg": "0 left"}, None)

    async with openai_client() as audio:
        with pytest.raises(openai.RateLimitError) as raised:
            await audio.speech.create(model="cart/sonic-3", input="Hi", voice="v1")

    assert raised.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("size", [100, 2 * 1024 * 1024])
async def test_another_vendor_is_asked_for_the_same(openai_client, vendors, sink, size):
    """In its own words, with all of the recording; one is billed."""
    vendors.refusal, vendors.refuses = (
        (401, {"detail": {"status": "quota_exceeded", "message": "0 left"}}, None),
        "elevenlabs",
    )
    sound = bytes(range(250)) * (size // 250)

    async with openai_client() as audio:
        answer = await audio.transcriptions.create(model="any/ears", file=("a.mp3", sound, "audio/mpeg"))

    assert answer.text == "Hello there. How are you?"
    first, second = vendors.asked
    assert (first.vendor, first.file) == ("elevenlabs", ("a.mp3", sound, "audio/mpeg"))
    assert (second.vendor, second.body, second.query["model"]) == ("deepgram", sound, "nova-3")
    [record] = sink.records
    assert (record.resolved_model, record.usage.audio_seconds) == ("deep/nova-3", 3)
