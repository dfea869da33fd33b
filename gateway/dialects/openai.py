"""OpenAI's plain JSON APIs: chat completions, completions, embeddings.

Source: platform.openai.com/docs/api-reference, read 2026-11.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.contract import Ask, Meter
from gateway.errors import BadRequest, BrokeOff, GatewayError, Refused, UpstreamError
from gateway.logs import redact_text, redacted
from gateway.usage import OpenAIUsage, Usage
from gateway.wire import sse
from gateway.wire.openai import CONTENT, BodyMeter, StreamMeter, has_content

BYTES_PER_TOKEN = 4
FILE_TOKENS = 1000
SMALLEST_FILE = 1024
_FILE = re.compile(rb"[A-Za-z0-9+/=_-]{1000,}")
"""Base64, as pictures and recordings are sent; words are not that long."""
_SERVICE_TIER = re.compile(rb'"service_tier"\s*:\s*"(\w+)"')
_text = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool | None)
_count = msgspec.json.Decoder(int | None)


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class Failure(msgspec.Struct):
    error: Any = None


class Reply(msgspec.Struct, gc=False):
    """What all replies, and all events of a stream, may hold."""

    error: Any = None
    usage: OpenAIUsage | None = None


_stream_options = msgspec.json.Decoder(StreamOptions | None)
_reply = msgspec.json.Decoder(Reply)
_failure = msgspec.json.Decoder(Failure)


class OpenAIDialect:
    """A `Dialect`; the three APIs differ only in the names of a few fields.

    Args:
        prompt: the field whose size says how long the input is.
        limits: fields that cap the output, the one that wins first.
    """

    def __init__(self, name: str, path: str, model_type: str, *, prompt: str, limits: tuple[str, ...] = ()) -> None:
        self.name = name
        self.path = path
        self.model_type = model_type
        self._prompt = prompt
        self._limits = limits

    def parse(self, fields: Mapping[str, msgspec.Raw]) -> Ask:
        if "model" not in fields:
            raise BadRequest('the field "model" is missing; GET /models lists what you may use', param="model")
        stream = "stream" in fields and bool(_read(fields, "stream", _flag))
        options = _read(fields, "stream_options", _stream_options) if stream else None
        prompt = fields.get(self._prompt)
        return Ask(
            model=_read(fields, "model", _text),
            stream=stream,
            wants_usage=bool(options and options.include_usage),
            max_output_tokens=self._max_output_tokens(fields),
            input_tokens=estimated_tokens(prompt) if prompt is not None else 0,
            choices=max(1, _read(fields, "n", _count) or 1) if "n" in fields else 1,
            has_output=bool(self._limits),
        )

    def _max_output_tokens(self, fields: Mapping[str, msgspec.Raw]) -> int | None:
        for name in self._limits:
            limit: int | None = _read(fields, name, _count) if name in fields else None
            if limit is not None:
                return limit
        return None

    def meter(self, *, streamed: bool) -> Meter:
        return StreamMeter() if streamed else BodyMeter()

    def read(self, body: bytes) -> Usage | None:
        try:
            reply = _decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BrokeOff("the provider's answer is not a JSON object") from error
        if reply.error:
            raise self._told(reply.error, body)
        return Usage.from_openai(reply.usage) if reply.usage is not None else None

    def service_tier(self, tail: bytes) -> str | None:
        found = _SERVICE_TIER.findall(tail)
        return found[-1].decode() if found else None

    def has_begun(self, stream: bytes, *, is_all: bool) -> bool:
        if b'"error"' not in stream and CONTENT.search(stream):  # nearly always, and then it need not be decoded
            return True
        splitter = sse.EventSplitter()
        events = splitter.feed(stream)
        if is_all:
            events.append(splitter.end())
        for event in events:
            data = sse.data_of(event)
            if data and data != sse.DONE:
                self.read(data)
                if has_content(data):
                    return True
        return False

    def reply_error(self, data: bytes) -> UpstreamError | None:
        try:
            self.read(data)
        except UpstreamError as error:
            return error
        return None

    def _told(self, error: Any, body: bytes) -> Refused:
        safe = redacted(error)
        if safe != error:
            body = msgspec.json.encode({"error": safe})
        details = safe if isinstance(safe, dict) else {"message": safe}
        message = str(details.get("message") or "the provider answered with an error")
        return Refused(message, status=_status_of(details), body=body)

    def error(self, error: GatewayError) -> bytes:
        """OpenAI's shape, with `status` and `message` beside it for clients of the TrueFoundry gateway."""
        details = _details(error)
        return msgspec.json.encode({"error": details, "status": "failure", "message": details["message"]})

    def stream_error(self, error: GatewayError) -> bytes:
        return b"data: %b\n\n" % msgspec.json.encode({"error": _details(error)})


def estimated_tokens(prompt: msgspec.Raw) -> int:
    """From its size in bytes; each file inside it counts as much as a picture usually does."""
    size = len(memoryview(prompt))
    if size < SMALLEST_FILE:
        return size // BYTES_PER_TOKEN
    files = [len(found.group()) for found in _FILE.finditer(prompt)]
    return (size - sum(files)) // BYTES_PER_TOKEN + FILE_TOKENS * len(files)


def _decode(body: bytes) -> Reply:
    try:
        return _reply.decode(body)
    except msgspec.ValidationError:
        return Reply(_failure.decode(body).error)  # usage of another shape does not make the answer a broken one


def _status_of(details: Mapping[str, Any]) -> int:
    """That of the error inside a 200, where it has one."""
    stated = (details.get("status"), details.get("code"))
    return next((status for status in stated if isinstance(status, int) and 400 <= status <= 599), 502)


def _details(error: GatewayError) -> dict[str, str | None]:
    # A message may name what the caller asked for, and people paste keys in the wrong place.
    return {"message": redact_text(error.message), "type": error.type, "param": error.param, "code": error.code}


def _read(fields: Mapping[str, msgspec.Raw], name: str, decoder: "msgspec.json.Decoder[Any]") -> Any:
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise BadRequest(f'the field "{name}" is not valid: {error}', param=name) from error


CHAT = OpenAIDialect(
    "chat", "/chat/completions", "chat", prompt="messages", limits=("max_completion_tokens", "max_tokens")
)
COMPLETIONS = OpenAIDialect("completions", "/completions", "completion", prompt="prompt", limits=("max_tokens",))
EMBEDDINGS = OpenAIDialect("embeddings", "/embeddings", "embedding", prompt="input")
