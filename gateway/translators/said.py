"""What a chat completion says, whole or in chunks, in the variants of those who speak OpenAI's API.

Source: platform.openai.com/docs/api-reference/chat/object and /streaming; `reasoning_content` of DeepSeek, vLLM and the
hub, `reasoning` of OpenRouter and newer vLLM, lists of parts of Mistral, `stop_reason` of vLLM; read 2026-11.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.errors import BrokeOff, UpstreamError
from gateway.translators.chat import FunctionCall
from gateway.wire.failure import lenient_json
from gateway.wire.openai import failure_told, told


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
    refusal: str | None = None
    annotations: list[dict[str, Any]] | None = None
    images: list[Any] | None = None

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


class Completion(msgspec.Struct):
    id: str | int | None = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    service_tier: str | None = None


_completion = msgspec.json.Decoder(Completion)


def completion_of(data: bytes) -> Completion:
    """A completion, or a chunk of one. Raises UpstreamError: it is an error, or none of both."""
    try:
        said = _completion.decode(data)
    except msgspec.ValidationError as error:
        raise _trouble(data) from error
    except (msgspec.DecodeError, RecursionError) as error:
        try:
            said = _completion.decode(msgspec.json.encode(lenient_json(data)))
        except (ValueError, RecursionError):
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
            case {"type": "text", "text": str(text)} if kind == "text":
                yield text
            case {"type": "thinking", "thinking": thinking} if kind == "thinking":
                if isinstance(thinking, str):
                    yield thinking
                else:
                    yield from _texts_in(thinking, "text")


def _trouble(data: bytes) -> UpstreamError:
    return failure_told(data) or BrokeOff("the provider's answer is not a chat completion")
