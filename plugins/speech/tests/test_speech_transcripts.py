"""Where a transcript is cut, and how it is written."""

import pytest
from gateway_speech.asked import Heard
from gateway_speech.captions import written
from gateway_speech.transcript import Segment, Transcript, Word, segments_of

from gateway.contract import FormPart


def words(*texts, each_s=0.5, speaker=None):
    return tuple(Word(text, at * each_s, (at + 1) * each_s, speaker) for at, text in enumerate(texts))


def as_(transcript, name):
    asked = Heard(FormPart("file", b""), name, None, None, (), "prompt", frozenset({"segment"}))
    return written(transcript, asked).decode()


@pytest.mark.parametrize(
    ("text", "said", "segments"),
    [
        ("One two. Three!", words("One", "two.", "Three!"), ["One two.", "Three!"]),
        ("你好。再见。", words("你", "好。", "再", "见。"), ["你好。", "再见。"]),
        ('He said: "No".', words("He", "said", "No"), ['He said: "No']),
        ("other words", words("One", "two"), ["One two"]),
        ("", words("One", "two"), ["One two"]),
        ("a b", (Word("a", 0, 1), Word("b", 2.5, 3)), ["a", "b"]),
        ("a b", (Word("a", 0, 1, "x"), Word("b", 1, 2, "y")), ["a", "b"]),
        ("a b", (Word("a", 0, 4), Word("b", 4, 8)), ["a", "b"]),
        (" ".join(20 * ["seven77"]), words(*(20 * ["seven77"]), each_s=0.1), 2 * [" ".join(10 * ["seven77"])]),
        ("  whole  ", (), ["whole"]),
        ("   ", (), []),
    ],
)
def test_is_cut_where_people_would(text, said, segments):
    """At ends of sentences, pauses, other speakers, and after as much as can be read at once."""
    assert [each.text for each in segments_of(Transcript(text, None, 9.0, said))] == segments


@pytest.mark.parametrize(
    ("word", "segment"),
    [
        (Word("a", -1, -5), Segment("a", 0, 0)),
        (Word("a", 5, 1), Segment("a", 5, 5)),
        (Word("a", 1e300, 1e301), Segment("a", 10**7, 10**7)),
    ],
)
def test_times_are_those_of_a_clock(word, segment):
    """A vendor that is mistaken must not make players fail."""
    assert segments_of(Transcript("a", words=(word,))) == [segment]


def test_what_ends_a_cue_is_not_in_it():
    """In WebVTT, `-->` and a blank line; in SubRip, too. Marks would be taken for tags."""
    said = Transcript("x", words=(Word("a-->b\n\n<i>&c", 3599.9999, 3661.5),))

    assert as_(said, "vtt") == "WEBVTT\n\n01:00:00.000 --> 01:01:01.500\na--&gt;b &lt;i&gt;&amp;c\n\n"
    assert as_(said, "srt") == "1\n01:00:00,000 --> 01:01:01,500\na->b <i>&c\n\n"


@pytest.mark.parametrize(
    ("name", "text"), [("srt", ""), ("vtt", "WEBVTT\n\n"), ("text", "\n"), ("json", '{"text":""}')]
)
def test_silence(name, text):
    assert as_(Transcript(""), name) == text


def test_ten_hours_are_cut_in_linear_time():
    """A word that is not found in the text must not have all of it searched."""
    said = tuple(Word("absent", at, at + 0.5) for at in range(36_000))

    segments = segments_of(Transcript(500_000 * "x", words=said))

    assert len(segments) == 5143
    assert segments[0].text == " ".join(7 * ["absent"])
