"""README.md and docs/: each block is run, loaded or parsed as it stands there, and each link leads somewhere.

What the blocks of a page have to keep to:

yaml    The blocks of a page are one configuration: each loads with those above it, without a warning. Above one that is
        no whole manifest stands `<!-- fragment of: TYPE -->`, above one for Kubernetes `<!-- for: Kubernetes -->`.
sh      Each `gateway ...` has that command and those options. With a `text` block right below, it is run, and answers
        that; `...` stands for anything. A `gateway serve` is not run: what it shows is compared with the running one.
toml, json  It is parsed.
python  It is run, in a folder with a `.gateway/admin-token` of a running gateway. Below `<!-- needs: PACKAGE -->`,
        where that is installed; elsewhere it is parsed.
js      It is parsed, where there is node.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import textwrap
import tomllib
from importlib.util import find_spec
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
import pytest
import yaml

from gateway import build_app
from gateway.cli import main
from gateway.config.compile import snapshot
from gateway.errors import GatewayError
from gateway.settings import Settings
from gateway.testing import FakeUpstream, post

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("*/*.md"))]
ADDRESS = "127.0.0.1:8787"
IN_TIME_S = 60
KINDS = ("yaml", "sh", "python", "toml", "json", "js")
FRAGMENT = "fragment of: "
KUBERNETES = "for: Kubernetes"
NEEDS = "needs: "

OFFERED = """\
type: provider-account/demo
name: demo
collaborators: [{subject: "team:everyone", role_id: provider-account-access}]
integrations: [{type: integration/model/demo, name: echo, model_types: [chat]}]
---
type: provider-account/demo    # what stands in for OpenAI, whom no test may ask
name: openai
integrations: [{type: integration/model/demo, name: gpt-4o-mini, model_types: [chat]}]
"""

each_page = pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])


class Block(NamedTuple):
    place: str
    """`docs/access.md:12`"""
    kind: str
    text: str
    mark: str
    """What the comment right above it says."""
    answer: str | None
    """What stands in the `text` block right below it."""


_BLOCK = re.compile(
    r"""
    (?:^\ *<!--\ (?P<mark>.*)\ -->\n)?
    ^(?P<indent>\ *)```(?P<kind>\w*)\n(?P<text>.*?)^(?P=indent)```\n
    (?:\n(?P=indent)```text\n(?P<answer>.*?)^(?P=indent)```\n)?
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)


def blocks(page):
    written = page.read_text()
    return [
        Block(
            place=f"{page.relative_to(ROOT)}:{written.count(chr(10), 0, match.start()) + 1}",
            kind=match["kind"],
            text=textwrap.dedent(match["text"]),
            mark=match["mark"] or "",
            answer=match["answer"],
        )
        for match in _BLOCK.finditer(written)
    ]


def of_kind(page, kind):
    return [block for block in blocks(page) if block.kind == kind]


def prose(page):
    return _BLOCK.sub("", page.read_text())


# --- a gateway to run them against -----------------------------------------------------------------------------------


class Running(NamedTuple):
    folder: Path
    address: str
    shown: str
    """What it wrote when it had started."""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """As `gateway serve` starts it, at a port of its own."""
    folder = tmp_path_factory.mktemp("running")
    (folder / "gateway.yaml").write_text(OFFERED)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    command = [sys.executable, "-m", "gateway", "serve", "--port", address.partition(":")[2]]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ(), stdout=log, stderr=subprocess.PIPE, text=True)
    try:
        yield Running(folder, address, "".join(takewhile(lambda line: "Try it" not in line, process.stderr)))
    finally:
        process.kill()
        process.communicate()


def environ(**more):
    """Nothing of whoever runs the tests but where programs are, those of this environment first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {"PATH": path, "HOME": "/nonexistent", "NO_PROXY": "*", **more}


# --- what is checked -------------------------------------------------------------------------------------------------


@each_page
def test_has_blocks_of_known_kinds(page):
    """A block of another kind would be looked at by nobody."""
    assert [block.place for block in blocks(page) if block.kind not in KINDS] == []


@each_page
def test_can_read_what_is_for_other_programs(page):
    """Codex itself is run with its block by `tests/e2e/test_e2e_codex.py`."""
    for block in of_kind(page, "toml"):
        assert tomllib.loads(block.text), block.place
    for block in of_kind(page, "json"):
        assert msgspec.json.decode(block.text), block.place


@each_page
def test_runs_what_it_shows(page, running, tmp_path):
    """Of the old README the first Python block failed three times in a row."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    (tmp_path / ".gateway").symlink_to(running.folder / ".gateway")
    for block in blocks(page):
        script = block.text.replace(ADDRESS, running.address)
        if block.kind in ("js", "json"):
            continue
        if block.mark.startswith(NEEDS) and find_spec(block.mark.removeprefix(NEEDS)) is None:
            compile(script, block.place, "exec")
            continue
        if block.kind == "python":
            answer = run(block, [sys.executable, "-c", script], tmp_path, running)
        elif block.answer is None:
            continue
        elif "gateway serve" in script:
            answer = running.shown
        else:
            answer = run(block, ["bash", "-euo", "pipefail", "-c", script], tmp_path, running)
        expected = ".*".join(re.escape(part) for part in (block.answer or "").strip().split("..."))
        answer = answer.replace(running.address, ADDRESS)
        assert re.search(expected, answer, re.DOTALL), f"{block.place} answers\n{answer}"


