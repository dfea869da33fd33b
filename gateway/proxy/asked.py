"""The texts of a request, and the way back into it."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from gateway.contract import Call, FormBody, JsonBody, RawBody, Text
from gateway.errors import BadRequest
from gateway.proxy.bodies import LARGE
from gateway.wire.disguised import disguised_in
from gateway.wire.repeats import has_repeats
from gateway.wire.wording import ASKED, UNSAID, TooManyTexts, Wording, aside_spots, request_spots

_FIXED = frozenset({"model", "stream", "stream_options"})
"""Fields that no guardrail changes: where the request goes was decided by them."""
_MESSAGES = frozenset({"messages", "input", "system", "contents"})
_TOKENS = re.compile(rb"\s*\[[\s\[]*-?[0-9]")
"""A list that begins with a number, or with a list that does."""


class Asked:
    """
    Args:
        fields: those that may hold texts, decoded.
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
    async def of(cls, call: Call, *, is_last: bool, is_thorough: bool) -> "Asked":
        """
        Args:
            is_thorough: somebody wants the texts that stand aside, too.

        Raises:
            BadRequest: there is more of it, or it is nested deeper, than can be looked at; a number is too large; or an
                object has two fields of one name.
        """
        body = call.request.body

        def wanted(names: Iterable[str]) -> list[str]:
            names = frozenset(names)
            aside = names.difference(ASKED, UNSAID) if is_thorough and not is_last else ()
            return [*filter(names.__contains__, ASKED), *sorted(aside)]

        def read(*, is_large: bool = False) -> Asked:
            if isinstance(body, FormBody):
                texts = _form_texts(body)
                fields: dict[str, Any] = {name: texts[name] for name in wanted(texts)}
            elif isinstance(body, RawBody):
                document = _document(body)
                if document:
                    _refuse_repeats(body.data, document)
                fields = {name: document[name] for name in wanted(document)}
            else:
                fields = {name: msgspec.json.decode(call.fields[name]) for name in wanted(call.fields)}
                for name, value in fields.items():
                    _refuse_repeats(bytes(call.fields[name]), value)
                    _refuse_disguised(name, value)
            is_turn = is_last and isinstance(body, JsonBody)
            return cls(fields, is_last=is_turn, is_large=is_large)

        size = sum(len(memoryview(call.fields[name])) for name in wanted(call.fields))
        try:
            return read() if size <= LARGE else await asyncio.to_thread(read, is_large=True)
        except RecursionError as error:
            raise BadRequest("the request body is nested too deeply") from error
        except TooManyTexts as error:
            raise BadRequest(f"the request cannot be looked at: {error}") from error
        except msgspec.DecodeError as error:  # as of `1e400`, which is passed on unread where nobody looks
            raise BadRequest(f"the request body cannot be read: {error}") from error

    def texts(self, *, is_thorough: bool) -> list[Text]:
        """
        Args:
            is_thorough: also those that stand aside, in which nobody speaks.
        """
        return [
            Text(spot.role, spot.holder[spot.key])
            for _, wording in self._shown(is_thorough=is_thorough)
            for spot in wording.spots
        ]

    async def changed(
        self, call: Call, texts: Sequence[str] | None, body: Mapping[str, Any] | None, *, is_thorough: bool
    ) -> Call:
        """The call with others in their places. What is the same stays as the client wrote it."""
        if self._is_large:
            return await asyncio.to_thread(self._changed, call, texts, body, is_thorough)
        return self._changed(call, texts, body, is_thorough)

    def _changed(
        self, call: Call, texts: Sequence[str] | None, body: Mapping[str, Any] | None, is_thorough: bool
    ) -> Call:
        if texts is None:
            fields = {name: value for name, value in (body or {}).items() if name not in _FIXED}
            self._read({name: value for name, value in fields.items() if name in ASKED or name in self._fields})
        else:
            fields = {}
            rest = iter(texts)
            for name, wording in self._shown(is_thorough=is_thorough):
                if changes := wording.changes(islice(rest, len(wording.spots))):
                    wording.put(changes)
                    fields[name] = self._fields[name][name]
        body_then = call.request.body
        if isinstance(body_then, RawBody):
            data = msgspec.json.encode({**_document(body_then), **fields})
            request = msgspec.structs.replace(call.request, body=RawBody(data, body_then.content_type))
            return msgspec.structs.replace(call, request=request)
        return call.with_fields({**call.fields, **{name: _raw(value) for name, value in fields.items()}})

    def _shown(self, *, is_thorough: bool) -> list[tuple[str, Wording]]:
        return [each for each in self._wordings if is_thorough or each[0] in ASKED]

    def _read(self, fields: Mapping[str, Any]) -> None:
        self._wordings = [each for each in self._wordings if each[0] not in fields]
        for name, value in fields.items():
            holder = self._fields[name] = {name: value}
            spots = request_spots(holder, last_only=self._is_last) if name in ASKED else aside_spots(name, holder)
            self._wordings.append((name, Wording(spots)))


def has_tokens(call: Call) -> bool:
    """Whether texts are given as the numbers of their tokens, as completions and embeddings may: nobody can read them
    who has not the model's own list."""
    return any(_TOKENS.match(call.fields[name]) is not None for name in ("input", "prompt") if name in call.fields)


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


def _form_texts(body: FormBody) -> dict[str, str]:
    """Raises BadRequest: what is said is there twice, and who knows which of them a provider takes."""
    texts: dict[str, str] = {}
    for part in body.parts:
        if part.filename is None or part.name in ASKED:
            if part.name in ASKED and part.name in texts:
                raise BadRequest(f"the form has more than one field {part.name}", param=part.name)
            texts.setdefault(part.name, part.beginning.decode(errors="replace"))
    return texts


def _refuse_disguised(field: str, value: object) -> None:
    """Raises BadRequest: a provider might believe a text that nobody has looked at."""
    if field in _MESSAGES and (name := disguised_in(value)) is not None:
        raise BadRequest(f'the field "{name}" is written in lower case', param=field)


def _refuse_repeats(data: object, value: object) -> None:
    """Raises BadRequest: of two fields of one name, a provider might believe the one that nobody has looked at."""
    if isinstance(data, bytes) and has_repeats(data, value):
        raise BadRequest("the request cannot be looked at: an object in it has two fields of one name")


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
