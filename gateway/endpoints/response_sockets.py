"""Responses over a WebSocket: each `response.create` goes through the pipeline as a request does, with a record and a
bill of its own, and its events come back as messages.

What a connection remembers goes on without being stored anywhere, whoever made the response: providers are asked by
plain requests, with all of the conversation.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import msgspec

from gateway.contract import Call, Dialect, JsonBody, Models, Request
from gateway.contract.objects import owner_of
from gateway.contract.route import NO_METADATA
from gateway.endpoints.told_answer import ToldAnswer
from gateway.errors import BadRequest, ClientLeft, GatewayError, Overloaded, Stopping, TooLarge
from gateway.middleware.auth import SUBPROTOCOL
from gateway.middleware.parse import json_body, large_json_body
from gateway.proxy.asgi import ASGIApp, Message, Receive, Scope, Send
from gateway.proxy.bodies import LARGE
from gateway.proxy.drain import Drain
from gateway.proxy.exchange import KEY, Exchange
from gateway.proxy.kept import beside
from gateway.proxy.turns import Room, Turns
from gateway.wire.response_sockets import (
    Create,
    Last,
    body_of,
    create_of,
    error_message,
    in_stream,
    items_in,
    replayed,
)

LASTS_S = 3600.0
"""Source: as in `gateway.wire.response_sockets`."""
MAX_WAITING = 16
STALL_S = 60.0
"""A client that does not read what is told beside responses; for those, the pipeline looks after it."""
MAX_WAITING_BYTES = 20 * 1024 * 1024
"""Of one connection, while a response is being made: of one at a time, in the order they were asked for."""
SHARE_OF_ONE = 4
"""One of so many that may be open is the most of one caller: they last whether anything is said or not."""
GOING_AWAY, RESTARTS = 1001, 1012
_OF_THE_HANDSHAKE = (b"connection", b"upgrade", b"sec-websocket-", b"content-", b"transfer-encoding", b"openai-beta")
_encode = msgspec.json.encode

Prepare = Callable[[Call], tuple[str, list[bytes]]]
"""The id and the events of a response for which no model is asked."""


class ResponseSocketsEndpoint:
    """
    Args:
        app: takes requests in `dialect`, whose caller is not known yet.
        max_open: of connections and requests together.
        waits: for what is said while a response is being made, on all connections.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        dialect: Dialect,
        models: Models,
        prepare: Prepare,
        drain: Drain,
        max_open: int,
        lasts_s: float = LASTS_S,
        waits: Room | None = None,
    ) -> None:
        self.app = app
        self.dialect = dialect
        self.models = models
        self.prepare = prepare
        self.drain = drain
        self.max_open = max_open
        self.lasts_s = lasts_s
        self.room = Room()
        self.waits = waits or Room()
        self._open: set[_Connection] = set()
        drain.told.append(self._wake_all)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.drain.is_stopping:
            raise Stopping("the gateway is shutting down; ask again", retry_after_s=1)
        if len(self._open) + len(self.drain) >= self.max_open:
            raise Overloaded(f"{self.max_open} connections and requests are open; ask again", retry_after_s=1)
        owner = owner_of(Exchange.of(scope).caller)
        most = max(1, self.max_open // SHARE_OF_ONE)
        if sum(each.owner == owner for each in self._open) >= most:
            raise Overloaded(f"{most} connections of yours are open; close one of them", retry_after_s=1)
        await receive()  # says that there is a client
        # Browsers give up a WebSocket when none of the subprotocols they offer is chosen, one of which is the token.
        chosen = next((name for name in scope.get("subprotocols", ()) if not name.startswith(SUBPROTOCOL)), None)
        await send({"type": "websocket.accept", "subprotocol": chosen, "headers": []})
        connection = _Connection(self, scope, receive, send, owner=owner)
        self._open.add(connection)
        try:
            await connection.run()
        finally:
            self._open.discard(connection)

    def _wake_all(self) -> None:
        for connection in self._open:
            connection.woken.set()


class _Connection:
    def __init__(
        self, endpoint: ResponseSocketsEndpoint, scope: Scope, receive: Receive, send: Send, *, owner: str
    ) -> None:
        self.owner = owner
        self._endpoint = endpoint
        self._scope = scope
        self._receive = receive
        self._send = send
        self._turns = Turns(endpoint.room, owner=owner)
        self._waiting: deque[bytes] = deque()
        self._until = asyncio.get_running_loop().time() + endpoint.lasts_s
        self._left = asyncio.Event()
        self.woken = asyncio.Event()
        """There is something to look at: a message, an end."""

    async def run(self) -> None:
        reading = asyncio.create_task(self._read())
        try:
            while (message := await self._next()) is not None:
                await self._answer(message)
        except OSError:  # some servers raise from `send` when the client has gone
            pass
        finally:
            self._turns.clear()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            self._endpoint.waits.take(self.owner, -sum(map(len, self._waiting)))

    async def _read(self) -> None:
        """Until the client has left, which is looked for while a response is made."""
        try:
            while (message := await self._receive())["type"] != "websocket.disconnect":
                text = message.get("text")
                data: bytes = text.encode() if text is not None else message["bytes"]
                if self._has_room(len(data)):
                    self._endpoint.waits.take(self.owner, len(data))
                    self._waiting.append(data)
                    self.woken.set()
                else:
                    await self._refuse(TooLarge(f"more waits here than {MAX_WAITING} events; wait for a response"))
        finally:
            self._left.set()
            self.woken.set()

    def _has_room(self, size: int) -> bool:
        if len(self._waiting) >= MAX_WAITING or self._endpoint.waits.is_full_for(self.owner):
            return False
        return sum(map(len, self._waiting), size) <= MAX_WAITING_BYTES

    async def _next(self) -> bytes | None:
        """None: it is over, and the client knows."""
        loop = asyncio.get_running_loop()
        while not self._left.is_set():
            if loop.time() >= self._until:
                limit = f"a connection lasts {self._endpoint.lasts_s / 60:g} minutes; open a new one"
                await self._refuse(BadRequest(limit, code="websocket_connection_limit_reached"))
                await self._hang_up(GOING_AWAY, limit)
                return None
            if self._waiting:
                data = self._waiting.popleft()
                self._endpoint.waits.take(self.owner, -len(data))
                return data
            if self._endpoint.drain.is_stopping:
                await self._hang_up(RESTARTS, "the gateway is shutting down; open a new connection")
                return None
            self.woken.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._until):
                    await self.woken.wait()
        return None

    async def _answer(self, data: bytes) -> None:
        stream_id: str | None = None
        try:
            body = json_body(data) if len(data) <= LARGE else await large_json_body([data])
            said = create_of(body.fields)
            stream_id = said.stream_id
            await self._respond(said, body_of(body.fields))
        except GatewayError as error:
            if not self._left.is_set():
                await self._refuse(error, stream_id)

    async def _respond(self, said: Create, fields: dict[str, msgspec.Raw]) -> None:
        """Raises GatewayError: there is no response, or it broke off."""
        if said.background:
            raise BadRequest("background is not for WebSockets: ask with POST /v1/responses", param="background")
        previous, turns = said.previous_response_id, self._turns
        is_known = previous is not None and previous in turns
        is_prepared = said.generate is False
        # One that goes on from what is not remembered here would be remembered without that.
        is_remembered = (said.store is False or is_prepared) and (is_known or previous is None)
        items: list[msgspec.Raw] = []
        if is_known or is_remembered:
            given = fields.get("input")
            items = await beside(len(memoryview(given or b"")), lambda: items_in(given))
        if is_known:
            assert previous is not None
            fields["input"] = msgspec.Raw(b"[%b]" % b",".join([*map(bytes, turns.until(previous)), *map(bytes, items)]))
            del fields["previous_response_id"]
        last: Last | None = None
        try:
            last = await (self._prepared if is_prepared else self._made)(said, fields, previous if is_known else None)
        finally:
            if previous is not None and (last is None or not last.is_good):
                turns.forget(previous)
        if last is not None and last.is_good and is_remembered:
            turns.remember(last.id, [*items, *replayed(last.output)], after=previous)

    async def _prepared(self, said: Create, fields: dict[str, msgspec.Raw], previous: str | None) -> Last:
        endpoint = self._endpoint
        request = Request("POST", "/responses", {}, b"", JsonBody(fields, _encode(fields)))
        call = Call(endpoint.dialect, endpoint.dialect.parse(request), request)
        endpoint.models.find(call.ask.name, Exchange.of(self._scope).caller, NO_METADATA, "chat")
        id_, events = endpoint.prepare(call)
        for event in events:
            await self._tell(event, said.stream_id)
        return Last(id_, (), is_good=True)

    async def _made(self, said: Create, fields: dict[str, msgspec.Raw], previous: str | None) -> Last | None:
        turn = ToldAnswer(self._say, said.stream_id, previous)
        payload = [_encode(fields)]

        async def receive() -> Message:
            if payload:
                return {"type": "http.request", "body": payload.pop(), "more_body": False}
            await self._left.wait()
            return {"type": "http.disconnect"}

        scope = self._request(len(payload[0]))
        await self._endpoint.app(scope, receive, turn.take)
        if isinstance(error := Exchange.of(scope).error, ClientLeft):  # or does not read
            self._left.set()
            raise error
        await turn.end()
        return turn.last

    def _request(self, length: int) -> Scope:
        """The handshake once more, as a request with a body; who asks is looked up again, as a token may have ended."""
        scope = self._scope
        headers = [
            *(header for header in scope["headers"] if not header[0].startswith(_OF_THE_HANDSHAKE)),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % length),
        ]
        exchange = Exchange(headers=dict(headers), task=asyncio.current_task())
        exchange.dialect, exchange.route = self._endpoint.dialect, "/responses"
        state = {**(scope.get("state") or {}), KEY: exchange}
        secure = "https" if scope.get("scheme") in ("wss", "https") else "http"
        about = {"type": "http", "method": "POST", "scheme": secure, "headers": headers, "state": state}
        return {**scope, **about, "query_string": b"", "extensions": {}}

    async def _refuse(self, error: GatewayError, stream_id: str | None = None) -> None:
        again = {} if error.retry_after_s is None else {"retry-after": f"{error.retry_after_s:g}"}
        await self._tell(error_message(error.status, self._endpoint.dialect.error(error), again), stream_id)

    async def _tell(self, message: bytes, stream_id: str | None) -> None:
        try:
            async with asyncio.timeout(STALL_S):
                await self._say(message, stream_id)
        except TimeoutError:
            self._left.set()

    async def _say(self, message: bytes, stream_id: str | None) -> None:
        await self._send({"type": "websocket.send", "text": in_stream(message, stream_id).decode()})

    async def _hang_up(self, code: int, reason: str) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})
