"""Nobody can grant more than they hold: by name for each way, and at random against a naive model of who holds what."""

import itertools

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gateway.rules.access import given_away
from gateway.rules.access.delegation import beyond

USE, READ = "provider-account:UseIntegrations", "provider-account:ReadProviderAccount"
MAIN = "provider-account:main"
EVE, ANA, BOB = "user:eve@example.com", "user:ana@example.com", "user:bob@example.com"
ACCESS = "provider-account-access"


def team(name="platform", *members, managers=(), claims=()):
    mapping = [{"identity_provider": "okta", "value": value} for value in claims]
    return {
        "type": "team",
        "name": name,
        "members": list(members),
        "managers": list(managers),
        "identity_provider_mapping": mapping,
    }


def bind(subject, role, resource="tenant", name="b"):
    kind, _, who = subject.partition(":")
    type_, _, fqn = resource.partition(":")
    return {
        "type": "role-binding",
        "name": name,
        "subjects": [{"type": kind, "name": who}],
        "permissions": [{"resourceType": type_, "resourceFqn": fqn or "acme", "role": role}],
    }


def permission(role, resource):
    type_, _, fqn = resource.partition(":")
    return {"resource_type": type_, "resource_fqn": fqn or "acme", "role_id": role}


def virtual(name="ci", *held, claims=(), secret=None):
    data = {
        "type": "virtual-account",
        "name": name,
        "permissions": [permission(*each) for each in held],
        "identity_provider_mapping": [{"identity_provider": "okta", "value": value} for value in claims],
    }
    if secret is not None:
        group, key = secret
        data["secret_store_config"] = {"type": "tfy-secrets", "secret_group": group, "key": key}
    return data


def role(name, *permissions):
    return {"type": "role", "name": name, "permissions": list(permissions)}


def group(name, *collaborators):
    return {
        "type": "secret-group",
        "name": name,
        "collaborators": [{"subject": subject, "role_id": role_id} for subject, role_id in collaborators],
    }


@pytest.fixture(scope="session")
def refused(compiled):
    """`refused(giver, before, after, made)`: what the change would give away."""

    def given(giver, before, after, made=None):
        old, new = compiled(*before)[0], compiled(*after)[0]
        return [(subject, *grant) for subject, grant in given_away(old, new, old.caller(giver), made=made)]

    return given


# --- each way ----------------------------------------------------------------


def test_what_the_giver_holds_can_be_given(refused, account):
    before = [account(collaborators=[(ANA, "provider-account-manager")])]
    after = [account(collaborators=[(ANA, "provider-account-manager"), (EVE, ACCESS)])]

    assert refused(ANA, before, after) == []


def test_nothing_else_can(refused, account):
    """Using is not managing, and one account is not another."""
    before = [account(collaborators=[(ANA, ACCESS)])]
    manager = [account(collaborators=[(ANA, "provider-account-manager")])]
    other = [*before, account("other", collaborators=[(ANA, ACCESS)])]

    assert refused(ANA, before, manager) == [
        (ANA, "provider-account:DeleteProviderAccount", MAIN),
        (ANA, "provider-account:ManageProviderAccount", MAIN),
    ]
    assert refused(ANA, before, other) == [(ANA, READ, "provider-account:other"), (ANA, USE, "provider-account:other")]


def test_on_what_is_made_everything_can_be_given(refused, account):
    """And nowhere else, though it be done in the same manifest."""
    before = [account()]
    after = [account(), account("new", collaborators=[(EVE, "provider-account-manager")], listed=[BOB])]

    assert refused(ANA, before, after, made="provider-account:new") == []
    assert len(refused(ANA, before, after, made="provider-account:ne")) == 4


def test_an_admin_can_give_everything(compiled):
    old = compiled(bind(ANA, "tenant-admin"))[0]
    new = compiled(bind(ANA, "tenant-admin"), bind(EVE, "tenant-admin", name="c"))[0]

    assert given_away(old, new, old.caller(ANA)) == []


