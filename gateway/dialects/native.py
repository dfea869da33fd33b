"""The vendors' own APIs, for the vendors' own SDKs. What is not known here is not passed on.

Source: as in `gateway.wire.native`; errors: cloud.google.com/apis/design/errors, platform.claude.com/docs/en/api/
errors, smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html; read 2026-11.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from gateway.contract import Ask, Call, Head, JsonBody, Reading, Request
from gateway.contract.request import Body
from gateway.contract.usage import Usage
from gateway.dialects.fields import MAX_COUNT, MAX_MODEL_CHARS
from gateway.dialects.gemini import as_google
from gateway.dialects.images import made
from gateway.dialects.openai import BYTES_PER_TOKEN, FILE_TOKENS, estimated_tokens
from gateway.errors import BadRequest, GatewayError, NotServed
from gateway.logs import redact_text
from gateway.wire.native import ANTHROPIC, BEDROCK, GEMINI, INVOKE, PREDICT, ROUTES, SAGEMAKER, path_in
from gateway.wire.plain import PlainReading

_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_EXCEPTIONS: Mapping[int, str] = {
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
MAX_PICTURES = 1000
USUAL_PICTURES = 4
"""Of `predict`, where the caller names no number. Source: docs.cloud.google.com/vertex-ai/generative-ai/docs/model-
reference/imagen-api, read 2026-11."""
_text = msgspec.json.Decoder(str)

T = TypeVar("T", bound=msgspec.Struct)


class GeminiConfig(msgspec.Struct, rename="camel"):
    max_output_tokens: int | None = None
    candidate_count: int | None = None


class BedrockConfig(msgspec.Struct, rename="camel"):
    max_tokens: int | None = None


class Instance(msgspec.Struct, rename="camel"):
    """What `predict` is to make something of; it has a prompt where that is a picture."""

    prompt: msgspec.Raw = msgspec.Raw()
    reference_images: list[msgspec.Raw] = []


class Parameters(msgspec.Struct, rename="camel"):
    sample_count: int | None = None


class Prediction(msgspec.Struct):
    instances: list[Instance] = []
    parameters: Parameters | None = None

    @property
    def expected(self) -> tuple[Usage, ...]:
        """In tokens, and in pictures; empty: none are made."""
        prompts = [len(memoryview(instance.prompt)) for instance in self.instances]
        if not any(prompts):
            return ()
        given = self.parameters.sample_count if self.parameters is not None else None
        each = max(1, min(USUAL_PICTURES if given is None else given, MAX_PICTURES))
        tokens, pictures = made(sum(map(bool, prompts)) * each, None, None)
        by_token = Usage(
            input=sum(prompts) // BYTES_PER_TOKEN + 1,
            image_input=sum(len(instance.reference_images) for instance in self.instances) * FILE_TOKENS,
            image_output=tokens,
        )
        return by_token, pictures


class PictureConfig(msgspec.Struct, rename="camel"):
    """Of Amazon's models, which make one standard picture of 1024x1024 unless they are told otherwise. Source:
    docs.aws.amazon.com/nova/latest/userguide/image-gen-req-resp-structure.html, read 2026-11."""

    number_of_images: int | None = None
    width: int = 1024
    height: int = 1024
    quality: str = "standard"

    @property
    def expected(self) -> tuple[Usage, ...]:
        count = max(1, min(self.number_of_images or 1, MAX_PICTURES))
        tokens, pictures = made(count, f"{self.width}x{self.height}", self.quality)
        return Usage(image_output=tokens), pictures


class Invocation(msgspec.Struct, rename="camel"):
    """Of a model of Bedrock in its own format."""

    image_generation_config: PictureConfig | None = None


class Limits(msgspec.Struct, rename="camel"):
    """What of a body says how long an answer may be."""

    max_tokens: int | None = msgspec.field(name="max_tokens", default=None)
    generation_config: GeminiConfig | None = None
    inference_config: BedrockConfig | None = None

    @property
    def output(self) -> int | None:
        gemini, bedrock = self.generation_config, self.inference_config
        given = (self.max_tokens, gemini and gemini.max_output_tokens, bedrock and bedrock.max_tokens)
        return max((min(count, MAX_COUNT) for count in given if count and count > 0), default=None)

    @property
    def choices(self) -> int:
        config = self.generation_config
        return max(1, min((config and config.candidate_count) or 1, MAX_COUNT))


class NativeDialect:
    """One of the vendors' own APIs. Bytes go on as they are, both ways; so an answer is never taken for a stream into
    which the gateway could write.

    Args:
        headers: of the caller, that go on.
        prompt: the field with most of the input.
        worded: an error in the vendor's words.
    """

    accepts: type[Body] | None = JsonBody
    max_body_bytes: int | None = None
    model_type = ""

    def __init__(
        self, name: str, *, headers: Collection[str], prompt: str, worded: Callable[[GatewayError, str], Any]
    ) -> None:
        self.name = name
        self.routes: Sequence[tuple[str, str]] = [
            (method, ROUTES[name] + "/{rest:path}") for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        ]
        self.headers = frozenset(headers)
        self._prompt = prompt
        self._worded = worded

    def parse(self, request: Request) -> Ask:
        """Raises NotServed, besides."""
        path, body = path_in(self.name, request), request.body
        if path is None or not isinstance(body, JsonBody):
            raise NotServed(
                "this call of the vendor's own API is not passed on: only those are that ask one model for an answer, "
                "or count tokens for it"
            )
        model = path.model
        if not model:
            if "model" not in body.fields:
                raise BadRequest('the field "model" is missing', param="model")
            model = _decoded(body.fields["model"], _text)
        if path.account:
            model = f"{path.account}/{model.removeprefix(f'{path.account}/')}"
        if len(model) > MAX_MODEL_CHARS:
            raise BadRequest(f"the name of a model has at most {MAX_MODEL_CHARS} characters", param="model")
        limits = _limits(body) if not path.is_free else Limits()
        tokens = estimated_tokens(body.fields.get(self._prompt), body.data) if not path.is_free else 0
        pictures = _pictures(body, path.after)
        return Ask(
            model=model,
            max_output_tokens=limits.output,
            input_tokens=pictures[0].input_tokens if pictures else tokens,
            choices=limits.choices,
            has_output=not path.is_free and path.after != PREDICT and not pictures and "mbed" not in path.after,
            expected=pictures,
        )

    def reading(self, call: Call, head: Head) -> Reading:
        return PlainReading()

    def error(self, error: GatewayError) -> bytes:
        return msgspec.json.encode(self._worded(error, redact_text(error.message)))

    def stream_error(self, error: GatewayError) -> bytes:
        return b""


def _limits(body: JsonBody) -> Limits:
    """What the vendor will refuse limits nothing here."""
    try:
        return msgspec.json.decode(
            msgspec.json.encode({name: body.fields[name] for name in _LIMITS if name in body.fields}), type=Limits
        )
    except (msgspec.DecodeError, RecursionError):
        return Limits()


def _pictures(body: JsonBody, after: str) -> tuple[Usage, ...]:
    """What they will use; empty: it asks for none."""
    if after == PREDICT:
        return _known(body, Prediction).expected
    if after == INVOKE and _CONFIG in body.fields:
        config = _known(body, Invocation).image_generation_config
        return (config or PictureConfig()).expected
    return ()


def _known(body: JsonBody, kind: type[T]) -> T:
    """The fields of a body that are known; what the vendor will refuse says nothing here."""
    names = msgspec.structs.fields(kind)
    told = {each.encode_name: body.fields[each.encode_name] for each in names if each.encode_name in body.fields}
    try:
        return msgspec.json.decode(msgspec.json.encode(told), type=kind)
    except (msgspec.DecodeError, RecursionError):
        return kind()


def _decoded(raw: msgspec.Raw, decoder: "msgspec.json.Decoder[Any]") -> Any:
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise BadRequest(f'the field "model" is not valid: {error}', param="model") from error


_CONFIG = "imageGenerationConfig"
_LIMITS = ("max_tokens", "generationConfig", "inferenceConfig")


def _as_anthropic(error: GatewayError, message: str) -> Any:
    return {"type": "error", "error": {"type": _TYPES.get(error.status, "api_error"), "message": message}}


def _as_aws(error: GatewayError, message: str) -> Any:
    usual = "InternalServerException" if error.status >= 500 else "ValidationException"
    told = error.code if error.code is not None and error.code.endswith(("Exception", "ModelError")) else None
    return {"__type": told or _EXCEPTIONS.get(error.status, usual), "message": message}


NATIVE = (
    NativeDialect(GEMINI, headers=("x-goog-api-client",), prompt="contents", worded=as_google),
    NativeDialect(ANTHROPIC, headers=("anthropic-beta", "anthropic-version"), prompt="messages", worded=_as_anthropic),
    NativeDialect(
        BEDROCK,
        headers=(
            "accept",
            "x-amzn-bedrock-accept",
            "x-amzn-bedrock-guardrailidentifier",
            "x-amzn-bedrock-guardrailversion",
            "x-amzn-bedrock-performanceconfig-latency",
            "x-amzn-bedrock-service-tier",
            "x-amzn-bedrock-trace",
        ),
        prompt="messages",
        worded=_as_aws,
    ),
    # Not those that choose another model, container or variant than the one that the caller may use.
    NativeDialect(
        SAGEMAKER,
        headers=("accept", "x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-inference-id"),
        prompt="messages",
        worded=_as_aws,
    ),
)
