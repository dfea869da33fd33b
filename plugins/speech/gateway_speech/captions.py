"""Transcripts as OpenAI's API writes them.

Source: openai-python 3.54 (types/audio: transcription, transcription_verbose, transcription_diarized, the events of
transcription_stream_event); W3C, "WebVTT: The Web Video Text Tracks Format"; read 2026-11.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway_speech.asked import Heard
from gateway_speech.transcript import Segment, Transcript, segments_of, words_of
from gateway_speech.vendor import seconds

PLAIN = "text/plain; charset=utf-8"
JSON = "application/json"

_encode = msgspec.json.encode


def content_type(asked: Heard) -> str:
    return JSON if asked.format.endswith("json") else PLAIN


def written(transcript: Transcript, asked: Heard) -> bytes:
    """In the format that was asked for."""
    match asked.format:
        case "text":
            return f"{transcript.text}\n".encode()
        case "srt":
            return _srt(segments_of(transcript)).encode()
        case "vtt":
            return _vtt(segments_of(transcript)).encode()
        case "verbose_json":
            return _encode(_verbose(transcript, asked.granularities))
        case "diarized_json":
            return _encode(_diarized(transcript))
    return _encode({"text": transcript.text, **_usage(transcript)})


def events(transcript: Transcript) -> bytes:
    """For who asked for a stream: all of it at once, since the vendor gives it so."""
    delta = {"type": "transcript.text.delta", "delta": transcript.text}
    done = {"type": "transcript.text.done", "text": transcript.text}
    return b"".join(b"data: %b\n\n" % _encode(event) for event in (delta, done))


def _usage(transcript: Transcript) -> dict[str, Any]:
    usage = seconds(transcript.duration_s)
    return {"usage": {"type": "duration", "seconds": usage.audio_seconds}} if usage is not None else {}


def _verbose(transcript: Transcript, granularities: frozenset[str]) -> dict[str, Any]:
    """What only Whisper knows of a segment, such as its tokens, is not in it."""
    said: dict[str, Any] = {
        "task": "transcribe",
        "language": transcript.language or "",
        "duration": transcript.duration_s or 0.0,
        "text": transcript.text,
    }
    if "word" in granularities:
        said["words"] = [{"word": word.text, "start": word.start, "end": word.end} for word in words_of(transcript)]
    if "segment" in granularities:
        said["segments"] = [
            {"id": at, "start": segment.start, "end": segment.end, "text": segment.text}
            for at, segment in enumerate(segments_of(transcript))
        ]
    return said | _usage(transcript)


def _diarized(transcript: Transcript) -> dict[str, Any]:
    segments = [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{at}",
            "start": segment.start,
            "end": segment.end,
            "text": segment.text,
            "speaker": segment.speaker or "",
        }
        for at, segment in enumerate(segments_of(transcript))
    ]
    duration = transcript.duration_s or 0.0
    said = {"task": "transcribe", "duration": duration, "text": transcript.text, "segments": segments}
    return said | _usage(transcript)


def _srt(segments: Iterable[Segment]) -> str:
    return "".join(
        f"{number}\n{_time(each.start, ',')} --> {_time(each.end, ',')}\n{_line(each.text).replace('-->', '->')}\n\n"
        for number, each in enumerate(segments, 1)
    )


def _vtt(segments: Iterable[Segment]) -> str:
    cues = (f"{_time(each.start, '.')} --> {_time(each.end, '.')}\n{_cue(each.text)}\n\n" for each in segments)
    return "".join(("WEBVTT\n\n", *cues))


def _cue(text: str) -> str:
    return _line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _line(text: str) -> str:
    """A blank line would end it."""
    return " ".join(text.split())


def _time(time_s: float, point: str) -> str:
    ms = round(time_s * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"
