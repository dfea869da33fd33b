"""Records, and a server that speaks what is documented of ClickHouse's HTTP interface."""

from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest
from aiohttp import web

from gateway.contract import Outcome, Record


@pytest.fixture
def record():
    """`record(7, status=500)`"""

    def make(number=1, **fields):
        usual = {
            "timestamp": datetime(2026, 11, 20, 1, 2, 3, 456789, tzinfo=UTC),
            "level": "info",
            "request_id": f"r{number}",
            "method": "POST",
            "path": "/v1/chat/completions",
            "status": 200,
            "outcome": Outcome.COMPLETE,
            "duration_ms": 1.5,
        }
        return Record(**(usual | fields))

    return make


class FakeClickHouse:
    """Makes tables, and keeps rows, once for each token.

    Args:
        script: what the next requests are answered with instead: (status, code, body), or None: as usual.
    """

    def __init__(self):
        self.url = ""
        self.calls = []
        self.script = []
        self.tables = {}
        self.ddl = []
        self._tokens = set()

    @property
    def rows(self):
        return [row["request_id"] for rows in self.tables.values() for row in rows]

    async def take(self, request):
        body = await request.read()
        self.calls.append(SimpleNamespace(headers=request.headers, query=dict(request.query), body=body))
        told = self.script.pop(0) if self.script else None
        if told is None:
            told = self._create(body.decode()) if "query" not in request.query else self._insert(request.query, body)
        status, code, text = told
        return web.Response(
            status=status,
            text=text,
            headers={"X-ClickHouse-Exception-Code": code} if code else {"location": "/elsewhere"},
        )

    def _create(self, ddl):
        self.ddl.append(ddl)
        self.tables.setdefault(ddl.split("`")[1], [])
        return 200, "", ""

    def _insert(self, query, body):
        _, table, form = query["query"].split("`")
        assert form == " FORMAT JSONEachRow"
        if table not in self.tables:
            return 404, "60", f"Code: 60. DB::Exception: Table default.{table} does not exist. (UNKNOWN_TABLE)"
        if query["insert_deduplication_token"] not in self._tokens:
            self._tokens.add(query["insert_deduplication_token"])
            self.tables[table] += [msgspec.json.decode(line) for line in body.splitlines()]
        return 200, "", ""


@pytest.fixture
async def serve():
    """`await serve(handler)`: the URL of a server on this machine."""
    runners = []

    async def start(handler):
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/{any:.*}", handler)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def server(serve):
    server = FakeClickHouse()
    server.url = await serve(server.take)
    return server
