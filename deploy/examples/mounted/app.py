"""An application with the gateway in it. With GATEWAY_ADMIN_TOKEN set: `uvicorn app:app`, here."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from gateway import build_app

gateway = build_app(Path(__file__).with_name("gateway.yaml"))


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("The shop is open.")


app = Starlette(routes=[Route("/", hello), Mount("/api/llm", gateway)], lifespan=gateway.lifespan)
