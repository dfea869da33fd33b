"""What a subject is: how it is started, called, and asked whether it does what it is measured for."""

import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from lanes import DEFAULT
from running import Failed

LEDGER = Path(".gateway", "gateway.db")
WRITTEN_S = 10


class Place(NamedTuple):
    """Where a subject runs. `directory` is empty and goes away with it. `redis_url`: empty unless it asked for one."""

    server: str
    port: int
    upstream: str
    directory: Path
    redis_url: str = ""


class Subject(NamedTuple):
    """
    Args:
        command: may need files, which it writes.
        prefix: stands before the mock's model names.
        settings: of its environment.
        lanes: what is asked of it, unless lanes are named.
        redis: "" for none, else what it does meanwhile: "live", "frozen".
        ledger: whether it has to have one; None: it is no gateway of ours.
        tells_usage: also to clients that did not ask for it.
        is_foreign: what goes wrong with it is told, and ends nothing.
        missing: what has to be done before it can be measured.
    """

    name: str
    command: Callable[[Place], list[str]]
    prefix: str = ""
    token: str = ""
    settings: Callable[[Place], Mapping[str, str]] = lambda _: {}
    lanes: tuple[str, ...] = DEFAULT
    redis: str = ""
    ledger: bool | None = None
    tells_usage: bool = False
    is_foreign: bool = False
    missing: str = ""

    def environment(self, place: Place) -> dict[str, str]:
        """This process's, without what would configure a gateway, and with the subject's own settings."""
        configures = ("GATEWAY_", "OTEL_", "FERRO", "LITELLM_", "OPENAI_")
        return {name: value for name, value in os.environ.items() if not name.startswith(configures)} | {
            **self.settings(place)
        }

    def check(self, place: Place) -> None:
        """
        Raises:
            Failed: its ledger holds no bill of what it was asked, or it has one and should not.
        """
        path = place.directory / LEDGER
        if self.ledger is None or not (self.ledger or path.exists()):
            return
        if not self.ledger:
            raise Failed(f"{self.name} keeps a ledger: {path}")
        deadline = time.monotonic() + WRITTEN_S
        while time.monotonic() < deadline:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                (bills,) = connection.execute("SELECT count(*) FROM ledger WHERE cost > 0").fetchone()
            if bills:
                return
            time.sleep(0.1)
        raise Failed(f"{self.name}: no bill in its ledger after {WRITTEN_S} s")


def token() -> str:
    return secrets.token_hex(32)
