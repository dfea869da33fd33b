"""Streams of Azure, which has events that OpenAI's clients do not expect.

- Before the first words, and sometimes between them, comes an event without choices that says how the prompt was
  judged: who indexes `choices[0]` fails on it. What it says goes into the next event that has choices.
- With the asynchronous filter, judgements come in events whose choices have no `delta`. They get an empty one.

All other bytes stay as they are.

Source: learn.microsoft.com/azure/foundry/openai/concepts/content-streaming, read 2026-11; langchain-ai/langchain#18977,
pydantic/pydantic-ai#164.
"""

import msgspec

from gateway.wire import sse
from gateway.wire.openai import StreamReading

MAX_HELD = 256 * 1024
"""What grows longer than this without a blank line is no judgement, and goes on as it comes."""

_OFFSETS = b"content_filter_offsets"
_PROMPTS = b"prompt_"
_PROMPT = ("prompt_filter_results", "prompt_annotations")
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_choices = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_encode = msgspec.json.encode


class AzureReading(StreamReading):
    def __init__(self, *, cuts_usage: bool = False, is_chat: bool = True) -> None:
        super().__init__(cuts_usage=cuts_usage)
        self._mended = Mended(is_chat=is_chat)

    def feed(self, data: bytes) -> bytes:
        if not (self._mended.is_idle and data.endswith(b"\n\n") and _OFFSETS not in data and _PROMPTS not in data):
            data = self._mended.feed(data)
        return super().feed(data) if data else b""

    def end(self) -> bytes:
        rest = self._mended.end()
        return (super().feed(rest) if rest else b"") + super().end()


class Mended:
    """A stream with its judgements where clients can read them, whatever pieces it comes in. While it `is_idle`, whole
    events without judgements need not be shown to it."""

    def __init__(self, *, is_chat: bool) -> None:
        self.is_idle = True
        self._is_chat = is_chat
        self._splitter = sse.EventSplitter()
        self._is_long = False
        self._held = b""
        self._judgement: dict[str, msgspec.Raw] = {}

    def feed(self, data: bytes) -> bytes:
        if self._is_long and not sse.ends_event(data):
            return data
        out = b"".join([self._event(event) for event in self._splitter.feed(data)])
        self._is_long = len(self._splitter) > MAX_HELD
        if self._is_long:
            out += self._splitter.end()
        self.is_idle = not (self._splitter or self._held or self._is_long)
        return out

    def end(self) -> bytes:
        rest = self._splitter.end()
        return self._given_up() + rest

    def _event(self, event: bytes) -> bytes:
        if not self._held and _OFFSETS not in event and _PROMPTS not in event:
            return event
        try:
            fields = _fields.decode(sse.data_of(event))
            choices = _choices.decode(fields.get("choices", b"[]"))
        except (msgspec.DecodeError, RecursionError):
            return self._given_up() + event if sse.data_of(event) else event
        if not choices:
            judgement = {name: fields[name] for name in _PROMPT if name in fields}
            if judgement and _is_nothing(fields.get("usage")) and _is_nothing(fields.get("error")):
                self._held += event
                self._judgement |= judgement
                return b""
            return self._given_up() + event
        is_changed = bool(self._judgement)
        fields = self._judgement | fields
        self._held, self._judgement = b"", {}
        if self._is_chat and (bare := [choice for choice in choices if "delta" not in choice]):
            for choice in bare:
                choice["delta"] = msgspec.Raw(b"{}")
            fields["choices"] = msgspec.Raw(_encode(choices))
            is_changed = True
        return b"data: %b\n\n" % _encode(fields) if is_changed else event

    def _given_up(self) -> bytes:
        """What was held for an event that did not come."""
        held, self._held, self._judgement = self._held, b"", {}
        return held


def _is_nothing(value: msgspec.Raw | None) -> bool:
    return value is None or bytes(value) == b"null"
