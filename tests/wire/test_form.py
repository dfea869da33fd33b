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


def test_has_no_more_than_a_hundred_parts():
    """Five thousand of them, with four thousand bytes of options each, held the event loop for two seconds."""
    content_type, data = form_of([FormPart("a", b"")] * 101, "x")

    with pytest.raises(BadRequest, match="more than 100 parts"):
        read(content_type, data)
    assert read(*form_of([FormPart("a", b"")] * 100, "x")) == FormBody((FormPart("a", b""),) * 100)


def test_names_of_files_may_be_as_long_as_file_systems_take_and_headers_not_much_longer():
    part = FormPart("file", b"a", 255 * "n", "application/vnd.openxmlformats-officedocument.wordprocessingml.document")
    assert read(*form_of([part], "x")).parts == (part,)

    with pytest.raises(BadRequest, match="is not a form"):
        read(*form_of([FormPart("file", b"a", 600 * "n")], "x"))
