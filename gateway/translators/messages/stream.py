"""Chunks of a chat completion as the events of a message."""

from collections.abc import Callable

from gateway.translators.chunked import CallPlaces, ChunkReading
from gateway.translators.messages.events import MessageEvents
from gateway.translators.messages.reply import message_id
from gateway.translators.messages.sealed import sealed
from gateway.translators.messages.words import citation_of, stop_of
from gateway.translators.said import Call, Choice, Completion, Said, picture_of


class StreamedReply(ChunkReading):
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
        self._calls = CallPlaces()
        self._stop: tuple[str, str | None] | None = None
        self._is_refused = False

    def chunk(self, chunk: Completion) -> bytes:
        out = []
        for choice in chunk.choices or ():
            if not self._events.has_started:
                out.append(self._events.start(message_id(self._new_id), self._model))
            if choice.index == 0:
                out.append(self._choice(choice))
        return b"".join(out)

    def has_finished(self) -> bool:
        return self._stop is not None

    def last(self) -> bytes:
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
        out += map(self._call, said.calls)
        if out:
            self.has_begun = True
        return b"".join(out)

    def _block(self, block: dict[str, object]) -> bytes:
        """A block that is whole, or, where it has no signature yet, a piece of one."""
        match block:
            case {"type": "redacted_thinking", "data": str(data)}:
                return self._events.redacted_thinking(data)
            case {"signature": str(signature), **more} if signature:
                thinking = "" if self._has_thought else str(more.get("thinking") or "")
                self._has_thought = False
                return self._events.signature(thinking, signature)
            case {"thinking": str(thinking)} if thinking and not self._has_thought:
                return self._events.thinking(thinking)
        return b""

    def _call(self, call: Call) -> bytes:
        number = self._calls.of(call)
        out = b""
        if number is None:
            if not call.function.name:
                return b""  # nothing that could be called
            id_ = str(call.id or f"call_{self._new_id()}")
            number = self._calls.add(call, id_)
            if call.extra_content is not None:
                out = self._events.redacted_thinking(sealed(id_, call.extra_content))
            out += self._events.tool_use(number, id_, call.function.name)
        fragment = call.fragment
        return out + self._events.input(number, fragment) if fragment else out
