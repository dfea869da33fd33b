"""The values of secret groups."""

import msgspec
import pytest

GROUP = {"type": "secret-group", "name": "llm"}


@pytest.fixture
async def group(api):
    """Bo manages the group, and cy may read it."""
    collaborators = [
        {"subject": "user:bo@example.com", "role_id": "secret-group-manager"},
        {"subject": "user:cy@example.com", "role_id": "secret-group-access"},
    ]
    await api.done(api.apply({**GROUP, "collaborators": collaborators}))
    return api


async def write(api, *, by="bo", **values):
    body = {"secrets": [{"key": key, "value": value} for key, value in values.items()]}
    return await api.ask("PUT", "/secret-groups/llm/secrets", body, by=by)


async def test_writing_reading_and_deleting(group):
    """Keys that are not named stay as they are."""
    await group.done(write(group, a="1", b="2"))
    assert await group.done(write(group, b="3", c="4")) == {"written": ["b", "c"]}

    listed = (await group.done(group.ask("GET", "/secret-groups/llm/secrets", by="cy")))["data"]
    read = await group.done(group.ask("GET", "/secret-groups/llm/secrets/b", by="cy"))
    await group.done(group.ask("DELETE", "/secret-groups/llm/secrets/a", by="bo"))

    assert [(row["key"], row["updatedBy"], "value" in row) for row in listed] == [
        (key, "user:bo@example.com", False) for key in "abc"
    ]
    assert (read["data"]["id"], read["data"]["value"]) == ("llm:b", "3")
    for method in ("GET", "DELETE"):
        answer = await group.refused(group.ask(method, "/secret-groups/llm/secrets/a", by="bo"))
        assert answer == (404, "there is no a in llm")


async def test_reading_is_written_down(group):
    await group.done(write(group, a="1"))

    await group.done(group.ask("GET", "/secret-groups/llm/secrets/a", by="cy"))

    history = (await group.done(group.ask("GET", "/history?type=secret&name=llm/a")))["data"]
    assert [(change["action"], change["subject"]) for change in history] == [
        ("read", "user:cy@example.com"),
        ("create", "user:bo@example.com"),
    ]


async def test_a_reader_does_not_write(group):
    status, message = await group.refused(write(group, by="cy", a="1"))

    assert (status, "secret-group:WriteData on secret-group:llm" in message) == (403, True)


@pytest.mark.parametrize("key", ["", "a b", "a/b", "../a", ".a", "a:b", "a,b", 'a"b', "a\nb", "a\0b", "x" * 201])
async def test_keys_that_no_reference_could_name(group, key):
    status, message = await group.refused(write(group, **{key: "1"}))

    assert (status, message) == (400, "a key has no spaces and none of / \\ : , ; \" ', and begins with no dot")


async def test_a_value_that_is_empty(group):
    """All of them are written, or none."""
    answer = await group.refused(write(group, a="1", b=""))

    assert answer == (400, "the value of b is empty")
    assert (await group.done(group.ask("GET", "/secret-groups/llm/secrets")))["data"] == []


async def test_a_group_that_is_not_there(api):
    for method, path in (("GET", ""), ("PUT", ""), ("GET", "/a"), ("DELETE", "/a")):
        answer = await api.refused(api.ask(method, f"/secret-groups/none/secrets{path}", {"secrets": []}))
        assert answer == (404, "there is no secret group named none")


async def test_a_value_is_in_use_at_once(group):
    """The next request goes out with the new key."""
    model = {"type": "integration/model/openai", "name": "m", "model_id": "gpt", "model_types": ["chat"]}
    auth = {"type": "api-key", "api_key": "tfy-secret://any:llm:key"}
    account = {"type": "provider-account/openai", "name": "main", "auth_data": auth, "integrations": [model]}
    await group.done(write(group, key="first"))
    await group.done(group.apply(account))

    for value in ("first", "second"):
        await group.done(write(group, key=value))
        await group.chat("main/m", by="admin")
        assert f"authorization: Bearer {value}\r\n".encode() in group.upstream.requests[-1].endpoint.head


