"""What a request draws on: who and what a rule is about, whom it tells apart, and which rule decides."""

import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract import Caller
from gateway.contract.limits import Mode
from gateway.rules.limits import Policies, policy_of
from gateway.rules.limits.policies import MAX_REMEMBERED

ANA = Caller("user:ana@example.com", teams=frozenset({"backend", "research"}), token_id="t1")
BOB = Caller("user:bob@example.com")
APP = Caller("virtualaccount:app", token_id="t2")
CALLERS = {"ana": ANA, "bob": BOB, "app": APP}
GPT_4O = ("openai-main/gpt-4o",)


def rules(*fields):
    """Of the first generation; each is named r0, r1, ..."""
    these = [
        {"id": f"r{number}", "limit_to": 5, "unit": "requests_per_minute", **each} for number, each in enumerate(fields)
    ]
    return json.dumps({"type": "gateway-rate-limiting-config", "rules": these})


def budget_rules(*fields):
    these = [{"id": f"b{number}", "limit_to": 5, "unit": "cost_per_day", **each} for number, each in enumerate(fields)]
    return json.dumps({"type": "gateway-budget-config", "rules": these})


def rate_limit(name="limit", **fields):
    limits = {"requests_per_minute": 5}
    return json.dumps({"type": "tenant-rate-limit-config/model", "name": name, "limits": limits, **fields})


def yaml(*texts):
    return "\n---\n".join(texts)


def drawn(holds):
    return [(hold.rule, hold.scope, hold.mode) for hold in holds]


def names(holds):
    return [hold.rule for hold in holds]


# --- whom and what a rule is about -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({}, {"ana", "bob", "app"}),
        ({"subjects": []}, {"ana", "bob", "app"}),
        ({"subjects": ["*"]}, {"ana", "bob", "app"}),
        ({"subjects": ["team:nobody", "*"]}, {"ana", "bob", "app"}),
        ({"subjects": ["user:ANA@example.com"]}, {"ana"}),
        ({"subjects": ["team:backend", "virtual-account:app"]}, {"ana", "app"}),
        ({"subjects": ["team:everyone"]}, {"ana", "bob"}),
        ({"subjects": ["nonsense"]}, set()),
        ({"models": []}, {"ana", "bob", "app"}),
        ({"models": ["*"]}, {"ana", "bob", "app"}),
        ({"models": ["azure-eu/gpt-4o", "openai-main/gpt-4o"]}, {"ana", "bob", "app"}),
        ({"models": ["openai-main/*"]}, {"ana", "bob", "app"}),
        ({"models": ["azure-eu/*"]}, set()),
        ({"metadata": {"env": "prod"}}, {"ana", "bob", "app"}),
        ({"metadata": {"env": "*"}}, {"ana", "bob", "app"}),
        ({"metadata": {"env": "prod", "app": "bot"}}, set()),
        ({"metadata": {"env": "test"}}, set()),
        (
            {"subjects": ["user:bob@example.com"], "models": ["openai-main/gpt-4o"], "metadata": {"env": "prod"}},
            {"bob"},
        ),
    ],
)
def test_when_of_the_first_generation(compiled, when, fits):
    policies = compiled(rules({"when": when})).policies

    assert {name for name, caller in CALLERS.items() if policies.holds(caller, GPT_4O, {"env": "prod"})} == fits


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({"subjects": {"users": {"in": ["*"]}}}, {"ana", "bob"}),
        ({"subjects": {"users": {"in": ["Ana@example.com", "user:bob@example.com"]}}}, {"ana", "bob"}),
        ({"subjects": {"users": {"not_in": ["ana@example.com"]}}}, {"bob", "app"}),
        ({"subjects": {"users": {"not_in": ["*"]}}}, {"app"}),
        ({"subjects": {"teams": {"in": ["research"]}}}, {"ana"}),
        ({"subjects": {"teams": {"in": ["*"]}}}, {"ana"}),
        ({"subjects": {"teams": {"in": ["everyone"]}}}, {"ana", "bob"}),
        ({"subjects": {"teams": {"not_in": ["team:backend"]}}}, {"bob", "app"}),
        ({"subjects": {"teams": {"in": ["backend"], "not_in": ["research"]}}}, set()),
        ({"subjects": {"virtual_accounts": {"in": ["app"]}}}, {"app"}),
        ({"subjects": {"virtual_accounts": {"in": ["*"]}, "teams": {"in": ["backend"]}}}, {"ana", "app"}),
        ({"subjects": {"virtual_accounts": {"not_in": ["*"]}}}, {"ana", "bob"}),
        ({"subjects": {"users": {"in": ["a b"]}}}, set()),
        ({"models": {"in": []}}, {"ana", "bob", "app"}),
        ({"models": {"in": ["prod/chat"]}}, set()),
        ({"models": {"not_in": ["openai-main/gpt-4o"]}}, set()),
        ({"models": {"not_in": ["*"]}}, set()),
        ({"models": {"not_in": ["openai-main/*"]}}, set()),
        ({"provider_accounts": {"in": ["openai-main"]}}, {"ana", "bob", "app"}),
        ({"provider_accounts": {"in": ["openai"]}}, set()),
        ({"provider_accounts": {"not_in": ["openai-main"]}}, set()),
        ({"metadata": {"env": {"in": ["prod", "test"]}}}, {"ana", "bob", "app"}),
        ({"metadata": {"env": {"not_in": ["prod"]}}}, set()),
        ({"metadata": {"none": {"in": ["*"]}}}, {"ana", "bob", "app"}),
        ({"metadata": {"none": {"not_in": ["*"]}}}, {"ana", "bob", "app"}),
        ({"metadata": {"env": {"not_in": ["*"]}}}, set()),
        ({"metadata": {"env": {"in": ["prod"]}, "none": {"in": ["x"]}}}, set()),
    ],
)
def test_when_of_the_second_generation(compiled, when, fits):
    policies = compiled(rate_limit(when=when)).policies

    assert {name for name, caller in CALLERS.items() if policies.holds(caller, GPT_4O, {"env": "prod"})} == fits


