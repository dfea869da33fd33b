"""Callers of OpenAI's Responses API in front of every model: their calls as OpenAI's chat, and its replies back.

`ToHub` leads into the hub, `ToOpenAI` to providers that refuse what is not in OpenAI's chat API, and `ToExtended` to
those of open models, who know a little more. All say what they had to leave out.
"""

from collections.abc import Callable
from os import urandom
from time import time

from gateway.contract import Call, Head, JsonBody, Reading
from gateway.translators.messages.extent import Extent
from gateway.translators.replayed import Replayed
from gateway.translators.responses.reply import ReplyReading
from gateway.translators.responses.request import body_of
from gateway.translators.responses.stream import StreamedReply


class ToHub:
    """A `Translator`.

    Args:
        new_id: 32 hexadecimal digits, of which the ids of a response and its items are made.
        clock: seconds since 1970.
    """

    dialect = "responses"
    format = "chat"
    extent = Extent(is_hub=True, has_reasoning=True)

    def __init__(
        self, *, new_id: Callable[[], str] = lambda: urandom(16).hex(), clock: Callable[[], float] = time
    ) -> None:
        self._new_id = new_id
        self._clock = clock

    def request(self, call: Call, model: str) -> JsonBody:
        return body_of(call, model, self.extent)

    def reading(self, call: Call, head: Head) -> Reading:
        kind = StreamedReply if head.is_stream or call.ask.stream else ReplyReading
        made = kind(call, self._new_id(), int(self._clock()))
        return made if made.is_stream == head.is_stream else Replayed(made)


class ToOpenAI(ToHub):
    """The same within what OpenAI's own chat API knows."""

    format = "openai"
    extent = Extent()


class ToExtended(ToHub):
    """The same within what servers of open models know: the reasoning of earlier turns, without signatures."""

    format = "openai-extended"
    extent = Extent(has_reasoning=True)
