"""A chat request, read for a translator: each field once, and a note of what nobody has taken."""

from collections.abc import Hashable, Mapping
from functools import cache, cached_property
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from gateway.contract import Call
from gateway.errors import BadRequest
from gateway.translators.chat.messages import Message, read_messages
from gateway.translators.chat.reasoning import Reasoning, ReasoningOption
from gateway.translators.chat.tools import ResponseFormat, Tool, ToolChoice, read_choice, read_format, read_tools

T = TypeVar("T")

MOST_NAMES = 20
"""Of what was dropped; who sends more fields that nobody knows has the rest left out of the header."""
MOST_CHARS = 64

_ALWAYS = frozenset({"model", "messages", "stream", "stream_options"})
"""Read by everybody, or by the gateway itself."""
_NEUTRAL: Mapping[str, Any] = {
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "metadata": {},
    "modalities": ["text"],
    "n": 1,
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "service_tier": "auto",
    "store": False,
    "top_logprobs": 0,
}
"""Field -> the value with which it says nothing, so that nothing is lost when it is left out."""
_NULL = b"null"


class ChatRequest:
    """What the caller asks for.

    A translator takes the fields that its format has; those that are left in the end are the dropped parameters. A
    field that is null is as if it were not there.

    Raises:
        BadRequest: from each method and property, that a field is not of the form it should have.
    """

    def __init__(self, call: Call) -> None:
        self._fields = call.fields
        self._taken = set(_ALWAYS)
        self._lost: dict[str, None] = {}

    def take(self, name: str, kind: type[T]) -> T | None:
        """A field that the format has; None: it is not there. Numbers may be written as text."""
        self._taken.add(name)
        raw = self._fields.get(name)
        return None if raw is None or _is_null(raw) else read(raw, kind, name)

    def raw(self, name: str) -> msgspec.Raw | None:
        """The same, as it came: for fields that the format has under the same name."""
        self._taken.add(name)
        raw = self._fields.get(name)
        return None if raw is None or _is_null(raw) else raw

    def drop(self, name: str) -> None:
        """Notes what is left out inside of a field that was taken, as `messages.name`."""
        self._lost[name] = None

    @property
    def dropped_params(self) -> tuple[str, ...]:
        """What was not taken, and what was noted; to be asked for last. Safe in a header."""
        left = [name for name, raw in self._fields.items() if name not in self._taken and not _says_nothing(name, raw)]
        names = [quote(name[:MOST_CHARS], safe="[]") for name in (*left, *self._lost)]
        return (*names[:MOST_NAMES], "...") if len(names) > MOST_NAMES else tuple(names)

    @cached_property
    def messages(self) -> list[Message]:
        """In the caller's order; at least one."""
        raw = self._fields.get("messages")
        if raw is None:
            raise BadRequest('the field "messages" is missing', param="messages")
        return read_messages(read(raw, list[Message], "messages"))

    @cached_property
    def tools(self) -> list[Tool]:
        """Those the model may call now: of `allowed_tools`, only these."""
        if self.take("functions", msgspec.Raw) is not None or self.take("function_call", msgspec.Raw) is not None:
            raise BadRequest('"functions" and "function_call" are not translated; use "tools"', param="functions")
        tools = read_tools(self.take("tools", list[msgspec.Raw]) or [])
        allowed = self.tool_choice.allowed
        return tools if allowed is None else [tool for tool in tools if tool.name in allowed]

    @cached_property
    def tool_choice(self) -> ToolChoice:
        return read_choice(self.take("tool_choice", Any))

    @cached_property
    def has_parallel_tools(self) -> bool:
        return self.take("parallel_tool_calls", bool) is not False

    @cached_property
    def response_format(self) -> ResponseFormat | None:
        """None: text."""
        return read_format(self.take("response_format", msgspec.Raw))

    @cached_property
    def max_tokens(self) -> int | None:
        """Of the answer, with all reasoning in it."""
        newer, older = self.take("max_completion_tokens", int), self.take("max_tokens", int)
        return newer if newer is not None else older

    @cached_property
    def stop(self) -> list[str]:
        given = self.take("stop", str | list[str])  # type: ignore[arg-type]
        return [given] if isinstance(given, str) else given or []

    @cached_property
    def choices(self) -> int:
        count = self.take("n", int)
        return 1 if count is None else count

    @cached_property
    def reasoning(self) -> Reasoning:
        """From `reasoning_effort`, Anthropic's `thinking` or OpenRouter's `reasoning`; the budget of the caller's own
        counts for more than an effort."""
        effort = self.take("reasoning_effort", str)
        options = (self.take("thinking", ReasoningOption), self.take("reasoning", ReasoningOption))
        return Reasoning.of(effort, *options)

    @property
    def reasoning_field(self) -> str:
        """The one by which the caller asks for it."""
        names = ("reasoning_effort", "thinking", "reasoning")
        return next((name for name in names if self.raw(name) is not None), names[0])


def only_one_answer(request: ChatRequest) -> None:
    """For formats without `n`. Raises BadRequest."""
    if request.choices != 1:
        raise BadRequest("this model gives one answer for each request: leave out n, and ask several times", param="n")


def only_text_out(request: ChatRequest) -> None:
    """For models that only write. Raises BadRequest."""
    if set(request.take("modalities", list[str]) or ["text"]) != {"text"}:
        raise BadRequest("this model answers with text only: leave out modalities and audio", param="modalities")


def read(raw: msgspec.Raw, kind: type[T], name: str) -> T:
    """One field, decoded. Raises BadRequest."""
    try:
        value: T = _decoder(kind).decode(raw)  # type: ignore[arg-type]  # types are hashable
    except msgspec.DecodeError as error:
        raise BadRequest(f'the field "{name}" is not valid: {error}', param=name) from error
    except RecursionError as error:
        raise BadRequest("the request body is nested too deeply", param=name) from error
    return value


@cache
def _decoder(kind: Hashable) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(kind, strict=False)


def _is_null(raw: msgspec.Raw) -> bool:
    return len(memoryview(raw)) == len(_NULL) and bytes(raw) == _NULL


def _says_nothing(name: str, raw: msgspec.Raw) -> bool:
    if _is_null(raw):
        return True
    is_short = name in _NEUTRAL and len(memoryview(raw)) < MOST_CHARS
    return is_short and bool(msgspec.json.decode(raw) == _NEUTRAL[name])
