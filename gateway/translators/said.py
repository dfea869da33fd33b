"""What a chat completion says, whole or in chunks, in the variants of those who speak OpenAI's API.

Source: platform.openai.com/docs/api-reference/chat/object and /streaming; `reasoning_content` of DeepSeek, vLLM and the
hub, `reasoning` of OpenRouter and newer vLLM, lists of parts of Mistral, `stop_reason` of vLLM, `usage` of Moonshot in
a choice and of Groq in `x_groq`, finish reasons in the API references of Mistral, Zhipu and DeepSeek; read 2026-11.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, UpstreamError
from gateway.translators.chat import FunctionCall
from gateway.translators.mended import mended
from gateway.wire.lenient import lenient_json
from gateway.wire.openai_failures import FAILED, failure_told, told


class Call(msgspec.Struct):
    """A call of a function, or a piece of one: only the first has a name."""

    index: int | None = None
    id: str | int | None = None
    """Some count them."""
    function: FunctionCall = msgspec.field(default_factory=FunctionCall)
    extra_content: dict[str, Any] | None = None

    @property
    def fragment(self) -> str:
        """A piece of the arguments' JSON text; some send the object itself."""
        arguments = self.function.arguments
        if not arguments:
            return ""
        return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()


class Said(msgspec.Struct):
    """A message, or a piece of one."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[dict[str, Any]] | None = None
    tool_calls: list[Call] | None = None
    function_call: FunctionCall | None = None
    """The one call, or a piece of it, of servers that know no other."""
    refusal: str | None = None
    annotations: list[dict[str, Any]] | None = None
    images: list[Any] | None = None

    @property
    def calls(self) -> list[Call]:
        if self.tool_calls or self.function_call is None:
            return self.tool_calls or []
        return [Call(index=0, function=self.function_call)]

    @property
    def thought(self) -> str:
        if isinstance(self.content, list):
            return "".join(_texts_in(self.content, "thinking"))
        return self.reasoning_content or self.reasoning or ""

    @property
    def text(self) -> str:
        content = self.content
        return content if isinstance(content, str) else "".join(_texts_in(content, "text"))


class Choice(msgspec.Struct):
    index: int = 0
    delta: Said | None = None
    message: Said | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    """vLLM's: the text that stopped it."""
    usage: Any = None

    @property
    def reason(self) -> str | None:
        """The finish reason, as OpenAI calls it, if that has a name for it; None: it has not ended.

        Raises BrokeOff: it was an error.
        """
        if not self.finish_reason:
            return None
        said = self.finish_reason.lower()
        if said in FAILED:
            raise BrokeOff("the provider ended its answer with an error")
        return _REASONS.get(said, said)


class Completion(msgspec.Struct):
    id: str | int | None = None
    choices: list[Choice] | None = None
    usage: Any = None
    x_groq: Any = None
    error: Any = None
    service_tier: str | None = None

    @property
    def used(self) -> Usage | None:
        if self.usage is not None and (usage := Usage.from_openai(self.usage)) is not None:
            return usage
        for choice in self.choices or ():
            if choice.usage is not None and (usage := Usage.from_openai(choice.usage)) is not None:
                return usage
        return Usage.from_openai(self.x_groq.get("usage")) if isinstance(self.x_groq, dict) else None


NO_ARGUMENTS = ("null", "{}")
"""What some begin a call with before its arguments come, or do not: in front of them it would be broken JSON."""
_completion = msgspec.json.Decoder(Completion)
_REASONS = {
    **dict.fromkeys(("end_turn", "eos", "eos_token", "stop_sequence", "complete", "completed", "finished"), "stop"),
    **dict.fromkeys(("max_tokens", "max_output_tokens", "max_length", "model_length"), "length"),
    **dict.fromkeys(("tool_use", "tool_call"), "tool_calls"),
    **dict.fromkeys(("safety", "sensitive", "content_filtered", "refusal", "recitation"), "content_filter"),
}


def completion_of(data: bytes) -> Completion:
    """A completion, or a chunk of one. Raises UpstreamError: it is an error, or none of both."""
    try:
        said = _completion.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        try:
            said = msgspec.convert(mended(lenient_json(data)), Completion)
        except (ValueError, msgspec.ValidationError):
            raise _trouble(data) from error
        if said.choices is None and said.usage is None and not said.error:
            raise _trouble(data) from error
    if said.error:
        raise failure_told(data) or told({"error": said.error}, None)
    if not said.choices and said.usage is None and (failed := failure_told(data)) is not None:
        raise failed
    return said


def picture_of(image: Any) -> str:
    """A picture that was made, as text: for callers who know no other way to be shown one."""
    match image:
        case {"image_url": {"url": str(url)}}:
            return f"![image]({url})"
    return ""


def _texts_in(content: Any, kind: str) -> Iterator[str]:
    for part in content if isinstance(content, list) else ():
        match part:
            case str(text) | {"type": "text" | "output_text", "text": str(text)} if kind == "text":
                yield text
            case {"type": "thinking", "thinking": thinking} if kind == "thinking":
                if isinstance(thinking, str):
                    yield thinking
                else:
                    yield from _texts_in(thinking, "text")


def _trouble(data: bytes) -> UpstreamError:
    return failure_told(data) or BrokeOff("the provider's answer is not a chat completion")
