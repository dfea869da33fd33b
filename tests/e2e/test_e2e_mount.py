"""The gateway within somebody else's app, served by uvicorn in this process."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
import uvicorn
from fastapi import FastAPI
from openai import AsyncOpenAI
from starlette.applications import Starlette

from gateway import build_app

ASK = {"model": "demo/echo", "messages": [{"role": "user", "content": "one two three"}]}
MANIFEST = "type: provider-account/demo\nname: demo\nintegrations: [{name: echo}]\n"
IN_TIME_S = 30


@pytest.fixture
async def gateway(tmp_path, token, sink):
    path = tmp_path / "gateway.yaml"
    path.write_text(MANIFEST)
    gateway = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": token}, sinks=[sink])
    yield gateway
    await gateway.close()


@asynccontextmanager
async def served(app, lifespan):
    """The base URL of an app, while inside."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        config = uvicorn.Config(app, lifespan=lifespan, log_config=None, access_log=False, ws="none")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([sock]))
        try:
            async with asyncio.timeout(IN_TIME_S):
                while not server.started:
                    assert not task.done()
                    await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


async def streamed(base_url, token):
    async with AsyncOpenAI(base_url=base_url, api_key=token) as client:
        stream = await client.chat.completions.create(**ASK, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


@pytest.mark.parametrize("framework", [FastAPI, Starlette])
@pytest.mark.parametrize("base", ["", "/v1"])
async def test_with_its_lifespan(gateway, token, sink, until, framework, base):
    app = framework(lifespan=gateway.lifespan)
    app.mount("/api/llm", gateway)

    async with served(app, "on") as url:
        assert await streamed(f"{url}/api/llm{base}", token) == "one two three"

    await until(lambda: sink.records)
    assert [(record.path, record.outcome) for record in sink.records] == [
        (f"/api/llm{base}/chat/completions", "complete")
    ]


@pytest.mark.parametrize("framework", [FastAPI, Starlette])
@pytest.mark.parametrize("lifespan", ["on", "off"])
async def test_without_its_lifespan(gateway, token, framework, lifespan):
    """A mounted app is not told of the outer one's start; it opens with its first request."""
    app = framework()
    app.mount("/llm", gateway)

    async with served(app, lifespan) as url:
        texts = await asyncio.gather(*(streamed(f"{url}/llm/v1", token) for _ in range(5)))

    assert texts == ["one two three"] * 5


async def test_the_outer_apps_own_routes_stay(gateway, token):
    app = FastAPI(lifespan=gateway.lifespan)

    @app.get("/own")
    def own():
        return "mine"

    app.mount("/", gateway)

    async with served(app, "on") as url, AsyncOpenAI(base_url=f"{url}/v1", api_key=token) as client:
        assert await client.get(f"{url}/own", cast_to=str) == '"mine"'
        assert [model.id async for model in client.models.list()] == ["demo/echo"]


async def test_a_client_that_leaves_is_noticed_inside_another_app(gateway, token, sink, until):
    app = Starlette(lifespan=gateway.lifespan)
    app.mount("/llm", gateway)
    ask = {**ASK, "messages": [{"role": "user", "content": "word " * 10_000}]}

    async with served(app, "on") as url:
        async with AsyncOpenAI(base_url=f"{url}/llm/v1", api_key=token) as client:
            stream = await client.chat.completions.create(**ask, stream=True)
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
            await stream.close()
        await until(lambda: sink.records, within_s=IN_TIME_S)

    assert [record.outcome for record in sink.records] == ["client_left"]
