"""What came in, before anybody knows what it means."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol, TypeAlias

import msgspec


class JsonBody(msgspec.Struct, frozen=True, gc=False):
    """A JSON object.

    Args:
        fields: its top-level fields, each as the very bytes the client sent.
        data: all of it.
        dropped_params: what a translator had to leave out, as in `UpstreamRequest`.
    """

    fields: Mapping[str, msgspec.Raw]
    data: bytes = b""
    dropped_params: tuple[str, ...] = ()


class Stored(Protocol):
    """What is too large to be kept in memory. It is there as long as its request lasts."""

    @property
    def beginning(self) -> bytes:
        """The first 4 KiB."""

    def __len__(self) -> int: ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """All of it in pieces, as often as somebody asks."""


class FormPart(msgspec.Struct, frozen=True, gc=False):
    """One field of a form.

    Args:
        data: never `Stored` of what is no file.
        filename: it is a file, and that is what the client calls it.
    """

    name: str
    data: bytes | Stored
    filename: str | None = None
    content_type: str | None = None

    @property
    def beginning(self) -> bytes:
        """At least the first 4 KiB, if there are so many."""
        return self.data if isinstance(self.data, bytes) else self.data.beginning


class FormBody(msgspec.Struct, frozen=True, gc=False):
    """`multipart/form-data`, its parts in the order in which they came.

    Source: RFC 7578.
    """

    parts: tuple[FormPart, ...]

    def text(self, name: str) -> str | None:
        """The first field of that name, as far as it is in memory."""
        return next((part.beginning.decode(errors="replace") for part in self.parts if part.name == name), None)

    def with_texts(self, texts: Mapping[str, str]) -> "FormBody":
        """The same with other texts: each in the place of the field of that name, or behind all others."""
        parts = [FormPart(part.name, texts[part.name].encode()) if part.name in texts else part for part in self.parts]
        names = {part.name for part in self.parts}
        return FormBody((*parts, *(FormPart(name, text.encode()) for name, text in texts.items() if name not in names)))


class RawBody(msgspec.Struct, frozen=True, gc=False):
    """Anything else, as it came: JSON lines, audio."""

    data: bytes | Stored
    content_type: str = "application/octet-stream"

    @property
    def beginning(self) -> bytes:
        """At least the first 4 KiB, if there are so many."""
        return self.data if isinstance(self.data, bytes) else self.data.beginning


class Pieces(Protocol):
    """Of a body that is still on its way. They can be had once."""

    @property
    def is_taken(self) -> bool: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class StreamBody(msgspec.Struct, frozen=True, gc=False):
    """One that is passed on while it comes, as it is too large to be held. `length` in bytes; None: it is not known."""

    pieces: Pieces
    length: int | None = None


Body: TypeAlias = JsonBody | FormBody | RawBody | StreamBody


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request of a dialect.

    Args:
        route: which of the dialect's routes it is: the template, as in `/responses/{id}`.
        path_params: what stands in the template's places.
        query: as it came, without the question mark.
        body: None: there is none, as with GET.
        path: all of it, percent-encoded as it came; only where the template has places.
        headers: those that the dialect asks for, names in lower case: see `TakesHeaders`.
    """

    method: str = "POST"
    route: str = ""
    path_params: Mapping[str, str] = {}
    query: bytes = b""
    body: Body | None = None
    path: str = ""
    headers: Mapping[str, str] = {}
