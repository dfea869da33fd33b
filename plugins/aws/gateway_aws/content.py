"""Content of messages as blocks.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html and those it links to; the service
description of botocore 1.44.5; read 2026-11.
"""

import re
from collections.abc import Mapping
from typing import Any

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest, Media, Part
from gateway_aws.models import Traits

Block = dict[str, Any]

EMPTY = "(empty)"
"""Where there must be some text, and there is none: blank text is refused."""
MAX_NAME = 180
"""Characters of a document's name, of 200, since a number may have to follow."""

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/markdown": "md",
    "application/json": "txt",
}
_VIDEOS = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_AUDIO = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "audio/m4a": "m4a",
    "audio/webm": "webm",
}
_FORMATS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "image": ("image", _IMAGES),
    "audio": ("audio", _AUDIO),
    "video": ("video", _VIDEOS),
    "file": ("document", _DOCUMENTS),
}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9 ()\[\]-]+")
_SPACES = re.compile(r"\s+")


class Blocks:
    """Makes blocks for one request, in which no two documents may have the same name."""

    def __init__(self, request: ChatRequest, traits: Traits) -> None:
        self._request = request
        self._traits = traits
        self._names: dict[str, int] = {}
        """Of documents -> the last number that one of this name was given to tell it from others."""

    def of(self, parts: list[Part]) -> list[Block]:
        """Of what a user said, or a tool. Raises BadRequest: there is something in it that cannot be said here."""
        blocks: list[Block] = []
        for part in parts:
            media = part.media
            if media is not None:
                blocks.append(self._of_media(media, part))
            elif part.type != "text":
                raise BadRequest(
                    f"content of the type {part.type[:40]!r} cannot be sent to this model", param="messages"
                )
            elif (part.text or "").strip():
                blocks.append({"text": part.text})
            blocks += self.cache_point(part.cache_control) if blocks else []
        return blocks

    def texts_of(self, parts: list[Part], role: str) -> list[Block]:
        """Of those who can only say text. Raises BadRequest."""
        blocks: list[Block] = []
        for part in parts:
            text = part.refusal if part.type == "refusal" else part.text
            if part.type not in ("text", "refusal"):
                raise BadRequest(f"a {role} message to this model can hold only text", param="messages")
            if text and text.strip():
                blocks.append({"text": text})
                blocks += self.cache_point(part.cache_control)
        return blocks

    def cache_point(self, marker: dict[str, Any] | None) -> list[Block]:
        """What comes behind that which is to be cached."""
        if marker is None:
            return []
        if not self._traits.caches:
            self._request.drop("cache_control")
            return []
        point = {"type": "default"}
        if marker.get("ttl") == "1h":  # the other is what it does unasked, and not all models know the field
            point["ttl"] = "1h"
        return [{"cachePoint": point}]

    def _of_media(self, media: Media, part: Part) -> Block:
        if media.file_id:
            raise BadRequest("this provider keeps no files: send the file itself", param="messages")
        if media.detail not in (None, "auto"):
            self._request.drop("image_url.detail")
        name, formats = _FORMATS[media.kind]
        given = media.media_type.partition(";")[0].strip().lower()
        form = formats.get(given)
        if form is None and media.kind == "file" and given.startswith("text/"):
            form = "txt"
        if form is None:
            known = ", ".join(sorted(formats))
            raise BadRequest(f"{given or 'a file of no type'} cannot be sent to this model: {known}", param="messages")
        block: Block = {"format": form, "source": _source(media)}
        if name == "document":
            block["name"] = self._name_of(media.filename)
            more = {"citations": part.citations, "context": part.context}
            block |= {field: value for field, value in more.items() if value is not None}
        return {name: block}

    def _name_of(self, filename: str) -> str:
        """Of letters, digits, single spaces, hyphens, parentheses and square brackets."""
        stem = filename.rpartition("/")[2]
        stem = stem.rpartition(".")[0] or stem
        name = _SPACES.sub(" ", _NOT_IN_NAMES.sub(" ", stem)).strip()[:MAX_NAME].strip() or "document"
        unique, number = name, self._names.get(name, 1)
        while unique in self._names:
            number += 1
            unique = f"{name} ({number})"
        self._names[unique] = 1
        self._names[name] = number
        return unique


def _source(media: Media) -> Block:
    if media.data:
        return {"bytes": media.data}
    if media.url.startswith("s3://"):
        return {"s3Location": {"uri": media.url}}
    raise BadRequest(
        "this provider fetches nothing from the web: send it as data:<media type>;base64,<data>, or as an s3:// URL",
        param="messages",
    )
