"""What is asked, in which of the client APIs, and how a reply is read."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from gateway.contract.objects import ObjectAsk
from gateway.contract.request import Body, FormBody, JsonBody, Request
from gateway.contract.usage import Usage
from gateway.errors import GatewayError, UpstreamError
from gateway.secrecy.secret import Secret

NO_FIELDS: Mapping[str, msgspec.Raw] = {}


class Ask(msgspec.Struct, frozen=True, gc=False):
    """What every dialect can say of a request without looking at its content.

    `model` is None where the API names none, as with `GET /responses/{id}`; then `account` says whose it is.
    `input_tokens` is an estimate from the size of the body; `max_output_tokens` is the caller's own limit for each of
    so many `choices`. Without `has_output` an answer has no tokens of its own, as with embeddings.

    `expected`: what it will use where that is no matter of text, as with sounds and pictures. Several tell of the same
    in other units, as models have prices by the second or by the token: the first that has a price counts.

    `object`: what it is about, if that belongs to an account; `account`, if it is there, is the one the caller names.
    """

    model: str | None
    stream: bool = False
    wants_usage: bool = False
    max_output_tokens: int | None = None
    input_tokens: int = 0
    choices: int = 1
    has_output: bool = True
    account: str | None = None
    expected: tuple[Usage, ...] = ()
    object: ObjectAsk | None = None

    @property
    def name(self) -> str:
        """What the caller asked for, to be shown."""
        return self.model or self.account or ""

    def so_far(self, events: int) -> Usage:
        """What was used when so many events of an answer have passed by, which did not say it themselves; the input as
        it is before anybody has heard of the model."""
        if self.expected:
            return msgspec.structs.replace(self.expected[0], estimated=True)
        output = max(0, events - 1) if self.has_output else 0
        return Usage(input=self.input_tokens, output=output, estimated=True, untold="input")


class Call(msgspec.Struct, frozen=True, gc=False):
    """One request, decoded once.

    `provider_key` is the Authorization which the caller sent for the provider, scheme included. `account`: of several
    that may be asked, the one that is, where the next turn has to find it; None: no such thing.
    """

    dialect: "Dialect"
    ask: Ask
    request: Request
    provider_key: Secret | None = None
    account: str | None = None

    @property
    def fields(self) -> Mapping[str, msgspec.Raw]:
        """The top-level fields of a JSON body, each as the very bytes the client sent; none of another body."""
        body = self.request.body
        return body.fields if isinstance(body, JsonBody) else NO_FIELDS

    def with_fields(self, fields: Mapping[str, msgspec.Raw]) -> "Call":
        """The same with another JSON body; a form has the values as texts in the place of its own, or beside them."""
        body = self.request.body
        changed: Body = JsonBody(fields)
        if isinstance(body, FormBody):
            changed = body.with_texts({name: _text(value) for name, value in fields.items()})
        request = msgspec.structs.replace(self.request, body=changed)
        return msgspec.structs.replace(self, request=request)


def _text(value: msgspec.Raw) -> str:
    """As a form has it: a string as it is, anything else as JSON writes it."""
    data = bytes(value)
    return msgspec.json.decode(data, type=str) if data.startswith(b'"') else data.decode()


class Head(msgspec.Struct, frozen=True, gc=False):
    """A reply before its content.

    Args:
        headers: case-insensitive.
        is_stream: what has come of the content looks like an event stream, whatever the headers say.
    """

    status: int
    headers: Mapping[str, str]
    is_stream: bool = False


class Reading(Protocol):
    """One reply, read as it comes, and put into the caller's dialect; made for one attempt. No I/O."""

    @property
    def content_type(self) -> str | None:
        """Of what the client gets; None: the provider's own, as its bytes are."""

    @property
    def is_stream(self) -> bool:
        """What comes out is an event stream, to be passed on as it comes; else one document."""

    @property
    def events(self) -> int:
        """Events of content so far; keep-alive comments are not events."""

    @property
    def has_begun(self) -> bool:
        """There is some of the answer; until then an error is still a status, and another provider may answer
        instead."""

    @property
    def is_over(self) -> bool:
        """The provider has said that this was all: nothing more is waited for, whatever its connection does."""

    def feed(self, data: bytes) -> bytes:
        """What may go to the client now, `b""` for nothing yet; the same object when there is nothing to change.

        Raises:
            UpstreamError: before `has_begun`, that the provider sent an error, or something else than it should.
        """

    def end(self) -> bytes:
        """What is left when the provider has finished. Raises like `feed`."""

    def is_complete(self) -> bool:
        """True once the reply has come to its proper end."""

    def told_error(self) -> UpstreamError | None:
        """What the provider said has gone wrong after it had begun. It has been passed on, in the caller's dialect."""

    def usage(self) -> Usage | None:
        """What the provider says was used, once it has said so."""

    def service_tier(self) -> str | None:
        """How fast, and for which price, the reply was made, as it says itself."""


@runtime_checkable
class TellsFailure(Protocol):
    """What a `Reading` may have besides, if an answer that breaks off has to be ended by more than an error."""

    def failure(self, error: GatewayError) -> bytes:
        """The last event of the stream, in place of `Dialect.stream_error`; empty: it has to be that."""


class Dialect(Protocol):
    """One client-facing API: how its requests and its replies are read, and how its errors are written.

    It may also have `headers`: names, in lower case, of those of a request that `Request.headers` is to hold. One that
    accepts `RawBody` may have `sorts_bodies = True`: it is given JSON and forms, too, where their content type says so.
    With `takes_key_in_query = True` its clients may send the token as `key` in the address. `keep_alive`: what is sent
    while a stream is silent, if its clients do not take comments.
    """

    name: str
    routes: Sequence[tuple[str, str]]
    """(method, path below every base path), for example `("POST", "/chat/completions")`, `("GET", "/files/{id}")`."""
    model_type: str
    """What a model must be declared as in `model_types`, for example `chat`; empty: whatever it is."""
    accepts: type[Body] | None
    """What its bodies are; None: it takes none."""
    max_body_bytes: int | None
    """None: as many as the gateway takes of any."""

    def parse(self, request: Request) -> Ask:
        """What a request asks for.

        Raises:
            BadRequest: something it needs is missing or of the wrong type.
        """

    def reading(self, call: Call, head: Head) -> Reading:
        """How the replies of this API itself are read."""

    def error(self, error: GatewayError) -> bytes:
        """The body of a refused request."""

    def stream_error(self, error: GatewayError) -> bytes:
        """The last event of a stream that broke; no proper end may follow it."""


@runtime_checkable
class TakesHeaders(Protocol):
    """What a `Dialect` may have besides, if its routes have places in them."""

    headers: Collection[str]
    """Of a request, in lower case, that its provider is to see. Not those with credentials."""
