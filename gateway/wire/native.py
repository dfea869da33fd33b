"""The vendors' own APIs, as their own SDKs call them through the gateway: which model is meant, and where it stands.

Only calls that name one model are known here. Files, caches, batches and tuning belong to an account as a whole: who
may use a model of it could read there what others have left.

Source: ai.google.dev/api/generate-content, /tokens and /embeddings; the paths in models.py of google-genai 3.6.1;
platform.claude.com/docs/en/api/messages and /messages-count-tokens; docs.aws.amazon.com/bedrock/latest/APIReference/
API_Operations_Amazon_Bedrock_Runtime.html and .../sagemaker/latest/APIReference/
API_Operations_Amazon_SageMaker_Runtime.html; read 2026-11.
"""

import re
from collections.abc import Collection, Mapping
from urllib.parse import quote, unquote

import msgspec

from gateway.contract.call import Call
from gateway.contract.request import JsonBody, Request

GEMINI, ANTHROPIC = "gemini-native", "anthropic-native"
BEDROCK, SAGEMAKER = "bedrock-native", "sagemaker-native"
"""Names of their dialects."""

ROUTES: Mapping[str, str] = {
    GEMINI: "/gemini/{account}/proxy",
    ANTHROPIC: "/anthropic/{account}/proxy",
    BEDROCK: "/bedrock/proxy",
    SAGEMAKER: "/sagemaker/proxy",
}
"""Below these are the paths of the vendor. A model of AWS is asked for as `account/model`."""

_PATHS: Mapping[str, re.Pattern[str]] = {
    GEMINI: re.compile(
        r"(?P<before>/v1(?:alpha|beta)?1?(?:/projects/[^/]+/locations/[^/]+)?(?:/publishers/google)?/models/)"
        r"(?P<model>[^/:]+)"
        r"(?P<after>:(?:generateContent|streamGenerateContent|embedContent|batchEmbedContents|countTokens"
        r"|predict|computeTokens))"
    ),
    ANTHROPIC: re.compile(r"(?P<before>)(?P<model>)(?P<after>/v1/messages(?:/count_tokens)?)"),
    BEDROCK: re.compile(
        r"(?P<before>/model/)(?P<model>[^/]+)"
        r"(?P<after>/(?:converse|converse-stream|invoke|invoke-with-response-stream|count-tokens))"
    ),
    SAGEMAKER: re.compile(
        r"(?P<before>/endpoints/)(?P<model>[^/]+)(?P<after>/(?:invocations|invocations-response-stream))"
    ),
}
PREDICT = ":predict"
"""Of Vertex AI: pictures, and embeddings by older models."""
INVOKE = "/invoke"
"""Of Bedrock: whatever a model makes, in a format of its own."""
_FREE = frozenset({":countTokens", ":computeTokens", "/v1/messages/count_tokens", "/count-tokens"})
_KEYS = frozenset({"access_token", "api-key", "api_key", "key"})
"""Of the caller's own, in a query; what is the gateway's own is in a header."""
_QUERY = "%=+,:;/?@!$'()*~-._[]"
"""What stands in a query as it is."""


class NativePath(msgspec.Struct, frozen=True):
    """
    Args:
        account: empty: it is in the model's name.
        before, after: what stands around the model, as it was written.
        model: decoded; empty: the body names it.
    """

    account: str
    before: str
    model: str
    after: str

    @property
    def is_free(self) -> bool:
        """No model answers."""
        return self.after in _FREE


def path_in(name: str, request: Request) -> NativePath | None:
    """Of a request of the dialect of that name; None: it is none of those that are known here."""
    root, _, last = ROUTES[name].partition("{account}")
    _, _, rest = request.path.partition(root)
    account = ""
    if last:
        account, _, rest = rest.partition("/")
        rest = rest.removeprefix(last[1:]) if rest.startswith(f"{last[1:]}/") else ""
    found = _PATHS[name].fullmatch(rest)
    if found is None:
        return None
    return NativePath(unquote(account), found["before"], unquote(found["model"]), found["after"])


def native_path(call: Call) -> NativePath:
    """Of a call that has been let in."""
    found = path_in(call.dialect.name, call.request)
    assert found is not None
    return found


def with_query(path: str, request: Request) -> str:
    """With the query of the caller, but for keys in it."""
    query = query_of(request)
    return f"{path}?{query}" if query else path


def query_of(request: Request, *, without: Collection[str] = ()) -> str:
    """What of the caller's query goes on: all but keys, and what is named. Empty if there is none."""
    pieces = [each for each in request.query.decode("latin-1").split("&") if each]
    names = [(unquote(each.partition("=")[0]), each) for each in pieces]
    return "&".join(quote(each, safe=_QUERY) for name, each in names if name not in _KEYS and name not in without)


def body_of(call: Call) -> bytes:
    """The very bytes of the caller, unless a route has set other fields."""
    body = call.request.body
    assert isinstance(body, JsonBody)
    return body.data or msgspec.json.encode(body.fields)


def body_for(call: Call, model: str) -> bytes:
    """With that `model`, and each other field as the bytes that the caller sent. Of two fields of one name one is left,
    so that the vendor reads no other model than the gateway has."""
    return msgspec.json.encode({**call.fields, "model": model})
