"""Answers on their way to clients of OpenAI's audio API.

Source: openai-python 3.54 (resources/audio/speech, types/audio); the events `speech.audio.delta` and
`speech.audio.done` at platform.openai.com/docs/api-reference/audio; read 2026-11.
"""

from base64 import b64encode
from collections.abc import Mapping

from gateway.contract import Head
from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, UpstreamError
from gateway.translators.reading import DocumentReading
from gateway.wire.failure import failure_of
from gateway.wire.plain import PlainReading
from gateway_speech.asked import Heard
from gateway_speech.captions import content_type, events, written
from gateway_speech.transcript import Transcript
from gateway_speech.vendor import SpeechVendor, seconds

EVENT_STREAM = "text/event-stream; charset=utf-8"
LABELS: Mapping[str, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
MAX_TRANSCRIPT = 16 * 1024 * 1024
"""Bytes of a vendor's answer: some 15 hours with the time of each word, which take 0.3 s to be written anew."""
_DONE = b'data: {"type":"speech.audio.done"}\n\n'


class SoundReading(PlainReading):
    """Sound, passed on as it comes.

    Args:
        label: its content type, where the vendor has none.
        usage: the characters that were spoken: sound does not tell.
    """

    def __init__(self, head: Head, *, label: str, usage: Usage) -> None:
        super().__init__()
        kind = head.headers.get("content-type", "")
        self.content_type = None if kind.startswith("audio/") else label
        self._is_sound = "json" not in kind and not kind.startswith("text/")
        self._usage = usage

    def feed(self, data: bytes) -> bytes:
        if not self._is_sound:
            raise _no_sound(data)
        return super().feed(data)

    def end(self) -> bytes:
        if not self.has_begun:
            raise _no_sound(b"")
        return b""

    def usage(self) -> Usage | None:
        return self._usage if self.has_begun else None


class SoundEvents(SoundReading):
    """The same in events, for who asked for `stream_format: sse`."""

    is_stream = True

    def __init__(self, head: Head, *, label: str, usage: Usage) -> None:
        super().__init__(head, label=label, usage=usage)
        self.content_type = EVENT_STREAM
        self._is_complete = False

    def feed(self, data: bytes) -> bytes:
        sound = b64encode(super().feed(data))
        return b'data: {"type":"speech.audio.delta","audio":"%b"}\n\n' % sound

    def end(self) -> bytes:
        super().end()
        self._is_complete = True
        return _DONE

    def is_complete(self) -> bool:
        return self._is_complete


class TranscriptReading(DocumentReading):
    """One document, in the format that was asked for."""

    def __init__(self, vendor: SpeechVendor, asked: Heard) -> None:
        super().__init__()
        self.content_type = content_type(asked)
        self._vendor = vendor
        self._asked = asked

    def feed(self, data: bytes) -> bytes:
        if self._size + len(data) > MAX_TRANSCRIPT:
            raise BrokeOff("the provider's transcript is too large: cut the recording, or ask for json or text")
        return super().feed(data)

    def document(self, body: bytes) -> bytes:
        return written(self.heard(body), self._asked)

    def heard(self, body: bytes) -> Transcript:
        try:
            transcript = self._vendor.transcript(body, with_words=self._asked.needs_words)
        except (ValueError, RecursionError) as error:
            raise BrokeOff("the provider was asked for a transcript and answered with something else") from error
        self.told_usage = seconds(transcript.duration_s)
        return transcript


class TranscriptEvents(TranscriptReading):
    """The same for who asked for a stream."""

    is_stream = True

    def __init__(self, vendor: SpeechVendor, asked: Heard) -> None:
        super().__init__(vendor, asked)
        self.content_type = EVENT_STREAM

    def document(self, body: bytes) -> bytes:
        said = events(self.heard(body))
        self.is_over = True
        return said


def _no_sound(data: bytes) -> UpstreamError:
    said = failure_of(data).message if data else None
    return BrokeOff(f"the provider sent no sound, but: {said}" if said else "the provider sent no sound")
