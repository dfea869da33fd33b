"""Files in messages, in whatever way they were put there."""

import pytest

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest, Media

PNG = "iVBORw0KGgo="


@pytest.mark.parametrize(
    ("part", "media"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png?c", "detail": "low"}},
            Media("image", "image/png", url="https://a.example/b.png?c", detail="low"),
        ),
        ({"type": "image_url", "image_url": "https://a.example/b"}, Media("image", url="https://a.example/b")),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            Media("image", "image/png", data=PNG),
        ),
        (
            {"type": "image_url", "image_url": {"url": f"DATA:Image/PNG;charset=x;Base64,{PNG}"}},
            Media("image", "image/png", data=PNG),
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}"}},
            Media("image", "image/jpeg", data=PNG),
        ),
        ({"type": "image_url", "image_url": {"url": "data:,hi%20you"}}, Media("file", "text/plain", data="aGkgeW91")),
        (
            {"type": "image_url", "image_url": {"url": "data:application/pdf;base64,JVBERg=="}},
            Media("file", "application/pdf", data="JVBERg=="),
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://a.example/b.mp4"}},
            Media("video", "video/mp4", url="https://a.example/b.mp4"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            Media("audio", "audio/mpeg", data="AAAA"),
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, Media("file", file_id="file-1")),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}},
            Media("file", "application/pdf", data="JVBERg==", filename="a.pdf"),
        ),
        (
            {"type": "file", "file": {"file_data": "JVBERg==", "filename": "a.pdf"}},
            Media("file", "application/pdf", data="JVBERg==", filename="a.pdf"),
        ),
        (
            {"type": "file", "file": {"file_url": "https://a.example/b.pdf"}},
            Media("file", "application/pdf", url="https://a.example/b.pdf"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "data:audio/flac;base64,AAAA"}},
            Media("audio", "audio/flac", data="AAAA"),
        ),
        (
            {"type": "file", "file": {"file_data": "https://a.example/b.csv", "filename": "b.csv"}},
            Media("file", "text/csv", url="https://a.example/b.csv", filename="b.csv"),
        ),
        ({"type": "text", "text": "no file"}, None),
    ],
)
def test_each_way(chat, part, media):
    [message] = ChatRequest(chat(messages=[{"role": "user", "content": [part]}])).messages

    assert message.parts[0].media == media


@pytest.mark.parametrize(
    "part", [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}, {"type": "file", "file": {}}]
)
def test_a_part_without_its_file_is_refused(chat, part):
    [message] = ChatRequest(chat(messages=[{"role": "user", "content": [part]}])).messages

    with pytest.raises(BadRequest):
        _ = message.parts[0].media
