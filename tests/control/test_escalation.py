"""Nobody can grant more than they hold, whichever way they try. Each way that others have seen names where.

LiteLLM: https://github.com/BerriAI/litellm/issues/<number>
"""

import json

import msgspec
import pytest

from gateway.rules.access.roles import PERMISSIONS

KEY = "canary-of-the-provider-key"
EVIL = "https://evil.example/v1"

MAIN = {
    "type": "provider-account/openai",
    "name": "main",
    "auth_data": {"type": "api-key", "api_key": KEY},
    "integrations": [{"type": "integration/model/openai", "name": "m", "model_id": "gpt", "model_types": ["chat"]}],
}
USE = "provider-account:UseIntegrations"
CREATE_ACCOUNT = "provider-account:CreateProviderAccount"
MANAGE_ACCOUNT = "provider-account:ManageProviderAccount"
MANAGES_ACCOUNT = {"subject": "user:bo@example.com", "role_id": "provider-account-manager"}
MANAGES_GROUP = {"subject": "user:bo@example.com", "role_id": "secret-group-manager"}
RED = {"type": "team", "name": "red", "members": []}


def may(role, name, type_="provider-account"):
    """As the permission of a virtual account."""
    return {"resource_type": type_, "resource_fqn": f"acme:{name}", "role_id": role}


def bound(role, *, type_="tenant", name="acme"):
    """As the permission of a role binding."""
    return {"resourceType": type_, "resourceFqn": name, "role": role}


ON_MAIN = "on provider-account:main, which user:bo@example.com does not hold; nobody can grant more than they hold"
USE_DEMO = may("provider-account-access", "demo")
"""What every user holds, and so may give."""


async def refused(api, answering, *texts):
    """It is a 403 that says so, and everybody holds what they held."""
    status, message = await api.refused(answering)
    assert (status, [text for text in texts if text not in message]) == (403, []), message


# --- manifests ---------------------------------------------------------------


async def test_a_manager_shares_more_than_it_holds(api):
    """CVE-2026-47101: keys could grant themselves wider access. Bo manages the account, but may not use it."""
    await api.done(api.apply(MAIN))
    await api.grant("bo", MANAGE_ACCOUNT, on="provider-account:main")

    for subject in ("user:bo@example.com", "user:cy@example.com", "team:everyone", "virtualaccount:robot"):
        shared = {**MAIN, "collaborators": [{"subject": subject, "role_id": "provider-account-access"}]}
        await refused(api, api.apply(shared, by="bo"), subject, "nobody can grant more than they hold")
    assert await api.holds(by="bo") == {f"{MANAGE_ACCOUNT} on provider-account:main"}


async def test_a_manager_shares_what_it_holds(api):
    """And this is how it is meant."""
    await api.done(api.apply({**MAIN, "collaborators": [MANAGES_ACCOUNT]}))
    guest = {"subject": "user:cy@example.com", "role_id": "provider-account-access"}

    await api.done(api.apply({**MAIN, "collaborators": [MANAGES_ACCOUNT, guest]}, by="bo"))

    assert await api.chat("main/m", by="cy") == 200
    assert await api.chat("main/m", by="dee") == 404


async def test_a_model_is_opened_by_who_may_not_use_it(api):
    """Bo manages the account, but is not one of those for whom the model is."""
    narrow = {**MAIN["integrations"][0], "authorized_subjects": ["user:cy@example.com"]}
    await api.done(api.apply({**MAIN, "collaborators": [MANAGES_ACCOUNT], "integrations": [narrow]}))
    again = {**MAIN["integrations"][0], "name": "same-model-again"}
    any_model = {**MAIN["integrations"][0], "name": "*", "model_id": "*"}

    for integrations in (
        MAIN["integrations"],
        [{**narrow, "authorized_subjects": ["user:bo@example.com", "user:cy@example.com"]}],
        [narrow, again],
        [again],
        [narrow, any_model],
    ):
        wider = {**MAIN, "collaborators": [MANAGES_ACCOUNT], "integrations": integrations}
        await refused(api, api.apply(wider, by="bo"), "this would")
    assert await api.models(by="bo") == ["demo/echo"]


async def test_a_new_model_for_oneself(api):
    """Where an account names no collaborators, `authorized_subjects` is a grant. Bo manages it and may not use it."""
    await api.done(api.apply(MAIN))
    await api.grant("bo", MANAGE_ACCOUNT, on="provider-account:main")
    own = {**MAIN["integrations"][0], "name": "own", "authorized_subjects": ["user:bo@example.com"]}

    await refused(api, api.apply({**MAIN, "integrations": [*MAIN["integrations"], own]}, by="bo"), "bo@example.com")


