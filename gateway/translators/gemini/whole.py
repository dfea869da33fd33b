"""A whole chat completion as an answer of `generateContent`."""

from typing import Any

import msgspec

from gateway.errors import BrokeOff
from gateway.translators.gemini.reply import (
    MALFORMED,
    Part,
    Shown,
    Thoughts,
    call_part,
    finish_of,
    grounding_of,
    pictures_of,
    usage_fields,
)
from gateway.translators.reading import DocumentReading
from gateway.translators.said import Choice, Said, completion_of


class ReplyReading(DocumentReading):
    """
    Args:
        is_list: of one, for those who ask for a stream and not for events.
    """

    def __init__(self, shown: Shown, *, is_list: bool = False) -> None:
        super().__init__()
        self._shown = shown
        self._is_list = is_list
        self._tier: str | None = None

    def document(self, body: bytes) -> bytes:
        said = completion_of(body)
        if not said.choices or said.choices[0].message is None:
            raise BrokeOff("the provider's answer has no message in it")
        self.told_usage = said.used
        self._tier = said.service_tier
        reply = {
            "candidates": [_candidate(choice, self._shown) for choice in said.choices],
            **usage_fields(self.told_usage),
            **self._shown.about(said.id),
        }
        return msgspec.json.encode([reply] if self._is_list else reply)

    def service_tier(self) -> str | None:
        return self._tier


def _candidate(choice: Choice, shown: Shown) -> dict[str, Any]:
    said = choice.message or Said()
    finish = "SAFETY" if said.refusal else finish_of(choice)
    thoughts = Thoughts()
    parts: list[Part] = []
    thought = thoughts.text(said.thought) if said.thought else ""
    thought += "".join(map(thoughts.block, said.thinking_blocks or ()))
    if thought and shown.shows_thinking:
        parts.append({"text": thought, "thought": True})
    if text := said.text + (said.refusal or ""):
        parts.append({"text": text, **thoughts.of_text()})
    parts += pictures_of(said.images or ())
    for call in said.calls:
        id_ = str(call.id or f"call_{shown.new_id()}")
        part = call_part(id_, call.function, thoughts, call.extra_content)
        if part is not None:
            parts.append(part)
        elif finish == "STOP":
            finish = MALFORMED
    if left := thoughts.of_text():
        parts.append({"text": "", **left})
    return {
        "content": {"parts": parts or [{"text": ""}], "role": "model"},
        "finishReason": finish,
        "index": choice.index,
        **grounding_of(said.annotations or ()),
    }
