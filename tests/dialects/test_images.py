"""The APIs for pictures."""

import json

import pytest

from gateway.contract import Head
from gateway.contract.usage import Usage
from gateway.dialects import IMAGE_EDITS, IMAGE_VARIATIONS, IMAGES
from gateway.errors import BadRequest

SAID = {"input_tokens": 9, "input_tokens_details": {"text_tokens": 4, "image_tokens": 5}, "output_tokens": 272}


@pytest.mark.parametrize(
    ("fields", "tokens", "pictures"),
    [
        ({}, 6240, (1, None, None)),
        ({"quality": "auto", "size": "auto"}, 6240, (1, None, None)),
        ({"quality": "low"}, 408, (1, None, "low")),
        ({"quality": "low", "size": "1024x1024"}, 272, (1, "1024x1024", "low")),
        ({"quality": "medium", "size": "1536x1024"}, 1568, (1, "1536x1024", "medium")),
        ({"quality": "high", "size": "1024x1024", "n": 3}, 12480, (3, "1024x1024", "high")),
        ({"quality": "standard", "size": "256x256"}, 1056, (1, "256x256", "standard")),
        ({"quality": "HD", "size": "1792x1024"}, 6240, (1, "1792x1024", "hd")),
        ({"quality": ["?"], "size": 1, "n": "2"}, 12480, (2, None, None)),
        ({"quality": 33 * "q", "size": "1024 x 1024"}, 6240, (1, None, None)),
    ],
)
def test_pictures_are_reserved_by_size_and_quality(asked, fields, tokens, pictures):
    """In tokens the most that it can be, where the model decides; or as pictures, which have a price of their own.
    What no price could name is not kept: callers may write books there."""
    ask = asked(IMAGES, model="a/m", prompt="a cat on a mat", **fields)

    images, size, quality = pictures
    assert ask.expected == (
        Usage(input=5, image_output=tokens),
        Usage(images=images, image_size=size, image_quality=quality),
    )
    assert (ask.model, ask.stream, ask.has_output) == ("a/m", False, False)


def test_of_a_form_the_same(asked):
    ask = asked(IMAGE_EDITS, files=[b"a", b"b"], model="a/m", prompt="a hat", quality="low", n=2, stream="true")

    assert ask.expected == (
        Usage(input=2, image_input=2000, image_output=816),
        Usage(images=2, image_quality="low"),
    )
    assert (ask.model, ask.stream) == ("a/m", True)
    assert asked(IMAGE_VARIATIONS, files=[b"a"], model="a/m", n="many").expected == (
        Usage(input=1, image_input=1000, image_output=6240),
        Usage(images=1),
    )


@pytest.mark.parametrize("size", [1, 1000, 10**6])
@pytest.mark.parametrize("pixels", [10, 600_000])
def test_what_was_used(used, pixels, size):
    """Pictures of any size are looked at in passing."""
    answer = {"created": 1, "data": [{"b64_json": pixels * "A"}], "usage": SAID}
    size = max(size, pixels // 1000)

    assert used(IMAGES, json.dumps(answer).encode(), size=size) == Usage(
        input=4, image_input=5, image_output=272, images=1
    )


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (
            {**SAID, "output_tokens_details": {"image_tokens": 200, "text_tokens": 72}},
            Usage(input=4, image_input=5, output=72, image_output=200, images=1),
        ),
        (None, Usage(images=1)),
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

    assert usage == Usage(input=4, image_input=5, image_output=272, images=1)


TELLS = {
    "created": 1,
    "background": "opaque",
    "data": [],
    "size": "1024x1536",
    "quality": "high",
    "output_format": "png",
}


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        ({**TELLS, "data": 2 * [{"b64_json": "AA=="}]}, Usage(images=2, image_size="1024x1536", image_quality="high")),
        ({"data": 3 * [{"url": "https://x/1.png", "b64_json": None}]}, Usage(images=3)),
        ({"data": [{"url": "https://x/1.png", "b64_json": "AA=="}]}, Usage(images=1)),
        ({"data": [{"url": "u", "revised_prompt": 'say "b64_json": "A", "size": "1x1"'}]}, Usage(images=1)),
        ({"data": [{"url": "u"}], "quality": "auto", "size": "a b"}, Usage(images=1)),
        ({**TELLS, "data": [{"b64_json": ""}, {"url": None}]}, None),
        (TELLS, None),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_pictures_are_counted_where_nobody_counts_tokens(used, answer, usage, size):
    """Of what size and quality they are, the answer knows better than the request. A prompt that is told again cannot
    pass for more of them."""
    assert used(IMAGES, json.dumps(answer).encode(), size=size) == usage
    assert used(IMAGES, json.dumps(answer, indent=2).encode(), size=size) == usage


@pytest.mark.parametrize("size", [1, 1000])
def test_pictures_of_a_stream_are_counted_when_they_are_done(used, size):
    """Not those that come before, to be looked at."""
    told = {"b64_json": 300 * "A", "size": "1024x1024", "quality": "low"}
    partial = {"type": "image_generation.partial_image", "partial_image_index": 0, **told}
    completed = {"type": "image_generation.completed", **told}
    data = b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in (partial, partial, completed, completed))

    usage = used(IMAGES, data, size=size, content_type="text/event-stream", is_stream=True, stream=True)

    assert usage == Usage(images=2, image_size="1024x1024", image_quality="low")


@pytest.mark.parametrize(("is_stream", "size"), [(False, 300_000), (False, 10), (True, 10)])
def test_what_was_cut_tells_no_number_of_pictures(is_stream, size):
    """There may have been more to come, which the provider has made and takes money for."""
    reading = IMAGES.reading(None, Head(200, {}, is_stream=is_stream))

    begin = b'data: {"type":"image_generation.completed",' if is_stream else b'{"data":['

    reading.feed(begin + b'{"b64_json":"%b"}' % (size * b"A"))

    assert reading.usage() is None


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
