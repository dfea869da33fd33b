"""The schema says of manifests what the reader says, and the reference is the schema."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from msgspec import json

from gateway.cli import main
from gateway.errors import ConfigError
from gateway.manifests import Secrets, kinds, loads, read
from gateway.manifests.accounts import OpenAIAccount
from gateway.manifests.schema import meanings_of, schema_of
from gateway.plugins import providers_by_type

ROOT = Path(__file__).parent.parent.parent
STRUCTS = {type_: provider.accounts[type_] for type_, provider in providers_by_type().items()} | kinds.STRUCTS
VALIDATOR = jsonschema.Draft202012Validator(schema_of(STRUCTS, unread=["agent"]))
_BLOCK = re.compile(
    r"(?:^ *<!-- (?P<mark>.*) -->\n)?^(?P<indent> *)```yaml\n(?P<text>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
MODEL = {"type": "integration/model/openai", "name": "m", "model_id": "gpt", "model_types": ["chat"]}
ACCOUNT = {
    "type": "provider-account/openai",
    "name": "oa",
    "auth_data": {"type": "api-key", "api_key": "k"},
    "integrations": [MODEL],
}


def shown():
    """Manifests that pages show, and those of tests in files of their own."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for match in _BLOCK.finditer(page.read_text()):
            if not match["mark"]:
                text = re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
                yield from ((page.name, document) for document in loads(text))
    for path in sorted((ROOT / "tests").rglob("*.yaml")):
        if path.parent.name == "manifests":
            yield from ((path.name, document) for document in loads(path.read_text()))


def test_every_manifest_that_is_shown_is_valid():
    manifests = [(where, manifest) for where, manifest in shown() if manifest.type in STRUCTS]

    problems = [
        (where, manifest.name, error.json_path, error.message[:200])
        for where, manifest in manifests
        for error in VALIDATOR.iter_errors(manifest.data)
    ]

    assert problems == []
    assert len(manifests) > 25


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"base_url": "${BASE_URL}"},
        {"discount_percent": "12.5"},
        {"discount_percent": "${DISCOUNT}"},
        {"asks_for_usage": False},
        {"auth_data": None},
        {"integrations": []},
        {"integrations": [{**MODEL, "cost": {"metric": "per_1000_tokens", "value": {"input": 1, "output": 0.5}}}]},
        {"integrations": [{**MODEL, "model_types": ["${KIND}"]}]},
    ],
)
def test_what_may_be_said(change):
    assert [error.message for error in VALIDATOR.iter_errors(ACCOUNT | change)] == []


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"name": "has spaces"},
        {"name": 5},
        {"base_url": "ftp://x"},
        {"discount_percent": 101},
        {"discount_percent": "a lot"},
        {"integrations": {}},
        {"integrations": [{**MODEL, "model_types": []}]},
        {"integrations": [{**MODEL, "model_types": ["talk"]}]},
        {"integrations": [{**MODEL, "cost": {"metric": "per_year"}}]},
        {"integrations": [{**MODEL, "cost": {"metric": "per_1000_tokens", "value": {"input": -1, "output": 1}}}]},
        {"auth_data": {"type": "password"}},
    ],
)
def test_what_the_reader_refuses(change):
    data = ACCOUNT | change

    assert [*VALIDATOR.iter_errors(data)]
    with pytest.raises(ConfigError):
        read(*loads(json.encode(data).decode()), OpenAIAccount, Secrets({}))


@pytest.mark.parametrize(
    "data",
    [
        {key: value for key, value in ACCOUNT.items() if key != "integrations"},
        {**ACCOUNT, "integratoins": []},
        {**ACCOUNT, "type": "provider-account/opanai"},
        {"name": "nothing"},
        "text",
        5,
    ],
)
def test_what_else_is_wrong(data):
    """A field that nobody knows is a warning of the reader's; an editor shows where it stands."""
    assert [*VALIDATOR.iter_errors(data)]


def test_a_file_may_hold_a_list_and_what_nobody_reads_yet():
    assert [*VALIDATOR.iter_errors([ACCOUNT, {"type": "agent", "name": "a", "anything": 1}])] == []


def test_every_type_has_a_name_of_its_own():
    """Two structs of one name must not share a schema."""
    schema = schema_of(STRUCTS)
    references = set(re.findall(r'"#/\$defs/(\w+)"', json.encode(schema).decode()))

    assert references <= schema["$defs"].keys()
    assert {"TfyPiiIntegration", "RegexIntegration", "PluginIntegration"} <= schema["$defs"].keys()


def test_meanings_come_from_docstrings():
    meanings = meanings_of(OpenAIAccount)

    assert meanings["discount_percent"] == "taken off the list price."
    assert meanings["name"] == "stands in front of its models' names: `account/model`."


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_writes_the_schema():
    result = CliRunner().invoke(main, ["schema"])

    written = json.decode(result.stdout)
    assert result.exit_code == 0
    jsonschema.Draft202012Validator.check_schema(written)
    assert jsonschema.Draft202012Validator(written).is_valid(yaml.safe_load(ACCOUNT_TEXT))


ACCOUNT_TEXT = """\
# yaml-language-server: $schema=gateway.schema.json
type: provider-account/openai
name: main
auth_data: {type: api-key, api_key: tfy-secret://acme:keys:openai}
integrations: [{type: integration/model/openai, name: gpt, model_id: gpt-4o, model_types: [chat]}]
"""


def test_the_reference_is_current():
    """Write it anew: `gateway schema --format markdown > docs/reference.md`."""
    written = CliRunner().invoke(main, ["schema", "--format", "markdown"]).stdout

    assert (ROOT / "docs" / "reference.md").read_text() == written


def test_each_field_of_the_reference_has_a_meaning():
    """Write it into the docstring of its struct, below `Args:`; what many structs share, into `meanings.py`."""
    heading, without = "", []
    for line in (ROOT / "docs" / "reference.md").read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.endswith("|  |"):
            without.append(f"{heading}: {line.split('`')[1]}")

    assert without == []


def test_a_field_says_what_it_means_and_which_form_it_has():
    model = schema_of({"provider-account/openai": OpenAIAccount})["$defs"]["Integration"]["properties"]["model_id"]

    assert (model["title"], model["description"]) == ("text, and not empty", "the provider's own name for it.")
