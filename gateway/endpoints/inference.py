"""The one endpoint of all inference routes."""

from collections.abc import Mapping

from gateway.errors import ClientLeft, GatewayError
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.deadlines import Deadlines
from gateway.proxy.exchange import Exchange
from gateway.proxy.passing import PROXY, PassedWriter, PassingWriter
from gateway.proxy.responder import Responder
from gateway.proxy.watch import Timing, Watch
from gateway.proxy.writer import ResponseWriter
from gateway.wire.pass_through import PASS_THROUGH

WRITERS: Mapping[str, type[ResponseWriter]] = {PROXY: PassingWriter, PASS_THROUGH: PassedWriter}


class InferenceEndpoint:
    """Has the answer of what was chosen relayed.

    Args:
        by_account: answers what is about something of an account, as files are.
        apart: name of a dialect -> what answers its calls, whatever they are about.
        sessions: takes WebSockets.
    """

    def __init__(
        self,
        *,
        responder: Responder,
        timing: Timing,
        by_account: Responder | None = None,
        apart: Mapping[str, Responder] = {},
        sessions: ASGIApp | None = None,
    ) -> None:
        self.responder = responder
        self.by_account = by_account
        self.apart = apart
        self.sessions = sessions
        self.timing = timing
        self.waiting = Deadlines(timing.watch_after_s, Watch.begin)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and self.sessions is not None:
            await self.sessions(scope, receive, send)
            return
        exchange = Exchange.of(scope)
        call = exchange.call
        assert call is not None, "ParseMiddleware has to come before this endpoint"
        assert exchange.choice is not None, "ModelMiddleware has to come before this endpoint"
        writer = WRITERS.get(call.dialect.name, ResponseWriter)(send, exchange)
        responder = self.apart.get(call.dialect.name)
        if responder is None:
            responder = self.responder if call.ask.object is None else self.by_account or self.responder
        try:
            with Watch(exchange, receive, writer, self.timing, self.waiting):
                await responder.respond(exchange, writer)
        except GatewayError as error:
            await writer.fail(error, call.dialect)
        except OSError as error:  # some servers raise from `send` when the client has gone
            raise ClientLeft("the client closed the connection") from error
        finally:
            writer.close()
