"""What makes the first start work with nothing prepared: a token for the admin, and how to try it out."""

import json
import os
import secrets
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

VARIABLE = "GATEWAY_ADMIN_TOKEN"
FOLDER = Path(".gateway")
PREFIX = "gwa_"
"""Lets scanners for leaked secrets recognise our tokens."""
SHOWN_MODELS = 10


class Admin(msgspec.Struct, frozen=True):
    """`environ` holds the token; `in_shell` is how a shell reads it, and `kept_in` where people find it."""

    environ: Mapping[str, str]
    in_shell: str
    kept_in: str


def admin_from(environ: Mapping[str, str], folder: Path = FOLDER) -> Admin:
    """The admin's token: `GATEWAY_ADMIN_TOKEN`, else the one in `folder`, which is made if need be.

    Raises:
        OSError: it can neither be read nor made.
        ValueError: the file holds no token.
    """
    if environ.get(VARIABLE):
        return Admin(environ, f"${VARIABLE}", f"${VARIABLE}")
    path = folder / "admin-token"
    if not path.exists():
        _make(path)
    token = path.read_text().strip()
    if not token:
        raise ValueError(f"{path} is empty; delete it, and it is made anew")
    return Admin({**environ, VARIABLE: token}, f"$(cat {shlex.quote(str(path))})", str(path))


def _make(path: Path) -> None:
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700)
        (path.parent / ".gitignore").write_text("*\n")
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return  # another gateway that starts here was faster; both use its token
    with os.fdopen(file, "w") as out:
        out.write(f"{PREFIX}{secrets.token_urlsafe(24)}\n")


def start_text(
    *, version: str, server: str, host: str, port: int, config: Path | None, models: Sequence[str], admin: Admin
) -> str:
    """What people read when the gateway has started; the last line works as pasted."""
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    shown = ", ".join(models[:SHOWN_MODELS]) or "none"
    if len(models) > SHOWN_MODELS:
        shown += f" and {len(models) - SHOWN_MODELS} more"
    lines = [
        f"gateway {version} listens on {url} ({server}); Ctrl-C stops it",
        "",
        f"  configuration  {config or 'none: provider keys in the environment, and demo/echo'}",
        f"  models         {shown}",
        f"  admin token    {admin.kept_in}",
        f"  SDK base URL   {url}/v1",
    ]
    if model := _model_to_try(models):
        ask = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hello!"}]}
        lines += ["", "Try it:", "", _curl(f"{url}/v1/chat/completions", admin.in_shell, ask)]
    return "\n".join(["", *lines, ""])


def _model_to_try(models: Sequence[str]) -> str | None:
    if "demo/echo" in models:
        return "demo/echo"
    return next((model for model in models if not model.endswith("/*")), None)


def _curl(url: str, token: str, ask: Mapping[str, object]) -> str:
    return (
        f'curl -N {url} -H "Authorization: Bearer {token}" '
        f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(ask))}"
    )
