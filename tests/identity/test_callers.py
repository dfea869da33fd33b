"""From a token to who presents it."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gateway.config.compile.access import access_of
from gateway.contract import Caller, Credential
from gateway.errors import Unavailable
from gateway.identity.callers import Callers, end_of
from gateway.identity.jwt import Identity
from gateway.manifests import Manifest
from gateway.manifests.kinds import STRUCTS
from gateway.secrecy.secret import Secret
from gateway.secrecy.tokens import Pepper
from gateway.state.database.rows import StoredToken

LONG = "0123456789abcdef"
ADMIN = Caller("user:admin", is_admin=True)
PEPPER = Pepper(b"a-pepper-of-some-length")
NOON = datetime(2027, 1, 31, 12, tzinfo=UTC)


class Clock:
    """Seconds since 1970; tests set it by a date."""

    def __init__(self, now=NOON):
        self.now = now

    def __call__(self):
        return self.now.timestamp()


class Provider:
    """Stands for `Identities`: knows whom a JWT is for."""

    def __init__(self, **identities):
        self.identities = identities
        self.asked = []

    async def verify(self, token):
        self.asked.append(token)
        return self.identities.get(token.decode().partition(".")[2].partition(".")[0])


def identity(value, *groups, kind="user"):
    return Identity("okta", kind, value, frozenset(groups), NOON.timestamp() + 600)


def access(*manifests):
    documents = [
        (Manifest(data["type"], data["name"], "gateway.yaml", 1, data), msgspec.convert(data, STRUCTS[data["type"]]))
        for data in manifests
    ]
    return access_of(documents, [])


def stored(text, subject="user:ana@example.com", id_="tok_1", **rest):
    return StoredToken(
        id=id_,
        subject=subject,
        name="laptop",
        digest=PEPPER.digest(text.encode()),
        hint="gwp_...abcd",
        token_type="opaque",
        created_at=NOON,
        created_by="user:admin",
        **rest,
    )


def virtual_account(name="ci", **rest):
    permission = {"resource_type": "tenant", "resource_fqn": "acme", "role_id": "tenant-member"}
    return {"type": "virtual-account", "name": name, "permissions": [permission], **rest}


def team(name, *members):
    return {"type": "team", "name": name, "members": list(members)}


def callers(*tokens, manifests=(), inactive=(), fixed=(), clock=None, **options):
    secrets = [(Secret(token), caller) for token, caller in fixed]
    found = Callers(secrets, pepper=PEPPER, clock=clock or Clock(), **options)
    found.grant(access(*manifests))
    found.update(tokens, inactive)
    return found


# --- of the environment ------------------------------------------------------


def test_without_tokens_nobody_is_known():
    assert Callers().find(b"") is None


@pytest.mark.parametrize("token", ["", "x", LONG[:-1], LONG + "0", LONG.upper(), f" {LONG}", f"{LONG} ", LONG + "\x00"])
async def test_an_unknown_token(token):
    found = callers(fixed=[(LONG, ADMIN)])

    assert found.find(LONG.encode()) == ADMIN
    assert found.find(token.encode()) is None
    assert await found.verify(token.encode()) is None


def test_a_fixed_token_has_what_the_manifests_grant():
    """The environment says who it is; what he may do changes with the manifests. The admin stays one."""
    fixed = [("of-ana", Caller("user:ana@example.com")), ("of-admin", ADMIN)]
    found = callers(fixed=fixed, manifests=[{"type": "team", "name": "platform", "members": ["ana@example.com"]}])

    assert found.find(b"of-ana") == Caller("user:ana@example.com", teams=frozenset({"platform"}))
    found.grant(access())
    assert found.find(b"of-ana") == Caller("user:ana@example.com")
    assert found.find(b"of-admin") == ADMIN


def test_a_fixed_token_ends_with_whose_it_is():
    """A user who was deactivated, or an application that has expired, is shut out with every token there is."""
    clock = Clock()
    fixed = [("of-ana", Caller("user:ana@example.com")), ("of-ci", Caller("virtualaccount:ci")), ("of-admin", ADMIN)]
    found = callers(
        fixed=fixed,
        manifests=[virtual_account(expiration_date="2027-01-31")],
        inactive=["ana@example.com", "admin@example.com"],
        clock=clock,
    )

    assert found.find(b"of-ana") is None
    assert found.find(b"of-admin") == ADMIN
    assert found.find(b"of-ci") == Caller("virtualaccount:ci")
    clock.now = NOON + timedelta(hours=12)
    assert found.find(b"of-ci") is None


# --- from the database -------------------------------------------------------


def test_a_personal_token():
    found = callers(stored("a"), manifests=[{"type": "team", "name": "platform", "members": ["Ana@example.com"]}])

    assert found.find(b"a") == Caller(
        "user:ana@example.com", teams=frozenset({"platform"}), credential=Credential.PERSONAL, token_id="tok_1"
    )


def test_a_token_of_a_virtual_account():
    found = callers(stored("v", "virtualaccount:ci"), manifests=[virtual_account()])

    assert found.find(b"v") == Caller("virtualaccount:ci", credential=Credential.VIRTUAL_ACCOUNT, token_id="tok_1")


def test_an_admin_by_a_binding():
    binding = {
        "type": "role-binding",
        "name": "b",
        "subjects": [{"type": "user", "name": "ana@example.com"}],
        "permissions": [{"resourceType": "tenant", "resourceFqn": "acme", "role": "tenant-admin"}],
    }
    found = callers(stored("a"), stored("b", "user:bob@example.com", "tok_2"), manifests=[binding])

    assert [found.find(token).is_admin for token in (b"a", b"b")] == [True, False]


def test_all_tokens_that_are_dead_look_like_none():
    """Nobody learns from the answer that a token was good once."""
    dead = {
        "revoked": stored("revoked", revoked_at=NOON - timedelta(seconds=1)),
        "revoked later": stored("revoked later", revoked_at=NOON + timedelta(days=1)),
        "expired": stored("expired", expires_at=NOON),
        "deactivated": stored("deactivated", "user:eve@example.com"),
        "deleted": stored("deleted", "virtualaccount:deleted"),
        "of an expired account": stored("of an expired account", "virtualaccount:old"),
    }
    found = callers(
        *dead.values(),
        stored("alive", expires_at=NOON + timedelta(seconds=1)),
        manifests=[virtual_account("old", expiration_date="2027-01-30")],
        inactive=["eve@example.com"],
    )

    assert [name for name in dead if found.find(name.encode()) is not None] == []
    assert found.find(b"alive").subject == "user:ana@example.com"
    assert found.find(b"never there") is None


def test_several_tokens_of_one_subject_work_at_once():
    found = callers(*(stored(f"t{number}", id_=f"tok_{number}") for number in range(3)))

    assert [found.find(f"t{number}".encode()).token_id for number in range(3)] == ["tok_0", "tok_1", "tok_2"]


def test_a_rotated_token_works_to_the_second():
    """Old and new one both work until the grace period is over, and not a second longer."""
    clock = Clock()
    end = NOON + timedelta(minutes=5)
    found = callers(stored("old", expires_at=end, replaced_by="tok_2"), stored("new", id_="tok_2"), clock=clock)

    works = []
    for seconds in (-300, -1, 0, 1):
        clock.now = end + timedelta(seconds=seconds)
        works.append((found.find(b"old") is not None, found.find(b"new") is not None))

    assert works == [(True, True), (True, True), (False, True), (False, True)]


@pytest.mark.parametrize(
    ("now", "works"),
    [
        (datetime(2027, 1, 31, 0, 0, 0, tzinfo=UTC), True),
        (datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC), True),
        (datetime(2027, 2, 1, 0, 0, 0, tzinfo=UTC), False),
        (datetime(2027, 2, 1, 0, 0, 1, tzinfo=UTC), False),
    ],
)
async def test_a_virtual_account_ends_with_its_day(now, works):
    """In UTC, to the second, whatever its tokens say of themselves, and for JWTs that stand for it as well."""
    clock = Clock(now)
    manifest = virtual_account(
        expiration_date="2027-01-31", identity_provider_mapping=[{"identity_provider": "okta", "value": "svc"}]
    )
    found = callers(
        stored("v", "virtualaccount:ci"),
        stored("w", "virtualaccount:ci", "tok_2", expires_at=NOON + timedelta(days=99)),
        manifests=[manifest],
        clock=clock,
        identities=Provider(svc=identity("svc", kind="virtual-account")),
    )

    assert [found.find(token) is not None for token in (b"v", b"w")] == [works, works]
    assert (await found.verify(b"eyJ.svc.x") is not None) is works


def test_the_earlier_end_counts():
    clock = Clock()
    found = callers(
        stored("v", "virtualaccount:ci", expires_at=NOON + timedelta(seconds=9)),
        manifests=[virtual_account(expiration_date="2027-01-31")],
        clock=clock,
    )

    clock.now = NOON + timedelta(seconds=9)

    assert found.find(b"v") is None


@pytest.mark.parametrize(
    ("date", "end"),
    [
        ("2027-01-31", datetime(2027, 2, 1, tzinfo=UTC)),
        ("2028-02-29", datetime(2028, 3, 1, tzinfo=UTC)),
        ("9999-12-30", datetime(9999, 12, 31, tzinfo=UTC)),
        ("9999-12-31", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_the_end_of_a_day(date, end):
    """The last day there is, which people write for "never", has an end too: it stopped the gateway from starting."""
    assert end_of(date) == end


@pytest.mark.parametrize("date", ["2027-02-29", "2027-13-01", "0000-01-01", "", "31.01.2027", "2027-01-31T00:00"])
def test_no_day_has_no_end(date):
    with pytest.raises(ValueError, match=r"day|format|year|data remains"):
        end_of(date)


def test_a_token_that_never_ends_by_its_account():
    found = callers(stored("v", "virtualaccount:ci"), manifests=[virtual_account(expiration_date="9999-12-31")])

    assert found.find(b"v") is not None


def test_a_change_is_told_by_itself():
    """A replica reads what is new to it, and not all tokens again."""
    found = callers(stored("a"), stored("b", "user:bob@example.com", "tok_2"))

    found.update([stored("b", "user:bob@example.com", "tok_2", revoked_at=NOON), stored("c", id_="tok_3")])

    assert [found.find(token) is not None for token in (b"a", b"b", b"c")] == [True, False, True]


def test_all_tokens_can_be_told_anew():
    """After a backup was restored, what came later is gone."""
    found = callers(stored("a"), stored("b", id_="tok_2"))

    found.update([stored("a")], are_all=True)

    assert [found.find(token) is not None for token in (b"a", b"b")] == [True, False]


def test_other_grants_count_for_tokens_already_used():
    found = callers(stored("a"), manifests=[team("platform", "ana@example.com")])
    assert found.find(b"a").teams == {"platform"}

    found.grant(access())
    assert found.find(b"a").teams == frozenset()

    found.update([], inactive=["ana@example.com"])
    assert found.find(b"a") is None


def test_a_token_that_was_used_has_an_end_when_it_gets_one():
    """Rotation gives the old one a grace period; nobody waits for a restart."""
    clock = Clock()
    found = callers(stored("a"), clock=clock)
    assert found.find(b"a") is not None

    found.update([stored("a", expires_at=NOON + timedelta(seconds=1))])

    assert found.find(b"a") is not None
    clock.now = NOON + timedelta(seconds=1)
    assert found.find(b"a") is None


def test_users_who_leave_and_come_back():
    """Their tokens with them, as far as nobody revoked them; those of the environment too."""
    found = callers(stored("a"), fixed=[("fixed", Caller("user:ana@example.com"))])
    works = []
    for inactive in ([], ["ana@example.com"], []):
        found.update([], inactive)
        works.append([found.find(token) is not None for token in (b"a", b"fixed")])

    assert works == [[True, True], [False, False], [True, True]]


def test_a_virtual_account_that_is_deleted_takes_its_tokens_along():
    found = callers(stored("v", "virtualaccount:ci"), manifests=[virtual_account()])
    assert found.find(b"v") is not None

    found.grant(access())

    assert found.find(b"v") is None


def test_what_strangers_send_is_not_kept():
    """Else whoever tries tokens one after the other would fill the memory."""
    found = callers(stored("a"))
    before = everything_in(found)

    for number in range(1000):
        found.find(f"guess-{number}".encode())

    assert everything_in(found) == before


def test_notes_which_tokens_were_used():
    clock = Clock()
    found = callers(
        stored("a"),
        stored("b", id_="tok_2"),
        stored("c", id_="tok_3", expires_at=NOON),
        fixed=[("fixed", ADMIN)],
        clock=clock,
    )
    for token in (b"a", b"a", b"c", b"fixed", b"unknown"):
        found.find(token)

    assert found.take_used() == {"tok_1"}
    assert found.take_used() == set()


# --- from identity providers -------------------------------------------------

TEAMS = [
    {
        "type": "team",
        "name": "platform",
        "members": ["ana@example.com"],
        "identity_provider_mapping": [{"identity_provider": "okta", "value": "platform-group"}],
    },
    {
        "type": "team",
        "name": "other",
        "members": [],
        "identity_provider_mapping": [{"identity_provider": "entra", "value": "platform-group"}],
    },
]


async def test_a_jwt_of_a_user():
    """In the teams of the manifests and in those of his claims, of this provider alone."""
    ana, eve = identity("ana@example.com", "unheard-of"), identity("eve@example.com", "platform-group")
    found = callers(manifests=TEAMS, identities=Provider(ana=ana, eve=eve))
    in_platform = frozenset({"platform"})

    assert await found.verify(b"eyJ.ana.x") == Caller(
        "user:ana@example.com", teams=in_platform, credential=Credential.JWT
    )
    assert await found.verify(b"eyJ.eve.x") == Caller(
        "user:eve@example.com", teams=in_platform, credential=Credential.JWT
    )
    assert await found.verify(b"eyJ.bob.x") is None


async def test_a_jwt_of_a_user_who_was_deactivated():
    found = callers(inactive=["ana@example.com"], identities=Provider(ana=identity("ana@example.com")))

    assert await found.verify(b"eyJ.ana.x") is None


async def test_a_jwt_of_a_virtual_account():
    """Which is in no team, whatever its groups are."""
    mapping = [{"identity_provider": "okta", "value": "svc"}]
    found = callers(
        manifests=[*TEAMS, virtual_account(identity_provider_mapping=mapping)],
        identities=Provider(
            svc=identity("svc", "platform-group", kind="virtual-account"),
            group=identity("platform-group", kind="virtual-account"),
            user=identity("svc@example.com", "svc"),
        ),
    )

    assert await found.verify(b"eyJ.svc.x") == Caller("virtualaccount:ci", credential=Credential.JWT)
    assert await found.verify(b"eyJ.group.x") is None
    assert (await found.verify(b"eyJ.user.x")).teams == frozenset()


async def test_only_what_looks_like_a_jwt_is_shown_to_identity_providers():
    provider = Provider()
    found = callers(identities=provider)

    assert await found.verify(b"gwp_0123456789") is None
    assert provider.asked == []


@pytest.mark.parametrize("token", [b"unknown", b"eyJ.unknown.x"])
async def test_nobody_can_say_while_the_database_is_away(token):
    """A token that was made a moment ago must not be refused for good: clients would throw it away."""
    found = callers(identities=Provider(), is_stale=lambda: True)

    with pytest.raises(Unavailable) as raised:
        await found.verify(token)

    assert (raised.value.status, raised.value.retry_after_s) == (503, 1)


async def test_who_is_known_is_known_while_the_database_is_away():
    found = callers(stored("a"), identities=Provider(ana=identity("ana@example.com")), is_stale=lambda: True)

    assert found.find(b"a").subject == "user:ana@example.com"
    assert (await found.verify(b"eyJ.ana.x")).subject == "user:ana@example.com"


# --- what is kept ------------------------------------------------------------


def everything_in(value, seen=None):
    """All that can be reached from an object, as one text."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return ""
    seen.add(id(value))
    inner = [vars(value)] if hasattr(value, "__dict__") else []
    if isinstance(value, dict):
        inner += [*value, *value.values()]
    return repr(value) + "".join(everything_in(each, seen) for each in inner)


