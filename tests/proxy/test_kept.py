"""Responses that the gateway keeps: small, sealed, and for as long as is said."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest

from gateway.contract import Ask, Call, Caller, JsonBody, Request
from gateway.contract.objects import ObjectKind
from gateway.dialects import MAKE_RESPONSE
from gateway.errors import BadRequest, NotFound
from gateway.proxy.kept import LONGEST_S, Kept, Shelf, items_of, named, pack, page, unpack
from gateway.secrecy.sealing import Seal
from gateway.state.objects import MemoryObjects

HEX = "0123456789abcdef" * 2
SEAL = Seal(b"a-pepper-of-some-length")
ANA = Caller("user:ana@example.com")


class Clock:
    now = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


def raw(value):
    return msgspec.Raw(msgspec.json.encode(value))


def call(input_):
    return Call(MAKE_RESPONSE, Ask("m"), Request(body=JsonBody({"input": raw(input_)})))


def shelf_with(clock, days=None):
    objects = MemoryObjects(clock=clock)
    return Shelf(objects, SEAL, days=days, clock=clock), objects


def response(**fields):
    return {"id": f"resp_gw{HEX}", "status": "completed", "output": [], **fields}


async def kept_on(shelf, input_="hi", **fields):
    told = response(**fields)
    place = shelf.place(ObjectKind.RESPONSE, told["id"], ANA, target="a/m")
    await shelf.keep(place, call(input_), told)
    return told


def test_what_was_packed_can_be_opened():
    kept = Kept(items_of(raw("hi")), {"id": raw("resp_1"), "output": raw([{"id": "msg_1"}])})

    packed = pack(kept, SEAL)

    opened = unpack(packed, SEAL)
    assert msgspec.structs.replace(opened, size=0) == kept
    assert opened.size == len(msgspec.json.encode(kept))
    assert b"resp_1" not in packed
    for data in (packed[:-1], b"", pack(kept, Seal(b"another"))):
        with pytest.raises(ValueError, match="kept"):
            unpack(data, SEAL)


def test_a_text_is_one_message():
    [item] = items_of(raw('a "b"'))

    assert msgspec.json.decode(msgspec.json.encode(item)) == {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": 'a "b"'}],
    }
    assert items_of(None) == items_of(raw(None)) == []
    with pytest.raises(BadRequest):
        items_of(raw(7))


def test_items_without_ids_get_some():
    """Others keep theirs, and an id that is no text is none."""
    given = items_of(raw([{"role": "user"}, {"type": "reasoning"}, {"id": "own"}, {"id": None}, {"type": "x"}]))

    assert [msgspec.json.decode(item["id"]) for item in named(given, HEX)] == [
        f"msg_gw{HEX}_500000",
        f"rs_gw{HEX}_500001",
        "own",
        f"msg_gw{HEX}_500003",
        f"in_gw{HEX}_500004",
    ]


def test_pages():
    items = named(items_of(raw([{"role": str(number)} for number in range(3)])), HEX)
    first, last = (msgspec.json.decode(items[at]["id"]) for at in (0, 2))

    newest = page(items, after=None, limit=2, oldest_first=False)
    rest = page(items, after=newest["last_id"], limit=2, oldest_first=False)

    assert (newest["first_id"], newest["has_more"], rest["data"], rest["has_more"]) == (last, True, [items[0]], False)
    assert rest["first_id"] == rest["last_id"] == first
    assert page([], after=None, limit=2, oldest_first=True)["first_id"] is None


@pytest.mark.parametrize("size", [10, 1_000_000])
async def test_a_shelf_gives_back_what_it_was_given(size):
    """Also what is so large that it is packed in a thread."""
    shelf, objects = shelf_with(Clock())
    text = "".join(chr(97 + number % 23) for number in range(size))

    told = await kept_on(shelf, text)
    kept = await shelf.open(await objects.find(ObjectKind.RESPONSE, told["id"], ANA))

    assert msgspec.json.decode(kept.input[0]["content"])[0]["text"] == text
    assert (kept.status, msgspec.json.decode(kept.response["id"])) == ("completed", told["id"])


async def test_it_is_found_until_its_time_is_over():
    clock = Clock()
    shelf, objects = shelf_with(clock, days=2)
    told = await kept_on(shelf)

    clock.now += timedelta(days=2) - timedelta(seconds=1)
    await objects.find(ObjectKind.RESPONSE, told["id"], ANA)
    clock.now += timedelta(seconds=1)
    with pytest.raises(NotFound):
        await objects.find(ObjectKind.RESPONSE, told["id"], ANA)


async def test_what_nobody_makes_any_more_has_failed():
    """The process that made it was stopped, and could not say so."""
    clock = Clock()
    shelf, objects = shelf_with(clock)
    told = await kept_on(shelf, status="in_progress")
    found = await objects.find(ObjectKind.RESPONSE, told["id"], ANA)

    running = await shelf.open(found)
    clock.now += timedelta(seconds=LONGEST_S + 1)
    failed = await shelf.open(found)

    assert (running.status, failed.status) == ("in_progress", "failed")
    assert msgspec.json.decode(failed.response["error"])["message"] == "the gateway that made it was stopped"


async def test_what_is_too_large_is_not_kept():
    shelf, _ = shelf_with(Clock())
    noise = b64encode(Random(1).randbytes(5_000_000)).decode()

    with pytest.raises(ValueError, match="over"):
        await kept_on(shelf, noise)
