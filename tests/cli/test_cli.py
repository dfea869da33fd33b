import pytest
from click.testing import CliRunner

from gateway import __version__
from gateway.cli import main

GOOD = """
type: provider-account/openai
name: main
auth_data: {type: api-key, api_key: sk-test}
integrations:
  - {type: integration/model/openai, name: small, model_id: small, model_types: [chat]}
  - {type: integration/model/openai, name: large, model_id: large, model_types: [chat]}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run("check", "gateway.yaml", files={...})`, in an empty folder and environment."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, files=None, **environ):
        for name, text in (files or {}).items():
            (tmp_path / name).write_text(text)
        return CliRunner(env={"GATEWAY_CONFIG": None, "GATEWAY_ADMIN_TOKEN": None, **environ}).invoke(main, arguments)

    return run


def test_version(run):
    assert run("--version").output == f"gateway, version {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "-h"], ["check", "--help"]])
def test_help(run, arguments):
    result = run(*arguments)

    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")


def test_check_counts_what_it_found(run):
    result = run("check", "gateway.yaml", files={"gateway.yaml": GOOD})

    assert result.output.splitlines() == [
        "1 account, 2 models",
        "hint: clients that have a list of names, such as LlamaIndex and DSPy, do not take main/small, and 1 other "
        "likewise; a virtual model with `alias: [small]` gives it a name they know",
    ]
    assert result.exit_code == 0
    assert run("check", "--strict", "gateway.yaml").exit_code == 0


def test_check_counts_a_model_once(run):
    """However many names it has."""
    virtual = """---
type: provider-account/virtual-model
name: models
integrations:
  - type: integration/model/virtual
    name: any
    model_types: [chat]
    slug: acme-any
    alias: [any, small]
    routing_config:
      type: priority-based-routing
      load_balance_targets:
        - {target: main/small, priority: 0}
"""

    result = run("check", "gateway.yaml", files={"gateway.yaml": GOOD + virtual})

    assert result.output.splitlines()[0] == "2 accounts, 3 models"


def test_check_shows_warnings(run):
    """They do not fail it: a newer gateway may know the field."""
    result = run("check", "gateway.yaml", files={"gateway.yaml": GOOD + "nmae: main\n"})

    warning, summary, _ = result.output.splitlines()
    assert warning.startswith("gateway.yaml:8: nmae: ")
    assert warning.endswith(" (warning)")
    assert summary == "1 account, 2 models, 1 warning"
    assert result.exit_code == 0
    assert run("check", "--strict", "gateway.yaml").exit_code == 1


def test_check_shows_accounts_that_are_left_out(run):
    """With --strict it fails: a pipeline has nobody who reads."""
    other = GOOD.replace("name: main", "name: other").replace("sk-test", '"${NO_KEY}"')

    result = run("check", "gateway.yaml", files={"gateway.yaml": f"{GOOD}---{other}"})

    left_out, summary, _ = result.output.splitlines()
    assert left_out == (
        "gateway.yaml:11: auth_data.api_key: environment variable NO_KEY is missing or empty; "
        "write $${ for a literal ${ (left out)"
    )
    assert summary == "1 account, 2 models, 1 warning"
    assert result.exit_code == 0
    assert run("check", "--strict", "gateway.yaml").exit_code == 1


def test_check_shows_warnings_beside_faults(run):
    """A type that is misspelled, and what is wrong because of it."""
    text = GOOD.replace("account/openai", "account/opanai") + "---\n{type: team, name: a}\n"

    result = run("check", "gateway.yaml", files={"gateway.yaml": text})

    assert result.output.splitlines() == [
        "gateway.yaml:9: missing required field `members`",
        "gateway.yaml:2: type: ignored: no plugin reads provider-account/opanai; did you mean "
        "`provider-account/openai`? (warning)",
        "1 fault, 1 warning",
    ]
    assert result.exit_code == 1
    served = run("serve", "--config", "gateway.yaml").stderr.splitlines()
    assert served == [*result.output.splitlines()[:2], "Error: the configuration has 1 fault"]


def test_check_shows_variables_that_cannot_be_used(run):
    """`gateway serve` would not start with them either."""
    environ = {"GATEWAY_TOKENS": "user", "GATEWAY_LEDGER_DAYS": "soon"}

    result = run("check", "gateway.yaml", files={"gateway.yaml": GOOD}, **environ)

    assert result.output.splitlines() == [
        "the environment: GATEWAY_TOKENS: entry 1 is not of the form user:name@example.com=token",
        "the environment: GATEWAY_LEDGER_DAYS: has to be a number of days above 0",
        "2 faults",
    ]
    assert result.exit_code == 1
    served = run("serve", "--config", "gateway.yaml", **environ).stderr.splitlines()
    assert served == [*result.output.splitlines()[:2], "Error: the configuration has 2 faults"]


def test_check_where_no_secrets_are(run):
    """As in a pipeline that migrates the database, and has no pepper."""
    environ = {"GATEWAY_DATABASE_URL": "sqlite:///gateway.db"}

    checks = [
        run("check", "gateway.yaml", *more, files={"gateway.yaml": GOOD}, **environ) for more in ([], ["--no-secrets"])
    ]

    assert [check.exit_code for check in checks] == [1, 0]


def test_check_of_an_empty_folder(run):
    result = run("check", ".")

    assert result.output.splitlines() == [
        ".: no model can be used; it takes a provider-account with integrations (`gateway init` writes an example)",
        "1 fault",
    ]
    assert result.exit_code == 1


def test_check_shows_every_fault(run):
    files = {"gateway.yaml": GOOD.replace("name: small", "name: 5").replace("[chat]}\n  -", "4}\n  -")}

    result = run("check", "gateway.yaml", files=files)

    *faults, summary = result.output.splitlines()
    assert [fault.split(": ")[:2] for fault in faults] == [
        ["gateway.yaml:6", "integrations[0].name"],
        ["gateway.yaml:6", "integrations[0].model_types"],
    ]
    assert summary == "2 faults"
    assert result.exit_code == 1


REFERRING = """
type: provider-account/openai
name: main
base_url: ${OPENAI_URL}
auth_data: {type: api-key, api_key: "%s"}
integrations: []
---
type: provider-account/self-hosted-model
name: own
integrations:
  - type: integration/model/self-hosted-model
    name: m
    hosted_model_name: m
    url: http://${GPU_HOST}:8000/v1
    model_server: vllm-openai
    model_types: [chat]
    auth_data: {type: bearer-auth, bearer_token: "${GPU_TOKEN}"}
