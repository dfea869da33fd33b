"""A whole chat completion as a message.

Source: platform.claude.com/docs/en/api/messages and /build-with-claude/handling-stop-reasons, read 2026-11.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.errors import BrokeOff
from gateway.translators.messages.sealed import UNSIGNED, sealed
from gateway.translators.messages.words import citation_of, stop_of, usage_fields
from gateway.translators.reading import DocumentReading
from gateway.translators.said import Said, completion_of, picture_of


class ReplyReading(DocumentReading):
    """
    Args:
        model: as the caller knows it: Claude Code gives thinking back only to the model that it thinks it came from.
        new_id: as in `ToHub`.
        shows_thinking: the caller has not said that there should be none.
    """

    def __init__(self, model: str, new_id: Callable[[], str], *, shows_thinking: bool) -> None:
        super().__init__()
        self._model = model
        self._new_id = new_id
        self._shows_thinking = shows_thinking
        self._tier: str | None = None

    def document(self, body: bytes) -> bytes:
        said = completion_of(body)
        if not said.choices or (message := said.choices[0].message) is None:
            raise BrokeOff("the provider's answer has no message in it")
        self.told_usage = said.used
        self._tier = said.service_tier
        stop, stop_sequence = stop_of(said.choices[0], has_calls=any(call.function.name for call in message.calls))
        reply = {
            "id": message_id(self._new_id),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": _blocks(message, self._new_id, shows_thinking=self._shows_thinking),
            "stop_reason": "refusal" if message.refusal else stop,
            "stop_sequence": stop_sequence,
            "usage": usage_fields(self.told_usage),
        }
        return msgspec.json.encode(reply)

    def service_tier(self) -> str | None:
        return self._tier


def message_id(new_id: Callable[[], str]) -> str:
    """Claude Code takes two messages of one id for one, and so mixes up the turns of a conversation; and Ollama gives
    ids of three digits, LMDeploy those of its sessions. So it is never the provider's."""
    return f"msg_{new_id()}"


def _blocks(message: Said, new_id: Callable[[], str], *, shows_thinking: bool) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if shows_thinking:
        signed = [block for block in message.thinking_blocks or () if block.get("signature") or block.get("data")]
        if not signed and message.thought:
            signed = [{"type": "thinking", "thinking": message.thought, "signature": UNSIGNED}]
        blocks += signed
    text = message.text + "".join(map(picture_of, message.images or ())) + (message.refusal or "")
    if text:
        block: dict[str, Any] = {"type": "text", "text": text}
        found = [citation for each in message.annotations or () if (citation := citation_of(each)) is not None]
        blocks.append({**block, "citations": found} if found else block)
    for call in message.calls:
        if not call.function.name:
            continue  # nothing that could be called
        id_ = str(call.id or f"call_{new_id()}")
        if call.extra_content is not None:
            blocks.append({"type": "redacted_thinking", "data": sealed(id_, call.extra_content)})
        arguments = call.function.input
        given = arguments if arguments is not None else {"INVALID_JSON": call.function.arguments}
        blocks.append({"type": "tool_use", "id": id_, "name": call.function.name, "input": given})
    return blocks
