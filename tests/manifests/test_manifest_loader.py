"""From files to manifests."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigError, Fault
from gateway.manifests import Loader, Manifest, load, loads

TWO = """\
type: team
name: blue
---
- type: provider-account/openai
  name: main
  integrations:
    - name: gpt
      url: http://a
- type: gateway-otel-config
"""


def test_reads_documents_and_lists():
    """Both forms are in use, even in one file; what has no name is called by its type."""
    manifests = loads(TWO, "a.yaml")

    assert [(m.type, m.name, m.file, m.line) for m in manifests] == [
        ("team", "blue", "a.yaml", 1),
        ("provider-account/openai", "main", "a.yaml", 4),
        ("gateway-otel-config", "gateway-otel-config", "a.yaml", 9),
    ]
    assert manifests[2].data == {"type": "gateway-otel-config"}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 4),
        (("name",), 5),
        (("integrations",), 6),
        (("integrations", 0), 7),
        (("integrations", 0, "url"), 8),
        (("integrations", 0, "model_id"), 7),
        (("integrations", 3, "url"), 6),
        (("integrations", "url"), 6),
        (("name", "first"), 5),
        (("absent", "url"), 4),
    ],
)
def test_knows_the_line_of_everything(path, line):
    """What is missing has the line of what should hold it."""
    assert loads(TWO)[1].line_of(path) == line


def test_a_manifest_that_stands_nowhere_has_no_line():
    manifest = Manifest("team", "blue", "environment", 0, {"type": "team"})

    assert str(manifest.fault(("members", 0), "no such user")) == "environment: members[0]: no such user"


def test_repr_hides_the_content():
    (manifest,) = loads("type: a\nname: b\nkey: canary-123\n", "a.yaml")

    assert repr(manifest) == "Manifest(type='a', name='b', file='a.yaml', line=1, version=None)"


def test_reads_json(tmp_path):
    """With its own way to write what is beyond 16 bits, and tabs; a backslash stays one."""
    data = {"type": "a", "name": "b", "text": "\U0001f600 \\ud83d\\ude00 \\", "price": 1e-07, "yes": [True, None]}
    file = tmp_path / "a.json"
    file.write_text(json.dumps(data, indent="\t"))

    (manifest,) = load(file)

    assert manifest.data == data
    assert manifest.line_of(("price",)) == 5


def test_a_byte_order_mark_is_not_text(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xef\xbb\xbftype: a\r\nname: b\r\n")

    assert [(m.type, m.name) for m in load(file)] == [("a", "b")]


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("type: a\nname: 123\n", "name", "must be text; put it in quotes"),
        ("type: 1.5\n", "type", "must be text; put it in quotes"),
        ("type: a\nname: ''\n", "name", "must not be empty"),
        ("type: a\nname: ${X}\n", "name", "must not depend on a variable: type and name say which manifest this is"),
        ("name: a\n", "", "a manifest is a mapping with a `type`"),
        ("just text\n", "", "a manifest is a mapping with a `type`"),
        ("- [a]\n", "", "a manifest is a mapping with a `type`"),
    ],
)
def test_refuses_what_has_no_identity(text, path, message):
    with pytest.raises(ConfigError) as caught:
        loads(text, "a.yaml")

    assert [(fault.path, fault.message) for fault in caught.value.faults] == [(path, message)]


def test_names_both_places_of_one_identity(tmp_path):
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("# \ntype: team\nname: blue\n")

    with pytest.raises(ConfigError) as caught:
        load(tmp_path)

    assert str(caught.value) == (
        f"{tmp_path}/b.yaml:3: name: a second team named 'blue'; the first is in {tmp_path}/a.yaml:2"
    )


def test_tells_all_faults_of_all_files(tmp_path):
    """Nobody wants to fix a directory one error at a time."""
    (tmp_path / "a.yaml").write_text("type: team\ntype: user\n---\nname: x\n---\na: [\n")
    (tmp_path / "b.yml").write_bytes(b"type: a\nname: \xff\n")
    (tmp_path / "c.yaml").write_text("type: a\nname: 7\n")
    (tmp_path / "d.json").symlink_to("nowhere.json")

    with pytest.raises(ConfigError) as caught:
        load(tmp_path)

    assert [(f.file.removeprefix(f"{tmp_path}/"), f.line) for f in caught.value.faults] == [
        ("a.yaml", 2),
        ("a.yaml", 7),
        ("a.yaml", 4),
        ("b.yml", 2),
        ("c.yaml", 2),
    ]


def test_a_missing_file_is_a_fault(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "a.yaml")

    assert caught.value.faults == (Fault(f"{tmp_path}/a.yaml", 0, "", "cannot be read: No such file or directory"),)


def test_a_huge_file_is_a_fault(tmp_path):
    file = tmp_path / "a.yaml"
    with file.open("wb") as stream:
        stream.truncate(16 * 1024 * 1024 + 1)

    with pytest.raises(ConfigError) as caught:
        load(str(file))

    assert caught.value.faults == (Fault(str(file), 0, "", "larger than 16,777,216 bytes"),)


def test_walks_a_directory_in_order(tmp_path):
    for name in ("b.yml", "a/z.yaml", "a/.hidden.yaml", ".git/config.yaml", "c.json", "README.md", "d.yaml.bak"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'{{"type": "team", "name": "{name}"}}')

    assert [m.name for m in load(tmp_path)] == ["a/z.yaml", "b.yml", "c.json"]


def test_reads_a_config_map_once(tmp_path):
    """Kubernetes mounts each file as a link through `..data`, to swap them all at once."""
    real = tmp_path / "..2026_01_02_03_04_05.123"
    (real / "sub").mkdir(parents=True)
    (real / "a.yaml").write_text("{type: team, name: a}")
    (real / "sub" / "b.yaml").write_text("{type: team, name: b}")
    (tmp_path / "..data").symlink_to(real.name)
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    (tmp_path / "sub").symlink_to("..data/sub")

    manifests = load(tmp_path)

    assert [(m.name, m.file) for m in manifests] == [("a", f"{tmp_path}/a.yaml"), ("b", f"{tmp_path}/sub/b.yaml")]


def test_links_in_a_circle_come_to_an_end(tmp_path):
    (tmp_path / "a.yaml").write_text("{type: team, name: a}")
    (tmp_path / "same.yaml").symlink_to("a.yaml")
    (tmp_path / "up").symlink_to(".")
    (tmp_path / "self.yaml").symlink_to("self.yaml")

    assert [m.name for m in load(tmp_path)] == ["a"]


@given(st.text() | st.text(alphabet="type: nam\n-[]{},'\"$*&<"), st.sampled_from(["a.yaml", "a.json"]))
def test_any_text_is_manifests_or_a_config_error(text, file):
    try:
        manifests = loads(text, file)
    except ConfigError:
        return
    assert all(manifest.type and manifest.name for manifest in manifests)


RULES = "[{id: r, limit_to: 1, unit: requests_per_minute}]"
SINGLETON = f"type: gateway-rate-limiting-config, rules: {RULES}"


@pytest.mark.parametrize(
    "text",
    [
        f"{{id: 7, type: gateway-rate-limiting-config, tenantName: acme, manifest: {{{SINGLETON}}}}}",
        f"{{manifest: {{{SINGLETON}}}, dryRun: false}}",
        f"{{data: {{id: 7, manifest: {{{SINGLETON}}}}}}}",
        f"{{data: [{{type: gateway-rate-limiting-config, manifest: {{{SINGLETON}}}}}], pagination: {{total: 1}}}}",
        f"[{{id: 7, manifest: {{{SINGLETON}}}}}]",
        f"{{action: updated, type: gateway-rate-limiting-config, version: 2, manifest: {{{SINGLETON}}}}}",
    ],
)
def test_an_answer_of_the_api_is_the_manifest_in_it(text):
    """Pasted into a file it once was a manifest without rules, so that no limit was in force."""
    assert [manifest.data for manifest in loads(text)] == [
        {
            "type": "gateway-rate-limiting-config",
            "rules": [{"id": "r", "limit_to": 1, "unit": "requests_per_minute"}],
        }
    ]


def test_an_answer_has_the_lines_of_its_file():
    (team, other) = loads(
        "data:\n- id: 1\n  manifest:\n    type: team\n    name: a\n- {type: team, name: b}\n", "a.yaml"
    )

    assert (team.line, team.line_of(("name",)), other.line) == (3, 5, 6)


@pytest.mark.parametrize(
    "text",
    [
        "{type: a, name: n, data: {type: b}}",
        "{type: a, name: n, manifest: {key: b}}",
        "{type: a, name: n, manifest: text}",
        "{type: a, name: n, manifest: [{type: b}]}",
    ],
)
def test_a_manifest_with_such_fields_is_itself(text):
    assert [manifest.type for manifest in loads(text)] == ["a"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("model_list: [{model_name: gpt, litellm_params: {model: openai/gpt}}]", "a configuration of LiteLLM"),
        ("litellm_settings: {drop_params: true}", "a configuration of LiteLLM"),
        ("providers: {openai: {keys: [{value: env.KEY}]}}", "a configuration of another gateway, such as Bifrost"),
        ("{strategy: {mode: fallback}, targets: [{provider: openai}]}", "a configuration of Portkey"),
        ("{apiVersion: v1, kind: ConfigMap, data: {gateway.yaml: text}}", "an object of Kubernetes"),
        ("{apiVersion: v1, kind: Secret, type: Opaque, data: {type: a}}", "an object of Kubernetes"),
        ("services: {gateway: {image: x}}", "a Compose file"),
        ("{openapi: 3.1.0, paths: {}}", "a description of an API"),
        ("mcpServers: {a: {command: npx}}", "a list of MCP servers"),
    ],
)
def test_a_file_of_something_else_is_called_by_its_name(text, what):
    """And it is said what to write instead, in one sentence."""
    with pytest.raises(ConfigError) as caught:
        loads(text, "a.yaml")

    (fault,) = caught.value.faults
    assert str(fault).startswith(f"a.yaml:1: this is {what}, which is not read here; ")


# --- again and again ---------------------------------------------------------

BLUE, RED = "type: team\nname: blue\nmembers: []\n", "type: team\nname: red\nmembers: []\n"


def loaded(loader):
    return {manifest.name: manifest for manifest in loader.load()}


def test_what_has_not_changed_stays_the_same_object(tmp_path):
    """So that all that was made of it can stay as well."""
    (tmp_path / "a.yaml").write_text(f"{BLUE}---\n{RED}")
    loader = Loader(tmp_path)
    before = loaded(loader)

    (tmp_path / "a.yaml").write_text(f"{BLUE}---\n{RED.replace('[]', '[a@b.c]')}")
    after = loaded(loader)

    assert after["blue"] is before["blue"]
    assert after["red"].data["members"] == ["a@b.c"]


def test_a_manifest_that_has_moved_knows_its_new_lines(tmp_path):
    (tmp_path / "a.yaml").write_text(BLUE)
    loader = Loader(tmp_path)
    loader.load()

    (tmp_path / "a.yaml").write_text(BLUE.replace("members", "\nmembers"))

    assert loaded(loader)["blue"].line_of(("members",)) == 4


def test_files_come_and_go_and_are_repaired(tmp_path):
    (tmp_path / "a.yaml").write_text(BLUE)
    loader = Loader(tmp_path)
    loader.load()

    (tmp_path / "b.yaml").write_text(f"{RED}---\n[")
    with pytest.raises(ConfigError):
        loader.load()
    (tmp_path / "b.yaml").write_text(RED)
    assert [*loaded(loader)] == ["blue", "red"]
    (tmp_path / "a.yaml").unlink()
    assert [*loaded(loader)] == ["red"]
