"""JSON with files in it: in one piece, or with those read as it goes out that are not in memory."""

import json
from base64 import b64decode

import pytest

from gateway.contract import FormPart
from gateway.wire.inlined import File, inlined

MARK = "0" * 32


class Pieces:
    """A `Stored` that gives its bytes so many at a time."""

    def __init__(self, data, size):
        self.data = data
        self.size = size
        self.beginning = data[:4096]

    def __len__(self):
        return len(self.data)

    async def __aiter__(self):
        for at in range(0, len(self.data), self.size):
            yield self.data[at : at + self.size]


@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", bytes(range(256))])
def test_files_in_memory(data):
    value = {"a": [File(FormPart("x", data)), "text", File(FormPart("y", b"z"))], "b": 1}

    length, out = inlined(value, MARK)

    assert len(out) == length
    said = json.loads(out)
    assert (b64decode(said["a"][0]), said["a"][1:], said["b"]) == (data, ["text", "eg=="], 1)


@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", bytes(range(100))])
async def test_files_that_are_not_in_memory_wherever_they_are_cut(data, size):
    value = {"a": File(FormPart("x", Pieces(data, size), "f")), "b": File(FormPart("y", b"z")), "c": "0"}

    length, pieces = inlined(value, MARK)
    out = b"".join([piece async for piece in pieces])

    assert len(out) == length
    said = json.loads(out)
    assert (b64decode(said["a"], validate=True), said["b"], said["c"]) == (data, "eg==", "0")


def test_without_files_it_is_json():
    assert inlined({"a": 1}, MARK) == (7, b'{"a":1}')
