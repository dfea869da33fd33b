"""Which headers pass through, where a request and its answer are passed on as they are.

Source: RFC 9110, section 7.6.1, for those of the connection; the rest is the gateway's own, tells who the caller is, or
would have two callers share what a provider wants to know again.
"""

from collections.abc import Collection, Iterator, Mapping
from urllib.parse import quote

from gateway.contract.request import Request
from gateway.wire.headers import CONNECTION

KEPT_FROM_PROVIDERS = CONNECTION | {
    "accept-encoding",
    "api-key",
    "authorization",
    "cookie",
    "forwarded",
    "referer",
    "via",
    "x-api-key",
    "x-goog-api-key",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-rewrite-url",
    "xi-api-key",
}
_PREFIXES_KEPT_FROM_PROVIDERS = ("proxy-", "sec-", "x-forwarded-", "x-tfy-")

KEPT_FROM_CALLERS = CONNECTION | {
    "alt-svc",
    "content-encoding",
    "content-type",
    "date",
    "request-id",
    "server",
    "set-cookie",
    "strict-transport-security",
    "www-authenticate",
    "x-request-id",
}
"""The type of the content is told elsewhere, and its coding has been undone."""

_QUERY = "%=+,:;/?@!$&'()*~-._[]"
"""What stands in a query as it is."""


class ForProviders(Collection[str]):
    """Names of a caller's headers that go on: all but those that are kept back."""

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        plain = plainly(name)
        return plain not in KEPT_FROM_PROVIDERS and not plain.startswith(_PREFIXES_KEPT_FROM_PROVIDERS)

    def __iter__(self) -> Iterator[str]:
        return iter(())  # nobody can name them all

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True


def plainly(name: str) -> str:
    """As servers read it that hand headers to programs as variables: they take `_` for `-`."""
    return name.replace("_", "-")


def for_callers(headers: Mapping[str, str]) -> dict[str, str]:
    """Of an answer's headers, those that go on; names in lower case."""
    lower = {name.lower(): value for name, value in headers.items()}
    kept = KEPT_FROM_CALLERS | of_connection(lower.get("connection", ""))
    return {
        name: value
        for name, value in lower.items()
        if name not in kept and not name.startswith(("access-control-", "proxy-"))
    }


def of_connection(value: str) -> frozenset[str]:
    """Names of the headers that are for this one connection, as the Connection header has them, in lower case."""
    return frozenset(name.strip(" \t").lower() for name in value.split(",")) if value else frozenset()


def target_below(base: str, rest: str, request: Request) -> str:
    """Path and query as they are sent: what the caller wrote behind a prefix, below the path of a base URL.

    Args:
        base: path of the base URL, with its query if there is one.
        rest: percent-encoded, as it came.
    """
    path, _, own = base.partition("?")
    query = "&".join(filter(None, (own, quote(request.query.decode("latin-1"), safe=_QUERY))))
    return f"{path.rstrip('/')}{rest}{'?' if query else ''}{query}" or "/"
