"""What people do first: start it with nothing, paste the line it shows, check a configuration, and break one."""

import asyncio
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time

import pytest

IN_TIME_S = 30
GATEWAY = [sys.executable, "-m", "gateway"]


def run(*arguments, folder, environ=None, command=GATEWAY):
    environ = {"PATH": os.environ["PATH"]} | (environ or {})
    return subprocess.run(
        [*command, *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=IN_TIME_S
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_first_minute(tmp_path, gateway_process):
    """An empty directory, an empty environment, and no other line than the one on the screen."""
    gateway = gateway_process(environ={"GATEWAY_ADMIN_TOKEN": ""})
    [curl] = [line for line in gateway.err.splitlines() if line.startswith("curl ")]

    answer = run("-c", curl, folder=gateway.folder, command=["bash"])
    gateway.process.send_signal(signal.SIGINT)

    events = [event.removeprefix("data: ") for event in answer.stdout.split("\n\n") if event]
    assert events[-1] == "[DONE]"
    assert "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1]) == "Hello!"
    assert gateway.process.wait(IN_TIME_S) == 0
    path = gateway.folder / ".gateway" / "admin-token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = path.read_text().strip()
    assert token
    assert token not in gateway.out + gateway.err
    [record] = [line for line in gateway.log if line["event"] == "request"]
    assert (record["model"], record["outcome"]) == ("demo/echo", "complete")


def test_the_second_start_keeps_the_token(gateway_process, tmp_path):
    gateway = gateway_process(environ={"GATEWAY_ADMIN_TOKEN": ""})
    token = (gateway.folder / ".gateway" / "admin-token").read_text()
    gateway.end()

    again = subprocess.Popen(
        [*GATEWAY, "serve", "--port", str(gateway.port)],
        cwd=gateway.folder,
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with again:
        while not again.stderr.readline().startswith("curl "):
            pass
        again.terminate()
        again.stderr.read()

    assert (gateway.folder / ".gateway" / "admin-token").read_text() == token


def test_a_configuration_that_can_be_used(tmp_path, manifests):
    (tmp_path / "gateway.yaml").write_text(manifests)

    checked = run("check", "gateway.yaml", folder=tmp_path)

    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.splitlines()[0] == "6 accounts, 12 models"


def test_a_configuration_that_cannot(tmp_path, manifests):
    """Everything that is wrong, where it is, and what would be right; and the gateway does not start with it."""
    accounts = json.loads(manifests)
    accounts[0]["integrations"][0]["url"] = "ftp://models.example.com"
    del accounts[1]["integrations"][0]["url"]
    (tmp_path / "gateway.yaml").write_text(json.dumps(accounts, indent=1))

    checked = run("check", "gateway.yaml", folder=tmp_path)
    served = run("serve", folder=tmp_path, environ={"GATEWAY_ADMIN_TOKEN": "a-token-of-some-length"})

    assert (checked.returncode, checked.stderr) == (1, "")
    places = re.findall(r"^gateway\.yaml:(\d+): ([^:]+)", checked.stdout, re.MULTILINE)
    assert len(places) == 2
    assert served.returncode == 1
    assert all(line in served.stderr for line in checked.stdout.splitlines()[:2])
    assert "Traceback" not in served.stderr


def test_help_is_fast_and_says_what_there_is(tmp_path):
    """Nothing heavy is imported for it."""
    shown = run("--help", folder=tmp_path)

    assert shown.returncode == 0
    assert "serve" in shown.stdout
    assert list(tmp_path.iterdir()) == []


# --- changes while it runs -------------------------------------------------------------------------------------------

MANIFEST = """\
type: provider-account/demo
name: demo
delay_s: 0.0
integrations:
  - name: {model}
"""


@pytest.fixture
def reloading(gateway_process):
    return gateway_process(config=MANIFEST.format(model="echo"))


def until(condition, gateway):
    deadline = time.monotonic() + IN_TIME_S
    while not (found := condition()):
        assert time.monotonic() < deadline, gateway.out
        time.sleep(0.02)
    return found


def config_of(gateway):
    return gateway.ready()[1]["config"]


async def test_a_changed_configuration_is_taken(reloading, connect):
    path = reloading.folder / "gateway.yaml"
    generation = config_of(reloading)["generation"]

    path.write_text(MANIFEST.format(model="other"))
    until(lambda: config_of(reloading)["generation"] > generation, reloading)

    models = await (await connect(reloading)).get("/v1/models")
    assert [model["id"] for model in models.json["data"]] == ["demo/other"]


async def test_a_replaced_file_is_taken(reloading, connect):
    """Editors write a new file and move it over the old one."""
    path = reloading.folder / "gateway.yaml"
    generation = config_of(reloading)["generation"]

    (reloading.folder / ".gateway.yaml.swp").write_text(MANIFEST.format(model="other"))
    (reloading.folder / ".gateway.yaml.swp").rename(path)

    until(lambda: config_of(reloading)["generation"] > generation, reloading)


async def test_a_broken_configuration_is_told_and_not_taken(reloading, connect, ask):
    """And once it is repaired, all is as if nothing had been."""
    path = reloading.folder / "gateway.yaml"
    client = await connect(reloading)

    async def metrics():
        text = (await client.get("/metrics")).body.decode()
        return re.search(r"^gateway_config_reload_failures_total (\S+)", text, re.MULTILINE)[1]

    async def answers():
        client.ask(ask("demo/echo", stream=False))
        return (await client.answer()).status

    before = config_of(reloading)
    assert await metrics() == "0.0"

    path.write_text("type: provider-account/demo\nname: [\n")
    broken = until(lambda: (state := config_of(reloading))["reload_failures"] and state, reloading)

    assert reloading.ready()[0] == 200
    assert broken["generation"] == before["generation"]
    assert broken["faults"][0].startswith("gateway.yaml:3: ")
    assert await metrics() == "1.0"
    assert await answers() == 200
    [line] = [line for line in reloading.log if line["event"] == "configuration not reloaded"]
    assert (line["level"], line["faults"]) == ("error", broken["faults"])

    path.write_text(MANIFEST.format(model="echo"))
    repaired = until(lambda: (state := config_of(reloading))["generation"] > before["generation"] and state, reloading)

    assert repaired["faults"] == []
    assert await answers() == 200
    assert "Traceback" not in reloading.out + reloading.err


async def test_an_open_stream_does_not_mind_a_new_configuration(
    gateway_process, account, provider_url, provider, connect, ask, say
):
    """It has its target; only the next request sees another."""
    gateway = gateway_process(config=json.dumps([account("mock", provider_url)]))
    generation = config_of(gateway)["generation"]
    go_on = asyncio.Event()
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("one")), go_on, *say.stream("two")[1:]])
    client = await connect(gateway)
    client.ask(ask())
    answer = await client.head()
    await client.event(answer)

    (gateway.folder / "gateway.yaml").write_text(json.dumps([account("other", provider_url)]))
    until(lambda: config_of(gateway)["generation"] > generation, gateway)
    go_on.set()
    await client.rest(answer)
    client.ask(ask())

    assert (answer.is_whole, answer.events[-1]) == (True, b"[DONE]")
    assert (await client.answer()).status == 404
