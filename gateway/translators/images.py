"""Pictures: what callers of OpenAI's images APIs ask for, and what they get, for vendors with an API of their own.

    asked = pictures_of(call, most=4)                       of a prompt, or of pictures in a form
    nearest(asked, RATIOS)                                  a size in pixels -> the vendor's way of saying it
    PicturesReading(created_s, read)                        the answer, from base64

Source: as in `gateway.dialects.images`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from math import log
from typing import NamedTuple

import msgspec

from gateway.contract import Call, FormBody, FormPart, JsonBody
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff
from gateway.translators.chat import ChatRequest
from gateway.translators.reading import DocumentReading
from gateway.wire.pictures import pictured

DIALECTS = ("images", "image_edits", "image_variations")

_SIZE = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})")
_AUTO = ("background", "moderation")
"""Fields that say nothing when they are left to the model."""
_FILES = ("image", "image[]")
_SIGNATURES = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_encode = msgspec.json.encode


class Pictures(msgspec.Struct, frozen=True):
    """
    Args:
        request: for fields that only some vendors have; it knows which were left.
        prompt: empty: there is none, as with variations.
        count: how many are wanted.
        size: width and height, pixels; None: as the model likes.
        quality, format: None: the same; `png`, `jpeg`, `webp`.
        images: to be edited or varied.
        mask: where to.
    """

    request: ChatRequest
    prompt: str
    count: int
    size: tuple[int, int] | None
    quality: str | None
    format: str | None
    images: tuple[FormPart, ...]
    mask: FormPart | None


def pictures_of(call: Call, *, most: int) -> Pictures:
    """
    Args:
        most: pictures that the model makes for one request.

    Raises:
        BadRequest: it asks for something that only OpenAI has.
    """
    body = call.request.body
    form = body if isinstance(body, FormBody) else FormBody(())
    request = ChatRequest(call if form is not body else _with_texts(call, form))
    if call.ask.stream:
        raise BadRequest("this model does not stream pictures: leave out stream", param="stream")
    if (request.take("response_format", str) or "b64_json") != "b64_json":
        raise BadRequest(
            "this model gives pictures as base64 only, and nobody keeps them at a url: set response_format to b64_json",
            param="response_format",
        )
    prompt = request.take("prompt", str) or ""
    if not prompt and call.dialect.name != "image_variations":
        raise BadRequest("prompt must be a text, and not empty", param="prompt")
    count = request.take("n", int)
    if count is not None and not 1 <= count <= most:
        said = f"from 1 to {most}" if most > 1 else "1, or be left out: this model makes one picture for each request"
        raise BadRequest(f"n must be {said}", param="n")
    for name in _AUTO:
        if request.take(name, str) not in (None, "auto"):
            request.drop(name)
    files = [part for part in form.parts if part.filename is not None]
    images = tuple(part for part in files if part.name in _FILES)
    if not images and call.dialect.name != "images":
        raise BadRequest("image must be a file", param="image")
    return Pictures(
        request,
        prompt,
        count or 1,
        _size(request.take("size", str)),
        _given(request.take("quality", str)),
        request.take("output_format", str),
        images,
        next((part for part in files if part.name == "mask"), None),
    )


def _with_texts(call: Call, form: FormBody) -> Call:
    """Its texts as the fields of a JSON body. Of two of one name the first counts, as everywhere in the gateway."""
    texts = {part.name: part.beginning.decode(errors="replace") for part in form.parts[::-1] if part.filename is None}
    body = JsonBody({name: msgspec.Raw(_encode(text)) for name, text in texts.items()})
    return msgspec.structs.replace(call, request=msgspec.structs.replace(call.request, body=body))


def _size(text: str | None) -> tuple[int, int] | None:
    if _given(text) is None:
        return None
    found = _SIZE.fullmatch(text or "")
    if found is None:
        raise BadRequest("size must be WIDTHxHEIGHT in pixels, such as 1024x1024, or auto", param="size")
    return int(found[1]), int(found[2])


def _given(text: str | None) -> str | None:
    return None if text == "auto" else text


def nearest(asked: Pictures, ratios: Sequence[str]) -> str | None:
    """The aspect ratio of those, such as `16:9`, that is most like the size; `aspect_ratio` goes before it. None: as
    the model likes.

    What is not the same is noted as left out. Raises BadRequest: there is no such ratio.
    """
    said = asked.request.take("aspect_ratio", str)
    if said is not None:
        if said not in ratios:
            raise BadRequest(f"aspect_ratio must be one of {', '.join(ratios)}", param="aspect_ratio")
        return said
    if asked.size is None:
        return None
    wanted = log(asked.size[0] / asked.size[1])
    found = min(ratios, key=lambda ratio: abs(_log_of(ratio) - wanted))
    if abs(_log_of(found) - wanted) > 0.01:
        asked.request.drop("size")
    return found


def _log_of(ratio: str) -> float:
    width, _, height = ratio.partition(":")
    return log(int(width) / int(height))


def media_type_of(part: FormPart) -> str:
    """By its first bytes; what clients say of it is mostly guessed from a name."""
    start = part.beginning[:12]
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        return "image/webp"
    known = next((media_type for signature, media_type in _SIGNATURES if start.startswith(signature)), None)
    return known or part.content_type or "image/png"


class Picture(NamedTuple):
    """`data`: base64. `prompt`: as the model has understood it."""

    data: str
    media_type: str = "image/png"
    prompt: str | None = None


Made = tuple[Sequence[Picture], Usage | None]


class PicturesReading(DocumentReading):
    """
    Args:
        created_s: when it is read, seconds since 1970.
        read: the body of an answer -> its pictures, and what it says was used. Raises what msgspec raises, and
            UpstreamError.
    """

    def __init__(self, created_s: float, read: Callable[[bytes], Made]) -> None:
        super().__init__()
        self._created_s = created_s
        self._read = read

    def document(self, body: bytes) -> bytes:
        try:
            pictures, self.told_usage = self._read(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BrokeOff("the provider's answer holds no pictures") from error
        if not pictures:
            raise BrokeOff("the provider's answer holds no pictures")
        data = [
            {"b64_json": each.data} | ({"revised_prompt": each.prompt} if each.prompt is not None else {})
            for each in pictures
        ]
        answer = {
            "created": int(self._created_s),
            "data": data,
            "output_format": pictures[0].media_type.removeprefix("image/"),
        }
        if self.told_usage is not None:
            answer["usage"] = _usage_fields(self.told_usage)
        self.told_usage = pictured(self.told_usage, len(pictures))
        return _encode(answer)


def _usage_fields(usage: Usage) -> Mapping[str, object]:
    into, out = usage.input_tokens, usage.output_tokens
    return {
        "input_tokens": into,
        "input_tokens_details": {"text_tokens": into - usage.image_input, "image_tokens": usage.image_input},
        "output_tokens": out,
        "output_tokens_details": {"text_tokens": out - usage.image_output, "image_tokens": usage.image_output},
        "total_tokens": into + out,
    }
