"""What callers have made at accounts is found by them alone; one suite for all stores."""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gateway.contract import Caller
from gateway.contract.objects import MAX_DATA_BYTES, AccountObject, ObjectKind
from gateway.errors import NotFound
from gateway.state.database.migrate import migrate
from gateway.state.database.objects import ObjectStore
from gateway.state.objects import MemoryObjects, StoredObjects

ANA, BO = Caller("user:ana@example.com"), Caller("user:bo@example.com")
ADMIN = Caller("user:admin", is_admin=True)
START = datetime(2026, 1, 1, tzinfo=UTC)
FILE, BATCH = ObjectKind.FILE, ObjectKind.BATCH


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


def made(provider_id="file-1", owner=ANA, account="main", minute=0, kind=FILE, days=1, **fields):
    at = START + timedelta(minutes=minute)
    return AccountObject(
        kind=kind,
        id=provider_id,
        owner=owner.subject,
        account=account,
        provider_id=provider_id,
        created_at=at,
        expires_at=at + timedelta(days=days),
        **fields,
    )


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="module")
def template(postgres):
    """A database of PostgreSQL with all tables, to be copied."""
    with postgres.database() as url:
        asyncio.run(migrate(url))
        yield url.partition("@/")[2].partition("?")[0]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request, tmp_path):
    """Of an empty database; None: there is none."""
    if request.param == "postgres":
        template = request.getfixturevalue("template")
        with request.getfixturevalue("postgres").database(template) as url:
            yield url
    elif request.param == "sqlite":
        yield f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_file'), tmp_path / 'gateway.db')}"
    else:
        yield None


@pytest.fixture
async def new_objects(url, clock):
    """`new_objects()`: what one process sees; of databases, each call is another process."""
    memory, stores = MemoryObjects(clock=clock), []

    def make():
        if url is None:
            return memory
        stores.append(ObjectStore(url, clock=clock, deadline_s=20.0))
        return StoredObjects(stores[-1])

    yield make
    for store in stores:
        await store.close()


@pytest.fixture
def objects(new_objects):
    return new_objects()


async def test_what_was_remembered_is_found_as_it_was(objects, new_objects):
    """By another process, too."""
    file = made(target="main/m", data=b'{"id": "file-1"}')

    assert await objects.remember(file) == file

    assert await objects.find(FILE, "file-1", ANA) == file
    assert await new_objects().find(FILE, "file-1", ANA) == file


@pytest.mark.parametrize("caller", [ANA, ADMIN, None])
async def test_owners_and_admins_see_it(objects, caller):
    file = await objects.remember(made())

    assert await objects.find(FILE, "file-1", caller) == file
    assert await objects.list(FILE, caller) == [file]


async def test_to_others_it_is_as_if_there_were_none(objects):
    await objects.remember(made())

    with pytest.raises(NotFound) as hidden:
        await objects.find(FILE, "file-1", BO)
    with pytest.raises(NotFound) as other_kind:
        await objects.find(BATCH, "file-1", ANA)
    await objects.forget(made())
    with pytest.raises(NotFound) as absent:
        await objects.find(FILE, "file-1", BO)

    assert str(hidden.value) == str(absent.value)
    assert str(other_kind.value) == str(absent.value).replace("no file", "no batch")
    assert await objects.list(FILE, BO) == []


async def test_several_are_remembered_at_once(objects):
    """As one by one: what is known stays, and an id belongs to who has it."""
    await objects.remember(made("item-1", owner=BO))

    await objects.remember_all([made("item-1"), made("item-2"), made("item-2", data=b"x")])

    assert (await objects.find(FILE, "item-1", BO)).owner == BO.subject
    assert (await objects.find(FILE, "item-2", ANA)).data == b"x"
    assert len(await objects.list(FILE, ANA)) == 2


async def test_what_is_forgotten_is_not_changed(objects, new_objects):
    """Whoever works on something writes down how that ended; if it was deleted meanwhile, it came back."""
    await objects.remember(made(data=b"begun"))

    assert await objects.change(made(data=b"done"))
    assert (await objects.find(FILE, "file-1", ANA)).data == b"done"
    assert not await objects.change(made(owner=BO, data=b"theirs"))
    await new_objects().forget(made())
    assert not await objects.change(made(data=b"again"))
    with pytest.raises(NotFound):
        await objects.find(FILE, "file-1", ANA)


async def test_who_comes_second_to_an_id_gets_another(objects):
    """Two self-hosted servers may both count from 1."""
    first = await objects.remember(made(data=b"of ana"))
    second = await objects.remember(made(owner=BO, account="other", data=b"of bo"))

    assert second.id.startswith("file-1-")
    assert second == msgspec.structs.replace(made(owner=BO, account="other", data=b"of bo"), id=second.id)
    assert await objects.find(FILE, "file-1", ANA) == first
    assert await objects.find(FILE, second.id, BO) == second
    assert await objects.remember(made(owner=BO, account="other")) == second


