"""Chunks of a chat completion as the events of a message."""

from collections.abc import Callable

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, UpstreamError
from gateway.translators.messages.events import MessageEvents
from gateway.translators.messages.reply import message_id
from gateway.translators.messages.said import Call, Choice, Said, citation_of, completion_of, picture_of, stop_of
from gateway.translators.messages.sealed import sealed
from gateway.translators.reading import EventReading
from gateway.wire.sse import DONE

MAX_CALLS = 1000


class StreamedReply(EventReading):
    """
    Args:
        model, new_id, shows_thinking: as in `ReplyReading`.
    """

    def __init__(self, model: str, new_id: Callable[[], str], *, shows_thinking: bool) -> None:
        super().__init__()
        self._model = model
        self._new_id = new_id
        self._shows_thinking = shows_thinking
        self._events = MessageEvents()
        self._has_thought = False
        """Since the last block of thinking was whole."""
        self._ids: list[str] = []
        """Of the calls, in their order."""
        self._numbers: dict[int, int] = {}
        """Index of a call with the provider -> its place among them."""
        self._stop: tuple[str, str | None] | None = None
        self._is_refused = False
        self._tier: str | None = None

    def event(self, data: bytes) -> bytes:
        if data == DONE:
            return self._end()
        try:
            chunk = completion_of(data)
        except UpstreamError as error:
            if not self.has_begun:
                raise
            raise BrokeOff(error.message, code=error.code) from error
        if chunk.usage is not None and (usage := Usage.from_openai(chunk.usage)) is not None:
            self.told_usage = usage.over(self.told_usage)
        self._tier = chunk.service_tier or self._tier
        out = b""
        for choice in chunk.choices or ():
            if not self._events.has_started:
                out = self._events.start(message_id(self._new_id), self._model)
            if choice.index == 0:
                out += self._choice(choice)
        return out

    def end(self) -> bytes:
        """Some leave out `[DONE]`; a finish reason is as good."""
        out = super().end()
        if rest := bytes(self._held).strip():
            self._held.clear()
            out += self.feed(b"%b\n\n" % rest) if rest.startswith(b"data:") else self.event(rest)
        if self.events == 0 and not self.has_begun:
            raise BrokeOff("the provider ended its stream before it began")
        return out if self.is_over or self._stop is None else out + self._end()

    def service_tier(self) -> str | None:
        return self._tier

    def _end(self) -> bytes:
        if self._stop is None and not self.has_begun:
            raise BrokeOff("the provider ended its stream before it began")
        self.is_over = True
        stop, text = self._stop or ("end_turn", None)
        if stop == "end_turn" and self._events.has_calls:
            stop = "tool_use"
        return self._events.end("refusal" if self._is_refused else stop, text, self.told_usage)

    def _choice(self, choice: Choice) -> bytes:
        said = choice.delta or choice.message
        out = self._said(said) if said is not None else b""
        if choice.finish_reason:
            self._stop = stop_of(choice, has_calls=self._events.has_calls)
            self.has_begun = True
        return out

    def _said(self, said: Said) -> bytes:
        out = []
        if self._shows_thinking:
            if thought := said.thought:
                self._has_thought = True
                out.append(self._events.thinking(thought))
            out += map(self._block, said.thinking_blocks or ())
        text = said.text
        if said.refusal:
            self._is_refused = True
            text += said.refusal
        if said.images:
            text += "".join(map(picture_of, said.images))
        if text:
            out.append(self._events.text(text))
        out += map(self._events.citation, filter(None, map(citation_of, said.annotations or ())))
        out += map(self._call, said.tool_calls or ())
        if out:
            self.has_begun = True
        return b"".join(out)

    def _block(self, block: dict[str, object]) -> bytes:
        """A block that is whole, or, where it has no signature yet, a piece of one."""
        match block:
            case {"type": "redacted_thinking", "data": str(data)}:
                return self._events.redacted_thinking(data)
            case {"signature": str(signature), **more} if signature:
                self._has_thought = False
                return self._events.signature(str(more.get("thinking") or ""), signature)
            case {"thinking": str(thinking)} if thinking and not self._has_thought:
                return self._events.thinking(thinking)
        return b""

    def _call(self, call: Call) -> bytes:
        number = self._numbers.get(call.index) if call.index is not None else self._place_of(call)
        out = b""
        if number is None:
            if not call.function.name:
                return b""  # nothing that could be called
            number = len(self._ids)
            if number >= MAX_CALLS:
                raise BrokeOff(f"the provider made more than {MAX_CALLS:,} calls")
            id_ = str(call.id or f"call_{self._new_id()}")
            self._ids.append(id_)
            if call.index is not None:
                self._numbers[call.index] = number
            if call.extra_content is not None:
                out = self._events.redacted_thinking(sealed(id_, call.extra_content))
            out += self._events.tool_use(number, id_, call.function.name)
        arguments = call.function.arguments
        if not arguments:
            return out
        fragment = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
        return out + self._events.input(number, fragment)

    def _place_of(self, call: Call) -> int | None:
        """Of a call without an index: a new one has a name, and an id of its own."""
        if (id_ := str(call.id or "")) in self._ids:
            return self._ids.index(id_)
        return None if call.function.name else len(self._ids) - 1 if self._ids else None
