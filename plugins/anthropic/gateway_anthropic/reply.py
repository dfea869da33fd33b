"""A message of the Messages API as a chat completion.

Source: platform.claude.com/docs/en/api/messages, /build-with-claude/handling-stop-reasons and /citations; read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import BrokeOff, Refused
from gateway.translators.chat import Answer, completion
from gateway.translators.reading import DocumentReading, decoded
from gateway.wire.anthropic import TokenUsage, error_of, tier_of
from gateway.wire.lenient import lenient_json
from gateway.wire.openai_failures import failure_told

FINISH: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "refusal": "content_filter",
}
"""Stop reason -> finish reason. A turn that was paused is not at its end, whatever the caller makes of it."""


class StopDetails(msgspec.Struct):
    explanation: str | None = None


class Block(msgspec.Struct):
    """One block of content, of any type, as far as a chat completion can say it."""

    type: str = ""
    text: str | None = None
    citations: list[dict[str, Any]] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def arguments(self) -> str:
        """The input of a call as JSON text; imitations of the API write it as a text, and none as null."""
        given = bytes(self.input)
        if given.startswith(b'"'):
            given = msgspec.json.decode(given, type=str).encode()
        return given.decode() if given.strip() not in (b"", b"null") else "{}"


class Reply(msgspec.Struct):
    type: str = ""
    id: str = ""
    model: str = ""
    content: list[Block] = []
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: Any = None


_reply = msgspec.json.Decoder(Reply)


class ReplyReading(DocumentReading):
    """
    Args:
        created_s: when it is read, seconds since 1970.
        answer_tool: as in `Answer`.
        shows_tier: the caller asked for a tier, and hears which it got.
    """

    def __init__(self, created_s: float, *, answer_tool: bool, shows_tier: bool) -> None:
        super().__init__()
        self._created_s = created_s
        self._answer_tool = answer_tool
        self._shows_tier = shows_tier
        self._tier: str | None = None

    def document(self, body: bytes) -> bytes:
        reply = _read(body)
        usage = TokenUsage.of(reply.usage)
        if usage is not None:
            self.told_usage = usage.usage
            self._tier = tier_of(usage)
        answer = Answer(answer_tool=self._answer_tool)
        at = 0
        for block in reply.content:
            at = _add(answer, block, at)
        answer.finish_reason = FINISH.get(reply.stop_reason or "", "stop")
        if (details := reply.stop_details) is not None and details.explanation:
            answer.refusal(details.explanation)
        return completion(
            [answer],
            id=reply.id,
            model=reply.model,
            created_s=self._created_s,
            usage=self.told_usage,
            service_tier=self._tier if self._shows_tier else None,
        )

    def service_tier(self) -> str | None:
        return self._tier


def _add(answer: Answer, block: Block, at: int) -> int:
    """`at`: so many characters of text came before it; gives back how many there are now."""
    match block.type:
        case "text":
            text = block.text or ""
            answer.text(text)
            for citation in block.citations or ():
                answer.annotation(annotation(citation, at, at + len(text)))
            return at + len(text)
        case "thinking":
            answer.reasoning(block.thinking or "")
            answer.thinking_block(thinking_block(block.thinking or "", block.signature or ""))
        case "redacted_thinking":
            answer.thinking_block(redacted_block(block))
        case "tool_use":
            answer.tool_call(block.id, block.name, block.arguments)
    return at


def thinking_block(thinking: str, signature: str) -> dict[str, str]:
    return {"type": "thinking", "thinking": thinking, "signature": signature}


def redacted_block(block: Block) -> dict[str, str]:
    return {"type": "redacted_thinking", "data": block.data or ""}


def annotation(citation: Mapping[str, Any], start: int, end: int) -> dict[str, Any]:
    """Where the text between two places in the answer is from: of the web as OpenAI has it, of a document with all
    that Anthropic says."""
    if citation.get("url"):
        url = {"url": citation["url"], "title": citation.get("title") or ""}
        return {"type": "url_citation", "url_citation": {**url, "start_index": start, "end_index": end}}
    return {"type": "file_citation", "file_citation": {**citation, "start_index": start, "end_index": end}}


def _read(body: bytes) -> Reply:
    try:
        reply = decoded(body, _reply)
    except (ValueError, RecursionError) as error:
        raise _not_a_message(body) from error
    if reply.type != "message" and (reply.type or not reply.content):  # imitations of the API forget the type
        raise _not_a_message(body)
    return reply


def _not_a_message(body: bytes) -> Refused | BrokeOff:
    try:
        said = lenient_json(body)
    except ValueError:
        said = None
    if isinstance(said, dict) and said.get("error"):
        return error_of(said)
    return failure_told(body) or BrokeOff("the provider's answer is not a message of Anthropic's API")
