"""OpenAI's realtime API: which model a session is with, and what its responses say they used.

Source: platform.openai.com/docs/guides/realtime-websocket and /realtime-costs, and docs/api-reference/realtime-server-
events; openai-python 3.57 (types/realtime); learn.microsoft.com/azure/ai-foundry/openai/realtime-audio-websockets; read
2026-11.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from gateway.contract.usage import AMOUNTS, Usage

MAX_LOOKED_AT = 1024 * 1024
"""Characters. A response tells of text, not of its sound, and is far smaller; what is larger passes unread."""
BASE64_CHARS_PER_TOKEN = 3200
"""Of sound that is spoken: a token is 50 ms, of 24,000 samples a second with two bytes each."""
AS_THEY_ARE = ("intent",)
"""What may stand in the query beside the model, and goes on. The rest may lead to other models and calls."""

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


class _Response(msgspec.Struct):
    usage: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    response: _Response | None = None
    delta: str | None = None
    usage: Any = None


_event = msgspec.json.Decoder(_Event)


class SessionMeter:
    """Adds up what the responses of a session used.

    Args:
        counts_transcripts: the model itself writes down what it hears, as nothing else is asked of it. In other
            sessions another model does, whose price is not known here.
    """

    def __init__(self, *, counts_transcripts: bool = False) -> None:
        self.total = Usage()
        self._counts_transcripts = counts_transcripts
        self._open = 0
        self._sound_chars = 0
        self._texts = 0

    @property
    def is_answering(self) -> bool:
        """A response has begun, and not ended."""
        return self._open > 0

    def look(self, message: str) -> bool:
        """At a message of the provider. Returns whether `total` has grown."""
        if len(message) > MAX_LOOKED_AT:
            return False
        try:
            event = _event.decode(message)
        except (msgspec.DecodeError, RecursionError):
            return False  # it is for the client to judge
        match event.type:
            case "response.created":
                self._open += 1
            case "response.done":
                return self._end(event.response)
            case "response.output_audio.delta" | "response.audio.delta":
                self._sound_chars += len(event.delta or "")
            case "response.output_text.delta" | "response.text.delta":
                self._texts += 1
            case "response.output_audio_transcript.delta" | "response.audio_transcript.delta":
                self._texts += 1
            case _ if event.type == TRANSCRIBED and self._counts_transcripts:
                return self._add(Usage.from_openai(event.usage))
        return False

    def end(self) -> Usage:
        """All of it; of a response that was under way, as much as has passed by, which makes it an estimate."""
        if not self.is_answering:
            return self.total
        begun = Usage(output=self._texts, audio_output=-(-self._sound_chars // BASE64_CHARS_PER_TOKEN))
        return msgspec.structs.replace(sum_of(self.total, begun), estimated=True)

    def _end(self, response: _Response | None) -> bool:
        self._open = max(0, self._open - 1)
        self._sound_chars = self._texts = 0
        return self._add(Usage.from_openai(response.usage) if response is not None else None)

    def _add(self, usage: Usage | None) -> bool:
        if usage is None:
            return False
        self.total = sum_of(self.total, usage)
        return True


def sum_of(one: Usage, other: Usage) -> Usage:
    return Usage(**{name: getattr(one, name) + getattr(other, name) for name in AMOUNTS})


def named_in(query: bytes) -> list[tuple[str, str]]:
    """The names and values of a query, in their order; of what is broken in it, as much as can be read."""
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=100)


def query_for(model: str, query: bytes) -> str:
    """What the provider is asked with: its own name of the model, and of the caller's query what may go on."""
    return urlencode([("model", model), *(pair for pair in named_in(query) if pair[0] in AS_THEY_ARE)])
