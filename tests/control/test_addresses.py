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
