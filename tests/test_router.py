"""Which path leads where."""

import pytest

from gateway.dialects import CHAT, COMPLETIONS, EMBEDDINGS
from gateway.errors import MethodNotAllowed
from gateway.exchange import Exchange
from gateway.router import BASES, Router
from gateway.testing import get, http_scope, post


def saying(name):
    async def app(scope, receive, send):
        dialect = Exchange.of(scope).dialect
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{name} {dialect and dialect.name}".encode()})

    return app


ROUTER = Router([CHAT, COMPLETIONS, EMBEDDINGS], inference=saying("inference"), other=saying("other"))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("dialect", [CHAT, COMPLETIONS, EMBEDDINGS], ids=lambda dialect: dialect.name)
async def test_each_api_is_below_each_base(base, dialect):
    assert (await post(ROUTER, base + dialect.path)).body == f"inference {dialect.name}".encode()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/models",
        "/v2/chat/completions",
        "/chat/completions/",
        "//chat/completions",
        "/v1//chat/completions",
        "/v1/../chat/completions",
        "/v1/chat/completions;x",
        "/v1/chat/completions.",
        "/v1/Chat/Completions",
        "/v1/chat%2fcompletions",
        "/v1/chat/completions\0",
        " /v1/chat/completions",
        "v1/chat/completions",
    ],
)
async def test_all_else_is_the_others(path):
    """One normal form: what looks like a route to something in front must not be one here, or the other way round."""
    assert (await post(ROUTER, path)).body == b"other None"


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS", "post"])
async def test_other_methods_are_refused(method, call):
    with pytest.raises(MethodNotAllowed):
        await call(ROUTER, method=method, path="/v1/chat/completions")


async def test_below_a_mount(call):
    sent = await call(ROUTER, path="/api/llm/v1/embeddings", root_path="/api/llm")

    assert sent[1]["body"] == b"inference embeddings"


async def test_queries_do_not_matter(call):
    """Beta routes carry ?beta=true."""
    sent = await call(ROUTER, path="/v1/chat/completions", query_string=b"beta=true")

    assert sent[1]["body"] == b"inference chat"


async def test_errors_of_a_path_are_worded_in_its_dialect():
    scope = http_scope("GET", "/v1/embeddings", {}, 0)

    with pytest.raises(MethodNotAllowed):
        await ROUTER(scope, None, None)

    assert Exchange.of(scope).dialect is EMBEDDINGS
    assert (await get(ROUTER, "/x")).body == b"other None"
