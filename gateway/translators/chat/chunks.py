"""Writing a chat completion as a stream.

Source: platform.openai.com/docs/api-reference/chat/streaming, read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.translators.chat.completion import image_part
from gateway.translators.chat.tools import ANSWER_TOOL
from gateway.translators.chat.usage import usage_fields
from gateway.wire.sse import DONE

_encode = msgspec.json.Encoder().encode
_END = b"data: " + DONE + b"\n\n"
_GOES_ON = b',"logprobs":null,"finish_reason":null}]}\n\n'


class _Choice:
    """How far one answer has come."""

    __slots__ = ("answers", "has_answered", "head", "is_finished", "tools")

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.tools = -1
        """Index of the call whose arguments come now."""
        self.answers = False
        """They are the answer itself."""
        self.has_answered = False
        self.is_finished = False


class ChatChunks:
    """Each method gives the bytes of one event, or of none.

    Every chunk has the same id, model and time. In a choice the role comes first, indexes of tool calls rise, and one
    finish reason comes last; the stream ends with usage, if it was asked for, and `[DONE]`, once.

    Args:
        created_s: seconds since 1970.
        wants_usage: as in `Ask`.
        answer_tool: a call of `ANSWER_TOOL` is the answer itself: see `ResponseFormat.as_tool`.
    """

    def __init__(
        self,
        *,
        id: str,  # noqa: A002  as it is called in the chunks
        model: str,
        created_s: float,
        wants_usage: bool,
        answer_tool: bool = False,
    ) -> None:
        said = _encode({"id": id, "object": "chat.completion.chunk", "created": int(created_s), "model": model})
        self._said = b"data: " + said[:-1]
        self._wants_usage = wants_usage
        self._answer_tool = answer_tool
        self._choices: dict[int, _Choice] = {}
        self._is_over = False
        self.service_tier: str | None = None
        """Set before the end, it is told there."""

    def start(self, choice: int = 0) -> bytes:
        """Who speaks. Need not be called: the first of the other events brings it along."""
        return self._of(choice)[1]

    def text(self, text: str, choice: int = 0) -> bytes:
        at, start = self._of(choice)
        if at.has_answered or at.is_finished or not text:
            return start
        return b'%b%b{"content":%b}%b' % (start, at.head, _encode(text), _GOES_ON)

    def refusal(self, text: str, choice: int = 0) -> bytes:
        return self._delta({"refusal": text}, choice)

    def reasoning(self, text: str, choice: int = 0) -> bytes:
        at, start = self._of(choice)
        if at.is_finished or not text:
            return start
        return b'%b%b{"reasoning_content":%b}%b' % (start, at.head, _encode(text), _GOES_ON)

    def thinking_block(self, block: object, choice: int = 0) -> bytes:
        """A block that is whole, as the provider wants it back; or one more piece of it, as a block of its own."""
        return self._delta({"thinking_blocks": [block]}, choice)

    def annotation(self, annotation: object, choice: int = 0) -> bytes:
        return self._delta({"annotations": [annotation]}, choice)

    def image(self, url: str, choice: int = 0) -> bytes:
        return self._delta({"images": [image_part(url)]}, choice)

    def logprobs(self, tokens: list[Any], choice: int = 0) -> bytes:
        """Of what came since the last ones, as in `choices[].logprobs.content`."""
        at, start = self._of(choice)
        if at.is_finished or not tokens:
            return start
        told = _encode({"content": tokens, "refusal": None})
        return b'%b%b{},"logprobs":%b,"finish_reason":null}]}\n\n' % (start, at.head, told)

    def tool_call(
        self,
        id: str,  # noqa: A002
        name: str,
        arguments: str = "",
        *,
        extra_content: dict[str, Any] | None = None,
        choice: int = 0,
    ) -> bytes:
        """A call begins; more of its arguments may follow."""
        at, start = self._of(choice)
        if at.is_finished:
            return start
        at.answers = self._answer_tool and name == ANSWER_TOOL
        if at.answers:
            at.has_answered = True
            return start + self.arguments(arguments, choice)
        at.tools += 1
        call = {"index": at.tools, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        if extra_content is not None:
            call["extra_content"] = extra_content
        return start + self._delta({"tool_calls": [call]}, choice)

    def arguments(self, fragment: str, choice: int = 0) -> bytes:
        """More of the arguments of the call that began last."""
        at, _ = self._of(choice)
        if at.is_finished or not fragment:
            return b""
        if at.answers:
            return b'%b{"content":%b}%b' % (at.head, _encode(fragment), _GOES_ON)
        said = b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}' % (at.tools, _encode(fragment))
        return b"%b%b%b" % (at.head, said, _GOES_ON)

    def finish(self, reason: str, choice: int = 0) -> bytes:
        """The end of one choice; nothing of it may follow. `tool_calls` without any is `stop`."""
        at, start = self._of(choice)
        if at.is_finished:
            return b""
        at.is_finished = True
        if reason == "tool_calls" and at.tools < 0:
            reason = "stop"
        tier = b',"service_tier":%b' % _encode(self.service_tier) if self.service_tier is not None else b""
        return b'%b%b{},"logprobs":null,"finish_reason":%b}]%b}\n\n' % (start, at.head, _encode(reason), tier)

    def end(self, usage: Usage | None) -> bytes:
        """The end of the stream; choices that were begun and not finished are finished with `stop`."""
        if self._is_over:
            return b""
        self._is_over = True
        out = [self.finish("stop", choice) for choice in self._choices or (0,)]
        if self._wants_usage and usage is not None:
            tier = b',"service_tier":%b' % _encode(self.service_tier) if self.service_tier is not None else b""
            out.append(b'%b,"choices":[],"usage":%b%b}\n\n' % (self._said, _encode(usage_fields(usage)), tier))
        return b"".join([*out, _END])

    def _delta(self, delta: dict[str, Any], choice: int) -> bytes:
        at, start = self._of(choice)
        return b"" if at.is_finished else b"%b%b%b%b" % (start, at.head, _encode(delta), _GOES_ON)

    def _of(self, choice: int) -> tuple[_Choice, bytes]:
        """With the event that says who speaks, the first time."""
        at = self._choices.get(choice)
        if at is not None:
            return at, b""
        head = b'%b,"choices":[{"index":%d,"delta":' % (self._said, choice)
        at = self._choices[choice] = _Choice(head)
        return at, b'%b{"role":"assistant","content":""}%b' % (head, _GOES_ON)
