"""Files inside JSON."""

import pytest

from gateway.wire.attachments import attachments, without_attachments

FILE = 1000 * b"A"


@pytest.mark.parametrize(
    "json",
    [
        b'{"url":"%b"}',
        b'{"url" : "%b"}',
        b'{"url":"data:image/png;base64,%b"}',
        b'{"url":"data:image\\/png;base64,%b"}',
        b'{"image_url":"data:image/png;base64,%b"}',
        b'{"video_url":{"url":"data:video/mp4;base64,%b"}}',
        b'{"file_data":"data:application/pdf;name=a.pdf;base64,%b"}',
        b'{"data":"%b"}',
        b'{"image":"%b"}',
    ],
)
@pytest.mark.parametrize("file", [FILE, FILE + b"+/=", FILE + b"\\/" + FILE, FILE + b"-_"])
def test_finds_files_where_they_are_sent(json, file):
    body = json % file
    begin = body.index(file)

    assert list(attachments(body)) == [(begin, begin + len(file))]
    assert without_attachments(body) == json % b""


@pytest.mark.parametrize(
    "json",
    [
        b'{"text":"%b"}',
        b'{"content":"%b"}',
        b'{"url":"%b."}',
        b'{"url":"https://host/%b"}',
        b'{"url":["%b"]}',
        b'{"url":"data:%b',
        b'{"text":"\\"url\\":\\"%b\\""}',
        b'["url","%b"]',
    ],
)
def test_what_stands_in_a_text_is_text(json):
    assert list(attachments(json % FILE)) == []


def test_several_in_the_order_of_the_text():
    one, other = b'{"data":"' + FILE + b'"}', b'{"url":"' + FILE + b'"}'

    assert without_attachments(b"[%b,%b,%b]" % (one, other, one)) == b'[{"data":""},{"url":""},{"data":""}]'


def test_small_ones_are_not_worth_it():
    assert list(attachments(b'{"url":"' + FILE[1:] + b'"}')) == []


def test_gives_up_where_there_are_too_many():
    """A body of nothing but names would be looked at five million times."""
    assert list(attachments(10_000 * b'"url",' + b'{"url":"' + FILE + b'"}')) == []
    assert list(attachments(9_999 * b'"url",' + b'{"url":"' + FILE + b'"}')) != []
