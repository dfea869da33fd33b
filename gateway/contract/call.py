"""What is asked, in which of the client APIs, and how a reply is read."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import GatewayError, UpstreamError
from gateway.secrecy.secret import Secret


class Ask(msgspec.Struct, frozen=True, gc=False):
    """What every dialect can say of a request without looking at its content.

    `input_tokens` is an estimate from the size of the body; `max_output_tokens` is the caller's own limit for each of
    so many `choices`. Without `has_output` an answer has no tokens of its own, as with embeddings.
    """

    model: str
    stream: bool = False
    wants_usage: bool = False
    max_output_tokens: int | None = None
    input_tokens: int = 0
    choices: int = 1
    has_output: bool = True


class Call(msgspec.Struct, frozen=True, gc=False):
    """One request, decoded once. `fields`: the top-level fields of the body, each as the very bytes the client sent.

    `provider_key` is the Authorization which the caller sent for the provider, scheme included.
    """

    dialect: "Dialect"
    ask: Ask
    fields: Mapping[str, msgspec.Raw]
    provider_key: Secret | None = None


class Reading(Protocol):
    """One reply, read as it comes, and put into the caller's dialect; made for one attempt. No I/O."""

    events: int
    """Events of content so far; keep-alive comments are not events."""
    has_begun: bool
    """There is some of the answer; until then an error is still a status, and another provider may answer instead."""
    is_over: bool
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
        """What the provider said has gone wrong after it had begun. It has been passed on as it came."""

    def usage(self) -> Usage | None:
        """What the provider says was used, once it has said so."""

    def service_tier(self) -> str | None:
        """How fast, and for which price, the reply was made, as it says itself."""


class Dialect(Protocol):
    """One client-facing API: how its requests and its replies are read, and how its errors are written."""

    name: str
    path: str
    """Below every base path, for example `/chat/completions`."""
    model_type: str
    """What a model must be declared as in `model_types`, for example `chat`."""

    def parse(self, fields: Mapping[str, msgspec.Raw], body: bytes) -> Ask:
        """What a body asks for, which is said in its top-level fields and, how much there is to read, by its size.

        Raises:
            BadRequest: a field it needs is missing or of the wrong type.
        """

    def reading(self, *, streamed: bool) -> Reading:
        """How the replies of this API itself are read."""

    def error(self, error: GatewayError) -> bytes:
        """The body of a refused request."""

    def stream_error(self, error: GatewayError) -> bytes:
        """The last event of a stream that broke; no proper end may follow it."""