def test_taking_away_gives_nothing(refused, account):
    before = [
        team("platform", "bob@example.com"),
        account(collaborators=[("team:platform", ACCESS)]),
        virtual("ci", (ACCESS, MAIN)),
    ]

    for kept in itertools.combinations(before, 2):
        assert refused(EVE, before, kept) == []


@pytest.mark.parametrize(
    ("change", "gains"),
    [
        (bind(EVE, "tenant-admin"), [(EVE, "*", "tenant")]),
        (bind(EVE, "provider-account-access"), [(EVE, READ, "tenant"), (EVE, USE, "tenant")]),
        (bind("team:everyone", ACCESS, MAIN), [("team:everyone", READ, MAIN), ("team:everyone", USE, MAIN)]),
        (virtual("bot", (ACCESS, MAIN)), [("virtualaccount:bot", READ, MAIN), ("virtualaccount:bot", USE, MAIN)]),
        (bind(EVE, "made-later", MAIN), []),
    ],
    ids=["admin", "on the tenant", "everyone", "virtual account", "a role that is not there"],
)  # fmt: skip
def test_roles_are_given_by_bindings_and_permissions(refused, account, change, gains):
    found = refused(ANA, [account()], [account(), change])

    assert [gain for gain in found if gain[0] == gains[0][0]] == gains if gains else found == []


def test_a_role_cannot_grow_beyond_the_giver(refused):
    """Who may change roles could else make everybody of that role an admin of all but the name."""
    before = [role("helper", READ), bind(EVE, "helper"), bind(ANA, "helper", name="c")]
    after = [role("helper", READ, "user:ManageUsers"), *before[1:]]

    assert refused(ANA, before, after) == [(ANA, "user:ManageUsers", "tenant"), (EVE, "user:ManageUsers", "tenant")]


def test_a_role_that_is_made_takes_up_what_was_bound_before(refused):
    """A binding may name a role that is not there yet."""
    before = [bind(EVE, "later")]
    after = [*before, role("later", "user:ManageUsers")]

    assert refused(ANA, before, after, made="role:later") == [(EVE, "user:ManageUsers", "tenant")]


def test_a_new_member_gains_what_the_team_holds(refused, account):
    """A manager of the team who is in it holds that too; one who only manages it does not."""
    shared = account(collaborators=[("team:platform", ACCESS)])
    before = [shared, team("platform", managers=["ana@example.com"]), bind(BOB, "team-manager", "team:platform")]
    after = [shared, team("platform", "eve@example.com", managers=["ana@example.com"]), before[2]]
    himself = [shared, team("platform", "bob@example.com", managers=["ana@example.com"]), before[2]]

    assert refused(ANA, before, after) == []
    assert refused(BOB, before, after) == [(EVE, READ, MAIN), (EVE, USE, MAIN)]
    assert refused(BOB, before, himself) == [(BOB, READ, MAIN), (BOB, USE, MAIN)]


def test_a_team_that_is_made_takes_up_what_was_granted_before(refused, account):
    """A name that was used before may still stand in other manifests."""
    before = [account(collaborators=[("team:gone", ACCESS)])]
    after = [*before, team("gone", "eve@example.com")]

    assert refused(EVE, before, after, made="team:gone") == [(EVE, READ, MAIN), (EVE, USE, MAIN)]


def test_a_claim_that_is_mapped_is_a_grant(refused, account):
    """Whoever has it gains what the team, or the virtual account, holds."""
    shared = account(collaborators=[("team:platform", ACCESS), ("virtualaccount:ci", ACCESS)])
    mapped_team = [shared, team("platform", claims=["all"])]
    mapped_account = [shared, virtual("ci", ("tenant-member", "tenant"), claims=["sub-1"])]

    assert refused(BOB, [shared, team("platform")], mapped_team) == [
        ("claim:okta:all", READ, MAIN),
        ("claim:okta:all", USE, MAIN),
        ("claim:okta:all", "team:ReadTeam", "team:platform"),
    ]
    assert refused(BOB, [shared, virtual("ci", ("tenant-member", "tenant"))], mapped_account) == [
        ("claim:okta:sub-1", READ, MAIN),
        ("claim:okta:sub-1", USE, MAIN),
    ]


