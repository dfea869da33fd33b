"""OpenAI's plain JSON APIs: chat completions, completions, embeddings.

Source: platform.openai.com/docs/api-reference, read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.contract import Ask, Meter
from gateway.errors import BadRequest, BrokeOff, GatewayError, Refused, UpstreamError
from gateway.wire.openai import BodyMeter, StreamMeter

BYTES_PER_TOKEN = 4
_text = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool | None)
_count = msgspec.json.Decoder(int | None)


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class ErrorReply(msgspec.Struct):
    error: Any = None


_stream_options = msgspec.json.Decoder(StreamOptions | None)
_error_reply = msgspec.json.Decoder(ErrorReply)


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
        stream = bool(_read(fields, "stream", _flag))
        options = _read(fields, "stream_options", _stream_options) if stream else None
        prompt = fields.get(self._prompt)
        return Ask(
            model=_read(fields, "model", _text),
            stream=stream,
            wants_usage=bool(options and options.include_usage),
            max_output_tokens=self._max_output_tokens(fields),
            input_tokens=len(memoryview(prompt)) // BYTES_PER_TOKEN if prompt is not None else 0,
        )

    def _max_output_tokens(self, fields: Mapping[str, msgspec.Raw]) -> int | None:
        for name in self._limits:
            limit: int | None = _read(fields, name, _count)
            if limit is not None:
                return limit
        return None

    def meter(self, *, streamed: bool) -> Meter:
        return StreamMeter() if streamed else BodyMeter()

    def reply_error(self, body: bytes) -> UpstreamError | None:
        try:
            error = _error_reply.decode(body).error
        except (msgspec.DecodeError, RecursionError):
            return BrokeOff("the provider's answer is not a JSON object")
        if not error:
            return None
        details = error if isinstance(error, dict) else {"message": error}
        status = details.get("status") or details.get("code")
        if not isinstance(status, int) or not 400 <= status <= 599:
            status = 502
        return Refused(str(details.get("message") or "the provider answered with an error"), status=status, body=body)

    def error(self, error: GatewayError) -> bytes:
        """OpenAI's shape, with `status` and `message` beside it for clients of the TrueFoundry gateway."""
        return msgspec.json.encode({"error": _details(error), "status": "failure", "message": error.message})

    def stream_error(self, error: GatewayError) -> bytes:
        return b"data: %b\n\n" % msgspec.json.encode({"error": _details(error)})


def _details(error: GatewayError) -> dict[str, str | None]:
    return {"message": error.message, "type": error.type, "param": error.param, "code": error.code}


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
