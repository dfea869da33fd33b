"""From OpenAI's chat into Anthropic's Messages, and its replies back."""

from collections.abc import Callable
from time import time

from gateway.contract import Call, Head, JsonBody
from gateway.translators.chat import ANSWER_TOOL
from gateway_anthropic.flavour import FLAVOURS, Flavour
from gateway_anthropic.reply import ReplyReading
from gateway_anthropic.request import body_of
from gateway_anthropic.stream import StreamedReply

_NULL = b"null"
_ANSWER_TOOL = ANSWER_TOOL.encode()


class ToMessages:
    """A `Translator`.

    Args:
        flavour: None: that of `format` in `FLAVOURS`.
        streamed: whose streams come in frames of their own, give it another `split`.
        clock: seconds since 1970.
    """

    dialect = "chat"

    def __init__(
        self,
        flavour: Flavour | None = None,
        *,
        format: str = "anthropic",  # noqa: A002  the word of the trade
        streamed: type[StreamedReply] = StreamedReply,
        clock: Callable[[], float] = time,
    ) -> None:
        self.format = format
        self._flavour = flavour or FLAVOURS[format]
        self._streamed = streamed
        self._clock = clock

    def request(self, call: Call, model: str) -> JsonBody:
        return body_of(call, model, self._flavour)

    def reading(self, call: Call, head: Head) -> ReplyReading | StreamedReply:
        # Not by response_format: a route may have added it, and that is not seen here.
        answer_tool = _ANSWER_TOOL not in bytes(call.fields.get("tools", b""))
        shows_tier = bytes(call.fields.get("service_tier", _NULL)) != _NULL
        if not head.is_stream:
            return ReplyReading(self._clock(), answer_tool=answer_tool, shows_tier=shows_tier)
        return self._streamed(
            self._clock(), wants_usage=call.ask.wants_usage, answer_tool=answer_tool, shows_tier=shows_tier
        )


def to_aws() -> ToMessages:
    """For the Claude Platform on AWS."""
    return ToMessages(format="anthropic-on-aws")


def to_mantle() -> ToMessages:
    """For Amazon Bedrock's own endpoint for the Messages API."""
    return ToMessages(format="anthropic-mantle")


def to_bedrock() -> ToMessages:
    """For Amazon Bedrock's InvokeModel, whose streams come in frames: see `EventReading.split`."""
    return ToMessages(format="anthropic-bedrock")


def to_vertex() -> ToMessages:
    """For Vertex AI, as Google runs it."""
    return ToMessages(format="anthropic-vertex")


def to_foundry() -> ToMessages:
    """For Microsoft Foundry."""
    return ToMessages(format="anthropic-foundry")
