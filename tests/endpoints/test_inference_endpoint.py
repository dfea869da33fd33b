"""The one endpoint of all inference routes."""

import pytest

from gateway.endpoints.router import BASES
from gateway.testing import FakeUpstream, post

CASES = [
    ("/chat/completions", "mock/m", {"messages": [{"role": "user", "content": "hi"}]}, "real-m"),
    ("/completions", "mock/old", {"prompt": "hi"}, "real-old"),
    ("/embeddings", "mock/vectors", {"input": [[1, 2, 3]]}, "real-vectors"),
]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(("path", "model", "fields", "real"), CASES)
async def test_each_api_under_each_base(app_with, auth, base, path, model, fields, real):
    """People paste base URLs with and without /v1, and with the prefix of the gateway they used before."""
    upstream = FakeUpstream((200, [b'{"object":"x"}']))

    answer = await post(app_with(upstream), base + path, {"model": model, **fields}, headers=auth)

    assert (answer.status, answer.body) == (200, b'{"object":"x"}')
    assert upstream.asked() == {"model": real, **fields}
    assert upstream.requests[0].endpoint.url == f"http://127.0.0.1:9/v1{path}"
    assert b"authorization: Bearer provider-key-of-mock\r\n" in upstream.requests[0].endpoint.head or model != "mock/m"


async def test_the_callers_token_is_not_the_providers(app_with, auth, token):
    upstream = FakeUpstream((200, [b'{"object":"x"}']))

    await post(app_with(upstream), "/chat/completions", {"model": "mock/m", "messages": []}, headers=auth)

    assert token.encode() not in upstream.requests[0].endpoint.head + upstream.requests[0].body
