"""What is shown of secrets, and where they may go, when manifests are read, edited and written back."""

import pytest

KEY = "canary-of-a-key"
EVIL = "http://evil.example/v1"
MANAGES = [{"subject": "user:bo@example.com", "role_id": "provider-account-manager"}]
BODY = {"type": "provider-account/openai", "name": "main"}


def account(key=KEY, **fields):
    model = {"type": "integration/model/openai", "name": "m", "model_id": "gpt", "model_types": ["chat"]}
    auth = {"type": "api-key", "api_key": key}
    return {**BODY, "auth_data": auth, "integrations": [model], "collaborators": MANAGES, **fields}


def hosted(name, key, **fields):
    model = {
        "type": "integration/model/self-hosted-model",
        "name": name,
        "hosted_model_name": name,
        "url": f"http://{name}.test/v1",
        "model_server": "openai-compatible",
        "model_types": ["chat"],
        "auth_data": {"type": "bearer-auth", "bearer_token": key},
    }
    return {**model, **fields}


def self_hosted(*models):
    return {"type": "provider-account/self-hosted-model", "name": "own", "integrations": list(models)}


def mail(password=KEY, **smtp):
    auth = {"type": "smtp-credentials", "host": "mail.example", "username": "gateway", "password": password, **smtp}
    channel = {"type": "integration/notification-channel/email", "name": "costs", "from_email": "a@example.com"}
    return {"type": "provider-account/custom", "name": "mail", "integrations": [{**channel, "auth_data": auth}]}


def hook(url="https://hooks.example/costs", token=KEY):
    auth = {"type": "webhook-bearer", "token": token}
    type_ = "integration/gateway-request-logger/webhook"
    channel = {"type": type_, "name": "costs", "webhook_url": url, "auth_data": auth}
    return {"type": "provider-account/webhook", "name": "hooks", "integrations": [channel]}


async def shown(api, manifest):
    query = f"type={manifest['type']}&name={manifest['name']}"
    return (await api.done(api.ask("GET", f"/manifests?{query}")))["data"][0]["manifest"]


def heads(api, name):
    return [endpoint.head for endpoint in api.app.config.snapshot.targets[name].settings.endpoints.values()]


# --- what a mask tells -------------------------------------------------------


async def test_a_guess_looks_like_any_other_text(api):
    """The mask was a digest, and a secret that was the same was no change: dry runs told whether a guess was right."""
    await api.done(api.apply(account()))
    read = await shown(api, account())

    async def answers(key):
        dry = await api.ask("PUT", "/apply", {"manifest": account(key), "dryRun": True}, by="bo")
        other = await api.ask("PUT", "/apply", {"manifest": account(key, note=key), "dryRun": True}, by="bo")
        return dry.body, other.body

    assert await answers(KEY) == await answers("a guess")
    dry = await api.done(api.apply(account(), by="bo", dry_run=True))
    assert (dry["action"], dry["existingManifest"], dry["manifest"]["auth_data"]["api_key"]) == (
        "UPDATE",
        read,
        "***@v2",
    )


async def test_two_secrets_that_are_the_same_do_not_look_so(api):
    """Nor do they look different: within a manifest and between two, a mask says when it was written."""
    await api.done(api.apply(self_hosted(hosted("a", KEY), hosted("b", KEY), hosted("c", "other"))))

    models = (await shown(api, self_hosted()))["integrations"]

    assert [model["auth_data"]["bearer_token"] for model in models] == 3 * ["***@v1"]


async def test_the_mask_says_in_which_version_a_secret_was_written(api):
    """So that a diff shows that a key was changed, and that it was not."""
    first = await api.done(api.apply(account()))
    same = await api.done(api.apply({**first["manifest"], "discount_percent": 5}))
    other = await api.done(api.apply(account("other")))
    back = await api.done(api.ask("POST", "/rollback", {**BODY, "version": 2}))

    masks = [answer["manifest"]["auth_data"]["api_key"] for answer in (first, same, other, back)]
    assert masks == ["***@v1", "***@v1", "***@v3", "***@v1"]
    history = (await api.done(api.ask("GET", "/history?type=provider-account/openai&name=main")))["data"]
    assert ["api_key" in change["diff"] for change in history] == [True, True, False, True]
    await api.chat("main/m", by="admin")
    assert f"authorization: Bearer {KEY}\r\n".encode() in api.upstream.requests[-1].endpoint.head


async def test_what_a_file_says_has_a_mask_too(open_app, tmp_path):
    (tmp_path / "gateway.yaml").write_text(
        "{type: provider-account/openai, name: main, auth_data: {type: api-key, api_key: canary}, integrations: []}"
    )
    api = await open_app(tmp_path / "gateway.yaml")

    assert (await shown(api, account()))["auth_data"]["api_key"] == "***"


