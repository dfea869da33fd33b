"""What is in `deploy/examples`, run: with processes in the place of pods, on a real PostgreSQL and a real Redis."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from urllib.request import Request, urlopen

import aiohttp
import pytest
import yaml

TOKEN = "gw-test-0123456789abcdef"
NAME = "llm-llm-asgi-gateway"
IN_TIME_S = 30
STREAMS = 12
ASK = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hello!"}]}
LONG = {**ASK, "stream": True, "messages": [{"role": "user", "content": "word " * 60}]}


# --- three replicas --------------------------------------------------------------------------------------------------


@pytest.fixture
def release(render, cluster, postgres, redis_url):
    """`release(values)`: its tables are made and, unless that fails, it returns what starts one of its pods."""
    with postgres.database() as url:
        secret = {"GATEWAY_ADMIN_TOKEN": TOKEN, "GATEWAY_PEPPER": "pepper-of-the-tests-0123456789"}
        secret |= {"GATEWAY_DATABASE_URL": url, "GATEWAY_REDIS_URL": redis_url}
        where = cluster(secrets={"gateway": secret})

        def install(values):
            documents = render(values)
            where.apply(documents.values())
            job = documents["Job", f"{NAME}-migrate"]["spec"]["template"]["spec"]
            assert where.start(job, job["containers"][0]).ended() == 0
            spec = documents["Deployment", NAME]["spec"]["template"]["spec"]
            return lambda: where.start(spec, spec["containers"][0])

        yield install
        where.close()


def ready(pod):
    pod.wait_until(pod.is_ready)
    return pod


def test_replicas_share_tokens_and_limits(release, values):
    """60 requests an hour are 60 of all three."""
    start = release(values("replicas"))
    pods = [ready(pod) for pod in [start() for _ in range(3)]]
    made = subprocess.run(
        [sys.executable, "-P", "-m", "gateway", "token", "create", "--user", "ana@example.com"],
        env={"GATEWAY_URL": f"http://127.0.0.1:{pods[0].port}", "GATEWAY_TOKEN": TOKEN, "PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
        text=True,
    )
    ana = made.stdout.split()[-1]
    pods[2].wait_until(lambda: all(pod.ask("/v1/models", token=ana)[0] == 200 for pod in pods))

    statuses = [pods[number % 3].ask("/v1/chat/completions", token=ana, body=ASK)[0] for number in range(63)]

    assert (statuses.count(200), statuses.count(429)) == (60, 3)


async def test_a_rolling_upgrade_lets_nobody_down(release, values):
    """Each pod is replaced as the Deployment says: the new one is ready before the old one is told to stop."""
    example = values("replicas")
    account, _, _ = example["config"]["gateway.yaml"].partition("---\n")
    start = release({**example, "config": {"gateway.yaml": account}, "lingerSeconds": 1})
    serving = [ready(pod) for pod in [start() for _ in range(3)]]
    asked = []
    is_over = asyncio.Event()

    async def post(session, pod, body):
        url = f"http://127.0.0.1:{pod.port}/v1/chat/completions"
        async with session.post(url, json=body, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            return answer.status, await answer.read()

    async def keep_asking(session):
        while not is_over.is_set():
            status, _ = await post(session, serving[len(asked) % len(serving)], ASK)
            asked.append(status)
            await asyncio.sleep(0.02)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        asking = asyncio.create_task(keep_asking(session))
        codes, streams = [], []
        for old in list(serving):
            new = await asyncio.to_thread(ready, start())
            cut = asyncio.gather(*(post(session, old, LONG) for _ in range(STREAMS)))
            await asyncio.to_thread(old.wait_until, lambda old=old: old.ask("/readyz")[1]["open_requests"] >= STREAMS)
            serving[serving.index(old)] = new  # what readiness is for
            sent = len(asked)
            while len(asked) < sent + 2:  # what preStop is for: none is on its way there any more
                await asyncio.sleep(0.01)
            old.terminate()
            codes.append(await asyncio.to_thread(old.ended))
            streams += await cut
        is_over.set()
        await asking

    assert (set(asked), codes) == ({200}, [0, 0, 0])
    assert [status for status, body in streams if not body.endswith(b"data: [DONE]\n\n")] == []
    assert len(streams) == 3 * STREAMS


# --- the others ------------------------------------------------------------------------------------------------------


def test_the_sidecar_serves_its_application(deploy, cluster):
    """By the token that it shares with it, which may use models and nothing else."""
    documents = list(yaml.safe_load_all((deploy / "examples/sidecar/deployment.yaml").read_text()))
    secrets = {
        "shop-gateway": {"GATEWAY_ADMIN_TOKEN": TOKEN, "OPENAI_API_KEY": "sk-0123456789-of-the-tests"},
        "shop-token": {"token": "gw-shop-0123456789abcdef"},
    }
    where = cluster(secrets=secrets)
    where.apply(documents)
    spec = documents[1]["spec"]["template"]["spec"]
    [sidecar] = spec["initContainers"]
    pod = where.start(spec, sidecar)
    pod.wait_until(pod.is_ready)
    [application] = spec["containers"]
    [token] = [secrets["shop-token"][each["valueFrom"]["secretKeyRef"]["key"]] for each in application["env"][1:]]

    status, models = pod.ask("/v1/models", token=token)

    assert (status, [model["id"] for model in models["data"]]) == (200, ["openai/gpt-4o-mini"])
    assert pod.ask("/api/svc/v1/users", token=token)[0] == 403
    assert sidecar["restartPolicy"] == "Always"
    assert "--host=127.0.0.1" in sidecar["args"]
    assert application["env"][0] == {"name": "OPENAI_BASE_URL", "value": "http://127.0.0.1:8787/v1"}


def test_the_sidecar_is_asked_from_inside(deploy, cluster):
    """The kubelet's own requests do not reach the loopback interface of a pod."""
    documents = list(yaml.safe_load_all((deploy / "examples/sidecar/deployment.yaml").read_text()))
    [sidecar] = documents[1]["spec"]["template"]["spec"]["initContainers"]

    assert sidecar["startupProbe"]["exec"] == sidecar["livenessProbe"]["exec"]
    word, code, script = sidecar["startupProbe"]["exec"]["command"]
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    ended = subprocess.run([sys.executable, code, script.replace("8787", str(port))], capture_output=True, timeout=30)
    assert (word, ended.returncode) == ("python", 1)


def test_the_mounted_app_has_both(deploy, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    app = deploy / "examples/mounted"
    command = [sys.executable, "-m", "uvicorn", "app:app", "--app-dir", str(app), "--port", str(port)]
    environ = {"PATH": os.environ["PATH"], "GATEWAY_ADMIN_TOKEN": TOKEN}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=log, stderr=log)

    def get(path):
        asked = Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        with urlopen(asked, timeout=IN_TIME_S) as answer:
            return answer.read().decode()

    try:
        deadline = time.monotonic() + IN_TIME_S
        while True:
            with suppress(OSError):
                page = get("/")
                break
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        models = json.loads(get("/api/llm/v1/models"))
    finally:
        process.kill()
        process.wait()

    assert page == "The shop is open."
    assert [model["id"] for model in models["data"]] == ["demo/echo"]


@pytest.mark.parametrize("name", ["replicas", "airgapped"])
def test_configurations_hold_without_a_warning(values, tmp_path, name):
    for file, text in values(name)["config"].items():
        (tmp_path / file).write_text(text)

    ended = subprocess.run(
        [sys.executable, "-P", "-m", "gateway", "check", "--strict", str(tmp_path)], capture_output=True, text=True
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
