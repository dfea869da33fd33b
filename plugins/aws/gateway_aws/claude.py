"""Claude on Bedrock for callers of Anthropic's own API: by InvokeModel, which takes the very same bodies.

So nothing has to be translated there and back: thinking, citations, tools of Anthropic's own and whatever comes next go
on as they are. Who knows which fields are not Bedrock's is the plugin for Anthropic; without it Converse is spoken.

Source: docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html;
platform.claude.com/docs/en/build-with-claude/claude-on-amazon-bedrock-legacy; lib/bedrock/_client.py and
_stream_decoder.py of anthropic 2.14; read 2026-11.
"""

from base64 import b64decode
from collections.abc import Callable
from typing import Any

import msgspec

from gateway.contract import Call, Head, Reading, Translator
from gateway.errors import BrokeOff
from gateway_aws.framed import FramedReading
from gateway_aws.frames import CONTENT_TYPE

DIALECT = "messages"
FORMAT = "anthropic-bedrock"


def verbatim_for(call: Call, model: str, translators: Callable[[str, str], Translator | None]) -> Translator | None:
    """None: it is another API, another model, or nobody knows how to put it."""
    if call.dialect.name != DIALECT or "claude" not in model:
        return None
    return translators(DIALECT, FORMAT)


def reading_of(call: Call, head: Head) -> Reading | None:
    """None: the reply is as the caller's API has it."""
    if not head.headers.get("content-type", "").startswith(CONTENT_TYPE):
        return None
    inside = Head(head.status, {"content-type": "text/event-stream"}, is_stream=True)
    return InvokedReading(call.dialect.reading(call, inside))


class _Piece(msgspec.Struct):
    bytes: str = ""


class _Event(msgspec.Struct):
    type: Any = None


_piece = msgspec.json.Decoder(_Piece)
_event = msgspec.json.Decoder(_Event)


class InvokedReading(FramedReading):
    """A stream of InvokeModelWithResponseStream: each frame has one event, as base64."""

    def unwrapped(self, payload: bytes) -> bytes:
        try:
            data = b64decode(_piece.decode(payload).bytes)
            kind = _event.decode(data).type
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise BrokeOff("the provider sent something that is no event of Anthropic's API") from error
        if b"\n" in data or b"\r" in data:  # between values; inside of texts they are escaped
            data = data.replace(b"\r", b" ").replace(b"\n", b" ")
        name = kind.encode() if isinstance(kind, str) and kind.isidentifier() else b"message"
        return b"event: %b\ndata: %b\n\n" % (name, data)
