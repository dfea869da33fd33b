"""Applying, deleting and rolling back manifests, and what is told about it."""

import asyncio
from datetime import datetime

import pytest

RED = {"type": "team", "name": "red", "members": ["ana@example.com"]}
KEY = "canary-of-the-provider-key"


def account(**fields):
    """An account with one model."""
    model = {"type": "integration/model/openai", "name": "m", "model_id": "gpt", "model_types": ["chat"]}
    auth = {"type": "api-key", "api_key": KEY}
    data = {"type": "provider-account/openai", "name": "main", "auth_data": auth, "integrations": [model]}
    return {**data, **fields}


def hosted(name, key, url):
    """A model of an account whose models each have their own server."""
    return {
        "type": "integration/model/self-hosted-model",
        "name": name,
        "hosted_model_name": name,
        "url": url,
        "model_server": "openai-compatible",
        "model_types": ["chat"],
        "auth_data": {"type": "bearer-auth", "bearer_token": key},
    }


def self_hosted(*models):
    return {"type": "provider-account/self-hosted-model", "name": "own", "integrations": list(models)}


def key_sent(api):
    """The Authorization of the last call to a provider."""
    lines = api.upstream.requests[-1].endpoint.head.decode().split("\r\n")
    return next(line for line in lines if line.startswith("authorization: ")).removeprefix("authorization: Bearer ")


async def versions(api, type_, name):
    history = await api.done(api.ask("GET", f"/history?type={type_}&name={name}"))
    return [(change["action"], change["version"]) for change in history["data"]]


async def test_create_update_and_leave(api):
    more = {**RED, "description": "d"}

    created = await api.done(api.apply(RED))
    updated = await api.done(api.apply(more))
    unchanged = await api.done(api.apply({"description": "d", **RED}))

    about = {"type": "team", "name": "red", "changed": True, "warnings": [], "dryRun": False}
    same = {**about, "changed": False}
    assert created == {"action": "CREATE", "manifest": RED, "existingManifest": None, "version": 1, **about}
    assert updated == {"action": "UPDATE", "manifest": more, "existingManifest": RED, "version": 2, **about}
    assert unchanged == {"action": "UPDATE", "manifest": more, "existingManifest": more, "version": 2, **same}
    assert await versions(api, "team", "red") == [("updated", 2), ("created", 1)]


async def test_a_dry_run_writes_nothing(api):
    await api.done(api.apply(RED))

    dry = await api.done(api.apply({**RED, "members": []}, dry_run=True))
    new = await api.done(api.apply({**RED, "name": "blue"}, dry_run=True))
    gone = await api.done(api.ask("POST", "/delete", {"manifest": RED, "dryRun": True}))

    assert (dry["action"], dry["version"], dry["dryRun"]) == ("UPDATE", 1, True)
    assert (new["action"], new["version"], new["dryRun"]) == ("CREATE", None, True)
    assert (gone["action"], gone["existingManifest"], gone["dryRun"]) == ("DELETE", RED, True)
    assert (await api.done(api.ask("GET", "/teams/red")))["data"]["manifest"] == RED
    assert (await api.ask("GET", "/teams/blue")).status == 404
    assert [change["action"] for change in (await api.done(api.ask("GET", "/history")))["data"]] == ["created"]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({}, "a manifest is a mapping with a `type`"),
        ({"type": 1}, "type: must be text; put it in quotes"),
        ({"type": "team", "name": ["red"]}, "name: must be text; put it in quotes"),
        ({"type": "team", "name": ""}, "name: must not be empty"),
        ({"type": "team", "name": "${HOME}"}, "name: must not depend on a variable"),
        ({"type": "gateway-no-such-config", "name": "x"}, "no plugin reads gateway-no-such-config"),
        ({"type": "team", "name": "red"}, "missing required field `members`"),
        ({**RED, "members": ["nobody"]}, "members[0]: must be an email address"),
        ({**RED, "name": "everyone"}, "team:everyone is all users already"),
        ({"type": "role", "name": "tenant-admin", "permissions": []}, "name: is a built-in role"),
        (account(integrations=[{"type": "x"}]), "integrations[0].type: must be integration/model/..."),
        (account(auth_data={"type": "api-key"}), "auth_data: missing required field `api_key`"),
        (account(base_url="ftp://x"), "base_url: must be an http or https URL"),
        (
            account(auth_data={"type": "api-key", "api_key": "tfy-secret://t:llm:key"}),
            "auth_data.api_key: secret is missing or empty: no key in the secret group llm of the database",
        ),
        (
            account(auth_data={"type": "api-key", "api_key": "${HOME}"}),
            "auth_data.api_key: a manifest applied over the API cannot read the gateway's environment",
        ),
        (account(auth_data={"type": "api-key", "api_key": "***"}), "auth_data.api_key is a mask"),
        (account(auth_data={"type": "api-key", "api_key": "sealed:v1:x"}), "begins with sealed:v1:"),
        (account(auth_data={"type": "api-key", "api_key": "a\r\nb"}), "holds a line break"),
    ],
)
async def test_what_cannot_be_used(api, manifest, message):
    """The path is in the message, and the value, which may be a secret, is not."""
    status, said = await api.refused(api.apply(manifest))

    assert status == 400
    assert message in said
    assert KEY not in said