def test_a_secret_that_gets_tokens_is_a_grant(refused):
    """Who manages a virtual account that may do more could else have its next token written where he can read it."""
    reader = group("mine", (BOB, "secret-group-manager"))
    manager = bind(BOB, "virtual-account-manager", "virtual-account:ci")
    before = [reader, manager, virtual("ci", (ACCESS, MAIN))]
    after = [reader, manager, virtual("ci", (ACCESS, MAIN), secret=("mine", "k"))]
    harmless = [reader, manager, virtual("ci", ("tenant-member", "tenant"), secret=("mine", "k"))]

    assert refused(BOB, before, after) == [("secret:mine:k", READ, MAIN), ("secret:mine:k", USE, MAIN)]
    assert refused(BOB, before, harmless) == []
    assert refused(BOB, after, before) == []


def test_a_secret_group_into_which_tokens_are_written_is_nobodys_to_make(refused):
    """It is not new: whoever made it would read the tokens."""
    before = [virtual("ci", (ACCESS, MAIN), secret=("vats", "k"))]
    after = [*before, group("vats", (EVE, "secret-group-access"))]

    assert refused(EVE, before, after, made="secret-group:vats") == [
        (EVE, "secret-group:ReadData", "secret-group:vats"),
        (EVE, "secret-group:ReadSecretGroup", "secret-group:vats"),
    ]
    assert refused(EVE, before, [*before, group("vat", (EVE, "secret-group-access"))], made="secret-group:vat") == []


# --- authorized_subjects -----------------------------------------------------


def test_a_new_member_gains_the_models_of_his_team(refused, account):
    """What `authorized_subjects` give to a team is a grant of the team, with collaborators or without."""
    manager = bind(BOB, "team-manager", "team:platform")
    grant = account(listed=["team:platform"])
    narrowed = account(collaborators=[("team:everyone", ACCESS)], listed=["team:platform"])
    before, after = team(), team("platform", "bob@example.com")

    assert refused(BOB, [manager, grant, before], [manager, grant, after]) == [(BOB, USE, "model:main/gpt")]
    assert refused(BOB, [manager, narrowed, before], [manager, narrowed, after]) == [
        (BOB, "model:UseListed", "model:main/gpt")
    ]


def test_who_manages_an_account_and_may_not_use_it_cannot_list_himself(refused, account):
    manages = role("manages", "provider-account:ManageProviderAccount")
    before = [manages, bind(EVE, "manages", MAIN), account(listed=[ANA])]
    after = [*before[:2], account(listed=[ANA, EVE])]

    assert refused(EVE, before, after) == [(EVE, USE, "model:main/gpt")]
    assert refused(EVE, [*before[:2], account()], after) == [(ANA, USE, "model:main/gpt"), (EVE, USE, "model:main/gpt")]


def test_who_may_use_an_account_may_narrow_it_and_not_list_himself(refused, account):
    manager = [(ANA, "provider-account-manager")]
    free, narrowed = account(collaborators=manager), account(collaborators=manager, listed=[BOB])

    assert refused(ANA, [free], [narrowed]) == []
    assert refused(ANA, [narrowed], [account(collaborators=manager, listed=[BOB, ANA])]) == [
        (ANA, "model:UseListed", "model:main/gpt")
    ]


def test_who_may_use_an_account_may_name_those_who_may_use_a_model(refused, account):
    before = [bind(ANA, "provider-account-manager", MAIN), account()]

    assert refused(ANA, before, [before[0], account(listed=[EVE])]) == []


# --- tokens of others --------------------------------------------------------


