"""Records of requests to ClickHouse, by its HTTP interface.

Source: clickhouse.com/docs (HTTP interface, asynchronous inserts, deduplicating inserts on retries), read 2026-11.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Self
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession

from gateway.contract import Record
from gateway.errors import Unavailable
from gateway.upstream.outgoing import NoWay, Ways
from gateway.upstream.proxies import proxies_from
from gateway_clickhouse.rows import ddl, rows_of
from gateway_clickhouse.settings import ClickHouseSettings, settings_from

AT_ONCE = 1000
"""Rows of an insert."""
_SLICE = 100
"""Rows that are made without a pause: 1.5 ms."""
TIMEOUT_S = 10.0
_MAX_SAID = 4096
"""Bytes of an answer that are looked at: to an insert or a CREATE there should be none."""
_UNKNOWN_TABLE = "60"
_CODES = {
    _UNKNOWN_TABLE: "there is no such table",
    "81": "there is no such database",
    "115": "it does not know one of the settings; 23.7 and later do",
    "159": "it took too long",
    "192": "there is no such user",
    "193": "the password is wrong",
    "194": "a password is needed",
    "241": "it has no memory left",
    "252": "too many parts: it cannot keep up with merging",
    "497": "the user may not do that",
    "516": "the user or the password is wrong",
}
"""What is told in words. ClickHouse's own may repeat what was inserted."""
_INSERTING = {
    "async_insert": "1",  # many gateways with few rows each: ClickHouse makes larger parts of them
    "wait_for_async_insert": "1",  # until they are stored, and not only taken
    "insert_deduplicate": "1",
    "async_insert_deduplicate": "1",
    "input_format_skip_unknown_fields": "1",  # tables that an earlier release has made
    "date_time_input_format": "basic",
}


class _Refused(Exception):
    """`code`: ClickHouse's own, or empty."""

    def __init__(self, status: int, code: str) -> None:
        self.status = status
        self.code = code


class ClickHouseSink:
    """Inserts rows, and makes the table when there is none. The same records again make no more rows: see `ddl`."""

    def __init__(self, settings: ClickHouseSettings, *, ways: Ways | None = None) -> None:
        self._settings = settings
        self._ways = ways or Ways()
        self._headers = {"X-ClickHouse-User": settings.user}
        if settings.password is not None:
            self._headers["X-ClickHouse-Key"] = settings.password.reveal()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self | None:
        """None: nobody wants it. Raises ConfigError."""
        settings = settings_from(environ)
        return cls(settings, ways=Ways(proxies=proxies_from(environ))) if settings is not None else None

    async def write(self, records: Sequence[Record]) -> None:
        """Raises Unavailable: some were not taken, or nobody can say."""
        url = self._settings.url
        try:
            async with self._ways.session(url, is_trusted=True, timeout_s=TIMEOUT_S) as session:
                for first in range(0, len(records), AT_ONCE):
                    await self._insert(session, await _rows(records[first : first + AT_ONCE]))
        except _Refused as refused:
            said = f"{refused.status}, code {refused.code}" if refused.code else str(refused.status)
            reason = f": {_CODES[refused.code]}" if refused.code in _CODES else ""
            raise Unavailable(f"ClickHouse answered {said}{reason}", retry_after_s=1) from None
        except TimeoutError:
            raise Unavailable("ClickHouse did not answer in time", retry_after_s=1) from None
        except (ClientError, OSError, ValueError) as error:
            cause = getattr(error, "os_error", error)
            reason = str(cause) if isinstance(cause, NoWay) else type(error).__name__
            raise Unavailable(f"ClickHouse cannot be reached: {reason}", retry_after_s=1) from None

    async def _insert(self, session: ClientSession, rows: bytes) -> None:
        """Raises _Refused."""
        query = f"INSERT INTO `{self._settings.table}` FORMAT JSONEachRow"
        # The same rows have the same token, whoever sends them again.
        params = {**_INSERTING, "insert_deduplication_token": hashlib.sha256(rows).hexdigest(), "query": query}
        try:
            await self._post(session, params, rows)
        except _Refused as refused:
            if refused.code != _UNKNOWN_TABLE:
                raise
            await self._post(session, {}, ddl(self._settings.table, self._settings.days).encode())
            await self._post(session, params, rows)

    async def _post(self, session: ClientSession, params: Mapping[str, str], body: bytes) -> None:
        """Raises _Refused."""
        url = f"{self._settings.url}?{urlencode({'database': self._settings.database, **params})}"
        # Not to follow redirects: what goes along is meant for nobody else.
        async with session.post(url, data=body, headers=self._headers, allow_redirects=False) as answer:
            said = await answer.content.read(_MAX_SAID)
            code = answer.headers.get("X-ClickHouse-Exception-Code", "")
            # What fails after the head was sent comes with status 200.
            if answer.status != 200 or code or b"DB::Exception" in said:
                raise _Refused(answer.status, code if code.isdecimal() else "")


async def _rows(records: Sequence[Record]) -> bytes:
    lines = []
    for first in range(0, len(records), _SLICE):
        lines.append(rows_of(records[first : first + _SLICE]))
        await asyncio.sleep(0)  # requests come first
    return b"".join(lines)
