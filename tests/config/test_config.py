"""One configuration in force, and how the next takes its place."""

import asyncio
import json
import unicodedata
from dataclasses import replace

import pytest
import structlog
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.config.compile.snapshot import compile_snapshot
from gateway.config.live import MAX_FOUND, Config, Stored
from gateway.contract import Caller, Target
from gateway.errors import ConfigError, Forbidden, UnknownModel
from gateway.manifests import Secrets, loads
from gateway.plugins import providers_by_type
from gateway.rules.access.may_use import may_use
from gateway.secrecy.sealing import Seal
from gateway.settings import Settings, settings_from
from gateway.testing import FakeUpstream, get, post

ASK = {"model": "mock/m", "messages": []}
REPLY = (200, [b'{"choices":[]}'])


def manifest_of(*models):
    rows = "".join(
        f"  - {{type: integration/model/self-hosted-model, name: {name}, hosted_model_name: {name}, "
        f"url: 'http://127.0.0.1:9/v1', model_server: openai-compatible, model_types: [chat]}}\n"
        for name in models
    )
    return f"type: provider-account/self-hosted-model\nname: mock\nintegrations:\n{rows}"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text(manifest_of("m"))
    return path


async def names(config):
    return list(config.names(None))


async def test_the_next_configuration_takes_the_place_of_the_last(path):
    config = Config(path, Settings())
    path.write_text(manifest_of("m", "n"))

    await config.reload()

    assert await names(config) == ["mock/m", "mock/n"]
    assert (config.generation, config.reload_failures, config.faults) == (2, 0, ())
    assert config.find("mock/n", None).target.name == "mock/n"
    with pytest.raises(UnknownModel):
        config.find("mock/other", None)


async def test_what_a_caller_gets_is_found_once_for_each_configuration(path):
    config = Config(path, Settings())
    ana = Caller(subject="user:ana", is_admin=True)
    first = config.find("mock/m", ana, {}, "chat")

    assert config.find("mock/m", ana, {}, "chat") is first
    with pytest.raises(UnknownModel):  # by the name alone nobody gets it
        config.find("mock/m", Caller(subject="user:ana"), {}, "chat")

    path.write_text(manifest_of("n", "m"))
    await config.reload()
    again = config.find("mock/m", ana, {}, "chat")

    assert again is not first
    assert again.target is config.snapshot.targets["mock/m"]


def test_more_names_than_are_remembered(path):
    """Of an account that offers any model, callers make the names up."""
    path.write_text(manifest_of("'*'"))
    config = Config(path, Settings())

    for number in range(MAX_FOUND + 10):
        config.find(f"mock/{number}", None)

    assert config.find("mock/1", None).target.model == "1"


async def test_files_and_database_are_one_configuration_at_the_start(path):
    """The database is read a moment after the files. That was told as a reload, and each warning twice; later, each
    change of anything told all of them again."""
    path.write_text(manifest_of("m") + "---\ntype: cluster\nname: x\n")

    with structlog.testing.capture_logs() as logs:
        config = Config(path, Settings(), waits=True)
        await config.reload(Stored())
        generation = config.generation
        await config.reload(Stored())

    assert (generation, config.generation) == (1, 2)
    assert [line["event"] for line in logs] == ["manifest", "configuration reloaded"]


@pytest.mark.parametrize("text", ["a: [", "type: provider-account/openai\nname: x\nintegrations: 3\n"])
async def test_one_that_cannot_be_used_leaves_the_last_in_force(path, text, capsys):
    config = Config(path, Settings())
    path.write_text(text)

    await config.reload()

    assert await names(config) == ["mock/m"]
    assert (config.generation, config.reload_failures) == (1, 1)
    assert all(str(path) in str(fault) for fault in config.faults)
    assert config.faults
    assert "configuration not reloaded" in capsys.readouterr().out


