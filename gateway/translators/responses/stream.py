"""Chunks of a chat completion as the events of a response."""

from gateway.contract import Call
from gateway.errors import GatewayError
from gateway.translators.chunked import ChunkReading
from gateway.translators.responses.chunks import Narrator
from gateway.translators.responses.events import ResponseEvents
from gateway.translators.responses.response import response_to
from gateway.translators.responses.tools import offered_in
from gateway.translators.said import Completion


class StreamedReply(ChunkReading):
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

    def chunk(self, chunk: Completion) -> bytes:
        out = [self._events.start()] if chunk.choices else []
        for choice in chunk.choices or ():
            if choice.index == 0:
                said = self._narrator.choice(choice)
                self.has_begun = self.has_begun or bool(said) or self._narrator.has_ended
                out.append(said)
        return b"".join(out)

    def has_finished(self) -> bool:
        return self._narrator.has_ended

    def last(self) -> bytes:
        return self._events.start() + self._narrator.end(self.told_usage, self.tier, self._at)

    def failure(self, error: GatewayError) -> bytes:
        """The last event, when the answer does not come to its end."""
        return self._narrator.fail(error, self.told_usage)