def test_a_token_of_somebody_else_is_worth_what_he_holds(compiled, account):
    """By himself, by teams, as one of everyone, and by `authorized_subjects`."""
    access, _ = compiled(
        team("platform", "bob@example.com"),
        account(collaborators=[("team:platform", ACCESS)]),
        account("other", listed=[BOB]),
        bind(EVE, ACCESS, MAIN),
        bind(ANA, "tenant-admin", name="c"),
    )

    assert beyond(access, BOB, access.caller(EVE)) == [
        (USE, "model:other/gpt"),
        ("team:ReadTeam", "team:platform"),
    ]
    assert beyond(access, ANA, access.caller(EVE)) == [("*", "tenant")]
    assert beyond(access, "user:new@example.com", access.caller(EVE)) == []
    assert beyond(access, BOB, access.caller(ANA)) == []


# --- at random ---------------------------------------------------------------
# A small tenant, so that things meet often; and who holds what in it, written down once more, without any cleverness.

USERS = ["ana@example.com", "bob@example.com", "eve@example.com"]
TEAMS = ["red", "blue"]
ROBOTS = ["ci", "ops"]
ACCOUNTS = ["main", "spare"]
GROUPS = ["keys", "vats"]
CLAIMS = ["c1", "c2"]
OWN_ROLES = ["helper", "keeper"]
SUBJECTS = [
    *(f"user:{user}" for user in USERS),
    *(f"team:{name}" for name in [*TEAMS, "everyone"]),
    *(f"virtualaccount:{robot}" for robot in ROBOTS),
]
RESOURCES = [
    "tenant",
    *(f"provider-account:{name}" for name in ACCOUNTS),
    *(f"secret-group:{name}" for name in GROUPS),
    *(f"team:{name}" for name in TEAMS),
    *(f"virtual-account:{name}" for name in ROBOTS),
]

HELD_BY_ROLE = {
    "tenant-admin": {"*"},
    "tenant-member": set(),
    "provider-account-manager": {
        "provider-account:ReadProviderAccount",
        "provider-account:ManageProviderAccount",
        "provider-account:DeleteProviderAccount",
        "provider-account:UseIntegrations",
    },
    "provider-account-access": {"provider-account:ReadProviderAccount", "provider-account:UseIntegrations"},
    "secret-group-manager": {
        "secret-group:ReadSecretGroup",
        "secret-group:ManageSecretGroup",
        "secret-group:DeleteSecretGroup",
        "secret-group:ReadData",
        "secret-group:WriteData",
    },
    "secret-group-access": {"secret-group:ReadSecretGroup", "secret-group:ReadData"},
    "team-manager": {"team:ReadTeam", "team:ManageTeam"},
    "virtual-account-manager": {
        "virtual-account:ReadVirtualAccount",
        "virtual-account:ManageVirtualAccount",
        "virtual-account:DeleteVirtualAccount",
    },
}
PERMISSIONS = sorted(set().union(*HELD_BY_ROLE.values()) | {"user:ManageUsers"})

some_role = st.sampled_from([*HELD_BY_ROLE, *OWN_ROLES, "no-such-role"])
some_subject = st.sampled_from(SUBJECTS)
some_claims = st.lists(st.sampled_from(CLAIMS), max_size=1)
some_users = st.lists(st.sampled_from(USERS), max_size=2, unique=True)
# Not often on the tenant: givers who hold everything find nothing refused.
some_resource = st.sampled_from([*RESOURCES, *RESOURCES[1:], *RESOURCES[1:]])
collaborators = st.none() | st.lists(st.tuples(some_subject, some_role), max_size=2)

some_team = st.builds(
    lambda name, members, managers, claims: team(name, *members, managers=managers, claims=claims),
    st.sampled_from(TEAMS), some_users, some_users, some_claims,
)  # fmt: skip
some_own_role = st.builds(
    lambda name, held: role(name, *held),
    st.sampled_from(OWN_ROLES), st.lists(st.sampled_from(PERMISSIONS), max_size=3),
)  # fmt: skip
some_binding = st.builds(
    lambda name, subject, role, resource: bind(subject, role, resource, name),
    st.sampled_from(["b1", "b2", "b3"]), some_subject, some_role, some_resource,
)  # fmt: skip
some_robot = st.builds(
    lambda name, held, claims, secret: virtual(name, *held, claims=claims, secret=secret),
    st.sampled_from(ROBOTS),
    st.lists(st.tuples(some_role, some_resource), min_size=1, max_size=2),
    some_claims,
    st.none() | st.tuples(st.sampled_from(GROUPS), st.sampled_from(["k1", "k2"])),
)
some_group = st.builds(
    lambda name, held: group(name, *(held or ())), st.sampled_from(GROUPS), collaborators
)  # fmt: skip


