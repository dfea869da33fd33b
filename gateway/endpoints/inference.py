"""The one endpoint of all inference routes."""

import asyncio

from gateway.asgi import Receive, Scope, Send
from gateway.contract import Models, Upstream
from gateway.dispatch import dispatch
from gateway.errors import BadRequest, ClientLeft, GatewayError
from gateway.exchange import Exchange
from gateway.outlet import Outlet
from gateway.overdue import Overdue
from gateway.relay import relay
from gateway.watch import Timing, Watch


class InferenceEndpoint:
    """Finds the model, asks its provider, and relays the reply."""

    def __init__(self, *, models: Models, network: Upstream, timing: Timing) -> None:
        self.models = models
        self.network = network
        self.timing = timing
        self.waiting = Overdue(timing.watch_after_s, Watch.begin)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        call = exchange.call
        assert call is not None, "ParseMiddleware has to come before this endpoint"
        targets = [
            t for t in self.models.find(call.ask.model, exchange.caller) if call.dialect.model_type in t.model_types
        ]
        if not targets:
            kind = call.dialect.model_type
            raise BadRequest(f"{call.ask.model} is not declared as a {kind} model (model_types)", param="model")
        outlet = Outlet(send, exchange)
        try:
            with Watch(exchange, receive, outlet, self.timing, self.waiting):
                target, reply = await dispatch(exchange, call, targets, self.network)
                try:
                    await relay(exchange, call, target, reply, outlet)
                finally:
                    reply.close()
        except asyncio.CancelledError:
            reason = exchange.resume()
            if reason is None:
                raise
            await outlet.fail(reason, call.dialect)
        except GatewayError as error:
            await outlet.fail(error, call.dialect)
        except OSError as error:  # some servers raise from `send` when the client has gone
            raise ClientLeft("the client closed the connection") from error
        finally:
            outlet.close()
