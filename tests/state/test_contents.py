"""What was asked and answered, on its way to the database."""

import re

import msgspec
import pytest

from gateway.contract import Content
from gateway.errors import Unavailable
from gateway.proxy.content import Kept
from gateway.state.contents import Contents


class Store:
    def __init__(self, error=None):
        self.error = error
        self.written = {}

    async def write_contents(self, contents):
        if self.error is not None:
            raise self.error
        self.written |= dict(contents)


class Hides(msgspec.Struct):
    patterns: tuple = ((re.compile("EMP-[0-9]+"), "[EMP]"),)


async def test_it_is_made_unreadable_before_it_is_written():
    """Keys by what they look like, and what the rules say; what is no text is none."""
    store = Store()
    contents = Contents(store)

    async with contents.running():
        contents.add(Kept("r1", b'{"q":"EMP-17 sk-0123456789abcdef0123"}', b"a\0b\xff", True, Hides()))

    assert store.written == {"r1": Content('{"q":"[EMP] ***"}', "a\ufffdb\ufffd", True)}
    assert (contents.dropped, contents.problem) == (0, None)


@pytest.mark.parametrize("error", [Unavailable("away", retry_after_s=1), OSError("odd")])
async def test_what_is_lost_is_counted(error):
    contents = Contents(Store(error))

    async with contents.running():
        contents.add(Kept("r1", b"", b"", False))

    assert contents.dropped == 1
    assert contents.status.problem.startswith("what requests ask and are answered is lost: ")


async def test_too_many_are_counted_too():
    store = Store()
    contents = Contents(store, max_waiting=2)

    async with contents.running():
        for number in range(5):
            contents.add(Kept(f"r{number}", b"", b"", False))

    assert (sorted(store.written), contents.dropped) == (["r0", "r1"], 3)


@pytest.mark.parametrize("before", [*range(480, 520), 0, 985, 1000])
async def test_what_is_hidden_may_stand_anywhere(before):
    """Text is looked at in steps, and what lies across two of them is found, once."""
    store = Store()
    contents = Contents(store)
    text = "x" * before + "EMP-1234567890" + "y" * 700 + "EMP-2"

    async with contents.running():
        contents.add(Kept("r1", text.encode(), b"", False, Hides()))

    assert store.written["r1"].input == "x" * before + "[EMP]" + "y" * 700 + "[EMP]"


async def test_a_slow_pattern_holds_nobody_up():
    """One whose work grows with the square of the text, on as much as is kept."""
    store = Store()
    contents = Contents(store)
    hides = Hides(((re.compile("(?:a+)b"), "-"),))

    async with contents.running():
        contents.add(Kept("r1", b"a" * 65_536, b"", True, hides))

    assert store.written["r1"].input == "a" * (65_536 - 512)


async def test_what_is_hidden_may_be_cut_off_at_the_end():
    """Half of a key is not known to be one."""
    store = Store()
    contents = Contents(store)
    text = b"x" * 65_524 + b"sk-012345678"

    async with contents.running():
        contents.add(Kept("r1", text, text[:-1] + b"\xc3", True))

    assert {"x"} == {*store.written["r1"].input} == {*store.written["r1"].output}


async def test_what_is_hidden_may_be_parted_by_a_stream():
    """No event shows all of it. What was answered is then told as a whole, and others stay as they came."""
    store = Store()
    contents = Contents(store)
    words = [b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % word for word in (b"a EM", b"P-17")]

    async with contents.running():
        contents.add(Kept("r1", b"", b"".join(words), False, Hides()))
        contents.add(Kept("r2", b"", words[0], False, Hides()))

    assert "".join(store.written["r1"].output.split()) == (
        '[{"role":"assistant","parts":[{"type":"text","content":"a[EMP]"}],"finish_reason":"error"}]'
    )
    assert store.written["r2"].output == words[0].decode()