@st.composite
def some_account(draw):
    models = [
        {"type": "integration/model/openai", "name": name, "model_id": name, "model_types": ["chat"]}
        | ({} if listed is None else {"authorized_subjects": listed})
        for name in draw(st.lists(st.sampled_from(["gpt", "mini"]), unique=True))
        for listed in [draw(st.none() | st.lists(some_subject, max_size=2))]
    ]
    data = {"type": "provider-account/openai", "name": draw(st.sampled_from(ACCOUNTS)), "integrations": models}
    if (held := draw(collaborators)) is not None:
        data["collaborators"] = [{"subject": subject, "role_id": role} for subject, role in held]
    return data


some_manifest = some_team | some_own_role | some_binding | some_binding | some_robot | some_account() | some_group


def by_name(manifests):
    return {(data["type"], data["name"]): data for data in manifests}


class Naive:
    """Who holds what: everything is looked for everywhere."""

    def __init__(self, manifests):
        self.manifests = manifests
        self.grants = {*self.all_grants()}
        self.models = self.all_models()
        self.found = {}

    def of(self, *types):
        return [data for data in self.manifests.values() if data["type"] in types]

    def identities(self, who):
        """Whose grants somebody has. `who`: a subject, a claim, a secret, or a user with a claim (`user:x+claim`)."""
        if who not in self.found:
            self.found[who] = self.look_for_identities(who)
        return self.found[who]

    def look_for_identities(self, who):
        who, _, claim = who.partition("+")
        found = {who}
        if who.startswith("user:"):
            found.add("team:everyone")
            for data in self.of("team"):
                if who.removeprefix("user:") in [*data["members"], *data["managers"]]:
                    found.add(f"team:{data['name']}")
        for name in filter(None, (who, f"claim:{claim}" if claim else "")):
            if name.startswith("claim:"):
                mapping = {"identity_provider": "okta", "value": name.removeprefix("claim:")}
                for data in self.of("team", "virtual-account"):
                    if mapping in data["identity_provider_mapping"]:
                        prefix = "team" if data["type"] == "team" else "virtualaccount"
                        if prefix == "team" or not claim:
                            found.add(f"{prefix}:{data['name']}")
        while True:  # tokens that can be read, as far as that leads
            more = {
                f"virtualaccount:{data['name']}"
                for data in self.of("virtual-account")
                if "secret_store_config" in data
                and self.can_read(data["secret_store_config"]["secret_group"], who, found)
            }
            if more <= found:
                return found
            found |= more

    def can_read(self, group, who, identities):
        return who == f"secret:{group}" or self.granted(identities, "secret-group:ReadData", f"secret-group:{group}")

    def holds(self, who, permission, resource):
        return self.granted(self.identities(who), permission, resource)

    def granted(self, identities, permission, resource):
        return any(
            subject in identities and held in (permission, "*") and on in (resource, "tenant")
            for subject, held, on in self.grants
        )

    def all_grants(self):
        own = {data["name"]: set(data["permissions"]) - {"*"} for data in self.of("role")}

        def held(role, resource):
            permissions = HELD_BY_ROLE.get(role) or own.get(role) or set()
            return set() if "*" in permissions and resource != "tenant" else permissions

        for data in self.of("team"):
            yield f"team:{data['name']}", "team:ReadTeam", f"team:{data['name']}"
            for user in data["managers"]:
                yield f"user:{user}", "team:ManageTeam", f"team:{data['name']}"
        for data in self.of("role-binding"):
            subject, permission = data["subjects"][0], data["permissions"][0]
            on = permission["resourceType"]
            on = on if on == "tenant" else f"{on}:{permission['resourceFqn']}"
            for name in held(permission["role"], on):
                yield f"{subject['type']}:{subject['name']}", name, on
        for data in self.of("virtual-account"):
            for permission in data["permissions"]:
                on = permission["resource_type"]
                on = on if on == "tenant" else f"{on}:{permission['resource_fqn']}"
                for name in held(permission["role_id"], on):
                    yield f"virtualaccount:{data['name']}", name, on
        for data in self.of("provider-account/openai", "secret-group"):
            on = f"{data['type'].partition('/')[0]}:{data['name']}"
            for collaborator in data.get("collaborators") or ():
                for name in held(collaborator["role_id"], on):
                    yield collaborator["subject"], name, on

    def all_models(self):
        """(account, model) -> (whether there are collaborators, who is listed or None)."""
        return {
            (data["name"], model["name"]): ("collaborators" in data, model.get("authorized_subjects"))
            for data in self.of("provider-account/openai")
            for model in data["integrations"]
        }

    def may_call(self, who, account, model):
        """The right to a model that the account gives, or the model where there are no collaborators."""
        has_collaborators, listed = self.models.get((account, model), (True, None))
        if not has_collaborators and not self.identities(who).isdisjoint(listed or ()):
            return True
        return self.holds(who, USE, f"provider-account:{account}")

    def is_let_in(self, who, account, model):
        """Whether the list of a model, if there is one, does not keep somebody out."""
        has_collaborators, listed = self.models.get((account, model), (True, None))
        if not has_collaborators or listed is None or self.granted(self.identities(who), "*", "tenant"):
            return True
        return not self.identities(who).isdisjoint(listed)


