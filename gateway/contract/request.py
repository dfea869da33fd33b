"""What came in, before anybody knows what it means."""

from collections.abc import Mapping
from typing import TypeAlias

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


class FormPart(msgspec.Struct, frozen=True, gc=False):
    """One field of a form. `filename`: it is a file, and that is what the client calls it."""

    name: str
    data: bytes
    filename: str | None = None
    content_type: str | None = None


class FormBody(msgspec.Struct, frozen=True, gc=False):
    """`multipart/form-data`, its parts in the order in which they came.

    Source: RFC 7578.
    """

    parts: tuple[FormPart, ...]

    def text(self, name: str) -> str | None:
        """The first field of that name that is no file."""
        return next((part.data.decode(errors="replace") for part in self.parts if part.name == name), None)


class RawBody(msgspec.Struct, frozen=True, gc=False):
    """Anything else, as it came: JSON lines, audio."""

    data: bytes
    content_type: str = "application/octet-stream"


Body: TypeAlias = JsonBody | FormBody | RawBody


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
