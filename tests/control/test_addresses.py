"""Who may send the gateway into its own network by what they apply, and how long that holds."""

import pytest

PRIVATE = "it is on this machine or in a private network, where only manifests in files and those that an admin applied"
NEVER = "which the gateway never calls"
INSIDE = "http://10.0.0.1:8000/v1"
NAME = "http://vllm.internal:8000/v1"


def account(url, **fields):
    """Which bo manages."""
    model = {
        "type": "integration/model/self-hosted-model",
        "name": "m",
        "hosted_model_name": "m",
        "url": url,
        "model_server": "openai-compatible",
        "model_types": ["chat"],
    }
    return {
        "type": "provider-account/self-hosted-model",
        "name": "farm",
        "collaborators": [{"subject": "user:bo@example.com", "role_id": "provider-account-manager"}],
        "integrations": [{**model, **fields}],
    }


def is_trusted(api):
    return api.app.config.snapshot.manifests["provider-account/self-hosted-model", "farm"].is_trusted


async def test_a_manager_leads_to_no_private_network(api):
    await api.grant("bo", "provider-account:CreateProviderAccount")

    for url, rule in ((INSIDE, PRIVATE), ("http://localhost:6379/", PRIVATE), ("http://169.254.169.254/v1", NEVER)):
        for dry_run in (True, False):
            status, message = await api.refused(api.apply(account(url), by="bo", dry_run=dry_run))
            assert (status, rule in message, "integrations[0].url" in message) == (400, True, True), message
    assert await api.models(by="bo") == ["demo/echo"]

    await api.done(api.apply(account("https://api.vendor.example/v1"), by="bo"))
    assert not is_trusted(api)


async def test_an_admin_does_and_what_it_applied_may_be_edited(api):
    """Bo may change what goes there, and not where it goes."""
    await api.done(api.apply(account(INSIDE)))
    assert is_trusted(api)

    await api.done(api.apply(account(INSIDE, hosted_model_name="other"), by="bo"))
    assert is_trusted(api)

    status, message = await api.refused(api.apply(account("http://10.0.0.1:6379/v1"), by="bo"))
    assert (status, PRIVATE in message) == (400, True)
    status, message = await api.refused(api.apply(account("http://169.254.169.254/v1")))
    assert (status, NEVER in message) == (400, True)


async def test_a_name_that_a_manager_wrote_is_vouched_for_by_nobody(api):
    """It may stand for anything later. An admin who applies it, though it be unchanged, answers for it from then on."""
    await api.done(api.apply(account(NAME)))
    await api.done(api.apply(account("http://evil.example/v1"), by="bo"))
    assert not is_trusted(api)

    await api.done(api.apply(account(NAME), by="bo"))
    assert not is_trusted(api)
    assert (await api.done(api.apply(account(NAME), by="bo")))["changed"] is False

    assert (await api.done(api.apply(account(NAME))))["action"] == "UPDATE"
    assert is_trusted(api)
    assert (await api.done(api.apply(account(NAME))))["changed"] is False
    assert (await api.done(api.apply(account(NAME), by="bo")))["changed"] is False
    assert is_trusted(api)


async def test_a_rollback_is_by_who_does_it(api):
    """What an admin once applied does not come back by a manager's hand."""
    await api.done(api.apply(account(NAME)))
    await api.done(api.apply(account("http://evil.example/v1"), by="bo"))
    back = {"type": "provider-account/self-hosted-model", "name": "farm", "version": 1}

    await api.done(api.ask("POST", "/rollback", back, by="bo"))
    assert not is_trusted(api)

    await api.done(api.apply(account("http://evil.example/v1"), by="bo"))
    await api.done(api.ask("POST", "/rollback", back))
    assert is_trusted(api)


@pytest.mark.parametrize(("networks", "status"), [("10.0.0.0/24", 200), ("10.1.0.0/24", 400)])
async def test_a_network_for_all(open_app, networks, status):
    api = await open_app(GATEWAY_EGRESS_ALLOW=networks)
    await api.grant("bo", "provider-account:CreateProviderAccount")

    assert (await api.apply(account(INSIDE), by="bo")).status == status


# --- guardrails --------------------------------------------------------------

