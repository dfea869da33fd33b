"""The least that can relay a request: what a gateway costs more than this, its features cost."""

from typing import Any

import aiohttp


class BareRelay:
    """Sends each request body on to `url` plus its path, and the answer back as it comes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session: aiohttp.ClientSession

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {"content-type": "application/json"}
        async with self.session.post(self.url + scope["path"], data=body, headers=headers) as reply:
            names = ("content-type", "content-length")
            head = [(name.encode(), reply.headers[name].encode()) for name in names if name in reply.headers]
            await send({"type": "http.response.start", "status": reply.status, "headers": head})
            async for chunk in reply.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    async def live(self, receive: Any, send: Any) -> None:
        await receive()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=None)
        ) as self.session:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
