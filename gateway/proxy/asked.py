"""The texts of a request, and the way back into it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.contract import Call, FormBody, Text
from gateway.errors import BadRequest
from gateway.proxy.bodies import LARGE
from gateway.wire.wording import ASKED, Wording, request_spots

_FIXED = frozenset({"model", "stream", "stream_options"})
"""Fields that no guardrail changes: where the request goes was decided by them."""


class Asked:
    """
    Args:
        fields: those that hold texts, decoded.
        is_last: only the last message is looked at.
    """

    def __init__(self, fields: Mapping[str, Any] | None = None, *, is_last: bool = False) -> None:
        self._is_last = is_last
        self._fields: dict[str, dict[str, Any]] = {}
        self._wordings: list[tuple[str, Wording]] = []
        self._read(fields or {})

    @classmethod
    async def of(cls, call: Call, *, is_last: bool) -> "Asked":
        """Raises BadRequest: it is nested too deeply."""
        body = call.request.body
        if isinstance(body, FormBody):
            return cls({name: text for name in ASKED if (text := body.text(name)) is not None})
        size = sum(len(memoryview(call.fields[name])) for name in ASKED if name in call.fields)
        if size <= LARGE:
            return _decoded(call, is_last)
        return await asyncio.to_thread(_decoded, call, is_last)

    def texts(self) -> list[Text]:
        return [Text(spot.role, spot.holder[spot.key]) for _, wording in self._wordings for spot in wording.spots]

    def changed(self, call: Call, texts: Sequence[str] | None, body: Mapping[str, Any] | None) -> Call:
        """The call with others in their places. What is the same stays as the client wrote it."""
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
        return call.with_fields({**call.fields, **{name: _raw(value) for name, value in fields.items()}})

    def _read(self, fields: Mapping[str, Any]) -> None:
        self._wordings = [each for each in self._wordings if each[0] not in fields]
        for name, value in fields.items():
            holder = self._fields[name] = {name: value}
            self._wordings.append((name, Wording(request_spots(holder, last_only=self._is_last))))


def _decoded(call: Call, is_last: bool) -> Asked:
    try:
        fields = {name: msgspec.json.decode(call.fields[name]) for name in ASKED if name in call.fields}
        return Asked(fields, is_last=is_last)
    except RecursionError as error:
        raise BadRequest("the request body is nested too deeply") from error


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
