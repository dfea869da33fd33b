"""OpenAI's images APIs as bodies of InvokeModel."""

import json

import pytest
from gateway_aws.pictures import ToPictures
from openai.types import ImagesResponse

from gateway.contract import FormPart
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff, Refused
from gateway.wire.inlined import inlined

NOVA, TITAN = "amazon.nova-canvas-v1:0", "amazon.titan-image-generator-v2:0"
LARGE, CORE, ULTRA = (
    "stability.sd3-5-large-v1:0",
    "stability.stable-image-core-v1:1",
    "stability.stable-image-ultra-v1:1",
)
INPAINT = "us.stability.stable-image-inpaint-v1:0"
IMAGE, MASK = FormPart("image", b"\x89PNG", "a"), FormPart("mask", b"\xff\xd8\xff", "m")
PNG, JPEG = "iVBORw==", "/9j/"


@pytest.fixture
def sent(picture):
    def make(model, **fields):
        made, dropped = ToPictures().request(picture(**fields), model)
        length, data = inlined(made, "0" * 32)
        assert len(data) == length
        return json.loads(data), dropped

    return make


@pytest.mark.parametrize(
    ("model", "fields", "config", "dropped"),
    [
        (NOVA, {}, {"numberOfImages": 1}, ()),
        (NOVA, {"n": 5, "size": "1536x1024"}, {"numberOfImages": 5, "width": 1536, "height": 1024}, ()),
        (NOVA, {"size": "256x250"}, {"numberOfImages": 1, "width": 320, "height": 320}, ("size",)),
        (NOVA, {"quality": "high", "seed": 7}, {"numberOfImages": 1, "quality": "premium", "seed": 7}, ()),
        (
            NOVA,
            {"quality": "medium", "cfg_scale": 8},
            {"numberOfImages": 1, "quality": "standard", "cfgScale": 8.0},
            (),
        ),
        (NOVA, {"quality": "superb", "output_format": "webp"}, {"numberOfImages": 1}, ("output_format", "quality")),
        (TITAN, {"size": "1024x1024"}, {"numberOfImages": 1, "width": 1024, "height": 1024}, ()),
        (TITAN, {"size": "1536x1024"}, {"numberOfImages": 1, "width": 1152, "height": 768}, ("size",)),
        (TITAN, {"size": "256x256"}, {"numberOfImages": 1, "width": 512, "height": 512}, ("size",)),
        (NOVA, {"style": "vivid", "user": "u"}, {"numberOfImages": 1}, ("style", "user")),
    ],
)
def test_what_amazons_models_are_sent(sent, model, fields, config, dropped):
    body, left = sent(model, **fields)

    assert body == {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"text": "a cat"},
        "imageGenerationConfig": config,
    }
    assert sorted(left) == sorted(dropped)


def test_what_only_amazon_has_goes_on(sent):
    body, left = sent(NOVA, negative_prompt="dogs", style="PHOTOREALISM")

    assert body["textToImageParams"] == {"text": "a cat", "negativeText": "dogs", "style": "PHOTOREALISM"}
    assert left == ()


@pytest.mark.parametrize(
    ("fields", "task"),
    [
        (
            {"files": (IMAGE, MASK)},
            {"taskType": "INPAINTING", "inPaintingParams": {"text": "a cat", "image": PNG, "maskImage": JPEG}},
        ),
        (
            {"files": (IMAGE, IMAGE), "similarity_strength": 0.5},
            {
                "taskType": "IMAGE_VARIATION",
                "imageVariationParams": {"text": "a cat", "images": [PNG, PNG], "similarityStrength": 0.5},
            },
        ),
        (
            {"files": (IMAGE,), "prompt": "", "varies": True},
            {"taskType": "IMAGE_VARIATION", "imageVariationParams": {"images": [PNG]}},
        ),
    ],
)
def test_what_amazons_models_are_sent_to_edit(sent, fields, task):
    assert sent(NOVA, **fields) == ({**task, "imageGenerationConfig": {"numberOfImages": 1}}, ())


