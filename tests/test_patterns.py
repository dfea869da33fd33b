"""Every pattern of the code base takes time in proportion to the text, whatever the text is.

Patterns are found, not listed, and so are texts to try: from each pattern itself, what it accepts, cut short and
repeated, since a pattern is slow where it nearly fits again and again.

Work is CPU time. Four times the text may take at most eight times as long, the best of several runs: a pattern that
starts again everywhere takes sixteen times. And a character may take a microsecond, twenty times what the slowest
takes now: one that starts again everywhere, but not without end, takes longer.
"""

import ast
import importlib
import pkgutil
import re
from itertools import product
from pathlib import Path
from re import _constants as codes
from re import _parser as parser
from time import thread_time

import pytest

import gateway

ROOT = Path(gateway.__file__).parent
SOURCE = "\n".join(path.read_text() for path in ROOT.rglob("*.py"))
SMALL, LARGE = 4 * 1024, 16 * 1024
MOST_TIMES = 8
LITTLE_S = 0.004
MOST_S = 0.016
"""Whatever takes less for the large text is fast enough, and too short to be compared."""
FUNCTIONS = {"compile", "search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
VARIANTS = 4


# --- which patterns there are ----------------------------------------------------------------------------------------


def patterns_in(value, depth=0):
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict) and depth < 3:
        for item in value.values():
            yield from patterns_in(item, depth + 1)
    elif isinstance(value, tuple | list | set | frozenset) and depth < 3:
        for item in value:
            yield from patterns_in(item, depth + 1)
    elif isinstance(value, type) and value.__module__.startswith("gateway"):
        for item in list(vars(value).values()):
            if not isinstance(item, type):
                yield from patterns_in(item, depth + 1)


def patterns_of_modules():
    """Each with what is asked of it, as far as it has a name; else it may be anything."""
    for found in pkgutil.walk_packages(gateway.__path__, "gateway."):
        if found.name.endswith("__main__") or ".migrations." in found.name:
            continue
        for name, value in list(vars(importlib.import_module(found.name)).items()):
            for pattern in patterns_in(value):
                methods = set(re.findall(rf"\b{name}\.(\w+)\(", SOURCE)) if pattern is value else FUNCTIONS
                yield pattern, methods


