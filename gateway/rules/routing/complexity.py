"""How hard a request is, guessed from its text: no model is asked, and nothing is understood.

Points are given for what tends to need an able model, and taken for what any model can do:

    long        1 from 600 characters on, 2 from 4,000, 3 from 20,000
    turns       1 from 6 messages on, 2 from 16 on
    tools       1 for any, 2 from 5 on
    code        2 when there is some (fences, keywords with their punctuation, stack traces)
    maths       2 when there is some (LaTeX, or two words of the field)
    reasoning   1 for each different word that asks for thought ("prove", "design", "trade-offs"), at most 4
    steps       1 for three or more list items or questions
    routine    -1 when it begins like a small task ("translate", "what is") and none of code, maths, reasoning was found

Up to 1 point is simple, 2 and 3 are medium, from 4 on it is complex.
"""

import msgspec

from gateway.contract.route import Tier

ENDS_CHARS = 16 * 1024
"""A longer text is judged by its length, and by so much of its beginning and of its end."""
MEDIUM_POINTS = 2
COMPLEX_POINTS = 4

_LONG = (600, 4_000, 20_000)
_TURNS = (6, 16)
_TOOLS = (1, 5)
_MOST_REASONING = 4
_STEPS = 3

_Marks = tuple[tuple[str, tuple[str, ...]], ...]

# A character that plain prose often lacks, and the marks that need it: one character is found much faster than a mark.
_CODE: _Marks = (
    ("`", ("```",)),
    ("(", ("def ", "();", "Traceback (most")),
    ("{", ("=> {",)),
    ("<", ("</",)),
    ("#", ("#include",)),
    (":", ("Exception:",)),
    ("S", ("SELECT ",)),
    ("\n", ("\nimport ",)),
)
_MATHS: _Marks = (
    ("$", ("$$",)),
    ("\\", ("\\frac", "\\int", "\\sum", "\\begin{")),
    *((sign, (sign,)) for sign in "∫∑√≤"),
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MATHS_WORDS = _words("""
    bijection convergence converges derivative eigenvalue eigenvalues equation equations integer integers integral lemma
    logarithm matrix modulo polynomial prime primes probability proof theorem
""")
_REASONING = _words("""
    algorithm algorithms analyse analyze analysis architect architecture argue assess compare complexity concurrency
    critique debug deduce derive design diagnose distributed evaluate implement implications justify migrate migration
    optimal optimise optimize plan prove refactor scalable strategy tradeoff tradeoffs trade-off trade-offs why
""")
_ROUTINE = _words("""
    classify convert correct define extract fix hello hey hi list name rephrase reply rewrite say shorten spell
    summarise summarize tell thanks thank translate what what's when where who
""")
_POLITE = _words("a can could for i me please the to would you")
_TELLING = _MATHS_WORDS | _REASONING
_PUNCTUATION = str.maketrans(dict.fromkeys('.,;:!?()[]{}"*`<>', " "))


class Complexity(msgspec.Struct, frozen=True):
    """`cause` names what spoke for or against it, in the order of the table: "long, code". Empty: nothing did."""

    tier: Tier
    points: int
    cause: str


def classify(text: str, *, turns: int = 1, tools: int = 0) -> Complexity:
    """The tier of a chat request. The words are English; in other languages length, code and maths decide.

    Args:
        text: what the caller wants: the latest user message, or everything that was said.
        turns: messages of the conversation.
        tools: how many the model may call.
    """
    length = len(text)
    if length > 2 * ENDS_CHARS:
        text = f"{text[:ENDS_CHARS]}\n{text[-ENDS_CHARS:]}"
    words = text.lower().translate(_PUNCTUATION).split()
    has_code = _has_mark(text, _CODE)
    telling = _TELLING.intersection(words)
    reasoning = len(telling & _REASONING)
    has_maths = len(telling) - reasoning > 1 or _has_mark(text, _MATHS)
    asks = has_code or has_maths or reasoning
    points = {
        "long": _steps(length, _LONG),
        "turns": _steps(turns, _TURNS),
        "tools": _steps(tools, _TOOLS),
        "code": 2 * has_code,
        "maths": 2 * has_maths,
        "reasoning": min(reasoning, _MOST_REASONING),
        "steps": int(text.count("?") >= _STEPS or text.count("\n- ") + text.count("\n1") >= _STEPS),
        "routine": 0 if asks else -int(_begins_as_routine(words)),
    }
    total = sum(points.values())
    tier: Tier = "simple" if total < MEDIUM_POINTS else "medium" if total < COMPLEX_POINTS else "complex"
    return Complexity(tier, total, ", ".join(name for name, value in points.items() if value))


def _has_mark(text: str, marks: _Marks) -> bool:
    return any(character in text and any(mark in text for mark in these) for character, these in marks)


def _steps(value: int, thresholds: tuple[int, ...]) -> int:
    return sum(value >= threshold for threshold in thresholds)


def _begins_as_routine(words: list[str]) -> bool:
    return next((word in _ROUTINE for word in words if word not in _POLITE), False)