# --- whom it tells apart ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per", "scopes"),
    [
        ([], {"ana": [""], "bob": [""], "app": [""]}),
        (["user"], {"ana": ["user:ana@example.com"], "bob": ["user:bob@example.com"], "app": []}),
        (["virtualaccount"], {"ana": [], "bob": [], "app": ["virtualaccount:app"]}),
        (["team"], {"ana": ["team:backend", "team:research"], "bob": [], "app": []}),
        (["token"], {"ana": ["token:t1"], "bob": [], "app": ["token:t2"]}),
        (["model"], {name: ["model:openai-main/gpt-4o"] for name in CALLERS}),
        (["metadata.env"], {name: ["metadata.env:prod"] for name in CALLERS}),
        (["metadata.none"], {name: [] for name in CALLERS}),
        (
            ["team", "metadata.env"],
            {"ana": ["team:backend, metadata.env:prod", "team:research, metadata.env:prod"], "bob": [], "app": []},
        ),
        (["user", "virtualaccount"], {name: [] for name in CALLERS}),
    ],
)
def test_scopes(compiled, per, scopes):
    policies = compiled(rules({"rate_limit_applies_per": per})).policies

    found = {name: policies.holds(caller, GPT_4O, {"env": "prod"}) for name, caller in CALLERS.items()}

    assert {name: [hold.scope for hold in holds] for name, holds in found.items()} == scopes
    assert all(len({hold.key for hold in holds}) == len(holds) for holds in found.values())


@pytest.mark.parametrize(
    ("applies_to", "scopes"),
    [
        ("aggregate", [""]),
        ("per-user", ["user:ana@example.com"]),
        ("per-virtual-account", []),
        ("per-team", ["team:backend", "team:research"]),
        ("per-token", ["token:t1"]),
        ("per-model", ["model:openai-main/gpt-4o"]),
    ],
)
def test_what_it_applies_to(policies_of, applies_to, scopes):
    policies = policies_of(rate_limit(applies_to={"type": applies_to}))

    assert [hold.scope for hold in policies.holds(ANA, GPT_4O, {})] == scopes


