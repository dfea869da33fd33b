"""Content of messages as blocks.

Source: platform.claude.com/docs/en/build-with-claude/vision, /pdf-support, /files and /prompt-caching, read 2026-11.
"""

from base64 import b64decode
from typing import Any

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest, Media, Part
from gateway_anthropic.flavour import Flavour

Block = dict[str, Any]

_TEXTS = ("text/",)
_DOCUMENTS = frozenset({"", "application/pdf"})


def blocks_of(parts: list[Part], request: ChatRequest, flavour: Flavour) -> list[Block]:
    """Of what a user said, or a tool. Raises BadRequest: there is something in it that cannot be said here."""
    blocks = []
    for part in parts:
        media = part.media
        if media is not None:
            block = _of_media(media, request, flavour)
            if block["type"] == "document":
                more = {"citations": part.citations, "context": part.context}
                block |= {name: value for name, value in more.items() if value is not None}
        elif part.type == "text":
            if not (part.text or "").strip():  # refused: "text content blocks must contain non-whitespace text"
                continue
            block = {"type": "text", "text": part.text}
        else:
            raise BadRequest(f"content of the type {part.type[:40]!r} cannot be sent to this model", param="messages")
        if part.cache_control is not None:
            block["cache_control"] = part.cache_control
        blocks.append(block)
    return blocks


def texts_of(parts: list[Part], role: str) -> list[Block]:
    """Of those who can only say text. Raises BadRequest."""
    blocks: list[Block] = []
    for part in parts:
        text = part.refusal if part.type == "refusal" else part.text
        if part.type not in ("text", "refusal"):
            raise BadRequest(f"a {role} message to this model can hold only text", param="messages")
        if text and text.strip():
            blocks.append({"type": "text", "text": text})
            if part.cache_control is not None:
                blocks[-1]["cache_control"] = part.cache_control
    return blocks


def _of_media(media: Media, request: ChatRequest, flavour: Flavour) -> Block:
    if media.kind in ("audio", "video"):
        raise BadRequest(f"this model takes no {media.kind}: send text, pictures or PDF", param="messages")
    if media.detail not in (None, "auto"):
        request.drop("image_url.detail")
    if media.url and not flavour.takes_urls:
        raise BadRequest("this provider fetches no files: send it as data:<media type>;base64,<data>", param="messages")
    if media.file_id and not flavour.takes_file_ids:
        raise BadRequest("this provider keeps no files: send the file itself", param="messages")
    if media.kind == "image":
        return {"type": "image", "source": _source(media)}
    block: Block = {"type": "document", "source": _document(media)}
    if media.filename:
        block["title"] = media.filename
    return block


def _document(media: Media) -> Block:
    if media.media_type.startswith(_TEXTS) and media.data:
        try:
            text = b64decode(media.data).decode()
        except ValueError as error:
            raise BadRequest("a file that is called text is not UTF-8 in base64", param="messages") from error
        return {"type": "text", "media_type": "text/plain", "data": text}
    if media.media_type not in _DOCUMENTS and not media.file_id:
        raise BadRequest(f"this model reads PDF and text, not {media.media_type[:80]}", param="messages")
    return _source(media)


def _source(media: Media) -> Block:
    if media.file_id:
        return {"type": "file", "file_id": media.file_id}
    if media.url:
        return {"type": "url", "url": media.url}
    return {"type": "base64", "media_type": media.media_type or "application/pdf", "data": media.data}
