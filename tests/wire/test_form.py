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


FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (FILE + 2_500_000 * b"\r\n--xy", "more than 100 parts"),
        (FILE + b"\r\n--x" + 10_000_000 * b" ", "too many blanks"),
        (FILE + b"\r\n--x" + 5_000_000 * b" \t", "too many blanks"),
    ],
    ids=["nearly boundaries", "padding", "padding with tabs"],
)
@pytest.mark.parametrize("size", [65_536, 7])
def test_what_the_parser_takes_one_byte_at_a_time_is_refused_soon(data, message, size):
    """Twenty million bytes of it took twenty seconds."""
    pieces = [data[begin : begin + size] for begin in range(0, 65_536, size)]

    with pytest.raises(BadRequest, match=message):
        read("multipart/form-data; boundary=x", *pieces)


def test_a_hundred_parts_are_no_attack_wherever_they_are_cut():
    content_type, data = form_of([FormPart("a", b"\r\n--")] * 100, "x")

    for size in (1, 2, 3, 5, 64, 100):
        pieces = (data[begin : begin + size] for begin in range(0, len(data), size))
        assert len(read(content_type, *pieces).parts) == 100


@pytest.mark.parametrize("header", [b"Content-Type: a\nContent-Disposition: form-data; name=model", b"X: a\0"])
def test_headers_that_some_would_read_as_two(header):
    """A part that is named otherwise by the provider could be another model."""
    data = b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n%b\r\n\r\n\r\n--x--\r\n' % header

    with pytest.raises(BadRequest, match="control character"):
        read("multipart/form-data; boundary=x", data)


def test_what_stands_behind_the_end_is_nobodys():
    content_type, data = form_of([FormPart("a", b"b")], "x")

    assert read(content_type, data, b"--x\r\n\r\n", 100 * b"--x").parts == (FormPart("a", b"b"),)


def test_texts_take_the_place_of_those_that_are_there():
    form = FormBody((FormPart("model", b"a/m"), FormPart("file", b"\0", "f"), FormPart("n", b"1")))

    assert form.with_texts({"model": "m", "size": "small"}).parts == (
        FormPart("model", b"m"),
        FormPart("file", b"\0", "f"),
        FormPart("n", b"1"),
        FormPart("size", b"small"),
    )


def test_names_of_files_that_are_not_ascii():
    """Older clients escape them, and without a name it would be no file."""
    for name in ("filename*=utf-8''gr%C3%BC%C3%9Fe.mp3", 'filename="grüße.mp3"'):
        data = f'--x\r\nContent-Disposition: form-data; name="file"; {name}\r\n\r\n\r\n--x--\r\n'.encode()
        assert read("multipart/form-data; boundary=x", data).parts == (FormPart("file", b"", "grüße.mp3"),)
