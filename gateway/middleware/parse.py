"""Reads the body, once, and finds out what is asked."""

import asyncio
import re
from collections.abc import Callable, Collection, Mapping

import msgspec

from gateway.contract import Call, Dialect, FormBody, JsonBody, RawBody, Request, StreamBody
from gateway.contract.request import Body
from gateway.errors import BadRequest
from gateway.proxy.asgi import DEPLOYMENT, ASGIApp, Receive, Scope, Send, route_path, too_large
from gateway.proxy.bodies import LARGE, Bodies
from gateway.proxy.exchange import Exchange
from gateway.proxy.incoming import Incoming
from gateway.proxy.options import OPTIONS, metadata_of, options_of
from gateway.proxy.spool import Disk, Spool
from gateway.wire.disguised import disguised
from gateway.wire.form import FormReader
from gateway.wire.forwarding import of_connection
from gateway.wire.raw import RawReader

PIECE = 1024 * 1024
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
MAX_FIELDS = 1000
"""At the top level, where the APIs know some dozens. A million take a second to decode, and 400 MB."""

NO_SHAPES: Mapping[str, Callable[[JsonBody], JsonBody]] = {}
_KINDS: Mapping[str, type[Body]] = {"application/json": JsonBody, "multipart/form-data": FormBody}
_HALF_OF_A_PAIR = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
"""Clients make it where they cut a text in the middle of a character."""
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_value = msgspec.json.Decoder(msgspec.Raw)
_NAME = re.compile(rb'[ \t\r\n]*+[{,][ \t\r\n]*+"(?:[^"\\]++|\\.)*+"[ \t\r\n]*+:', re.DOTALL)
_VALUE_ENDS = re.compile(r"trailing characters \(byte ([0-9]+)\)")
"""How msgspec says where a value ends that something follows: it has no other way."""


