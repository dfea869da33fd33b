"""The texts of a request, and the way back into it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.contract import Call, FormBody, JsonBody, RawBody, Text
from gateway.errors import BadRequest
from gateway.proxy.bodies import LARGE
from gateway.wire.wording import ASKED, TooManyTexts, Wording, request_spots

_FIXED = frozenset({"model", "stream", "stream_options"})
"""Fields that no guardrail changes: where the request goes was decided by them."""


class Asked:
    """
    Args:
        fields: those that hold texts, decoded.
        is_last: only the last message is looked at.
        is_large: it is written beside the event loop, as it was read.
    """

    def __init__(
        self, fields: Mapping[str, Any] | None = None, *, is_last: bool = False, is_large: bool = False
    ) -> None:
        self._is_last = is_last
        self._is_large = is_large
        self._fields: dict[str, dict[str, Any]] = {}
        self._wordings: list[tuple[str, Wording]] = []
        self._read(fields or {})

    @classmethod
    async def of(cls, call: Call, *, is_last: bool) -> "Asked":
        """Raises BadRequest: it is nested too deeply."""
        body = call.request.body
        if isinstance(body, FormBody):
            return cls({name: text for name in ASKED if (text := body.text(name)) is not None})
        if isinstance(body, RawBody):
            document = _document(body)
            return cls({name: document[name] for name in ASKED if name in document})
        size = sum(len(memoryview(call.fields[name])) for name in ASKED if name in call.fields)
        if size <= LARGE:
            return _decoded(call, is_last)
        return await asyncio.to_thread(_decoded, call, is_last, is_large=True)

    def texts(self) -> list[Text]:
        return [Text(spot.role, spot.holder[spot.key]) for _, wording in self._wordings for spot in wording.spots]

    async def changed(self, call: Call, texts: Sequence[str] | None, body: Mapping[str, Any] | None) -> Call:
        """The call with others in their places. What is the same stays as the client wrote it."""
        if self._is_large:
            return await asyncio.to_thread(self._changed, call, texts, body)
        return self._changed(call, texts, body)

    def _changed(self, call: Call, texts: Sequence[str] | None, body: Mapping[str, Any] | None) -> Call:
        if texts is None:
            fields = {name: value for name, value in (body or {}).items() if name not in _FIXED}
            self._read({name: value for name, value in fields.items() if name in ASKED})
        else:
            fields = {}
            rest = iter(texts)
            for name, wording in self._wordings:
                for index, spot in enumerate(wording.spots):
                    if (text := next(rest)) != spot.holder[spot.key]:
                        wording.put(index, text)
                        fields[name] = self._fields[name][name]
        body_then = call.request.body
        if isinstance(body_then, RawBody):
            data = msgspec.json.encode({**_document(body_then), **fields})
            request = msgspec.structs.replace(call.request, body=RawBody(data, body_then.content_type))
            return msgspec.structs.replace(call, request=request)
        return call.with_fields({**call.fields, **{name: _raw(value) for name, value in fields.items()}})

    def _read(self, fields: Mapping[str, Any]) -> None:
        self._wordings = [each for each in self._wordings if each[0] not in fields]
        for name, value in fields.items():
            holder = self._fields[name] = {name: value}
            self._wordings.append((name, Wording(request_spots(holder, last_only=self._is_last))))


def is_readable(call: Call) -> bool:
    """Whether its texts can be found, if it has any: not in what is passed on unread, nor in bytes of another form."""
    body = call.request.body
    if isinstance(body, RawBody):
        return isinstance(body.data, bytes) and bool(_document(body))
    return body is None or isinstance(body, JsonBody | FormBody)


def _document(body: RawBody) -> dict[str, Any]:
    """Empty: it is no JSON object."""
    try:
        return msgspec.json.decode(body.data if isinstance(body.data, bytes) else b"", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}


def _decoded(call: Call, is_last: bool, *, is_large: bool = False) -> Asked:
    try:
        fields = {name: msgspec.json.decode(call.fields[name]) for name in ASKED if name in call.fields}
        return Asked(fields, is_last=is_last, is_large=is_large)
    except RecursionError as error:
        raise BadRequest("the request body is nested too deeply") from error
    except TooManyTexts as error:
        raise BadRequest(f"the request cannot be looked at: {error}") from error


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