async def test_ones_own_role_is_edited(api):
    """Bo may edit roles, and has one."""
    await api.grant("bo", "role:ManageRole")
    role = {"type": "role", "name": "granted-1", "permissions": ["role:ManageRole", CREATE_ACCOUNT]}

    await refused(api, api.apply(role, by="bo"), CREATE_ACCOUNT)

    assert await api.holds(by="bo") == {"role:ManageRole on tenant"}


async def test_a_role_for_which_a_binding_waits(api):
    """Somebody deleted the role and left the binding: who makes it anew must hold what it gives."""
    await api.grant("bo", "role:CreateRole", "role:ManageRole", "role:DeleteRole")
    await api.grant("cy", "team:ReadTeam")
    await api.done(api.delete("role", "granted-2"))

    role = {"type": "role", "name": "granted-2", "permissions": [CREATE_ACCOUNT]}

    await refused(api, api.apply(role, by="bo"), "user:cy@example.com", CREATE_ACCOUNT)


@pytest.mark.parametrize("subject", [{"type": "user", "name": "bo@example.com"}, {"type": "team", "name": "everyone"}])
async def test_a_binding_makes_an_admin(api, subject):
    """CVE-2026-12773, LiteLLM PR#31810: a field that only admins should set. Bo may bind roles."""
    await api.grant("bo", "tenant:AssignRole")
    binding = {"type": "role-binding", "name": "b", "subjects": [subject], "permissions": [bound("tenant-admin")]}

    await refused(api, api.apply(binding, by="bo"), "* on tenant")

    assert await api.holds(by="bo") == {"tenant:AssignRole on tenant"}


async def test_a_member_joins_a_stronger_team(api):
    """Bo manages the team, but is not in it."""
    await api.done(api.apply(RED))
    await api.done(
        api.apply({**MAIN, "collaborators": [{"subject": "team:red", "role_id": "provider-account-access"}]})
    )
    await api.grant("bo", "team:ManageTeam", "team:CreateTeam", on="team:red")

    for answering in (
        api.ask("POST", "/teams/red/members", {"email": "bo@example.com"}, by="bo"),
        api.ask("POST", "/teams/red/members", {"email": "cy@example.com"}, by="bo"),
        api.ask("POST", "/teams/red/members", {"email": "bo@example.com", "manager": True}, by="bo"),
        api.apply({**RED, "members": ["bo@example.com"]}, by="bo"),
        api.apply({**RED, "managers": ["Bo@Example.COM"]}, by="bo"),
    ):
        await refused(api, answering, "nobody can grant more than they hold")
    assert await api.models(by="bo") == ["demo/echo"]


async def test_a_team_is_made_for_which_grants_wait(api):
    """The account names a team that is not there yet."""
    await api.done(
        api.apply({**MAIN, "collaborators": [{"subject": "team:red", "role_id": "provider-account-access"}]})
    )
    await api.grant("bo", "team:CreateTeam", "team:ManageTeam")

    await refused(api, api.apply({**RED, "members": ["bo@example.com"]}, by="bo"), ON_MAIN)
    await api.done(api.apply({**RED, "name": "blue", "members": ["bo@example.com"]}, by="bo"))


async def test_a_team_is_mapped_to_a_group_of_an_identity_provider(api):
    """All of that group would be in it."""
    await api.done(api.apply(RED))
    await api.done(
        api.apply({**MAIN, "collaborators": [{"subject": "team:red", "role_id": "provider-account-access"}]})
    )
    await api.grant("bo", "team:ManageTeam", on="team:red")
    mapping = [{"identity_provider": "okta", "value": "everybody"}]

    await refused(
        api, api.apply({**RED, "identity_provider_mapping": mapping}, by="bo"), "claim:okta:everybody", ON_MAIN
    )


async def test_identity_providers_are_for_admins(api):
    """They say who anybody is. Bo may do everything that can be granted."""
    await api.grant("bo", *sorted(PERMISSIONS))
    provider = {
        "type": "identity-provider",
        "name": "evil",
        "issuer": "https://evil.example",
        "audiences": ["gateway"],
    }

    await refused(api, api.apply(provider, by="bo"), "the role tenant-admin")
    await refused(api, api.ask("PUT", "/identity-providers", {"manifest": provider}, by="bo"), "the role tenant-admin")
    await api.done(api.apply(provider))
    await refused(api, api.delete("identity-provider", "evil", by="bo"), "the role tenant-admin")
    assert (await api.ask("GET", "/identity-providers/evil", by="bo")).status == 404


