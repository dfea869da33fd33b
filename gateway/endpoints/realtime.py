"""Where the realtime API will be served."""

from gateway.errors import NotServed, UpgradeRequired
from gateway.proxy.asgi import Receive, Scope, Send


class RealtimeEndpoint:
    """Refuses a WebSocket with what to use instead, and a request for not being one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raise UpgradeRequired("this path takes a WebSocket")
        raise NotServed("the realtime API is not served yet; use /v1/chat/completions, with `stream`")
