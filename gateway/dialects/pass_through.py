"""What an account in OpenAI's style has besides: passed on as it is, below `/openai/{account}/proxy`.

What names a model is that model's: it is checked, limited and billed as anywhere else. The rest is the account's.
"""

import re
from collections.abc import Collection, Iterable, Sequence

import msgspec

from gateway.contract import Ask, Call, FormBody, Head, JsonBody, RawBody, Reading, Request
from gateway.contract.objects import ObjectAsk, ObjectKind, ObjectType
from gateway.contract.request import Body
from gateway.contract.usage import Usage
from gateway.dialects.errors import OpenAIErrors
from gateway.dialects.fields import form_model, largest, model_of
from gateway.dialects.forms import MAX_FORM_BYTES
from gateway.dialects.openai import BYTES_PER_TOKEN
from gateway.errors import BadRequest, MethodNotAllowed
from gateway.wire.hiding import HidingReading
from gateway.wire.pass_through import METHODS, PASS_THROUGH, ROUTE, passed_path
from gateway.wire.passing import PassingReading
from gateway.wire.realtime import named_in

NOTHING_KNOWN = ObjectType(kind=ObjectKind.FILE)
"""Whatever is asked for: no ids are looked for in it, of any kind."""
_BLANK = b"\xef\xbb\xbf\xff\xfe \t\r\n\x00"
"""And what marks the order of bytes: JSON is read in UTF-16 and UTF-32 as well."""
_KIND = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
"""Source: RFC 6838, section 4.2."""
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class _Told(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw()
    response: "_Told | None" = None


_told = msgspec.json.Decoder(_Told)
_usage = msgspec.json.Decoder()


class PassedReading(PassingReading):
    """Of answers that tell of their usage as OpenAI's do, or not at all.

    Args:
        secrets: that the caller is not shown: some servers repeat the headers they were sent.
    """

    def __init__(self, head: Head, *, secrets: Iterable[bytes] = ()) -> None:
        super().__init__(head)
        self._hiding = HidingReading(secrets)

    def feed(self, data: bytes) -> bytes:
        return self._hiding.feed(super().feed(data))

    def end(self) -> bytes:
        super().end()
        return self._hiding.end()

    def look(self, data: bytes) -> None:
        told = _told.decode(data)
        raw = told.usage or (told.response.usage if told.response is not None else None)
        if raw:
            self.told_usage = Usage.from_openai(_usage.decode(raw)) or self.told_usage


class PassThrough(OpenAIErrors):
    """A `Dialect`. Bytes go on as they are, both ways; a form is written anew."""

    name = PASS_THROUGH
    routes: Sequence[tuple[str, str]] = [(method, ROUTE + "/{rest:path}") for method in METHODS]
    model_type = ""
    accepts: type[Body] | None = RawBody
    sorts_bodies = True
    max_body_bytes: int | None = MAX_FORM_BYTES
    headers: Collection[str] = frozenset(
        {
            *("accept", "accept-language", "content-type", "if-match", "if-none-match", "range"),
            *("idempotency-key", "openai-beta", "openai-safety-identifier", "x-client-request-id"),
        }
    )
    """Not those that choose another organization or project than that of the account."""

    def parse(self, request: Request) -> Ask:
        if request.method not in METHODS:  # the answer to HEAD has a length and no body, of which the way knows nothing
            raise MethodNotAllowed(METHODS)
        passed_path(request)
        account, model = request.path_params["account"], _model(request)
        if model is None:
            asked = ObjectAsk(api=PASS_THROUGH, type=NOTHING_KNOWN, action="pass")
            return Ask(None, has_output=False, account=account, expected=(Usage(),), object=asked)
        body = request.body
        return Ask(
            f"{account}/{model.removeprefix(f'{account}/')}",
            max_output_tokens=largest(body.fields, _LIMITS) if isinstance(body, JsonBody) else None,
            input_tokens=len(body.data) // BYTES_PER_TOKEN if isinstance(body, JsonBody) else 0,
        )

    def reading(self, call: Call, head: Head) -> Reading:
        return PassedReading(head)


def _model(request: Request) -> str | None:
    """Which the body names; None: none. Raises BadRequest: one is named where it would go unseen."""
    try:
        # Which some servers read as two fields, where others read one.
        elsewhere = any(name.lower() == "model" for name, _ in named_in(request.query.replace(b";", b"&")))
    except ValueError as error:
        raise BadRequest("the query cannot be read: it has too many fields") from error
    if elsewhere:
        raise BadRequest("name the model in the body, and not in the query", param="model")
    match request.body:
        case JsonBody(fields=fields):
            if hidden := next((name for name in fields if name != "model" and name.lower() == "model"), None):
                raise BadRequest(f'the field "model" is written in lower case, and not "{hidden}"', param="model")
            return model_of(fields) if bytes(fields.get("model", b"null")) != b"null" else None
        case FormBody(parts=parts) as form:
            return form_model(form) if any(part.name.lower() == "model" for part in parts) else None
        case RawBody() as body:
            _refuse_disguised(body)
    return None


def _refuse_disguised(body: RawBody) -> None:
    """What names a model, or a file of somebody's, must not pass as something in which nobody looks for that: there are
    servers that read any body as JSON."""
    kind = body.content_type.partition(";")[0].strip().lower()
    if not _KIND.fullmatch(kind):
        raise BadRequest("the content type is none: one type, as application/json", param="content-type")
    if kind.startswith("multipart/") or kind == "application/x-www-form-urlencoded":
        raise BadRequest("a form has to be multipart/form-data", param="content-type")
    beginning = body.beginning.lstrip(_BLANK)
    if "json" in kind or beginning.startswith((b"{", b"[")) or (body.beginning and not beginning):
        raise BadRequest("JSON has to come as application/json", param="content-type")


PASSED = PassThrough()
