"""What callers say about routing in the headers of a request."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.contract.route import NO_METADATA
from gateway.errors import BadRequest

MAX_VALUE_CHARS = 128
MAX_NAMES = 64
"""Of metadata; each is looked up, counted and written down for each request."""
MAX_STATUSES = 64
MAX_ATTEMPTS = 10

LOGGING = b"x-tfy-logging-config"

_metadata = msgspec.json.Decoder(dict[str, str])
_object = msgspec.json.Decoder(dict[str, Any])


class RetryOption(msgspec.Struct, frozen=True):
    """`x-tfy-retry-config`; `attempts` counts the first try."""

    attempts: int | None = None
    statuses: tuple[int, ...] | None = msgspec.field(default=None, name="onStatusCodes")


class RequestOptions(msgspec.Struct, frozen=True):
    """Seconds; None: nothing was said.

    Args:
        attempt_s: for one attempt, until its answer begins.
        first_token_s: the same for streams alone.
        deadline_s: how long the client waits in all.
        logs_bodies: whether what it asks and is answered is to be written down.
    """

    attempts: int | None = None
    statuses: frozenset[int] | None = None
    attempt_s: float | None = None
    first_token_s: float | None = None
    deadline_s: float | None = None
    logs_bodies: bool | None = None

    @property
    def is_about_attempts(self) -> bool:
        """A model that was named directly is then routed, too."""
        return self.attempts is not None or self.attempt_s is not None or self.first_token_s is not None


NO_OPTIONS = RequestOptions()
_retry = msgspec.json.Decoder(RetryOption)
OPTIONS = frozenset(
    {
        b"x-tfy-retry-config",
        b"x-tfy-request-timeout",
        b"x-tfy-ttft-timeout-ms",
        b"x-stainless-read-timeout",
        b"x-tfy-metadata",
        b"x-tfy-logging-config",
    }
)
"""All headers that are read here."""


def options_of(headers: Mapping[bytes, bytes]) -> RequestOptions:
    """Raises BadRequest: one of them cannot be understood; a limit that is not kept would be worse."""
    retry = _decoded(headers, "x-tfy-retry-config", _retry) or RetryOption()
    if retry.attempts is not None and not 1 <= retry.attempts <= MAX_ATTEMPTS:
        raise BadRequest(f"x-tfy-retry-config: attempts lies between 1 and {MAX_ATTEMPTS}, the first try included")
    if retry.statuses is not None and len(retry.statuses) > MAX_STATUSES:
        raise BadRequest(f"x-tfy-retry-config: onStatusCodes has more than {MAX_STATUSES}")
    attempt_ms = _number(headers, "x-tfy-request-timeout")
    first_token_ms = _number(headers, "x-tfy-ttft-timeout-ms")
    return RequestOptions(
        attempts=retry.attempts,
        statuses=frozenset(retry.statuses) if retry.statuses is not None else None,
        attempt_s=attempt_ms / 1000 if attempt_ms is not None else None,
        first_token_s=first_token_ms / 1000 if first_token_ms is not None else None,
        deadline_s=_seconds(headers.get(b"x-stainless-read-timeout")),
        logs_bodies=_logs_bodies(headers),
    )


def metadata_of(headers: Mapping[bytes, bytes]) -> Mapping[str, str]:
    """`x-tfy-metadata`, and what early clients put into `x-tfy-logging-config` instead: all that is text in it.

    Raises:
        BadRequest: the one is not an object of texts, the other no object, or a text in them is too long.
    """
    metadata: dict[str, str] | None = _decoded(headers, "x-tfy-metadata", _metadata)
    if LOGGING in headers:
        said = _decoded(headers, "x-tfy-logging-config", _object) or {}
        known = ("enabled", "tracing_project_fqn")
        metadata = {name: value for name, value in said.items() if isinstance(value, str) and name not in known} | (
            metadata or {}
        )
    if not metadata:
        return NO_METADATA
    if len(metadata) > MAX_NAMES:
        raise BadRequest(f"x-tfy-metadata has more than {MAX_NAMES} names")
    for name, value in metadata.items():
        if len(value) > MAX_VALUE_CHARS or len(name) > MAX_VALUE_CHARS:
            raise BadRequest(f"x-tfy-metadata: {name[:MAX_VALUE_CHARS]!r} is longer than {MAX_VALUE_CHARS} characters")
    return metadata


def _logs_bodies(headers: Mapping[bytes, bytes]) -> bool | None:
    if LOGGING not in headers:
        return None
    enabled = (_decoded(headers, "x-tfy-logging-config", _object) or {}).get("enabled")
    return enabled if isinstance(enabled, bool) else None


def _decoded(headers: Mapping[bytes, bytes], name: str, decoder: Any) -> Any:
    value = headers.get(name.encode())
    if not value:
        return None
    try:
        return decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"{name} cannot be read: {error}") from error


def _number(headers: Mapping[bytes, bytes], name: str) -> int | None:
    value = headers.get(name.encode())
    if value is None:
        return None
    if not value.isdigit() or len(value) > 9 or int(value) == 0:
        raise BadRequest(f"{name} has to be a number of milliseconds above 0")
    return int(value)


def _seconds(value: bytes | None) -> float | None:
    """An SDK's own timeout. What is no number is not for us: other clients may send other things under this name."""
    try:
        seconds = float(value) if value is not None else 0.0
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None