async def test_what_one_makes_and_could_not_manage(api):
    """It would be there, and nobody but admins could take it away."""
    await api.grant("bo", CREATE_ACCOUNT)

    status, message = await api.refused(api.apply(MAIN, by="bo"))

    assert (status, message) == (
        400,
        "you could not manage main once it is made; add a collaborator {subject: user:bo@example.com, "
        "role_id: provider-account-manager}, or ask an admin",
    )
    await api.done(api.apply({**MAIN, "collaborators": [MANAGES_ACCOUNT]}, by="bo"))
    assert await api.chat("main/m", by="bo") == 200


async def test_back_to_a_version_with_more_grants(api):
    """Bo manages the account without using it, as an earlier version let everybody do."""
    everyone = {"subject": "team:everyone", "role_id": "provider-account-access"}
    await api.done(api.apply({**MAIN, "collaborators": [everyone]}))
    await api.done(api.apply({**MAIN, "collaborators": []}))
    await api.grant("bo", MANAGE_ACCOUNT, "provider-account:ReadProviderAccount", on="provider-account:main")
    back = {"type": "provider-account/openai", "name": "main", "version": 1}

    await refused(api, api.ask("POST", "/rollback", back, by="bo"), "team:everyone", USE)


async def test_back_to_the_key_of_somebody_elses_account(api):
    """It was deleted, and bo made one of the same name. The history has the key of the first."""
    await api.done(api.apply({**MAIN, "collaborators": [MANAGES_ACCOUNT]}))
    await api.done(api.delete("provider-account/openai", "main"))
    await api.grant("bo", CREATE_ACCOUNT)
    own = {**MAIN, "collaborators": [MANAGES_ACCOUNT], "auth_data": {"type": "api-key", "api_key": "own"}}
    await api.done(api.apply(own, by="bo"))
    await api.done(api.apply({**own, "discount_percent": 5}, by="bo"))

    def back_to(version):
        body = {"type": "provider-account/openai", "name": "main", "version": version}
        return api.ask("POST", "/rollback", body, by="bo")

    await refused(api, back_to(1), MANAGE_ACCOUNT)
    assert (await api.done(back_to(2)))["action"] == "UPDATE"


# --- secrets -----------------------------------------------------------------


@pytest.fixture
async def with_group(api):
    """The secret group `prod` holds a key; bo may make accounts and groups, and holds nothing on that one."""
    await api.done(api.apply({"type": "secret-group", "name": "prod"}))
    await api.done(api.ask("PUT", "/secret-groups/prod/secrets", {"secrets": [{"key": "openai", "value": KEY}]}))
    await api.grant("bo", CREATE_ACCOUNT, "secret-group:CreateSecretGroup")
    return api


def with_key(text, **fields):
    account = {**MAIN, "name": "bo", "collaborators": [MANAGES_ACCOUNT]}
    return {**account, "auth_data": {"type": "api-key", "api_key": text}, **fields}


async def test_a_secret_is_read_by_sending_it_to_oneself(with_group):
    """LiteLLM #24952: an address of one's own, and the gateway sends a key that one could not read."""
    api = with_group

    for text in ("tfy-secret://acme:prod:openai", "Bearer tfy-secret://other:prod:openai"):
        await refused(
            api, api.apply(with_key(text, base_url=EVIL), by="bo"), "secret-group:ReadData on secret-group:prod"
        )
    await refused(api, api.apply(with_key("own", unknown="tfy-secret://acme:prod:openai"), by="bo"), "ReadData")
    assert api.upstream.requests == []


async def test_an_account_is_pointed_to_another_group(with_group):
    api = with_group
    await api.done(api.apply(with_key("own"), by="bo"))

    await refused(api, api.apply(with_key("tfy-secret://acme:prod:openai"), by="bo"), "ReadData")


async def test_an_account_with_a_reference_moves(with_group):
    """Bo manages an account whose key an admin chose, and may not read that key."""
    api = with_group
    account = with_key("tfy-secret://acme:prod:openai")
    await api.done(api.apply(account))

    await api.done(api.apply({**account, "discount_percent": 5}, by="bo"))
    await refused(api, api.apply({**account, "base_url": EVIL}, by="bo"), "ReadData")
    other_key = with_key("tfy-secret://acme:prod:anthropic")
    await refused(api, api.apply(other_key, by="bo"), "ReadData")


