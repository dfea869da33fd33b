"""From OpenAI's chat into Bedrock's Converse, and its replies back."""

from collections.abc import Callable
from time import time

from gateway.contract import Call, Head, JsonBody
from gateway.translators.chat import ChatChunks
from gateway_aws.frames import CONTENT_TYPE
from gateway_aws.reply import ConverseReading
from gateway_aws.request import body_of
from gateway_aws.stream import ConverseStreamReading

_NULL = b"null"


class ToConverse:
    """A `Translator`. `clock`: seconds since 1970."""

    dialect = "chat"
    format = "bedrock"

    def __init__(self, *, clock: Callable[[], float] = time) -> None:
        self._clock = clock

    def request(self, call: Call, model: str) -> JsonBody:
        return body_of(call, model)

    def reading(self, call: Call, head: Head) -> ConverseReading | ConverseStreamReading:
        id_ = f"chatcmpl-{head.headers.get('x-amzn-requestid', '')}"
        model, created_s = call.ask.name, self._clock()
        answer_tool, shows_tier = _has(call, "response_format"), _has(call, "service_tier")
        if not head.headers.get("content-type", "").startswith(CONTENT_TYPE):
            return ConverseReading(
                id=id_, model=model, created_s=created_s, answer_tool=answer_tool, shows_tier=shows_tier
            )
        chunks = ChatChunks(
            id=id_,
            model=model,
            created_s=created_s,
            wants_usage=call.ask.wants_usage,
            answer_tool=answer_tool,
        )
        return ConverseStreamReading(chunks, shows_tier=shows_tier)


def _has(call: Call, name: str) -> bool:
    return bytes(call.fields.get(name, _NULL)) != _NULL
