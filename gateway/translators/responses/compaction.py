"""A long conversation made short, for models that chat: they are asked for a summary, which stands in the place of what
was said before.

Source: platform.openai.com/docs/api-reference/responses/compact, types/responses/compacted_response.py of openai-python
3.57; read 2026-11.
"""

from collections.abc import Callable, Iterable
from os import urandom
from time import time
from typing import Any

import msgspec

from gateway.contract import Call, Head, JsonBody, Reading
from gateway.errors import BrokeOff
from gateway.translators.chat import ChatRequest
from gateway.translators.messages.extent import Extent
from gateway.translators.reading import DocumentReading
from gateway.translators.responses.request import messages_of
from gateway.translators.responses.response import usage_fields
from gateway.translators.said import completion_of
from gateway.wire.response_items import closed
from gateway.wire.responses import COMPACTION

_ASKED = (
    "Sum up the conversation above. Whoever goes on with it, you or another assistant, will see nothing of it but your "
    "summary. Keep what they need: what the user wants and has decided, what was done and found out, results that "
    "still count, what is left to do, and all names, paths, identifiers and figures exactly as they are. Write plain "
    "text and nothing around it."
)
_PASSED_ON = ("service_tier", "prompt_cache_key")
_encode = msgspec.json.encode


class CompactToHub:
    """A `Translator`."""

    dialect = COMPACTION
    format = "chat"
    extent = Extent(is_hub=True)

    def __init__(
        self, *, new_id: Callable[[], str] = lambda: urandom(16).hex(), clock: Callable[[], float] = time
    ) -> None:
        self._new_id = new_id
        self._clock = clock

    def request(self, call: Call, model: str) -> JsonBody:
        request = ChatRequest(call)
        request.raw("previous_response_id")  # what came before stands in the input
        messages = [*without_tools(messages_of(request, self.extent)), {"role": "user", "content": _ASKED}]
        fields = {"model": model, "messages": messages, **{name: request.raw(name) for name in _PASSED_ON}}
        told = {name: msgspec.Raw(_encode(value)) for name, value in fields.items() if value is not None}
        return JsonBody(told, dropped_params=request.dropped_params)

    def reading(self, call: Call, head: Head) -> Reading:
        return SummaryReading(self._new_id(), int(self._clock()))


class CompactToOpenAI(CompactToHub):
    """The same within what OpenAI's own chat API knows."""

    format = "openai"
    extent = Extent()


class CompactToExtended(CompactToOpenAI):
    """The same for servers of open models."""

    format = "openai-extended"


class SummaryReading(DocumentReading):
    """
    Args:
        hexadecimal: of the ids.
        created_at: seconds since 1970.
    """

    def __init__(self, hexadecimal: str, created_at: int) -> None:
        super().__init__()
        self._hexadecimal = hexadecimal
        self._at = created_at

    def document(self, body: bytes) -> bytes:
        said = completion_of(body)
        message = said.choices[0].message if said.choices else None
        text = message.text if message is not None else None
        if not text:
            raise BrokeOff("the provider's answer has no summary in it")
        self.told_usage = said.used
        item = {"type": "compaction", "id": f"cmp_gw{self._hexadecimal}_0", "encrypted_content": closed(text)}
        return _encode(
            {
                "id": f"resp_gw{self._hexadecimal}",
                "object": "response.compaction",
                "created_at": self._at,
                "output": [item],
                "usage": usage_fields(self.told_usage),
            }
        )


def without_tools(messages: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Calls and their results as text: providers take them as they are only beside the tools, which are not sent."""
    for message in messages:
        match message:
            case {"role": "tool", "tool_call_id": id_, "content": content}:
                head = {"type": "text", "text": f"Result of the call {id_}:"}
                parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
                yield {"role": "user", "content": [head, *parts]}
            case {"role": "assistant", "tool_calls": calls}:
                made = [
                    f"Call {call['id']}: {call['function']['name']}({call['function']['arguments']})" for call in calls
                ]
                yield {"role": "assistant", "content": "\n".join(filter(None, [message.get("content"), *made]))}
            case {"role": "assistant", "content": content}:
                yield {"role": "assistant", "content": content}
            case _:
                yield message
