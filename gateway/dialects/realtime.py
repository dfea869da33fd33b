"""OpenAI's realtime API: one session with one model, over a WebSocket.

Source: as in `gateway.wire.realtime`.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from gateway.contract import Ask, Call, Head, JsonBody, RawBody, Reading, Request
from gateway.contract.request import Body
from gateway.contract.usage import Usage
from gateway.dialects.errors import OpenAIErrors, details_of
from gateway.dialects.fields import MAX_MODEL_CHARS
from gateway.errors import BadRequest, GatewayError
from gateway.wire.plain import FreeObject, PlainReading
from gateway.wire.realtime import named_in
from gateway.wire.session_config import (
    ACCEPT,
    CALL,
    CALLS,
    CLIENT_SECRETS,
    KEYS,
    SESSIONS,
    TRANSCRIPTION_SESSIONS,
    config_of,
    model_at,
    model_place,
    place_in,
)

MAX_KEY_BYTES = 256 * 1024
"""Of an answer with a key: the configuration of a session is part of it, as it was sent."""
MAX_OFFER_BYTES = 256 * 1024
"""Some kB are usual; so it is in memory as a whole."""
RESERVED_TOKENS = 500
"""Of output, for the first response. From then on it is known what is used."""


_NAMING = ("model", "deployment")
"""What the model may be called in a query; the second is Azure's word."""


class Realtime(OpenAIErrors):
    """A `Dialect` of handshakes. What is said over the WebSocket passes as it is."""

    name = "realtime"
    routes: Sequence[tuple[str, str]] = (("GET", "/realtime"),)
    model_type = "realtime"
    accepts: type[Body] | None = None
    max_body_bytes: int | None = None
    headers: Collection[str] = frozenset({"openai-beta", "openai-safety-identifier"})

    def parse(self, request: Request) -> Ask:
        try:
            named = named_in(request.query)
        except ValueError as error:
            raise BadRequest("the query cannot be read: it has too many fields") from error
        models = [value for name, value in named if name in _NAMING]
        if len(models) != 1 or not models[0]:
            problem = "has more than one model" if models[1:] else "names no model"
            raise BadRequest(f"the query {problem}: open /v1/realtime?model=account/model", param="model")
        model, account = models[0], request.path_params.get("account")
        if account:
            model = f"{account}/{model.removeprefix(f'{account}/')}"
        if len(model) > MAX_MODEL_CHARS:
            raise BadRequest(f"the name of a model has at most {MAX_MODEL_CHARS} characters", param="model")
        return Ask(model, max_output_tokens=RESERVED_TOKENS)

    def reading(self, call: Call, head: Head) -> Reading:
        return PlainReading()  # a session is no reply, and read message by message

    def stream_error(self, error: GatewayError) -> bytes:
        """The event that says why a session ends."""
        return msgspec.json.encode({"type": "error", "error": details_of(error)})


class RealtimeKeys(OpenAIErrors):
    """A `Dialect`: a session is prepared, and a key is made that opens it. What is used is billed with the session."""

    name = KEYS
    routes: Sequence[tuple[str, str]] = (("POST", CLIENT_SECRETS), ("POST", SESSIONS), ("POST", TRANSCRIPTION_SESSIONS))
    model_type = "realtime"
    accepts: type[Body] | None = JsonBody
    max_body_bytes: int | None = 1024 * 1024
    headers: Collection[str] = Realtime.headers

    def parse(self, request: Request) -> Ask:
        body = request.body
        assert isinstance(body, JsonBody)
        model = model_at(body.fields, model_place(request.route, body.fields))
        if len(model) > MAX_MODEL_CHARS:
            raise BadRequest(f"the name of a model has at most {MAX_MODEL_CHARS} characters", param="model")
        return Ask(model, has_output=False, expected=(Usage(),))

    def reading(self, call: Call, head: Head) -> Reading:
        return FreeObject(MAX_KEY_BYTES)


class RealtimeCalls(OpenAIErrors):
    """A `Dialect`: a call by WebRTC is begun, or one by SIP taken. What is used is billed as a session beside it."""

    name = CALL
    routes: Sequence[tuple[str, str]] = (("POST", CALLS), ("POST", ACCEPT))
    model_type = "realtime"
    accepts: type[Body] | None = RawBody
    sorts_bodies = True
    max_body_bytes: int | None = MAX_OFFER_BYTES
    headers: Collection[str] = Realtime.headers

    def parse(self, request: Request) -> Ask:
        if request.route == ACCEPT and not isinstance(request.body, JsonBody):
            raise BadRequest("a call is taken with the configuration of its session, as application/json")
        config = config_of(request)
        if config is None:
            return msgspec.structs.replace(REALTIME.parse(request), **_FREE)
        model = model_at(config, place_in(config))
        if len(model) > MAX_MODEL_CHARS:
            raise BadRequest(f"the name of a model has at most {MAX_MODEL_CHARS} characters", param="model")
        return Ask(model, **_FREE)

    def reading(self, call: Call, head: Head) -> Reading:
        return FreeObject(MAX_KEY_BYTES)


_FREE: dict[str, Any] = {"has_output": False, "expected": (Usage(),), "max_output_tokens": None}
REALTIME = Realtime()
REALTIME_KEYS = RealtimeKeys()
REALTIME_CALLS = RealtimeCalls()
