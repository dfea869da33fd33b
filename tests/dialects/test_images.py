"""The APIs for pictures."""

import json

import pytest

from gateway.contract.usage import Usage
from gateway.dialects import IMAGE_EDITS, IMAGE_VARIATIONS, IMAGES
from gateway.errors import BadRequest

SAID = {"input_tokens": 9, "input_tokens_details": {"text_tokens": 4, "image_tokens": 5}, "output_tokens": 272}


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, 6240),
        ({"quality": "auto", "size": "auto"}, 6240),
        ({"quality": "low"}, 408),
        ({"quality": "low", "size": "1024x1024"}, 272),
        ({"quality": "medium", "size": "1536x1024"}, 1568),
        ({"quality": "high", "size": "1024x1024", "n": 3}, 12480),
        ({"quality": "standard", "size": "256x256"}, 1056),
        ({"quality": "hd", "size": "1792x1024"}, 6240),
        ({"quality": ["?"], "size": 1, "n": "2"}, 12480),
    ],
)
def test_pictures_are_reserved_by_size_and_quality(asked, fields, tokens):
    """The most that it can be, where the model decides."""
    ask = asked(IMAGES, model="a/m", prompt="a cat on a mat", **fields)

    assert ask.expected == (Usage(input=5, image_output=tokens),)
    assert (ask.model, ask.stream, ask.has_output) == ("a/m", False, False)


def test_of_a_form_the_same(asked):
    ask = asked(IMAGE_EDITS, files=[b"a", b"b"], model="a/m", prompt="a hat", quality="low", n=2, stream="true")

    assert ask.expected == (Usage(input=2, image_input=2000, image_output=816),)
    assert (ask.model, ask.stream) == ("a/m", True)
    assert asked(IMAGE_VARIATIONS, files=[b"a"], model="a/m", n="many").expected == (
        Usage(input=1, image_input=1000, image_output=6240),
    )


@pytest.mark.parametrize("size", [1, 1000, 10**6])
@pytest.mark.parametrize("pixels", [10, 600_000])
def test_what_was_used(used, pixels, size):
    """Pictures of any size are looked at in passing."""
    answer = {"created": 1, "data": [{"b64_json": pixels * "A"}], "usage": SAID}
    size = max(size, pixels // 1000)

    assert used(IMAGES, json.dumps(answer).encode(), size=size) == Usage(input=4, image_input=5, image_output=272)


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (
            {**SAID, "output_tokens_details": {"image_tokens": 200, "text_tokens": 72}},
            Usage(input=4, image_input=5, output=72, image_output=200),
        ),
        (None, None),
    ],
)
def test_what_providers_tell_apart_or_not_at_all(used, said, usage):
    assert used(IMAGES, json.dumps({"data": [{"url": "https://x"}], "usage": said}).encode()) == usage


def test_the_last_event_says_what_was_used(used):
    partial = {"type": "image_edit.partial_image", "b64_json": 200_000 * "A"}
    completed = {"type": "image_edit.completed", "b64_json": 200_000 * "A", "usage": SAID}
    data = b"".join(
        b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in (partial, completed)
    )

    usage = used(IMAGE_EDITS, data, content_type="text/event-stream", is_stream=True, files=[b"a"])

    assert usage == Usage(input=4, image_input=5, image_output=272)


@pytest.mark.parametrize(
    ("dialect", "files", "fields", "message"),
    [
        (IMAGES, None, {}, '"model" is missing'),
        (IMAGES, None, {"model": 5}, '"model" is not valid'),
        (IMAGES, None, {"model": 513 * "m"}, "at most 512 characters"),
        (IMAGE_EDITS, [], {}, '"model" is missing'),
        (IMAGE_EDITS, [], {"model": 513 * "m"}, "at most 512 characters"),
    ],
)
def test_what_names_no_model(asked, dialect, files, fields, message):
    with pytest.raises(BadRequest, match=message):
        asked(dialect, files=files, **fields)
