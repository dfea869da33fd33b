"""Files in contents of the Gemini API as parts of a chat's message.

Source: ai.google.dev/gemini-api/docs/image-understanding, /audio, /document-processing and /files; platform.openai.com/
docs/guides/pdf-files and /audio; read 2026-11.
"""

import re
from base64 import b64decode
from typing import Any

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway.translators.gemini.parts import Blob, File
from gateway.translators.messages.extent import Extent

_PDF = "application/pdf"
_AUDIO = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}
_WEB = re.compile(r"https?://(?!generativelanguage\.googleapis\.com/)", re.IGNORECASE)
_ALPHABET = str.maketrans("-_", "+/")

Said = dict[str, Any]


class Files:
    """`detail`: as in `Turns`."""

    def __init__(self, request: ChatRequest, extent: Extent, detail: str | None) -> None:
        self._request = request
        self._extent = extent
        self._detail = detail

    def inline(self, blob: Blob) -> Said:
        """Raises BadRequest: it is empty, or cannot be shown to the model."""
        kind = (blob.mime_type or "").lower()
        if not blob.data or "/" not in kind:
            raise BadRequest("inlineData needs its mimeType and data", param="contents")
        data = blob.data.translate(_ALPHABET)  # which SDKs of Google's use, and others refuse
        family, _, subtype = kind.partition("/")
        if family == "audio":
            form = subtype.partition(";")[0]
            return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO.get(form, form)}}
        if family == "text" and not self._extent.is_hub:
            return {"type": "text", "text": _decoded(data)}
        uri = f"data:{kind};base64,{data}"
        if family in ("image", "video"):
            return self._seen(family, uri)
        if kind != _PDF and not self._extent.is_hub:
            raise self._unknown(kind)
        name = blob.display_name or ("document.pdf" if kind == _PDF else "")
        return {"type": "file", "file": {**({"filename": name} if name else {}), "file_data": uri}}

    def elsewhere(self, file: File) -> Said:
        """Raises BadRequest: it is not on the web, or cannot be shown to the model."""
        uri, kind = file.file_uri or "", (file.mime_type or "").lower()
        if not _WEB.match(uri):
            raise BadRequest(
                "a file that was uploaded to Google means nothing to this model: send it as inlineData",
                param="contents",
            )
        family = kind.partition("/")[0]
        if family in ("image", "video"):
            return self._seen(family, uri)
        if not self._extent.is_hub:
            raise BadRequest("this model fetches no files but pictures: send it as inlineData", param="contents")
        about = {"filename": file.display_name, "format": kind}
        return {"type": "file", "file": {"file_url": uri, **{name: value for name, value in about.items() if value}}}

    def _seen(self, family: str, url: str) -> Said:
        if family == "image":
            return {
                "type": "image_url",
                "image_url": {"url": url, **({"detail": self._detail} if self._detail else {})},
            }
        if not self._extent.has_reasoning:
            raise self._unknown("video")
        return {"type": "video_url", "video_url": {"url": url}}

    def _unknown(self, kind: str) -> BadRequest:
        return BadRequest(f"a file of the type {kind[:60]!r} cannot be shown to this model", param="contents")


def _decoded(data: str) -> str:
    try:
        return b64decode(data + "=" * (-len(data) % 4)).decode(errors="replace")
    except ValueError as error:
        raise BadRequest("inlineData.data is not base64", param="contents") from error
