"""From OpenAI's chat into Gemini's `generateContent`, and its replies back."""

from collections.abc import Callable
from time import time
from uuid import uuid4

from gateway.contract import Call, Head, JsonBody
from gateway.wire.google import TIERS
from gateway_google.document import GeminiDocument
from gateway_google.request import body_of
from gateway_google.stream import GeminiStream

_NULL = b"null"


def new_id() -> str:
    """Of a call that Google gave none: no longer than OpenAI's may be."""
    return f"call_{uuid4().hex[:24]}"


class ToGemini:
    """A `Translator`.

    Args:
        clock: seconds since 1970.
    """

    dialect = "chat"
    format = "gemini"

    def __init__(self, *, clock: Callable[[], float] = time, new_id: Callable[[], str] = new_id) -> None:
        self._clock = clock
        self._new_id = new_id

    def request(self, call: Call, model: str) -> JsonBody:
        return body_of(call, model)

    def reading(self, call: Call, head: Head) -> GeminiDocument | GeminiStream:
        answer_tool, shows_tier = _has(call, "response_format"), _has(call, "service_tier")
        said = head.headers.get("x-gemini-service-tier")
        tier = TIERS.get(said, said) if said else None
        if not head.is_stream:
            return GeminiDocument(
                self._clock(), new_id=self._new_id, answer_tool=answer_tool, shows_tier=shows_tier, tier=tier
            )
        return GeminiStream(
            self._clock(),
            new_id=self._new_id,
            wants_usage=call.ask.wants_usage,
            answer_tool=answer_tool,
            shows_tier=shows_tier,
            tier=tier,
        )


def _has(call: Call, name: str) -> bool:
    return bytes(call.fields.get(name, _NULL)) != _NULL
