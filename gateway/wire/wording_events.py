"""Where the texts are in one event of a stream, and which of them go on from one event to the next."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeGuard

from gateway.wire.wording import FREE, JSON_TEXTS, MAX_DEPTH, UNTOUCHED, Spot, answer_spots, free_spots, too_deep

SlotKey = tuple[Any, ...]
"""Which of the texts of an answer it is, the number of the choice or block first."""


class Piece(NamedTuple):
    """What an event adds to one text. `slot`: which text; None: it is all of one."""

    slot: SlotKey | None
    spot: Spot


class EventWording(NamedTuple):
    """
    Args:
        closed: the choices, or blocks, whose texts have come to their end.
        tokens: which repeat what is said, for the log probabilities. They need not stand in the same event.
    """

    pieces: list[Piece]
    closed: tuple[Any, ...] = ()
    tokens: Sequence[Piece] = ()


def event_wording(document: Any) -> EventWording:
    """Of OpenAI's chat and completions, Anthropic's messages, OpenAI's responses and Gemini's contents; texts in other
    events are taken to be whole.

    Source: the streaming pages of those APIs: platform.openai.com/docs/api-reference/chat-streaming and
    /responses-streaming, platform.claude.com/docs/en/build-with-claude/streaming; read 2026-11.
    """
    if not isinstance(document, dict):
        return EventWording([Piece(None, spot) for spot in answer_spots(document)])
    choices = document.get("choices") or document.get("candidates")
    if isinstance(choices, list):
        return _of_choices(document, choices)
    match document.get("type"):
        case "content_block_start" | "content_block_delta" as kind:
            holder = document.get("delta" if kind == "content_block_delta" else "content_block")
            return EventWording([*_pieces(holder, (_number(document, "index"),))])
        case "content_block_stop":
            return EventWording([], (_number(document, "index"),))
        case str(kind) if kind.endswith(".delta") and isinstance(document.get("delta"), str):
            content, summary = _number(document, "content_index"), _number(document, "summary_index")
            place = (_number(document, "output_index"), kind, content, summary)
            spot = Spot("assistant", document["delta"], document, "delta", "arguments" in kind)
            tokens = [*_tokens(document["logprobs"], (*place, "logprobs"))] if document.get("logprobs") else ()
            return EventWording([Piece(place, spot)] if document["delta"] else [], tokens=tokens)
        case str(kind) if kind.endswith(".done"):
            pieces = [Piece(None, spot) for spot in answer_spots(document)]
            return EventWording(pieces, (_number(document, "output_index"),))
    return EventWording([Piece(None, spot) for spot in answer_spots(document)])


def _number(holder: dict[str, Any], name: str, default: int | None = None) -> int | str | None:
    """What stands there in place of a number is told apart by how it is written: nothing is looked up by a list."""
    value = holder.get(name, default)
    return value if value is None or isinstance(value, int | str) else repr(value)


def _of_choices(document: dict[str, Any], choices: list[Any]) -> EventWording:
    pieces: list[Piece] = []
    closed: list[Any] = []
    tokens: list[Piece] = []
    for position, choice in enumerate(choices):
        if not isinstance(choice, dict):
            continue
        index = _number(choice, "index", position)
        delta = choice.get("delta")
        if _is_usual(delta):
            if content := delta["content"]:
                pieces.append(Piece((index, "delta", "content"), Spot("assistant", content, delta, "content")))
        else:
            pieces += _pieces(choice, (index,))
        if logprobs := choice.get("logprobs"):
            tokens += _tokens(logprobs, (index, "logprobs"))
        if choice.get("finish_reason") or choice.get("finishReason"):
            closed.append(index)
    return EventWording(pieces, tuple(closed), tokens)


def _tokens(logprobs: Any, place: SlotKey) -> Iterator[Piece]:
    """Of OpenAI's APIs: lists of `{"token": ...}`, of what was said and of what was refused, or `tokens` alone."""
    if isinstance(logprobs, dict):
        for name in ("content", "refusal", "tokens"):
            yield from _tokens(logprobs.get(name), (*place, name))
    elif isinstance(logprobs, list):
        for position, each in enumerate(logprobs):
            if isinstance(each, str):
                yield Piece(place, Spot("assistant", each, logprobs, position))
            elif isinstance(each, dict) and isinstance(each.get("token"), str):
                yield Piece(place, Spot("assistant", each["token"], each, "token"))


def _is_usual(delta: Any) -> TypeGuard[dict[str, str]]:
    """It holds nothing but `content`, and perhaps the role, as nearly always."""
    if not isinstance(delta, dict) or not isinstance(delta.get("content"), str):
        return False
    return len(delta) == 1 or (len(delta) == 2 and "role" in delta)


def _pieces(value: Any, place: SlotKey) -> Iterator[Piece]:
    if len(place) > MAX_DEPTH:
        raise too_deep()
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str):
                if inner and key not in UNTOUCHED:
                    yield Piece((*place, key), Spot("assistant", inner, value, key, key in JSON_TEXTS))
            elif inner is None or key in UNTOUCHED:
                continue
            elif key in FREE and isinstance(inner, dict):
                for spot in free_spots(inner, "assistant"):
                    yield Piece(None, spot)
            elif isinstance(inner, dict | list):
                yield from _pieces(inner, (*place, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            if isinstance(inner, str):
                if inner:
                    yield Piece((*place, position), Spot("assistant", inner, value, position))
            else:
                index = _number(inner, "index", position) if isinstance(inner, dict) else position
                yield from _pieces(inner, (*place, index))