async def test_a_field_that_is_not_known_is_a_warning(api):
    """A later version may know it, and it may be a misspelled one: so nobody gets to see its text."""
    applied = await api.done(api.apply({**RED, "mebers": ["x"], "tags": {"any": "thing"}}))

    assert applied["warnings"] == ["mebers: unknown field; did you mean `members`?"]
    assert [text[:3] for text in applied["manifest"]["mebers"]] == ["***"]
    assert applied["manifest"]["tags"] == {"any": "thing"}


async def test_a_role_that_is_not_there_is_a_warning(api):
    collaborators = [{"subject": "user:ana@example.com", "role_id": "no-such-role"}]

    applied = await api.done(api.apply(account(collaborators=collaborators)))

    assert [warning.partition(",")[0] for warning in applied["warnings"]] == [
        "collaborators[0]: there is no role 'no-such-role'"
    ]


async def test_two_accounts_of_one_name(api):
    """Models are called by the account's name alone, and it is granted by that name."""
    await api.done(api.apply(account()))

    assert await api.refused(api.apply({"type": "provider-account/demo", "name": "main"})) == (
        400,
        "there is a provider-account/openai named main already; take another name",
    )


async def test_who_holds_roles_on_it_already_is_a_warning(api):
    """Bindings outlive an account, and the next one of its name has them: its maker was not told."""
    await api.done(api.apply(account()))
    await api.grant("bo", "provider-account:UseIntegrations", on="provider-account:main")
    await api.done(api.delete("provider-account/openai", "main"))

    again = await api.done(api.apply(account()))
    updated = await api.done(api.apply(account(discount_percent=5)))

    assert again["warnings"] == [
        "user:bo@example.com had roles on provider-account:main before it was made, which count for this one"
    ]
    assert updated["warnings"] == []


# --- files -------------------------------------------------------------------


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text("# teams\ntype: team\nname: red\nmembers: [bo@example.com]\n")
    return path


async def test_what_a_file_manages_is_changed_there(open_app, config):
    api = await open_app(config)
    message = f"team red is managed in {config}:2; change it there"

    refused = [
        await api.refused(answering)
        for answering in (
            api.apply(RED),
            api.apply(RED, dry_run=True),
            api.delete("team", "red"),
            api.ask("DELETE", "/teams/red"),
            api.ask("POST", "/teams/red/members", {"email": "cy@example.com"}),
            api.ask("DELETE", "/teams/red/members/bo@example.com"),
        )
    ]

    assert refused == [(409, message)] * 6
    listed = (await api.done(api.ask("GET", "/manifests")))["data"]
    assert [(row["name"], row["managedBy"], row["version"]) for row in listed] == [("red", f"file:{config}:2", None)]


async def test_where_a_file_is_is_not_for_everybody(open_app, config):
    """Who may not change it learns neither that it is there nor where."""
    api = await open_app(config)

    answers = [await api.refused(api.apply(RED, by="ana")), await api.refused(api.delete("team", "red", by="ana"))]

    assert answers == [
        (
            403,
            "user:ana@example.com lacks the permission team:ManageTeam on team:red (role team-manager); "
            "an admin can grant it",
        ),
        (403, "user:ana@example.com lacks the permission team:DeleteTeam on team:red; an admin can grant it"),
    ]


