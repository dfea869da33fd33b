"""OpenAI's plain JSON APIs: chat completions, completions, embeddings.

Source: platform.openai.com/docs/api-reference, read 2026-11.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.contract import Ask, Reading
from gateway.errors import BadRequest, GatewayError
from gateway.logs import redact_text
from gateway.wire.openai import BodyReading, StreamReading

BYTES_PER_TOKEN = 4
FILE_TOKENS = 1000
SMALLEST_FILE = 1024
_FILE = re.compile(rb"[A-Za-z0-9+/=_-]{1000,}")
"""Base64, as pictures and recordings are sent; words are not that long."""
_text = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool | None)
_count = msgspec.json.Decoder(int | None)


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


_stream_options = msgspec.json.Decoder(StreamOptions | None)


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

    def reading(self, *, streamed: bool) -> Reading:
        return StreamReading() if streamed else BodyReading()

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