@pytest.mark.parametrize(
    ("model", "fields", "body", "dropped"),
    [
        (LARGE, {}, {"output_format": "png"}, ()),
        (
            CORE,
            {"size": "1792x1024", "output_format": "jpeg", "quality": "hd", "seed": 7, "negative_prompt": "dogs"},
            {"aspect_ratio": "16:9", "output_format": "jpeg", "seed": 7, "negative_prompt": "dogs"},
            ("quality", "size"),
        ),
        (ULTRA, {"aspect_ratio": "9:21", "output_format": "webp"}, {"aspect_ratio": "9:21", "output_format": "png"},
         ("output_format",)),
        (
            LARGE,
            {"files": (IMAGE,), "size": "1024x1024"},
            {"image": PNG, "strength": 0.7, "mode": "image-to-image", "output_format": "png"},
            ("size",),
        ),
        (ULTRA, {"files": (IMAGE,), "strength": 0.2}, {"image": PNG, "strength": 0.2, "output_format": "png"}, ()),
        (INPAINT, {"files": (IMAGE, MASK)}, {"image": PNG, "mask": JPEG, "output_format": "png"}, ()),
    ],
)  # fmt: skip
def test_what_stabilitys_models_are_sent(sent, model, fields, body, dropped):
    assert sent(model, **fields)[0] == {"prompt": "a cat", **body}
    assert sorted(sent(model, **fields)[1]) == sorted(dropped)


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        ("anthropic.claude-sonnet-4", {}, "model"),
        (NOVA, {"n": 6}, "n"),
        (NOVA, {"response_format": "url"}, "response_format"),
        (NOVA, {"files": (IMAGE, IMAGE, MASK)}, "image"),
        (LARGE, {"n": 2}, "n"),
        (LARGE, {"files": (IMAGE, IMAGE)}, "image"),
        (LARGE, {"files": (IMAGE, MASK)}, "mask"),
        (LARGE, {"files": (IMAGE,), "prompt": "", "varies": True}, "image"),
        (CORE, {"files": (IMAGE,)}, "image"),
        (INPAINT, {}, "model"),
    ],
)
def test_refused(sent, model, fields, param):
    with pytest.raises(BadRequest) as refused:
        sent(model, **fields)

    assert refused.value.param == param


def read(said):
    reading = ToPictures(clock=lambda: 5.5).reading()
    data = json.dumps(said).encode()
    for at in range(len(data)):
        assert reading.feed(data[at : at + 1]) == b""
    answer = json.loads(reading.end())
    ImagesResponse.model_validate(answer)
    return answer, reading.usage()


@pytest.mark.parametrize(
    ("said", "pictures", "form"),
    [
        ({"images": [PNG, PNG], "error": None}, [PNG, PNG], "png"),
        ({"images": [PNG], "error": "one of them was held back"}, [PNG], "png"),
        ({"seeds": [1], "finish_reasons": [None], "images": [JPEG]}, [JPEG], "jpeg"),
    ],
)
def test_what_they_answer(said, pictures, form):
    answer, usage = read(said)

    assert answer == {"created": 5, "data": [{"b64_json": each} for each in pictures], "output_format": form}
    assert usage == Usage(images=len(pictures))


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ({"images": [], "error": "not this"}, Refused, "not this"),
        ({"images": None, "error": "not this"}, Refused, "not this"),
        ({"images": None, "finish_reasons": None}, BrokeOff, "no pictures"),
        ({"finish_reasons": ["Filter reason: prompt"]}, Refused, "Filter reason: prompt"),
        ({"images": []}, BrokeOff, "no pictures"),
        ([], BrokeOff, "no pictures"),
    ],
)
def test_what_is_no_picture(said, kind, message):
    with pytest.raises(kind, match=message):
        read(said)
