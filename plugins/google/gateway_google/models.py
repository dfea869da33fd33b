"""What each Gemini can do, by the version in its name.

A name without a version, such as `gemini-flash-latest`, is taken for the newest.

Source: ai.google.dev/gemini-api/docs/thinking, /thought-signatures, /structured-output, /media-resolution and /models;
docs.cloud.google.com/vertex-ai/generative-ai/docs/thinking; read 2026-11.
"""

import re
from functools import lru_cache

import msgspec

_GEMINI = re.compile(r"gemini-(?:(\d+)(?:[.-](\d))?(?!\d)-?)?(?P<family>[a-z]*(?:-lite)?)")
_NEWEST = (9, 9)
_OLDEST = (0, 0)


class Traits(msgspec.Struct, frozen=True):
    """
    Args:
        levels: those that `thinkingLevel` may have, from the least; none: it has no such field.
        budgets: the least and the most tokens that `thinkingBudget` may have; None: it does not think.
        can_be_off: a budget of 0 is taken.
        checks_signatures: calls of functions in its turns must come back with their thought signatures.
        has_json_schema: `responseJsonSchema` and `parametersJsonSchema`, beside the subset of OpenAPI.
        has_own_resolution: each picture may have a `mediaResolution` of its own, and functions may answer with files.
    """

    levels: tuple[str, ...]
    budgets: tuple[int, int] | None
    can_be_off: bool
    checks_signatures: bool
    has_json_schema: bool
    has_own_resolution: bool


@lru_cache(maxsize=1024)
def traits_of(model: str) -> Traits:
    """Of a model's name, with or without its publisher: `google/gemini-2.5-flash-lite-001`."""
    family, version = _read(model.lower())
    is_third = version >= (3, 0)
    return Traits(
        levels=_levels(family, version) if is_third else (),
        budgets=_budgets(family) if version >= (2, 5) else None,
        can_be_off=version == (2, 5) and family != "pro",
        checks_signatures=is_third,
        has_json_schema=version >= (2, 5),
        has_own_resolution=is_third,
    )


def _read(model: str) -> tuple[str, tuple[int, int]]:
    found = _GEMINI.search(model)
    if found is None:  # a tuned model's endpoint, or another family
        return "", _NEWEST if "/" in model or model.isdecimal() else _OLDEST
    version = (int(found[1]), int(found[2] or 0)) if found[1] is not None else _NEWEST
    return found["family"].removesuffix("-"), version


def _levels(family: str, version: tuple[int, int]) -> tuple[str, ...]:
    """Of those newer than 3.5 it is only known for certain that they have three."""
    if version == (3, 0) and family == "pro":
        return ("LOW", "HIGH")
    if family.startswith("flash") and version <= (3, 5):
        return ("MINIMAL", "LOW", "MEDIUM", "HIGH")
    return ("LOW", "MEDIUM", "HIGH")


def _budgets(family: str) -> tuple[int, int]:
    if family == "pro":
        return 128, 32768
    return (512, 24576) if family == "flash-lite" else (1, 24576)