async def test_one_owner_with_two_accounts_tells_the_two_apart(objects):
    first = await objects.remember(made())
    second = await objects.remember(made(account="other"))

    assert (first.id, second.account) == ("file-1", "other")
    assert second.id != "file-1"
    assert await objects.list(FILE, ANA, account="other") == [second]


async def test_to_remember_again_changes_what_is_new(objects, new_objects):
    """It stays as old as it was, and expires when it would have."""
    first = await objects.remember(made(target="main/m", data=b"one"))

    assert await objects.remember(made(minute=5)) == first
    changed = await objects.remember(made(minute=5, data=b"two"))

    assert changed == made(target="main/m", data=b"two")
    assert await new_objects().find(FILE, "file-1", ANA) == changed


async def test_expired_is_gone_and_its_id_free(objects, clock, new_objects):
    await objects.remember(made(data=b"old"))
    clock.now += timedelta(days=1)

    with pytest.raises(NotFound):
        await new_objects().find(FILE, "file-1", ANA)
    assert await objects.list(FILE, ANA) == []
    again = made(owner=BO, minute=24 * 60, data=b"new")
    assert await new_objects().remember(again) == again


async def test_lists_come_in_pages_either_way(objects):
    """Two of one moment have an order as well, so that no page leaves one out."""
    files = [await objects.remember(made(f"file-{number}", minute=number // 2)) for number in range(5)]
    await objects.remember(made("file-of-bo", owner=BO))
    await objects.remember(made("batch-1", kind=BATCH))

    async def pages(**how):
        found, after = [], None
        while page := await objects.list(FILE, ANA, after=after, limit=2, **how):
            found += page
            after = page[-1].id
        return found

    assert await pages() == files[::-1]
    assert await pages(oldest_first=True) == files
    assert [file.id for file in await objects.list(FILE, ADMIN)] == [
        "file-4", "file-3", "file-2", "file-of-bo", "file-1", "file-0",
    ]  # fmt: skip
    with pytest.raises(NotFound):
        await objects.list(FILE, BO, after="file-1")


async def test_many_at_once_that_want_one_id(objects):
    """All of them get one, and each another."""
    callers = [Caller(f"user:{number}@example.com") for number in range(4)]

    kept = await asyncio.gather(*[objects.remember(made(owner=caller)) for caller in callers])

    assert len({one.id for one in kept}) == 4
    assert sorted(one.owner for one in kept) == [caller.subject for caller in callers]
    for one, caller in zip(kept, callers, strict=True):
        assert await objects.list(FILE, caller) == [one]


@pytest.mark.parametrize("wrong", [{"provider_id": "x" * 201}, {"provider_id": ""}, {"provider_id": "a\nb"}])
async def test_ids_that_cannot_be_one(objects, wrong):
    with pytest.raises(ValueError, match="the id of a file"):
        await objects.remember(made(**wrong))


async def test_data_has_an_end(objects):
    with pytest.raises(ValueError, match="over 4,194,304 bytes"):
        await objects.remember(made(data=bytes(MAX_DATA_BYTES + 1)))


async def test_memory_is_bounded():
    """The first to come are the first to go, by number or by size."""
    objects = MemoryObjects(clock=Clock(), max_objects=3, max_bytes=10)

    for number in range(5):
        await objects.remember(made(f"file-{number}", minute=number, data=b"1"))
    assert [file.id for file in await objects.list(FILE, ANA)] == ["file-4", "file-3", "file-2"]

    await objects.remember(made("file-5", minute=5, data=b"123456789"))
    assert [file.id for file in await objects.list(FILE, ANA)] == ["file-5", "file-4"]
    assert next(iter(objects.figures())).values == {(): 2}


async def test_old_rows_are_deleted(migrated_file, tmp_path, clock):
    url = f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'gateway.db')}"
    store = ObjectStore(url, clock=clock, deadline_s=20.0)
    for number in range(5):
        await store.remember(made(f"file-{number}", days=1 + number))
    clock.now += timedelta(days=3)

    assert await store.forget_expired(batch=2) == 3
    assert await store.forget_expired(batch=2) == 0
    left = await store.page(FILE, owner=None, account=None, after=None, limit=9, oldest_first=True)
    assert [file.id for file in left] == ["file-3", "file-4"]
    await store.close()


async def test_a_large_one_is_read_each_time(migrated_file, tmp_path, clock):
    """Only small ones stay in memory, and not for long: another process may have changed them."""
    url = f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'gateway.db')}"
    store, now = ObjectStore(url, clock=clock, deadline_s=20.0), [0.0]
    objects, other = StoredObjects(store, monotonic=lambda: now[0]), StoredObjects(store)
    await objects.remember(made("small", data=b"1"))
    await objects.remember(made("large", data=5000 * b"1"))
    await other.remember(made("small", data=b"2"))
    await other.remember(made("large", data=5000 * b"2"))

    assert (await objects.find(FILE, "small", ANA)).data == b"1"
    assert (await objects.find(FILE, "large", ANA)).data == 5000 * b"2"
    now[0] += 30.0
    assert (await objects.find(FILE, "small", ANA)).data == b"2"
    await store.close()
