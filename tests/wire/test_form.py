"""Forms, read in pieces."""

import pytest

from gateway.contract import FormBody, FormPart
from gateway.errors import BadRequest
from gateway.wire.form import FormReader, form_of

PARTS = (
    FormPart("model", b"whisper-1"),
    FormPart("file", b"\x00\xff\r\n--x-\r\n--\r\n", 'a "b".mp3', "audio/mpeg"),
    FormPart("empty", b""),
    FormPart("model", "zwei \N{SNOWMAN}".encode()),
)


def read(content_type, *pieces):
    reader = FormReader(content_type)
    for piece in pieces:
        reader.feed(piece)
    return reader.end()


def test_what_is_written_is_read_wherever_it_is_cut():
    content_type, data = form_of(PARTS, "x")

    for cut in range(len(data) + 1):
        form = read(content_type, data[:cut], data[cut:])
        assert [(part.name, part.data, part.content_type) for part in form.parts] == [
            (part.name, part.data, part.content_type) for part in PARTS
        ]
    assert form.parts[1].filename == "a %22b%22.mp3"
    assert form.text("model") == "whisper-1"
    assert (form.text("file"), form.text("none")) == ("\x00�\r\n--x-\r\n--\r\n", None)


def test_a_form_that_is_cut_short_is_none():
    """Where the end is missing, so may be a part."""
    content_type, data = form_of(PARTS[:2], "x")

    for cut in range(len(data) - 4):
        with pytest.raises(BadRequest):
            read(content_type, data[:cut])


@pytest.mark.parametrize(
    ("content_type", "data", "message"),
    [
        ("application/json", b"", "send multipart/form-data"),
        ("multipart/form-data; boundary=", b"", "boundary"),
        ("multipart/form-data; boundary=" + 71 * "x", b"", "boundary"),
        ("multipart/form-data; boundary=x", b"--y\r\n", "is not a form"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: a\r\n\r\n\r\n--x--\r\n", "has no name"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + 9 * b"A: b\r\n" + b"\r\n", "is not a form"),
        ("multipart/form-data; boundary=x", b"--x\r\nA: " + 5000 * b"b", "is not a form"),
    ],
)
def test_says_what_is_wrong(content_type, data, message):
    with pytest.raises(BadRequest, match=message):
        read(content_type, data)


def test_has_no_more_than_a_thousand_parts():
    content_type, data = form_of([FormPart("a", b"")] * 1001, "x")

    with pytest.raises(BadRequest, match="more than 1,000 parts"):
        read(content_type, data)
    assert read(*form_of([FormPart("a", b"")] * 1000, "x")) == FormBody((FormPart("a", b""),) * 1000)
