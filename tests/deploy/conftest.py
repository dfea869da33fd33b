"""The chart as Helm renders it, and processes in the place of pods."""

import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

import gateway

ROOT = Path(gateway.__file__).parent.parent
CHART = ROOT / "deploy/helm/llm-asgi-gateway"
VALUES = {
    path.stem if path.parent.name == "values" else path.parent.name: path
    for path in (*Path(__file__).parent.glob("values/*.yaml"), *(ROOT / "deploy/examples").glob("*/values.yaml"))
}
IN_TIME_S = 30


@pytest.fixture(scope="session")
def deploy():
    """The folder with all that this tests."""
    return ROOT / "deploy"


@pytest.fixture(scope="session")
def helm():
    return pytest.importorskip("helm_python", reason="needs helm-python-sdk")


@pytest.fixture(scope="session")
def render(helm):
    """`render(values)`: the documents that Helm would send to a cluster, by kind and name; the notes as `NOTES`."""
    chart = helm.Chart.load(CHART)

    def documents(values):
        chart.validate_schema(values)
        found = {}
        for path, text in chart.render(values, name="llm", namespace="ai").items():
            if path.endswith("NOTES.txt"):
                found["NOTES"] = text
                continue
            for document in yaml.safe_load_all(text):
                if document:
                    found[document["kind"], document["metadata"]["name"]] = document
        return found

    return documents


@pytest.fixture(scope="session")
def values():
    """`values("default")`: those of a file."""
    return lambda name: yaml.safe_load(VALUES[name].read_text())


def pytest_generate_tests(metafunc):
    if "each_values" in metafunc.fixturenames:
        metafunc.parametrize("each_values", [yaml.safe_load(path.read_text()) for path in VALUES.values()], ids=VALUES)


# --- processes in the place of pods ----------------------------------------------------------------------------------


class Cluster:
    """Secrets, ConfigMaps, and pods that are processes.

    A container's mounts are folders in `folder`, and its command is this environment's `gateway`.

    Args:
        secrets: name -> key -> text.
        config_maps: likewise.
    """

    def __init__(self, folder, *, secrets=None, config_maps=None):
        self.folder = folder
        self.secrets = secrets or {}
        self.config_maps = config_maps or {}
        self.pods = []

    def apply(self, documents):
        """Keeps the ConfigMaps of what was rendered."""
        for document in documents:
            if isinstance(document, dict) and document["kind"] == "ConfigMap":
                self.config_maps[document["metadata"]["name"]] = document["data"]

    def start(self, spec, container):
        pod = Pod(self, spec, container, self.folder / f"pod{len(self.pods)}")
        self.pods.append(pod)
        return pod

    def close(self):
        for pod in self.pods:
            pod.process.kill()
            pod.process.wait()


class Pod:
    """One container of a pod, as the kubelet would start it."""

    def __init__(self, cluster, spec, container, folder):
        self.folder = folder
        self.container = container
        self.mounts = {}
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        for mount in container["volumeMounts"]:
            self.mounts[mount["mountPath"]] = place = folder / mount["mountPath"].strip("/")
            place.mkdir(parents=True)
            match volumes[mount["name"]]:
                case {"configMap": {"name": name}}:
                    write(place, cluster.config_maps[name])
                case {"secret": {"secretName": name}}:
                    write(place, cluster.secrets[name])
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port = sock.getsockname()[1]
        arguments = [self.inside(each) for each in container["args"]]
        arguments = [re.sub("^--port=.*", f"--port={self.port}", each) for each in arguments]
        arguments = [re.sub("^--host=.*", "--host=127.0.0.1", each) for each in arguments]
        self.home = Path(self.inside(container.get("workingDir", "/tmp")))
        environ = {"PATH": os.environ["PATH"], **self.environ(cluster)}
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gateway", *arguments], cwd=self.home, env=environ, stdout=log, stderr=log
            )

    def inside(self, text):
        """With the folders that stand for what is mounted."""

        def place(match):
            there = self.folder / match[0].strip("/")
            return str(there) if there.parent.exists() else match[0]

        return re.sub(r"(?<![\w/:])/[\w/.-]+", place, text)

    def environ(self, cluster):
        """Raises KeyError where a pod would not start: there is no such Secret, or no such key in it."""
        environ = {}
        for source in self.container.get("envFrom", ()):
            environ |= cluster.secrets[source["secretRef"]["name"]]
        for entry in self.container.get("env", ()):
            if "value" in entry:
                text = re.sub(r"\$\((\w+)\)", lambda match: environ[match[1]], entry["value"])
                environ[entry["name"]] = self.inside(text)
            else:
                ref = entry["valueFrom"]["secretKeyRef"]
                environ[entry["name"]] = cluster.secrets[ref["name"]][ref["key"]]
        return environ

    def log(self):
        return (self.folder / "log").read_text()

    def ended(self):
        """The exit code."""
        return self.process.wait(IN_TIME_S)

    def ask(self, path, *, token=None, body=None):
        """Status and JSON, or text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=IN_TIME_S)
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        method = "GET" if body is None else "POST"
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        is_json = "json" in answer.getheader("content-type", "")
        return answer.status, json.loads(text) if is_json else text

    def is_ready(self):
        """As the probe of the container asks."""
        with suppress(OSError):
            probe = self.container.get("readinessProbe", {}).get("httpGet", {"path": "/readyz"})
            return self.ask(probe["path"])[0] == 200
        return False

    def wait_until(self, condition):
        deadline = time.monotonic() + IN_TIME_S
        while not condition():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)


def write(place, data):
    """As Kubernetes does: all files at once, by turning a link."""
    generation = place / f"..{time.monotonic_ns()}"
    generation.mkdir()
    for name, text in data.items():
        (generation / name).write_text(text)
        if not (place / name).is_symlink():
            (place / name).symlink_to(Path("..data") / name)
    turned = place / "..data_tmp"
    turned.symlink_to(generation.name)
    turned.rename(place / "..data")


@pytest.fixture
def cluster(tmp_path):
    """`cluster(secrets=..., config_maps=...)`; its pods end with the test."""
    clusters = []

    def make(**held):
        clusters.append(Cluster(tmp_path, **held))
        return clusters[-1]

    yield make
    for each in clusters:
        each.close()


@pytest.fixture(scope="session")
def update():
    """`update(folder, data)`: what becomes of a mounted ConfigMap or Secret when it is changed."""
    return write


@pytest.fixture
def kubectl(tmp_path):
    """`kubectl(pod, secrets)`: a folder with one that answers what the notes ask of it."""

    def make(pod, secrets):
        program = tmp_path / "bin/kubectl"
        program.parent.mkdir()
        encoded = {
            f"{name} -o jsonpath={{.data.{key}}}": base64.b64encode(text.encode()).decode()
            for name, data in secrets.items()
            for key, text in data.items()
        }
        program.write_text(
            f"#!{sys.executable}\n"
            "import subprocess, sys\n"
            "arguments = sys.argv[3:]\n"
            'if arguments[0] == "exec":\n'
            f'    command = [{sys.executable!r}, *arguments[arguments.index("--") + 2:]]\n'
            f"    sys.exit(subprocess.call(command, cwd={str(pod.home)!r}))\n"
            'if arguments[:2] == ["get", "secret"]:\n'
            f'    print({encoded!r}[" ".join(arguments[2:])], end="")\n'
        )
        program.chmod(0o755)
        return program.parent

    return make
