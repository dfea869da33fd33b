"""Whatever people without an admin's rights do, in whatever order: they end up with no more than they had together.

What everybody holds is worked out here from the manifests alone, as simply as can be, and not by the code under test.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.rules.access.roles import ROLES

CANARY = "canary-of-a-key"
EVIL = "https://evil.example/v1"
ACTORS = ("bo", "cy", "dee")
CREATE = ("team", "virtual-account", "secret-group", "provider-account", "role")
NOUNS = {
    "team": "Team",
    "virtual-account": "VirtualAccount",
    "secret-group": "SecretGroup",
    "provider-account": "ProviderAccount",
    "role": "Role",
}
HANDLE = [f"{kind}:{action}{NOUNS[kind]}" for kind in CREATE for action in ("Create", "Manage", "Read", "Delete")]
POWERS = {
    "bo": [*HANDLE, "secret-group:WriteData"],
    "cy": [*HANDLE, "tenant:AssignRole"],
    "dee": ["user:ManageUsers", "tenant:AssignRole"],
}
"""What each of them may do in the whole tenant. Together they can handle nearly everything, and use nearly nothing."""
ADMIN = {"resource_type": "tenant", "resource_fqn": "acme", "role_id": "tenant-admin"}
MODEL = {"type": "integration/model/openai", "name": "m", "model_id": "gpt", "model_types": ["chat"]}


def account(name, key, **fields):
    auth = {"type": "api-key", "api_key": key}
    data = {"type": "provider-account/openai", "name": name, "auth_data": auth, "integrations": [MODEL]}
    return {**data, **fields}


def role_binding(name, subject, role):
    permissions = [{"resourceType": "tenant", "resourceFqn": "acme", "role": role}]
    return {"type": "role-binding", "name": name, "subjects": [subject], "permissions": permissions}


START = [
    {"type": "team", "name": "red", "members": ["eve@example.com"], "managers": ["dee@example.com"]},
    {"type": "secret-group", "name": "prod"},
    account("main", CANARY, collaborators=[{"subject": "team:red", "role_id": "provider-account-access"}]),
    account(
        "vault",
        "tfy-secret://t:prod:key",
        integrations=[{**MODEL, "authorized_subjects": ["user:eve@example.com"]}],
        collaborators=[{"subject": "user:eve@example.com", "role_id": "provider-account-manager"}],
    ),
    {"type": "virtual-account", "name": "strong", "permissions": [ADMIN]},
    {"type": "role", "name": "waiting", "permissions": ["team:ReadTeam"]},
    role_binding("waiting", {"type": "team", "name": "ghosts"}, "tenant-admin"),
    *({"type": "role", "name": f"of-{name}", "permissions": POWERS[name]} for name in ACTORS),
    *(role_binding(name, {"type": "user", "name": f"{name}@example.com"}, f"of-{name}") for name in ACTORS),
]


# --- what they try -----------------------------------------------------------

emails = st.sampled_from([f"{name}@example.com" for name in (*ACTORS, "eve")])
names = st.sampled_from(["main", "vault", "red", "prod", "strong", "ghosts", "waiting", "new", "own"])
subjects = st.one_of(
    emails.map("user:{}".format),
    st.sampled_from(
        ["team:red", "team:ghosts", "team:new", "team:everyone", "virtualaccount:strong", "virtualaccount:new"]
    ),
)
roles = st.sampled_from([*ROLES, "waiting", "new", "of-bo", "of-cy", "of-dee"])
permissions = st.sampled_from(sorted({permission for held in ROLES.values() for permission in held} - {"*"}))
kinds = st.sampled_from([*CREATE, "tenant"])
keys = st.sampled_from(
    ["own", "its mask", "tfy-secret://t:prod:key", "tfy-secret://t:new:key", "tfy-secret://t:own:key"]
)


def few(values, most=2):
    return st.lists(values, max_size=most)


collaborators = few(st.fixed_dictionaries({"subject": subjects, "role_id": roles}))
claims = few(st.just({"identity_provider": "okta", "value": "all"}), most=1)
models = few(
    st.fixed_dictionaries(
        {**{key: st.just(value) for key, value in MODEL.items()}, "name": st.sampled_from(["m", "n"])},
        optional={"authorized_subjects": few(subjects)},
    ),
).map(lambda models: [*{model["name"]: model for model in models}.values()])
manifests = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("team"), "name": names, "members": few(emails), "managers": few(emails)},
        optional={"identity_provider_mapping": claims},
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("role"),
            "name": st.sampled_from(["waiting", "new", "of-bo"]),
            "permissions": few(permissions, 4),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("role-binding"),
            "name": names,
            "subjects": few(
                subjects.map(lambda text: dict(zip(("type", "name"), text.split(":"), strict=True))),
            ),
            "permissions": few(st.fixed_dictionaries({"resourceType": kinds, "resourceFqn": names, "role": roles})),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("virtual-account"),
            "name": names,
            "permissions": st.lists(
                st.fixed_dictionaries({"resource_type": kinds, "resource_fqn": names, "role_id": roles}),
                min_size=1,
                max_size=2,
            ),
        },
        optional={
            "secret_store_config": st.fixed_dictionaries(
                {"type": st.just("tfy-secrets"), "secret_group": names, "key": st.just("key")}
            ),
            "identity_provider_mapping": claims,
        },
    ),
    st.fixed_dictionaries({"type": st.just("secret-group"), "name": names}, optional={"collaborators": collaborators}),
    st.builds(
        lambda fields, key: account(fields.pop("name"), key, **fields),
        st.fixed_dictionaries(
            {"name": names, "integrations": models},
            optional={"collaborators": collaborators, "base_url": st.just(EVIL)},
        ),
        keys,
    ),
)
types = st.sampled_from(["team", "role", "role-binding", "virtual-account", "secret-group", "provider-account/openai"])
steps = st.one_of(
    manifests.map(lambda manifest: ("PUT", "/apply", {"manifest": manifest})),
    manifests.map(lambda manifest: ("PUT", "/apply", {"manifest": manifest})),
    st.builds(lambda type_, name: ("POST", "/delete", {"manifest": {"type": type_, "name": name}}), types, names),
    st.builds(
        lambda type_, name, version: ("POST", "/rollback", {"type": type_, "name": name, "version": version}),
        types,
        names,
        st.integers(1, 3),
    ),
    st.builds(
        lambda team, email, manager: ("POST", f"/teams/{team}/members", {"email": email, "manager": manager}),
        st.sampled_from(["red", "ghosts", "new"]),
        emails,
        st.booleans(),
    ),
    st.sampled_from(["strong", "new", "own"]).map(
        lambda name: ("POST", f"/virtual-accounts/{name}/regenerate-token", {})
    ),
    st.builds(
        lambda email, teams: (
            "POST",
            "/personal-access-tokens/for-user",
            {"name": "pat", "email": email, "teams": teams},
        ),
        emails,
        few(st.sampled_from(["red", "ghosts", "new"])),
    ),
    st.builds(
        lambda group: ("PUT", f"/secret-groups/{group}/secrets", {"secrets": [{"key": "key", "value": "own"}]}), names
    ),
    st.builds(lambda group: ("GET", f"/secret-groups/{group}/secrets/key", None), names),
)
sequences = st.lists(st.tuples(st.sampled_from([*ACTORS, "a token they made"]), steps), min_size=5, max_size=25)


# --- what they hold ----------------------------------------------------------


def held_by(manifests):
    """Subject -> {(permission, resource)}; users with what their teams hold."""
    roles = dict(ROLES)
    roles |= {manifest["name"]: set(manifest["permissions"]) for manifest in manifests if manifest["type"] == "role"}
    found = {}
    teams = {}

    def give(subject, role, type_, name):
        resource = "tenant" if type_ == "tenant" else f"{type_}:{name.rpartition(':')[2]}"
        if role != "tenant-admin" or resource == "tenant":
            found.setdefault(subject, set()).update((permission, resource) for permission in roles.get(role, ()))

    for manifest in manifests:
        kind, name = manifest["type"].partition("/")[0], manifest["name"]
        for collaborator in manifest.get("collaborators", ()):
            give(collaborator["subject"], collaborator["role_id"], kind, name)
        if kind == "role-binding":
            for subject in manifest["subjects"]:
                for bound in manifest["permissions"]:
                    give(
                        f"{subject['type']}:{subject['name']}",
                        bound["role"],
                        bound["resourceType"],
                        bound["resourceFqn"],
                    )
        if kind == "virtual-account":
            for may in manifest["permissions"]:
                give(f"virtualaccount:{name}", may["role_id"], may["resource_type"], may["resource_fqn"])
        if kind == "team":
            found.setdefault(f"team:{name}", set()).add(("team:ReadTeam", f"team:{name}"))
            for email in (*manifest["members"], *manifest.get("managers", ())):
                teams.setdefault(email, {"everyone"}).add(name)
            for email in manifest.get("managers", ()):
                found.setdefault(f"user:{email}", set()).add(("team:ManageTeam", f"team:{name}"))
    everyones = {
        subject: found.get(subject, set()).union(
            *(
                found.get(f"team:{team}", set())
                for team in teams.get(subject.removeprefix("user:"), {"everyone"})
                if subject.startswith("user:")
            )
        )
        for subject in {*found, *(f"user:{email}" for email in teams)}
    }
    for manifest in manifests:  # who can read where its tokens are written can use them
        place = manifest.get("secret_store_config")
        for held in everyones.values():
            if place and covered(("secret-group:ReadData", f"secret-group:{place['secret_group']}"), held):
                held |= found.get(f"virtualaccount:{manifest['name']}", set())
    return everyones


def covered(grant, held):
    return bool({grant, (grant[0], "tenant"), ("*", "tenant")} & held)


async def everything(api):
    rows = (await api.done(api.ask("GET", "/manifests")))["data"]
    return [row["manifest"] for row in rows if row["name"] != "demo"]


async def key_of(api, manifest):
    """The account's key as it is shown, to be written back."""
    answer = await api.ask("GET", f"/provider-accounts/{manifest['name']}")
    return answer.json()["data"]["manifest"]["auth_data"]["api_key"] if answer.status == 200 else "own"


