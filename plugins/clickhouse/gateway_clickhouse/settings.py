"""What the environment says of it."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from gateway.errors import ConfigError, Fault
from gateway.secrecy.secret import Secret
from gateway.wire.address import address_of

URL = "GATEWAY_CLICKHOUSE_URL"
USER = "GATEWAY_CLICKHOUSE_USER"
PASSWORD = "GATEWAY_CLICKHOUSE_PASSWORD"
DATABASE = "GATEWAY_CLICKHOUSE_DATABASE"
TABLE = "GATEWAY_CLICKHOUSE_TABLE"
DAYS = "GATEWAY_CLICKHOUSE_DAYS"

MAX_DAYS = 3650
"""Times in ClickHouse's TTL end in 2106: what is added to them must stay far below."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")

T = TypeVar("T")


class ClickHouseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        url: of the HTTP interface, without a query.
        days: rows are deleted after so many. Counts when the table is made.
    """

    url: str
    user: str = "default"
    password: Secret | None = None
    database: str = "default"
    table: str = "gateway_requests"
    days: int = 90


def settings_from(environ: Mapping[str, str]) -> ClickHouseSettings | None:
    """None: nobody wants it. Raises ConfigError, with all that is wrong."""
    if not environ.get(URL):
        return None
    faults: list[Fault] = []

    def read(name: str, of: Callable[[str], T], default: T) -> T:
        if not (text := environ.get(name)):
            return default
        try:
            return of(text)
        except ValueError as error:
            faults.append(Fault("the environment", 0, name, str(error)))
            return default

    settings = ClickHouseSettings(
        url=read(URL, _url, ""),
        user=read(USER, _header, "default"),
        password=read(PASSWORD, _password, None),
        database=read(DATABASE, _name, "default"),
        table=read(TABLE, _name, "gateway_requests"),
        days=read(DAYS, _days, 90),
    )
    if faults:
        raise ConfigError(faults)
    return settings


def _url(text: str) -> str:
    if "?" in text:
        raise ValueError(f"must not have a query: it is said by {DATABASE}, {USER} and {PASSWORD}")
    try:
        address_of(text)
    except ValueError as error:
        credentials = f"; credentials belong in {USER} and {PASSWORD}" if "@" in text else ""
        reason = "must be an http or https URL" if credentials else str(error)
        raise ValueError(reason + credentials) from None
    return text.rstrip("/") + "/"


def _header(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("has to be of letters that a header can have: printable ASCII")
    return text


def _password(text: str) -> Secret | None:
    return Secret(_header(text))


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("has to be a name of letters, digits and underscores")
    return text


def _days(text: str) -> int:
    if not (text.isdecimal() and len(text) < 6 and 1 <= int(text) <= MAX_DAYS):
        raise ValueError(f"has to be a number of days from 1 to {MAX_DAYS}")
    return int(text)