class ParseMiddleware:
    """Fills `Exchange.call` of requests that have a dialect; others keep their body.

    Large bodies are read one at a time, and each in several turns of the event loop: as many at once as there are
    connections would hold everybody else up until the last of them has been read.

    Args:
        disk: where uploads may be while they are too large for memory.
        large: held while a large one is read; the same for all that take turns.
        shapes: name of a dialect -> makes its own of bodies that clients send in another shape: those without
            `messages`, or with `tools`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        bodies: Bodies,
        max_body_bytes: int,
        disk: Disk | None = None,
        large: asyncio.Lock | None = None,
        shapes: Mapping[str, Callable[[JsonBody], JsonBody]] = NO_SHAPES,
    ) -> None:
        self.app = app
        self.shapes = shapes
        self.disk = disk
        self.bodies = bodies
        self.max_body_bytes = max_body_bytes
        self.large = large or asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        dialect = exchange.dialect
        if dialect is not None:
            pieces: list[bytes] = []
            accepts = dialect.accepts
            if accepts is not None and scope["method"] in WITH_BODY:
                max_bytes = dialect.max_body_bytes or self.max_body_bytes
                if accepts is RawBody and getattr(dialect, "sorts_bodies", False):
                    accepts = _kind(exchange)
                    max_bytes = self.max_body_bytes if accepts is JsonBody else max_bytes
                if int(exchange.headers.get(b"content-length", b"0")) > max_bytes:
                    raise too_large(max_bytes)
                if accepts is StreamBody and _is_large(exchange):
                    await self._with_stream(scope, receive, send, exchange, dialect, max_bytes)
                    return
                if accepts is not JsonBody:
                    await self._with_upload(scope, receive, send, exchange, dialect, accepts, max_bytes)
                    return
                pieces = await self.bodies.read(exchange, receive, max_bytes=max_bytes)
            if (len(pieces[0]) if len(pieces) == 1 else sum(map(len, pieces))) <= LARGE:
                body = _body(pieces)
                shape = self.shapes.get(dialect.name) if self.shapes else None
                if shape is not None and body is not None and ("tools" in body.fields or "messages" not in body.fields):
                    body = shape(body)
                request = _request(scope, exchange, body)
                ask = dialect.parse(request)
            else:
                async with self.large:
                    large = await large_json_body(pieces)
                    if self.shapes and dialect.name in self.shapes:
                        large = await asyncio.to_thread(self.shapes[dialect.name], large)
                    request = _request(scope, exchange, large)
                    await asyncio.sleep(0)
                    ask = dialect.parse(request)
                    await asyncio.sleep(0)
            if not exchange.headers.keys().isdisjoint(OPTIONS):
                _read_options(exchange)
            exchange.call = Call(dialect=dialect, ask=ask, request=request, provider_key=exchange.provider_key)
        await self.app(scope, receive, send)

    async def _with_stream(
        self, scope: Scope, receive: Receive, send: Send, exchange: Exchange, dialect: Dialect, max_bytes: int
    ) -> None:
        """It is read when somebody takes it, and only then can be heard what the client says behind it."""
        incoming = Incoming(exchange, receive, max_bytes=max_bytes, piece_s=self.bodies.timeout_s)
        length = exchange.headers.get(b"content-length")
        request = _request(scope, exchange, StreamBody(incoming, int(length) if length is not None else None))
        ask = dialect.parse(request)
        _read_options(exchange)
        exchange.call = Call(dialect=dialect, ask=ask, request=request, provider_key=exchange.provider_key)
        await self.app(scope, incoming.receive, send)

    async def _with_upload(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        exchange: Exchange,
        dialect: Dialect,
        accepts: type[Body],
        max_bytes: int,
    ) -> None:
        """What is large in it is kept in a file for as long as the request lasts."""
        async with Spool(self.disk) as spool:
            content_type = _content_type(exchange)
            reader = FormReader(content_type, spool) if accepts is FormBody else RawReader(content_type, spool)

            async def take(piece: bytes) -> None:
                reader.feed(piece)
                await spool.flush()
                await asyncio.sleep(0)

            await self.bodies.upload(exchange, receive, take, max_bytes=max_bytes)
            body = reader.end()
            await spool.flush(is_end=True)
            request = _request(scope, exchange, body)
            ask = dialect.parse(request)
            _read_options(exchange)
            exchange.call = Call(dialect=dialect, ask=ask, request=request, provider_key=exchange.provider_key)
            await self.app(scope, receive, send)


def _read_options(exchange: Exchange) -> None:
    exchange.options = options_of(exchange.headers)
    exchange.metadata = metadata_of(exchange.headers)


def _request(scope: Scope, exchange: Exchange, body: Body | None) -> Request:
    dialect, places = exchange.dialect, scope.get("path_params")
    if places and DEPLOYMENT in places:
        body = _named(body, places[DEPLOYMENT]) if dialect is not None and dialect.model_type else body
        places = None  # from here on it is a request like any other
    names: Collection[str] = getattr(dialect, "headers", ())  # `isinstance` of a protocol would take a microsecond
    return Request(
        scope.get("method", "GET"),  # the handshake of a WebSocket is one
        exchange.route,
        places or {},
        scope.get("query_string", b""),
        body,
        route_path(scope) if places else "",
        _headers(scope, names) if names else {},
    )


def _named(body: Body | None, model: str) -> Body | None:
    """With the model that stands in the path, whatever the body says."""
    if isinstance(body, JsonBody):
        fields = {**body.fields, "model": msgspec.Raw(msgspec.json.encode(model))}
        return msgspec.structs.replace(body, fields=fields)
    return body.with_texts({"model": model}) if isinstance(body, FormBody) else body


def _headers(scope: Scope, names: Collection[str]) -> dict[str, str]:
    """Of several lines with one name, the values in their order, with commas; without those that the client says are
    for its connection to us. Source: RFC 9110, sections 5.3 and 7.6.1."""
    found: dict[str, str] = {}
    left_out: frozenset[str] = frozenset()
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name == "connection":
            left_out |= of_connection(value)
        if name in names:
            found[name] = f"{found[name]},{value}" if name in found else value
    return {name: value for name, value in found.items() if name not in left_out} if left_out else found


def _body(pieces: list[bytes]) -> JsonBody | None:
    """What a small body holds; None: there is none."""
    return json_body(pieces[0] if len(pieces) == 1 else b"".join(pieces)) if pieces else None


def _kind(exchange: Exchange) -> type[Body]:
    """By the content type, whatever stands behind it."""
    kind = _content_type(exchange).partition(";")[0].strip().lower()
    return _KINDS.get(kind, RawBody)


def _is_large(exchange: Exchange) -> bool:
    """Or may be, as it does not say."""
    length = exchange.headers.get(b"content-length")
    return b"transfer-encoding" in exchange.headers if length is None else int(length) > LARGE


def _content_type(exchange: Exchange) -> str:
    return exchange.headers.get(b"content-type", b"application/octet-stream").decode("latin-1")


def json_body(data: bytes) -> JsonBody:
    """The top-level fields of a JSON object, each as the bytes that stand there.

    Raises:
        BadRequest: it is not a JSON object in UTF-8. The text never repeats any of the body.
    """
    if not data.isascii():
        _check_text(memoryview(data))  # msgspec does not look inside the strings it skips
    return JsonBody(_decoded(data), data)


async def large_json_body(pieces: list[bytes]) -> JsonBody:
    """The same in several turns."""
    data = b"".join(pieces)
    pieces.clear()
    await asyncio.sleep(0)
    if not data.isascii():
        begin = 0
        while begin < len(data):
            end = _end_of_piece(data, begin)
            _check_text(memoryview(data)[begin:end], begin)
            await asyncio.sleep(0)
            begin = end
    if has_too_many_fields(data):
        raise _too_many_fields()
    await asyncio.sleep(0)
    return JsonBody(_decoded(data), data)


def _decoded(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        fields = _fields.decode(body)
        if len(fields) > MAX_FIELDS:
            raise _too_many_fields()
        names = "".join(fields)  # of nearly all bodies, they are as they should be
        if names != names.casefold() and (name := disguised(fields)) is not None:
            raise BadRequest(f'the field "{name}" is written in lower case', param=name)
        return fields
    except RecursionError as error:
        raise BadRequest("the request body is nested too deeply") from error
    except msgspec.ValidationError as error:
        raise BadRequest("the request body has to be a JSON object") from error
    except msgspec.DecodeError as error:
        half = _HALF_OF_A_PAIR.search(body)
        why = f"a text in it has {half[0].decode()}, half of a surrogate pair" if half is not None else str(error)
        raise BadRequest(f"the request body is not JSON: {why}") from error


def _check_text(part: memoryview, begin: int = 0) -> None:
    try:
        str(part, "utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the request body is not UTF-8 (byte {begin + error.start})") from error


def _end_of_piece(body: bytes, begin: int) -> int:
    """So that no character is cut, none of which has more than four bytes."""
    end = begin + PIECE
    for earlier in range(end, end - 4, -1):
        if earlier >= len(body) or body[earlier] & 0xC0 != 0x80:
            return earlier
    return end


def has_too_many_fields(body: bytes) -> bool:
    """Whether a large body has more than `MAX_FIELDS`: found by skipping each, which is much cheaper than keeping it.

    What is no JSON object has none.
    """
    view = memoryview(body)
    at = 0
    for _ in range(MAX_FIELDS + 1):
        name = _NAME.match(body, at)
        if name is None:
            return False
        ends = _VALUE_ENDS.search(_trouble_with(view[name.end() :]))
        if ends is None:
            return False
        at = name.end() + int(ends[1]) - 1  # it has read what follows
    return True


def _trouble_with(json: memoryview) -> str:
    try:
        _value.decode(json)
    except (msgspec.DecodeError, RecursionError) as error:
        return str(error)
    return ""


def _too_many_fields() -> BadRequest:
    return BadRequest(f"the request body has more than {MAX_FIELDS:,} fields")