def calls_of_re():
    """Each use of `re`: its node, and where it stands."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=name)) if name in FUNCTIONS:
                    yield node, f"{path.relative_to(ROOT)}:{node.lineno}"


def literal(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) else None


def all_patterns():
    """(source, flags, whether a match may begin anywhere)"""
    found = {}
    for pattern, methods in patterns_of_modules():
        key = (pattern.pattern, pattern.flags)
        found[key] = found.get(key, False) or not methods <= {"match", "fullmatch"}
    known = {source for source, _ in found}
    inside = {literal(node.args[0]) for node, _ in calls_of_re()} - known - {None}
    found |= {(re.compile(source).pattern, re.compile(source).flags): True for source in inside}
    return sorted(((source, flags, anywhere) for (source, flags), anywhere in found.items()), key=repr)


PATTERNS = all_patterns()


# --- texts that are meant to be slow ---------------------------------------------------------------------------------


def letter_of(items):
    """One character that a set accepts."""
    negated = items[0][0] is codes.NEGATE
    compiled = "".join(chr(code) for code in range(32, 127)) + "\n\r\t"
    for char in compiled[16:] + compiled[:16]:
        if any(accepts(item, ord(char)) for item in items if item[0] is not codes.NEGATE) is not negated:
            return char
    return "x"


def accepts(item, code):
    match item:
        case (codes.LITERAL, value):
            return code == value
        case (codes.NOT_LITERAL, value):
            return code != value
        case (codes.RANGE, (low, high)):
            return low <= code <= high
        case (codes.CATEGORY, category):
            of = {"WORD": "\\w", "DIGIT": "\\d", "SPACE": "\\s"}
            name = str(category).removeprefix("CATEGORY_")
            is_one = re.match(of[name.removeprefix("NOT_")], chr(code)) is not None
            return is_one is not name.startswith("NOT_")
    return False


def examples(parsed):
    """A few texts that a parsed pattern accepts, or nearly: its parts one after the other."""
    parts = [list(parts_of(item)) or [""] for item in parsed]
    texts = [""]
    for part in parts:
        texts = [before + text for before, text in product(texts, part)][: VARIANTS * 4]
    return texts


def parts_of(item):
    match item:
        case (codes.LITERAL, value):
            yield chr(value)
        case (codes.NOT_LITERAL, value):
            yield letter_of([(codes.NEGATE, None), (codes.LITERAL, value)])
        case (codes.ANY, _):
            yield "x"
        case (codes.IN, items):
            yield letter_of(items)
        case (codes.BRANCH, (_, branches)):
            for branch in branches[:VARIANTS]:
                yield from examples(branch)[:1]
        case (codes.SUBPATTERN, (_, _, _, inner)) | (codes.ATOMIC_GROUP, inner):
            yield from examples(inner)[:VARIANTS]
        case (codes.ASSERT, (direction, inner)) if direction < 0:
            yield from examples(inner)[:VARIANTS]  # text that stands before it
        case (codes.MAX_REPEAT | codes.MIN_REPEAT | codes.POSSESSIVE_REPEAT, (least, most, inner)):
            one = examples(inner)[0]
            yield one * max(least, 1)
            if most is codes.MAXREPEAT:
                yield one * (least + 40)


def attacks(parsed):
    """Each beginning of an example, and each part alone, repeated: with nothing between, or what breaks a word."""
    whole = examples(parsed)[:VARIANTS]
    seeds = {text[:end] for text in whole for end in range(1, len(text) + 1, max(1, len(text) // 8))} | set(whole)
    seeds |= {text for item in walk(parsed) for text in list(parts_of(item))[:2] if text}
    for seed in filter(None, seeds):
        yield "", seed
        for breaking in ("-", " ", "~"):
            yield "", seed + breaking
    for text in whole:
        for cut in range(1, min(len(text), 12)):
            yield text[:cut], text[cut - 1 : cut]  # a beginning, and then its last character without end
    for runs in ("a" * 999 + " ", '"', "\\", "{", "}", "[", "\r", "\n", "\r\n", " ", "-eyJ", "://a:", "a@", ": "):
        yield "", runs


def walk(parsed):
    for item in parsed:
        yield item
        match item:
            case (codes.BRANCH, (_, branches)):
                for branch in branches:
                    yield from walk(branch)
            case (codes.SUBPATTERN, (_, _, _, inner)) | (codes.ATOMIC_GROUP, inner) | (codes.ASSERT, (_, inner)):
                yield from walk(inner)
            case (codes.MAX_REPEAT | codes.MIN_REPEAT | codes.POSSESSIVE_REPEAT, (_, _, inner)):
                yield from walk(inner)


def text_of(first, repeated, size):
    return (first + repeated * (size // len(repeated) + 1))[:size] + "\x00"


def works_s(pattern, anywhere, text):
    began_s = thread_time()
    if anywhere:
        for _ in pattern.finditer(text):
            pass
    pattern.match(text)
    pattern.fullmatch(text)
    return thread_time() - began_s


def is_slow(pattern, anywhere, first, repeated):
    small, large = text_of(first, repeated, SMALL), text_of(first, repeated, LARGE)
    if isinstance(pattern.pattern, bytes):
        small, large = small.encode(), large.encode()
    for _ in range(3):
        small_s = works_s(pattern, anywhere, small)
        if small_s < MOST_S:  # else the large text is not waited for
            large_s = works_s(pattern, anywhere, large)
            if large_s < LITTLE_S or (large_s < MOST_S and large_s < MOST_TIMES * small_s):
                return False
    return True


# --- and none of them is slow ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "flags", "anywhere"), PATTERNS, ids=lambda value: repr(value)[:60])
def test_takes_time_in_proportion_to_the_text(source, flags, anywhere):
    """One that found base64 took 30 s for 19 MB of runs of 999 letters, another 3 s for 64 kB of "-eyJ"."""
    pattern = re.compile(source, flags)
    text = source.decode("latin-1") if isinstance(source, bytes) else source
    parsed = parser.parse(text, flags & ~re.UNICODE)

    slow = [attack for attack in set(attacks(parsed)) if is_slow(pattern, anywhere, *attack)]

    assert [(first, repeated[:80]) for first, repeated in slow] == []


def test_every_pattern_is_found():
    """What is built at run time cannot be tried here, so there is none: each use of `re` has its pattern written out,
    or is kept where it was found."""
    known = {source for source, _, _ in PATTERNS}

    assert {"gw[apv]_[0-9A-Za-z]{38}", "()dapi[0-9a-f]{32}", b":[0-9]*$"} <= known  # by name, in a tuple, in a call
    built = [place for node, place in calls_of_re() if literal(node.args[0]) is None and node.func.attr != "compile"]
    assert built == []


@pytest.mark.parametrize(
    "source",
    [
        r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+",
        r"\s+$",
        r"x.*y",
    ],
)
def test_a_slow_one_would_be_noticed(source):
    """One that there was, and some of the usual kinds. A busy machine may hide it once, but not each time."""
    found = [*attacks(parser.parse(source))]

    assert any(is_slow(re.compile(source), True, *attack) for _ in range(5) for attack in found)
