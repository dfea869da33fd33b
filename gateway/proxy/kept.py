"""Responses that the gateway keeps, because the provider that made them keeps none: what went in, and what came out.

Source: platform.openai.com/docs/guides/conversation-state, read 2026-11: a response may be referred to for 30 days.
"""

import asyncio
import zlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from gateway.contract import Call, Caller
from gateway.contract.objects import AccountObject, ObjectKind, Objects, not_found, owner_of
from gateway.contract.windows import utc_now
from gateway.errors import BadRequest
from gateway.proxy.bodies import LARGE
from gateway.secrecy.sealing import Seal

KEPT_DAYS = 30
LONGEST_S = 3600.0
"""What is made in the background, and not done by then, has failed, also if the process that made it is gone."""
HERE = ""
"""The account of what is kept by the gateway itself."""
MAX_BYTES = 32 * 1024 * 1024
"""Of one, when it is opened again."""
_FIRST_INPUT = 500_000
"""Items of the input are numbered from here on, and those of the output from 0."""
_LEVEL = 1
_SMALLER = 4
"""Times that text becomes smaller when it is packed."""
_PREFIXES = {"function_call": "fc", "custom_tool_call": "ctc", "reasoning": "rs"}

T = TypeVar("T")
Item = dict[str, msgspec.Raw]
_items = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_encode = msgspec.json.encode


class Kept(msgspec.Struct, frozen=True):
    """
    Args:
        input: items, those of earlier turns included.
        response: as it was told.
    """

    input: list[Item]
    response: dict[str, msgspec.Raw]
    size: int = 0
    """Bytes that were opened."""

    @property
    def status(self) -> str:
        return bytes(self.response.get("status", b"")).decode().strip('"')

    def failed(self, why: str) -> "Kept":
        error = {"code": "server_error", "message": why}
        told = {"status": msgspec.Raw(b'"failed"'), "error": msgspec.Raw(_encode(error))}
        return Kept(self.input, {**self.response, **told})

    @property
    def output(self) -> list[Item]:
        return _items.decode(self.response.get("output", b"[]"))

    def item(self, id_: str) -> Item | None:
        wanted = _encode(id_)
        return next((each for each in (*self.output, *self.input) if bytes(each.get("id", b"")) == wanted), None)


_kept = msgspec.json.Decoder(Kept)


class Shelf:
    """Where they are kept. Large ones are packed and opened beside the event loop.

    Args:
        days: for how long; 0: none is.
    """

    def __init__(
        self, objects: Objects, seal: Seal, *, days: int | None = None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self.objects = objects
        self.days = KEPT_DAYS if days is None else days
        self._seal = seal
        self._clock = clock

    def place(
        self, kind: ObjectKind, id_: str, caller: Caller | None, *, target: str, account: str = HERE
    ) -> AccountObject:
        """Of what was just made. What an account keeps is remembered as long as OpenAI keeps it."""
        now = self._clock()
        return AccountObject(
            kind=kind,
            id=id_,
            owner=owner_of(caller),
            account=account,
            provider_id=id_,
            created_at=now,
            expires_at=now + timedelta(days=self.days if account == HERE else KEPT_DAYS),
            target=target,
        )

    async def keep(self, place: AccountObject, call: Call, response: dict[str, Any]) -> None:
        """One that the gateway has made, with all that has led to it.

        Raises:
            Unavailable: the database cannot be reached.
            ValueError: it is too large.
        """
        await self.objects.remember(await self._packed(place, call, response))

    async def change(self, place: AccountObject, call: Call, response: dict[str, Any]) -> None:
        """The same for one that was kept before, unless somebody has deleted it meanwhile. Raises as `keep`."""
        await self.objects.change(await self._packed(place, call, response))

    async def _packed(self, place: AccountObject, call: Call, response: dict[str, Any]) -> AccountObject:
        given = call.fields.get("input")

        def packed() -> bytes:
            items = named(items_of(given), place.id.rpartition("_gw")[2])
            kept = Kept(items, {name: msgspec.Raw(_encode(value)) for name, value in response.items()})
            return pack(kept, self._seal)

        data = await beside(len(memoryview(given)) if given is not None else 0, packed)
        return msgspec.structs.replace(place, data=data)

    async def open(self, found: AccountObject) -> Kept:
        """Raises NotFound: it cannot be read any more."""
        data = found.data or b""
        try:
            kept = await beside(len(data) * _SMALLER, lambda: unpack(data, self._seal))
        except ValueError:
            raise not_found(found.kind, found.id) from None
        if kept.status == "in_progress" and (self._clock() - found.created_at).total_seconds() > LONGEST_S:
            return kept.failed("the gateway that made it was stopped")
        return kept


async def beside(size: int, work: Callable[[], T]) -> T:
    """Does it, in a thread if it takes long. `size`: bytes that are looked at."""
    return await asyncio.to_thread(work) if size > LARGE else work()


def pack(kept: Kept, seal: Seal) -> bytes:
    """As it is stored: small, and for nobody else's eyes."""
    return seal.close_data(zlib.compress(_encode(kept), _LEVEL))


def unpack(data: bytes, seal: Seal) -> Kept:
    """Raises ValueError: it was sealed under another pepper, or is damaged."""
    opening = zlib.decompressobj()
    try:
        whole = opening.decompress(seal.open_data(data), MAX_BYTES)
        return msgspec.structs.replace(_kept.decode(whole), size=len(whole))
    except (zlib.error, msgspec.DecodeError, RecursionError) as error:
        raise ValueError("what was kept is damaged") from error


def items_of(given: msgspec.Raw | None) -> list[Item]:
    """Of the field `input`, which may be a text. Raises BadRequest."""
    if given is None or bytes(given) == b"null":
        return []
    if bytes(given).lstrip().startswith(b'"'):
        content = msgspec.Raw(b'[{"type":"input_text","text":%b}]' % bytes(given))
        fields = {"type": msgspec.Raw(b'"message"'), "role": msgspec.Raw(b'"user"'), "content": content}
        return [fields]
    try:
        return _items.decode(given)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f'the field "input" is not valid: {error}', param="input") from error


def named(items: Iterable[Item], hexadecimal: str) -> list[Item]:
    """With an id for each that has none.

    Args:
        hexadecimal: of the id of the response.
    """
    return [
        item
        if bytes(item.get("id", b"")).startswith(b'"')
        else {**item, "id": msgspec.Raw(_encode(_id_of(item, number, hexadecimal)))}
        for number, item in enumerate(items, _FIRST_INPUT)
    ]


def _id_of(item: Item, number: int, hexadecimal: str) -> str:
    kind = bytes(item.get("type", b'"message"')).decode(errors="replace").strip('"')
    return f"{_PREFIXES.get(kind, 'msg' if kind == 'message' else 'in')}_gw{hexadecimal}_{number}"


def page(items: Sequence[Item], *, after: str | None, limit: int, oldest_first: bool) -> dict[str, Any]:
    """A list as OpenAI gives it. Raises BadRequest: there is no such `after`."""
    ordered = list(items) if oldest_first else list(reversed(items))
    ids = [bytes(item["id"]).decode().strip('"') for item in ordered]
    begin = 0
    if after is not None:
        if after not in ids:
            raise BadRequest(f"there is no item {after[:100]!r} in it", param="after")
        begin = ids.index(after) + 1
    shown, names = ordered[begin : begin + limit], ids[begin : begin + limit]
    first, last = (names[0], names[-1]) if names else (None, None)
    has_more = begin + limit < len(ordered)
    return {"object": "list", "data": shown, "first_id": first, "last_id": last, "has_more": has_more}
