"""What ten thousand of each cost: models, and users who may use them.

    python benchmarks/scale.py                                   # 10,000 models granted to 10,000 users
    python benchmarks/scale.py --shapes one,teams --count 1000
    python benchmarks/scale.py --requests                        # CPU of a request, with 1 and with 10,000 of each

For each shape of manifests the real `gateway serve` is started on loopback. It prints when the gateway is ready, what
it holds, how long a reload takes in which one model changes, and the longest answer of `/healthz` meanwhile, which is
asked every 5 ms: nothing can answer while the event loop is held.
"""

import argparse
import asyncio
import gc
import http.client
import json
import logging
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from types import MappingProxyType
from typing import NamedTuple

import structlog
from proc import cpu_s, memory_kib, split_cores
from running import Failed, free_port, running, tail

from gateway import build_app
from gateway.contract import Record
from gateway.state.database.rows import StoredToken
from gateway.testing import FakeUpstream, post

START_S = 120
RELOAD_S = 120
TICK_S = 0.005
SETTLE_S = 1.0
CHANGED = "changed-0"
MIB = 1024

Shape = Callable[[int], Mapping[str, str]]
"""How many of each -> name of a file -> its manifests."""


# --- shapes ------------------------------------------------------------------


def account(name: str, models: Iterable[int], subjects: Iterable[str] = (), *, listed: bool = False) -> str:
    """`listed`: the subjects are spread over `authorized_subjects` of the models, and not the account's."""
    given = list(subjects)
    text = f"---\ntype: provider-account/openai\nname: {name}\nauth_data: {{type: api-key, api_key: sk-0123456789}}\n"
    if not listed:
        text += "collaborators:\n" if given else "collaborators: []\n"
        text += "".join(f"  - subject: {each}\n    role_id: provider-account-access\n" for each in given)
    text += "integrations:\n"
    numbers = list(models)
    for place, number in enumerate(numbers):
        text += "  - type: integration/model/openai\n"
        text += f"    name: model-{number}\n    model_id: real-{number}\n    model_types: [chat]\n"
        if listed:
            text += f"    authorized_subjects: [{', '.join(given[place :: len(numbers)])}]\n"
    return text


def user(number: int) -> str:
    return f"user:person-{number}@example.com"


def part(count: int, number: int, parts: int) -> range:
    return range(number * count // parts, (number + 1) * count // parts)


def one(count: int) -> Mapping[str, str]:
    return {"a.yaml": account("main", range(count), map(user, range(count)))}


def listed(count: int) -> Mapping[str, str]:
    return {"a.yaml": account("main", range(count), map(user, range(count)), listed=True)}


def spread(count: int, accounts: int = 100) -> Mapping[str, str]:
    return {
        f"{number}.yaml": account(
            f"a-{number}", part(count, number, accounts), map(user, part(count, number, accounts))
        )
        for number in range(accounts)
    }


def dense(count: int, accounts: int = 10) -> Mapping[str, str]:
    """Every account names all of the users."""
    return {
        f"{number}.yaml": account(f"a-{number}", part(count, number, accounts), map(user, range(count)))
        for number in range(accounts)
    }


def teams(count: int, parts: int = 100) -> Mapping[str, str]:
    """Every account is for all of the teams."""
    found = {
        f"team-{number}.yaml": f"type: team\nname: team-{number}\nmembers:\n"
        + "".join(f"  - person-{each}@example.com\n" for each in part(count, number, parts))
        for number in range(parts)
    }
    names = [f"team:team-{number}" for number in range(parts)]
    return found | {
        f"{number}.yaml": account(f"a-{number}", part(count, number, parts), names) for number in range(parts)
    }


def single(count: int) -> Mapping[str, str]:
    """An account for each model and its one user, in one file."""
    return {"a.yaml": "".join(account(f"a-{number}", [number], [user(number)]) for number in range(count))}


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {"one": one, "spread": spread, "listed": listed, "teams": teams, "dense": dense, "single": single}
)


# --- the gateway as it ships -------------------------------------------------


class Figures(NamedTuple):
    ready_s: float
    ready_cpu_s: float
    """Of that, what the gateway worked: on a busy machine the better figure."""
    memory_mib: float
    reload_s: float
    """From the write of a file; 0.4 s of it are to see whether more is written."""
    reload_cpu_s: float
    hold_ms: float
    """The longest answer while it reloaded."""
    quiet_ms: float
    """The longest one before."""
    stalls: int
    """That the gateway itself has counted: 100 ms and more."""
    reloaded_mib: float


