"""OpenAI's images API: made, edited and varied.

Source: openai-python 3.54 (resources/images.py); "Image generation" in developers.openai.com/api/docs/guides, which has
the tokens of a picture by size and quality; read 2026-11.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from gateway.contract import Ask, Call, FormBody, Head, JsonBody, Reading, Request
from gateway.contract.request import Body
from gateway.contract.usage import Usage
from gateway.dialects.errors import OpenAIErrors
from gateway.dialects.fields import FLAG, form_count, form_flag, form_model, largest, model_of, read, text_of
from gateway.dialects.forms import MAX_FORM_BYTES
from gateway.dialects.openai import BYTES_PER_TOKEN, FILE_TOKENS
from gateway.wire.openai import BodyReading
from gateway.wire.pictures import PicturesSeen, pictured, trait
from gateway.wire.typed_events import TypedStreamReading

TOKENS = {
    "low": {"1024x1024": 272, "1024x1536": 408, "1536x1024": 400},
    "medium": {"1024x1024": 1056, "1024x1536": 1584, "1536x1024": 1568},
    "high": {"1024x1024": 4160, "1024x1536": 6240, "1536x1024": 6208},
}
"""Of one picture of gpt-image-1."""
MOST_TOKENS = 6240
"""Of a picture whose size or quality is left to the model."""
_SMALL = ("256x256", "512x512")


class ImageGenerations(OpenAIErrors):
    """A `Dialect`: pictures of a prompt."""

    name = "images"
    routes: Sequence[tuple[str, str]] = (("POST", "/images/generations"),)
    model_type = "image"
    accepts: type[Body] | None = JsonBody
    max_body_bytes: int | None = None

    def parse(self, request: Request) -> Ask:
        body = request.body
        assert isinstance(body, JsonBody)
        fields = body.fields
        size, quality = text_of(fields, "size"), text_of(fields, "quality")
        prompt = len(memoryview(fields["prompt"])) if "prompt" in fields else 0
        return _ask(
            model_of(fields),
            stream="stream" in fields and bool(read(fields, "stream", FLAG)),
            prompt_bytes=prompt,
            made=made(largest(fields, ("n",)) or 1, size, quality),
        )

    def reading(self, call: Call, head: Head) -> Reading:
        return image_reading(head)


class ImageForms(OpenAIErrors):
    """A `Dialect`: pictures of pictures, which are sent in a form."""

    model_type = "image"
    accepts: type[Body] | None = FormBody
    max_body_bytes: int | None = MAX_FORM_BYTES

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.routes: Sequence[tuple[str, str]] = (("POST", path),)

    def parse(self, request: Request) -> Ask:
        form = request.body
        assert isinstance(form, FormBody)
        return _ask(
            form_model(form),
            stream=form_flag(form, "stream"),
            prompt_bytes=len((form.text("prompt") or "").encode()),
            pictures=sum(part.filename is not None for part in form.parts),
            made=made(form_count(form, "n"), form.text("size"), form.text("quality")),
        )

    def reading(self, call: Call, head: Head) -> Reading:
        return image_reading(head)


class Made(NamedTuple):
    """What a request for pictures will use, in tokens, or in pictures."""

    tokens: int
    pictures: Usage


def made(count: int, size: str | None, quality: str | None) -> Made:
    return Made(count * picture_tokens(size, quality), pictured(None, count, trait(size), trait(quality)))


def picture_tokens(size: str | None, quality: str | None) -> int:
    """Of one that is made. What is not known here may be as large as any."""
    by_size = TOKENS.get({"standard": "medium", "hd": "high"}.get(quality or "", quality or ""))
    if by_size is None:
        return MOST_TOKENS
    return by_size.get("1024x1024" if size in _SMALL else size or "", max(by_size.values()))


def image_reading(head: Head) -> Reading:
    return _ImageStream() if head.is_stream else _ImageBody()


class _ImageBody(BodyReading):
    """Pictures are counted once all are there: of an answer that was cut, there may have been more to come."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = PicturesSeen(is_stream=False)
        self._has_ended = False

    def feed(self, data: bytes) -> bytes:
        self._seen.feed(data)
        return super().feed(data)

    def end(self) -> bytes:
        self._has_ended = True
        return super().end()

    def usage(self) -> Usage | None:
        told = _of_pictures(super().usage())
        return self._seen.beside(told) if self._has_ended else told


class _ImageStream(TypedStreamReading):
    def __init__(self) -> None:
        super().__init__(("image_generation.completed", "image_edit.completed"))
        self._seen = PicturesSeen(is_stream=True)

    def feed(self, data: bytes) -> bytes:
        self._seen.feed(data)
        return super().feed(data)

    def usage(self) -> Usage | None:
        told = _of_pictures(super().usage())
        return self._seen.beside(told) if self._has_ended or self.is_over else told


def _of_pictures(usage: Usage | None) -> Usage | None:
    """What comes out is a picture, unless the provider tells the two apart."""
    if usage is None or usage.image_output:
        return usage
    return msgspec.structs.replace(usage, output=0, image_output=usage.output)


def _ask(model: str, *, stream: bool, prompt_bytes: int, made: Made, pictures: int = 0) -> Ask:
    text = prompt_bytes // BYTES_PER_TOKEN + 1
    expected = Usage(input=text, image_input=pictures * FILE_TOKENS, image_output=made.tokens)
    return Ask(
        model,
        stream=stream,
        wants_usage=True,
        input_tokens=expected.input_tokens,
        has_output=False,
        expected=(expected, made.pictures),
    )


IMAGES = ImageGenerations()
IMAGE_EDITS = ImageForms("image_edits", "/images/edits")
IMAGE_VARIATIONS = ImageForms("image_variations", "/images/variations")
