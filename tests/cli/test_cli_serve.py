"""The first minute: start it with nothing prepared, paste the line it shows, read the answer."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

IN_TIME_S = 30


@pytest.fixture
def gateway(tmp_path, free_port):
    """A gateway in an empty folder, and what it wrote when it had started."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "gateway", "serve", "--port", str(free_port)]
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=out, stderr=err)
    with process:
        yield process
        process.kill()


def started_text(folder):
    deadline = time.monotonic() + IN_TIME_S
    while not (text := (folder / "err").read_text()).endswith("}'\n\n"):
        assert time.monotonic() < deadline, text
        time.sleep(0.01)
    return text.rstrip()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_line_it_shows_works_as_pasted(gateway, tmp_path):
    text = started_text(tmp_path)
    curl = text.splitlines()[-1]

    shell = {"cwd": tmp_path, "env": {"PATH": os.environ["PATH"]}}
    answer = subprocess.run(["sh", "-c", curl], **shell, capture_output=True, text=True, timeout=IN_TIME_S)
    gateway.send_signal(signal.SIGTERM)

    assert answer.stdout.rstrip().endswith("data: [DONE]")
    assert gateway.wait(IN_TIME_S) == 0
    token = (tmp_path / ".gateway" / "admin-token").read_text().strip()
    assert token not in text + (tmp_path / "out").read_text()
