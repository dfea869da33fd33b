"""`multipart/form-data`, read as it comes.

Source: RFC 7578, RFC 2046 section 5.1.
"""

from collections.abc import Iterable
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.contract.request import FormBody, FormPart
from gateway.errors import BadRequest

MAX_PARTS = 100
MAX_HEADER_BYTES = 512
"""Of one header of a part. To take one apart costs half a microsecond for each byte; so all stay within 30 ms."""
MAX_BOUNDARY = 70
"""Source: RFC 2046, section 5.1.1."""


def form_of(parts: Iterable[FormPart], boundary: str) -> tuple[str, bytes]:
    """The content type of a form, and its bytes.

    Args:
        boundary: stands in none of the parts; 32 characters by chance will do.
    """
    lines: list[bytes] = []
    for part in parts:
        about = f'form-data; name="{_quoted(part.name)}"'
        if part.filename is not None:
            about += f'; filename="{_quoted(part.filename)}"'
        lines += [f"--{boundary}\r\nContent-Disposition: {about}\r\n".encode()]
        if part.content_type is not None:
            lines += [f"Content-Type: {part.content_type}\r\n".encode()]
        lines += [b"\r\n", part.data, b"\r\n"]
    return f"multipart/form-data; boundary={boundary}", b"".join([*lines, f"--{boundary}--\r\n".encode()])


class FormReader:
    """Takes a body in pieces, cut anywhere.

    Args:
        content_type: of the request; it says what stands between the parts.

    Raises:
        BadRequest: the content type is another, and, from all methods, what comes is no such form.
    """

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 0 < len(boundary) <= MAX_BOUNDARY:
            raise BadRequest("this takes a form: send multipart/form-data, with its boundary in the content type")
        self._parts: list[FormPart] = []
        self._is_over = False
        self._begin()
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_begin": self._begin_header,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._data.append(data[start:end]),
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks, max_header_size=MAX_HEADER_BYTES)

    def feed(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise BadRequest("the request body is not a form as its content type says") from error

    def end(self) -> FormBody:
        if not self._is_over:
            raise BadRequest("the form in the request body is cut short")
        return FormBody(tuple(self._parts))

    def _begin(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._data: list[bytes] = []
        self._begin_header()

    def _begin_header(self) -> None:
        self._name, self._value = bytearray(), bytearray()

    def _end_header(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)

    def _end_part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name, filename = options.get(b"name"), options.get(b"filename")
        if name is None:
            raise BadRequest("a part of the form has no name")
        if len(self._parts) == MAX_PARTS:
            raise BadRequest(f"the form has more than {MAX_PARTS} parts")
        self._parts.append(
            FormPart(
                name=_text(name),
                data=b"".join(self._data),
                filename=_text(filename) if filename is not None else None,
                content_type=_text(self._headers[b"content-type"]) if b"content-type" in self._headers else None,
            )
        )

    def _end(self) -> None:
        self._is_over = True


def _quoted(text: str) -> str:
    """Source: the HTML standard, "multipart form data"."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
