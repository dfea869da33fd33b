"""Texts of one speaker put together, for what was cut in two by who wrote it in several."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from gateway.contract import Text
from gateway.wire.redaction import Found

EDGE = 256
"""Characters at the beginning and at the end of a long text that may go on in another."""
_BREAK = "\n\n"


class Piece(NamedTuple):
    """A part of a text: where it stands in the seam, how long it is, which text it is of, and where in that."""

    place: int
    size: int
    number: int
    begin: int


class Seam:
    __slots__ = ("_pieces", "text")

    def __init__(self, text: str, pieces: Sequence[Piece]) -> None:
        self.text = text
        self._pieces = pieces

    def parts(self, found: Found) -> list[tuple[int, Found]]:
        """For each of the texts over which it reaches, its number and the part in it. What takes its place stands in
        the first of them."""
        parts: list[tuple[int, Found]] = []
        first = bisect_right(self._pieces, found.start, key=lambda piece: piece.place) - 1
        for piece in self._pieces[first:]:
            if piece.place >= found.end:
                break
            low = max(found.start - piece.place, 0) + piece.begin
            high = min(found.end - piece.place, piece.size) + piece.begin
            if parts and parts[-1][0] == piece.number:  # and all that stands between its beginning and its end
                parts[-1] = piece.number, msgspec.structs.replace(parts[-1][1], end=high)
            else:
                words = ("", "") if parts else (found.label, found.replacement)
                parts.append((piece.number, Found(low, high, *words, found.by)))
        return parts


def seams_of(texts: Sequence[Text]) -> Iterator[Seam]:
    """Of each speaker that has several."""
    by_role: defaultdict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        by_role[text.role].append(index)
    for indexes in by_role.values():
        if len(indexes) > 1:
            yield _seam(texts, indexes)


def _seam(texts: Sequence[Text], indexes: Iterable[int]) -> Seam:
    parts: list[str] = []
    pieces: list[Piece] = []
    size = 0
    for index in indexes:
        text = texts[index].text
        is_long = len(text) > 2 * EDGE
        for begin, part in ((0, text[:EDGE]), (len(text) - EDGE, text[-EDGE:])) if is_long else ((0, text),):
            pieces.append(Piece(size, len(part), index, begin))
            parts.append(part)
            size += len(part)
            if is_long and not begin:
                parts.append(_BREAK)
                size += len(_BREAK)
    return Seam("".join(parts), pieces)


def overlaps(part: Found, found: Sequence[Found]) -> bool:
    return any(part.start < each.end and each.start < part.end for each in found)
