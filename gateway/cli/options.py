"""Options of the commands that talk to a running gateway."""

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gateway.cli.client import Credential

Command = Callable[..., None]

as_json = click.option("--json", "as_json", is_flag=True, help="Print what the gateway answered.")
sure = click.option("--yes", "-y", is_flag=True, help="Do not ask whether this is meant.")
color = click.option("--color/--no-color", default=None, help="Colours in differences. [default: in a terminal]")


def calls_gateway(command: Command) -> Command:
    """Adds `--url` and `--token`; the command gets a `ControlApi` as its first argument."""

    @click.option(
        "--url",
        envvar="GATEWAY_URL",
        default="http://127.0.0.1:8787",
        show_default=True,
        show_envvar=True,
        help="Where the gateway is.",
    )
    @click.option(
        "--token",
        envvar="GATEWAY_TOKEN",
        show_envvar=True,
        metavar="TOKEN|@FILE",
        help="Whose rights to use. [default: GATEWAY_ADMIN_TOKEN, else the token in .gateway/admin-token]",
    )
    @functools.wraps(command)
    def run(*args: Any, url: str, token: str | None, **options: Any) -> None:
        from gateway.cli.address import address_of
        from gateway.cli.client import ControlApi, require_gateway

        try:
            address = address_of(url)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="'--url'") from None
        try:
            credential = credential_from(token, os.environ, is_local=address.is_local)
        except click.UsageError:
            if address.is_local:
                require_gateway(address)
            raise
        command(ControlApi(address, credential), *args, **options)

    return run


def credential_from(
    given: str | None, environ: Mapping[str, str], folder: Path | None = None, *, is_local: bool = True
) -> "Credential":
    """The token to use: the given one, else the admin's.

    Args:
        given: a token, or `@` and the file that holds it.
        folder: where `gateway serve` keeps the admin's token.
        is_local: whether it goes to this machine; that kept token is for no other.

    Raises:
        click.UsageError: there is none, or none that can be sent.
    """
    from gateway.cli.client import Credential
    from gateway.cli.first_run import FOLDER, VARIABLE
    from gateway.secrecy.secret import cleaned_token

    kept = (folder or FOLDER) / "admin-token"
    if given and given.startswith("@"):
        found = Credential(_read(Path(given[1:])), given[1:])
    elif given:
        found = Credential(given, "--token or $GATEWAY_TOKEN")
    elif admin := cleaned_token(environ.get(VARIABLE, "")):
        found = Credential(admin, f"${VARIABLE}")
    elif is_local and kept.exists():
        found = Credential(_read(kept), str(kept))
    else:
        raise click.UsageError(
            f"no token: give one with --token or GATEWAY_TOKEN (@FILE reads it from a file), set {VARIABLE}, "
            f"or run this where `gateway serve` keeps {kept}"
        )
    found = found._replace(text=cleaned_token(found.text))
    if not found.text or not found.text.isascii() or not found.text.isprintable() or " " in found.text:
        raise click.UsageError(f"what {found.source} holds is no token")
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise click.UsageError(f"no token: {file} cannot be read: {reason}") from None
