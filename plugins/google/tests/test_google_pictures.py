"""OpenAI's images APIs in Google's two, judged by Google's own client."""

import json

import pytest
from gateway_google.pictures import ToPictures
from google import genai
from google.genai import models, types
from openai.types import ImagesResponse

from gateway.contract import FormPart
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff, Refused
from gateway.wire.inlined import inlined

PNG, JPEG = b"\x89PNG", b"\xff\xd8\xff"
IMAGE = FormPart("image", PNG, "a", "application/octet-stream")
MASK = FormPart("mask", JPEG, "m")
FLASH, THREE, IMAGEN = "gemini-2.5-flash-image", "gemini-3-pro-image-preview", "imagen-4.0-generate-001"
EDITOR = "imagen-3.0-capability-001"
PNG_64, JPEG_64 = "iVBORw==", "/9j/"


@pytest.fixture
def sent(picture):
    def make(model, *, vertex=True, **fields):
        made, dropped = ToPictures(is_vertex=vertex).request(picture(**fields), model)
        length, data = inlined(made, "0" * 32)
        assert len(data) == length
        return json.loads(data), dropped

    return make


def google(converter, parameters):
    """As Google's own client puts it."""
    client = genai.Client(vertexai=True, api_key="x")
    said = converter(client._api_client, parameters, None, parameters)
    del said["_url"]
    return json.loads(json.dumps(said))


def imagen(**config):
    config = types.GenerateImagesConfig(number_of_images=1).model_copy(update=config)
    made = types._GenerateImagesParameters(model=IMAGEN, prompt="a cat", config=config)
    parameters = made.model_dump(exclude_none=True)
    said = google(lambda *args: _converted(models._GenerateImagesParameters_to_vertex, *args), parameters)
    return {"instances": said["instances"], "parameters": said["parameters"]}


def _converted(convert, client, parameters, parent, root):
    return convert(client, parameters, parent, root)


@pytest.mark.parametrize(
    ("fields", "config", "dropped"),
    [
        ({}, {}, ()),
        ({"n": 3, "size": "auto", "quality": "auto", "background": "auto"}, {"number_of_images": 3}, ()),
        ({"size": "1024x1024"}, {"aspect_ratio": "1:1"}, ()),
        ({"size": "1792x1024"}, {"aspect_ratio": "16:9"}, ("size",)),
        ({"size": "1536x1024"}, {"aspect_ratio": "4:3"}, ("size",)),
        ({"size": "2048x2048"}, {"aspect_ratio": "1:1", "image_size": "2K"}, ()),
        (
            {"output_format": "jpeg", "output_compression": 80},
            {"output_mime_type": "image/jpeg", "output_compression_quality": 80},
            (),
        ),
        ({"output_format": "webp", "background": "transparent"}, {}, ("background", "output_format")),
        (
            {"aspect_ratio": "9:16", "seed": 7, "negative_prompt": "dogs", "add_watermark": False, "user": "u"},
            {"aspect_ratio": "9:16", "seed": 7, "negative_prompt": "dogs", "add_watermark": False},
            ("user",),
        ),
    ],
)
def test_what_imagen_is_sent(sent, fields, config, dropped):
    body, left = sent(IMAGEN, **fields)

    assert body == imagen(**config)
    assert sorted(left) == sorted(dropped)


def test_what_imagen_is_sent_to_edit(sent):
    """What Google's client makes of a picture and a mask of the user's own."""
    raw = types.RawReferenceImage(reference_id=1, reference_image=types.Image(image_bytes=PNG, mime_type="image/png"))
    mask = types.MaskReferenceImage(
        reference_id=2,
        reference_image=types.Image(image_bytes=JPEG, mime_type="image/jpeg"),
        config=types.MaskReferenceConfig(mask_mode="MASK_MODE_USER_PROVIDED"),
    )
    body, _ = sent(EDITOR, files=(IMAGE, MASK), n=2)

    parameters = {
        "model": EDITOR,
        "prompt": "a cat",
        "reference_images": [_api(raw), _api(mask)],
        "config": {"number_of_images": 2, "edit_mode": "EDIT_MODE_INPAINT_INSERTION"},
    }
    said = google(lambda *args: _converted(models._EditImageParameters_to_vertex, *args), parameters)
    assert body == {"instances": said["instances"], "parameters": said["parameters"]}
    assert sent(EDITOR, files=(IMAGE,))[0]["parameters"]["editMode"] == "EDIT_MODE_DEFAULT"


def _api(image):
    fields = {name: value for name, value in vars(image).items() if value is not None}
    fields["reference_image"] = image.reference_image.model_dump(exclude_none=True)
    if "mask_image_config" in fields:
        fields["mask_image_config"] = image.mask_image_config.model_dump(exclude_none=True, mode="json")
    return fields


