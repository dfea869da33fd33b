"""OpenAI's plain JSON APIs: chat completions, completions, embeddings.

Source: platform.openai.com/docs/api-reference, read 2026-11.
"""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.contract import Ask, Call, Head, JsonBody, Reading, Request
from gateway.contract.request import Body
from gateway.dialects.errors import OpenAIErrors
from gateway.dialects.fields import FLAG, largest, model_of, read
from gateway.errors import BadRequest
from gateway.wire.attachments import SMALLEST, attachments
from gateway.wire.openai import BodyReading, StreamReading

BYTES_PER_TOKEN = 4
FILE_TOKENS = 1000
MAX_SETTINGS_BYTES = 256
"""Beside the prompt: names and numbers that are no input."""
MAX_OPTIONS_BYTES = 4096
MAX_PROMPTS_BYTES = 64 * 1024
_prompts = msgspec.json.Decoder(list[msgspec.Raw])


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


_stream_options = msgspec.json.Decoder(StreamOptions | None)


class OpenAIDialect(OpenAIErrors):
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
        model = model_of(fields)
        stream = "stream" in fields and bool(read(fields, "stream", FLAG))
        options = _options(fields) if stream and "stream_options" in fields else None
        choices = largest(fields, self._multiples) or 1
        prompt = fields.get(self._prompt)
        if prompt is not None and self._answers_each:
            choices *= how_many(prompt)
        return Ask(
            model=model,
            stream=stream,
            wants_usage=bool(options and options.include_usage),
            max_output_tokens=largest(fields, self._limits),
            input_tokens=estimated_tokens(prompt, body.data),
            choices=choices,
            has_output=bool(self._limits),
        )

    def reading(self, call: Call, head: Head) -> Reading:
        return StreamReading() if head.is_stream else BodyReading()


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


def _options(fields: Mapping[str, msgspec.Raw]) -> StreamOptions | None:
    if len(memoryview(fields["stream_options"])) > MAX_OPTIONS_BYTES:  # who writes `include_usage` into it reads it all
        raise BadRequest(f'the field "stream_options" is over {MAX_OPTIONS_BYTES:,} bytes', param="stream_options")
    options: StreamOptions | None = read(fields, "stream_options", _stream_options)
    return options


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
