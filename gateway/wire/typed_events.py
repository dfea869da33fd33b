"""Event streams whose events say what they are in a field `type`, as OpenAI's of pictures, transcripts and speech do.

Source: openai-python 3.54 (types/image_gen_stream_event.py, types/audio/transcription_stream_event.py), read 2026-11.
"""

import re
from collections.abc import Iterable

from gateway.wire.openai import StreamReading
from gateway.wire.openai_failures import data_to_judge

_SEAM = 128
"""Bytes; more than the longest `"type": "..."`."""


class TypedStreamReading(StreamReading):
    """A `Reading` of such a stream, which begins with its first event.

    Args:
        ends: types of the events that bring an answer to its proper end; there may be several of them.
    """

    own = re.compile(rb'"(?:type|error)"')

    def __init__(self, ends: Iterable[str]) -> None:
        super().__init__()
        # A quotation mark inside a text is escaped, so none can pass for a type.
        names = b"|".join(re.escape(end.encode()) for end in ends)
        self._end_type = re.compile(rb'"type"\s*:\s*"(?:%b)"' % names)
        self._last_bytes = b""
        self._has_end = False

    def feed(self, data: bytes) -> bytes:
        if not self._has_end:
            joined = self._last_bytes + data
            self._has_end = self._end_type.search(joined) is not None
            self._last_bytes = joined[-_SEAM:]
        return super().feed(data)

    def is_complete(self) -> bool:
        return self.is_over or self._has_end

    def _judge_first(self, event: bytes) -> None:
        super()._judge_first(event)
        self.has_begun = self.has_begun or data_to_judge(event) is not None