async def test_a_file_wins_over_what_was_applied(open_app, config):
    """Somebody moves a team from the API into a file: what the file says holds, and the log tells what became of the
    other."""
    first = await open_app()
    await first.done(first.apply({**RED, "description": "of the API"}))

    api = await open_app(config)

    (shown,) = (await api.done(api.ask("GET", "/manifests?type=team")))["data"]
    assert shown["manifest"] == {"type": "team", "name": "red", "members": ["bo@example.com"]}
    assert (shown["managedBy"], shown["version"], shown["createdBy"]) == (f"file:{config}:2", None, None)
    assert [str(warning) for warning in api.app.config.snapshot.warnings] == [
        f"database/team/red: name: ignored: team red stands in {config}:2 too, and what a file manages wins"
    ]
    assert (await api.done(api.ask("GET", "/me", by="ana")))["teams"] == []
    assert (await api.done(api.ask("GET", "/me", by="bo")))["teams"] == ["red"]


async def test_a_plan_of_a_file_that_is_broken_now(open_app, config):
    """The files that are in force count, not those that somebody is editing."""
    api = await open_app(config)
    config.write_text("type: [")

    applied = await api.done(api.apply({**RED, "name": "blue"}))

    assert applied["action"] == "CREATE"


@pytest.mark.parametrize("fields", [{}, {"integrations": [{}]}, {"integrations": [{"name": "echo"}]}])
async def test_integrations_whose_type_and_name_are_the_usual_ones(api, fields):
    """`{"integrations": [{"name": "echo"}]}`, as in the README, made each listing of accounts a 500."""
    await api.done(api.apply({"type": "provider-account/demo", "name": "other", **fields}))

    rows = (await api.done(api.ask("GET", "/provider-integrations")))["data"]
    account = (await api.done(api.ask("GET", "/provider-accounts/other")))["data"]

    assert [(row["id"], row["type"]) for row in rows if row["providerAccountId"] == "other"] == [
        ("other/echo", "integration/model/demo")
    ]
    assert account["integrations"][0]["fqn"] == "default:demo:other:model:echo"


async def test_endpoints_whose_type_is_the_usual_one(api):
    """One such account made each listing of accounts a 500, for everybody."""
    endpoint = {"name": "thing", "base_url": "https://thing.example"}
    await api.done(api.apply({"type": "provider-account/custom-endpoint", "name": "other", "integrations": [endpoint]}))

    rows = (await api.done(api.ask("GET", "/provider-integrations")))["data"]

    assert [row["type"] for row in rows if row["providerAccountId"] == "other"] == ["integration/model/custom-endpoint"]


# --- secrets -----------------------------------------------------------------


async def test_a_manifest_that_was_read_can_be_written_back(api):
    """`GET`, edit, `PUT`: the key is still the key."""
    await api.done(api.apply(account()))
    read = (await api.done(api.ask("GET", "/provider-accounts/main")))["data"]["manifest"]
    mask = read["auth_data"]["api_key"]

    same = await api.done(api.apply(read))
    edited = await api.done(api.apply({**read, "discount_percent": 5}))
    await api.chat("main/m", by="admin")

    assert mask == "***@v1"
    assert (same["changed"], edited["action"], edited["version"]) == (False, "UPDATE", 2)
    assert key_sent(api) == KEY


async def test_one_more_model_beside_those_whose_keys_are_masked(api):
    """Its address is new, and no key of another model goes there."""
    await api.done(api.apply(self_hosted(hosted("a", "key-of-a", "http://a.test/v1"))))
    read = (await api.done(api.ask("GET", "/provider-accounts/own")))["data"]["manifest"]

    read["integrations"].append(hosted("b", "key-of-b", "http://b.test/v1"))
    await api.done(api.apply(read))
    await api.chat("own/a", by="admin")

    assert key_sent(api) == "key-of-a"


async def test_no_answer_and_no_file_holds_a_secret(api, tmp_path):
    """Masked in each answer; sealed in the database, its log, and its history."""
    group = {"type": "secret-group", "name": "llm"}
    reference = account(name="by-reference", auth_data={"type": "api-key", "api_key": "tfy-secret://t:llm:key"})
    misspelled = account(name="misspelled", auth_data={"type": "api-key", "api_key": KEY}, api_keyy=KEY)
    answers = [
        await api.apply(account(), dry_run=True),
        await api.apply(account()),
        await api.apply(account(discount_percent=1)),
        await api.apply(misspelled),
        await api.apply(group),
        await api.ask("PUT", "/secret-groups/llm/secrets", {"secrets": [{"key": "key", "value": KEY}]}),
        await api.apply(reference),
        await api.ask("GET", "/secret-groups/llm/secrets"),
        await api.ask("GET", "/manifests"),
        await api.ask("GET", "/provider-accounts"),
        await api.ask("GET", "/provider-accounts/main"),
        await api.ask("GET", "/history"),
        await api.ask("GET", "/history?type=provider-account/openai&name=main"),
        await api.ask("POST", "/rollback", {"type": "provider-account/openai", "name": "main", "version": 1}),
        await api.delete("provider-account/openai", "main"),
        await api.delete("provider-account/openai", "misspelled"),
    ]

    assert [answer.status for answer in answers] == [200] * 16
    assert [answer.body for answer in answers if KEY.encode() in answer.body] == []
    files = [*tmp_path.glob("gateway.db*")]
    assert "gateway.db-wal" in [file.name for file in files]
    assert [file.name for file in files if KEY.encode() in file.read_bytes()] == []


