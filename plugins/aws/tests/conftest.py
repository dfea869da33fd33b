"""Calls as they come in, and AWS's frames."""

import re
import struct
import zlib
from base64 import b64decode

import msgspec
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from gateway.contract import Call, FormBody, FormPart, Head, JsonBody, Request
from gateway.dialects import CHAT, EMBEDDINGS, IMAGE_EDITS, IMAGE_VARIATIONS, IMAGES, MESSAGES, RERANK

HI = [{"role": "user", "content": "hi"}]


def call_of(dialect, fields, headers=None):
    body = JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})
    request = Request(body=body, headers=headers or {})
    return Call(dialect, dialect.parse(request), request)


@pytest.fixture
def chat():
    """`chat(temperature=1)`: a call with a model and a message, unless they are given."""
    return lambda **fields: call_of(CHAT, {"model": "bedrock/m", "messages": HI} | fields)


@pytest.fixture
def embed():
    return lambda **fields: call_of(EMBEDDINGS, {"model": "bedrock/e"} | fields)


@pytest.fixture
def rerank():
    return lambda **fields: call_of(RERANK, {"model": "bedrock/r", "query": "q", "documents": ["a", "b"]} | fields)


@pytest.fixture
def message():
    return lambda headers=None, **fields: call_of(
        MESSAGES, {"model": "bedrock/m", "max_tokens": 9, "messages": HI} | fields, headers
    )


@pytest.fixture
def picture():
    """`picture(n=2)`: a call for pictures of a prompt; with `files`, to edit or vary those."""

    def make(*, files=(), varies=False, **fields):
        fields = {"model": "bedrock/p", "prompt": "a cat"} | fields
        if not files:
            return call_of(IMAGES, fields)
        texts = [FormPart(name, str(value).encode()) for name, value in fields.items()]
        request = Request(body=FormBody((*texts, *files)))
        dialect = IMAGE_VARIATIONS if varies else IMAGE_EDITS
        return Call(dialect, dialect.parse(request), request)

    return make


@pytest.fixture
def frame():
    """`frame("messageStop", {"stopReason": "end_turn"})`: a frame as AWS writes it."""

    def make(name, payload=b"", kind="event"):
        data = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
        headers = b"".join(
            b"%c%b\x07%b%b" % (len(key), key, struct.pack(">H", len(value)), value)
            for key, value in [
                (b":event-type" if kind == "event" else b":exception-type", name.encode()),
                (b":content-type", b"application/json"),
                (b":message-type", kind.encode()),
            ]
        )
        head = struct.pack(">II", 16 + len(headers) + len(data), len(headers))
        head += struct.pack(">I", zlib.crc32(head))
        whole = head + headers + data
        return whole + struct.pack(">I", zlib.crc32(whole))

    return make


@pytest.fixture
def streamed():
    """Head of a reply in frames."""
    return Head(200, {"content-type": "application/vnd.amazon.eventstream", "x-amzn-requestid": "r-1"})


@pytest.fixture
def whole():
    return Head(200, {"content-type": "application/json", "x-amzn-requestid": "r-1"})


class Referee:
    """Bedrock's own description of its bodies, as botocore has it."""

    def __init__(self):
        loaded = Loader().load_service_model("bedrock-runtime", "service-2")
        self.service = ServiceModel(loaded, "bedrock-runtime")

    def faults(self, body, operation="Converse"):
        """What Bedrock would refuse in a body, as text; empty: nothing."""
        shape = self.service.operation_model(operation).input_shape
        params = {"modelId": "m", **self._typed(body, shape)}
        return ParamValidator().validate(params, shape).generate_report()

    def _typed(self, value, shape):
        """As botocore wants it: bytes for base64. Checks enumerations and patterns, which botocore does not."""
        if shape.type_name == "structure" and not shape.is_document_type:
            unknown = value.keys() - shape.members.keys()
            assert not unknown, f"{shape.name} has no {unknown}"
            return {name: self._typed(inner, shape.members[name]) for name, inner in value.items()}
        if shape.type_name == "list":
            return [self._typed(inner, shape.member) for inner in value]
        if shape.type_name == "map":
            return {key: self._typed(inner, shape.value) for key, inner in value.items()}
        if shape.type_name == "blob":
            return b64decode(value, validate=True)
        if shape.type_name == "string":
            assert not shape.enum or value in shape.enum, f"{shape.name}: {value}"
            pattern = shape.metadata.get("pattern")
            assert not pattern or re.fullmatch(pattern, value), f"{shape.name}: {value}"
        return value


@pytest.fixture(scope="session")
def referee():
    return Referee()