def test_only_hashes_are_kept():
    """A dump of the memory of this object, or a traceback with its values, gives no token away; nor the pepper."""
    found = callers(stored("canary-of-ana"), fixed=[("canary-of-admin", ADMIN)])
    found.find(b"canary-of-ana")

    text = everything_in(found)

    assert "user:admin" in text
    assert "user:ana@example.com" in text
    assert "canary" not in text
    assert "a-pepper" not in text


def test_without_a_pepper_each_process_has_its_own():
    """Tokens of the environment need none that lasts: they are hashed anew at each start."""
    digests = {Callers([(Secret(LONG), ADMIN)]).pepper.digest(LONG.encode()) for _ in range(3)}

    assert len(digests) == 3


# --- what is done for somebody later on ---------------------------------------


def later(access_=None, *, inactive=(), fixed=(), clock=None):
    callers = Callers([(Secret(f"{LONG}-{caller.subject}"), caller) for caller in fixed], clock=clock or Clock())
    callers.update([], inactive)
    callers.grant(access_ or access())
    return callers


def test_a_subject_has_what_it_may_now():
    callers = later(access(team("research", "ana@example.com")))

    assert callers.of_subject("user:ana@example.com").teams == {"research"}
    callers.grant(access())
    assert callers.of_subject("user:ana@example.com") == Caller("user:ana@example.com")


