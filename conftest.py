"""For all tests: each plugin of this tree is there as if it were installed, whether it is or not; and a raw server.

No property has to be shown within some time: machines are slow now and then."""

import asyncio
import atexit
import sys
from configparser import ConfigParser
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

PLUGINS = [path.parent for path in sorted((Path(__file__).parent / "plugins").glob("*/setup.cfg"))]
_announced = TemporaryDirectory(prefix="plugins-")
atexit.register(_announced.cleanup)


def announce(plugin: Path, place: Path) -> None:
    """Writes what an installer would: the name, and the entry points. Source: packaging.python.org, recording
    installed packages."""
    setup = ConfigParser()
    setup.read(plugin / "setup.cfg")
    name, version = setup["metadata"]["name"], "0"
    info = place / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = setup.items("options.entry_points") if setup.has_section("options.entry_points") else []
    (info / "entry_points.txt").write_text("".join(f"[{group}]\n{lines.strip()}\n" for group, lines in groups))


for each in PLUGINS:
    announce(each, Path(_announced.name))
sys.path[:0] = map(str, PLUGINS)
sys.path.append(_announced.name)


@pytest.fixture(scope="session")
def tcp_server():
    """`async with tcp_server(talk) as port`: has `talk(reader, writer)` with each client, then closes the connection.

    Listens at `sock`, or on loopback; `options` are those of `asyncio.start_server`. At the end everything is closed:
    the garbage collector warns of a connection that outlives its test, and that fails whichever test runs then.
    """

    @asynccontextmanager
    async def listen(talk, *, sock=None, **options):
        talks = {}

        async def run(reader, writer):
            try:
                await talk(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):  # the client has left
                pass
            finally:
                writer.close()

        def connected(reader, writer):  # no coroutine: one that is cancelled before its first step closes nothing
            talks[asyncio.create_task(run(reader, writer))] = writer

        place = {"host": "127.0.0.1", "port": 0} if sock is None else {"sock": sock}
        server = await asyncio.start_server(connected, **place, **options)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await turns()  # who was accepted just now is connected
            for task, writer in talks.items():
                task.cancel()
                writer.transport.abort()
            await asyncio.gather(*talks, return_exceptions=True)
            await turns()
            await server.wait_closed()

    async def turns():
        for _ in range(3):
            await asyncio.sleep(0)

    return listen