async def test_an_account_with_a_masked_key_moves(api):
    """Bo manages it, and sees no more of its key than a mask."""
    await api.done(api.apply({**MAIN, "collaborators": [MANAGES_ACCOUNT]}))
    read = (await api.done(api.ask("GET", "/provider-accounts/main", by="bo")))["data"]["manifest"]
    hidden = {"note": EVIL}

    for change in ({"base_url": EVIL}, {"note": hidden}, {"base_url": EVIL.replace("https", "http")}):
        status, message = await api.refused(api.apply({**read, **change}, by="bo"))
        assert (status, "has changed, which may decide where the secret goes" in message) == (400, True)
    await api.done(api.apply({**read, "base_url": EVIL, "auth_data": {"type": "api-key", "api_key": "own"}}, by="bo"))
    moved = (await api.done(api.ask("GET", "/provider-accounts/main", by="bo")))["data"]["manifest"]
    assert (await api.refused(api.apply({**moved, "auth_data": read["auth_data"]}, by="bo")))[0] == 400


async def test_the_environment_is_not_for_those_who_apply(open_app):
    """Not even for admins by `${...}`: who has an admin's token need not have the machine."""
    api = await open_app(OPENAI_API_KEY=KEY)
    await api.grant("bo", CREATE_ACCOUNT, "secret-group:ReadData", "secret-group:CreateSecretGroup")

    for text in ("${GATEWAY_PEPPER}", "${OPENAI_API_KEY}", "x${HOME:-y}"):
        status, message = await api.refused(api.apply(with_key(text)))
        assert (status, "cannot read the gateway's environment" in message) == (400, True)
    for text in (
        "tfy-secret://t:gateway:pepper",
        "tfy-secret://t:GATEWAY_ADMIN:TOKEN",
        "tfy-secret://t:gateway-admin:token",
    ):
        status, message = await api.refused(api.apply(with_key(text)))
        assert (status, "secret is missing or empty" in message) == (400, True)
    for group in ("openai", "OPENAI", "openai-api"):
        for by in ("bo", "admin"):
            status, message = await api.refused(api.apply(with_key(f"tfy-secret://t:{group}:api-key"), by=by))
            assert (status, f"no api-key in the secret group {group} of the database" in message) == (400, True)


async def test_a_group_is_made_over_the_environment(open_app):
    """Bo makes a group of its own whose name is the beginning of a variable's."""
    api = await open_app(AWS_SECRET_KEY=KEY)
    await api.grant("bo", CREATE_ACCOUNT, "secret-group:CreateSecretGroup")
    await api.done(api.apply({"type": "secret-group", "name": "aws", "collaborators": [MANAGES_GROUP]}, by="bo"))

    status, message = await api.refused(api.apply(with_key("tfy-secret://t:aws:secret-key", base_url=EVIL), by="bo"))

    assert (status, "no secret-key in the secret group aws" in message) == (400, True)


async def test_a_group_is_made_in_which_there_is_something(api):
    """A file managed the group, and was deleted: what is left in the database is not for who takes the name."""
    async with api.app.control.store.change(by="user:admin") as change:
        await change.put_secret("left", "key", api.app.control.seal.close(KEY))
    await api.grant("bo", "secret-group:CreateSecretGroup")

    await refused(
        api,
        api.apply({"type": "secret-group", "name": "left", "collaborators": [MANAGES_GROUP]}, by="bo"),
        "holds secrets already",
    )


# --- tokens ------------------------------------------------------------------


async def test_a_virtual_account_with_more_than_its_maker(api):
    """LiteLLM #8029: users made keys with access to models they could not use."""
    await api.done(api.apply(MAIN))
    await api.grant("bo", "virtual-account:CreateVirtualAccount", "virtual-account:ManageVirtualAccount")

    for permission in (may("provider-account-access", "main"), may("tenant-admin", "acme", "tenant")):
        robot = {"type": "virtual-account", "name": "robot", "permissions": [USE_DEMO, permission]}
        await refused(api, api.apply(robot, by="bo"), "virtualaccount:robot")
    await api.done(api.apply({"type": "virtual-account", "name": "robot", "permissions": [USE_DEMO]}, by="bo"))


