"""A reply of Converse as a chat completion.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and those it links to, .../userguide/
prompt-caching.html; read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff
from gateway.translators.chat import Answer, completion
from gateway.translators.reading import DocumentReading

FINISH: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "stop",
    "malformed_tool_use": "stop",
}
"""Stop reason -> finish reason."""


class Struct(msgspec.Struct, rename="camel"):
    """Names as AWS writes them."""


class CacheDetail(Struct):
    ttl: str = ""
    input_tokens: int = 0


class TokenUsage(Struct):
    """On the wire. `input_tokens` are those that come from no cache and go into none. What was thought is not told
    apart."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    cache_details: list[CacheDetail] | None = None

    @property
    def usage(self) -> Usage:
        written = max(0, self.cache_write_input_tokens)
        hour = sum(max(0, each.input_tokens) for each in self.cache_details or () if each.ttl == "1h")
        hour = min(hour, written)
        return Usage(
            input=max(0, self.input_tokens),
            cache_read=max(0, self.cache_read_input_tokens),
            cache_write=written - hour,
            cache_write_1h=hour,
            output=max(0, self.output_tokens),
        )


class ServiceTier(Struct):
    type: str | None = None


class Text(Struct):
    text: str = ""


class ToolUse(Struct):
    """`type`: `server_tool_use` is a call that the provider has made itself."""

    tool_use_id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")
    type: str | None = None


class ReasoningText(Struct):
    text: str = ""
    signature: str = ""


class Reasoning(Struct):
    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class Citations(Struct):
    content: list[Text] = []
    citations: list[dict[str, Any]] = []


class Block(Struct):
    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Citations | None = None


class Message(Struct):
    content: list[Block]


class Output(Struct):
    message: Message


class Reply(Struct):
    output: Output
    stop_reason: str = ""
    usage: TokenUsage | None = None
    service_tier: ServiceTier | None = None


_reply = msgspec.json.Decoder(Reply)


class ConverseReading(DocumentReading):
    """
    Args:
        id, model, created_s: as in `completion`.
        answer_tool: as in `Answer`.
        shows_tier: the caller asked for a tier, and hears which it got.
    """

    def __init__(
        self,
        *,
        id: str,  # noqa: A002
        model: str,
        created_s: float,
        answer_tool: bool,
        shows_tier: bool,
    ) -> None:
        super().__init__()
        self._id = id
        self._model = model
        self._created_s = created_s
        self._answer_tool = answer_tool
        self._shows_tier = shows_tier
        self._tier: str | None = None

    def document(self, body: bytes) -> bytes:
        try:
            reply = _reply.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BrokeOff("the provider's answer is none of Bedrock's Converse API") from error
        if reply.usage is not None:
            self.told_usage = reply.usage.usage
        self._tier = reply.service_tier.type if reply.service_tier is not None else None
        answer, at = Answer(answer_tool=self._answer_tool), 0
        for block in reply.output.message.content:
            at = _add(answer, block, at)
        answer.finish_reason = FINISH.get(reply.stop_reason, "stop")
        return completion(
            [answer],
            id=self._id,
            model=self._model,
            created_s=self._created_s,
            usage=self.told_usage,
            service_tier=self._tier if self._shows_tier else None,
        )

    def service_tier(self) -> str | None:
        return self._tier


def _add(answer: Answer, block: Block, at: int) -> int:
    """`at`: so many characters of text came before it; gives back how many there are now."""
    if block.text is not None:
        answer.text(block.text)
        return at + len(block.text)
    if (tool := block.tool_use) is not None and tool.type is None:
        answer.tool_call(tool.tool_use_id, tool.name, bytes(tool.input).decode())
    if (reasoning := block.reasoning_content) is not None:
        if (thought := reasoning.reasoning_text) is not None:
            answer.reasoning(thought.text)
            answer.thinking_block(thinking_block(thought.text, thought.signature))
        if reasoning.redacted_content is not None:
            answer.thinking_block(redacted_block(reasoning.redacted_content))
    if (cited := block.citations_content) is not None:
        text = "".join(part.text for part in cited.content)
        answer.text(text)
        for citation in cited.citations:
            answer.annotation(annotation(citation, at, at + len(text)))
        return at + len(text)
    return at


def thinking_block(thinking: str, signature: str) -> dict[str, str]:
    """As Anthropic's API has it, and `turns.py` reads it."""
    return {"type": "thinking", "thinking": thinking, "signature": signature}


def redacted_block(data: str) -> dict[str, str]:
    return {"type": "redacted_thinking", "data": data}


def annotation(citation: Mapping[str, Any], start: int, end: int) -> dict[str, Any]:
    """Where the text between two places in the answer is from: of the web as OpenAI has it, of a document with all
    that Bedrock says."""
    match citation:
        case {"location": {"web": {"url": str(url)}}}:
            place = {"url": url, "title": citation.get("title") or ""}
            return {"type": "url_citation", "url_citation": {**place, "start_index": start, "end_index": end}}
    return {"type": "file_citation", "file_citation": {**citation, "start_index": start, "end_index": end}}