---
type: provider-account/slack
name: alerts
integrations:
  - type: integration/notification-channel/slack-webhook
    name: costs
    auth_data: {type: slack-webhook, webhook_url: "tfy-secret://acme:slack:url"}
---
type: identity-provider
name: okta
issuer: ${ISSUER}
audiences: ["${AUDIENCE}"]
"""


def test_check_without_secrets(run):
    """In CI, where they are not: references are checked for their form."""
    good = REFERRING % "tfy-secret://acme:keys:openai"

    result = run("check", "--no-secrets", "gateway.yaml", files={"gateway.yaml": good})
    assert (result.output.splitlines()[0], result.exit_code) == ("1 account, 1 model", 0)

    for reference, message in {
        "tfy-secret://keys:openai": "a secret is written tfy-secret://<tenant>:<group>:<key>",
        "tfy-secret://<tenant>:<group>:<key>": "this is a placeholder",
        "${OPENAI-KEY}": "a variable is written ${NAME}",
    }.items():
        result = run("check", "--no-secrets", "gateway.yaml", files={"gateway.yaml": REFERRING % reference})
        fault, summary = result.output.splitlines()
        assert fault.startswith(f"gateway.yaml:5: auth_data.api_key: {message}")
        assert (summary, result.exit_code) == ("1 fault", 1)

    assert run("check", "gateway.yaml", files={"gateway.yaml": good}).exit_code == 1


def test_check_of_nothing(run):
    result = run("check", "nowhere.yaml")

    assert "'nowhere.yaml' does not exist" in result.stderr
    assert result.exit_code == 2


def test_serve_says_why_it_cannot(run):
    result = run("serve", files={"gateway.yaml": GOOD.replace("name: main", "nmae: main")})

    *faults, summary = result.stderr.splitlines()
    assert faults[0].startswith("gateway.yaml:")
    assert summary == f"Error: the configuration has {len(faults)} fault{'s' * (len(faults) > 1)}"
    assert result.exit_code == 1


def test_serve_without_a_place_for_its_token(run, tmp_path):
    """A container may have no writable disk, and then the message says what to do."""
    (tmp_path / ".gateway").touch()

    result = run("serve")

    assert result.stderr.startswith("Error: no admin token: ")
    assert result.stderr.endswith(". Set GATEWAY_ADMIN_TOKEN to do without the file\n")
    assert result.exit_code == 1


def test_serve_names_its_servers(run):
    result = run("serve", "--server", "gunicorn")

    assert "'hypercorn', 'uvicorn', 'granian'" in result.stderr
    assert result.exit_code == 2
