"""Bodies that are nothing but bytes, such as a recording, read as they come."""

from gateway.contract.request import RawBody
from gateway.wire.form import BEGINNING, MAX_IN_MEMORY, Store


class RawReader:
    """Takes a body in pieces. What is over 1 MiB goes into the store, all of it."""

    def __init__(self, content_type: str, store: Store) -> None:
        self._content_type = content_type
        self._store = store
        self._pieces: list[bytes] = []
        self._size = 0
        self._beginning = b""
        self._is_stored = False

    def feed(self, data: bytes) -> None:
        if self._is_stored:
            self._store.add(data)
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > MAX_IN_MEMORY:
            whole = b"".join(self._pieces)
            self._pieces.clear()
            self._beginning = whole[:BEGINNING]
            self._is_stored = True
            self._store.add(whole)

    def end(self) -> RawBody:
        if self._is_stored:
            return RawBody(self._store.since(0, self._beginning), self._content_type)
        return RawBody(b"".join(self._pieces), self._content_type)