async def test_a_token_of_a_stronger_virtual_account(api):
    """Bo manages all virtual accounts, and so could be any of them."""
    await api.done(api.apply(MAIN))
    strong = {"type": "virtual-account", "name": "strong", "permissions": [may("provider-account-access", "main")]}
    await api.done(api.apply(strong))
    token = await api.done(api.ask("POST", "/virtual-accounts/strong/tokens"))
    await api.grant("bo", "virtual-account:ManageVirtualAccount")

    for path, body in (
        ("/virtual-accounts/strong/tokens", {}),
        ("/virtual-accounts/strong/regenerate-token", {"grace_period_in_minutes": 5}),
        (f"/tokens/{token['id']}/rotate", {}),
    ):
        await refused(api, api.ask("POST", path, body, by="bo"), "nobody can let others do more than they may do")


async def test_a_token_of_another_user(api):
    """LiteLLM #7336: any user could make a key of any other."""
    body = {"name": "mine", "email": "cy@example.com"}

    await refused(api, api.ask("POST", "/personal-access-tokens/for-user", body, by="bo"), "tenant-admin")


async def test_who_manages_users_makes_no_tokens_for_them(api):
    """Bo could keep one until its owner is given more than bo has."""
    await api.grant("bo", "user:ManageUsers")
    body = {"name": "mine", "email": "new@example.com"}
    theirs = await api.done(api.ask("POST", "/personal-access-tokens/for-user", {**body, "email": "dee@example.com"}))

    await refused(api, api.ask("POST", "/personal-access-tokens/for-user", body, by="bo"), "tenant-admin")
    await refused(api, api.ask("POST", f"/tokens/{theirs['id']}/rotate", {}, by="bo"), "tenant-admin")
    await api.done(api.ask("DELETE", f"/tokens/{theirs['id']}", by="bo"))


def group(routing, *, name="mine", **fields):
    """Of one virtual model, which bo manages."""
    model = {"type": "integration/model/virtual", "name": "m", "model_types": ["chat"], "routing_config": routing}
    return {
        "type": "provider-account/virtual-model",
        "name": name,
        "collaborators": [MANAGES_ACCOUNT],
        "integrations": [{**model, **fields}],
    }


def to(*targets):
    targets = [{"target": target} for target in targets]
    return {"type": "priority-based-routing", "load_balance_targets": targets}


def by_complexity(judge, target="demo/echo"):
    return {
        "type": "complexity-based-routing",
        "load_balance_targets": [{"target": target, "tier": "simple"}],
        "classification_strategy": {"type": "llm-classifier", "model": judge},
    }


@pytest.mark.parametrize(
    "routing",
    [
        to("main/m"),
        to("demo/echo", "main/m"),
        {"type": "latency-based-routing", "load_balance_targets": [{"target": "main/m"}]},
        {"type": "weight-based-routing", "load_balance_targets": [{"target": "main/m", "weight": 0}]},
        by_complexity("demo/echo", target="main/m"),
        by_complexity("main/m"),
    ],
    ids=["target", "second target", "by latency", "by weight", "by complexity", "judge"],
)
async def test_a_virtual_model_leads_to_what_its_maker_may_not_use(api, routing):
    """Callers need a grant on the group alone, so the check has to stand where the group is written. The model that
    judges requests was not looked at: it was asked with the other account's key, unbilled to any grant."""
    await api.done(api.apply(MAIN))
    await api.grant("bo", CREATE_ACCOUNT)

    await refused(api, api.apply(group(routing), by="bo"), "mine/m would lead to main/m", "may not use")
    await api.done(api.apply(group(to("demo/echo")), by="bo"))
    await refused(api, api.apply(group(routing), by="bo"), "mine/m would lead to main/m", "may not use")

    await api.grant("bo", USE, on="provider-account:main")
    await api.done(api.apply(group(routing), by="bo"))


async def test_a_virtual_model_is_not_reached_by_another_name(api):
    """An admin's virtual model, named by itself, by its alias or by its slug, stands for models bo may not use."""
    await api.done(api.apply(MAIN))
    await api.done(api.apply(group(to("main/m"), name="theirs", slug="short", alias=["gpt"])))
    await api.grant("bo", CREATE_ACCOUNT)

    for name in ("theirs/m", "short", "gpt"):
        for routing in (to(name), by_complexity(name)):
            status, message = await api.refused(api.apply(group(routing), by="bo"))
            assert (status, name in message) == (400, True), message


async def test_what_others_put_into_a_group_stays(api):
    """Bo manages a group in which an admin named a model that bo may not use: it may stay, and go nowhere else."""
    await api.done(api.apply(MAIN))
    await api.done(api.apply(group(by_complexity("main/m"))))
    open_to_all = {**group(to("demo/echo"))["integrations"][0], "name": "n"}
    both = group(by_complexity("main/m"))
    both["integrations"].append(open_to_all)

    await api.done(api.apply(both, by="bo"))

    open_to_all["routing_config"] = to("main/m")
    await refused(api, api.apply(both, by="bo"), "mine/n would lead to main/m")