async def test_a_file_that_has_gone_leaves_the_last_in_force(path, capsys):
    config = Config(path, Settings())
    path.unlink()

    await config.reload()

    assert await names(config) == ["mock/m"]
    assert config.reload_failures == 1


async def test_faults_are_forgotten_once_they_are_mended(path, capsys):
    config = Config(path, Settings())
    path.write_text("a: [")
    await config.reload()
    path.write_text(manifest_of("n"))

    await config.reload()

    assert await names(config) == ["mock/n"]
    assert (config.generation, config.reload_failures, config.faults) == (2, 1, ())


def test_the_first_one_has_to_be_good(path):
    path.write_text("a: [")

    with pytest.raises(ConfigError):
        Config(path, Settings())


async def test_a_bad_reload_can_be_seen_from_outside(app_with, path, auth, capsys):
    """An alert on the counter, the reason on /readyz; the old configuration still serves."""
    app = app_with(FakeUpstream(REPLY), path)
    path.write_text("a: [")
    await app.config.reload()

    ready = await get(app, "/readyz")
    metrics = (await get(app, "/metrics")).body.decode().splitlines()
    answer = await post(app, "/v1/chat/completions", ASK, headers=auth)

    assert (ready.status, answer.status) == (200, 200)
    [fault] = ready.json()["config"].pop("faults")
    assert str(path) in fault
    assert ready.json()["config"] | {"faults": []} == {
        "generation": 1,
        "models": 1,
        "reload_failures": 1,
        "faults": [],
    }
    assert "gateway_config_generation 1.0" in metrics
    assert "gateway_config_reload_failures_total 1.0" in metrics


# --- who may use what --------------------------------------------------------

ANA, EVE = "user:ana@example.com", "user:eve@example.com"
GRANTED = """\
type: provider-account/openai
name: acme
auth_data: {type: api-key, api_key: k}
collaborators:
  - {subject: "user:ana@example.com", role_id: provider-account-access}
  - {subject: "team:readers", role_id: reader}
integrations:
  - {type: integration/model/openai, name: gpt, model_id: gpt, model_types: [chat]}
  - {type: integration/model/openai, name: org/deep.v1, model_id: d, model_types: [chat]}
  - {type: integration/model/openai, name: mini, model_id: mini, model_types: [chat], authorized_subjects: ["team:few"]}
---
type: provider-account/openai
name: secret
auth_data: {type: api-key, api_key: k}
integrations:
  - {type: integration/model/openai, name: gpt, model_id: gpt, model_types: [chat]}
---
type: provider-account/openrouter
name: any
auth_data: {type: api-key, api_key: k}
integrations:
  - {type: integration/model/openrouter, name: "*", model_id: x, model_types: [chat], authorized_subjects: ["team:any"]}
---
{type: role, name: reader, permissions: ["provider-account:ReadProviderAccount"]}
"""


def config_of(text):
    config = Config(None, Settings())
    config.snapshot = compile_snapshot(loads(text), config.providers, Secrets({}))
    return config


CONFIG = config_of(GRANTED)


def refusal(name, caller):
    with pytest.raises((UnknownModel, Forbidden)) as refused:
        CONFIG.find(name, caller)
    return refused.value


def usable(config, caller, names):
    """Those of the names that can be found."""
    found = []
    for name in names:
        try:
            target = config.find(name, caller).target
        except (UnknownModel, Forbidden):
            continue
        assert target.name == name
        found.append(name)
    return tuple(found)


