"""`multipart/form-data`, read as it comes.

Source: RFC 7578, RFC 2046 section 5.1.
"""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.contract.provider import Endpoint, UpstreamRequest
from gateway.contract.request import FormBody, FormPart, Stored
from gateway.errors import BadRequest

MAX_PARTS = 100
MAX_HEADER_BYTES = 512
"""Of one header of a part. To take one apart costs half a microsecond for each byte; so all stay within 30 ms."""
MAX_BOUNDARY = 70
"""Source: RFC 2046, section 5.1.1."""
MAX_PADDING = 64
"""Blanks behind a boundary. The parser takes them one at a time, as it does what only begins like a boundary."""
MAX_IN_MEMORY = 1024 * 1024
"""Bytes of all parts together. What is more of files goes into a store, if there is one."""
BEGINNING = 4096
"""Bytes of a stored file that can be looked at."""
_EXTENDED_FILENAME = re.compile(rb"; *filename\*= *utf-8'[^']*'([^\s;]+)", re.IGNORECASE)
"""As some write names that are not ASCII. Source: RFC 8187."""
_CONTROLS = bytes(byte for byte in range(32) if byte != ord("\t")) + b"\x7f"


class Store(Protocol):
    """Keeps the bytes of large files in the order in which they come."""

    def add(self, data: bytes) -> None: ...

    def since(self, begin: int, beginning: bytes) -> Stored:
        """All from there on, which begins with `beginning`."""

    def __len__(self) -> int:
        """Bytes so far."""


def form_of(parts: Iterable[FormPart], boundary: str) -> tuple[str, bytes]:
    """The content type of a form whose parts are in memory, and its bytes.

    Args:
        boundary: stands in none of the parts; 32 characters by chance will do.
    """
    return _content_type(boundary), b"".join(line for line in _lines(parts, boundary) if isinstance(line, bytes))


def upload_to(endpoint: Endpoint, parts: Sequence[FormPart], boundary: str) -> UpstreamRequest:
    """A form for a provider; `boundary` as in `form_of`."""
    content_type, length, body = upload_of(parts, boundary)
    return UpstreamRequest(endpoint.with_headers({"content-type": content_type}), body, length=length)


def upload_of(parts: Sequence[FormPart], boundary: str) -> tuple[str, int | None, bytes | AsyncIterator[bytes]]:
    """The content type of a form, its length if it comes in pieces, and its bytes or those pieces."""
    if all(isinstance(part.data, bytes) for part in parts):
        content_type, data = form_of(parts, boundary)
        return content_type, None, data
    lines = _lines(parts, boundary)
    return _content_type(boundary), sum(map(len, lines)), _pieces(lines)


def _content_type(boundary: str) -> str:
    return f"multipart/form-data; boundary={boundary}"


def _lines(parts: Iterable[FormPart], boundary: str) -> list[bytes | Stored]:
    lines: list[bytes | Stored] = []
    for part in parts:
        about = f'form-data; name="{_quoted(part.name)}"'
        if part.filename is not None:
            about += f'; filename="{_quoted(part.filename)}"'
        lines += [f"--{boundary}\r\nContent-Disposition: {about}\r\n".encode()]
        if part.content_type is not None:
            lines += [f"Content-Type: {part.content_type}\r\n".encode()]
        lines += [b"\r\n", part.data, b"\r\n"]
    return [*lines, f"--{boundary}--\r\n".encode()]


async def _pieces(lines: Iterable[bytes | Stored]) -> AsyncIterator[bytes]:
    for line in lines:
        if isinstance(line, bytes):
            yield line
        else:
            async for piece in line:
                yield piece


