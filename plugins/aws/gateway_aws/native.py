"""The runtimes of Bedrock and SageMaker as AWS's own SDKs speak them: passed on to the byte, and signed anew with the
account's credentials.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html and
API_runtime_InvokeModelWithResponseStream.html, as for the others; read 2026-11.
"""

from base64 import b64decode

import msgspec

from gateway.contract import Call, Endpoint, Head, Target, UpstreamRequest
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff
from gateway.wire.address import path_of
from gateway.wire.native import body_of, native_path, with_query
from gateway.wire.openai import BEGINNING, LONGEST_TAIL
from gateway.wire.openai_usage import find_usage
from gateway.wire.passing import PassingReading
from gateway.wire.pictures import pictured
from gateway_aws.frames import CONTENT_TYPE, Frames, opened
from gateway_aws.reply import Struct, TokenUsage

COUNTS = ("x-amzn-bedrock-input-token-count", "x-amzn-bedrock-output-token-count")
"""Headers of an answer of InvokeModel, whatever the model's own format is."""


def request(call: Call, target: Target, endpoint: Endpoint) -> UpstreamRequest:
    """
    Args:
        endpoint: of InvokeModel, or of InvokeEndpoint: its path ends with what is asked of a model.
    """
    path = path_of(endpoint.url).rpartition("/")[0] + native_path(call).after
    try:
        endpoint = endpoint.at(with_query(path, call.request)).with_headers(call.request.headers)
    except ValueError as error:
        raise BadRequest(f"this cannot be passed on: {error}") from error
    return UpstreamRequest(endpoint, body_of(call))


class Metrics(Struct):
    input_token_count: int = 0
    output_token_count: int = 0


class Document(msgspec.Struct):
    """An answer of Converse, the last event of its stream, and the last piece of any other stream."""

    usage: TokenUsage | None = None
    metrics: Metrics | None = msgspec.field(name="amazon-bedrock-invocationMetrics", default=None)


class Pictures(msgspec.Struct):
    """An answer of Amazon's image models, and of Stability's."""

    images: list[msgspec.Raw] | None = None


class Piece(msgspec.Struct):
    bytes: str = ""


_document = msgspec.json.Decoder(Document)
_pictures = msgspec.json.Decoder(Pictures)
_piece = msgspec.json.Decoder(Piece)


class NativeReading(PassingReading):
    def __init__(self, head: Head, *, is_free: bool) -> None:
        super().__init__(head, is_free=is_free)
        counts = [head.headers.get(name, "") for name in COUNTS]
        self._is_told = all(each.isascii() and each.isdecimal() and len(each) < 10 for each in counts)
        if self._is_told and not is_free:
            self.told_usage = Usage(input=int(counts[0]), output=int(counts[1]))
        is_frames = head.headers.get("content-type", "").startswith(CONTENT_TYPE)
        self._frames = Frames() if is_frames else None

    def keep(self, data: bytes) -> None:
        if self._frames is None:
            super().keep(data)
            return
        try:
            for frame in self._frames.feed(data):
                self.see(opened(frame).payload)
        except BrokeOff:  # which is for the client to judge
            self._size = 1 << 30

    def look(self, data: bytes) -> None:
        if self._frames is not None and data.startswith(b'{"bytes"'):
            data = b64decode(_piece.decode(data).bytes)
        if self._frames is None and b'"images"' in data[:BEGINNING]:
            images = len(_pictures.decode(data).images or ())
            if images:
                self.told_usage = pictured(self.told_usage, images)
                return
        if self._is_told or not (b'"usage"' in data or b"invocationMetrics" in data):
            return
        said = _document.decode(data)
        if said.metrics is not None:
            counts = said.metrics
            self.told_usage = Usage(input=max(0, counts.input_token_count), output=max(0, counts.output_token_count))
        elif said.usage is not None and (said.usage.input_tokens or said.usage.output_tokens):
            self.told_usage = said.usage.usage


class ContainerReading(PassingReading):
    """What a container on SageMaker says, framed or not: usage is looked for in OpenAI's words, at the end of it."""

    def __init__(self, head: Head) -> None:
        super().__init__(head)
        is_frames = head.headers.get("content-type", "").startswith(CONTENT_TYPE)
        self._frames = Frames() if is_frames else None
        self._tail = b""

    def keep(self, data: bytes) -> None:
        if self._frames is not None:
            try:
                data = b"".join([opened(frame).payload for frame in self._frames.feed(data)])
            except BrokeOff:  # which is for the client to judge
                self._size = 1 << 30
                return
        self._tail = (self._tail + data)[-LONGEST_TAIL:]

    def end(self) -> bytes:
        self.told_usage = find_usage(self._tail)
        return b""
