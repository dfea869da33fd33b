"""Pictures: OpenAI's images APIs as bodies of InvokeModel, for Amazon's models and for Stability's.

Source: docs.aws.amazon.com/nova/latest/userguide/image-gen-req-resp-structure.html and image-gen-access.html,
.../bedrock/latest/userguide: model-parameters-titan-image.html, model-parameters-diffusion-3-5-large.html,
model-parameters-diffusion-stable-image-core-text-image-request-response.html and stable-image-services.html; read
2026-11.
"""

from collections.abc import Callable, Mapping
from math import log
from time import time
from typing import Any

import msgspec

from gateway.contract import Call
from gateway.errors import BadRequest, Refused
from gateway.translators.images import Made, Picture, Pictures, PicturesReading, nearest, pictures_of
from gateway.wire.inlined import File

MOST = 5
"""Pictures of Amazon's models for one request."""
TITAN_SIZES = (
    (1024, 1024), (768, 768), (512, 512), (768, 1152), (384, 576), (1152, 768), (576, 384), (768, 1280), (384, 640),
    (1280, 768), (640, 384), (896, 1152), (448, 576), (1152, 896), (576, 448), (768, 1408), (384, 704), (1408, 768),
    (704, 384), (640, 1408), (320, 704), (1408, 640), (704, 320), (1152, 640), (1173, 640),
)  # fmt: skip
NOVA_STEP, NOVA_LEAST, NOVA_MOST = 16, 320, 4096
"""Pixels, of each side."""
QUALITIES: Mapping[str, str] = {
    "low": "standard", "medium": "standard", "standard": "standard",
    "high": "premium", "hd": "premium", "premium": "premium",
}  # fmt: skip
STABILITY_RATIOS = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
STRENGTH = 0.7
"""How far a picture may be from the one it is made of, unless the caller says; the field has to be there."""
_OPENAI_STYLES = ("vivid", "natural")
_JPEG = "/9j/"
"""How it begins in base64."""
_SERVICES = ("stable-image-inpaint", "stable-image-control")
"""Stability's models that edit, and make nothing of a prompt alone."""


