"""What each Claude can do, by the version in its name, wherever it is called: at Anthropic, or on a cloud.

A version that is not known yet is taken for the newest, so that what the newest refuse is not sent to it.

Source: platform.claude.com/docs/en: about-claude/models, build-with-claude/thinking-troubleshooting, /effort and
/structured-outputs, models/opus-5-5/whats-new-opus-5-5, api/errors#prefill-not-supported; docs.aws.amazon.com/bedrock/
latest/userguide/conversation-inference-supported-models-features.html; read 2026-11.
"""

import re
from functools import lru_cache
from typing import Any

import msgspec

from gateway.translators.chat import Reasoning

_CLAUDE = re.compile(
    r"claude-(?:(?P<old>\d)(?:[-.](?P<old_minor>\d))?-)?(?P<family>[a-z]+)"
    r"(?:-(?P<major>\d)(?:[-.](?P<minor>\d{1,2})(?!\d))?(?!\d))?"
)
_NEWEST = (9, 9)


class Claude(msgspec.Struct, frozen=True):
    """
    Args:
        max_output: tokens; sent where the caller sets no limit, since the API wants one.
        samplers: how many of temperature, top_p and top_k it takes: 3, 1 (not temperature and top_p together) or 0.
        takes_budget: `thinking.budget_tokens`.
        is_adaptive: it thinks as much as it sees fit; how much, is told by an effort.
        efforts: those that `output_config.effort` may have; none: it has no such field.
        thinks_unasked: until told otherwise.
        off: the type of `thinking` that stops it; None: nothing does.
        shows_thinking: in words, unless `display` says otherwise.
        forces_tools: `tool_choice` may demand a call.
        has_schemas: answers by a JSON schema, and strict tools.
        has_later_system: a system message may stand behind a user's.
    """

    max_output: int
    samplers: int
    takes_budget: bool
    is_adaptive: bool
    efforts: tuple[str, ...]
    thinks_unasked: bool
    off: str | None
    shows_thinking: bool
    forces_tools: bool
    has_schemas: bool
    has_later_system: bool

    def thinking(self, kind: str, asked: Reasoning) -> dict[str, Any]:
        """The field `thinking`, of this type. Whoever asks for reasoning sees it, unless they say otherwise."""
        display = asked.display or (None if self.shows_thinking else "summarized")
        return {"type": kind} if display is None else {"type": kind, "display": display}

    def effort(self, wanted: str) -> str | None:
        """The one that was asked for, or the next lower that it has; the least, where that is asked for. None: it has
        no efforts."""
        if not self.efforts or wanted in self.efforts:
            return wanted if self.efforts else None
        return "low" if wanted == "minimal" else "high"


@lru_cache(maxsize=1024)
def claude_of(model: str) -> Claude:
    """Of a model's name on any platform: `claude-opus-4-8`, `us.anthropic.claude-3-7-sonnet-20250219-v1:0`."""
    family, version = _read(model)
    is_preview = "mythos-preview" in model
    is_always_on = family in ("fable", "mythos") or (family == "opus" and version >= (5, 5))
    thinks_unasked = is_always_on or version >= (5, 0)
    off: str | None = "disabled"
    if is_always_on:
        off = None
    elif family == "sonnet" and version >= (5, 5):
        off = "between_tools"
    return Claude(
        max_output=_max_output(family, version),
        samplers=3 if version < (4, 1) else 1 if version < (4, 7) and not is_preview else 0,
        takes_budget=is_preview or (3, 7) <= version < (4, 7),
        is_adaptive=is_preview or version >= (4, 6),
        efforts=_efforts(family, version),
        thinks_unasked=thinks_unasked,
        off=off,
        shows_thinking=version < (4, 7) and not is_preview,
        forces_tools=(3, 0) <= version < (5, 1) or is_preview,
        has_schemas=version >= (4, 5),
        has_later_system=version >= (4, 8) and not is_preview,
    )


def _read(model: str) -> tuple[str, tuple[int, int]]:
    found = _CLAUDE.search(model)
    if found is None:
        return "", _NEWEST
    if found["old"]:
        return found["family"], (int(found["old"]), int(found["old_minor"] or 0))
    if found["major"]:
        return found["family"], (int(found["major"]), int(found["minor"] or 0))
    return found["family"], (2, 0) if found["family"] in ("instant", "v") else _NEWEST


def _max_output(family: str, version: tuple[int, int]) -> int:
    if version < (3, 5):
        return 4096
    if version < (3, 7):
        return 8192
    if family == "opus" and (4, 0) <= version < (4, 5):
        return 32_000
    if version < (4, 7) and not (family == "opus" and version >= (4, 6)):
        return 64_000
    return 128_000


def _efforts(family: str, version: tuple[int, int]) -> tuple[str, ...]:
    if version >= (4, 7):
        return ("low", "medium", "high", "xhigh", "max")
    if version >= (4, 6):
        return ("low", "medium", "high", "max")
    return ("low", "medium", "high") if family == "opus" and version >= (4, 5) else ()
