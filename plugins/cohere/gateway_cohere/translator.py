"""From OpenAI's chat into Cohere's, and its replies back."""

from collections.abc import Callable
from time import time

from gateway.contract import Call, Head, JsonBody
from gateway.translators.chat import ANSWER_TOOL
from gateway_cohere.reply import ReplyReading
from gateway_cohere.request import body_of
from gateway_cohere.stream import StreamedReply

FORMAT = "cohere"
_ANSWER_TOOL = ANSWER_TOOL.encode()


class ToChat:
    """A `Translator`. `clock`: seconds since 1970."""

    dialect = "chat"
    format = FORMAT

    def __init__(self, *, clock: Callable[[], float] = time) -> None:
        self._clock = clock

    def request(self, call: Call, model: str) -> JsonBody:
        return body_of(call, model)

    def reading(self, call: Call, head: Head) -> ReplyReading | StreamedReply:
        # Not by response_format: a route may have added it, and that is not seen here.
        answer_tool = _ANSWER_TOOL not in bytes(call.fields.get("tools", b""))
        model = call.ask.name
        if not head.is_stream:
            return ReplyReading(model, self._clock(), answer_tool=answer_tool)
        return StreamedReply(model, self._clock(), wants_usage=call.ask.wants_usage, answer_tool=answer_tool)