# --- which rule decides ----------------------------------------------------------------------------------------------


def test_of_the_first_generation_the_first_that_fits_decides(policies_of):
    """And all the others that fit count."""
    policies = policies_of(
        rules(
            {"when": {"subjects": ["user:bob@example.com"]}},
            {"rate_limit_applies_per": ["virtualaccount"]},
            {"rate_limit_applies_per": ["team"]},
            {"when": {"models": ["prod/chat"]}},
            {},
        )
    )

    assert drawn(policies.holds(ANA, GPT_4O, {})) == [
        ("r2", "team:backend", Mode.ENFORCE),
        ("r2", "team:research", Mode.ENFORCE),
        ("r4", "", Mode.COUNT),
    ]
    assert drawn(policies.holds(BOB, GPT_4O, {})) == [("r0", "", Mode.ENFORCE), ("r4", "", Mode.COUNT)]
    assert drawn(policies.holds(APP, GPT_4O, {})) == [
        ("r1", "virtualaccount:app", Mode.ENFORCE),
        ("r4", "", Mode.COUNT),
    ]


def test_in_a_long_list_the_order_stays(policies_of):
    """Rules are found by what they are about, and not one after the other."""
    others = {"when": {"subjects": ["user:bob@example.com"]}}
    fit = {"when": {"subjects": ["team:backend"]}}
    policies = policies_of(rules(others, fit, *[others] * 6, {"when": {"models": [*GPT_4O]}}, *[others] * 7, fit))

    assert drawn(policies.holds(ANA, GPT_4O, {})) == [
        ("r1", "", Mode.ENFORCE),
        ("r8", "", Mode.COUNT),
        ("r16", "", Mode.COUNT),
    ]


def test_of_several_manifests_the_first_that_stands_there(policies_of):
    first, second = (
        text.replace('"rules"', f'"name": "{name}", "rules"') for name, text in [("z", rules({})), ("a", rules({}))]
    )

    holds = policies_of(yaml(first, second)).holds(BOB, GPT_4O, {})

    assert [(hold.key, hold.mode) for hold in holds] == [
        ("gateway-rate-limiting-config|z|r0#requests/minute", Mode.ENFORCE),
        ("gateway-rate-limiting-config|a|r0#requests/minute", Mode.COUNT),
    ]


def test_limits_do_not_decide_for_budgets(policies_of):
    policies = policies_of(yaml(budget_rules({}, {}), rules({}, {})))

    assert drawn(policies.holds(BOB, GPT_4O, {})) == [
        ("r0", "", Mode.ENFORCE),
        ("r1", "", Mode.COUNT),
        ("b0", "", Mode.ENFORCE),
        ("b1", "", Mode.COUNT),
    ]


def test_a_budget_that_is_only_watched_decides_too(policies_of):
    """It decides to let everything pass."""
    policies = policies_of(budget_rules({"audit_mode": True}, {}, {"audit_mode": True}))

    assert drawn(policies.holds(BOB, GPT_4O, {})) == [
        ("b0", "", Mode.AUDIT),
        ("b1", "", Mode.COUNT),
        ("b2", "", Mode.COUNT),
    ]


def test_of_the_second_generation_each_decides(policies_of):
    policies = policies_of(yaml(rules({}, {}), rate_limit("x"), rate_limit("y", mode="audit"), rate_limit("z")))

    assert drawn(policies.holds(BOB, GPT_4O, {})) == [
        ("r0", "", Mode.ENFORCE),
        ("r1", "", Mode.COUNT),
        ("x", "", Mode.ENFORCE),
        ("y", "", Mode.AUDIT),
        ("z", "", Mode.ENFORCE),
    ]


# --- a model that leads to others ------------------------------------------------------------------------------------


