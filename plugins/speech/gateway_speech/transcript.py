"""What was heard, whoever heard it, and where it may be cut."""

from collections.abc import Iterable, Iterator

import msgspec

LONGEST_S = 7.0
LONGEST_CHARS = 84
"""Of a segment: two lines of 42, which can be read in 7 s. Source: Netflix's "Timed Text Style Guide", read 2026-11."""
PAUSE_S = 1.0
"""Silence after which another segment begins."""
LATEST_S = 10**7
_ENDS = (".", "?", "!", "。", "？", "！", "।", "؟", "…")
_GLUE = 64
"""Characters that may stand between two words: blanks, quotation marks."""


class Word(msgspec.Struct, frozen=True):
    """`start` and `end` in seconds; `speaker`: as the vendor calls him."""

    text: str
    start: float
    end: float
    speaker: str | None = None


class Transcript(msgspec.Struct, frozen=True):
    """
    Args:
        language: as the vendor calls it, if it says so.
        duration_s: None: it does not say how long the recording was.
        words: none, if nobody asked for them.
        channels: of the recording.
    """

    text: str
    language: str | None = None
    duration_s: float | None = None
    words: tuple[Word, ...] = ()
    channels: int = 1


class Segment(msgspec.Struct, frozen=True):
    text: str
    start: float
    end: float
    speaker: str | None = None


def segments_of(transcript: Transcript) -> list[Segment]:
    """Of several words each: up to the end of a sentence, a pause, another speaker, or as much as can be read at once.
    Without words there is one of all."""
    if not transcript.words:
        text = transcript.text.strip()
        return [Segment(text, 0.0, _sane(transcript.duration_s or 0.0))] if text else []
    return [_segment(words) for words in _cut(_glued(transcript))]


def words_of(transcript: Transcript) -> list[Word]:
    """In times that a clock can show."""
    return [Word(word.text, *_times(word), word.speaker) for word in transcript.words]


def _glued(transcript: Transcript) -> Iterator[tuple[str, Word]]:
    """Each word as it stands in the text, with what stands in front of it: in some languages that is nothing."""
    text, at = transcript.text, 0
    for word in transcript.words:
        near = text[at : at + _GLUE + len(word.text)]
        found = near.find(word.text)
        glue = near[:found] if found >= 0 else " "
        at += found + len(word.text) if found >= 0 else 0
        yield glue, word


def _cut(glued: Iterable[tuple[str, Word]]) -> Iterator[list[tuple[str, Word]]]:
    segment: list[tuple[str, Word]] = []
    size = 0
    for glue, word in glued:
        if segment:
            first, last = segment[0][1], segment[-1][1]
            if (
                last.text.endswith(_ENDS)
                or word.start - last.end > PAUSE_S
                or word.end - first.start > LONGEST_S
                or size + len(word.text) > LONGEST_CHARS
                or word.speaker != last.speaker
            ):
                yield segment
                segment, size = [], 0
        segment.append((glue, word))
        size += len(glue) + len(word.text)
    if segment:
        yield segment


def _segment(glued: list[tuple[str, Word]]) -> Segment:
    text = "".join(part for glue, word in glued for part in (glue, word.text)).strip()
    first, last = glued[0][1], glued[-1][1]
    start, _ = _times(first)
    return Segment(text, start, max(start, _times(last)[1]), first.speaker)


def _times(word: Word) -> tuple[float, float]:
    start = _sane(word.start)
    return start, max(start, _sane(word.end))


def _sane(time_s: float) -> float:
    return min(max(time_s, 0.0), LATEST_S)
