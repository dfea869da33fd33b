"""Callers of Google's Gemini API in front of every model: their calls as OpenAI's chat, and its replies back.

`ToHub`, `ToOpenAI` and `ToExtended` differ as those of `gateway.translators.messages` do. Google's own models are not
reached this way: they get what the caller sent.
"""

from collections.abc import Callable
from os import urandom

from gateway.contract import Call, Head, JsonBody, Reading
from gateway.translators.gemini.names import shows_thoughts
from gateway.translators.gemini.reply import Shown
from gateway.translators.gemini.request import body_of
from gateway.translators.gemini.stream import StreamedReply
from gateway.translators.gemini.whole import ReplyReading
from gateway.translators.messages.extent import Extent
from gateway.translators.replayed import Replayed
from gateway.wire.gemini import wants_list


class ToHub:
    """A `Translator`.

    Args:
        new_id: for answers of providers that give them none, and for calls.
    """

    dialect = "gemini"
    format = "chat"
    extent = Extent(is_hub=True, has_reasoning=True)

    def __init__(self, *, new_id: Callable[[], str] = lambda: urandom(12).hex()) -> None:
        self._new_id = new_id

    def request(self, call: Call, model: str) -> JsonBody:
        return body_of(call, model, self.extent)

    def reading(self, call: Call, head: Head) -> Reading:
        shown = Shown(call.ask.name, self._new_id, shows_thinking=shows_thoughts(call.fields))
        if not head.is_stream and not call.ask.stream:
            return ReplyReading(shown, is_list=wants_list(call.request))
        return StreamedReply(shown) if head.is_stream else Replayed(StreamedReply(shown))


class ToOpenAI(ToHub):
    """Within what OpenAI's own API knows."""

    format = "openai"
    extent = Extent()


class ToExtended(ToHub):
    """Within what servers of open models know."""

    format = "openai-extended"
    extent = Extent(has_reasoning=True)