def run(block, command, folder, running):
    """What it writes, standard error first."""
    address = environ(GATEWAY_URL=f"http://{running.address}")
    ended = subprocess.run(command, cwd=folder, env=address, capture_output=True, text=True, timeout=IN_TIME_S)
    written = ended.stderr + ended.stdout
    assert ended.returncode == 0, f"{block.place}\n{written}"
    return written


@each_page
def test_manifests_load(page, tmp_path):
    """Of the old README's seven, two loaded as pasted, and two defined the same account."""
    for number, block in enumerate(of_kind(page, "yaml")):
        if block.mark == KUBERNETES:
            continue
        if block.mark.startswith(FRAGMENT):
            add_to_manifests(tmp_path, block)
        else:
            (tmp_path / f"{number:02}.yaml").write_text(block.text)

        report = snapshot.check(tmp_path, Settings(), has_secrets=False)

        assert [*map(str, (*report.left_out, *report.warnings))] == [], block.place


def add_to_manifests(folder, fragment):
    """To those of its type."""
    type_ = fragment.mark.removeprefix(FRAGMENT)
    for file in folder.iterdir():
        manifests = [*yaml.safe_load_all(file.read_text())]
        of_type = [manifest for manifest in manifests if manifest["type"] == type_]
        assert of_type, fragment.place
        for manifest in of_type:
            manifest |= yaml.safe_load(fragment.text)
        file.write_text(yaml.safe_dump_all(manifests))


@each_page
def test_kubernetes_gets_arguments_that_exist(page):
    for block in of_kind(page, "yaml"):
        if block.mark == KUBERNETES:
            for containers in yaml.safe_load(block.text).values():
                for container in containers:
                    parse(container["args"])


@each_page
def test_commands_exist(page):
    """In blocks, and between backticks in a line."""
    inline = re.findall(r"`(gateway [a-z][^`]*)`", prose(page).replace("\n", " "))
    for script in [block.text for block in of_kind(page, "sh")] + inline:
        subprocess.run(["bash", "-n", "-c", script], check=True, timeout=IN_TIME_S)
        for arguments in gateway_commands(script):
            parse(arguments)


def gateway_commands(script):
    """The arguments of each `gateway` in it."""
    script = re.sub(r"(^|\s)#.*", "", script.replace("\\\n", " "), flags=re.MULTILINE)
    words = shlex.shlex(script, posix=True, punctuation_chars="();<>|&\n")
    words.whitespace, words.whitespace_split = " ", True
    command = []
    for word in [*words, ";"]:
        if not set(word) <= set(words.punctuation_chars):
            command.append(word)
            continue
        command = [*dropwhile(re.compile("[A-Z_]+=").match, command)]
        if command and command[0] in ("gateway", ".venv/bin/gateway"):
            yield command[1:]
        command = []


def parse(arguments):
    """Raises KeyError: there is no such command; ClickException: no such option or value. Files need not be there."""
    command = main
    while isinstance(command, click.Group):
        if not set(arguments[:1]) & set(command.commands):
            arguments = ["report", *arguments]  # `gateway usage` takes that for said
        name, *arguments = arguments
        command = command.commands[name]
    try:
        command.make_context(name, [*arguments])
    except click.BadParameter as error:
        is_spoken_of = isinstance(error, click.MissingParameter) and not arguments
        if not is_spoken_of and "does not exist" not in error.message:
            raise


# --- links, variables, places ----------------------------------------------------------------------------------------


