"""Making, rotating and revoking tokens."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gateway.config.replica import Replica
from gateway.control.control import Control
from gateway.control.rotation import rotate_due
from gateway.state.database.rows import StoredToken
from gateway.state.database.store import Store

BO = "user:bo@example.com"
ROBOT = "virtualaccount:robot"
USE_DEMO = {"resource_type": "provider-account", "resource_fqn": "a:demo:demo", "role_id": "provider-account-access"}
ACCOUNT = {"type": "virtual-account", "name": "robot", "permissions": [USE_DEMO]}


async def token_for(api, email, **fields):
    body = {"name": "laptop", "email": email, **fields}
    return await api.done(api.ask("POST", "/personal-access-tokens/for-user", body))


async def token_of_robot(api, **fields):
    await api.done(api.apply(ACCOUNT))
    return await api.done(api.ask("POST", "/virtual-accounts/robot/tokens", fields))


async def listed(api, query="", by="admin"):
    return (await api.done(api.ask("GET", f"/tokens{query}", by=by)))["data"]


# --- making them -------------------------------------------------------------


async def test_for_a_user(timed):
    """It is shown this once."""
    new = await token_for(timed, "Bo@Example.com")

    token, id_ = new.pop("token"), new.pop("id")
    assert re.fullmatch(r"gwp_[0-9A-Za-z]{38}", token)
    assert re.fullmatch(r"tok_[0-9a-f]{16}", id_)
    about = {"subject": BO, "name": "laptop", "hint": f"gwp_...{token[-4:]}", "expiresAt": None}
    assert new == {**about, "replaces": None, "oldExpiresAt": None}
    me = await timed.done(timed.ask("GET", "/me", by=token))
    assert (me["subject"], me["credential"], me["tokenId"]) == (BO, "personal-access-token", id_)
    assert await listed(timed) == [
        {
            **about,
            "id": id_,
            "type": "pat",
            "tenantName": "default",
            "accountId": "default",
            "tokenType": "opaque",
            "createdAt": "2026-01-01T00:00:00Z",
            "createdBy": "user:admin",
            "createdBySubject": {
                "subjectId": "admin",
                "subjectType": "user",
                "subjectSlug": "admin",
                "subjectDisplayName": "admin",
            },
            "updatedAt": "2026-01-01T00:00:00Z",
            "updatedBy": "user:admin",
            "revokedAt": None,
            "lastUsedAt": None,
            "lastAccessedAt": None,
            "replacedBy": None,
            "status": "active",
        }
    ]


async def test_for_oneself(api):
    """With what an identity provider or the operator gave, but not with another of these."""
    new = await api.done(api.ask("POST", "/personal-access-tokens", {"name": "mine"}, by="bo"))

    assert await api.whoami(new["token"]) == BO
    assert await api.refused(api.ask("POST", "/personal-access-tokens", {"name": "more"}, by=new["token"])) == (
        403,
        "a personal access token cannot make another; ask an admin, or use an identity provider's JWT",
    )
    assert await api.refused(api.ask("POST", "/personal-access-tokens", {"name": "mine"})) == (
        400,
        "user:admin is no user with an address, so say whose token it is: `gateway token create --user EMAIL`, or "
        "POST /personal-access-tokens/for-user",
    )


async def test_for_a_virtual_account(api):
    new = await token_of_robot(api)

    assert re.fullmatch(r"gwv_[0-9A-Za-z]{38}", new["token"])
    assert (new["subject"], await api.whoami(new["token"])) == (ROBOT, ROBOT)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}", new["name"])
    assert await api.models(by=new["token"]) == ["demo/echo"]
    status, message = await api.refused(api.ask("POST", "/virtual-accounts/none/tokens", {}))
    said = "there is no virtual account named none: a manifest of `type: virtual-account` makes one"
    assert (status, message) == (404, said)


async def test_as_a_jwt(api):
    """For clients that take nothing else. It is known by its hash, as all others are, so revoking it works."""
    new = await token_for(api, "bo@example.com", tokenType="jwt", expirationDate="2100-01-01")

    assert new["token"].startswith("eyJ")
    assert await api.whoami(new["token"]) == BO
    header, claims, _ = new["token"].split(".")
    assert await api.whoami(f"{header}.{claims}.") == 401
    await api.done(api.ask("DELETE", f"/tokens/{new['id']}"))
    assert await api.whoami(new["token"]) == 401


@pytest.mark.parametrize("name", ["", "ab", "x" * 37, "a\nb", "a\u202eb"])
async def test_names_that_are_none(api, name):
    body = {"name": name, "email": "bo@example.com", "teams": ["red"]}

    answer = await api.refused(api.ask("POST", "/personal-access-tokens/for-user", body))

    assert answer == (400, "the name of a token has 3 to 36 characters")
    assert (await api.done(api.ask("GET", "/users")))["data"] == []


async def test_two_of_one_name(api):
    """Nobody could tell which to revoke. When one is gone its name is free."""
    new = await token_for(api, "bo@example.com")
    body = {"name": "laptop", "email": "bo@example.com"}

    assert await api.refused(api.ask("POST", "/personal-access-tokens/for-user", body)) == (
        409,
        f"{BO} has a token named laptop already; take another name, or rotate that one",
    )
    await api.done(api.ask("DELETE", f"/tokens/{new['id']}"))
    await token_for(api, "bo@example.com")


async def test_too_many(api):
    now = datetime.now(UTC)
    async with api.app.control.store.change(by="user:admin") as change:
        for number in range(100):
            digest = number.to_bytes(32)
            token = StoredToken(f"t{number}", BO, f"n{number}", digest, "", "opaque", now, "user:admin")
            await change.add_token(token)

    assert await api.refused(api.ask("POST", "/personal-access-tokens", {"name": "mine"}, by="bo")) == (
        409,
        f"{BO} has 100 tokens; revoke some first",
    )


@pytest.mark.parametrize("email", ["", "bo", "bo@", "@x", "a b@x", "bo@x\n", "user:bo@x", "*@x", f"{'a' * 250}@x.io"])
async def test_an_address_that_is_none(api, email):
    answer = await api.refused(api.ask("POST", "/personal-access-tokens/for-user", {"name": "laptop", "email": email}))

    assert answer == (400, "email has to be an address")


# --- the end of them ---------------------------------------------------------


async def test_it_works_to_the_end_of_its_last_day(timed, clock):
    new = await token_for(timed, "bo@example.com", expirationDate="2026-01-02")

    assert new["expiresAt"] == "2026-01-03T00:00:00Z"
    clock.move(days=2, seconds=-1)
    assert await timed.whoami(new["token"]) == BO
    clock.move(seconds=1)
    assert await timed.whoami(new["token"]) == 401
    assert await listed(timed) == []
    assert [token["status"] for token in await listed(timed, "?all=true")] == ["expired"]


@pytest.mark.parametrize(
    ("day", "message"),
    [
        ("2025-12-30", "expirationDate lies in the past"),
        ("2026-02-30", "expirationDate has to be a day, yyyy-mm-dd"),
        ("tomorrow", "expirationDate has to be a day, yyyy-mm-dd"),
    ],
)
async def test_days_on_which_it_cannot_end(timed, day, message):
    body = {"name": "laptop", "email": "bo@example.com", "expirationDate": day}

    assert await timed.refused(timed.ask("POST", "/personal-access-tokens/for-user", body)) == (400, message)


async def test_never(api):
    """As people write it. One date that is too late must not keep all others from being read."""
    new = await token_for(api, "bo@example.com", expirationDate="9999-12-31")
    await api.done(api.apply({**ACCOUNT, "expiration_date": "9999-12-31"}))
    robots = await api.done(api.ask("POST", "/virtual-accounts/robot/tokens"))

    assert [await api.whoami(token["token"]) for token in (new, robots)] == [BO, ROBOT]


async def test_it_ends_with_its_virtual_account(timed, clock):
    await timed.done(timed.apply({**ACCOUNT, "expiration_date": "2026-01-02"}))
    new = await timed.done(timed.ask("POST", "/virtual-accounts/robot/tokens"))

    clock.move(days=2, seconds=-1)
    assert await timed.whoami(new["token"]) == ROBOT
    clock.move(seconds=1)
    assert await timed.whoami(new["token"]) == 401


async def test_revoking(api):
    """From the next request on. It may be done twice, and by its owner."""
    new, own = await token_for(api, "bo@example.com"), await token_for(api, "cy@example.com")

    for _ in range(2):
        assert await api.done(api.ask("DELETE", f"/tokens/{new['id']}")) == {"id": new["id"], "status": "revoked"}
    await api.done(api.ask("DELETE", f"/personal-access-tokens/{own['id']}", by=own["token"]))

    assert [await api.whoami(token["token"]) for token in (new, own)] == [401, 401]


async def test_what_is_not_ones_own(api):
    """It looks as if it were not there."""
    new = await token_for(api, "bo@example.com")

    for method, path in (
        ("DELETE", f"/tokens/{new['id']}"),
        ("POST", f"/tokens/{new['id']}/rotate"),
        ("DELETE", "/tokens/x"),
    ):
        assert await api.refused(api.ask(method, path, by="cy")) == (404, "there is no such token")
    assert await api.whoami(new["token"]) == BO


async def test_by_the_name_of_another_account(api):
    """Whoever clicks in a list of one account must not end a token of another."""
    new = await token_of_robot(api)

    status, _ = await api.refused(api.ask("DELETE", f"/virtual-accounts/other/jwt/{new['id']}"))

    assert (status, await api.whoami(new["token"])) == (404, ROBOT)
    await api.done(api.ask("DELETE", f"/virtual-accounts/robot/jwt/{new['id']}"))
    assert await api.whoami(new["token"]) == 401


async def test_revoking_all_of_a_user(api):
    mine = [await token_for(api, "bo@example.com", name=f"laptop {number}") for number in range(2)]
    other = await token_for(api, "cy@example.com")

    revoked = await api.done(api.ask("DELETE", "/personal-access-tokens/revoke/all", {"email": "BO@example.com"}))

    assert revoked == {"revoked": 2}
    assert [await api.whoami(token["token"]) for token in (*mine, other)] == [401, 401, "user:cy@example.com"]


async def test_a_user_is_deactivated(api):
    """The very next request is refused, whatever it carries, and coming back does not bring old tokens back."""
    new = await token_for(api, "bo@example.com")
    assert [await api.whoami(token) for token in (new["token"], "bo")] == [BO, BO]

    await api.done(api.ask("PATCH", "/users/deactivate", {"email": "bo@example.com"}))

    assert [await api.whoami(token) for token in (new["token"], "bo")] == [401, 401]
    assert await api.chat("demo/echo", by=new["token"]) == 401
    body = {"name": "another", "email": "bo@example.com"}
    assert await api.refused(api.ask("POST", "/personal-access-tokens/for-user", body)) == (
        409,
        "bo@example.com is deactivated; activate the user first",
    )
    await api.done(api.ask("PATCH", "/users/activate", {"email": "bo@example.com"}))
    assert [await api.whoami(token) for token in (new["token"], "bo")] == [401, BO]


async def test_a_virtual_account_is_deleted(api):
    """And one of the same name that is made later has none of its tokens."""
    new = await token_of_robot(api)

    await api.done(api.delete("virtual-account", "robot"))
    assert await api.whoami(new["token"]) == 401
    await api.done(api.apply(ACCOUNT))
    assert await api.whoami(new["token"]) == 401


# --- rotating them -----------------------------------------------------------


async def test_rotating(timed, clock):
    """The old one works until the grace period is over."""
    old = await token_for(timed, "bo@example.com", expirationDate="2026-06-30")

    new = await timed.done(timed.ask("POST", f"/tokens/{old['id']}/rotate", {"gracePeriodInMinutes": 60}))

    assert (new["name"], new["replaces"], new["oldExpiresAt"]) == ("laptop", old["id"], "2026-01-01T01:00:00Z")
    assert new["expiresAt"] == old["expiresAt"] == "2026-07-01T00:00:00Z"
    shown = {token["id"]: (token["status"], token["replacedBy"]) for token in await listed(timed)}
    assert shown == {old["id"]: ("rotating", new["id"]), new["id"]: ("active", None)}
    assert await timed.refused(timed.ask("POST", f"/tokens/{old['id']}/rotate")) == (
        409,
        f"the token {old['id']} is not in force any more, or was rotated already",
    )
    clock.move(minutes=59)
    assert [await timed.whoami(token["token"]) for token in (old, new)] == [BO, BO]
    clock.move(minutes=1)
    assert [await timed.whoami(token["token"]) for token in (old, new)] == [401, BO]


async def test_rotating_at_once(api):
    old = await token_for(api, "bo@example.com")

    new = await api.done(api.ask("POST", f"/tokens/{old['id']}/rotate"))

    assert [await api.whoami(token["token"]) for token in (old, new)] == [401, BO]


async def test_a_grace_period_does_not_lengthen_a_life(timed):
    old = await token_for(timed, "bo@example.com", expirationDate="2026-01-02")

    new = await timed.done(timed.ask("POST", f"/tokens/{old['id']}/rotate", {"gracePeriodInDays": 30}))

    assert new["oldExpiresAt"] == "2026-01-03T00:00:00Z"


async def test_a_token_rotates_itself_and_no_other(api):
    first, second = [await token_for(api, "bo@example.com", name=f"laptop {number}") for number in range(2)]

    new = await api.done(api.ask("POST", f"/tokens/{first['id']}/rotate", by=first["token"]))

    assert await api.whoami(new["token"]) == BO
    assert await api.refused(api.ask("POST", f"/tokens/{second['id']}/rotate", by=new["token"])) == (
        403,
        "a personal access token can rotate itself, and no other",
    )


@pytest.mark.parametrize(
    ("body", "until"),
    [
        ({}, "2026-01-01T00:00:00Z"),
        ({"gracePeriodInMinutes": 90}, "2026-01-01T01:30:00Z"),
        ({"grace_period_in_minutes": 90}, "2026-01-01T01:30:00Z"),
        ({"gracePeriodInDays": 2}, "2026-01-03T00:00:00Z"),
        ({"gracePeriodInDays": 366}, "2027-01-02T00:00:00Z"),
    ],
)
async def test_grace_periods_as_clients_write_them(timed, body, until):
    """The SDK counts days, its pages minutes."""
    await token_of_robot(timed)

    new = await timed.done(timed.ask("POST", "/virtual-accounts/robot/regenerate-token", body))

    assert new["oldExpiresAt"] == until


@pytest.mark.parametrize(
    "body",
    [
        {"gracePeriodInMinutes": -1},
        {"gracePeriodInDays": 367},
        {"gracePeriodInDays": 10**12},
        {"grace_period_in_minutes": 10**30},
        {"gracePeriodInDays": 366, "gracePeriodInMinutes": 1},
        {"gracePeriodInDays": 1.5},
        {"gracePeriodInDays": "1"},
    ],
)
async def test_grace_periods_that_are_none(api, body):
    new = await token_of_robot(api)

    status, _ = await api.refused(api.ask("POST", "/virtual-accounts/robot/regenerate-token", body))

    assert (status, await api.whoami(new["token"])) == (400, ROBOT)


async def test_regenerating(api):
    """Makes the first one where there is none."""
    await api.done(api.apply(ACCOUNT))

    first = await api.done(api.ask("POST", "/virtual-accounts/robot/regenerate-token", {}))
    second = await api.done(api.ask("POST", "/virtual-accounts/robot/regenerate-token", {}))

    assert (first["replaces"], second["replaces"]) == (None, first["id"])
    assert [await api.whoami(token["token"]) for token in (first, second)] == [401, ROBOT]
    assert await api.refused(api.ask("POST", "/virtual-accounts/none/regenerate-token", {})) == (
        404,
        "there is no virtual account named none: a manifest of `type: virtual-account` makes one",
    )


async def test_who_an_identity_provider_vouches_for_has_no_tokens(api):
    """Those from before go on, but there are no new ones."""
    await token_of_robot(api)
    mapping = [{"identity_provider": "okta", "value": "robot"}]
    await api.done(api.apply({**ACCOUNT, "identity_provider_mapping": mapping}))

    for path in ("tokens", "regenerate-token"):
        assert await api.refused(api.ask("POST", f"/virtual-accounts/robot/{path}", {})) == (
            409,
            "robot is what an identity provider says it is, so it has no tokens of its own",
        )


async def test_a_token_is_not_shown_again(api):
    """Where the SDK looks for it."""
    await token_of_robot(api)

    assert await api.refused(api.ask("GET", "/virtual-accounts/robot/token")) == (
        409,
        "a token is shown once, when it is made; POST .../regenerate-token makes a new one",
    )


# --- by themselves -----------------------------------------------------------

KEPT = {"type": "tfy-secrets", "secret_group": "vats", "key": "robot"}


@pytest.fixture
async def kept(timed):
    """A virtual account whose tokens are written into a secret, each for 30 days, and work a week longer."""
    await timed.done(timed.apply({"type": "secret-group", "name": "vats"}))
    rotation = {"auto_rotate_interval": 30, "grace_period": 7}
    await timed.done(timed.apply({**ACCOUNT, "secret_store_config": KEPT, "auto_rotate": rotation}))
    return timed


async def secret_of(api):
    return (await api.done(api.ask("GET", "/secret-groups/vats/secrets/robot")))["data"]["value"]


async def test_the_first_one_is_made(kept):
    assert await rotate_due(kept.control) == ["robot"]
    assert await rotate_due(kept.control) == []

    assert await kept.whoami(await secret_of(kept)) == ROBOT
    (token,) = await listed(kept)
    assert (token["name"], token["createdBy"]) == ("auto-rotated", "gateway")


async def test_it_is_rotated_when_it_is_time(kept, clock):
    await rotate_due(kept.control)
    first = await secret_of(kept)

    clock.move(days=30, seconds=-1)
    assert await rotate_due(kept.control) == []
    clock.move(seconds=1)
    assert await rotate_due(kept.control) == ["robot"]

    second = await secret_of(kept)
    assert second != first
    clock.move(days=7, seconds=-1)
    assert [await kept.whoami(token) for token in (first, second)] == [ROBOT, ROBOT]
    clock.move(seconds=1)
    assert [await kept.whoami(token) for token in (first, second)] == [401, ROBOT]


async def test_one_that_people_rotate_is_kept_too(kept):
    """Whoever reads the secret must not find the old one."""
    await rotate_due(kept.control)

    new = await kept.done(kept.ask("POST", "/virtual-accounts/robot/regenerate-token", {}))

    assert await secret_of(kept) == new["token"]


async def test_the_group_stays_as_long_as_tokens_go_there(kept):
    """They would be written where nobody finds them, or somebody else."""
    assert await kept.refused(kept.delete("secret-group", "vats")) == (
        409,
        "the secret group vats is in use by virtual-account robot; change that first",
    )


async def test_replicas_rotate_once(kept, environ):
    """Each of them looks, and all at about the same time."""
    store = Store(environ["GATEWAY_DATABASE_URL"], clock=kept.control.now)
    replica = Replica(store, kept.control.config)
    other = msgspec.structs.replace(kept.control, store=store, replica=replica, turn=asyncio.Lock())

    rotated = await asyncio.gather(rotate_due(kept.control), rotate_due(other))
    await store.close()

    assert sorted(rotated) == [[], ["robot"]]
    assert len(await listed(kept)) == 1


async def test_without_a_secret_nothing_is_rotated(timed, clock):
    """Nobody would learn the new one."""
    await timed.done(timed.apply({**ACCOUNT, "auto_rotate": {"auto_rotate_interval": 30}}))
    new = await timed.done(timed.ask("POST", "/virtual-accounts/robot/tokens"))

    clock.move(days=400)

    assert await rotate_due(timed.control) == []
    assert await timed.whoami(new["token"]) == ROBOT


async def test_an_app_that_is_open_rotates(api, until):
    """Without anybody asking for it."""
    assert isinstance(api.app.control, Control)
    await api.done(api.apply({"type": "secret-group", "name": "vats"}))
    await api.done(api.apply({**ACCOUNT, "secret_store_config": KEPT}))
    await api.app.close()

    await api.app.open()

    await until(lambda: ("vats", "robot") in api.app.config.stored.secrets)


# --- looking at them ---------------------------------------------------------


async def test_a_list_shows_what_one_may_manage(api):
    bo, robot = await token_for(api, "bo@example.com"), await token_of_robot(api)
    await token_for(api, "cy@example.com")

    async def ids(path, by):
        return [token["id"] for token in (await api.done(api.ask("GET", path, by=by)))["data"]]

    assert len(await ids("/tokens", "admin")) == 3
    assert await ids("/tokens?subject=USER:x", "admin") == []
    assert await ids("/tokens?subject=virtual-account:robot", "admin") == [robot["id"]]
    assert await ids("/tokens?subject=user:Bo@example.com", "admin") == [bo["id"]]
    assert await ids("/tokens", "bo") == [bo["id"]]
    assert await ids("/tokens", "dee") == []
    assert await ids("/personal-access-tokens", "bo") == [bo["id"]]
    assert await ids("/personal-access-tokens", robot["token"]) == [robot["id"]]
    await api.grant("dee", "virtual-account:ManageVirtualAccount", on="virtual-account:robot")
    assert await ids("/tokens", "dee") == [robot["id"]]
    await api.grant("dee", "user:ManageUsers")
    assert len(await ids("/tokens", "dee")) == 3


async def test_no_list_holds_a_token(api, tmp_path):
    """Nor the database, of which backups are made."""
    made = [await token_for(api, "bo@example.com"), await token_of_robot(api)]
    made.append(await token_for(api, "cy@example.com", tokenType="jwt"))

    bodies = [(await api.ask("GET", path)).body for path in ("/tokens?all=true", "/history", "/manifests", "/users")]
    files = [file.read_bytes() for file in tmp_path.glob("gateway.db*")]

    assert [new["token"] for new in made for text in (*bodies, *files) if new["token"].encode() in text] == []
    assert [text for text in bodies if b"digest" in text] == []


async def test_when_one_was_used_last(api, open_app):
    """Written down every half a minute, and when the gateway stops."""
    used, unused = await token_for(api, "bo@example.com"), await token_for(api, "cy@example.com")
    await api.models(by=used["token"])
    before = datetime.now(UTC)
    await api.app.close()

    other = await open_app()

    last_used = {token["id"]: token["lastUsedAt"] for token in await listed(other)}
    assert last_used[unused["id"]] is None
    assert abs(datetime.fromisoformat(last_used[used["id"]]) - before) < timedelta(minutes=1)
