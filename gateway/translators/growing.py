"""When a JSON object that comes in pieces is worth a look."""

_ALWAYS_LOOKED_AT = 4096
"""Characters; of what is longer, each look at all of it has to be worth it."""


class Growing:
    """Any piece may be the last. To look at all of it after each would take minutes for a hundred thousand; as it is
    said here, it takes no more time than to read it a few times."""

    __slots__ = ("_looks_at", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._looks_at = 1

    def add(self, piece: str) -> None:
        self._size += len(piece)

    def may_be_whole(self, last: str) -> bool:
        """To be looked at now, or not before the next piece. `last`: the piece that came last."""
        if self._size < self._looks_at or not last.rstrip().endswith("}"):
            return False
        self._looks_at = self._size + (1 if self._size < _ALWAYS_LOOKED_AT else self._size // 8)
        return True
