"""Chunks of a chat completion as the events of a response."""

from gateway.contract import Call
from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, GatewayError, UpstreamError
from gateway.translators.messages.said import completion_of
from gateway.translators.reading import EventReading
from gateway.translators.responses.chunks import Narrator
from gateway.translators.responses.events import ResponseEvents
from gateway.translators.responses.response import response_to
from gateway.translators.responses.tools import offered_in
from gateway.wire.sse import DONE


class StreamedReply(EventReading):
    """
    Args:
        hexadecimal, created_at: as in `ReplyReading`.
    """

    def __init__(self, call: Call, hexadecimal: str, created_at: int) -> None:
        super().__init__()
        self.response = response_to(call, hexadecimal, created_at)
        self._events = ResponseEvents(self.response)
        self._narrator = Narrator(self._events, offered_in(call.fields), hexadecimal)
        self._at = created_at

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
        self._narrator.tier = chunk.service_tier or self._narrator.tier
        out = self._events.start() if chunk.choices else b""
        for choice in chunk.choices or ():
            if choice.index == 0:
                said = self._narrator.choice(choice)
                self.has_begun = self.has_begun or bool(said) or self._narrator.has_ended
                out += said
        return out

    def end(self) -> bytes:
        """Some leave out `[DONE]`; a finish reason is as good."""
        out = super().end()
        if rest := bytes(self._held).strip():
            self._held.clear()
            out += self.feed(b"%b\n\n" % rest) if rest.startswith(b"data:") else self.event(rest)
        if self.events == 0 and not self.has_begun:
            raise BrokeOff("the provider ended its stream before it began")
        return out if self.is_over or not self._narrator.has_ended else out + self._end()

    def failure(self, error: GatewayError) -> bytes:
        """The last event, when the answer does not come to its end."""
        return self._narrator.fail(error, self.told_usage)

    def service_tier(self) -> str | None:
        return self._narrator.tier

    def _end(self) -> bytes:
        if not self._narrator.has_ended and not self.has_begun:
            raise BrokeOff("the provider ended its stream before it began")
        self.is_over = True
        return self._events.start() + self._narrator.end(self.told_usage, self._at)