NAME = "gateway-controls:NameModels"


@pytest.mark.parametrize("fields", [{"slug": "gpt-4o"}, {"alias": ["fast", "gpt-4o"]}, {"alias": ["other/gpt"]}])
async def test_a_virtual_model_with_a_name_for_everybody(api, fields):
    """Whoever asked for `gpt-4o` was sent to bo's server. Names below that of the group are bo's own."""
    await api.grant("bo", CREATE_ACCOUNT)
    plain = group(to("demo/echo"))

    await refused(api, api.apply(group(to("demo/echo"), **fields), by="bo"), "mine/m", NAME)
    await api.done(api.apply(plain, by="bo"))
    await refused(api, api.apply(group(to("demo/echo"), **fields), by="bo"), "mine/m", NAME)
    await api.done(api.apply(group(to("demo/echo"), slug="mine/fast", alias=["mine/other"]), by="bo"))

    await api.grant("bo", NAME)
    await api.done(api.apply(group(to("demo/echo"), **fields), by="bo"))


async def test_a_name_that_an_admin_gave_stays_with_its_group(api):
    """Bo may change what the model is and does; but once the name is gone, it takes an admin again."""
    named = group(to("demo/echo"), slug="gpt-4o")
    await api.done(api.apply(named))

    await api.done(api.apply(group(by_complexity("demo/echo"), slug="gpt-4o"), by="bo"))
    renamed = {**named["integrations"][0], "name": "n"}
    await api.done(api.apply({**named, "integrations": [renamed]}, by="bo"))

    await api.done(api.apply(group(to("demo/echo")), by="bo"))
    back = {"type": named["type"], "name": "mine", "version": 1}
    await refused(api, api.ask("POST", "/rollback", back, by="bo"), "gpt-4o", NAME)


async def test_a_name_of_somebody_else(api):
    """Who may name models takes no name that is taken, not even while its holder cannot be used."""
    await api.done(api.apply(group(to("demo/echo"), name="theirs", slug="gpt-4o")))
    await api.grant("bo", CREATE_ACCOUNT, NAME)

    taken = group(to("demo/echo"), slug="fast", alias=["gpt-4o"])
    assert await api.refused(api.apply(taken, by="bo")) == (
        400,
        "gpt-4o is the name of a virtual model in theirs already",
    )
    below = group(to("demo/echo"), alias=["demo/gpt"])
    status, message = await api.refused(api.apply(below, by="bo"))
    assert (status, "demo/gpt is a name in the account demo" in message) == (400, True)
    assert await api.refused(api.apply({**MAIN, "type": "provider-account/groq", "name": "theirs"}, by="bo")) == (
        400,
        "there is a provider-account/virtual-model named theirs already; take another name",
    )


async def test_an_account_for_which_others_wait(api):
    """It was deleted, and grants on it and routes to it were left: who makes it anew would be sent what others ask."""
    await api.grant("bo", CREATE_ACCOUNT)
    await api.grant("cy", USE, on="provider-account:main")
    own = {**MAIN, "collaborators": [MANAGES_ACCOUNT]}

    await refused(api, api.apply(own, by="bo"), "user:cy@example.com may use main already", "only an admin")

    await api.done(api.delete("role-binding", "granted-2"))
    await api.done(api.apply(own, by="bo"))


async def test_an_account_to_which_a_file_leads(open_app, tmp_path):
    """The file may come before the account; then who makes the account is to be an admin."""
    path = tmp_path / "gateway.yaml"
    path.write_text(json.dumps(group(to("main/m", "main/n"))))
    api = await open_app(path)
    await api.grant("bo", CREATE_ACCOUNT)
    own = {**MAIN, "collaborators": [MANAGES_ACCOUNT]}

    await refused(api, api.apply(own, by="bo"), "mine/m leads to main already", "only an admin")
    await api.done(api.apply(own))


async def test_a_grant_that_is_gone_leaves_what_was_made_with_it(api):
    """Targets and judges alike: rights are looked at when a manifest is written, and again when it changes."""
    await api.done(api.apply(MAIN))
    await api.grant("bo", CREATE_ACCOUNT)
    await api.grant("bo", USE, on="provider-account:main")
    await api.done(api.apply(group(by_complexity("main/m", target="main/m")), by="bo"))

    await api.done(api.delete("role-binding", "granted-2"))

    assert await api.models(by="bo") == ["demo/echo", "mine/m"]
    await api.done(api.apply(group(to("demo/echo")), by="bo"))
    for routing in (to("main/m"), by_complexity("main/m")):
        await refused(api, api.apply(group(routing), by="bo"), "mine/m would lead to main/m")