class FormReader:
    """Takes a body in pieces, cut anywhere. What it costs grows with their size, whatever is in them.

    Args:
        content_type: of the request; it says what stands between the parts.
        store: for files that are too large for memory; None: all parts are kept there.

    Raises:
        BadRequest: the content type is another, and, from all methods, what comes is no such form.
    """

    def __init__(self, content_type: str, store: Store | None = None) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 0 < len(boundary) <= MAX_BOUNDARY:
            raise BadRequest("this takes a form: send multipart/form-data, with its boundary in the content type")
        self._delimiter = b"\r\n--" + boundary
        self._delimiters = re.compile(re.escape(self._delimiter) + rb"([ \t]{%d})?" % MAX_PADDING)
        self._seam = b"\r\n"  # the end of what has come; a form begins like a line
        self._seen = 0
        self._store = store
        self._in_memory = 0
        self._parts: list[FormPart] = []
        self._is_over = False
        self._begin()
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_begin": self._begin_header,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": lambda data, start, end: self._take(data[start:end]),
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks, max_header_size=MAX_HEADER_BYTES)

    def feed(self, data: bytes) -> None:
        """At most 64 KiB at once leave the event loop free for others between two calls."""
        if self._is_over:
            return  # what follows is nobody's. Source: RFC 2046, section 5.1.1
        self._count_delimiters(data)
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise BadRequest("the request body is not a form as its content type says") from error

    def end(self) -> FormBody:
        if not self._is_over:
            raise BadRequest("the form in the request body is cut short")
        return FormBody(tuple(self._parts))

    def _count_delimiters(self, data: bytes) -> None:
        """A line of a part must not begin like a boundary, and nobody pads one with more than a few blanks."""
        joined = self._seam + data
        if self._delimiter in joined:
            for found in self._delimiters.finditer(joined):
                self._seen += found.start() + len(self._delimiter) > len(self._seam)
                if found[1] is not None:
                    raise BadRequest("a boundary of the form is followed by too many blanks")
            if self._seen > MAX_PARTS + 1:
                raise _too_many_parts()
        self._seam = joined[-len(self._delimiter) - MAX_PADDING + 1 :]

    def _begin(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._data: list[bytes] = []
        self._size = 0
        self._stored_from: int | None = None
        self._beginning = b""
        self._part = FormPart("", b"")
        self._begin_header()

    def _begin_header(self) -> None:
        self._name, self._value = bytearray(), bytearray()

    def _end_header(self) -> None:
        if len(self._value.translate(None, _CONTROLS)) < len(self._value):
            raise BadRequest("a header in the form holds a control character")  # some would read it as two
        self._headers[bytes(self._name).lower()] = bytes(self._value)

    def _end_headers(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        name, filename = options.get(b"name"), options.get(b"filename")
        if filename is None and (extended := _EXTENDED_FILENAME.search(disposition)):
            filename = unquote_to_bytes(extended[1])
        if name is None:
            raise BadRequest("a part of the form has no name")
        if len(self._parts) == MAX_PARTS:
            raise _too_many_parts()
        self._part = FormPart(
            name=_text(name),
            data=b"",
            filename=_text(filename) if filename is not None else None,
            content_type=_text(self._headers[b"content-type"]) if b"content-type" in self._headers else None,
        )

    def _take(self, data: bytes) -> None:
        store = self._store
        if store is None:
            self._data.append(data)
            return
        if self._stored_from is None:
            self._data.append(data)
            self._size += len(data)
            if self._in_memory + self._size <= MAX_IN_MEMORY:
                return
            if self._part.filename is None:
                raise BadRequest(f"the fields of the form are over {MAX_IN_MEMORY:,} bytes; send files with a name")
            self._stored_from = len(store)
            data, self._data, self._size = b"".join(self._data), [], 0
        if len(self._beginning) < BEGINNING:
            self._beginning += data[: BEGINNING - len(self._beginning)]
        store.add(data)

    def _end_part(self) -> None:
        self._in_memory += self._size
        data: bytes | Stored = b"".join(self._data)
        if self._store is not None and self._stored_from is not None:
            data = self._store.since(self._stored_from, self._beginning)
        part = self._part
        self._parts.append(FormPart(part.name, data, part.filename, part.content_type))

    def _end(self) -> None:
        self._is_over = True


def _too_many_parts() -> BadRequest:
    return BadRequest(f"the form has more than {MAX_PARTS} parts")


def _quoted(text: str) -> str:
    """Source: the HTML standard, "multipart form data"."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
