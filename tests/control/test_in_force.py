"""What is changed counts from the very next request on."""

import pytest

from gateway.testing import request

MAIN = {
    "type": "provider-account/openai",
    "name": "main",
    "auth_data": {"type": "api-key", "api_key": "key"},
    "integrations": [{"type": "integration/model/openai", "name": "m", "model_id": "gpt", "model_types": ["chat"]}],
}
ACCESS = "provider-account-access"
RED = {"type": "team", "name": "red", "members": []}
BINDING = {
    "type": "role-binding",
    "name": "b",
    "subjects": [{"type": "user", "name": "bo@example.com"}],
    "permissions": [{"resourceType": "provider-account", "resourceFqn": "acme:openai:main", "role": ACCESS}],
}


def shared(*subjects):
    return {**MAIN, "collaborators": [{"subject": subject, "role_id": ACCESS} for subject in subjects]}


GRANTS = {
    "a collaborator": ([], shared("user:bo@example.com"), MAIN),
    "all users": ([], shared("team:everyone"), shared("user:cy@example.com")),
    "a member": ([shared("team:red")], {**RED, "members": ["bo@example.com"]}, RED),
    "a binding": ([], BINDING, {**BINDING, "subjects": []}),
    "a role": (
        [
            {"type": "role", "name": "own", "permissions": ["team:ReadTeam"]},
            {**MAIN, "collaborators": [{"subject": "user:bo@example.com", "role_id": "own"}]},
        ],
        {"type": "role", "name": "own", "permissions": ["provider-account:UseIntegrations"]},
        {"type": "role", "name": "own", "permissions": []},
    ),
    "a model's list": (
        [],
        {**MAIN, "integrations": [{**MAIN["integrations"][0], "authorized_subjects": ["user:bo@example.com"]}]},
        {**MAIN, "integrations": [{**MAIN["integrations"][0], "authorized_subjects": []}]},
    ),
}


@pytest.mark.parametrize(("first", "grant", "removal"), GRANTS.values(), ids=GRANTS)
async def test_a_grant_and_its_removal(api, first, grant, removal):
    """The list of models and a call agree at each moment."""
    for manifest in (MAIN, RED, *first):
        await api.done(api.apply(manifest))
    seen = []

    for manifest in (None, grant, removal):
        if manifest is not None:
            await api.done(api.apply(manifest))
        seen.append((await api.models(by="bo"), await api.chat("main/m", by="bo") == 200))

    assert seen == [(["demo/echo"], False), (["demo/echo", "main/m"], True), (["demo/echo"], False)]


async def test_a_grant_is_taken_away_while_the_files_are_broken(open_app, tmp_path):
    """Whoever takes it away is told that it is done."""
    config = tmp_path / "gateway.yaml"
    config.write_text("{type: team, name: red, members: []}\n")
    api = await open_app(config)
    await api.done(api.apply(shared("user:bo@example.com")))
    config.write_text("type: [")

    await api.done(api.apply(MAIN))

    assert await api.chat("main/m", by="bo") == 404


async def test_a_virtual_account_loses_its_permission(api):
    may = {"resource_type": "provider-account", "resource_fqn": "acme:openai:main", "role_id": ACCESS}
    demo = {**may, "resource_fqn": "demo"}
    await api.done(api.apply(MAIN))
    await api.done(api.apply({"type": "virtual-account", "name": "robot", "permissions": [may, demo]}))
    token = (await api.done(api.ask("POST", "/virtual-accounts/robot/tokens")))["token"]
    assert await api.models(by=token) == ["demo/echo", "main/m"]

    await api.done(api.apply({"type": "virtual-account", "name": "robot", "permissions": [demo]}))

    assert await api.models(by=token) == ["demo/echo"]
    assert await api.chat("main/m", by=token) == 404


async def test_left_out_permissions_of_a_virtual_account_stay(api):
    """As section 1.16 of the compatibility notes has it; an empty list is a mistake."""
    may = {"resource_type": "provider-account", "resource_fqn": "demo", "role_id": ACCESS}
    account = {"type": "virtual-account", "name": "robot"}
    assert (await api.refused(api.apply(account)))[0] == 400
    await api.done(api.apply({**account, "permissions": [may]}))

    updated = await api.done(api.apply({**account, "tags": {"a": "b"}}))

    assert updated["manifest"]["permissions"] == [may]
    assert (await api.refused(api.apply({**account, "permissions": []})))[0] == 400


async def test_an_account_is_deleted(api):
    await api.done(api.apply(shared("team:everyone")))
    assert await api.chat("main/m", by="bo") == 200

    await api.done(api.delete("provider-account/openai", "main"))

    assert await api.chat("main/m", by="bo") == 404


async def test_without_a_database_there_is_no_control_api(app_with, auth):
    """And it says what is missing."""
    answer = await request(app_with(None), "GET", "/api/svc/v1/me", headers=auth)

    assert (answer.status, answer.json()["error"]["message"]) == (
        404,
        "the control API keeps what it does in a database; name one in GATEWAY_DATABASE_URL",
    )


REFERRING = """\
type: provider-account/openai
name: main
auth_data: {type: api-key, api_key: "tfy-secret://acme:keys:openai"}
integrations: [{type: integration/model/openai, name: m, model_id: m, model_types: [chat]}]
"""


async def test_a_file_may_refer_to_a_secret_in_the_database(open_app, tmp_path):
    """Also when the gateway starts, though files are read before the database is."""
    config = tmp_path / "gateway.yaml"
    config.write_text("{type: team, name: red, members: []}\n")
    first = await open_app(config)
    await first.done(first.apply({"type": "secret-group", "name": "keys"}))
    await first.done(
        first.ask("PUT", "/secret-groups/keys/secrets", {"secrets": [{"key": "openai", "value": "sk-stored"}]})
    )
    config.write_text(REFERRING)

    again = await open_app(config)

    assert await again.models(by="admin") == ["main/m"]


async def test_an_account_whose_secret_is_nowhere_is_left_out(open_app, tmp_path):
    """Until somebody writes it; all else is served meanwhile."""
    config = tmp_path / "gateway.yaml"
    config.write_text(REFERRING + "---\n{type: provider-account/demo, name: demo}\n")

    api = await open_app(config)

    assert await api.models(by="admin") == ["demo/echo"]
    (fault,) = api.app.config.faults
    assert fault.message == "secret is missing or empty: no environment variable KEYS_OPENAI"
    await api.done(api.apply({"type": "secret-group", "name": "keys"}))
    secrets = {"secrets": [{"key": "openai", "value": "sk-stored"}]}
    await api.done(api.ask("PUT", "/secret-groups/keys/secrets", secrets))
    assert sorted(await api.models(by="admin")) == ["demo/echo", "main/m"]
    assert api.app.config.faults == ()