def anchors(page):
    """As the sites that show Markdown make them: letters, digits and hyphens of the heading."""
    headings = re.findall(r"^#+ (.*)$", _BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_its_javascript_is_that(page, tmp_path):
    if of_kind(page, "js") and shutil.which("node") is None:
        pytest.skip("needs node")
    for block in of_kind(page, "js"):
        (tmp_path / "block.mjs").write_text(block.text)
        checked = subprocess.run(["node", "--check", tmp_path / "block.mjs"], capture_output=True, text=True)
        assert checked.returncode == 0, f"{block.place}\n{checked.stderr}"


@each_page
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_each_page_is_reached_from_the_readme():
    """Those of clients by way of the page about clients."""
    linked = set(re.findall(r"\]\((docs/[^)#]+)", PAGES[0].read_text()))
    clients = re.findall(r"\]\((clients/[^)#]+)", (ROOT / "docs/clients.md").read_text())

    assert linked | {f"docs/{path}" for path in clients} == {str(page.relative_to(ROOT)) for page in PAGES[1:]}


def errors(base):
    return [each for child in base.__subclasses__() for each in (child, *errors(child))]


def test_clients_are_told_of_each_code():
    """Those of classes of their own; programs go by them."""
    codes = {error.code for error in errors(GatewayError) if error.__module__ == "gateway.errors" and error.code}

    assert sorted(code for code in codes if f"`{code}`" not in (ROOT / "docs/clients.md").read_text()) == []


def variables():
    """Those in the table of docs/configuration.md."""
    rows = re.findall(r"^\| (`[A-Z].*?) \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([A-Z][A-Z_]+)`", row)}


def test_lists_the_variables_that_are_read():
    files = (*(ROOT / "gateway").rglob("*.py"), *(ROOT / "plugins").glob("*/gateway_*/*.py"))
    source = "\n".join(path.read_text() for path in files)

    assert {name for name in variables() if name.startswith("GATEWAY_")} == set(
        re.findall(r"\bGATEWAY_[A-Z_]+", source)
    )
    assert {name for name in variables() if not re.search(rf"\b{name}\b", source)} == set()


@each_page
def test_names_no_machine_and_no_index_of_packages(page):
    assert re.findall(r"/root/|/home/|/tmp/|/work/|--index-url|--extra-index|/simple\b", page.read_text()) == []


# --- the plugin of a page --------------------------------------------------------------------------------------------

ACME = """\
type: provider-account/acme
name: acme
auth_data: {type: api-key, api_key: k-acme}
integrations: [{type: integration/model/acme, name: coyote, model_id: coyote-9, model_types: [chat]}]
"""
ASK = {"model": "acme/coyote", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}


@pytest.fixture
def acme(tmp_path):
    """The plugin as the page has it, installed; its account's file."""
    [block] = of_kind(ROOT / "docs" / "plugins.md", "python")[:1]
    (tmp_path / "acme.py").write_text(block.text)
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gateway.providers]\nacme = acme:Acme\n")
    (tmp_path / "acme.yaml").write_text(ACME)
    sys.path.insert(0, str(tmp_path))
    yield tmp_path / "acme.yaml", block
    sys.path.remove(str(tmp_path))
    sys.modules.pop("acme", None)


async def asked(path, upstream, ask):
    token = "gw-test-0123456789abcdef"
    app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": token}, network=upstream)
    try:
        return await post(app, "/v1/chat/completions", ask, headers={"authorization": f"Bearer {token}"})
    finally:
        await app.close()


def test_a_vendor_with_a_quirk_takes_less_than_60_lines(acme):
    _, block = acme

    assert len(block.text.splitlines()) < 60


async def test_the_vendor_of_the_page_answers(acme):
    """In its own words for what is asked, and byte for byte in those of its answer."""
    reply = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"beep"},"finish_reason":"stop"}]}'
    upstream = FakeUpstream((200, [reply]))

    answer = await asked(acme[0], upstream, ASK)

    [request] = upstream.requests
    assert (answer.status, answer.body) == (200, reply)
    assert request.endpoint.url == "https://api.acme.example/v1/chat/completions"
    assert b"x-acme-key: k-acme\r\n" in request.endpoint.head
    assert b"authorization" not in request.endpoint.head
    assert msgspec.json.decode(request.body) == {
        "model": "coyote-9",
        "messages": [{"role": "user", "content": "hi"}],
        "output_limit": 9,
    }


async def test_the_vendor_of_the_page_refuses(acme):
    said = b'{"ok":false,"problem":{"kind":"no_credit","text":"Nothing left.","retry_in_s":5}}'

    answer = await asked(acme[0], FakeUpstream((402, [said])), ASK)

    error = msgspec.json.decode(answer.body)["error"]
    assert (answer.status, error["message"], error["code"]) == (402, "Nothing left.", "no_credit")
    assert answer.headers["retry-after"] == "5"


async def test_what_the_vendor_of_the_page_says_in_no_words_of_its_own_is_told(acme):
    answer = await asked(acme[0], FakeUpstream((503, [b"<html>Bad day</html>"])), ASK)

    assert (answer.status, msgspec.json.decode(answer.body)["error"]["type"]) == (503, "upstream_error")
