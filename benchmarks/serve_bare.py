"""Serves the bare relay on one of the three servers, with the settings that `gateway serve` uses.

What bears on speed is the same; the classes are those of the servers themselves, not the gateway's own. With
`--gateway-servers` it is also those, which tells what of a difference comes from the gateway's way of serving.
"""

import argparse
import sys
from typing import Any

import uvloop
from bare_relay import BareRelay

HOST = "127.0.0.1"
BACKLOG = 2048
MAX_CONNECTIONS = 9_000
KEEP_ALIVE_S = 75
MAX_HEAD_BYTES = 65_536


async def serve_hypercorn(app: Any, port: int) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.worker_class = "uvloop"
    config.alpn_protocols = ["http/1.1"]
    config.accesslog = None
    config.include_server_header = False
    config.backlog = BACKLOG
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.keep_alive_max_requests = 10_000
    config.h11_max_incomplete_size = MAX_HEAD_BYTES
    await serve(app, config)


async def serve_uvicorn(app: Any, port: int) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        host=HOST,
        port=port,
        http="httptools",
        loop="uvloop",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    await uvicorn.Server(config).serve()


async def serve_granian(app: Any, port: int) -> None:
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server.embed import Server

    server = Server(
        app,
        address=HOST,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=KEEP_ALIVE_S * 1000, max_buffer_size=MAX_HEAD_BYTES),
        backlog=BACKLOG,
        backpressure=MAX_CONNECTIONS,
        log_level=LogLevels.error,
        log_access=False,
    )
    await server.serve()


SERVERS = {"hypercorn": serve_hypercorn, "uvicorn": serve_uvicorn, "granian": serve_granian}


def relay_of(kind: str, upstream: str) -> Any:
    if kind == "bare":
        return BareRelay(upstream)
    from direct_relay import DirectRelay  # here, since the bare relay has to do without the gateway's modules

    return DirectRelay(upstream)


def serve_as_gateway(app: Any, server: str, port: int) -> int:
    from gateway.proxy.drain import Drain
    from gateway.servers.run import run

    return run(app, drain=Drain(), host=HOST, port=port, server=server)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=SERVERS, default="hypercorn")
    parser.add_argument("--relay", choices=("bare", "direct"), default="bare")
    parser.add_argument("--port", type=int, default=9101)
    parser.add_argument("--upstream", default="http://127.0.0.1:9100", help="URL that each path is appended to")
    parser.add_argument("--gateway-servers", action="store_true")
    options = parser.parse_args()
    relay = relay_of(options.relay, options.upstream)
    if options.gateway_servers:
        sys.exit(serve_as_gateway(relay, options.server, options.port))
    uvloop.run(SERVERS[options.server](relay, options.port))
