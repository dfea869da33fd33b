"""Small things about ASGI."""

import pytest

from gateway.errors import ClientLeft, TooLarge
from gateway.proxy.asgi import read_pieces, route_path, send_body


def receiving(*messages):
    left = list(messages)

    async def receive():
        return left.pop(0)

    return receive


def piece(body, more=True):
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_one_piece_is_the_object_that_arrived():
    """20 MB are not copied for nothing."""
    body = bytes(1000)

    pieces = await read_pieces(receiving(piece(body, more=False)), max_bytes=1000)

    assert pieces[0] is body
    assert len(pieces) == 1


@pytest.mark.parametrize(
    ("messages", "body"),
    [
        ([{"type": "http.request"}], b""),
        ([piece(b"a"), piece(b""), piece(b"b"), piece(b"", more=False)], b"ab"),
        ([piece(b"a"), {"type": "http.request", "body": b"b"}], b"ab"),
    ],
)
async def test_bodies(messages, body):
    assert b"".join(await read_pieces(receiving(*messages), max_bytes=2)) == body


@pytest.mark.parametrize("messages", [[piece(b"abc", more=False)], [piece(b"ab"), piece(b"c")]])
async def test_a_body_too_large(messages):
    with pytest.raises(TooLarge):
        await read_pieces(receiving(*messages), max_bytes=2)


async def test_a_client_that_leaves():
    with pytest.raises(ClientLeft):
        await read_pieces(receiving(piece(b"a"), {"type": "http.disconnect"}), max_bytes=2)


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/v1/models", "", "/v1/models"),
        ("/api/llm/v1/models", "/api/llm", "/v1/models"),
        ("/api/llm", "/api/llm", ""),
        ("/v1/models", "/api/llm", "/v1/models"),
        ("/api/llmx/v1/models", "/api/llm", "/api/llmx/v1/models"),
    ],
)
def test_the_path_below_the_mount(path, root, expected):
    """A mount at /api/llm is not the beginning of /api/llmx."""
    assert route_path({"path": path, "root_path": root}) == expected


async def test_a_whole_answer():
    sent = []

    async def send(message):
        sent.append(message)

    await send_body(send, 404, b"{}")

    assert sent == [
        {
            "type": "http.response.start",
            "status": 404,
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
        },
        {"type": "http.response.body", "body": b"{}", "more_body": False},
    ]
