"""The unit for a machine of one's own."""

import shlex
import shutil
import subprocess
import sys

import pytest

from gateway.cli import main

UNIT = "systemd/llm-asgi-gateway.service"


@pytest.fixture
def analyze():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")

    def run(*arguments):
        ended = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=30)
        return ended.returncode, ended.stdout + ended.stderr

    return run


def settings(deploy):
    lines = (deploy / UNIT).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_systemd_takes_it(analyze, deploy, tmp_path):
    """With a program that is there."""
    unit = tmp_path / "llm-asgi-gateway.service"
    unit.write_text((deploy / UNIT).read_text().replace("/opt/gateway/bin/gateway", sys.executable))

    assert analyze("verify", unit) == (0, "")


def test_it_may_do_little(analyze, deploy):
    """From 0 to 10; a unit that says nothing has 9.6."""
    code, text = analyze("security", "--offline=true", "--threshold=15", deploy / UNIT)

    assert code == 0, text


def test_it_starts_the_gateway(deploy):
    program, command, *arguments = shlex.split(settings(deploy)["ExecStart"])

    assert program == "/opt/gateway/bin/gateway"
    parameters = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert parameters.keys() <= {name for option in main.commands[command].params for name in option.opts}
    assert int(settings(deploy)["TimeoutStopSec"]) >= int(parameters["--drain-seconds"]) + 20
