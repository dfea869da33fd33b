"""TrueFoundry's own tools against a real gateway: its SDK, and its CLI, whose requirements clash with ours."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

truefoundry_sdk = pytest.importorskip("truefoundry_sdk")

CLI = "truefoundry==0.17.5"
INSTALLED_IN_TIME_S = 600
IN_TIME_S = 120
ADMIN = "tfy_admin-token-of-these-tests"
MANIFESTS = json.dumps(
    [
        {
            "type": "provider-account/openai",
            "name": "main",
            "auth_data": {"type": "api-key", "api_key": "provider-key"},
            "integrations": [
                {
                    "type": "integration/model/openai",
                    "name": "small",
                    "model_id": "gpt",
                    "model_types": ["chat"],
                }
            ],
        },
        {"type": "team", "name": "of-a-file", "members": ["cy@example.com"]},
    ]
)
USE = {"resource_type": "provider-account", "resource_fqn": "default:openai:main", "role_id": "provider-account-access"}
TEAM = {"type": "team", "name": "red", "members": ["ana@example.com", "bo@example.com"], "managers": ["bo@example.com"]}
ROBOT = {"type": "virtual-account", "name": "robot", "permissions": [USE]}
GROUP = {"type": "secret-group", "name": "llm"}
LIMITS = {
    "type": "gateway-rate-limiting-config",
    "name": "limits",
    "rules": [{"id": "all", "when": {}, "limit_to": 500, "unit": "requests_per_minute"}],
}
BUDGET = {
    "type": "tenant-budget-config",
    "name": "cap",
    "limits": {"cost_per_month": 100},
    "applies_to": {"type": "aggregate"},
    "mode": "audit",
}


@pytest.fixture(scope="module")
def gateway(gateway_of_module, migrated_file, tmp_path_factory):
    database = shutil.copy(migrated_file, tmp_path_factory.mktemp("database") / "gateway.db")
    environ = {
        "GATEWAY_ADMIN_TOKEN": ADMIN,
        "GATEWAY_DATABASE_URL": f"sqlite:///{database}",
        "GATEWAY_PEPPER": "pepper-of-these-tests",
    }
    return gateway_of_module(config=MANIFESTS, environ=environ)


@pytest.fixture(scope="module")
def host(gateway):
    return gateway.url.removesuffix("/v1")


@pytest.fixture(scope="module")
def sdk_of(host):
    """`sdk_of(token)`"""
    with httpx.Client() as client:
        yield lambda token: truefoundry_sdk.TrueFoundry(base_url=host, api_key=token, httpx_client=client)


@pytest.fixture(scope="module")
def sdk(sdk_of):
    """Of an admin, with something of each kind to look at."""
    sdk = sdk_of(ADMIN)
    for manifest in (TEAM, GROUP, LIMITS, BUDGET):
        sdk.apply(manifest=manifest)
    sdk.virtual_accounts.create_or_update(manifest=ROBOT)
    sdk.personal_access_tokens.create_for_user(user_email="ana@example.com", name="laptop")
    sdk.virtual_accounts.regenerate_token("robot", grace_period_in_minutes=0)
    return sdk


# --- the SDK -----------------------------------------------------------------

TYPED = {
    "teams, with those of files": (
        lambda sdk: [(team.id, team.members, team.created_by_subject.subject_id) for team in sdk.teams.list()],
        [("of-a-file", ["cy@example.com"], "gateway"), ("red", TEAM["members"], "admin")],
    ),
    "a team": (lambda sdk: sdk.teams.get("red").data.manifest.name, "red"),
    "members": (
        lambda sdk: [each.subject_slug for each in sdk.teams.list_members("red", limit=1)],
        ["ana@example.com", "bo@example.com"],
    ),
    "managers": (lambda sdk: [each.subject_slug for each in sdk.teams.list_managers("red")], ["bo@example.com"]),
    "users, page by page": (
        lambda sdk: [(user.id, user.active) for user in sdk.users.list(limit=1)],
        [("ana@example.com", True), ("bo@example.com", True), ("cy@example.com", True)],
    ),
    "users that are searched for": (
        lambda sdk: [user.email for user in sdk.users.list(query="bo@")],
        ["bo@example.com"],
    ),
    "a user": (lambda sdk: sdk.users.get("cy@example.com").data.created_at, datetime(1970, 1, 1, tzinfo=UTC)),
    "teams of a user": (
        lambda sdk: [(each.team_name, each.roles) for each in sdk.users.get_teams("bo@example.com").data],
        [("red", ["manager"])],
    ),
    "virtual accounts": (
        lambda sdk: [(each.id, each.tenant_name, len(each.jwts)) for each in sdk.virtual_accounts.list()],
        [("robot", "default", 1)],
    ),
    "a virtual account": (lambda sdk: sdk.virtual_accounts.get("robot").data.manifest.name, "robot"),
    "whether there is one": (
        lambda sdk: [sdk.virtual_accounts.exists(name=name).exists for name in ("robot", "other")],
        [True, False],
    ),
    "secret groups": (lambda sdk: [group.fqn for group in sdk.secret_groups.list()], ["default:llm"]),
    "a secret group": (lambda sdk: sdk.secret_groups.get("llm").data.associated_secrets, []),
    "own tokens": (lambda sdk: list(sdk.personal_access_tokens.list()), []),
    "budgets": (lambda sdk: [each.name for each in sdk.gateway_budgets.list().data], ["cap"]),
    "budgets of teams": (lambda sdk: sdk.gateway_budgets.list(type="team-budget-config").data, []),
    "a budget": (lambda sdk: sdk.gateway_budgets.get("cap").manifest.limits.cost_per_month, 100),
    "a configuration": (
        lambda sdk: sdk.internal.ai_gateway.get_gateway_config("gateway-rate-limiting-config").id,
        "limits",
    ),
    "who is asking": (lambda sdk: sdk.internal.users.get_info().subject_slug, "admin"),
}


@pytest.mark.parametrize("what", TYPED)
def test_the_sdk_reads(sdk, what):
    """It refuses an answer of which a field is missing, and asks for pages until one is empty."""
    ask, expected = TYPED[what]

    assert ask(sdk) == expected


def test_the_sdk_writes(sdk, sdk_of):
    """And reads what it gets for it; `dry_run` changes nothing."""
    team = sdk.teams.create_or_update(manifest={"type": "team", "name": "blue", "members": ["ana@example.com"]}).data
    dry = sdk.virtual_accounts.create_or_update(manifest={**ROBOT, "name": "dry"}, dry_run=True).data
    budget = sdk.gateway_budgets.create_or_update(manifest={**BUDGET, "name": "second"})
    sdk.users.pre_register_users(email="dry@example.com", dry_run=True)
    applied = [sdk.apply(manifest={**TEAM, "name": "green", "description": text}).action for text in ("a", "b", "b")]
    robot = sdk.virtual_accounts.create_or_update(manifest={**ROBOT, "name": "second"}).data
    token = sdk.virtual_accounts.regenerate_token(robot.id, grace_period_in_minutes=0).token
    who = sdk_of(token).internal.users.get_info().subject_slug
    sdk.virtual_accounts.delete_jwt(robot.id, sdk.virtual_accounts.get(robot.id).data.jwt_id)

    assert (team.id, team.members, dry.id, budget.name) == ("blue", ["ana@example.com"], "dry", "second")
    assert (applied, who) == (["CREATE", "UPDATE", "UPDATE"], "second")
    assert sdk.virtual_accounts.get(robot.id).data.jwts == []
    assert not sdk.virtual_accounts.exists(name="dry").exists
    for gone in ("blue", "green"):
        sdk.teams.delete(gone)
    sdk.virtual_accounts.delete(robot.id)
    sdk.gateway_budgets.delete("second")
    assert [team.id for team in sdk.teams.list()] == ["of-a-file", "red"]
    assert list(sdk.users.list(query="dry@")) == []


def test_the_sdk_is_told_what_is_wrong(sdk, sdk_of):
    """By the class of the error, which it finds only in a body with `statusCode` and `message`."""
    token = sdk.personal_access_tokens.create_for_user(user_email="cy@example.com", name="laptop").token
    cy = sdk_of(token)

    [own] = cy.personal_access_tokens.list()
    with pytest.raises(truefoundry_sdk.ForbiddenError) as refused:
        cy.personal_access_tokens.create_for_user(user_email="ana@example.com", name="another")
    with pytest.raises(truefoundry_sdk.NotFoundError):
        cy.teams.get("red")
    cy.personal_access_tokens.delete(own.id)

    assert refused.value.body.message == "user:cy@example.com lacks the role tenant-admin; an admin can grant it"


# --- the CLI -----------------------------------------------------------------


@pytest.fixture(scope="session")
def tfy_command(request):
    """The CLI in an environment of its own, which is kept for the next run."""
    folder = Path(
        request.config.cache.mkdir(f"{CLI.replace('==', '-')}-py{sys.version_info.major}{sys.version_info.minor}")
    )
    command = folder / "bin" / "tfy"
    installed = folder / "installed"
    if not installed.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--retries", "1", CLI]
        done = subprocess.run(install, capture_output=True, text=True, timeout=INSTALLED_IN_TIME_S)
        if done.returncode:
            pytest.skip(f"{CLI} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
        installed.touch()
    return command


@pytest.fixture
def tfy(tfy_command, host, tmp_path):
    """`tfy("apply", "-f", file)`: what it wrote, once it has ended well."""

    def run(*arguments, token=ADMIN):
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TFY_HOST": host, "TFY_API_KEY": token}
        done = subprocess.run(
            [tfy_command, *arguments],
            cwd=tmp_path,
            env={**environ, "COLUMNS": "200", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=IN_TIME_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def git(folder, *arguments):
    who = ["-c", "user.name=ana", "-c", "user.email=ana@example.com"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_cli(sdk, tfy, tmp_path):
    """With a JWT of a virtual account, and with an opaque token that begins with `tfy_`. It takes seconds to start, so
    this asks as rarely as can be; `--sync` deletes."""
    sdk.virtual_accounts.create_or_update(manifest={**ROBOT, "name": "ci", "token_type": "jwt"})
    binding = {
        "type": "role-binding",
        "name": "ci",
        "subjects": [{"type": "virtualaccount", "name": "ci"}],
        "permissions": [{"resourceType": "tenant", "resourceFqn": "default", "role": "tenant-admin"}],
    }
    sdk.apply(manifest=binding)
    jwt = sdk.virtual_accounts.regenerate_token("ci", grace_period_in_minutes=0).token
    folder = tmp_path / "manifests"
    folder.mkdir()
    git(folder, "init")
    one, two = folder / "one.yaml", folder / "two.yaml"
    one.write_text("type: team\nname: one\nmembers: [ana@example.com]\n---\ntype: secret-group\nname: one\n")
    two.write_text("type: team\nname: two\nmembers: [ana@example.com]\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")

    applied = tfy("apply", "-d", folder, token=jwt)
    one.write_text(one.read_text().replace("ana@", "bo@"))
    differs = tfy("apply", "-f", one, "--dry-run", "--show-diff")
    two.unlink()
    tfy("apply", "-d", folder, "--diffs-only", "--sync")
    after = [(team.id, team.members) for team in sdk.teams.list()]

    assert applied.count("Successfully configured manifest") == 3
    assert "-- ana@example.com" in differs
    assert "+- bo@example.com" in differs
    assert "No changes detected for one (secret-group)" in differs
    assert ("one", ["bo@example.com"]) in after
    assert "two" not in [name for name, _ in after]
