"""The inner onion, where an answer is still a value and not yet messages to a client."""

from typing import Protocol

from gateway.proxy.exchange import Exchange
from gateway.proxy.writer import ResponseWriter


class Responder(Protocol):
    """Answers one call. The innermost asks providers; those around it look at what goes in and comes out, or answer by
    themselves."""

    async def respond(self, exchange: Exchange, writer: ResponseWriter) -> None:
        """Writes an answer to its end, for `Exchange.call`, which went to `Exchange.choice`.

        Raises:
            GatewayError: there is none, or it broke off; `ResponseWriter.has_content` tells whether some went out.
        """