class Ticker:
    """Asks `/healthz` every 5 ms on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.longest_s = 0.0
        self._port = port
        self._done = Event()
        self._thread = Thread(target=self._run)

    def __enter__(self) -> "Ticker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=RELOAD_S)
        while not self._done.wait(TICK_S):
            began = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            self.longest_s = max(self.longest_s, time.perf_counter() - began)
        connection.close()


def ask(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=RELOAD_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def generation(port: int) -> int:
    """0: it is not ready."""
    try:
        state = json.loads(ask(port, "/readyz"))
    except OSError:
        return 0
    return int(state["config"]["generation"]) if state["status"] == "ready" else 0


def wait_for_generation(port: int, least: int, within_s: float, log: Path) -> float:
    """Seconds until it was in force."""
    began = time.perf_counter()
    while generation(port) < least:
        if time.perf_counter() - began > within_s:
            raise Failed(f"generation {least} was not in force after {within_s} s\n{tail(log)}")
        time.sleep(0.01)
    return time.perf_counter() - began


def serve(shape: Shape, count: int, server: str, *, python: str) -> Figures:
    subject_cores, other_cores = split_cores()
    os.sched_setaffinity(0, other_cores)
    with TemporaryDirectory() as directory:
        config, log, port = Path(directory) / "config", Path(directory) / "gateway.log", free_port()
        config.mkdir()
        files = shape(count)
        for name, text in files.items():
            (config / name).write_text(text)
        command = [python, "-m", "gateway", "serve", "--config", str(config), "--port", str(port), "--server", server]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "OTEL_"))}
        environment = {**kept, "GATEWAY_ADMIN_TOKEN": secrets.token_hex(32)}
        began = time.perf_counter()
        with running(command, cores=subject_cores, log=log, environment=environment) as process:
            wait_for_generation(port, 1, START_S, log)
            ready_s = time.perf_counter() - began
            ready_cpu_s = cpu_s(process.pid)
            time.sleep(SETTLE_S)
            memory = memory_kib(process.pid)[0]
            with Ticker(port) as quiet:
                time.sleep(SETTLE_S)
            changed, before = "a.yaml" if "a.yaml" in files else "0.yaml", generation(port)
            worked_s = cpu_s(process.pid)
            with Ticker(port) as busy:
                (config / changed).write_text(files[changed].replace("real-0\n", f"{CHANGED}\n"))
                reload_s = wait_for_generation(port, before + 1, RELOAD_S, log)
                worked_s = cpu_s(process.pid) - worked_s
                time.sleep(SETTLE_S)  # what was replaced has to go, too
            stalls = re.search(rb"^gateway_loop_stalls_total (\S+)", ask(port, "/metrics"), re.MULTILINE)
            return Figures(
                ready_s=ready_s,
                ready_cpu_s=ready_cpu_s,
                memory_mib=memory / MIB,
                reload_s=reload_s,
                reload_cpu_s=worked_s,
                hold_ms=busy.longest_s * 1000,
                quiet_ms=quiet.longest_s * 1000,
                stalls=int(float(stalls[1])) if stalls is not None else -1,
                reloaded_mib=memory_kib(process.pid)[0] / MIB,
            )


# --- what a request costs ----------------------------------------------------

TOKEN = "scale-0123456789abcdef0123456789abcdef"
EVERYONE = "team:everyone"
RULES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "limits": (
            "gateway-rate-limiting-config",
            "{{id: r-{0}, when: {{subjects: ['user:person-{0}@example.com']}}, limit_to: 1000000000, "
            "unit: requests_per_minute}}",
        ),
        "budgets": (
            "gateway-budget-config",
            "{{id: b-{0}, when: {{models: [main/model-{0}]}}, limit_to: 1000000, unit: cost_per_month}}",
        ),
        "balancing": (
            "gateway-load-balancing-config",
            "{{id: l-{0}, type: weight-based-routing, when: {{models: [main/model-{0}]}}, "
            "load_balance_targets: [{{target: main/model-{0}, weight: 100}}]}}",
        ),
        "fallbacks": (
            "gateway-fallback-config",
            "{{id: f-{0}, when: {{models: [main/model-{0}], response_status_codes: [500]}}, "
            "fallback_models: [{{target: spare/model-0}}]}}",
        ),
        "priorities": (
            "gateway-priority-config",
            "{{id: p-{0}, priority: 1, when: {{subjects: ['user:person-{0}@example.com']}}}}",
        ),
    }
)
"""What there may be ten thousand of -> the type of the manifest, and a rule with its number."""


def rules(name: str, count: int) -> str:
    type_, rule = RULES[name]
    return f"---\ntype: {type_}\nname: {name}\nrules:\n" + "".join(f"  - {rule.format(n)}\n" for n in range(count))


def robots(count: int) -> str:
    permission = "{resource_type: provider-account, resource_fqn: 'acme:openai:main', role_id: provider-account-access}"
    return "".join(f"---\ntype: virtual-account\nname: robot-{n}\npermissions: [{permission}]\n" for n in range(count))


class Case(NamedTuple):
    """What there is one of, or many."""

    models: int = 1
    users: int = 1
    tokens: int = 1
    robots: int = 1
    rules: tuple[str, ...] = ()
    rule_count: int = 1

    def manifests(self) -> Iterator[str]:
        """A rule of all kinds names models that have to be there."""
        named = max(self.models, self.rule_count)
        yield account("main", range(named), [EVERYONE, *map(user, range(self.users))])
        yield account("spare", [0], [EVERYONE])
        yield robots(self.robots)
        for name in self.rules:
            yield rules(name, self.rule_count)


def cases(count: int) -> Mapping[str, tuple[Case, Case]]:
    """What is many -> with one of it, and with all. Both have as many models as the rules name."""
    found = {
        "models": (Case(), Case(models=count)),
        "users": (Case(), Case(users=count)),
        "tokens": (Case(), Case(tokens=count)),
        "robots": (Case(), Case(robots=count)),
        "all": (Case(rules=tuple(RULES)), Case(count, count, count, count, tuple(RULES), count)),
    }
    return found | {
        name: (Case(models=count, rules=(name,)), Case(models=count, rules=(name,), rule_count=count)) for name in RULES
    }


class Asked:
    """A gateway of its own without a network, and a request that its last user makes for the model of the last rule."""

    def __init__(self, case: Case, directory: Path) -> None:
        for number, text in enumerate(case.manifests()):
            (directory / f"{number}.yaml").write_text(text)
        answer = {
            "id": "1",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        self.network = FakeUpstream((200, [json.dumps(answer).encode()]))
        self.app = build_app(
            directory,
            environ={"GATEWAY_ADMIN_TOKEN": TOKEN},
            network=self.network,
            sinks=[Nowhere()],
        )
        callers, now = self.app.config.callers, datetime.now(UTC)
        callers.update(
            StoredToken(
                id=str(number),
                subject=user(case.rule_count - 1 if number == case.tokens - 1 else number),
                digest=callers.pepper.digest(f"{TOKEN}-{number}".encode()),
                name="scale",
                hint="scale",
                token_type="opaque",
                created_at=now,
                created_by="scale",
            )
            for number in range(case.tokens)
        )
        self.headers = {"authorization": f"Bearer {TOKEN}-{case.tokens - 1}", "content-type": "application/json"}
        number = (case.rule_count if case.rules else case.models) - 1
        model = f"main/model-{number}"
        self.body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]}).encode()

    async def ask(self) -> None:
        got = await post(self.app, "/v1/chat/completions", self.body, headers=self.headers)
        if got.status != 200:
            raise Failed(f"no answer: {got.status} {got.body!r}")


class Nowhere:
    """A sink that keeps nothing."""

    async def write(self, records: Sequence[Record]) -> None:
        pass


class Cost(NamedTuple):
    one_us: float
    many_us: float
    ratio: float
    """The median of those of the rounds."""
    one_calls: int
    many_calls: int
    """Functions that are entered, of Python and of C: what does not depend on how busy the machine is."""


async def cost_of(one: Asked, many: Asked, rounds: int, requests: int) -> Cost:
    times: dict[Asked, list[float]] = {one: [], many: []}
    calls: dict[Asked, int] = {}
    async with AsyncExitStack() as stack:
        for asked in times:
            await stack.enter_async_context(asked.app.lifespan())
            for _ in range(requests):
                await asked.ask()
        gc.freeze()
        for number in range(rounds):
            for asked in (one, many) if number % 2 else (many, one):
                asked.network.requests.clear()
                asked.network.replies.clear()
                await asyncio.sleep(0)  # for what is done besides
                began = time.process_time()
                for _ in range(requests):
                    await asked.ask()
                times[asked].append((time.process_time() - began) / requests * 1_000_000)
        for asked in times:
            calls[asked] = await calls_of(asked)
    ratio = median(many_us / one_us for one_us, many_us in zip(times[one], times[many], strict=True))
    return Cost(min(times[one]), min(times[many]), ratio, calls[one], calls[many])


async def calls_of(asked: Asked) -> int:
    """Of a few requests the least: some of them meet with what is done from time to time."""
    found: list[int] = []
    for _ in range(5):
        entered = 0

        def count(_: object, event: str, __: object) -> None:
            nonlocal entered
            entered += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            await asked.ask()
        finally:
            sys.setprofile(None)
        found.append(entered)
    return min(found)


def requests_of(names: Sequence[str], count: int, rounds: int, requests: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    known = cases(count)
    for name in names or known:
        with TemporaryDirectory() as one, TemporaryDirectory() as many:
            pair = [Asked(case, Path(place)) for case, place in zip(known[name], (one, many), strict=True)]
            found = asyncio.run(cost_of(*pair, rounds, requests))
        print(f"{name:10}", "  ".join(f"{field} {value:.4g}" for field, value in found._asdict().items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", type=lambda text: text.split(","), default=["one", "spread", "listed", "teams"])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--server", default="hypercorn")
    parser.add_argument("--python", default=sys.executable, help="of another version of the gateway")
    parser.add_argument("--requests", action="store_true", help="what a request costs, in this process")
    parser.add_argument("--cases", type=lambda text: text.split(","), default=[], help="of `--requests`; else all")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    if options.requests:
        requests_of(options.cases, options.count, options.rounds, requests=200)
        return
    for name in options.shapes:
        found = serve(SHAPES[name], options.count, options.server, python=options.python)
        print(f"{name:8}", "  ".join(f"{field} {value:.4g}" for field, value in found._asdict().items()), flush=True)


if __name__ == "__main__":
    main()
