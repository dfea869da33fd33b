"""One class for each decision somebody takes when a request cannot go on.

    GatewayError
    ├── BadRequest            400  the request cannot be understood
    ├── Unauthorized          401  nobody we know
    ├── Forbidden             403  known, but not allowed
    ├── NotFound              404  no such path
    │   └── UnknownModel      404  no such model, or none the caller may know of
    ├── MethodNotAllowed      405
    ├── Conflict              409  it is managed elsewhere, or was changed meanwhile
    ├── BodyTooSlow           408  the body did not arrive in time
    ├── SessionIdle           408  nothing was said over a WebSocket for too long
    ├── TooLarge              413  the body is over the cap
    ├── UriTooLong            414
    ├── UnsupportedEncoding   415  a compressed request body
    ├── UpgradeRequired       426  a request where there should be a WebSocket
    ├── RateLimited           429  a limit or budget is used up
    ├── HeadersTooLarge       431
    ├── ClientLeft            499  nobody is there to answer
    ├── Blocked               400  a guardrail refused
    ├── Unexpected            500  a fault of ours
    ├── NotServed             501  an API that is known, but not served yet
    ├── Overloaded            503  more requests at once than this process takes
    ├── NoTarget              503  a route leads nowhere for this request
    ├── Unavailable           503  what is needed to answer cannot be reached just now
    ├── Stopping              503  the gateway is going down
    └── UpstreamError              the provider could not answer
        ├── Refused           any  the provider said no; its status and body are passed on
        ├── Unreachable       502  no connection
        ├── TimedOut          408  connected, but too slow
        └── BrokeOff          502  began to answer and stopped, or sent garbage
    ConfigError                    a manifest that cannot be used; raised before any request
    └── Unresolved                 only for want of a secret

The text of an error is read by the caller: it says what happened and what to do, and never holds a token, a key or an
address inside the operator's network.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec


class GatewayError(Exception):
    """A request is refused. `message` is for the caller; `code` is stable and for programs."""

    status = 500
    type = "api_error"
    code: str | None = None
    should_retry = False
    request_id: str | None = None
    """Of the request that it ends, once it is known which."""
    close_code: int | None = None
    """Of a WebSocket that it ends; None: by its status. Source: RFC 6455, section 7.4, and IANA's registry."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.param = param
        self.retry_after_s = retry_after_s


class BadRequest(GatewayError):
    status = 400
    type = "invalid_request_error"


class Unauthorized(GatewayError):
    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(GatewayError):
    status = 403
    type = "permission_error"
    code = "permission_denied"


class NotFound(GatewayError):
    status = 404
    type = "invalid_request_error"
    code = "not_found"


class UnknownModel(NotFound):
    code = "model_not_found"

    SHOWN = 20

    def __init__(self, model: str, usable: Sequence[str]) -> None:
        names = ", ".join(usable[: self.SHOWN]) or "none"
        more = f" and {len(usable) - self.SHOWN} more (GET /models)" if len(usable) > self.SHOWN else ""
        super().__init__(f"no model named {model[:200]!r}; you may use: {names}{more}", param="model")


class MethodNotAllowed(GatewayError):
    """The path is there. `allowed`: its methods, sorted."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = tuple(sorted(allowed))
        super().__init__(f"use {' or '.join(self.allowed)}")


class Conflict(GatewayError):
    status = 409
    type = "invalid_request_error"
    code = "conflict"


class BodyTooSlow(GatewayError):
    status = 408
    type = "timeout_error"
    code = "request_timeout"
    should_retry = True


class SessionIdle(GatewayError):
    status = 408
    type = "timeout_error"
    code = "session_idle"
    close_code = 1001


class TooLarge(GatewayError):
    status = 413
    type = "invalid_request_error"
    code = "request_too_large"
    close_code = 1009


class UriTooLong(GatewayError):
    status = 414
    type = "invalid_request_error"
    code = "uri_too_long"


class UnsupportedEncoding(GatewayError):
    status = 415
    type = "invalid_request_error"
    code = "unsupported_encoding"


class UpgradeRequired(GatewayError):
    status = 426
    type = "invalid_request_error"
    code = "upgrade_required"


class RateLimited(GatewayError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    should_retry = True


class HeadersTooLarge(GatewayError):
    status = 431
    type = "invalid_request_error"
    code = "headers_too_large"


class ClientLeft(GatewayError):
    status = 499
    type = "invalid_request_error"
    code = "client_closed_request"


class Blocked(GatewayError):
    """`checks`: what each guardrail said that was asked, as callers are told: `input_guardrails` and
    `output_guardrails`, each a list."""

    status = 400
    type = "guardrail_checks_failed"
    code = "guardrail_checks_failed"
    checks: Mapping[str, Sequence[Mapping[str, object]]] | None = None


class Unexpected(GatewayError):
    code = "internal_error"


class NotServed(GatewayError):
    status = 501
    code = "not_served"


class Overloaded(GatewayError):
    status = 503
    type = "overloaded_error"
    code = "overloaded"
    should_retry = True


class NoTarget(GatewayError):
    status = 503
    code = "no_target"


class Unavailable(GatewayError):
    status = 503
    type = "api_error"
    code = "unavailable"
    should_retry = True


class Stopping(GatewayError):
    status = 503
    type = "overloaded_error"
    code = "server_shutdown"
    should_retry = True
    close_code = 1012


class UpstreamError(GatewayError):
    status = 502
    type = "upstream_error"
    code = "upstream_error"


class Refused(UpstreamError):
    """The provider answered with an error; `body`, where there is one, is passed on as it came.

    Whether to ask again is the client's decision, as it would be without a gateway.

    Args:
        status: the provider's.
        body: JSON in the caller's dialect, or None when `message` has to do.
        headers: those of the provider's that the caller gets (Retry-After and the like).

    `is_worth_asking_again`: what it refuses was the gateway's own, which will leave it out the next time, or renew it.
    """

    should_retry = True
    is_worth_asking_again = False

    def __init__(
        self,
        message: str,
        *,
        status: int,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.body = body
        self.headers = headers or {}


class Unreachable(UpstreamError):
    code = "upstream_unreachable"
    should_retry = True


class TimedOut(UpstreamError):
    status = 408
    type = "timeout_error"
    code = "upstream_timeout"
    should_retry = True


class BrokeOff(UpstreamError):
    code = "stream_interrupted"
    should_retry = True


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong with a manifest, and where: file, line, and path inside the document (`integrations[0].url`)."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class ConfigError(Exception):
    """The manifests cannot be used. `faults` has everything found in one pass, not just the first; `warnings`, what
    may be why."""

    def __init__(self, faults: Sequence[Fault], warnings: Sequence[Fault] = ()) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)
        self.warnings = tuple(warnings)


class Unresolved(ConfigError):
    """Nothing is wrong with a manifest but that secrets or environment variables it refers to are not there."""
