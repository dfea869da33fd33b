"""OpenAI's plain JSON APIs: chat completions, completions, embeddings.

Source: platform.openai.com/docs/api-reference, read 2026-11.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import msgspec

from gateway.contract import Ask, Call, Head, JsonBody, Reading, Request
from gateway.contract.request import Body
from gateway.errors import BadRequest, GatewayError
from gateway.logs import redact_text
from gateway.wire.attachments import SMALLEST, attachments
from gateway.wire.openai import BodyReading, StreamReading

BYTES_PER_TOKEN = 4
FILE_TOKENS = 1000
MAX_SETTINGS_BYTES = 256
"""Beside the prompt: names and numbers that are no input."""
MAX_MODEL_CHARS = 512
MAX_OPTIONS_BYTES = 4096
MAX_COUNT = 10**9
MAX_PROMPTS_BYTES = 64 * 1024
_text = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool | None)
_count = msgspec.json.Decoder(int | float | None, strict=False)
"""Of a number in any form that some provider takes: 5, 5.0 and "5"."""
_prompts = msgspec.json.Decoder(list[msgspec.Raw])


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


_stream_options = msgspec.json.Decoder(StreamOptions | None)


class OpenAIDialect:
    """A `Dialect`; the three APIs differ only in the names of a few fields.

    Args:
        prompt: the field with most of the input.
        limits: fields that cap the output.
        multiples: fields that ask for more than one answer.
        answers_each: whether `prompt` may hold several, each of which is answered.
    """

    accepts: type[Body] | None = JsonBody
    max_body_bytes: int | None = None

    def __init__(
        self,
        name: str,
        path: str,
        model_type: str,
        *,
        prompt: str,
        limits: tuple[str, ...] = (),
        multiples: tuple[str, ...] = (),
        answers_each: bool = False,
    ) -> None:
        self.name = name
        self.routes: Sequence[tuple[str, str]] = (("POST", path),)
        self.model_type = model_type
        self._limits = limits
        self._multiples = multiples
        self._prompt = prompt
        self._answers_each = answers_each

    def parse(self, request: Request) -> Ask:
        body = request.body
        assert isinstance(body, JsonBody)
        fields = body.fields
        if "model" not in fields:
            raise BadRequest('the field "model" is missing; GET /models lists what you may use', param="model")
        model: str = _read(fields, "model", _text)
        if len(model) > MAX_MODEL_CHARS:
            raise BadRequest(f"the name of a model has at most {MAX_MODEL_CHARS} characters", param="model")
        stream = "stream" in fields and bool(_read(fields, "stream", _flag))
        options = _options(fields) if stream and "stream_options" in fields else None
        choices = _largest(fields, self._multiples) or 1
        prompt = fields.get(self._prompt)
        if prompt is not None and self._answers_each:
            choices *= how_many(prompt)
        return Ask(
            model=model,
            stream=stream,
            wants_usage=bool(options and options.include_usage),
            max_output_tokens=_largest(fields, self._limits),
            input_tokens=estimated_tokens(prompt, body.data),
            choices=choices,
            has_output=bool(self._limits),
        )

    def reading(self, call: Call, head: Head) -> Reading:
        return StreamReading() if head.is_stream else BodyReading()

    def error(self, error: GatewayError) -> bytes:
        """OpenAI's shape, with what clients of the TrueFoundry gateway and its SDK read beside it."""
        details = _details(error)
        more = {"status": "failure", "statusCode": error.status, "message": details["message"]}
        return msgspec.json.encode({"error": details, **more})

    def stream_error(self, error: GatewayError) -> bytes:
        return b"data: %b\n\n" % msgspec.json.encode({"error": _details(error)})


def estimated_tokens(prompt: msgspec.Raw | None, body: bytes) -> int:
    """From its size in bytes, and that of all that is sent with it: the model reads tools and schemas as well.

    Each file inside it counts as much as a picture usually does.
    """
    size = len(memoryview(prompt)) if prompt is not None else 0
    if len(body) - size > MAX_SETTINGS_BYTES:
        size = len(body)
    if size < SMALLEST:
        return size // BYTES_PER_TOKEN
    files = [end - begin for begin, end in attachments(body)]
    return (size - sum(files)) // BYTES_PER_TOKEN + FILE_TOKENS * len(files)


def how_many(prompts: msgspec.Raw) -> int:
    """A text or a list of token ids is one; a list of either has several. Of a long one: the most that it may have."""
    data = bytes(prompts)
    if not data.startswith(b"["):
        return 1
    if len(data) > MAX_PROMPTS_BYTES:
        return max(1, data.count(b'"') // 2, data.count(b"[") - 1)
    try:
        return max(1, sum(bytes(each)[:1] in (b'"', b"[") for each in _prompts.decode(data)))
    except RecursionError as error:  # at the very depth that could be read before
        raise BadRequest("the request body is nested too deeply") from error


def _details(error: GatewayError) -> dict[str, str | None]:
    # A message may name what the caller asked for, and people paste keys in the wrong place.
    return {"message": redact_text(error.message), "type": error.type, "param": error.param, "code": error.code}


def _read(fields: Mapping[str, msgspec.Raw], name: str, decoder: "msgspec.json.Decoder[Any]") -> Any:
    try:
        return decoder.decode(fields[name])
    except msgspec.DecodeError as error:
        raise BadRequest(f'the field "{name}" is not valid: {error}', param=name) from error


def _options(fields: Mapping[str, msgspec.Raw]) -> StreamOptions | None:
    if len(memoryview(fields["stream_options"])) > MAX_OPTIONS_BYTES:  # who writes `include_usage` into it reads it all
        raise BadRequest(f'the field "stream_options" is over {MAX_OPTIONS_BYTES:,} bytes', param="stream_options")
    options: StreamOptions | None = _read(fields, "stream_options", _stream_options)
    return options


def _largest(fields: Mapping[str, msgspec.Raw], names: tuple[str, ...]) -> int | None:
    """Of those that are given: which of them a provider believes is its own affair. Below 1 they say nothing."""
    largest = None
    for name in names:
        if name in fields:
            count = _read(fields, name, _count)
            if count is not None and count >= 1 and (largest is None or count > largest):
                largest = ceil(min(count, MAX_COUNT))
    return largest


CHAT = OpenAIDialect(
    "chat",
    "/chat/completions",
    "chat",
    prompt="messages",
    limits=("max_completion_tokens", "max_tokens"),
    multiples=("n",),
)
COMPLETIONS = OpenAIDialect(
    "completions",
    "/completions",
    "completion",
    prompt="prompt",
    limits=("max_tokens",),
    multiples=("n", "best_of"),
    answers_each=True,
)
EMBEDDINGS = OpenAIDialect("embeddings", "/embeddings", "embedding", prompt="input")
