"""Small things about ASGI."""

import pytest

from gateway.proxy.asgi import route_path, send_body


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