EVERYBODY = [
    *SUBJECTS,
    "user:stranger@example.com",
    *(f"claim:{claim}" for claim in CLAIMS),
    *(f"{user}+{claim}" for user in ("user:eve@example.com", "user:stranger@example.com") for claim in CLAIMS),
    *(f"secret:{name}" for name in GROUPS),
]
QUESTIONS = [*itertools.product([*PERMISSIONS, "team:ReadTeam", "team:ManageTeam"], RESOURCES)]


def gained(before, after):
    """(who, right) of all who gained a right; a right is a function of the state and of somebody."""
    models = after.models
    # A model whose list was taken away as a whole is for the control API to look at: that is no grant to anybody.
    opened = {
        place
        for place, (has, listed) in before.models.items()
        if has and listed is not None and place in models and (not models[place][0] or models[place][1] is None)
    }
    for who in EVERYBODY:
        for permission, resource in QUESTIONS:
            if after.holds(who, permission, resource) and not before.holds(who, permission, resource):
                yield who, resource, lambda state, giver, p=permission, r=resource: state.holds(giver, p, r)
        for account, model in models:
            made = f"provider-account:{account}"
            if after.may_call(who, account, model) and not before.may_call(who, account, model):
                yield who, made, lambda state, giver, a=account, m=model: state.may_call(giver, a, m)
            if (account, model) in opened:
                continue
            if after.is_let_in(who, account, model) and not before.is_let_in(who, account, model):
                yield who, made, lambda state, giver, a=account, m=model: state.is_let_in(giver, a, m)


def changed(manifests, change, is_deletion):
    key = (change["type"], change["name"])
    after = {name: data for name, data in manifests.items() if name != key}
    if not is_deletion:
        after[key] = change
    made = None if is_deletion or key in manifests else f"{key[0].partition('/')[0]}:{key[1]}"
    return after, made