@pytest.mark.parametrize(
    ("model", "vertex", "fields", "config", "dropped"),
    [
        (FLASH, False, {}, {}, ()),
        (FLASH, False, {"size": "1024x1536"}, {"imageConfig": {"aspectRatio": "2:3"}}, ()),
        (FLASH, False, {"size": "4096x4096", "seed": 7}, {"imageConfig": {"aspectRatio": "1:1"}, "seed": 7}, ()),
        (THREE, False, {"size": "4096x4096"}, {"imageConfig": {"aspectRatio": "1:1", "imageSize": "4K"}}, ()),
        (FLASH, False, {"output_format": "jpeg", "quality": "hd"}, {}, ("output_format", "quality")),
        (
            FLASH,
            True,
            {"output_format": "jpeg"},
            {"imageConfig": {"imageOutputOptions": {"mimeType": "image/jpeg"}}},
            (),
        ),
        (FLASH, True, {"output_format": "webp"}, {}, ("output_format",)),
    ],
)
def test_what_gemini_is_sent(sent, model, vertex, fields, config, dropped):
    body, left = sent(model, vertex=vertex, **fields)

    assert body == {
        "contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
        "generationConfig": {"responseModalities": ["TEXT", "IMAGE"], **config},
    }
    types.GenerationConfig.model_validate({k: v for k, v in body["generationConfig"].items() if k != "imageConfig"})
    types.ImageConfig.model_validate(body["generationConfig"].get("imageConfig", {}))
    assert sorted(left) == sorted(dropped)


def test_what_gemini_is_sent_to_edit(sent):
    """What a picture is, its first bytes say."""
    body, _ = sent(FLASH, vertex=False, files=(IMAGE, FormPart("image[]", JPEG, "b")), n=1)

    assert body["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": PNG_64}},
        {"inlineData": {"mimeType": "image/jpeg", "data": JPEG_64}},
        {"text": "a cat"},
    ]
    types.Content.model_validate(body["contents"][0])


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        (IMAGEN, {"prompt": ""}, "prompt"),
        (IMAGEN, {"n": 5}, "n"),
        (IMAGEN, {"n": 0}, "n"),
        (FLASH, {"n": 2}, "n"),
        (FLASH, {"stream": True}, "stream"),
        (FLASH, {"response_format": "url"}, "response_format"),
        (FLASH, {"size": "large"}, "size"),
        (FLASH, {"size": "0x0"}, "size"),
        (FLASH, {"aspect_ratio": "7:3"}, "aspect_ratio"),
        (FLASH, {"files": (IMAGE, MASK)}, "mask"),
        (FLASH, {"files": (MASK,)}, "image"),
        (FLASH, {"files": (IMAGE,), "varies": True}, None),
        (IMAGEN, {"files": (IMAGE,), "vertex": False}, "model"),
    ],
)
def test_refused(sent, model, fields, param):
    with pytest.raises(BadRequest) as refused:
        sent(model, **fields)

    assert refused.value.param == param


def read(model, said):
    reading = ToPictures(is_vertex=True, clock=lambda: 5.5).reading(model)
    data = json.dumps(said).encode()
    for at in range(len(data)):
        assert reading.feed(data[at : at + 1]) == b""
    answer = json.loads(reading.end())
    ImagesResponse.model_validate(answer)
    return answer, reading.usage()


def test_what_imagen_answers():
    made = {"bytesBase64Encoded": PNG_64, "mimeType": "image/png"}

    answer, usage = read(IMAGEN, {"predictions": [made, {"raiFilteredReason": "no"}, {**made, "prompt": "a big cat"}]})

    assert answer == {
        "created": 5,
        "data": [{"b64_json": PNG_64}, {"b64_json": PNG_64, "revised_prompt": "a big cat"}],
        "output_format": "png",
    }
    assert usage == Usage(images=2)


def test_what_gemini_answers():
    """Thoughts may hold sketches, which are not the picture."""
    sketch = {"thought": True, "inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    made = {"inlineData": {"mimeType": "image/jpeg", "data": JPEG_64}}
    used = {"promptTokenCount": 4, "candidatesTokenCount": 1290, "thoughtsTokenCount": 3, "totalTokenCount": 1297}
    candidate = {"content": {"parts": [{"text": "Here."}, sketch, made]}, "finishReason": "STOP"}

    answer, usage = read(FLASH, {"candidates": [candidate], "usageMetadata": used})

    assert answer == {
        "created": 5,
        "data": [{"b64_json": JPEG_64}],
        "output_format": "jpeg",
        "usage": {
            "input_tokens": 4,
            "input_tokens_details": {"text_tokens": 4, "image_tokens": 0},
            "output_tokens": 1293,
            "output_tokens_details": {"text_tokens": 3, "image_tokens": 1290},
            "total_tokens": 1297,
        },
    }
    assert usage == Usage(input=4, reasoning=3, image_output=1290, images=1)


def said(reason, *parts, **more):
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": reason, **more}]}


@pytest.mark.parametrize(
    ("model", "answer", "kind", "message"),
    [
        (IMAGEN, {"predictions": [{"raiFilteredReason": "no cats"}]}, Refused, "no cats"),
        (IMAGEN, {}, Refused, "safety filters"),
        (FLASH, {"promptFeedback": {"blockReason": "SAFETY"}}, Refused, "The prompt was blocked"),
        (FLASH, said("IMAGE_SAFETY", finishMessage="not this"), Refused, "not this"),
        (FLASH, said("PROHIBITED_CONTENT"), Refused, "PROHIBITED_CONTENT"),
        (FLASH, said("NO_IMAGE"), BrokeOff, "NO_IMAGE"),
        (FLASH, said("STOP", {"text": "I cannot draw."}), BrokeOff, "I cannot draw."),
        (FLASH, {"candidates": []}, BrokeOff, "no pictures"),
        (IMAGEN, {"predictions": 7}, BrokeOff, "no pictures"),
    ],
)
def test_what_is_no_picture(model, answer, kind, message):
    with pytest.raises(kind, match=message):
        read(model, answer)
