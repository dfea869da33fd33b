"""Files that are too large for memory."""

import asyncio
import resource
from pathlib import Path

import pytest

from gateway.contract import FormPart
from gateway.errors import BadRequest, Unavailable
from gateway.proxy.spool import Disk, Spool
from gateway.wire.form import MAX_IN_MEMORY, FormReader, form_of, upload_of

LARGE = bytes(range(256)) * 4200
PARTS = (
    FormPart("prompt", b"say it"),
    FormPart("file", LARGE, "a.mp3", "audio/mpeg"),
    FormPart("small", b"\r\n--", "b.txt"),
    FormPart("other", LARGE[::-1], "c.mp3"),
    FormPart("model", b"whisper-1"),
)
ALL = [(part.name, part.data, part.filename, part.content_type) for part in PARTS]


def open_files():
    """Those without a name, as uploads are kept in. Others may be closed at any time by what other tests left."""
    return sum(has_no_name(each) for each in Path("/proc/self/fd").iterdir())


def has_no_name(file):
    try:
        return str(file.readlink()).endswith(" (deleted)")
    except FileNotFoundError:
        return False


@pytest.fixture
def small_files():
    """While inside, the system refuses to write files of more than half a MiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512 * 1024, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def read(spool, data, *cuts):
    form = FormReader("multipart/form-data; boundary=x", spool)
    for begin, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        form.feed(data[begin:end])
        await spool.flush()
    body = form.end()
    await spool.flush(is_end=True)
    return body


async def whole(part):
    return part.data if isinstance(part.data, bytes) else b"".join([piece async for piece in part.data])


async def test_what_is_large_comes_back_as_it_was_as_often_as_it_is_asked_for():
    _, data = form_of(PARTS, "x")
    end = data.index(b"\r\n--x", 1000)
    async with Spool() as spool:
        for cut in range(end - 10, end + 170, 7):
            form = await read(spool, data, cut)
            assert [(part.name, len(part.data), part.filename, part.content_type) for part in form.parts] == [
                (name, len(data), filename, content_type) for name, data, filename, content_type in ALL
            ]
            assert [await whole(part) for part in form.parts] == [data for _, data, _, _ in ALL]
        assert [await whole(part) for part in form.parts] == [data for _, data, _, _ in ALL]
        assert [isinstance(part.data, bytes) for part in form.parts] == [True, False, True, False, True]
        assert [part.beginning for part in form.parts if part.name in ("file", "other")] == [
            LARGE[:4096],
            LARGE[::-1][:4096],
        ]
        assert form.text("model") == "whisper-1"


async def test_what_is_sent_on_is_what_came():
    content_type, data = form_of(PARTS, "x")
    async with Spool() as spool:
        form = await read(spool, data)

        again = upload_of(form.parts, "x")

        assert again[:2] == (content_type, len(data))
        assert b"".join([piece async for piece in again[2]]) == data


async def test_a_form_that_fits_into_memory_is_no_file():
    parts = (FormPart("file", MAX_IN_MEMORY * b"a", "a"), FormPart("model", b""))
    content_type, data = form_of(parts, "x")
    async with Spool() as spool:
        form = await read(spool, data, 1000, 70_000)

        assert (form.parts, len(spool)) == (parts, 0)
        assert upload_of(form.parts, "x") == (content_type, None, data)


async def test_fields_that_are_no_files_have_to_fit():
    """They are read by those who decide."""
    async with Spool() as spool:
        with pytest.raises(BadRequest, match="over 1,048,576 bytes; send files with a name"):
            await read(spool, form_of([FormPart("prompt", LARGE)], "x")[1])


async def test_nothing_is_left():
    _, data = form_of(PARTS, "x")
    before = open_files()
    async with Spool() as spool:
        form = await read(spool, data)
        assert open_files() == before + 1

    assert open_files() == before
    with pytest.raises(ValueError, match="after its request has ended"):
        await whole(form.parts[1])


async def test_a_thread_that_is_late_writes_nowhere():
    """The number of a closed file soon stands for another: a connection, say."""
    before = open_files()
    async with Spool() as spool:
        spool.add(LARGE)
        writing = asyncio.create_task(spool.flush(is_end=True))
        await asyncio.sleep(0)

    await writing
    assert open_files() == before
    with pytest.raises(ValueError, match="after its request has ended"):
        await spool.read(0, 1)


async def test_a_full_disk_is_told(small_files):
    async with Spool() as spool:
        with pytest.raises(Unavailable, match="no room to keep this upload"):
            await read(spool, form_of(PARTS, "x")[1])


async def test_all_of_them_together_have_an_end():
    """Else a few dozen uploads fill the disk of everybody else. What one had is free when it is over."""
    disk = Disk(3 * 1024 * 1024)
    _, data = form_of(PARTS, "x")
    async with Spool(disk) as first:
        await read(first, data)
        async with Spool(disk) as second:
            with pytest.raises(Unavailable, match="all of the 3,145,728 bytes") as full:
                await read(second, data)
        assert (full.value.code, full.value.retry_after_s) == ("upload_disk_full", 5)
        assert disk.used == len(LARGE) * 2
    assert disk.used == 0
    async with Spool(disk) as third:
        await read(third, data)
