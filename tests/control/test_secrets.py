"""The values of secret groups."""

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
    assert read == {"key": "b", "value": "3"}
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
