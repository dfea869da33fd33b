"""The three servers, each as one async context manager: inside it the app is served, on the way out the server ends.

They share the event loop, the socket and the limits, which belong to `gateway.servers.run`; so do signals and the
lifespan.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from socket import socket
from typing import Any

import msgspec

from gateway.proxy.asgi import ASGIApp

NAMES = ("hypercorn", "uvicorn", "granian")


class Limits(msgspec.Struct, frozen=True):
    """What a server allows its clients. Which server cannot keep which limit is said in its module."""

    backlog: int = 2048
    max_connections: int = 100_000
    keep_alive_s: float = 75.0
    """Longer than a load balancer keeps its idle connections, so that it is never the server that closes first."""
    keep_alive_requests: int = 10_000
    head_s: float = 10.0
    """From the first byte of a request to the end of its headers."""
    max_head_bytes: int = 65_536
    """The app answers 431 far below this; it bounds what is buffered for it."""
    linger_s: float = 2.0
    """How long the rest of a body is read after it was refused, so that the client sees the answer and not a reset."""
    flush_s: float = 30.0
    """How long a client may take for the end of its answer."""
    end_s: float = 3.0
    """How long connections may take to end when the server stops."""


Retire = Callable[[], None]
"""Closes each HTTP connection once nothing is under way on it, and goes on taking new ones. granian's does nothing."""

Serving = Callable[[ASGIApp, socket, dict[str, Any], Limits], AbstractAsyncContextManager[Retire]]
"""app, listening socket, state of the lifespan, limits."""


class MissingPackage(Exception):
    """A server that is not installed."""


def find(name: str) -> Serving:
    """Imports one of NAMES, and only that.

    Raises:
        MissingPackage: the message says what to install.
    """
    try:
        serving: Serving = import_module(f"gateway.servers.{name}").serving
    except ModuleNotFoundError as error:
        package = (error.name or name).partition(".")[0]
        raise MissingPackage(
            f"the server {name!r} needs a package that is not installed: pip install {package}"
        ) from error
    return serving
