"""Mistral's API for reading documents, which OpenAI has not; its own SDK speaks to it.

Source: docs.mistral.ai/api (POST /v1/ocr), docs.mistral.ai/capabilities/document_ai; types of mistralai/client-python
(OCRRequest, OCRResponse, OCRUsageInfo); read 2026-11.
"""

import re
from collections.abc import Sequence

import msgspec

from gateway.contract import Ask, Call, Head, JsonBody, Reading, Request
from gateway.contract.request import Body
from gateway.contract.usage import Usage
from gateway.dialects.errors import OpenAIErrors
from gateway.dialects.fields import Fields, model_of
from gateway.wire.openai import BodyReading

MAX_PAGES = 1000
"""Of a document. Source: docs.mistral.ai/capabilities/document_ai, read 2026-11."""
USUAL_PAGES = 10
"""Of a document at an address, a guess."""
PAGE_BYTES = 100_000
"""Of one that is sent along, a guess."""

_ANNOTATIONS = ("bbox_annotation_format", "document_annotation_format")
_SEAM = 64
"""Bytes; more than the longest that is looked for."""
# A quotation mark inside a text is escaped, so no document can say how many pages it had.
_PAGES = re.compile(rb'"pages_processed"\s{0,8}:\s{0,8}(\d{1,9})\s{0,8}[,}]')


class _Document(msgspec.Struct):
    type: str = ""


_document = msgspec.json.Decoder(_Document)


class Ocr(OpenAIErrors):
    """A `Dialect`. Pages that are annotated as well have a price of their own."""

    name = "ocr"
    routes: Sequence[tuple[str, str]] = (("POST", "/ocr"),)
    model_type = "ocr"
    accepts: type[Body] | None = JsonBody
    max_body_bytes: int | None = None

    def parse(self, request: Request) -> Ask:
        body = request.body
        assert isinstance(body, JsonBody)
        return Ask(model_of(body.fields), has_output=False, expected=(_read(_pages_of(body.fields), body.fields),))

    def reading(self, call: Call, head: Head) -> Reading:
        return OcrReading(call.fields)


class OcrReading(BodyReading):
    """`fields`: of the request."""

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self._fields = fields
        self._pages: int | None = None
        self._seam = b""

    def feed(self, data: bytes) -> bytes:
        joined = self._seam + data
        for found in _PAGES.finditer(joined):
            self._pages = int(found[1])
        self._seam = joined[-_SEAM:]
        return super().feed(data)

    def usage(self) -> Usage | None:
        return _read(self._pages, self._fields) if self._pages is not None else None


def _read(pages: int, fields: Fields) -> Usage:
    is_annotated = any(name in fields and bytes(fields[name]) != b"null" for name in _ANNOTATIONS)
    return Usage(annotated_pages=pages) if is_annotated else Usage(pages=pages)


def _pages_of(fields: Fields) -> int:
    """That it probably has; the provider says it only afterwards."""
    chosen = bytes(fields.get("pages", b""))
    if chosen.startswith(b"[") and chosen[1:-1].strip():
        return min(chosen.count(b",") + 1, MAX_PAGES)
    size = len(memoryview(fields["document"])) if "document" in fields else 0
    if size > PAGE_BYTES:
        return min(size // PAGE_BYTES, MAX_PAGES)
    try:
        is_picture = "document" in fields and _document.decode(fields["document"]).type == "image_url"
    except (msgspec.DecodeError, RecursionError):
        is_picture = False  # it is for the provider to refuse
    return 1 if is_picture else USUAL_PAGES


OCR = Ocr()
