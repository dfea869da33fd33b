"""Answers that hold a provider's short-lived key: the caller gets one of the gateway's in its place."""

from gateway.contract import Call
from gateway.errors import BrokeOff
from gateway.proxy.exchange import Exchange
from gateway.proxy.relay import JSON
from gateway.proxy.responder import Responder
from gateway.proxy.session_keys import SessionKey, SessionKeys
from gateway.proxy.writer import HeldAnswer, ResponseWriter
from gateway.secrecy.secret import Secret
from gateway.wire.session_config import key_in, transcribes

SHORTEST_KEY = 8
"""Bytes; less is a word that may stand anywhere."""


class MintingResponder:
    """
    Args:
        responder: asks the provider.
    """

    def __init__(self, responder: Responder, *, keys: SessionKeys) -> None:
        self.responder = responder
        self.keys = keys

    async def respond(self, exchange: Exchange, writer: ResponseWriter) -> None:
        call = exchange.call
        assert call is not None
        exchange.observers = []  # they would be shown, and keep, the provider's own
        held = HeldAnswer(exchange)
        await self.responder.respond(exchange, held)
        await writer.whole(held.status, JSON, self._with_ours(exchange, call, held.body))

    def _with_ours(self, exchange: Exchange, call: Call, body: bytes) -> bytes:
        """The answer with our key wherever the provider's stands. Raises BrokeOff: it has none."""
        attempt, caller = exchange.attempt, exchange.caller
        told = key_in(body)
        if told is None or len(told.value) < SHORTEST_KEY or attempt is None or caller is None:
            raise BrokeOff("the provider did not answer with a key for sessions")
        key = SessionKey(
            caller=caller,
            model=attempt.target.name,
            asked=call.ask.name,
            provider_key=Secret(told.value),
            expires_at=told.expires_at or exchange.at + told.USUAL_S,
            transcribes=transcribes(call.request),
            metadata=exchange.metadata,
        )
        return body.replace(told.value.encode(), self.keys.close(key).encode())
