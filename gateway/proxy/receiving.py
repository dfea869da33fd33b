"""What requests of the gateway's own are read from."""

import asyncio

from gateway.proxy.asgi import Message, Receive


def receiving(*messages: Message) -> Receive:
    """For requests of the gateway's own: gives these, and then waits, as nobody is there who could leave."""
    coming = [*reversed(messages)]

    async def receive() -> Message:
        if not coming:
            await asyncio.Event().wait()
        return coming.pop()

    return receive
