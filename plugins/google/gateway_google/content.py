"""Content of messages as parts.

Source: ai.google.dev/api/caching#Part, /gemini-api/docs/image-understanding, /file-input-methods and /media-resolution;
docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference; read 2026-11.
"""

from collections.abc import Iterable
from typing import Any

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest, Media, Part
from gateway_google.models import Traits

Piece = dict[str, Any]

FILES_URL = "https://generativelanguage.googleapis.com/v1beta/"
"""What the Files API puts before its names."""
RESOLUTIONS = {"low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH"}


class Contents:
    """Makes parts, and notes how closely files are to be looked at, where that holds for all of them."""

    def __init__(self, request: ChatRequest, traits: Traits) -> None:
        self._request = request
        self._traits = traits
        self._details: set[str | None] = set()

    @property
    def resolution(self) -> str | None:
        """For `generationConfig.mediaResolution`: the highest that a picture asks for."""
        asked = self._details & RESOLUTIONS.keys()
        if self._traits.has_own_resolution or not asked:
            return None
        if len(self._details) > 1:
            self._request.drop("image_url.detail")
        return RESOLUTIONS["high" if "high" in asked else "low"]

    def pieces(self, parts: Iterable[Part]) -> list[Piece]:
        """Of what a user said, or a tool. Raises BadRequest: there is something in it that cannot be said here."""
        return [self._piece(part) for part in parts]

    def _piece(self, part: Part) -> Piece:
        for name in ("cache_control", "citations", "context"):
            if getattr(part, name) is not None:
                self._request.drop(f"messages.{name}")
        media = part.media
        if media is not None:
            return self._file(media)
        if part.type != "text":
            raise BadRequest(f"content of the type {part.type[:40]!r} cannot be sent to this model", param="messages")
        return {"text": part.text}

    def _file(self, media: Media) -> Piece:
        piece = self._inline(media) if media.data else self._elsewhere(media)
        if media.kind in ("image", "video"):
            self._details.add(media.detail if media.detail in RESOLUTIONS else None)
            if media.detail in RESOLUTIONS and self._traits.has_own_resolution:
                piece["mediaResolution"] = {"level": RESOLUTIONS[media.detail]}
        return piece

    def _inline(self, media: Media) -> Piece:
        if not media.media_type:
            raise BadRequest(
                "a file needs its media type: send it as data:<media type>;base64,<data>, or with a filename",
                param="messages",
            )
        return {"inlineData": {"mimeType": media.media_type, "data": media.data, **_named(media)}}

    def _elsewhere(self, media: Media) -> Piece:
        uri = media.url or media.file_id
        if media.file_id.startswith("files/"):
            uri = FILES_URL + media.file_id
        elif media.file_id and "://" not in media.file_id:
            raise BadRequest(
                f"the file {media.file_id[:80]!r} is none of Google's: give files/NAME, a gs:// or an https:// URL, or "
                "the file itself",
                param="messages",
            )
        kind = {"mimeType": media.media_type} if media.media_type else {}
        return {"fileData": {"fileUri": uri, **kind, **_named(media)}}


def _named(media: Media) -> dict[str, str]:
    return {"displayName": media.filename} if media.filename else {}


def texts_of(parts: Iterable[Part], role: str, request: ChatRequest) -> list[Piece]:
    """Of those who can only say text. Raises BadRequest."""
    pieces = []
    for part in parts:
        if part.type not in ("text", "refusal"):
            raise BadRequest(f"a {role} message to this model can hold only text", param="messages")
        if part.cache_control is not None:
            request.drop("messages.cache_control")
        if text := part.refusal if part.type == "refusal" else part.text:
            pieces.append({"text": text})
    return pieces