async def test_a_stronger_user_is_let_in_again(api):
    """An admin has shut cy out; bo manages users."""
    await api.done(api.apply(MAIN))
    await api.grant("cy", USE, on="provider-account:main")
    await api.grant("bo", "user:ManageUsers")
    await api.done(api.ask("PATCH", "/users/deactivate", {"email": "cy@example.com"}))

    activating = api.ask("PATCH", "/users/activate", {"email": "cy@example.com"}, by="bo")

    await refused(api, activating, "user:cy@example.com", USE)
    assert await api.models(by="cy") == 401


async def test_a_new_user_in_a_stronger_team(api):
    """Neither is the token made, nor does the user join."""
    await api.done(api.apply(RED))
    await api.done(
        api.apply({**MAIN, "collaborators": [{"subject": "team:red", "role_id": "provider-account-access"}]})
    )
    await api.grant("bo", "user:ManageUsers", "team:ManageTeam")
    body = {"name": "new", "email": "new@example.com", "teams": ["red"]}

    await refused(api, api.ask("POST", "/personal-access-tokens/for-user", body, by="bo"), "tenant-admin")
    await refused(api, api.ask("POST", "/users/register", body, by="bo"), ON_MAIN)

    assert (await api.done(api.ask("GET", "/teams")))["data"][0]["members"] == []


async def test_who_may_only_look_makes_no_tokens(api):
    """LiteLLM #6626: users with a read-only role could create keys."""
    await api.done(api.apply({"type": "virtual-account", "name": "robot", "permissions": [USE_DEMO]}))
    await api.grant("bo", "virtual-account:ReadVirtualAccount")

    for path in ("tokens", "regenerate-token"):
        await refused(api, api.ask("POST", f"/virtual-accounts/robot/{path}", {}, by="bo"), "ManageVirtualAccount")


async def test_a_stolen_token_makes_no_others(api):
    """They would outlive its revocation. Bo's token is as good as bo, but for this."""
    await api.grant("bo", "user:ManageUsers")
    body = {"name": "pat", "email": "bo@example.com"}
    token = (await api.done(api.ask("POST", "/personal-access-tokens/for-user", body)))["token"]

    for path, why in (("", "cannot make another"), ("/for-user", "tenant-admin")):
        another = {"name": "another", "email": "bo@example.com"}
        await refused(api, api.ask("POST", f"/personal-access-tokens{path}", another, by=token), why)


async def test_a_token_is_written_where_one_can_read_it(with_group):
    """Bo manages all virtual accounts, and the group `own`. The gateway puts new tokens wherever the manifest says."""
    api = with_group
    await api.done(api.apply(MAIN))
    strong = {"type": "virtual-account", "name": "strong", "permissions": [may("provider-account-access", "main")]}
    await api.done(api.apply(strong))
    await api.grant("bo", "virtual-account:ManageVirtualAccount", "virtual-account:CreateVirtualAccount")
    await api.done(api.apply({"type": "secret-group", "name": "own", "collaborators": [MANAGES_GROUP]}, by="bo"))
    weak = {"type": "virtual-account", "name": "weak", "permissions": [USE_DEMO]}

    def into(account, group):
        return {**account, "secret_store_config": {"type": "tfy-secrets", "secret_group": group, "key": "token"}}

    await refused(api, api.apply(into(strong, "own"), by="bo"), "secret:own:token", ON_MAIN)
    await refused(api, api.apply(into(weak, "prod"), by="bo"), "secret-group:WriteData on secret-group:prod")
    assert (await api.refused(api.apply(into(weak, "none"), by="bo")))[0] == 400
    await api.done(api.apply(into(weak, "own"), by="bo"))


async def test_a_group_is_made_into_which_tokens_will_be_written(open_app, tmp_path):
    """A file names a group that is not there yet: who makes it could read the tokens."""
    place = {"type": "tfy-secrets", "secret_group": "vats", "key": "strong"}
    admin = may("tenant-admin", "acme", "tenant")
    strong = {"type": "virtual-account", "name": "strong", "permissions": [admin], "secret_store_config": place}
    (tmp_path / "gateway.json").write_bytes(msgspec.json.encode(strong))
    api = await open_app(tmp_path / "gateway.json")
    await api.grant("bo", "secret-group:CreateSecretGroup")

    group = {"type": "secret-group", "name": "vats", "collaborators": [MANAGES_GROUP]}

    await refused(api, api.apply(group, by="bo"), "on secret-group:vats")


