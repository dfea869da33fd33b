"""Pictures: OpenAI's images APIs in two of Google's, and back.

Imagen has `predict`. Gemini's image models have `generateContent`, as in a chat, and make one picture at a time.

Source: docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api and imagen-api-edit-lite;
ai.google.dev/gemini-api/docs/image-generation and /imagen; the converters in models.py of google-genai 3.6.1; read
2026-11.
"""

from collections.abc import Callable, Mapping
from time import time
from typing import Any

import msgspec

from gateway.contract import Call
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff, Refused
from gateway.translators.images import Made, Picture, Pictures, PicturesReading, media_type_of, nearest, pictures_of
from gateway.wire.google import TokenUsage
from gateway.wire.inlined import File
from gateway_google.models import traits_of
from gateway_google.reply import FILTERED, FINISH, failure_of, read

IMAGEN_RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9")
GEMINI_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
MOST = 4
"""Pictures of Imagen for one request."""
LARGE, LARGEST = 1800, 3000
"""Pixels of the longer side, from which on a picture is asked for in 2K, and in 4K."""

_OWN: Mapping[str, tuple[str, type]] = {
    "negative_prompt": ("negativePrompt", str),
    "guidance_scale": ("guidanceScale", float),
    "seed": ("seed", int),
    "person_generation": ("personGeneration", str),
    "safety_setting": ("safetySetting", str),
    "language": ("language", str),
    "add_watermark": ("addWatermark", bool),
    "enhance_prompt": ("enhancePrompt", bool),
}
"""The caller's name of a parameter of Imagen -> Google's."""


