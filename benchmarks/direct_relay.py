"""The bare relay once more, with the gateway's own client towards the provider in place of `ClientSession`."""

from typing import Any

from gateway.contract import Endpoint, UpstreamRequest
from gateway.upstream.client import HttpUpstream


class DirectRelay:
    """Sends each request body on to `url` plus its path, and the answer back as it comes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.upstream = HttpUpstream()
        self.endpoints: dict[str, Endpoint] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        reply = await self.upstream.call(UpstreamRequest(endpoint=self.endpoint(scope["path"]), body=body))
        try:
            names = ("content-type", "content-length")
            head = [(name.encode(), reply.headers[name].encode()) for name in names if name in reply.headers]
            await send({"type": "http.response.start", "status": reply.status, "headers": head})
            while chunk := await reply.read():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            reply.close()
        await send({"type": "http.response.body"})

    def endpoint(self, path: str) -> Endpoint:
        if path not in self.endpoints:
            self.endpoints[path] = Endpoint(self.url + path, {"content-type": "application/json"})
        return self.endpoints[path]

    async def live(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.upstream.close()
        await send({"type": "lifespan.shutdown.complete"})