@settings(max_examples=400)
@given(
    st.lists(some_manifest, max_size=9).map(by_name),
    st.lists(some_manifest, min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from([*SUBJECTS[:3], *SUBJECTS[-2:]]),
    some_claims,
)
def test_whatever_anybody_gains_the_giver_held(compiled, manifests, changes, is_deletion, giver, claims):
    """For any tenant and any change: by collaborators, roles, bindings, members, claims, tokens in secrets, lists."""
    for change in changes:
        after, made = changed(manifests, change, is_deletion)
        old, new = compiled(*manifests.values())[0], compiled(*after.values())[0]
        mapped = [name for claim in claims for name in old.mapped.get(f"claim:okta:{claim}", ())]
        teams = [name.removeprefix("team:") for name in mapped if name.startswith("team:")]
        caller = old.caller(giver, more_teams=teams)
        who_gives = f"{giver}+{claims[0]}" if claims and giver.startswith("user:") else giver
        if caller.is_admin or given_away(old, new, caller, made=made):
            event("refused, or by an admin")
            continue
        before, now = Naive(manifests), Naive(after)
        gains = [*gained(before, now)]
        event("accepted, and somebody gained" if gains else "accepted, and nobody gained")

        beyond_giver = [who for who, on, is_held in gains if on != made and not is_held(before, who_gives)]

        assert beyond_giver == []
        manifests = after


@settings(max_examples=200)
@given(
    st.lists(some_manifest, max_size=9).map(by_name), some_manifest, st.booleans(), st.sampled_from(SUBJECTS[:3])
)  # fmt: skip
def test_what_is_refused_is_a_gain_that_the_giver_lacks(compiled, manifests, change, is_deletion, giver):
    """No change is refused for nothing."""
    after, made = changed(manifests, change, is_deletion)
    old, new = compiled(*manifests.values())[0], compiled(*after.values())[0]
    caller = old.caller(giver)
    before, now = Naive(manifests), Naive(after)

    for subject, (permission, resource) in given_away(old, new, caller, made=made):
        assert not old.holds(caller, permission, resource)
        if not resource.startswith("model:"):
            assert not before.granted(caller.subjects, permission, resource)
        if subject.startswith(("user:", "team:", "virtualaccount:")) and not resource.startswith("model:"):
            assert (now.holds(subject, permission, resource), before.granted({subject}, permission, resource)) == (
                True,
                False,
            )


@settings(max_examples=100)
@given(
    st.lists(some_manifest, max_size=6).map(by_name),
    st.lists(st.lists(st.tuples(some_role, some_resource), min_size=1, max_size=2), min_size=1, max_size=4),
    st.lists(st.tuples(some_role, some_resource), min_size=1, max_size=3),
)
def test_a_child_never_holds_more_than_its_parent(compiled, manifests, children, held):
    """Each makes the next, and none of the line gets beyond the first."""
    manifests |= by_name([virtual("child-0", *held)])
    access = compiled(*manifests.values())[0]
    first = access.caller("virtualaccount:child-0")
    for number, wanted in enumerate(children, 1):
        parent = access.caller(f"virtualaccount:child-{number - 1}")
        manifests = manifests | by_name([virtual(f"child-{number}", *wanted)])
        after = compiled(*manifests.values())[0]
        if given_away(access, after, parent, made=f"virtual-account:child-{number}"):
            event("refused")
            return
        event("accepted")

        for grant in after.effective(f"virtualaccount:child-{number}"):
            assert access.holds(parent, *grant)
            assert access.holds(first, *grant)
        access = after


@settings(max_examples=200)
@given(st.lists(some_manifest, max_size=9).map(by_name), some_subject, st.sampled_from(SUBJECTS[:3]))
def test_a_token_never_holds_more_than_who_makes_it(compiled, manifests, subject, giver):
    access = compiled(*manifests.values())[0]
    if beyond(access, subject, access.caller(giver)):
        return
    naive = Naive(manifests)

    for permission, resource in QUESTIONS:
        assert naive.holds(giver, permission, resource) or not naive.holds(subject, permission, resource)
    for account, model in naive.models:
        assert naive.may_call(giver, account, model) or not naive.may_call(subject, account, model)
        assert naive.is_let_in(giver, account, model) or not naive.is_let_in(subject, account, model)