@pytest.mark.parametrize(
    ("caller", "models"),
    [
        (Caller(ANA), ("acme/gpt", "acme/org/deep.v1")),
        (Caller(ANA, teams=frozenset({"few"})), ("acme/gpt", "acme/org/deep.v1", "acme/mini")),
        (Caller(EVE, teams=frozenset({"few"})), ()),
        (Caller(EVE, teams=frozenset({"readers"})), ()),
        (Caller("virtualaccount:ana@example.com"), ()),
        (Caller("user:Ana@example.com"), ()),
        (Caller(EVE, is_admin=True), ("acme/gpt", "acme/org/deep.v1", "acme/mini", "secret/gpt", "any/*")),
        (None, ("acme/gpt", "acme/org/deep.v1", "acme/mini", "secret/gpt", "any/*")),
        (Caller(EVE, teams=frozenset({"any"})), ("any/*",)),
    ],
)
def test_the_models_a_caller_may_use(caller, models):
    """What is listed is what is found, and the other way round."""
    assert CONFIG.names(caller) == models
    assert usable(CONFIG, caller, CONFIG.snapshot.targets) == models


def test_a_model_one_may_not_know_of_looks_like_one_that_is_not_there():
    """Byte for byte, save for the name that was asked for; else names of accounts could be found out by asking."""
    for caller in (Caller(ANA), Caller(EVE), Caller("virtualaccount:ci")):
        hidden, absent = refusal("secret/gpt", caller), refusal("secret/gpx", caller)

        assert hidden.message.replace("gpt'", "gpx'") == absent.message
        assert (type(hidden), hidden.status, hidden.code, hidden.param) == (
            type(absent),
            absent.status,
            absent.code,
            absent.param,
        )