# --- history -----------------------------------------------------------------


async def test_the_history_says_who_when_and_what(api):
    manager = {"subject": "user:ana@example.com", "role_id": "provider-account-manager"}
    await api.done(api.apply(account(collaborators=[manager])))
    masked = {"type": "api-key", "api_key": "***@v1"}
    await api.done(api.apply(account(auth_data=masked, collaborators=[manager], discount_percent=5), by="ana"))

    newest, oldest = (await api.done(api.ask("GET", "/history?type=provider-account/openai&name=main", by="ana")))[
        "data"
    ]

    assert datetime.fromisoformat(newest.pop("at")).utcoffset().total_seconds() == 0
    assert newest == {
        "number": 2,
        "subject": "user:ana@example.com",
        "action": "updated",
        "type": "provider-account/openai",
        "name": "main",
        "version": 2,
        "diff": """\
--- main (version 1)
+++ main (version 2)
@@ -4,6 +4,7 @@
 collaborators:
 - role_id: provider-account-manager
   subject: user:ana@example.com
+discount_percent: 5
 integrations:
 - model_id: gpt
   model_types:""",
    }
    assert (oldest["subject"], oldest["action"], oldest["version"]) == ("user:admin", "created", 1)


async def test_the_history_in_pages(api):
    for number in range(3):
        await api.done(api.apply({**RED, "description": str(number)}))

    async def numbers(query):
        return [change["number"] for change in (await api.done(api.ask("GET", f"/history?{query}")))["data"]]

    assert await numbers("limit=2") == [3, 2]
    assert await numbers("limit=2&before=2") == [1]
    assert await numbers("limit=0") == [3, 2, 1]


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "before=1e3", f"limit={10**18}"])
async def test_numbers_that_are_none(api, query):
    status, message = await api.refused(api.ask("GET", f"/history?{query}"))

    assert (status, message) == (400, f"{query.partition('=')[0]} has to be a number")


async def test_all_of_the_history_is_for_admins(api):
    """It also tells of users, tokens and secrets."""
    for query in ("", "?type=team", "?name=red", "?type=user&name=ana@example.com", "?type=secret&name=llm/key"):
        status, message = await api.refused(api.ask("GET", f"/history{query}", by="ana"))

        assert (status, message) == (403, "user:ana@example.com lacks the role tenant-admin; an admin can grant it")


# --- rolling back ------------------------------------------------------------


async def test_back_to_a_version(api):
    """With the key it had, which nobody could have written back."""
    await api.done(api.apply(account()))
    await api.done(api.apply(account(auth_data={"type": "api-key", "api_key": "other"})))
    body = {"type": "provider-account/openai", "name": "main", "version": 1}

    dry = await api.done(api.ask("POST", "/rollback", {**body, "dryRun": True}))
    done = await api.done(api.ask("POST", "/rollback", body))
    again = await api.done(api.ask("POST", "/rollback", body))
    await api.chat("main/m", by="admin")

    assert (dry["action"], dry["version"]) == ("UPDATE", 2)
    assert (done["action"], done["version"]) == ("UPDATE", 3)
    assert (again["changed"], again["version"]) == (False, 3)
    assert key_sent(api) == KEY
    assert await versions(api, "provider-account/openai", "main") == [
        ("rolled back to 1", 3),
        ("updated", 2),
        ("created", 1),
    ]


async def test_back_to_what_was_deleted(api):
    await api.done(api.apply(account()))
    await api.done(api.delete("provider-account/openai", "main"))
    assert await api.chat("main/m", by="admin") == 404

    done = await api.done(
        api.ask("POST", "/rollback", {"type": "provider-account/openai", "name": "main", "version": 1})
    )

    assert (done["action"], done["version"], done["existingManifest"]) == ("CREATE", 2, None)
    assert await api.chat("main/m", by="admin") == 200


