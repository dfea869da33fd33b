"""Texts as they are read: without what cannot be seen, with look-alikes and escapes in plain letters.

Patterns are looked for in what comes of it, and what they find is where it came from: each place leads back. It takes
one pass, and for what is plain ASCII not even that.

Sources: the character data of Unicode 14 (NFKC, decimal digits, Default_Ignorable_Code_Point) as Python has it; of the
look-alikes of UTS 39 those of the Latin letters among Cyrillic and Greek; read 2026-11.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain

_INVISIBLE = (
    "\x00-\x08\x0e-\x1f\x7f\x80-\x84\x86-\x9f\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u20d0-\u20ff\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
"""What takes no room, marks that are put above and through letters, and control characters but those of white space."""
_LOOK_ALIKES = {
    **dict(zip("абеорсухкіјѕһԁԛԝүАВЕКМНОРСТХУІЈЅҮԌ", "a6eopcyxkijshdqwyABEKMHOPCTXYIJSYG", strict=True)),
    **dict(zip("ανογικρυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "avoyikpuxABEZHIKMNOPTYX", strict=True)),
    "ı": "i",
    "ℓ": "l",
}
"""Letters of other scripts that look like Latin ones. They count as these in a word that has some of these, too."""
_DASHES = dict.fromkeys("‐‑‒–—―−﹣⁃", "-")
_COMPATIBLE = (
    *((0xA0, 0x17F), (0x2000, 0x2050), (0x2070, 0x209D), (0x2100, 0x2190), (0x2460, 0x24F0), (0x3000, 0x3001)),
    *((0xFB00, 0xFB07), (0xFE10, 0xFE70), (0xFF01, 0xFF5F), (0x1D400, 0x1D800), (0x1F100, 0x1F150)),
)
_LAST_DIGITS = 0x1FBFA
_ESCAPED = re.compile(
    r"%([2-7][0-9A-Fa-f])|\\(?:u([0-9A-Fa-f]{4})|x([2-7][0-9A-Fa-f]))|&#(?:[xX]([0-9A-Fa-f]{2,4})|0?([0-9]{2,5}));"
)
_GONE = re.compile(f"[{_INVISIBLE}]+")
_WORTH_IT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@._:/+=-~")
"""What keys and addresses are made of. Other escapes stay: an address may hold them."""
_BESIDE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@-")
"""What makes a look-alike beside it count as the letter that it looks like."""
_ALIKE_CODES = str.maketrans(_LOOK_ALIKES)
_ALIKE = re.compile(f"[{''.join(_LOOK_ALIKES)}]+")


class Plain:
    """
    Args:
        text: as it is read.
        places: where in it pieces begin that came otherwise, in order.
        origins: where these come from, as (begin, end). What stands behind one is as it came.
    """

    __slots__ = ("_origins", "_places", "_sizes", "text")

    def __init__(self, text: str, places: list[int], sizes: list[int], origins: list[tuple[int, int]]) -> None:
        self.text = text
        self._places = places
        self._sizes = sizes
        self._origins = origins

    def begin(self, place: int) -> int:
        """Where what is read at a place begins in what came."""
        index = bisect_right(self._places, place) - 1
        if index < 0:
            return place
        behind = place - self._places[index] - self._sizes[index]
        begin, end = self._origins[index]
        return begin if behind < 0 else end + behind

    def end(self, place: int) -> int:
        """Where what is read before a place ends in what came, with what cannot be seen behind it."""
        index = bisect_right(self._places, place) - 1
        if index < 0:
            return place
        behind = place - self._places[index] - self._sizes[index]
        begin, end = self._origins[index]
        if behind >= 0:
            return end + behind
        return begin if place == self._places[index] else end

    def place(self, origin: int) -> int:
        """Where what came at a place is read; of what is read otherwise, where that begins."""
        index = bisect_right(self._origins, origin, key=lambda each: each[0]) - 1
        if index < 0:
            return origin
        _, end = self._origins[index]
        if origin < end:
            return self._places[index]
        return self._places[index] + self._sizes[index] + origin - end


def is_plain(text: str) -> bool:
    """Whether that is seen at once, as of nearly all texts in English."""
    return text.isascii() and "%" not in text and "\\" not in text and "&#" not in text and text.isprintable()


def plain_of(text: str, *, is_growing: bool = False) -> Plain | None:
    """None: it is read as it stands.

    Args:
        is_growing: look-alikes count in all words, as letters may follow that make them count.
    """
    if is_plain(text):
        return None
    if is_growing and _odd_patterns()[0].search(text) is None:
        return Plain(text.translate(_ALIKE_CODES), [], [], [])
    if not is_growing and not _is_odd(text):
        return None
    parts: list[str] = []
    places: list[int] = []
    sizes: list[int] = []
    origins: list[tuple[int, int]] = []
    at = size = 0
    for begin, end, plain in _edits(text, is_growing=is_growing):
        parts += (text[at:begin], plain)
        size += begin - at
        places.append(size)
        sizes.append(len(plain))
        origins.append((begin, end))
        size += len(plain)
        at = end
    if not places:
        return None
    parts.append(text[at:])
    return Plain("".join(parts), places, sizes, origins)


def _is_odd(text: str) -> bool:
    """Whether anything of it is read otherwise. Most texts in Cyrillic letters have nothing but these."""
    return any(pattern.search(text) is not None for pattern in _odd_patterns())


def _edits(text: str, *, is_growing: bool) -> Iterator[tuple[int, int, str]]:
    """What is read otherwise than it stands: from where to where, and how."""
    table, at = _table(), 0
    for run in _pattern().finditer(text):
        begin, end = run.span()
        counts = is_growing or text[begin - 1 : begin] in _BESIDE or text[end : end + 1] in _BESIDE
        if not counts and _ALIKE.fullmatch(run[0]):
            continue
        counts = counts or not _BESIDE.isdisjoint(map(table.get, _ALIKE.sub("", run[0])))
        at = max(begin, at)
        while at < end:
            place, char = at, text[at]
            at += 1
            plain = table.get(char)
            if plain is None:
                if (found := _ESCAPED.match(text, place)) is not None and (read := _read(found)) is not None:
                    at = found.end()
                    yield place, at, read
            elif (gone := _GONE.match(text, place)) is not None:  # however many there are, it is one piece
                at = gone.end()
                yield place, at, ""
            elif counts or char not in _LOOK_ALIKES:
                yield place, at, plain


def _read(escape: re.Match[str]) -> str | None:
    """None: it stays."""
    digits = escape[1] or escape[2] or escape[3] or escape[4]
    char = chr(int(digits, 16) if digits else int(escape[5]))
    if char in _WORTH_IT:
        return char
    return "" if not char.isascii() and _GONE.fullmatch(char) else None


@cache
def _table() -> Mapping[str, str]:
    """Character -> what it is read as, if anything."""
    table = dict(_DASHES) | _LOOK_ALIKES
    for char in map(chr, chain.from_iterable(range(*each) for each in _COMPATIBLE)):
        plain = unicodedata.normalize("NFKC", char)
        if plain != char and _WORTH_IT.issuperset(plain.strip()):
            table[char] = plain
    for char in map(chr, range(0x80, _LAST_DIGITS)):
        if (digit := unicodedata.decimal(char, None)) is not None:
            table[char] = str(digit)
    candidates = map(chr, chain(range(0x10000), range(0x1D173, 0x1D17B), range(0xE0000, 0xE1000)))
    invisible = (char for char in candidates if _GONE.match(char))
    return table | dict.fromkeys(invisible, "")


@cache
def _pattern() -> re.Pattern[str]:
    """Runs of what may be read otherwise. Beyond U+FFFF all of it, as `re` looks through such sets one by one."""
    return re.compile(rf"[{_low(_table())}\U00010000-\U0010ffff%&\\]+")


@cache
def _odd_patterns() -> tuple[re.Pattern[str], ...]:
    always = _low(char for char in _table() if char not in _LOOK_ALIKES)
    alike, beside = _low(_LOOK_ALIKES), _low(_BESIDE)
    return (
        re.compile(rf"[{always}\U00010000-\U0010ffff%&\\]"),
        re.compile(f"[{beside}][{alike}]"),
        re.compile(f"[{alike}][{beside}]"),
    )


def _low(chars: Iterable[str]) -> str:
    return "".join(re.escape(char) for char in chars if char <= "\uffff")


def prepare() -> None:
    """Makes the tables, which takes some 50 ms, before anybody waits for them."""
    _pattern()
    _odd_patterns()
