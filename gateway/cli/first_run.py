"""What makes the first start work with nothing prepared: an admin token, a database, and how to try it out."""

import errno
import json
import os
import secrets
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from gateway.secrecy.secret import cleaned_token
from gateway.secrecy.tokens import ADMIN, mint

VARIABLE = "GATEWAY_ADMIN_TOKEN"
FOLDER = Path(".gateway")
DATABASE = "GATEWAY_DATABASE_URL"
PEPPER = "GATEWAY_PEPPER"
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
    if cleaned_token(environ.get(VARIABLE, "")):
        return Admin(environ, f"${VARIABLE}", f"${VARIABLE}")
    path = folder / "admin-token"
    token = _kept(path, lambda: mint(ADMIN).text)
    return Admin({**environ, VARIABLE: token}, f"$(cat {shlex.quote(str(path))})", str(path))


def with_database(environ: Mapping[str, str], folder: Path = FOLDER) -> Mapping[str, str]:
    """The environment with a database in `folder`, unless it names one, and with the pepper kept beside it.

    Raises:
        OSError: nothing can be kept there.
        ValueError: the file holds no pepper.
    """
    if environ.get(DATABASE):
        return environ
    pepper = environ.get(PEPPER) or _kept(folder / "pepper", lambda: secrets.token_hex(32))
    _make_folder(folder)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    return {**environ, DATABASE: f"sqlite:///{(folder / 'gateway.db').absolute()}", PEPPER: pepper}


def _kept(path: Path, make: Callable[[], str]) -> str:
    """The text of a file, which is made if need be."""
    if not path.exists():
        _make(path, make())
    text = path.read_text().strip()
    if not text:
        raise ValueError(f"{path} is empty; delete it, and it is made anew")
    return text


def _make(path: Path, text: str) -> None:
    """Whole or not at all: another gateway that starts here at the same time must not read half of it."""
    _make_folder(path.parent)
    fd, temporary = tempfile.mkstemp(dir=path.parent)  # readable by its owner alone
    try:
        with os.fdopen(fd, "w") as out:
            out.write(f"{text}\n")
        with suppress(FileExistsError):  # the other was faster; both use its
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / ".gitignore").write_text("*\n")


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
