"""How the gateway writes its own log: structlog, JSON when nobody looks, readable in a terminal, and never a secret."""

import logging
import re
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from itertools import takewhile
from typing import Any, TextIO

import structlog

MASK = "***"

_SECRET_NAMES = re.compile(r"authorization|api[-_]?key|token$|secret|password|pepper|cookie", re.IGNORECASE)
_SECRETS = tuple(
    (re.compile(pattern, re.DOTALL), rf"\g<1>{MASK}")
    for pattern in (
        r"""((?i:bearer)\s)[^\s"',]+""",  # RFC 6750
        r"""(openai-insecure-api-key\.)[^\s"',]+""",  # of pages in browsers, among the subprotocols
        r"()\b(?<!x-)(?:sk|pk|rk|gsk|xai|r8|hf|gw[a-z]?|tfy|pplx|csk|fw|nvapi)[-_][A-Za-z0-9_\-]{12,}",  # keys
        r"()dapi[0-9a-f]{32}",  # Databricks
        r"()eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)*",  # JWT, and the beginning of one
        r"()A(?:KIA|SIA)[A-Z0-9]{16}",  # AWS
        r"()AIza[A-Za-z0-9_\-]{30,}",  # Google
        r"()-----BEGIN[ A-Z]*PRIVATE KEY-----.*?(?:-----END[ A-Z]*PRIVATE KEY-----|\Z)",
        r"""([?&]key=)[^&\s"']+""",  # keys in query strings
        r"(://)(?!user:password@)[^/\s:@]+:[^/\s@]+(?=@)",  # in URLs; with these words, it is an example
    )
)
"""One after the other, as each then begins with letters that can be searched for. The work grows with the text: what
may begin anywhere is never looked at again from each place where it might have begun."""
MOST_SHOWN = 32 * 1024
"""Characters of one value. A provider's error may be larger, and made to be slow to look through."""
MARGIN = 1024
"""What is cut off is looked at for so much further: a secret that is cut must not be shown for being none."""
PLACE = 16
"""What each value counts besides its characters, as there may be many without any."""
MOST_DEEP = 64


def traceback_text() -> str:
    """The exception being handled, without the values of variables: a renderer of structlog's might print those."""
    return redact_text(traceback.format_exc())


def redact(_: object, __: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """A structlog processor: masks values by the name of their field, and by what they look like."""
    return {name: MASK if _SECRET_NAMES.search(str(name)) else redacted(value) for name, value in event.items()}


def redact_text(text: str, most: int | None = None) -> str:
    """With what looks like a secret masked; of a longer text, so many characters and three dots."""
    if most is not None and len(text) > most:
        return f"{redact_text(text[: most + MARGIN])[:most]}..."
    for pattern, mask in _SECRETS:
        text = pattern.sub(mask, text)
    return text


def holds_secret(body: bytes) -> bool:
    """Whether anything in it looks like one, as it stands."""
    text = body[:MOST_SHOWN].decode(errors="replace")
    return redact_text(text) != text


def redacted(value: Any) -> Any:
    """The same value with what looks like a secret masked, at any depth; of a large one, its first `MOST_SHOWN`."""
    return _Redaction().of(value, 0)


class _Redaction:
    """Of one value. `left`: so many characters of it may still be shown."""

    def __init__(self) -> None:
        self.left = MOST_SHOWN

    def of(self, value: Any, depth: int) -> Any:
        self.left -= PLACE
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping | list | tuple) and depth == MOST_DEEP:
            return "..."
        if isinstance(value, Mapping):
            return {
                self.name(name): MASK if _SECRET_NAMES.search(str(name)[-MARGIN:]) else self.of(item, depth + 1)
                for name, item in takewhile(self.has_room, value.items())
            }
        if isinstance(value, list | tuple):
            return [self.of(item, depth + 1) for item in takewhile(self.has_room, value)]
        return self.text(value if isinstance(value, str) else repr(value))  # which is how a renderer would write it

    def name(self, name: Any) -> Any:
        if len(str(name)) > MARGIN:
            return self.text(str(name))
        return redact_text(name) if isinstance(name, str) else name

    def text(self, text: str) -> str:
        shown = redact_text(text, max(0, self.left))
        self.left -= len(text)
        return shown

    def has_room(self, _: object) -> bool:
        return self.left > 0


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
