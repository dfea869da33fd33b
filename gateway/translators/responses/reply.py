"""A whole chat completion as a response."""

import msgspec

from gateway.contract import Call
from gateway.errors import BrokeOff
from gateway.translators.reading import DocumentReading
from gateway.translators.responses.chunks import Narrator
from gateway.translators.responses.events import ResponseEvents
from gateway.translators.responses.response import response_to
from gateway.translators.responses.tools import offered_in
from gateway.translators.said import completion_of


class ReplyReading(DocumentReading):
    """
    Args:
        hexadecimal: of the response's id.
        created_at: seconds since 1970.
    """

    def __init__(self, call: Call, hexadecimal: str, created_at: int) -> None:
        super().__init__()
        self.response = response_to(call, hexadecimal, created_at)
        self._narrator = Narrator(ResponseEvents(self.response), offered_in(call.fields), hexadecimal)
        self._at = created_at
        self._tier: str | None = None

    def document(self, body: bytes) -> bytes:
        said = completion_of(body)
        if not said.choices or said.choices[0].message is None:
            raise BrokeOff("the provider's answer has no message in it")
        self.told_usage = said.used
        self._tier = said.service_tier
        for place, call in enumerate(said.choices[0].message.tool_calls or ()):
            call.index = place  # each is whole, whatever ids and indexes they share
        self._narrator.choice(said.choices[0])
        self._narrator.end(self.told_usage, self._tier, self._at)
        return msgspec.json.encode(self.response)

    def service_tier(self) -> str | None:
        return self._tier