def test_whoever_has_left_is_nobody():
    assert later(inactive=["ana@example.com"]).of_subject("user:ana@example.com") is None
    assert later().of_subject("virtualaccount:ci") is None


def test_a_virtual_account_is_somebody_until_it_ends():
    clock = Clock()
    callers = later(access(virtual_account(expiration_date="2027-01-31")), clock=clock)

    assert callers.of_subject("virtualaccount:ci").subject == "virtualaccount:ci"
    clock.now += timedelta(hours=12)
    assert callers.of_subject("virtualaccount:ci") is None


def test_subjects_of_the_environment_stay_what_they_are():
    callers = later(fixed=[ADMIN, Caller("virtualaccount:job")])

    assert callers.of_subject("user:admin") == ADMIN
    assert callers.of_subject("virtualaccount:job") == Caller("virtualaccount:job")


# --- who is still there ----------------------------------------------------------------------------------------------


def test_who_has_a_token_is_there_until_it_ends():
    """For sessions, which are asked for no token again."""
    clock = Clock()
    callers = Callers(pepper=PEPPER, clock=clock)
    callers.update([stored("gwp_a", expires_at=NOON + timedelta(hours=1))])
    caller = callers.find(b"gwp_a")
    assert callers.still(caller) is caller

    clock.now = NOON + timedelta(hours=1)

    assert callers.still(caller) is None


