"""Which trace a request belongs to, as callers and providers say it: the headers of the W3C.

Source: https://www.w3.org/TR/trace-context/ (version 00), sections 3.2 and 3.3.
"""

import re

import msgspec

MAX_STATE_BYTES = 512
"""Which anybody has to pass on; more may be dropped."""

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-.*)?",
    re.DOTALL,
)
_SAMPLED = 1
_ID_BITS = 1 << 64


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """A trace, and the span in it that is the parent of what is done now; None: it begins here."""

    trace_id: int
    parent_id: int | None = None
    is_sampled: bool = True


class Sampling(msgspec.Struct, frozen=True):
    """Which traces are kept.

    Args:
        ratio: the part of those that begin here.
        joins: of those that have begun elsewhere, what was said there; else the same part of them.
    """

    ratio: float = 1.0
    joins: bool = True

    def keeps(self, context: TraceContext) -> bool:
        """As all do who keep a part: by the id, so that a trace is kept everywhere or nowhere."""
        if context.parent_id is not None and self.joins:
            return context.is_sampled
        return context.trace_id % _ID_BITS < self.ratio * _ID_BITS


def traceparent_of(header: bytes) -> str | None:
    """What a caller sent, if it can be understood. Of a version to come, as much of it as is known."""
    text = header.decode("latin-1").strip(" \t")
    found = _TRACEPARENT.fullmatch(text)
    if found is None or (found["more"] is not None and text.startswith("00")):
        return None
    return text[: found.end("flags")]


def context_of(traceparent: str | None, request_id: str) -> TraceContext:
    """Where a request stands. One that came without a trace begins one, which has the request's own id.

    Args:
        traceparent: as `traceparent_of` gave it.
        request_id: 32 hexadecimal digits.
    """
    if traceparent is None:
        return TraceContext(int(request_id, 16))
    _, trace, parent, flags = traceparent.split("-")
    return TraceContext(int(trace, 16), int(parent, 16), bool(int(flags, 16) & _SAMPLED))


def span_id(request_id: str, number: int) -> int:
    """Of the spans of one request: its own is number 0, and what it waited for follows. Ids of requests are random, so
    these are; and whoever passes one on before the span has ended knows it without asking."""
    return (int(request_id[16:], 16) + number) % _ID_BITS or 1


def traceparent(context: TraceContext, span: int, *, is_sampled: bool) -> str:
    """For whoever is asked next."""
    return f"00-{context.trace_id:032x}-{span:016x}-{int(is_sampled):02x}"
