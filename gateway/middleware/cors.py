"""Lets pages in browsers call the gateway, where the operator wants that."""

import re
from collections.abc import Collection

from starlette.middleware.cors import CORSMiddleware

from gateway.errors import ConfigError, Fault
from gateway.proxy.asgi import ASGIApp

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# As browsers write it, but for a default port. Source: RFC 6454, section 6.1.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_DEFAULT_PORT = re.compile(r"(?<=^http://)(.+):80$|(?<=^https://)(.+):443$")


def cors(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """`app` itself without origins. Tokens are sent by hand, so there are no credentials a browser could add.

    WebSockets pass, whatever page opens them: they need a token that is sent by hand, too.

    Args:
        origins: as in `https://chat.example.com`, or `*` alone for any.

    Raises:
        ConfigError: one of them is none.
    """
    if not origins:
        return app
    allowed = ["*"] if list(origins) == ["*"] else [_origin(text) for text in origins]
    return CORSMiddleware(
        app,
        allow_origins=allowed,
        allow_methods=METHODS,
        allow_headers=["*"],
        allow_private_network=allowed != ["*"],
        expose_headers=["*"],
    )


def _origin(text: str) -> str:
    origin = text.strip().lower()
    if not _ORIGIN.fullmatch(origin):
        problem = f"{text!r} is no origin; write one as https://chat.example.com, without a path, or * alone for any"
        raise ConfigError([Fault("the environment", 0, "GATEWAY_CORS_ORIGINS", problem)])
    return _DEFAULT_PORT.sub(r"\1\2", origin)
