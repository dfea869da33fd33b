"""Pictures, recordings and documents inside messages, in whatever way they were put there.

Source: platform.openai.com/docs/guides/images-vision, /audio and /pdf-files; RFC 2397 (data URIs); read 2026-11.
"""

from base64 import b64encode
from urllib.parse import unquote_to_bytes

import msgspec

from gateway.errors import BadRequest

_AUDIO = {"mp3": "audio/mpeg", "wav": "audio/wav"}
_SAME = {"image/jpg": "image/jpeg"}
"""What some call a media type -> its name: Anthropic refuses the other."""
_KINDS = frozenset({"image", "audio", "video"})
_ENDINGS = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
}


class UrlPart(msgspec.Struct, omit_defaults=True):
    """`format`: the media type, where the URL does not tell it (LiteLLM's name)."""

    url: str
    detail: str | None = None
    format: str | None = None


class AudioPart(msgspec.Struct, omit_defaults=True):
    data: str
    format: str = ""


class FilePart(msgspec.Struct, omit_defaults=True):
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    format: str | None = None


class Media(msgspec.Struct, frozen=True):
    """One file. Of `data`, `url` and `file_id`, one is not empty.

    Args:
        kind: `image`, `audio`, `video` or `file`: by its media type, or else by what the caller put it there as.
        media_type: as in `image/png`; empty: not known.
        data: base64.
        detail: how closely to look at it: `low`, `high`, `auto`; None: not said.
    """

    kind: str
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    filename: str = ""
    detail: str | None = None


def of_url(kind: str, given: UrlPart | str) -> Media:
    """Of a URL or a data URI. Raises BadRequest: it is a data URI without data."""
    part = UrlPart(given) if isinstance(given, str) else given
    if part.url[:5].lower() != "data:":
        media_type = part.format or _by_ending(part.url)
        return Media(_kind_of(media_type, kind), media_type, url=part.url, detail=part.detail)
    media_type, data = data_uri(part.url)
    media_type = part.format or media_type
    return Media(_kind_of(media_type, kind), media_type, data=data, detail=part.detail)


def of_audio(part: AudioPart) -> Media:
    form = part.format.lower()
    if part.data[:5].lower() == "data:":
        media_type, data = data_uri(part.data)
        return Media("audio", media_type, data=data)
    return Media("audio", _AUDIO.get(form, f"audio/{form}" if form else ""), data=part.data)


def of_file(part: FilePart) -> Media:
    """Raises BadRequest: it is no file."""
    name = part.filename or ""
    known = part.format or _by_ending(name)
    if part.file_id:
        return Media(_kind_of(known, "file"), known, file_id=part.file_id, filename=name)
    if part.file_url:
        known = known or _by_ending(part.file_url)
        return Media(_kind_of(known, "file"), known, url=part.file_url, filename=name)
    if not part.file_data:
        raise BadRequest("a file needs file_data, file_id or file_url", param="messages")
    if part.file_data.startswith(("https://", "http://")):
        return Media(_kind_of(known, "file"), known, url=part.file_data, filename=name)
    media_type, data = known, part.file_data
    if data[:5].lower() == "data:":
        media_type, data = data_uri(data)
        media_type = part.format or media_type
    return Media(_kind_of(media_type, "file"), media_type, data=data, filename=name)


def data_uri(uri: str) -> tuple[str, str]:
    """Its media type, without parameters, and its data in base64. Raises BadRequest: it has none."""
    head, comma, data = uri.partition(",")
    media_type, *parameters = head[5:].split(";")
    if not comma or not data:
        raise BadRequest("a data URI has no data: it should be data:<media type>;base64,<data>", param="messages")
    if "base64" not in (parameter.strip().lower() for parameter in parameters):
        data = b64encode(unquote_to_bytes(data)).decode()
    media_type = media_type.strip().lower()
    return _SAME.get(media_type, media_type) or "text/plain", data


def _kind_of(media_type: str, otherwise: str) -> str:
    kind = media_type.partition("/")[0]
    return kind if kind in _KINDS else "file" if kind else otherwise


def _by_ending(name: str) -> str:
    path = name.partition("?")[0].partition("#")[0]
    return _ENDINGS.get(path.rpartition(".")[2].lower(), "") if "." in path else ""
