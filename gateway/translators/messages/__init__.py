"""Callers of Anthropic's Messages API in front of every model: their calls as OpenAI's chat, and its replies back.

`ToHub` leads into the hub, which has more than OpenAI's API: thinking with signatures, markers for caches, documents of
all kinds. `ToOpenAI` is for providers that refuse what is not in that API, and `ToExtended` for those of open models,
who know a little more. Both say what they had to leave out.
"""

from collections.abc import Callable
from os import urandom

from gateway.contract import Call, Head, JsonBody, Reading
from gateway.translators.messages.extent import Extent
from gateway.translators.messages.reply import ReplyReading
from gateway.translators.messages.request import body_of
from gateway.translators.messages.stream import StreamedReply
from gateway.translators.replayed import Replayed


class ToHub:
    """A `Translator`.

    Args:
        new_id: for messages of providers that give them none.
    """

    dialect = "messages"
    format = "chat"
    extent = Extent(is_hub=True, has_reasoning=True)

    def __init__(self, *, new_id: Callable[[], str] = lambda: urandom(12).hex()) -> None:
        self._new_id = new_id

    def request(self, call: Call, model: str) -> JsonBody:
        return body_of(call, model, self.extent)

    def reading(self, call: Call, head: Head) -> Reading:
        shows_thinking = b'"disabled"' not in bytes(call.fields.get("thinking", b""))
        kind = StreamedReply if head.is_stream or call.ask.stream else ReplyReading
        made = kind(call.ask.name, self._new_id, shows_thinking=shows_thinking)
        return made if made.is_stream == head.is_stream else Replayed(made)


class ToOpenAI(ToHub):
    """The same within what OpenAI's own API knows."""

    format = "openai"
    extent = Extent()


class ToExtended(ToHub):
    """The same within what servers of open models know: the reasoning of earlier turns, without signatures, and
    `top_k`. Source: vLLM, SGLang, Ollama, OpenRouter and DeepSeek, which refuses calls that come back without it."""

    format = "openai-extended"
    extent = Extent(has_reasoning=True)
