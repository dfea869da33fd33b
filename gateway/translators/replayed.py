"""A whole answer where a stream was asked for: some servers do not stream, or not with tools."""

from typing import Any

import msgspec

from gateway.contract import Reading
from gateway.contract.call import TellsFailure
from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, GatewayError, UpstreamError
from gateway.translators.reading import decoded
from gateway.wire.whole import MAX_DOCUMENT

_document = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.encode


class Replayed:
    """A `Reading` of a whole chat completion, told as a stream. Clients that read events see nothing of a document, and
    wait, or give up.

    Args:
        streamed: the reading of such a stream; all that it gets comes at the end.
    """

    is_stream = True

    def __init__(self, streamed: Reading) -> None:
        self._streamed = streamed
        self.content_type = streamed.content_type
        self._parts: list[bytes] = []
        self._size = 0
        self._has_ended = False

    @property
    def events(self) -> int:
        return self._streamed.events

    @property
    def has_begun(self) -> bool:
        return self._streamed.has_begun

    @property
    def is_over(self) -> bool:
        return self._streamed.is_over

    def feed(self, data: bytes) -> bytes:
        self._size += len(data)
        if self._size > MAX_DOCUMENT:
            raise BrokeOff("the provider's answer is too large to be translated")
        self._parts.append(data)
        return b""

    def end(self) -> bytes:
        if self._has_ended:
            return b""
        self._has_ended = True
        return self._streamed.feed(_events_of(b"".join(self._parts))) + self._streamed.end()

    def is_complete(self) -> bool:
        return self._streamed.is_complete()

    def told_error(self) -> UpstreamError | None:
        return self._streamed.told_error()

    def usage(self) -> Usage | None:
        return self._streamed.usage()

    def service_tier(self) -> str | None:
        return self._streamed.service_tier()

    @property
    def response(self) -> dict[str, Any] | None:
        """What comes of it, if that is something to be kept."""
        return getattr(self._streamed, "response", None)

    def failure(self, error: GatewayError) -> bytes:
        return self._streamed.failure(error) if isinstance(self._streamed, TellsFailure) else b""


def _events_of(body: bytes) -> bytes:
    """Raises BrokeOff: it is no JSON object."""
    try:
        said = decoded(body, _document)
    except (ValueError, RecursionError) as error:
        raise BrokeOff("the provider's answer is not a chat completion") from error
    choices = said.get("choices")
    if isinstance(choices, list):
        said["choices"] = [_chunk(choice) if isinstance(choice, dict) else choice for choice in choices]
    return b"data: %b\n\ndata: [DONE]\n\n" % _encode(said)


def _chunk(choice: dict[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in choice.items() if name != "message"}
    message = choice.get("message")
    if isinstance(message, dict):
        calls = message.get("tool_calls")
        if isinstance(calls, list):
            calls = [{**call, "index": place} for place, call in enumerate(calls) if isinstance(call, dict)]
            message = {**message, "tool_calls": calls}
        said["delta"] = message
    return said
