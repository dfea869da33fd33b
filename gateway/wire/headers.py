"""Which headers may be sent along with a request, by whom it is said what they are."""

import re
from collections.abc import Iterable

HEADER = ("utf-8", "surrogateescape")
"""How aiohttp decodes a header's value. To encode it in the same way gives the bytes that arrived, text or not."""

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Source: RFC 9110, section 5.6.2."""

CONNECTION = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Where a message ends, where it goes, and what is between two ends of a connection; `proxy-...` besides. Whoever set
these could hide a second request in the first. Source: RFC 9110, section 7.6.1; RFC 9112, sections 6 and 11.2."""
CODING = frozenset({"accept-encoding", "content-encoding"})
"""How bodies are packed, which the gateway has to know."""


def wrong_name(name: str, *, fixed: Iterable[str] = CODING) -> str | None:
    """Why a header of that name cannot be set; None: it can.

    Args:
        fixed: names, in lower case, that cannot be set besides those of the connection.
    """
    if not TOKEN.fullmatch(name):
        return f"{name[:100]!r} is no name of a header"
    # Servers that hand headers to programs as variables take `_` for `-`.
    plain = name.lower().replace("_", "-").strip("-")
    if plain in CONNECTION or plain in fixed or plain.startswith("proxy-"):
        return f"{name[:100]} cannot be set"
    return None


def wrong_value(value: str) -> str | None:
    """Why no header can have that value, without showing it; None: one can."""
    if value.isascii() and value.isprintable():
        return None
    return "the value holds a line break, or another character that no header may hold"


def wrong_headers(headers: Iterable[tuple[str, str]], *, fixed: Iterable[str] = CODING) -> dict[str, str]:
    """Name -> why it cannot be sent."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in headers:
        if problem := wrong_name(name, fixed=fixed) or wrong_value(value):
            found[name] = problem
        elif name.lower() in seen:
            found[name] = f"{name} stands there twice: names of headers are the same in capitals"
        seen.add(name.lower())
    return found