async def test_the_answers_are_the_same_too(app_with, tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text(GRANTED)
    environ = {"GATEWAY_TOKENS": "user:eve@example.com=0123456789abcdef"}
    app = app_with(FakeUpstream(REPLY), path, environ=environ)
    headers = {"authorization": "Bearer 0123456789abcdef"}

    answers = [
        await post(app, "/v1/chat/completions", {"model": name, "messages": []}, headers=headers)
        for name in ("secret/gpt", "secret/gpx")
    ]
    shown = [await get(app, f"/v1/models/{name}", headers=headers) for name in ("secret/gpt", "secret/gpx")]

    for hidden, absent in (answers, shown):
        assert (hidden.status, absent.status) == (404, 404)
        assert hidden.body.replace(b"secret/gpt", b"secret/gpx") == absent.body
        assert {*hidden.headers} == {*absent.headers}
    assert answers[0].json()["error"]["message"] == "no model named 'secret/gpt'; you may use: none"


@pytest.mark.parametrize(
    ("name", "caller", "message"),
    [
        (
            "acme/gpt",
            Caller(EVE, teams=frozenset({"readers"})),
            "user:eve@example.com may not use acme/gpt: it takes the permission provider-account:UseIntegrations on "
            "provider-account:acme (role provider-account-access), which an admin can grant",
        ),
        (
            "acme/mini",
            Caller(ANA),
            "user:ana@example.com may not use acme/mini: it takes a place in its authorized_subjects, which an admin "
            "can grant",
        ),
    ],
)
def test_who_may_know_of_a_model_is_told_what_is_missing(name, caller, message):
    refused = refusal(name, caller)

    assert (refused.status, refused.code, refused.param, refused.message) == (
        403,
        "permission_denied",
        "model",
        message,
    )


def test_the_404_names_what_the_caller_may_use_and_nothing_else():
    assert (
        refusal("acme/gpx", Caller(ANA)).message == "no model named 'acme/gpx'; you may use: acme/gpt, acme/org/deep.v1"
    )


def test_any_other_model_takes_the_grant_of_the_account_and_the_list():
    member = Caller(EVE, teams=frozenset({"any"}))

    assert usable(CONFIG, member, ["any/vendor/x", "any/y", "any/", "any/a b", "any", "acme/x"]) == (
        "any/vendor/x",
        "any/y",
    )
    assert refusal("any/vendor/x", Caller(ANA)).status == 404


LOOK_ALIKES = {"a": "\u0430", "c": "\u0441", "e": "\u0435", "g": "\u0261", "/": "\u2215", "p": "\uff50", "t": "\u1d57"}


def bent(name):
    """Other names that somebody might take for this one."""
    parts = name.split("/")
    yield from (name.upper(), name.title(), name.swapcase(), name[:-1], name[1:], f"{name}x", f"x{name}")
    yield from (
        name + end
        for end in ("/", ".", " ", "\t", "\n", "\x00", "//", "/.", "/..", "/*", "*", "?", "%", "%20", "#", "\u200b")
    )
    yield from (start + name for start in ("/", "./", "../", " ", "\ufeff", "//", "*", "\u202e"))
    yield from (
        f"{name}/../c",
        f"c/../{name}",
        f"{parts[0]}//{'/'.join(parts[1:])}",
        f"{parts[0]}/./{'/'.join(parts[1:])}",
    )
    yield from (name.replace("/", other) for other in ("\\", "%2f", "%2F", "\u2044", ":", "/ ", " /", ""))
    yield from (
        "*",
        "*/*",
        f"{parts[0]}/*",
        f"*/{parts[-1]}",
        f"{parts[0]}/?",
        f"{parts[0]}/[a-z]*",
        f"{parts[0]}/.*",
        parts[0],
        parts[-1],
    )
    yield from (name.replace(plain, other) for plain, other in LOOK_ALIKES.items() if plain in name)
    yield from (name.replace("p", "p\u0301"), unicodedata.normalize("NFKC", name) + "\u00a0", name.encode().hex())


@pytest.mark.parametrize("name", ["acme/gpt", "acme/org/deep.v1"])
def test_a_grant_is_for_one_name_to_the_letter(name):
    wrong = [other for other in bent(name) if other not in ("acme/gpt", "acme/org/deep.v1")]

    assert len(wrong) > 50
    assert usable(CONFIG, Caller(ANA), wrong) == ()
    assert usable(CONFIG, None, wrong) == ()


@given(st.data())
def test_nothing_but_the_names_that_are_listed_is_found(data):
    """Cut anywhere, with anything put in, in any case, and any text at all."""
    name = data.draw(st.sampled_from(["acme/gpt", "acme/org/deep.v1", "acme/mini", "secret/gpt"]))
    at, until = sorted(data.draw(st.tuples(st.integers(0, len(name)), st.integers(0, len(name)))))
    other = data.draw(st.text(max_size=5) | st.sampled_from(["*", "/", "..", "%", "\u0000", " "]))
    asked = data.draw(st.sampled_from([name[:at] + other + name[until:], other, name + other, other + name]))
    caller = data.draw(st.sampled_from([Caller(ANA), Caller(EVE), Caller(EVE, is_admin=True), None]))
    assume(not asked.startswith("any/"))

    assert usable(CONFIG, caller, [asked]) == ((asked,) if asked in CONFIG.names(caller) else ())


# Who may use which model, by all there is to say it, and once more without any cleverness.

PEOPLE = ["user:ana@example.com", "user:eve@example.com", "virtualaccount:ci"]
HELD_BY = {"user:ana@example.com": ["team:red"], "user:eve@example.com": ["team:blue"], "virtualaccount:ci": []}
who = st.sampled_from([*PEOPLE, "team:red", "team:blue", "team:everyone"])
use = st.sampled_from(
    ["provider-account-access", "provider-account-manager", "tenant-member", "team-manager", "nonsense"]
)


@st.composite
def tenants(draw):
    held_by_robot = draw(st.sampled_from([("provider-account", "a"), ("provider-account", "b"), ("tenant", "x")]))
    bound = [subject.partition(":") for subject in draw(st.lists(who, max_size=1))]
    manifests = [
        {"type": "team", "name": "red", "members": ["ana@example.com"]},
        {"type": "team", "name": "blue", "members": ["eve@example.com"]},
        {
            "type": "virtual-account",
            "name": "ci",
            "permissions": [
                {"resource_type": held_by_robot[0], "resource_fqn": held_by_robot[1], "role_id": draw(use)},
            ],
        },
        {
            "type": "role-binding",
            "name": "b",
            "subjects": [{"type": kind, "name": name} for kind, _, name in bound],
            "permissions": [{"resourceType": "provider-account", "resourceFqn": "a", "role": draw(use)}],
        },
    ]
    for name in ("a", "b"):
        models = [
            {"type": "integration/model/openai", "name": model, "model_id": model, "model_types": ["chat"]}
            | ({} if listed is None else {"authorized_subjects": listed})
            for model in ("m", "n", "*")
            for listed in [draw(st.none() | st.lists(who, max_size=2))]
        ]
        account = {"type": "provider-account/openai", "name": name, "integrations": models}
        collaborators = draw(st.none() | st.lists(st.tuples(who, use), max_size=2))
        if collaborators is not None:
            account["collaborators"] = [{"subject": subject, "role_id": role} for subject, role in collaborators]
        manifests.append(account)
    return manifests


def may(manifests, person, account, model):
    """Whether somebody may use a model, said without any cleverness."""
    robot, binding = manifests[2]["permissions"][0], manifests[3]
    (found,) = (data for data in manifests if data["type"] == "provider-account/openai" and data["name"] == account)
    (listed,) = (item.get("authorized_subjects") for item in found["integrations"] if item["name"] == model)
    names = {person, *HELD_BY[person]} | ({"team:everyone"} if person.startswith("user:") else set())
    roles = [each["role_id"] for each in found.get("collaborators", ()) if each["subject"] in names]
    if account == "a":
        bound = [f"{each['type']}:{each['name']}" for each in binding["subjects"]]
        roles += [binding["permissions"][0]["role"]] * (not names.isdisjoint(bound))
    if person == "virtualaccount:ci" and robot["resource_fqn"] in (account, "x"):
        roles.append(robot["role_id"])
    may_use_account = not {"provider-account-access", "provider-account-manager"}.isdisjoint(roles)
    if listed is None:
        return may_use_account
    if "collaborators" not in found:
        return may_use_account or not names.isdisjoint(listed)
    return may_use_account and not names.isdisjoint(listed)


@given(tenants())
def test_any_tenant_may_use_exactly_what_it_was_granted(manifests):
    """`names` lists, and `find` gives, what the manifests say, for everybody."""
    config = Config(None, Settings())
    config.snapshot = compile_snapshot(loads(json.dumps(manifests), "a.json"), config.providers, Secrets({}))
    models = [(account, model) for account in ("a", "b") for model in ("m", "n", "*")]

    for person in PEOPLE:
        caller = config.snapshot.access.caller(person)
        expected = tuple(f"{account}/{model}" for account, model in models if may(manifests, person, account, model))
        assert config.names(caller) == expected
        assert usable(config, caller, [f"{account}/{model}" for account, model in models]) == expected
        other = tuple(f"{account}/other" for account in ("a", "b") if may(manifests, person, account, "*"))
        assert usable(config, caller, ["a/other", "b/other"]) == other


@pytest.mark.parametrize(
    ("users", "only", "caller", "may_it"),
    [
        ([], None, Caller(ANA), False),
        ([ANA], None, Caller(ANA), True),
        ([ANA], [], Caller(ANA), False),
        ([ANA], [ANA], Caller(ANA), True),
        ([], [ANA], Caller(ANA), False),
        (["team:everyone"], ["team:few"], Caller(ANA, teams=frozenset({"few"})), True),
        (["team:few"], ["team:everyone"], Caller(ANA, teams=frozenset({"few"})), True),
        (["team:everyone"], None, Caller("virtualaccount:ci", teams=frozenset()), False),
        ([], [], Caller(ANA, is_admin=True), True),
    ],
)
def test_using_takes_a_grant_and_a_place_in_the_list(users, only, caller, may_it):
    target = Target(
        name="a/m",
        model="m",
        model_types=frozenset({"chat"}),
        provider=providers_by_type()["provider-account/openai"],
        users=frozenset(users),
        only=None if only is None else frozenset(only),
    )

    assert may_use(caller, target) is may_it


# --- what is stored ----------------------------------------------------------


def stored_manifests(text):
    return [replace(manifest, version=1) for manifest in loads(text, "database")]


async def test_stored_manifests_come_into_force(path):
    """Beside those of the files, with their secrets opened, and one that is wrong left out alone."""
    seal = Seal(b"a-pepper-of-some-length")
    config = Config(path, Settings(), seal=seal)
    sealed = seal.close("canary")
    text = f"""\
{{type: provider-account/openai, name: new, auth_data: {{type: api-key, api_key: "{sealed}"}}, integrations: [{{type: integration/model/openai, name: m, model_id: m, model_types: [chat]}}]}}
---
{{type: provider-account/openai, name: other, auth_data: {{type: api-key, api_key: "tfy-secret://t:g:k"}}, integrations: [{{type: integration/model/openai, name: m, model_id: m, model_types: [chat]}}]}}
---
{{type: secret-group, name: g}}
---
{{type: team, name: everyone, members: []}}
"""  # noqa: E501
    stored = Stored(manifests=stored_manifests(text), secrets={("g", "k"): seal.close("from the group")})

    await config.reload(stored)

    heads = {name: target.settings.endpoints["chat"].head for name, target in config.snapshot.targets.items()}
    assert [*heads] == ["mock/m", "new/m", "other/m"]
    assert b"Bearer canary\r\n" in heads["new/m"]
    assert b"Bearer from the group\r\n" in heads["other/m"]
    assert [fault.message for fault in config.faults] == ["team:everyone is all users already; take another name"]


async def test_a_group_of_the_api_does_not_lead_to_the_environment(path, capsys):
    """Whoever made it would choose which of the gateway's variables is sent to an address of his."""
    text = """\
{type: secret-group, name: aws}
---
{type: provider-account/openai, name: evil, base_url: "https://evil.example", auth_data: {type: api-key, api_key: "tfy-secret://t:aws:key"}, integrations: []}
"""  # noqa: E501
    config = Config(path, settings_from({"AWS_KEY": "canary"}))

    await config.reload(Stored(manifests=stored_manifests(text)))

    assert [str(fault) for fault in config.faults] == [
        "database:3: auth_data.api_key: secret is missing or empty: no key in the secret group aws of the database, "
        "where manifests that are applied over the API have their secrets"
    ]
    assert "canary" not in capsys.readouterr().out


async def test_a_reload_keeps_what_has_not_changed(path, capsys):
    """An account of ten thousand models need not be compiled for the sake of another."""
    (path.parent / "b.yaml").write_text(manifest_of("x").replace("name: mock", "name: other"))
    config = Config(path.parent, Settings())
    before = config.snapshot.targets["other/x"]

    path.write_text(manifest_of("n"))
    await config.reload()

    assert sorted(config.snapshot.targets) == ["mock/n", "other/x"]
    assert config.snapshot.targets["other/x"] is before


# --- watching ----------------------------------------------------------------


def write(path, text):
    path.write_text(text)


def replace_file(path, text):
    """As editors do: another file takes the name."""
    beside = path.with_name(".gateway.yaml.swp")
    beside.write_text(text)
    beside.replace(path)


def remove_and_write(path, text):
    path.unlink()
    path.write_text(text)


async def settled(until, config, change, expected):
    """Makes the change until it is noticed: the first may come before the watcher looks."""
    for _ in range(20):
        change()
        try:
            await until(lambda: sorted(config.snapshot.targets) == expected, within_s=1.0)
        except TimeoutError:
            continue
        return
    raise AssertionError(f"{[*config.snapshot.targets]} is in force")


@pytest.mark.parametrize("change", [write, replace_file, remove_and_write])
async def test_a_change_of_the_file_is_noticed(path, until, change, capsys):
    config = Config(path, Settings())

    async with config.running():
        await settled(until, config, lambda: change(path, manifest_of("n")), ["mock/n"])
        await settled(until, config, lambda: change(path, manifest_of("o")), ["mock/o"])


async def test_a_change_before_anybody_watches_is_noticed(path, until, capsys):
    """One that came while the gateway started was never put in force."""
    config = Config(path, Settings())
    path.write_text(manifest_of("m", "n"))

    async with config.running():
        await until(lambda: "mock/n" in config.names(None))


async def test_a_change_in_a_directory_is_noticed(path, until, capsys):
    config = Config(path.parent, Settings())
    other = manifest_of("x").replace("name: mock", "name: other")

    async with config.running():
        await settled(until, config, lambda: (path.parent / "b.yaml").write_text(other), ["mock/m", "other/x"])
        await settled(until, config, lambda: path.unlink(missing_ok=True), ["other/x"])


@pytest.mark.parametrize("as_directory", [False, True], ids=["file", "directory"])
async def test_a_configmap_is_noticed(tmp_path, until, as_directory, capsys):
    """Kubernetes never touches the file: it swaps a link beside it, in one step."""
    version = 0

    def publish(text):
        nonlocal version
        version += 1
        data = tmp_path / f"..{version}"
        data.mkdir()
        (data / "gateway.yaml").write_text(text)
        (tmp_path / "..data_tmp").symlink_to(data.name)
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    publish(manifest_of("m"))
    path = tmp_path / "gateway.yaml"
    path.symlink_to("..data/gateway.yaml")
    config = Config(tmp_path if as_directory else path, Settings())

    async with config.running():
        await settled(until, config, lambda: publish(manifest_of("n")), ["mock/n"])
        await settled(until, config, lambda: publish(manifest_of("o")), ["mock/o"])


async def test_a_changed_secret_is_noticed(path, tmp_path, until, capsys):
    """A rotated key has to reach the provider without a restart."""
    secrets = tmp_path / "secrets"
    (secrets / "group").mkdir(parents=True)
    key = secrets / "group" / "key"
    key.write_text("old-key")
    auth = "auth_data: {type: bearer-auth, bearer_token: 'tfy-secret://tenant:group:key'}, url: "
    path.write_text(manifest_of("m").replace("url: ", auth))
    config = Config(path, settings_from({"GATEWAY_SECRETS_DIR": str(secrets)}))

    def head():
        target = config.find("mock/m", None).target
        return target.settings.endpoints["chat"].head

    assert b"Bearer old-key" in head()
    async with config.running():
        for _ in range(20):
            key.write_text("new-key")
            try:
                await until(lambda: b"Bearer new-key" in head(), within_s=1.0)
            except TimeoutError:
                continue
            break

    assert b"Bearer new-key" in head()


async def test_without_a_file_nothing_is_watched():
    config = Config(None, Settings())

    async with config.running():
        assert await names(config) == ["demo/echo"]


# --- under load --------------------------------------------------------------


async def test_reloads_fail_no_request(app_with, path, auth, capsys):
    """Requests keep the configuration they began with; good and bad ones come and go meanwhile."""
    app = app_with(FakeUpstream(REPLY), path)
    statuses = []
    is_over = False

    async def client():
        while not is_over:
            statuses.append((await post(app, "/v1/chat/completions", ASK, headers=auth)).status)
            await asyncio.sleep(0.001)

    clients = [asyncio.create_task(client()) for _ in range(5)]
    for number in range(300):
        replace_file(path, "a: [" if number % 3 == 0 else manifest_of("m", f"n{number}"))
        await app.config.reload()
    is_over = True
    await asyncio.gather(*clients)

    assert set(statuses) == {200}
    assert len(statuses) >= 300
    assert app.config.reload_failures >= 100
    assert app.config.generation >= 201


def test_a_rule_for_all_takes_only_what_its_targets_are_for(tmp_path):
    """`when: {}` of a rule with chat models must not send embeddings there."""
    path = tmp_path / "gateway.yaml"
    rule = "{id: all, type: latency-based-routing, when: {}, load_balance_targets: [{target: main/chat}]}"
    path.write_text(
        "{type: provider-account/openai, name: main, auth_data: {type: api-key, api_key: k}, integrations: ["
        "{type: integration/model/openai, name: chat, model_id: c, model_types: [chat]},"
        "{type: integration/model/openai, name: vectors, model_id: v, model_types: [embedding]}]}\n"
        f"---\n{{type: gateway-load-balancing-config, rules: [{rule}]}}\n"
    )
    config = Config(path, Settings())

    assert config.find("main/vectors", None, {}, "chat").rule == "all"
    assert config.find("main/vectors", None, {}, "embedding").rule is None


# --- accounts that cannot be used ----------------------------------------------------------------

KEYED = """\
---
type: provider-account/openai
name: keyed
auth_data: {type: api-key, api_key: "${KEY}"}
integrations: [{type: integration/model/openai, name: m, model_id: m, model_types: [chat]}]
"""
NO_KEY = "auth_data.api_key: environment variable KEY is missing or empty; write $${ for a literal ${"


async def test_starts_without_an_account_that_lacks_its_key(app_with, path, capsys):
    """The others are served, and the reason is on /readyz."""
    path.write_text(manifest_of("m") + KEYED)
    app = app_with(FakeUpstream(REPLY), path)

    ready = (await get(app, "/readyz")).json()

    assert ready["status"] == "ready"
    assert ready["config"]["models"] == 1
    assert ready["config"]["faults"] == [f"{path}:8: {NO_KEY}"]
    assert "manifest left out" in capsys.readouterr().out


async def test_goes_on_being_reloaded_without_it(path, capsys):
    path.write_text(manifest_of("m") + KEYED)
    config = Config(path, Settings())
    path.write_text(manifest_of("n") + KEYED)

    await config.reload()

    assert await names(config) == ["mock/n"]
    assert (config.generation, config.reload_failures, len(config.faults)) == (2, 0, 1)


async def test_a_new_account_that_cannot_be_used_holds_nothing_up(path, capsys):
    config = Config(path, Settings())
    path.write_text(manifest_of("m", "n") + KEYED)

    await config.reload()

    assert await names(config) == ["mock/m", "mock/n"]
    assert [str(fault) for fault in config.faults] == [f"{path}:9: {NO_KEY}"]


@pytest.mark.parametrize(
    "text",
    [KEYED.replace("${KEY}", "${NO_KEY}"), KEYED.replace("${KEY}", "clé")],
)
async def test_a_reload_takes_no_account_away_that_works(path, text, capsys):
    """What somebody is just editing must not end the requests of others."""
    path.write_text(manifest_of("m") + KEYED)
    config = Config(path, settings_from({"KEY": "k"}))
    path.write_text(manifest_of("m", "n") + text)

    await config.reload()

    assert await names(config) == ["mock/m", "keyed/m"]
    assert (config.generation, config.reload_failures, len(config.faults)) == (1, 1, 1)


async def test_an_account_may_be_deleted(path):
    path.write_text(manifest_of("m") + KEYED)
    config = Config(path, settings_from({"KEY": "k"}))
    path.write_text(manifest_of("m"))

    await config.reload()

    assert await names(config) == ["mock/m"]
    assert config.faults == ()


@pytest.mark.parametrize("text", ["", "{type: provider-account/opanai, name: a}", KEYED])
def test_does_not_start_without_a_model(path, text):
    path.write_text(text)

    with pytest.raises(ConfigError, match="no model can be used"):
        Config(path, Settings())


def test_starts_without_a_model_when_a_database_may_bring_some(path):
    path.write_text("")

    assert Config(path, Settings(), waits=True).snapshot.targets == {}