def routed(policies, target="openai-main/gpt-4o", caller=ANA, asked="prod/chat", metadata=None):
    """What is held in front of dispatch, and what besides for the target."""
    first = policies.holds(caller, (asked,), metadata or {}, is_final=False)
    return first, policies.more_holds(caller, asked, target, metadata or {}, first)


def test_rules_for_a_virtual_model_and_for_its_target_both_decide(policies_of):
    """Else a limit on a model could be passed by asking for another name of it."""
    when = [{"when": {"models": [model]}} for model in ("prod/chat", "openai-main/gpt-4o", "azure-eu/gpt-4o")]

    first, more = routed(policies_of(rules(*when)))

    assert drawn(first) == [("r0", "", Mode.ENFORCE)]
    assert drawn(more) == [("r1", "", Mode.ENFORCE)]


def test_what_does_not_look_at_models_is_held_once(policies_of):
    policies = policies_of(yaml(rules({}, {"rate_limit_applies_per": ["user"]}), rate_limit()))

    first, more = routed(policies)

    assert drawn(first) == [
        ("r0", "", Mode.ENFORCE),
        ("r1", "user:ana@example.com", Mode.COUNT),
        ("limit", "", Mode.ENFORCE),
    ]
    assert more == ()
    assert not policies.looks_at_models


def test_an_exception_for_a_virtual_model_stays_one(policies_of):
    """A rule that only counts, because one before it decided, is not enforced when it is looked at again."""
    first, more = routed(policies_of(rules({"when": {"models": ["prod/chat"]}}, {})))

    assert drawn(first) == [("r0", "", Mode.ENFORCE), ("r1", "", Mode.COUNT)]
    assert more == ()


@pytest.mark.parametrize(
    "text", [rules({"rate_limit_applies_per": ["model"]}), rate_limit("r0", applies_to={"type": "per-model"})]
)
def test_per_model_is_per_name(policies_of, text):
    first, more = routed(policies_of(text))

    assert drawn(first) == [("r0", "model:prod/chat", Mode.ENFORCE)]
    assert drawn(more) == [("r0", "model:openai-main/gpt-4o", Mode.ENFORCE)]


def test_per_model_is_about_the_models_it_names(policies_of):
    when = {"models": {"in": ["openai-main/gpt-4o"]}}

    first, more = routed(policies_of(rate_limit(when=when, applies_to={"type": "per-model"})))

    assert first == ()
    assert drawn(more) == [("limit", "model:openai-main/gpt-4o", Mode.ENFORCE)]


@pytest.mark.parametrize(
    ("when", "openai", "azure"),
    [
        ({"provider_accounts": {"not_in": ["azure-eu"]}}, ["limit"], []),
        ({"models": {"not_in": ["azure-eu/gpt-4o"]}}, ["limit"], []),
        ({"models": {"in": ["prod/chat"]}, "provider_accounts": {"not_in": ["azure-eu"]}}, ["limit"], []),
        ({"models": {"in": ["prod/chat"]}, "provider_accounts": {"in": ["azure-eu"]}}, [], ["limit"]),
        ({"provider_accounts": {"in": ["openai-main"]}}, ["limit"], []),
        ({"provider_accounts": {"not_in": ["prod"]}}, [], []),
        ({"models": {"not_in": ["prod/chat"]}}, [], []),
    ],
)
def test_exclusions_wait_for_the_target(compiled, when, openai, azure):
    """A budget for all but one account is not charged with what that account answered, whatever it was asked as."""
    policies = compiled(rate_limit(when=when)).policies

    found = {target: routed(policies, f"{target}/gpt-4o") for target in ("openai-main", "azure-eu")}

    assert {target: names(first) for target, (first, _) in found.items()} == {"openai-main": [], "azure-eu": []}
    assert names(found["openai-main"][1]) == openai
    assert names(found["azure-eu"][1]) == azure


