"""APIs of an account that the gateway does not know, and passes on below a prefix: which, and how.

What the gateway serves itself is not among them: there, ids belong to those who made them, and what is used is billed.
"""

import re
from collections.abc import Iterable

import msgspec

from gateway.contract.call import Call
from gateway.contract.provider import Endpoint, UpstreamRequest
from gateway.contract.request import FormBody, JsonBody, RawBody, Request
from gateway.errors import BadRequest, Forbidden
from gateway.wire.address import address_of
from gateway.wire.form import upload_to
from gateway.wire.native import with_query

PASS_THROUGH = "pass-through"
"""Name of the dialect, and of the endpoint in the settings of a target."""
ROUTE = "/openai/{account}/proxy"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

SERVED = (
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
    "/batches",
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/files",
    "/fine_tuning/jobs",
    "/images/edits",
    "/images/generations",
    "/images/variations",
    "/messages",
    "/models",
    "/moderations",
    "/ocr",
    "/realtime",
    "/rerank",
    "/responses",
    "/uploads",
)
"""Below `/v1`, by the gateway itself."""
NEVER = ("/deployments", "/engines", "/organization")
"""Models by another way than that of the gateway; keys, users and bills of the account itself."""

PATH = re.compile(r"(?:/[A-Za-z0-9_~:@-][A-Za-z0-9._~:@-]*)+")
"""No segment is empty or begins with a dot, and none has anything that is read in more than one way."""
_RAW = re.compile(r"/openai/[^/]+/proxy(?P<rest>.*)", re.DOTALL)


class Passed(msgspec.Struct, frozen=True):
    """Calls that an account allows: those of `path` and of what lies below it."""

    path: str
    methods: frozenset[str]

    def allows(self, method: str, path: str) -> bool:
        return method in self.methods and is_at(path, self.path)


def is_at(path: str, other: str) -> bool:
    """At that one, or below it."""
    return path == other or path.startswith(f"{other}/")


def kept_back(path: str) -> str | None:
    """Why a path is never passed on; None: it may be."""
    plain = path.lower()  # some servers do not mind
    if served := next((each for each in SERVED if is_at(plain, each)), None):
        return f"{served} is served by the gateway itself: call /v1{served}"
    if any(is_at(plain, each) for each in NEVER):
        return f"{path} is never passed on"
    return None


def passed_path(request: Request) -> str:
    """What stands behind the prefix: the path at the account. `/v1` at its beginning is left out, as clients have it
    in their base URL, and accounts too.

    Raises:
        BadRequest: it may be read as another one, or is none that can be passed on.
    """
    found = _RAW.search(request.path)
    path = (found["rest"] if found is not None else "").removeprefix("/v1")
    if not PATH.fullmatch(path):
        raise BadRequest(
            "what is passed on is a plain path: /openai/ACCOUNT/proxy/a/b, without %, without .. and without a slash "
            "at its end"
        )
    if why := kept_back(path):
        raise BadRequest(why)
    return path


def passed_request(
    call: Call, base: Endpoint, allowed: Iterable[Passed], *, model: str, boundary: str
) -> UpstreamRequest:
    """The caller's own request, at the account.

    Args:
        base: of the account's API; what stands in its query goes along.
        model: the account's name for the one that is asked; empty: none is.
        boundary: of a form, as in `gateway.wire.form.form_of`.

    Raises:
        BadRequest, Forbidden: it is not passed on.
    """
    asked, path = call.request, passed_path(call.request)
    if not any(each.allows(asked.method, path) for each in allowed):
        raise Forbidden(f"the account does not pass on {asked.method} {path}; what it does is its pass_through")
    root, _, own = address_of(base.url).target.partition("?")
    place = with_query(f"{root.rstrip('/')}{path}", asked)
    if own:
        place += ("&" if "?" in place else "?") + own
    headers = {name: value for name, value in asked.headers.items() if name != "content-type"}
    try:
        endpoint = base.at(place, method=asked.method).with_headers(headers, remove=("content-type",))
        match asked.body:
            case JsonBody(fields=fields):
                # Of two fields of one name one is left, so that nobody reads another model than the gateway has.
                body = msgspec.json.encode({**fields, "model": model} if model else fields)
                return UpstreamRequest(endpoint.with_headers({"content-type": "application/json"}), body)
            case FormBody() as form:
                return upload_to(endpoint, form.with_texts({"model": model} if model else {}).parts, boundary)
            case RawBody(data=data, content_type=content_type):
                length = None if isinstance(data, bytes) else len(data)
                return UpstreamRequest(endpoint.with_headers({"content-type": content_type}), data, length=length)
    except ValueError as error:
        raise BadRequest(f"this cannot be passed on: {error}") from error
    return UpstreamRequest(endpoint, b"")