async def test_what_an_older_gateway_wrote_can_be_written_back(api):
    """Its secrets were sealed without a version."""
    sealed = account(api.app.control.seal.close(KEY))
    async with api.app.control.store.change(by="user:admin") as change:
        await change.put_manifest(BODY["type"], "main", sealed, action="created")
    await api.app.control.replica.refresh()
    read = await shown(api, account())

    same = await api.done(api.apply(read, by="bo"))
    edited = await api.done(api.apply({**read, "discount_percent": 5}, by="bo"))

    assert (read["auth_data"]["api_key"], same["changed"], edited["changed"]) == ("***", False, True)
    assert f"authorization: Bearer {KEY}\r\n".encode() in heads(api, "main/m")[0]


# --- what a mask stands for --------------------------------------------------


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("***@v1", "is the mask of another version, and the secret there has changed since: its mask is ***@v2 now"),
        ("***@v9", "is the mask of another version"),
        ("***", "is the mask of another version"),
        ("***1a2b3c4d", "is the mask of another version"),
        ("***@v2 ", "is the mask of another version"),
        ("sealed:v1:AAAA", "begins with sealed:v1:"),
    ],
)
async def test_a_mask_that_is_not_the_one_which_is_shown(api, key, message):
    """Somebody wrote a new key after the manifest was read: the old one is not put in its place, nor taken for it."""
    await api.done(api.apply(account()))
    await api.done(api.apply(account("other")))

    status, said = await api.refused(api.apply(account(key)))

    assert (status, said.startswith("auth_data.api_key "), message in said) == (400, True, True)


async def test_a_mask_where_no_secret_was(api):
    """Under another name, of another type, in another field, of another item, or after it was deleted."""
    await api.done(api.apply(self_hosted(hosted("a", KEY))))
    await api.done(api.apply(account()))
    no_secret = "is a mask, and no secret was there before"
    mask = "***@v1"
    basic = {"type": "basic-auth", "username": "x", "password": mask}
    plain = self_hosted(hosted("a", mask))

    for manifest in (
        account(mask, name="renamed"),
        account(mask, name="other", type="provider-account/groq"),
        account(api_key=mask),
        self_hosted(hosted("a", "new", headers={"x-key": mask})),
        self_hosted(hosted("a", "new", auth_data=basic)),
        self_hosted(hosted("b", mask)),
        {**plain, "integrations": {"a": plain["integrations"][0]}},
    ):
        status, message = await api.refused(api.apply(manifest))
        assert (status, no_secret in message) == (400, True), message
    await api.done(api.delete(*BODY.values()))
    assert no_secret in (await api.refused(api.apply(account(mask))))[1]


async def test_a_mask_in_a_field_that_is_open_is_text(api):
    """Nothing is put there."""
    await api.done(api.apply({"type": "team", "name": "red", "members": [], "description": "***@v1"}))

    assert (await shown(api, {"type": "team", "name": "red"}))["description"] == "***@v1"


async def test_items_keep_their_own_keys_in_any_order(api):
    await api.done(api.apply(self_hosted(hosted("a", "key-of-a"), hosted("b", "key-of-b"))))
    a, b = (await shown(api, self_hosted()))["integrations"]

    await api.done(api.apply(self_hosted(b, hosted("c", "key-of-c"), a)))

    sent = {name: b"Bearer key-of-" + name[-1:].encode() in heads(api, name)[0] for name in ("own/a", "own/b", "own/c")}
    assert sent == {"own/a": True, "own/b": True, "own/c": True}


async def test_unknown_text_of_a_team_can_be_written_back(api):
    """It counts as secret, and is sent nowhere, so the rest may change."""
    await api.done(api.apply({"type": "team", "name": "red", "members": [], "cost_centre": "R"}))
    read = await shown(api, {"type": "team", "name": "red"})

    await api.done(api.apply({**read, "members": ["ana@example.com"]}))
    await api.done(api.ask("POST", "/teams/red/members", {"email": "bo@example.com"}))

    after = await shown(api, read)
    assert (read["cost_centre"], after["cost_centre"], len(after["members"])) == ("***@v1", "***@v1", 2)


# --- where a secret goes -----------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"host": "evil.example"},
        {"host": "MAIL.example.evil"},
        {"port": 465},
        {"tls": False},
        {"username": "eve"},
    ],
)
async def test_the_password_of_a_mail_server(api, change):
    """Hosts are no addresses with http:// in front, and where secrets went was told by those alone."""
    await api.done(api.apply(mail()))

    status, message = await api.refused(api.apply(mail("***@v1", **change)))

    what = f"integrations[costs].auth_data.{next(iter(change))} has changed, which may decide where the secret goes"
    assert (status, what in message) == (400, True), message
    await api.done(api.apply(mail("***@v1", port=587, tls=True)))


