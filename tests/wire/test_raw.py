"""Bodies that are nothing but bytes."""

import pytest

from gateway.wire.raw import RawReader

MIB = 1024 * 1024


class Stored:
    def __init__(self, store, begin, beginning):
        self.store, self.begin, self.beginning = store, begin, beginning


class Store:
    def __init__(self):
        self.data = b""

    def add(self, data):
        self.data += data

    def since(self, begin, beginning):
        return Stored(self, begin, beginning)

    def __len__(self):
        return len(self.data)


def read(data, size):
    store = Store()
    reader = RawReader("audio/wav", store)
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
    return reader.end(), store


@pytest.mark.parametrize("data", [b"", b"a", b"sound" * 100])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_small_one_stays_in_memory(data, size):
    body, store = read(data, size)

    assert (body.data, body.beginning, body.content_type, len(store)) == (data, data, "audio/wav", 0)


@pytest.mark.parametrize("size", [4095, 65536, 2 * MIB])
@pytest.mark.parametrize("length", [MIB, MIB + 1])
def test_a_large_one_is_stored_as_a_whole(size, length):
    data = bytes(range(256)) * 4096 + b"x"

    body, store = read(data[:length], size)

    assert body.beginning[:4096] == data[:4096]
    assert (store.data, isinstance(body.data, Stored)) == ((b"", False) if length == MIB else (data, True))
