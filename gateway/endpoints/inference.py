"""The one endpoint of all inference routes."""

import asyncio

from gateway.errors import ClientLeft, GatewayError
from gateway.proxy.asgi import Receive, Scope, Send
from gateway.proxy.deadlines import Deadlines
from gateway.proxy.dispatch import Dispatcher
from gateway.proxy.exchange import Exchange
from gateway.proxy.watch import Timing, Watch
from gateway.proxy.writer import ResponseWriter


class InferenceEndpoint:
    """Has the answer of what was chosen relayed."""

    def __init__(self, *, dispatcher: Dispatcher, timing: Timing) -> None:
        self.dispatcher = dispatcher
        self.timing = timing
        self.waiting = Deadlines(timing.watch_after_s, Watch.begin)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        call, choice = exchange.call, exchange.choice
        assert call is not None, "ParseMiddleware has to come before this endpoint"
        assert choice is not None, "ModelMiddleware has to come before this endpoint"
        writer = ResponseWriter(send, exchange)
        try:
            with Watch(exchange, receive, writer, self.timing, self.waiting):
                await self.dispatcher.answer(exchange, call, choice, writer)
        except asyncio.CancelledError:
            reason = exchange.resume()
            if reason is None:
                raise
            await writer.fail(reason, call.dialect)
        except GatewayError as error:
            await writer.fail(error, call.dialect)
        except OSError as error:  # some servers raise from `send` when the client has gone
            raise ClientLeft("the client closed the connection") from error
        finally:
            writer.close()