# --- what others asked -------------------------------------------------------

SEES = "sees what others asked, by the rule audit, which user:bo@example.com may not"
WOULD_SEE = "would see what others asked, by the rule audit, which user:bo@example.com may not"
BO = {"type": "user", "name": "bo@example.com"}


@pytest.fixture
async def with_auditors(api):
    """Those see everything: a role that permits nothing else, a team and a virtual account. Bo may make what he likes,
    and is none of them."""
    auditors = ["role:auditor", "team:auditors", "virtualaccount:auditor"]
    rule = {"id": "audit", "subjects": auditors, "data_types": ["traces"], "scope": "all_data"}
    await api.done(api.apply({"type": "gateway-data-access-config", "name": "d", "rules": [rule]}))
    await api.done(api.apply({"type": "role", "name": "auditor", "permissions": []}))
    await api.grant("bo", "tenant:AssignRole", "team:CreateTeam", "team:ReadTeam", "team:ManageTeam")
    await api.grant("bo", "virtual-account:CreateVirtualAccount", "virtual-account:ManageVirtualAccount")
    return api


@pytest.mark.parametrize("subject", [BO, {"type": "team", "name": "everyone"}])
async def test_a_role_that_permits_nothing_and_shows_everything(with_auditors, subject):
    """Who may assign roles holds all of this one, and read the prompts of all others by it."""
    binding = {"type": "role-binding", "name": "b", "subjects": [subject], "permissions": [bound("auditor")]}

    await refused(with_auditors, with_auditors.apply(binding, by="bo"), "user:bo@example.com", WOULD_SEE)


async def test_a_team_that_is_shown_everything(with_auditors):
    """It need not be there yet, nor have a grant; and who is in it may let others in."""
    api = with_auditors
    team = {"type": "team", "name": "auditors", "members": ["cy@example.com"]}
    claim = {"identity_provider": "okta", "value": "all"}
    for more in ({}, {"managers": ["bo@example.com"]}, {"members": [], "identity_provider_mapping": [claim]}):
        await refused(api, api.apply({**team, **more}, by="bo"), WOULD_SEE)

    await api.done(api.apply({**team, "managers": ["dee@example.com"]}))
    member = {"email": "bo@example.com"}
    await refused(api, api.ask("POST", "/teams/auditors/members", member, by="bo"), "user:bo@example.com", WOULD_SEE)
    await api.done(api.ask("POST", "/teams/auditors/members", member, by="dee"))


async def test_a_virtual_account_that_is_shown_everything(with_auditors):
    """Neither who makes it, nor who takes a token of it, has its permissions to fear."""
    api = with_auditors
    account = {"type": "virtual-account", "name": "auditor", "permissions": [USE_DEMO]}
    await refused(api, api.apply(account, by="bo"), "virtualaccount:auditor", WOULD_SEE)

    await api.done(api.apply(account))
    path = "/virtual-accounts/auditor"
    await refused(api, api.ask("POST", f"{path}/tokens", {"name": "mine"}, by="bo"), SEES)
    await refused(api, api.ask("POST", f"{path}/regenerate-token", {}, by="bo"), SEES)
    place = {"type": "tfy-secrets", "secret_group": "own", "key": "token"}
    await api.grant("bo", "secret-group:CreateSecretGroup")
    await api.done(api.apply({"type": "secret-group", "name": "own", "collaborators": [MANAGES_GROUP]}, by="bo"))
    await refused(api, api.apply({**account, "secret_store_config": place}, by="bo"), "secret:own:token", WOULD_SEE)
    mapped = {**account, "identity_provider_mapping": [{"identity_provider": "okta", "value": "bo"}]}
    await refused(api, api.apply(mapped, by="bo"), "claim:okta:bo", WOULD_SEE)


async def test_an_auditor_is_deactivated_and_let_in_again(with_auditors):
    """By hand of somebody who could not have made him one."""
    api = with_auditors
    await api.done(api.apply({"type": "team", "name": "auditors", "members": ["cy@example.com"]}))
    await api.done(api.ask("POST", "/users/register", {"email": "cy@example.com"}))
    await api.grant("bo", "user:ManageUsers")
    await api.done(api.ask("PATCH", "/users/deactivate", {"email": "cy@example.com"}, by="bo"))

    await refused(api, api.ask("PATCH", "/users/activate", {"email": "cy@example.com"}, by="bo"), SEES)