class ToPictures:
    """
    Args:
        is_vertex: on Vertex AI, which has more of it than the Gemini API.
        clock: seconds since 1970.
    """

    def __init__(self, *, is_vertex: bool, clock: Callable[[], float] = time) -> None:
        self._is_vertex = is_vertex
        self._clock = clock

    def request(self, call: Call, model: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The fields of a body, which may hold files, and what was left out.

        Raises:
            BadRequest: it asks for something that cannot be said here.
        """
        if call.dialect.name == "image_variations":
            raise BadRequest("this model varies nothing by itself: send the picture to /images/edits, with a prompt")
        asked = pictures_of(call, most=MOST if is_imagen(model) else 1)
        if asked.quality is not None:
            asked.request.drop("quality")
        fields = self._imagen(asked, model) if is_imagen(model) else self._gemini(asked, model)
        return fields, asked.request.dropped_params

    def reading(self, model: str) -> PicturesReading:
        return PicturesReading(self._clock(), _of_imagen if is_imagen(model) else _of_gemini)

    def _imagen(self, asked: Pictures, model: str) -> dict[str, Any]:
        instance: dict[str, Any] = {"prompt": asked.prompt}
        parameters = {
            "sampleCount": asked.count,
            "aspectRatio": nearest(asked, IMAGEN_RATIOS),
            "sampleImageSize": _resolution(asked, most="2K") if "imagen-4" in model and "fast" not in model else None,
            "outputOptions": _output(asked),
            **{name: asked.request.take(own, kind) for own, (name, kind) in _OWN.items()},
        }
        if asked.images:
            if not self._is_vertex:
                raise BadRequest("Imagen edits pictures on Vertex AI only", param="model")
            instance["referenceImages"] = _references(asked)
            parameters["editMode"] = "EDIT_MODE_INPAINT_INSERTION" if asked.mask is not None else "EDIT_MODE_DEFAULT"
        return {"instances": [instance], "parameters": _without_none(parameters)}

    def _gemini(self, asked: Pictures, model: str) -> dict[str, Any]:
        if asked.mask is not None:
            raise BadRequest("this model takes no mask: say in the prompt what is to be changed", param="mask")
        is_third = bool(traits_of(model).levels)
        options = {
            "aspectRatio": nearest(asked, GEMINI_RATIOS),
            "imageSize": _resolution(asked, most="4K") if is_third else None,
            "imageOutputOptions": _output(asked) if self._is_vertex else None,
        }
        if not self._is_vertex and asked.format not in (None, "png"):
            asked.request.drop("output_format")
        pictures = [{"inlineData": {"mimeType": media_type_of(part), "data": File(part)}} for part in asked.images]
        config = {
            "responseModalities": ["TEXT", "IMAGE"],  # some of its models refuse to say nothing
            "imageConfig": _without_none(options) or None,
            "seed": asked.request.take("seed", int),
        }
        contents = [{"role": "user", "parts": [*pictures, {"text": asked.prompt}]}]
        return {"contents": contents, "generationConfig": _without_none(config)}


def is_imagen(model: str) -> bool:
    return "imagen" in model


def _resolution(asked: Pictures, *, most: str) -> str | None:
    """None: 1K, which is usual."""
    longer = max(asked.size or (0, 0))
    if longer < LARGE:
        return None
    return "2K" if longer < LARGEST else most


def _output(asked: Pictures) -> dict[str, Any] | None:
    if asked.format not in (None, "png", "jpeg"):
        asked.request.drop("output_format")
        return None
    if asked.format is None:
        return None
    output: dict[str, Any] = {"mimeType": f"image/{asked.format}"}
    quality = asked.request.take("output_compression", int) if asked.format == "jpeg" else None
    return output if quality is None else {**output, "compressionQuality": quality}


def _references(asked: Pictures) -> list[dict[str, Any]]:
    """The mask is white where the picture is to be changed."""
    found: list[dict[str, Any]] = [
        {
            "referenceType": "REFERENCE_TYPE_RAW",
            "referenceId": number,
            "referenceImage": {"bytesBase64Encoded": File(part), "mimeType": media_type_of(part)},
        }
        for number, part in enumerate(asked.images, 1)
    ]
    if (mask := asked.mask) is not None:
        found.append(
            {
                "referenceType": "REFERENCE_TYPE_MASK",
                "referenceId": len(found) + 1,
                "referenceImage": {"bytesBase64Encoded": File(mask), "mimeType": media_type_of(mask)},
                "maskImageConfig": {"maskMode": "MASK_MODE_USER_PROVIDED"},
            }
        )
    return found


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


class _Prediction(msgspec.Struct, rename="camel"):
    bytes_base64_encoded: str = msgspec.field(name="bytesBase64Encoded", default="")
    mime_type: str = "image/png"
    prompt: str | None = None
    rai_filtered_reason: str | None = None


class _Predictions(msgspec.Struct):
    predictions: list[_Prediction] | None = None


_predictions = msgspec.json.Decoder(_Predictions)


def _of_imagen(body: bytes) -> Made:
    """It says nothing of what was used. Without a reason, too, pictures that it holds back are left out."""
    said = _predictions.decode(body).predictions or []
    made = [
        Picture(each.bytes_base64_encoded, each.mime_type, each.prompt) for each in said if each.bytes_base64_encoded
    ]
    if not made:
        reason = next((each.rai_filtered_reason for each in said if each.rai_filtered_reason), None)
        raise _held_back(reason or "all pictures were held back by the provider's safety filters")
    return made, None


def _of_gemini(body: bytes) -> Made:
    reply = read(body)
    blobs = [
        part.inline_data
        for candidate in reply.candidates
        for part in (candidate.content.parts if candidate.content is not None else ())
        if part.inline_data is not None and not part.thought
    ]
    if not blobs:
        if reply.prompt_feedback is not None and (refusal := reply.prompt_feedback.refusal) is not None:
            raise _held_back(refusal)
        for candidate in reply.candidates:
            if FINISH.get(candidate.finish_reason or "") == FILTERED:
                raise _held_back(candidate.finish_message or f"the picture was held back ({candidate.finish_reason})")
            if (failure := failure_of(candidate, has_content=False)) is not None:
                raise failure
            texts = [part.text for part in candidate.content.parts if part.text] if candidate.content else []
            if texts:
                raise BrokeOff(f"the model has made no picture, but said: {' '.join(texts)[:1000]}")
    made = [Picture(blob.data, blob.mime_type or "image/png") for blob in blobs]
    counts = TokenUsage.of(reply.usage_metadata)
    usage = counts.usage() if counts is not None else None
    return made, _in_pictures(usage) if usage is not None else None


def _in_pictures(usage: Usage) -> Usage:
    """What comes out is a picture, where nobody tells it apart."""
    if usage.image_output:
        return usage
    return msgspec.structs.replace(usage, output=0, image_output=usage.output)


def _held_back(reason: str) -> Refused:
    return Refused(reason[:1000], status=400, code="moderation_blocked")