def test_one_target_after_the_other(policies_of):
    """When the first fails the next is asked, and what both draw on is held once."""
    policies = policies_of(
        yaml(rules({"rate_limit_applies_per": ["model"]}), rate_limit(when={"models": {"in": ["prod/*"]}}))
    )
    first, more = routed(policies, "azure-eu/gpt-4o")

    held = [*first, *more]
    again = policies.more_holds(ANA, "prod/chat", "azure-eu/gpt-4o", {}, held)
    other = policies.more_holds(ANA, "prod/chat", "openai-main/gpt-4o", {}, held)

    assert drawn(held) == [
        ("r0", "model:prod/chat", Mode.ENFORCE),
        ("limit", "", Mode.ENFORCE),
        ("r0", "model:azure-eu/gpt-4o", Mode.ENFORCE),
    ]
    assert again == ()
    assert drawn(other) == [("r0", "model:openai-main/gpt-4o", Mode.ENFORCE)]


def test_a_model_that_leads_to_itself(policies_of):
    """As one does that a rule for routing may send elsewhere."""
    policies = policies_of(
        yaml(
            rules({"rate_limit_applies_per": ["model"]}),
            rate_limit(when={"models": {"not_in": ["azure-eu/gpt-4o"]}}, applies_to={"type": "per-model"}),
        )
    )

    first, more = routed(policies, asked="openai-main/gpt-4o")

    assert drawn(first) == [("r0", "model:openai-main/gpt-4o", Mode.ENFORCE)]
    assert drawn(more) == [("limit", "model:openai-main/gpt-4o", Mode.ENFORCE)]


# --- what is remembered ----------------------------------------------------------------------------------------------


def test_no_policies():
    policies = Policies()

    assert policies.is_empty
    assert policies.holds(ANA, GPT_4O, {"a": "b"}) == ()
    assert policies.more_holds(ANA, "prod/chat", "openai-main/gpt-4o", {}, ()) == ()


def test_the_same_request_again_gives_the_same_holds(policies_of):
    """Not made anew: this is asked for every request."""
    policies = policies_of(rules({"rate_limit_applies_per": ["user"]}))
    first = policies.holds(ANA, GPT_4O, {"trace": "1"})

    assert policies.holds(Caller(ANA.subject, teams=ANA.teams, token_id="t1"), GPT_4O, {"trace": "2"}) is first


def test_who_is_in_another_team_now_is_asked_about_anew(policies_of):
    policies = policies_of(rules({"when": {"subjects": ["team:backend"]}}))
    moved = Caller(ANA.subject, teams=frozenset({"sales"}), token_id=ANA.token_id)

    assert drawn(policies.holds(ANA, GPT_4O, {})) == [("r0", "", Mode.ENFORCE)]
    assert policies.holds(moved, GPT_4O, {}) == ()


def test_another_token_counts_for_itself(policies_of):
    policies = policies_of(rate_limit(applies_to={"type": "per-token"}))
    other = Caller(ANA.subject, teams=ANA.teams, token_id="t9")

    assert [policies.holds(caller, GPT_4O, {})[0].scope for caller in (ANA, other)] == ["token:t1", "token:t9"]


def test_a_key_that_is_empty_is_not_one_that_is_missing(policies_of):
    policies = policies_of(rules({"rate_limit_applies_per": ["metadata.app"]}))

    assert policies.holds(ANA, GPT_4O, {}) == ()
    assert [hold.scope for hold in policies.holds(ANA, GPT_4O, {"app": ""})] == ["metadata.app:"]


def test_more_requests_than_are_remembered(policies_of):
    """Whoever sends a new value each time gets right answers, and no more memory."""
    policies = policies_of(rules({"rate_limit_applies_per": ["metadata.app"]}))

    first = policies.holds(BOB, GPT_4O, {"app": "0"})

    found = {policies.holds(BOB, GPT_4O, {"app": str(number)})[0].scope for number in range(MAX_REMEMBERED)}

    assert len(found) == MAX_REMEMBERED
    assert policies.holds(BOB, GPT_4O, {"app": "0"}) == first
    assert policies.holds(BOB, GPT_4O, {"app": "0"}) is not first  # so it had been forgotten