@pytest.mark.parametrize(
    "url", ["HTTP://evil.example", "http://evil.example", "tfy-secret://t:mine:url", "https://hooks.example/costs"]
)
async def test_the_token_of_a_webhook(api, url):
    """An address in capitals was none, and one behind a reference was not looked at. Even the same address is refused:
    it is a secret, and the answer would tell whether a guess was right."""
    await api.done(api.apply({"type": "secret-group", "name": "mine"}))
    secrets = [{"key": "url", "value": "https://hooks.example/costs"}]
    await api.done(api.ask("PUT", "/secret-groups/mine/secrets", {"secrets": secrets}))
    await api.done(api.apply(hook()))

    status, message = await api.refused(api.apply(hook(url, "***@v1")))

    assert (status, "integrations[costs].webhook_url has changed" in message) == (400, True)
    assert (await api.done(api.apply(hook("***@v1", "***@v1"))))["changed"] is False


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://evil.example/v1"},
        {"url": "http://a.test:8080/v1"},
        {"url": "https://a.test/v1"},
        {"headers": {"host": "evil.example"}},
        {"tls_settings": {"reject_unauthorized": False}},
        {"tls_settings": {"ca_cert": "-----BEGIN CERTIFICATE-----"}},
        {"model_server": "tei"},
        {"proxy": "http://evil.example"},
    ],
)
async def test_the_token_of_a_model(api, change):
    """Who may read along on the way is part of where it goes."""
    await api.done(api.apply(self_hosted(hosted("a", KEY), hosted("b", KEY))))

    status, message = await api.refused(api.apply(self_hosted(hosted("a", "***@v1", **change), hosted("b", "***@v1"))))

    what = f"integrations[0].auth_data.bearer_token is a mask, and integrations[a].{next(iter(change))}"
    assert (status, message.startswith(what)) == (400, True), message


async def test_who_may_not_read_a_secret_does_not_send_it_elsewhere_by_its_reference(api):
    """As for masks: the host of a mail server is no address with http:// in front."""
    await api.done(api.apply({"type": "secret-group", "name": "prod"}))
    secrets = [{"key": "smtp", "value": KEY}]
    await api.done(api.ask("PUT", "/secret-groups/prod/secrets", {"secrets": secrets}))
    await api.done(api.apply(mail("tfy-secret://t:prod:smtp")))
    await api.grant("bo", "provider-account:ManageProviderAccount", on="provider-account:mail")

    for change in ({"host": "evil.example"}, {"port": 2525}, {"tls": False}):
        status, message = await api.refused(api.apply(mail("tfy-secret://t:prod:smtp", **change), by="bo"))
        assert (status, "secret-group:ReadData on secret-group:prod" in message) == (403, True)
    await api.done(api.apply({**mail("tfy-secret://other:prod:smtp"), "ownedBy": {"account": "x"}}, by="bo"))


# --- secrets in addresses ----------------------------------------------------

QUERY = "https://a.test/v1?api-version=2024-06-01&subscription=canary-of-a-query&canary-alone&e="
STARRED = "https://a.test/v1?api-version=2024-06-01&subscription=***&***&e="


async def test_the_query_of_an_address_is_masked(api):
    """Some servers want their key there, and no field says that it is one."""
    applied = await api.done(api.apply(account(base_url=QUERY)))

    assert applied["manifest"]["base_url"] == STARRED
    assert (await shown(api, BODY))["base_url"] == STARRED
    assert b"subscription=canary-of-a-query" in heads(api, "main/m")[0]
    history = await api.done(api.ask("GET", "/history?limit=10"))
    assert "canary-of-a-query" not in str(history)


async def test_what_was_shown_is_written_back(api):
    await api.done(api.apply(account(base_url=QUERY)))

    again = await api.done(api.apply({**await shown(api, BODY), "discount_percent": 5}))

    assert again["manifest"]["discount_percent"] == 5
    assert b"subscription=canary-of-a-query" in heads(api, "main/m")[0]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1?api-version=2024-06-01&subscription=***&***&e=",
        "https://a.test/v1?api-version=2025-06-01&subscription=***&***&e=",
        "https://a.test/v1?subscription=***",
    ],
)
async def test_a_masked_query_goes_nowhere_else(api, url):
    await api.done(api.apply(account(base_url=QUERY)))

    status, message = await api.refused(api.apply(account(base_url=url)))

    assert (status, "base_url has a mask in its query" in message) == (400, True)


async def test_a_mask_where_no_address_was(api):
    status, message = await api.refused(api.apply(account(base_url="https://a.test/v1?key=***")))

    assert (status, "base_url has a mask in its query" in message) == (400, True)
