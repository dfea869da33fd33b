"""How the gateway writes its own log: structlog, JSON when nobody looks, readable in a terminal, and never a secret."""

import logging
import re
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

import structlog

MASK = "***"

_SECRET_NAMES = re.compile(r"authorization|api[-_]?key|token$|secret|password|pepper|cookie", re.IGNORECASE)
_SECRET_VALUES = re.compile(
    r"""
      (?<=(?i:bearer)\s)[^\s"',]+                              # RFC 6750
    | \b(?<!x-)(?:sk|pk|rk|gsk|xai|r8|hf|gw[a-z]?|tfy|pplx|csk|fw|nvapi)[-_][A-Za-z0-9_\-]{12,}   # keys, and ours
    | \bdapi[0-9a-f]{32}\b                                    # Databricks
    | \beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*   # JWT
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                           # AWS
    | \bAIza[A-Za-z0-9_\-]{30,}                               # Google
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----.*?(?:-----END[ A-Z]*PRIVATE\ KEY-----|\Z)
    | (?<=[?&]key=)[^&\s"']+                                  # keys in query strings
    | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)                         # user:password in URLs
    """,
    re.VERBOSE | re.DOTALL,
)


def traceback_text() -> str:
    """The exception being handled, without the values of variables: a renderer of structlog's might print those."""
    return redact_text(traceback.format_exc())


def redact(_: object, __: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """A structlog processor: masks values by the name of their field, and by what they look like."""
    return {name: MASK if _SECRET_NAMES.search(str(name)) else redacted(value) for name, value in event.items()}


def redact_text(text: str) -> str:
    return _SECRET_VALUES.sub(MASK, text)


def redacted(value: Any) -> Any:
    """The same value with what looks like a secret masked, at any depth."""
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return redact(None, "", value)
    if isinstance(value, list | tuple):
        return [redacted(item) for item in value]
    return redact_text(repr(value))  # which is how a renderer would write it


def configure_logs(stream: TextIO | None = None) -> None:
    """Sets structlog up for the process. `gateway serve` calls it; a mounted gateway leaves it to the outer app."""
    out: Any = _Unfailing(stream or sys.stdout)
    format_exception = structlog.processors.format_exc_info
    if out.isatty():
        timestamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
        renderer: Any = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        shape: list[Any] = [timestamp, format_exception, redact, renderer]
    else:
        timestamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
        shape = [timestamp, format_exception, redact, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, *shape],
        logger_factory=structlog.PrintLoggerFactory(file=out),
    )
    logging.basicConfig(handlers=[ToStructlog()], level=logging.WARNING, force=True)


class _Unfailing:
    """A full disk or a closed pipe takes no lines, and must not take along whoever writes one: it may be the only task
    that follows the database. That lines are missing is told where request records go, which fail with them."""

    def __init__(self, stream: TextIO) -> None:
        self.isatty = stream.isatty
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


class ToStructlog(logging.Handler):
    """What servers and libraries log by the standard library, in the same log and masked like all else."""

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"logger": record.name}
        if record.exc_info:
            fields["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        structlog.get_logger().log(record.levelno, record.getMessage(), **fields)