async def play(api, sequence):
    before = await everything(api)
    tokens, answers = [], []
    for by, (method, path, body) in sequence:
        manifest = (body or {}).get("manifest", {})
        if manifest.get("auth_data", {}).get("api_key") == "its mask":
            auth = {"type": "api-key", "api_key": await key_of(api, manifest)}
            body = {"manifest": {**manifest, "auth_data": auth}}
        if by not in ACTORS:
            by = tokens[-1] if tokens else "dee"
        answer = await api.ask(method, path, body if body is not None else b"", by=by)
        assert answer.status < 500, (by, method, path, body, answer.body)
        answers.append(answer)
        if answer.status == 200 and "token" in path:
            tokens.append(answer.json()["token"])

    had, have = held_by(before), held_by(await everything(api))
    theirs = set().union(*(had[f"user:{name}@example.com"] for name in ACTORS))
    known = {f"{manifest['type'].partition('/')[0]}:{manifest['name']}" for manifest in before} | {"tenant"}
    gained = {
        (subject, grant)
        for subject, held in have.items()
        for grant in held
        if grant[1] in known and not covered(grant, had.get(subject, set())) and not covered(grant, theirs)
    }
    assert gained == set()
    assert [answer.body for answer in answers if CANARY.encode() in answer.body] == []
    heads = [
        endpoint.head
        for target in api.app.config.snapshot.targets.values()
        if target.name != "demo/echo"
        for endpoint in target.settings.endpoints.values()
        if endpoint.host == "evil.example"
    ]
    assert [head for head in heads if CANARY.encode() in head] == []
    for token in tokens:
        me = await api.ask("GET", "/me", by=token)
        held = have.get(me.json()["subject"], set()) if me.status == 200 else set()
        assert {grant for grant in held if grant[1] in known and not covered(grant, theirs)} == set()
    return answers


@pytest.fixture(scope="module")
def start(tmp_path_factory, migrated_file, api_on, environ_for):
    """A database in which everything of START is."""
    database = shutil.copy(migrated_file, tmp_path_factory.mktemp("start") / "gateway.db")

    async def prepare():
        api = api_on(None, environ_for(database))
        async with api.app.lifespan():
            for manifest in START:
                await api.done(api.apply(manifest))
                if manifest["name"] == "prod":
                    secrets = {"secrets": [{"key": "key", "value": CANARY}]}
                    await api.done(api.ask("PUT", "/secret-groups/prod/secrets", secrets))

    asyncio.run(prepare())
    return database


@settings(max_examples=20)
@given(sequence=sequences)
def test_they_hold_no_more_than_they_had_together(start, api_on, environ_for, sequence):
    """LiteLLM #7336, #8029, #8031 and CVE-2026-47101 are all of this kind."""

    async def run(folder):
        api = api_on(None, environ_for(shutil.copy(start, Path(folder) / "gateway.db")))
        async with api.app.lifespan():
            await play(api, sequence)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(folder))