def test_a_token_that_is_revoked_or_whose_user_leaves():
    callers = Callers(pepper=PEPPER, clock=Clock())
    callers.update([stored("gwp_a"), stored("gwp_b", id_="tok_2", subject="user:bo@example.com")])
    ana, bo = callers.find(b"gwp_a"), callers.find(b"gwp_b")

    callers.update([stored("gwp_a", revoked_at=NOON)], ["bo@example.com"])

    assert (callers.still(ana), callers.still(bo)) == (None, None)


def test_what_a_token_may_do_by_now():
    """Other grants are in force, and it is somebody else who has it."""
    callers = Callers(pepper=PEPPER, clock=Clock())
    callers.update([stored("gwp_a")])
    before = callers.find(b"gwp_a")

    callers.grant(access({"type": "team", "name": "platform", "members": ["ana@example.com"]}))

    assert (before.teams, callers.still(before).teams) == (frozenset(), frozenset({"platform"}))


async def test_a_jwt_counts_until_its_user_leaves():
    provider = Provider(ana=identity("ana@example.com"))
    callers = Callers(pepper=PEPPER, clock=Clock(), identities=provider)
    caller = await callers.verify(b"eyJ.ana.x")
    assert callers.still(caller) == caller

    callers.update([], ["ana@example.com"])

    assert callers.still(caller) is None


def test_tokens_of_the_environment_stay():
    callers = Callers([(Secret("fixed"), ADMIN)], pepper=PEPPER)

    assert callers.still(callers.find(b"fixed")) == ADMIN