@pytest.mark.parametrize("version", [0, -1, 2, 2**70])
async def test_a_version_that_is_not_there(api, version):
    await api.done(api.apply(RED))

    status, _ = await api.refused(api.ask("POST", "/rollback", {"type": "team", "name": "red", "version": version}))

    assert status in (400, 404)


# --- deleting ----------------------------------------------------------------


async def test_deleting(api):
    await api.done(api.apply(RED))

    deleted = await api.done(api.delete("team", "red"))

    assert deleted == {
        "action": "DELETE",
        "changed": True,
        "type": "team",
        "name": "red",
        "manifest": None,
        "existingManifest": RED,
        "version": 1,
        "warnings": [],
        "dryRun": False,
    }
    assert await api.refused(api.delete("team", "red")) == (404, "there is no team named red")
    assert (await api.done(api.apply(RED)))["version"] == 2


async def test_an_account_is_deleted_by_its_name(api):
    """Whoever its vendor is."""
    await api.done(api.apply(account()))

    deleted = await api.done(api.ask("DELETE", "/provider-accounts/main"))

    assert (deleted["type"], deleted["name"]) == ("provider-account/openai", "main")


async def test_a_group_whose_secrets_are_needed(api):
    """Its secrets go with it, and an account without its key would be gone as well."""
    await api.done(api.apply({"type": "secret-group", "name": "llm"}))
    await api.done(api.ask("PUT", "/secret-groups/llm/secrets", {"secrets": [{"key": "key", "value": KEY}]}))
    await api.done(api.apply(account(auth_data={"type": "api-key", "api_key": "tfy-secret://t:llm:key"})))

    refused = [
        await api.refused(answering)
        for answering in (
            api.delete("secret-group", "llm"),
            api.ask("DELETE", "/secret-groups/llm/secrets/key"),
            api.ask("PUT", "/secret-groups/llm/secrets", {"secrets": [{"key": "key", "value": "a\nb"}]}),
        )
    ]
    by = "is in use by provider-account/openai main; change that first"
    holds = "auth_data.api_key: the secret key of the group llm holds a line break, which cannot be sent"
    assert refused == [(409, f"the secret group llm {by}"), (409, f"the secret key of llm {by}"), (400, holds)]
    assert await api.chat("main/m", by="admin") == 200

    await api.done(api.delete("provider-account/openai", "main"))
    await api.done(api.delete("secret-group", "llm"))


# --- the routes of one kind --------------------------------------------------


async def test_the_type_may_be_left_out_where_the_path_says_it(api):
    created = await api.done(api.ask("PUT", "/teams", {"manifest": {"name": "red", "members": []}}))

    assert (created["type"], created["name"]) == ("team", "red")


async def test_the_type_has_to_be_that_of_the_path(api):
    assert await api.refused(api.ask("PUT", "/roles", {"manifest": RED})) == (
        400,
        "the type of the manifest has to be role",
    )


async def test_lists_show_what_may_be_read(api):
    await api.done(api.apply(RED))
    await api.done(api.apply({**RED, "name": "blue", "members": ["bo@example.com"]}))

    async def names(path, by):
        return [row["name"] for row in (await api.done(api.ask("GET", path, by=by)))["data"]]

    assert await names("/manifests?type=team", "admin") == ["blue", "red"]
    assert await names("/manifests?type=team&name=red", "admin") == ["red"]
    assert await names("/manifests?type=provider-account", "admin") == ["demo"]
    assert await names("/manifests", "ana") == ["demo", "red"]
    assert await names("/teams", "ana") == ["red"]
    assert await names("/teams", "cy") == []


# --- many at once ------------------------------------------------------------


async def test_twenty_clients_at_once_lose_nothing(api):
    """Ten make manifests of their own, ten join the same team."""
    await api.done(api.apply({**RED, "members": []}))
    emails = [f"member-{number}@example.com" for number in range(10)]

    answers = await asyncio.gather(
        *[api.apply({**RED, "name": f"team-{number}"}) for number in range(10)],
        *[api.ask("POST", "/teams/red/members", {"email": email}) for email in emails],
    )

    assert [answer.status for answer in answers] == [200] * 20
    listed = (await api.done(api.ask("GET", "/teams")))["data"]
    assert [team["name"] for team in listed] == ["red", *[f"team-{number}" for number in range(10)]]
    assert sorted(listed[0]["members"]) == emails
    assert listed[0]["version"] == 11
    numbers = [change["number"] for change in (await api.done(api.ask("GET", "/history")))["data"]]
    assert numbers == list(range(21, 0, -1))


# --- several at once -----------------------------------------------------------------------------

