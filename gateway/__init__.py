"""One endpoint in front of every LLM: an ASGI middleware toolkit and a ready-to-run gateway.

from gateway import build_app

app = build_app("gateway.yaml")
"""

from typing import TYPE_CHECKING, Any

from gateway._version import __version__

if TYPE_CHECKING:
    from gateway.app import build_app
    from gateway.servers.gateway import Gateway

__all__ = ["Gateway", "__version__", "build_app"]


def __getattr__(name: str) -> Any:
    """`build_app` and `Gateway` are imported when they are asked for, so that `import gateway` alone costs nothing."""
    if name in ("build_app", "Gateway"):
        from gateway import app

        return getattr(app, name)
    raise AttributeError(f"module 'gateway' has no attribute {name!r}")
