"""An answer of the pipeline, told as messages of a WebSocket."""

from collections.abc import Awaitable, Callable

import msgspec

from gateway.errors import BrokeOff
from gateway.proxy.asgi import Message
from gateway.wire import sse
from gateway.wire.response_sockets import Last, error_message, last_in, message_of

_TOLD_WITH_ERRORS = (b"retry-after", b"x-should-retry", b"x-request-id", b"x-ratelimit-")
_NO_PREVIOUS = b'"previous_response_id":null'


class ToldAnswer:
    """
    Args:
        say: sends one.
        previous: the response that it continues, of which providers were not told.
    """

    def __init__(
        self, say: Callable[[bytes, str | None], Awaitable[None]], stream_id: str | None, previous: str | None
    ) -> None:
        self.last: Last | None = None
        self._say = say
        self._stream_id = stream_id
        self._echo = b'"previous_response_id":%b' % msgspec.json.encode(previous)
        self._events = sse.EventSplitter()
        self._status = 0
        self._headers: dict[str, str] = {}
        self._refusal: list[bytes] = []
        self._is_told = False

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in message["headers"]
                if name.startswith(_TOLD_WITH_ERRORS)
            }
        elif self._status == 200:
            for event in self._events.feed(message.get("body", b"")):
                await self._tell(event)
        else:
            self._refusal.append(message.get("body", b""))

    async def end(self) -> None:
        """Raises BrokeOff: it has no end, and nobody has said why."""
        if self._status not in (0, 200):
            await self._say(error_message(self._status, b"".join(self._refusal), self._headers), self._stream_id)
        elif not self._is_told:
            raise BrokeOff("the response ended before it was complete")

    async def _tell(self, event: bytes) -> None:
        message = message_of(event)
        if not message or message == sse.DONE:
            return
        last = last_in(message)
        self.last = last or self.last
        self._is_told = self._is_told or last is not None or b'"type":"error"' in message[:64]
        if _NO_PREVIOUS in message and b'"response":' in message[:120]:
            message = message.replace(_NO_PREVIOUS, self._echo, 1)
        await self._say(message, self._stream_id)