def test_long_values_are_matched_each_time(policies_of):
    policies = policies_of(rules({"rate_limit_applies_per": ["metadata.app"]}))
    long = {"app": "x" * 10_000}

    first, second = policies.holds(BOB, GPT_4O, long), policies.holds(BOB, GPT_4O, long)

    assert first == second
    assert first is not second
    assert len(first[0].key) < 200


# --- against a simple model ------------------------------------------------------------------------------------------

WHO = st.sampled_from(
    [
        ANA,
        BOB,
        APP,
        Caller("user:ana@example.com", teams=frozenset({"backend"})),
        Caller("virtualaccount:lab", teams=frozenset({"research"})),
    ]
)
MODEL = st.sampled_from(["openai-main/gpt-4o", "azure-eu/gpt-4o", "prod/chat"])
METADATA = st.dictionaries(st.sampled_from(["env", "app"]), st.sampled_from(["prod", "test"]))
SUBJECT = st.sampled_from(
    ["user:ana@example.com", "team:backend", "team:research", "virtualaccount:app", "team:everyone"]
)
SCOPE = st.sampled_from(["user", "virtualaccount", "team", "token", "model", "metadata.env"])
RULE = st.fixed_dictionaries(
    {
        "when": st.fixed_dictionaries(
            {},
            optional={
                "subjects": st.lists(SUBJECT, max_size=2),
                "models": st.lists(MODEL, max_size=2),
                "metadata": METADATA,
            },
        ),
        "rate_limit_applies_per": st.lists(SCOPE, max_size=2, unique=True),
    }
)


def selection(values):
    listed = st.lists(st.sampled_from(values), max_size=2)
    return st.fixed_dictionaries({"in": listed, "not_in": listed})


LIMIT = st.fixed_dictionaries(
    {
        "when": st.fixed_dictionaries(
            {
                "subjects": st.fixed_dictionaries(
                    {
                        "users": selection(["ana@example.com", "bob@example.com"]),
                        "teams": selection(["backend", "research"]),
                        "virtual_accounts": selection(["app", "lab"]),
                    }
                ),
                "models": selection(["openai-main/gpt-4o", "azure-eu/gpt-4o", "prod/chat"]),
                "provider_accounts": selection(["openai-main", "azure-eu", "prod"]),
                "metadata": st.fixed_dictionaries({}, optional={"env": selection(["prod", "test"])}),
            }
        ),
        "applies_to": st.sampled_from(
            ["aggregate", "per-user", "per-virtual-account", "per-team", "per-token", "per-model"]
        ).map(lambda type_: {"type": type_}),
        "mode": st.sampled_from(["enforce", "audit"]),
    }
)
ACCOUNTS = yaml(
    *(
        f"{{type: provider-account/demo, name: {name}, integrations: []}}"
        for name in ("openai-main", "azure-eu", "prod")
    )
)


def simple_names(scope, caller, models, metadata):
    kind, _, name = caller.subject.partition(":")
    if scope in ("user", "virtualaccount"):
        return [name] if kind == scope else []
    if scope == "team":
        return sorted(caller.teams)
    if scope == "token":
        return [caller.token_id] if caller.token_id else []
    if scope == "model":
        return models
    return [metadata["env"]] if "env" in metadata else []


def simple_scopes(scopes, caller, models, metadata):
    combinations = product(
        *([f"{scope}:{name}" for name in simple_names(scope, caller, models, metadata)] for scope in scopes)
    )
    return [", ".join(combination) for combination in combinations]


def simple_first_generation(these, caller, model, metadata):
    """All rules in turn, each looked at with one name of the model."""
    is_decided = False
    for number, rule in enumerate(these):
        when = rule["when"]
        fits = (
            (not when.get("subjects") or any(subject in caller.subjects for subject in when["subjects"]))
            and (not when.get("models") or model in when["models"])
            and all(metadata.get(key) == value for key, value in when.get("metadata", {}).items())
        )
        scopes = simple_scopes(rule["rate_limit_applies_per"], caller, [model], metadata) if fits else []
        for scope in scopes:
            yield f"r{number}", scope, Mode.COUNT if is_decided else Mode.ENFORCE
        is_decided = is_decided or bool(scopes)