async def test_a_value_holds_no_references(group):
    """What a secret holds is not looked into: its writer may not read other secrets by it."""
    await group.done(write(group, key="tfy-secret://t:llm:other", other="canary"))
    model = {"type": "integration/model/openai", "name": "m", "model_id": "gpt", "model_types": ["chat"]}
    auth = {"type": "api-key", "api_key": "tfy-secret://t:llm:key"}
    await group.done(
        group.apply({"type": "provider-account/openai", "name": "main", "auth_data": auth, "integrations": [model]})
    )

    await group.chat("main/m", by="admin")

    assert b"Bearer tfy-secret://t:llm:other\r\n" in group.upstream.requests[-1].endpoint.head


async def test_what_is_around_a_value_is_none_of_it(group):
    """As in files and variables."""
    await group.done(write(group, a="\ufeffsk-1\r\n", b="a\nb\n"))

    for key, value in {"a": "sk-1", "b": "a\nb"}.items():
        read = (await group.done(group.ask("GET", f"/secret-groups/llm/secrets/{key}")))["data"]
        assert (read["key"], read["value"]) == (key, value)
    assert await group.refused(write(group, c="\n")) == (400, "the value of c is empty")


async def test_an_address_to_which_other_secrets_go_is_changed_by_an_admin(group):
    """Bo may write the address of the webhook, and not read the token that goes there."""
    type_ = "integration/gateway-request-logger/webhook"

    def hook(name, **fields):
        return {"type": type_, "name": name, "webhook_url": f"tfy-secret://t:llm:{name}", **fields}

    bearer = {"auth_data": {"type": "webhook-bearer", "token": "canary"}}
    hooks = [hook("alone"), hook("with", **bearer)]
    await group.done(write(group, alone="https://a.example", **{"with": "https://a.example"}))
    await group.done(group.apply({"type": "provider-account/webhook", "name": "hooks", "integrations": hooks}))
    message = "a manifest sends other secrets to the address in with of llm; ask an admin"

    for url in ("https://evil.example", "HTTP://evil.example", "https://a.example", "evil"):
        assert await group.refused(write(group, **{"with": url})) == (403, message)
    await group.done(write(group, alone="https://b.example"))
    await group.done(write(group, by="admin", **{"with": "https://b.example"}))


@pytest.mark.parametrize("address", ["https://tfy-secret://t:llm:host", "HTTPS://a.tfy-secret://t:llm:host"])
async def test_a_part_of_an_address_is_changed_by_an_admin(group, address):
    """The host alone says where the token goes; it was taken for none, as it does not begin like an address."""
    auth = {"type": "webhook-bearer", "token": "tfy-secret://t:llm:token"}
    type_ = "integration/gateway-request-logger/webhook"
    hooks = [{"type": type_, "name": "hook", "webhook_url": address, "auth_data": auth}]
    await group.done(write(group, host="a.example", token="canary", free="a.example"))
    await group.done(group.apply({"type": "provider-account/webhook", "name": "hooks", "integrations": hooks}))

    message = "a manifest sends other secrets to the address in host of llm; ask an admin"
    assert await group.refused(write(group, free="b.example", host="evil.example")) == (403, message)
    await group.done(write(group, free="b.example", token="another"))
    await group.done(write(group, by="admin", host="b.example"))


# --- what is in use ----------------------------------------------------------


def account(name, reference, **fields):
    model = {"type": "integration/model/openai", "name": "m", "model_id": "gpt", "model_types": ["chat"]}
    auth = {"type": "api-key", "api_key": reference}
    data = {"type": "provider-account/openai", "name": name, "auth_data": auth, "integrations": [model]}
    return {**data, **fields}


BO_MANAGES = [{"subject": "user:bo@example.com", "role_id": "provider-account-manager"}]