VIRTUAL = {
    "type": "provider-account/virtual-model",
    "name": "v",
    "integrations": [
        {
            "type": "integration/model/virtual",
            "name": "m",
            "model_types": ["chat"],
            "routing_config": {"type": "latency-based-routing", "load_balance_targets": [{"target": "main/m"}]},
        }
    ],
}


async def apply_all(api, *steps, by="admin", dry_run=False):
    return await api.ask("PUT", "/apply/all", {"steps": list(steps), "dryRun": dry_run}, by=by)


def to_apply(*manifests):
    return [{"manifest": manifest} for manifest in manifests]


async def changes(api):
    return [(each["action"], each["name"]) for each in (await api.done(api.ask("GET", "/history")))["data"]]


async def test_what_is_applied_together_may_need_each_other(api):
    done = await api.done(apply_all(api, *to_apply(account(), VIRTUAL)))

    assert [(each["action"], each["name"], each["version"]) for each in done["data"]] == [
        ("CREATE", "main", 1),
        ("CREATE", "v", 1),
    ]
    assert await api.chat("v/m", by="admin") == 200


@pytest.mark.parametrize("dry_run", [False, True])
async def test_when_one_is_refused_nothing_is_done(api, dry_run):
    """Half of a configuration was in force, and nobody had meant that half."""
    wrong = {"type": "team", "name": "blue"}

    answer = await apply_all(api, *to_apply(account(), VIRTUAL, wrong, RED), dry_run=dry_run)

    assert (answer.status, answer.json()["error"]["param"]) == (400, "steps[2]")
    assert answer.json()["error"]["message"] == "missing required field `members`"
    assert await changes(api) == []
    assert await api.models(by="admin") == ["demo/echo"]


async def test_a_dry_run_of_several_writes_nothing(api):
    await api.done(api.apply(RED))

    steps = [*to_apply(account(), VIRTUAL, RED), {"manifest": {"type": "team", "name": "red"}, "delete": True}]
    dry = await api.done(apply_all(api, *steps, dry_run=True))

    assert [(each["action"], each["changed"], each["version"], each["dryRun"]) for each in dry["data"]] == [
        ("CREATE", True, None, True),
        ("CREATE", True, None, True),
        ("UPDATE", False, 1, True),
        ("DELETE", True, 1, True),
    ]
    assert await changes(api) == [("created", "red")]


async def test_deletes_among_others(api):
    await api.done(apply_all(api, *to_apply(account(), VIRTUAL)))
    gone = [{"manifest": {"type": each["type"], "name": each["name"]}, "delete": True} for each in (VIRTUAL, account())]

    done = await api.done(apply_all(api, *to_apply(RED), *gone))

    assert [each["action"] for each in done["data"]] == ["CREATE", "DELETE", "DELETE"]
    assert await api.models(by="admin") == ["demo/echo"]


async def test_what_is_still_needed_is_not_deleted_with_others(api):
    await api.done(apply_all(api, *to_apply(account(), VIRTUAL)))
    gone = {"manifest": {"type": "provider-account/openai", "name": "main"}, "delete": True}

    answer = await apply_all(api, *to_apply(RED), gone)

    assert (answer.status, answer.json()["error"]["param"]) == (400, "steps[1]")
    assert await changes(api) == [("created", "v"), ("created", "main")]


async def test_each_takes_its_own_permission(api):
    await api.grant("ana", "team:ManageTeam", on="team:red")
    await api.done(api.apply(RED))
    before = await changes(api)

    answer = await apply_all(api, *to_apply({**RED, "members": []}, account()), by="ana")

    assert (answer.status, answer.json()["error"]["param"]) == (403, "steps[1]")
    assert await changes(api) == before


async def test_numbers_may_be_written_as_text(api):
    """As templates do; once such a number was sealed as if it were a secret, and then was none."""
    budget = {
        "type": "tenant-budget-config",
        "name": "b",
        "limits": {"cost_per_day": "1e+06", "cost_per_month": "20.5"},
        "applies_to": {"type": "aggregate"},
        "mode": "enforce",
    }

    created = await api.done(api.apply(budget))

    assert created["manifest"] == budget
    assert [limit.amount for rule in api.app.config.snapshot.policies.budgets for limit in rule.limits] == [
        1_000_000_000_000_000,
        20_500_000_000,
    ]
    assert (await api.done(api.apply(budget)))["changed"] is False


async def test_nothing_to_apply(api):
    assert await api.done(apply_all(api)) == {"data": []}