def simple_second_generation(limits, caller, models, metadata):
    """All limits in turn, each looked at with all names of the model."""
    kind, _, own = caller.subject.partition(":")
    accounts = [model.split("/")[0] for model in models]
    mine = {
        "users": [own] if kind == "user" else [],
        "teams": [*caller.teams],
        "virtual_accounts": [own] if kind == "virtualaccount" else [],
    }
    for number, limit in enumerate(limits):
        when = limit["when"]
        subjects = when["subjects"]
        is_in = [name in subjects[field]["in"] for field, named in mine.items() for name in named]
        asks = any(subjects[field]["in"] for field in mine)
        excluded = any(name in subjects[field]["not_in"] for field, named in mine.items() for name in named)
        fits = (any(is_in) or not asks) and not excluded
        for field, values in (("models", models), ("provider_accounts", accounts)):
            wanted, unwanted = when[field]["in"], when[field]["not_in"]
            fits = fits and (not wanted or any(value in wanted for value in values))
            fits = fits and not any(value in unwanted for value in values)
        for key, listed in when["metadata"].items():
            fits = fits and (not listed["in"] or metadata.get(key) in listed["in"])
            fits = fits and metadata.get(key) not in listed["not_in"]
        named = [model for model in models if not when["models"]["in"] or model in when["models"]["in"]]
        scope = limit["applies_to"]["type"].removeprefix("per-").replace("-", "")
        scopes = [] if scope == "aggregate" else [scope]
        for text in simple_scopes(scopes, caller, named, metadata) if fits else []:
            yield f"l{number}", text, Mode(limit["mode"])


@settings(max_examples=150)
@given(st.lists(RULE, max_size=4), st.lists(LIMIT, max_size=3), WHO, MODEL, METADATA)
def test_as_the_simple_model_has_it(policies_of, these, limits, caller, model, metadata):
    """Both generations, for a model that was named directly."""
    policies = policies_of(
        yaml(ACCOUNTS, rules(*these), *(rate_limit(f"l{n}", **each) for n, each in enumerate(limits)))
    )

    found = drawn(policies.holds(caller, (model,), metadata))

    assert found == [
        *simple_first_generation(these, caller, model, metadata),
        *simple_second_generation(limits, caller, [model], metadata),
    ]


@settings(max_examples=150)
@given(st.lists(RULE, max_size=4), st.lists(LIMIT, max_size=3), WHO, MODEL, METADATA)
def test_as_the_simple_model_has_it_for_a_model_that_leads_to_others(
    policies_of, these, limits, caller, target, metadata
):
    """Whatever the target turns out to be, in the end all is held that has to be, and nothing twice."""
    policies = policies_of(
        yaml(ACCOUNTS, rules(*these), *(rate_limit(f"l{n}", **each) for n, each in enumerate(limits)))
    )

    first, more = routed(policies, target, caller, "prod/chat", metadata)

    asked = [*simple_first_generation(these, caller, "prod/chat", metadata)]
    counters = {(rule, scope) for rule, scope, _ in asked}
    chosen = [each for each in simple_first_generation(these, caller, target, metadata) if each[:2] not in counters]
    models = [*dict.fromkeys(["prod/chat", target])]
    both = [*simple_second_generation(limits, caller, models, metadata)]
    assert [each for each in drawn(first) if each[0][0] == "r"] == asked
    assert [each for each in drawn(more) if each[0][0] == "r"] == chosen
    assert sorted(each for each in drawn([*first, *more]) if each[0][0] == "l") == sorted(both)
    assert len({hold.key for hold in [*first, *more]}) == len([*first, *more])
    assert all(policy_of(hold.key) in {rule.policy for rule in policies.rules} for hold in [*first, *more])