@pytest.mark.parametrize(
    "reference",
    [
        "tfy-secret://t:llm:key",
        "Bearer tfy-secret://t:llm:key",
        "x=tfy-secret://t:llm:key;y",
        "tfy-secret://other:llm:key",
    ],
)
async def test_what_manifests_refer_to_is_not_deleted(open_app, tmp_path, reference):
    """It was looked for in the environment then, and the operator's key was sent to an address of whoever deleted his
    own."""
    group = await open_app(None, LLM_KEY="canary")
    collaborators = [{"subject": "user:bo@example.com", "role_id": "secret-group-manager"}]
    await group.done(group.apply({**GROUP, "collaborators": collaborators}))
    await group.done(write(group, key="1", other="2"))
    for name, fields in {"seen": {"collaborators": BO_MANAGES}, "hidden-1": {}, "hidden-2": {}}.items():
        await group.done(group.apply(account(name, reference, base_url="http://evil.example", **fields)))

    of_bo = "in use by provider-account/openai seen, 2 more; change that first"
    of_admin = ", ".join(f"provider-account/openai {name}" for name in ("hidden-1", "hidden-2", "seen"))
    assert [
        await group.refused(group.delete("secret-group", "llm", by="bo")),
        await group.refused(group.ask("DELETE", "/secret-groups/llm/secrets/key", by="bo")),
        await group.refused(group.delete("secret-group", "llm")),
    ] == [
        (409, f"the secret group llm is {of_bo}"),
        (409, f"the secret key of llm is {of_bo}"),
        (409, f"the secret group llm is in use by {of_admin}; change that first"),
    ]
    await group.done(group.ask("DELETE", "/secret-groups/llm/secrets/other", by="bo"))
    for name in ("seen", "hidden-1", "hidden-2"):
        await group.done(group.delete("provider-account/openai", name))
    await group.done(group.delete("secret-group", "llm", by="bo"))


async def test_what_only_others_can_see_is_named_by_its_number(group):
    await group.done(write(group, key="1"))
    await group.done(group.apply(account("hidden", "tfy-secret://t:llm:key")))

    answer = await group.refused(group.ask("DELETE", "/secret-groups/llm/secrets/key", by="bo"))

    assert answer == (409, "the secret key of llm is in use by 1 that you may not see; change that first")


async def test_a_manifest_that_is_left_out_is_in_use_too(group):
    """It may come back with the next version, and would then take what somebody else has put there."""
    await group.done(write(group, key="1"))
    async with group.app.control.store.change(by="user:admin") as change:
        await change.put_manifest("provider-account/gone", "main", {"key": "tfy-secret://t:llm:key"}, action="created")
    await group.app.control.replica.refresh()

    answer = await group.refused(group.delete("secret-group", "llm"))

    assert answer == (409, "the secret group llm is in use by provider-account/gone main; change that first")


async def test_a_file_uses_a_stored_secret_unless_there_is_one_of_its_own(open_app, tmp_path):
    config = tmp_path / "gateway.json"
    config.write_text("[]")
    first = await open_app(config)
    await first.done(first.apply(GROUP))
    await first.done(write(first, by="admin", key="1", own="2"))
    config.write_bytes(
        msgspec.json.encode([account("a", "tfy-secret://t:llm:key"), account("b", "tfy-secret://t:llm:own")])
    )
    api = await open_app(config, LLM_OWN="canary")

    for answering in (api.ask("DELETE", "/secret-groups/llm/secrets/key"), api.delete("secret-group", "llm")):
        status, message = await api.refused(answering)
        assert (status, message.endswith("llm is in use by provider-account/openai a; change that first")) == (
            409,
            True,
        )
    await api.done(api.ask("DELETE", "/secret-groups/llm/secrets/own"))


async def test_a_group_that_manifests_refer_to_already_is_made_by_an_admin(open_app, tmp_path):
    """Its maker would choose the key with which others' requests are sent, and could read along at the provider."""
    config = tmp_path / "gateway.json"
    config.write_bytes(msgspec.json.encode(account("a", "tfy-secret://t:llm:key")))
    api = await open_app(config, LLM_KEY="of the operator")
    await api.grant("bo", "secret-group:CreateSecretGroup")
    collaborators = [{"subject": "user:bo@example.com", "role_id": "secret-group-manager"}]
    group = {**GROUP, "collaborators": collaborators}

    assert await api.refused(api.apply(group, by="bo")) == (
        403,
        "manifests refer to a group llm already; only an admin can make it",
    )
    await api.done(api.apply({**group, "name": "other"}, by="bo"))
    await api.done(api.apply(group))


async def test_what_a_reference_means_is_the_same_after_a_restart_elsewhere(open_app, group):
    """Another replica, with other variables and another directory of secrets."""
    await group.done(write(group, key="of the database"))
    await group.done(group.apply(account("main", "tfy-secret://t:llm:key")))

    again = await open_app(LLM_KEY="of the environment")
    await again.chat("main/m", by="admin")

    assert b"authorization: Bearer of the database\r\n" in again.upstream.requests[-1].endpoint.head