GUARDS = "provider-account/guardrail-config-group"
CREATE = "provider-account:CreateProviderAccount"
OWN = "uses the gateway's own identity at its vendor"
BEDROCK = {"guardrail_id": "a", "guardrail_version": "1", "region": "us-east-1"}
ARMOR = {"project_id": "p", "location": "eu", "template_id": "t"}
ROLE = {"assumed_role_arn": "arn:aws:iam::123456789012:role/r"}


def guards(kind, config, **fields):
    """Which bo manages."""
    integration = {"type": f"integration/guardrail-config/{kind}", "name": "g", "enforcing_strategy": "enforce"}
    return {
        "type": GUARDS,
        "name": "guards",
        "collaborators": [{"subject": "user:bo@example.com", "role_id": "provider-account-manager"}],
        "integrations": [{**integration, "config": config, **fields}],
    }


def guards_are_trusted(api):
    return api.app.config.snapshot.manifests[GUARDS, "guards"].is_trusted


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"base_url": "http://10.0.0.1:6379"}},
        {"config": {"base_url": "https://10.0.0.1", "more": "x"}},
        {"type": "integration/guardrail-config/plugin", "config": {"plugin": "x", "config": {"at": "http://10.0.0.1"}}},
    ],
)
async def test_an_address_that_stands_where_nobody_looks(api, change):
    """What a vendor's guardrail is told is known to nobody else, so an admin vouched for whatever a manager wrote there
    later, and the gateway went with it into its own network."""
    key = {"auth_data": {"api_key": "one"}}
    await api.done(api.apply(guards("enkrypt-ai", {"base_url": "https://10.0.0.1"}, **key)))
    await api.done(api.apply(guards("enkrypt-ai", {"base_url": "https://10.0.0.1"}, **key, priority=2), by="bo"))
    assert guards_are_trusted(api)

    await api.done(
        api.apply(guards("enkrypt-ai", **{"config": {}, "auth_data": {"api_key": "two"}, **change}), by="bo")
    )

    assert not guards_are_trusted(api)


@pytest.mark.parametrize(
    ("kind", "config", "auth"),
    [
        ("aws-bedrock", BEDROCK, {}),
        ("aws-bedrock", BEDROCK, ROLE),
        ("aws-bedrock", BEDROCK, {**ROLE, "access_key_id": "half"}),
        ("aws-bedrock", BEDROCK, {**ROLE, "key_file_content": "of another"}),
        ("google-model-armor", ARMOR, {}),
    ],
)
async def test_the_gateways_own_identity_is_the_operators(api, kind, config, auth):
    """Its role at AWS was there for whoever could make an account: at the operator's cost, and with its rights."""
    await api.grant("bo", CREATE)
    mine = guards(kind, config, auth_data=auth)

    for dry_run in (True, False):
        status, message = await api.refused(api.apply(mine, by="bo", dry_run=dry_run))
        assert (status, OWN in message) == (400, True), message

    await api.done(api.apply(mine))
    await api.done(api.apply({**mine, "integrations": [{**mine["integrations"][0], "priority": 2}]}, by="bo"))
    assert guards_are_trusted(api)


async def test_an_identity_that_an_admin_did_not_apply(api):
    """That of then holds, and neither another role nor the machine's own in its place."""
    keys = {"access_key_id": "a", "secret_access_key": "b"}
    await api.done(api.apply(guards("aws-bedrock", BEDROCK, auth_data=keys)))
    for auth in (ROLE, {}):
        status, message = await api.refused(api.apply(guards("aws-bedrock", BEDROCK, auth_data=auth), by="bo"))
        assert (status, OWN in message) == (400, True), message

    await api.done(api.apply(guards("aws-bedrock", BEDROCK, auth_data=ROLE)))
    other = {"assumed_role_arn": "arn:aws:iam::123456789012:role/other"}
    for auth in (other, {**ROLE, "external_id": "other"}):
        status, message = await api.refused(api.apply(guards("aws-bedrock", BEDROCK, auth_data=auth), by="bo"))
        assert (status, OWN in message) == (400, True), message
    await api.done(api.apply(guards("aws-bedrock", BEDROCK, auth_data=keys), by="bo"))
