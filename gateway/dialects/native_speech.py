"""The APIs of vendors of speech, for their own SDKs. What is not known here is not passed on.

Source: as in `gateway.wire.native_speech`; errors: developers.deepgram.com/docs/errors, docs.cartesia.ai/use-the-api/
api-errors, help.elevenlabs.io "API - Error Code 400 or 401", the error types of smallestai 5.14; read 2026-11.
"""

from collections.abc import Collection, Sequence

import msgspec

from gateway.contract import Ask, Call, FormBody, Head, JsonBody, RawBody, Reading, Request
from gateway.contract.request import Body
from gateway.contract.usage import Usage
from gateway.dialects.fields import MAX_MODEL_CHARS, text_of
from gateway.dialects.forms import MAX_FORM_BYTES
from gateway.errors import BadRequest, GatewayError, NotServed
from gateway.logs import redact_text
from gateway.wire.native_speech import ROUTES, STT, TTS, Operation, is_set, path_in, values_in
from gateway.wire.plain import PlainReading
from gateway.wire.sound import duration_s


class NativeSpeech:
    """Bytes go on as they are, both ways; a form is written anew. So an answer is never taken for a stream into which
    the gateway could write."""

    accepts: type[Body] | None = RawBody
    sorts_bodies = True
    max_body_bytes: int | None = MAX_FORM_BYTES
    model_type = ""
    headers: Collection[str] = frozenset({"accept", "cartesia-version"})

    def __init__(self, name: str) -> None:
        self.name = name
        self.routes: Sequence[tuple[str, str]] = [
            (method, ROUTES[name] + "/{rest:path}") for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        ]

    def parse(self, request: Request) -> Ask:
        """Raises NotServed, besides."""
        path = path_in(self.name, request)
        if path is None:
            raise NotServed(
                "this call of the vendor's own API is not passed on: only those are that have one model speak, or "
                "write down what it hears"
            )
        operation = path.operation
        _refuse_elsewhere(request, operation)
        named = values_in(request, operation.model, operation.place)
        if not named or not named[0]:
            raise BadRequest(f'name a model: "{operation.model}" is missing in the {operation.place}', param="model")
        if len(named) > 1:
            raise BadRequest(f'"{operation.model}" was sent twice', param="model")
        if len(named[0]) > MAX_MODEL_CHARS:
            raise BadRequest(f"the name of a model has at most {MAX_MODEL_CHARS} characters", param="model")
        if operation.text and not isinstance(request.body, JsonBody):
            # Deepgram speaks plain text as well, whose characters nobody would have counted.
            raise BadRequest(f'what is to be said has to be the field "{operation.text}" of a JSON body')
        return Ask(
            f"{path.account}/{named[0].removeprefix(f'{path.account}/')}",
            has_output=False,
            expected=(_expected(request, operation),),
        )

    def reading(self, call: Call, head: Head) -> Reading:
        return PlainReading()

    def error(self, error: GatewayError) -> bytes:
        """In the words of all four at once: whose API it is, is not known here."""
        message = redact_text(error.message)
        code = error.code or error.type
        return msgspec.json.encode(
            {
                "detail": {"status": code, "message": message},
                "err_code": code,
                "err_msg": message,
                "error_code": code,
                "title": code,
                "message": message,
                "error": message,
                "request_id": error.request_id,
            }
        )

    def stream_error(self, error: GatewayError) -> bytes:
        return b""


def _refuse_elsewhere(request: Request, operation: Operation) -> None:
    name = operation.elsewhere
    if name and is_set(request, name):
        raise BadRequest(f'"{name}" is not passed on: wait for the answer here, where its cost is known', param=name)


def _expected(request: Request, operation: Operation) -> Usage:
    """Of a recording that the vendor fetches itself, nothing is known yet."""
    body = request.body
    if operation.text:
        text = text_of(body.fields, operation.text) if isinstance(body, JsonBody) else None
        return Usage(characters=len(text or ""))
    match body:
        case RawBody():
            return Usage(audio_seconds=duration_s(body.beginning, len(body.data)))
        case FormBody(parts=parts):
            files = (part for part in parts if part.filename is not None)
            return Usage(audio_seconds=sum(duration_s(part.beginning, len(part.data)) for part in files))
    return Usage()


NATIVE_SPEECH = (NativeSpeech(TTS), NativeSpeech(STT))
