"""Writing a whole chat completion."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.contract.usage import Usage
from gateway.translators.chat.tools import ANSWER_TOOL
from gateway.translators.chat.usage import usage_fields


class CalledFunction(msgspec.Struct):
    name: str
    arguments: str


class Called(msgspec.Struct):
    """As in `ToolCall`."""

    id: str
    function: CalledFunction
    type: str = "function"
    extra_content: dict[str, Any] | UnsetType = UNSET


class AnswerMessage(msgspec.Struct):
    content: str | None
    refusal: str | None
    role: str = "assistant"
    reasoning_content: str | UnsetType = UNSET
    thinking_blocks: list[Any] | UnsetType = UNSET
    tool_calls: list[Called] | UnsetType = UNSET
    annotations: list[Any] | UnsetType = UNSET
    images: list[Any] | UnsetType = UNSET


def image_part(url: str) -> dict[str, Any]:
    """A picture that a model has made, as OpenRouter and LiteLLM have it in `message.images`; `url` may hold it."""
    return {"type": "image_url", "image_url": {"url": url}}


class Answer:
    """One choice, put together in the order in which the provider gives its parts.

    Args:
        answer_tool: a call of `ANSWER_TOOL` is the answer itself: see `ResponseFormat.as_tool`.
    """

    def __init__(self, *, answer_tool: bool = False) -> None:
        self.finish_reason = "stop"
        self.logprobs: list[Any] | None = None
        """Of its tokens, as in `choices[].logprobs.content`; None: not asked for."""
        self._answer_tool = answer_tool
        self._is_answered = False
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._reasoning: list[str] = []
        self._blocks: list[Any] = []
        self._calls: list[Called] = []
        self._annotations: list[Any] = []
        self._images: list[Any] = []

    def text(self, text: str) -> None:
        if not self._is_answered:
            self._text.append(text)

    def refusal(self, text: str) -> None:
        self._refusal.append(text)

    def reasoning(self, text: str) -> None:
        self._reasoning.append(text)

    def thinking_block(self, block: object) -> None:
        """As the provider gives it, and wants it back: with its signature."""
        self._blocks.append(block)

    def annotation(self, annotation: object) -> None:
        self._annotations.append(annotation)

    def image(self, url: str) -> None:
        self._images.append(image_part(url))

    def tool_call(self, id_: str, name: str, arguments: str, extra_content: dict[str, Any] | None = None) -> None:
        """`arguments`: JSON text."""
        if self._answer_tool and name == ANSWER_TOOL:
            if not self._is_answered:  # what it says beside it is no part of the JSON that was asked for
                self._text = [arguments]
                self._is_answered = True
            return
        self._calls.append(Called(id_, CalledFunction(name, arguments or "{}"), extra_content=extra_content or UNSET))

    def choice(self, index: int) -> dict[str, Any]:
        finish = self.finish_reason
        if finish == "tool_calls" and not self._calls:
            finish = "stop"
        content = "".join(self._text) if self._text else None
        if content is None and not (self._calls or self._refusal):
            content = ""
        message = AnswerMessage(
            content,
            "".join(self._refusal) or None,
            reasoning_content="".join(self._reasoning) or UNSET,
            thinking_blocks=self._blocks or UNSET,
            tool_calls=self._calls or UNSET,
            annotations=self._annotations or UNSET,
            images=self._images or UNSET,
        )
        logprobs = {"content": self.logprobs, "refusal": None} if self.logprobs is not None else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish}


def completion(
    answers: Sequence[Answer],
    *,
    id: str,  # noqa: A002  as it is called in the reply
    model: str,
    created_s: float,
    usage: Usage | None,
    service_tier: str | None = None,
) -> bytes:
    """The body of the reply; `created_s`: seconds since 1970.

    Source: platform.openai.com/docs/api-reference/chat/object, read 2026-11.
    """
    body: dict[str, Any] = {
        "id": id,
        "object": "chat.completion",
        "created": int(created_s),
        "model": model,
        "choices": [answer.choice(index) for index, answer in enumerate(answers)],
    }
    if usage is not None:
        body["usage"] = usage_fields(usage)
    if service_tier is not None:
        body["service_tier"] = service_tier
    return msgspec.json.encode(body)