class ToPictures:
    """`clock`: seconds since 1970."""

    def __init__(self, *, clock: Callable[[], float] = time) -> None:
        self._clock = clock

    def request(self, call: Call, model: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The fields of a body, which may hold files, and what was left out.

        Raises:
            BadRequest: it asks for something that cannot be said here.
        """
        if "amazon.nova-canvas" in model or "amazon.titan-image" in model:
            asked = pictures_of(call, most=MOST)
            fields = _amazon(asked, model)
        elif "stability." in model:
            asked = pictures_of(call, most=1)
            fields = _stability(asked, model)
        else:
            raise BadRequest(
                f"{model} makes no pictures here: only Nova Canvas, Titan's image models and Stability's are known",
                param="model",
            )
        return fields, asked.request.dropped_params

    def reading(self) -> PicturesReading:
        return PicturesReading(self._clock(), _pictures_in)


def _amazon(asked: Pictures, model: str) -> dict[str, Any]:
    request, images = asked.request, asked.images
    if asked.format not in (None, "png"):
        request.drop("output_format")
    text = {"text": asked.prompt or None, "negativeText": request.take("negative_prompt", str)}
    style = request.take("style", str)
    if style is not None and (images or "nova" not in model or style in _OPENAI_STYLES):
        request.drop("style")
        style = None
    if asked.mask is not None and len(images) > 1:
        raise BadRequest("with a mask, this model takes one picture", param="image")
    task: dict[str, Any]
    if asked.mask is not None:  # it is black where the picture is to be changed
        task = {
            "taskType": "INPAINTING",
            "inPaintingParams": {**text, "image": File(images[0]), "maskImage": File(asked.mask)},
        }
    elif images:
        strength = request.take("similarity_strength", float)
        varied = {**text, "images": [File(part) for part in images], "similarityStrength": strength}
        task = {"taskType": "IMAGE_VARIATION", "imageVariationParams": varied}
    else:
        task = {"taskType": "TEXT_IMAGE", "textToImageParams": {**text, "style": style}}
    quality = QUALITIES.get(asked.quality or "")
    if asked.quality is not None and quality is None:
        request.drop("quality")
    width, height = _amazon_size(asked, model) or (None, None)
    config = {
        "numberOfImages": asked.count,
        "width": width,
        "height": height,
        "quality": quality,
        "cfgScale": request.take("cfg_scale", float),
        "seed": request.take("seed", int),
    }
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in {**task, "imageGenerationConfig": config}.items()
    }


def _amazon_size(asked: Pictures, model: str) -> tuple[int, int] | None:
    """What is not the size that was asked for is noted."""
    if asked.size is None:
        return None
    width, height = asked.size
    if "titan-image" in model:
        found = min(TITAN_SIZES, key=lambda size: _distance(size, width, height))
    else:
        found = _side(width), _side(height)
    if found != asked.size:
        asked.request.drop("size")
    return found


def _distance(size: tuple[int, int], width: int, height: int) -> tuple[float, float]:
    """First the shape, then how large it is."""
    shape = abs(log(size[0] / size[1]) - log(width / height))
    return round(shape, 2), abs(log(size[0] * size[1]) - log(width * height))


def _side(pixels: int) -> int:
    return min(max(round(pixels / NOVA_STEP) * NOVA_STEP, NOVA_LEAST), NOVA_MOST)


def _stability(asked: Pictures, model: str) -> dict[str, Any]:
    request = asked.request
    if not asked.prompt:
        raise BadRequest("this model varies nothing without a prompt: send the picture to /images/edits", param="image")
    if len(asked.images) > 1:
        raise BadRequest("this model takes one picture", param="image")
    if asked.quality is not None:
        request.drop("quality")
    if asked.format not in (None, "png", "jpeg"):
        request.drop("output_format")
    fields: dict[str, Any] = {
        "prompt": asked.prompt,
        "negative_prompt": request.take("negative_prompt", str),
        "seed": request.take("seed", int),
        "output_format": "jpeg" if asked.format == "jpeg" else "png",
    }
    edits_only = any(name in model for name in _SERVICES)
    if asked.mask is not None and "inpaint" not in model:
        raise BadRequest("this model takes no mask: a model with stable-image-inpaint in its name does", param="mask")
    if edits_only and not asked.images:
        raise BadRequest("this model changes pictures, and makes none: use /images/edits", param="model")
    if asked.images and not edits_only and "stable-image-core" in model:
        raise BadRequest("this model makes pictures of a prompt alone", param="image")
    if not asked.images:
        fields["aspect_ratio"] = nearest(asked, STABILITY_RATIOS)
        return _without_none(fields)
    if asked.size is not None:
        request.drop("size")
    fields["image"] = File(asked.images[0])
    if edits_only:
        fields["mask"] = File(asked.mask) if asked.mask is not None else None
        return _without_none(fields)
    fields["mode"] = "image-to-image" if "stability.sd3" in model else None
    strength = request.take("strength", float)
    fields["strength"] = STRENGTH if strength is None else strength
    return _without_none(fields)


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


class _Answer(msgspec.Struct):
    """`finish_reasons`: Stability's, null for each picture that was made; `error`: Amazon's."""

    images: list[str] | None = None
    finish_reasons: list[str | None] | None = None
    error: str | None = None


_answer = msgspec.json.Decoder(_Answer)


def _pictures_in(body: bytes) -> Made:
    """Of Amazon's, some may have been held back: then it says so beside those that are there."""
    said = _answer.decode(body)
    reasons = [reason for reason in said.finish_reasons or () if reason]
    if reasons or (not said.images and said.error):
        raise Refused((said.error or reasons[0])[:1000], status=400, code="moderation_blocked")
    return [Picture(data, "image/jpeg" if data.startswith(_JPEG) else "image/png") for data in said.images or ()], None
