"""Which rules fit a call, and what is made of what guardrails say."""

import pytest

from gateway.contract import Caller, Choice, Finding, Hook, Target
from gateway.contract.route import Candidate, Retry, Route, RouteTarget
from gateway.errors import BadRequest
from gateway.providers.demo import Demo
from gateway.rules.guards import (
    NOTHING_CHOSEN,
    Check,
    GuardRule,
    GuardRules,
    checks_by_name,
    checks_of,
    chosen_in,
    refusal,
)
from gateway.rules.limits.rule import Filter

ANA = Caller(subject="user:ana@example.com", teams=frozenset({"backend"}))
APP = Caller(subject="virtualaccount:app")
ANYBODY = (Filter(),)
ANY_MODEL = Filter(frozenset({"*"}))


class Passing:
    hooks = frozenset({Hook.LLM_INPUT})

    def __init__(self, name):
        self.name = name

    async def check(self, subject):
        return Finding()


def target(name):
    return Target(name=name, model="m", model_types=frozenset({"chat"}), provider=Demo())


def choice(name, *targets):
    """A model, with those that it leads to."""
    candidates = tuple(
        Candidate(name=each, account="a", retry=Retry(), route_target=RouteTarget(target(each))) for each in targets
    )
    return Choice(target(name), Route(name, "priority", candidates) if targets else None)


def rule(*names, models=ANY_MODEL, subjects=ANYBODY, metadata=None, message=None, **check):
    checks = tuple(Check(Passing(name), check.get("strategy", "enforce"), check.get("priority", 1)) for name in names)
    return GuardRule(models, subjects, metadata or {}, checks, message)


def fits(rule, choice, caller=ANA, metadata=None):
    rules = GuardRules({Hook.LLM_INPUT: (rule,)})
    return rules.matching(Hook.LLM_INPUT, choice, caller, metadata or {}) == [rule]


@pytest.mark.parametrize(
    ("filter_", "asked", "does_fit"),
    [
        (ANY_MODEL, choice("main/m"), True),
        (Filter(frozenset({"main/*"})), choice("main/m"), True),
        (Filter(frozenset({"main/m"})), choice("main/m"), True),
        (Filter(frozenset({"main/n"})), choice("main/m"), False),
        (Filter(never=frozenset({"main/m"})), choice("main/m"), False),
        (Filter(never=frozenset({"main/*"})), choice("main/m"), False),
        (Filter(never=frozenset({"main/n"})), choice("main/m"), True),
        (Filter(frozenset({"v/m"})), choice("v/m", "main/m"), True),
        (Filter(frozenset({"main/m"})), choice("v/m", "other/m", "main/m"), True),
        (Filter(frozenset({"main/n"})), choice("v/m", "other/m", "main/m"), False),
        (Filter(never=frozenset({"v/m"})), choice("v/m", "main/m"), False),
        (Filter(never=frozenset({"main/m"})), choice("v/m", "main/m"), False),
        (Filter(never=frozenset({"main/m"})), choice("v/m", "main/m", "other/m"), True),
    ],
)
def test_models(filter_, asked, does_fit):
    """A rule for a model is not got around by asking for a virtual one that leads there."""
    assert fits(rule("g", models=filter_), asked) is does_fit


@pytest.mark.parametrize(
    ("subjects", "caller", "does_fit"),
    [
        (ANYBODY, ANA, True),
        (ANYBODY, None, True),
        ((Filter(frozenset({"team:backend"})),), ANA, True),
        ((Filter(frozenset({"team:everyone"})),), ANA, True),
        ((Filter(frozenset({"team:everyone"})),), APP, False),
        ((Filter(frozenset({"team:everyone"})),), None, False),
        ((Filter(frozenset({"team:everyone"}), frozenset({"user:ana@example.com"})),), ANA, False),
        ((Filter(frozenset({"team:frontend"})), Filter(never=frozenset({"virtualaccount:app"}))), ANA, True),
        ((Filter(frozenset({"team:frontend"})), Filter(never=frozenset({"virtualaccount:app"}))), APP, False),
    ],
)
def test_subjects(subjects, caller, does_fit):
    assert fits(rule("g", subjects=subjects), choice("main/m"), caller) is does_fit


@pytest.mark.parametrize(
    ("metadata", "does_fit"), [({}, False), ({"env": "dev"}, False), ({"env": "prod", "more": "1"}, True)]
)
def test_metadata(metadata, does_fit):
    assert fits(rule("g", metadata={"env": "prod"}), choice("main/m"), ANA, metadata) is does_fit


def test_each_hook_has_rules_of_its_own():
    rules = GuardRules({Hook.LLM_OUTPUT: (rule("g"),)})

    assert rules.matching(Hook.LLM_INPUT, choice("main/m"), ANA, {}) == []


def test_guardrails_of_all_rules_are_asked_once_in_their_order():
    rules = [rule("a", priority=2), rule("b", "c"), rule("a", priority=2), rule("d", priority=0)]

    assert [check.guardrail.name for check in checks_of(rules)] == ["d", "b", "c", "a"]


@pytest.mark.parametrize(
    ("strategy", "means"),
    [
        ("enforce", (True, True)),
        ("enforce_but_ignore_on_error", (True, False)),
        ("audit", (False, False)),
    ],
)
def test_strategies(strategy, means):
    check = Check(Passing("g"), strategy)

    assert (check.blocks, check.blocks_on_error) == means


def test_a_refusal():
    text = refusal(Hook.LLM_INPUT, [rule("a"), rule("b")], {"a": "no", "b": "no", "c": "never"})

    assert text == "Input Guardrail checks failed for integrations: [a, b, c]: no; never"


def test_a_refusal_in_the_words_of_a_rule():
    """Of the first that has some and named one that failed. What a guardrail says is no template."""
    rules = [
        rule("a", message="not this one"),
        rule("b"),
        rule("b", "c", message="{{guardrail_message}} ({{failed_guardrails}}, {{other}})"),
        rule("b", message="nor this"),
    ]

    assert (
        refusal(Hook.LLM_INPUT, rules, {"b": "no {{failed_guardrails}}"}) == "no {{failed_guardrails}} (b, {{other}})"
    )


# --- what callers ask for --------------------------------------------------------------------------------------------


def registered(**checks):
    return GuardRules(checks={f"safety/{name}": check for name, check in checks.items()})


def test_what_a_caller_asks_for():
    chosen = chosen_in(b'{"llm_output_guardrails": ["a/b"], "other": 5}')

    assert (chosen.of(Hook.LLM_OUTPUT), chosen.of(Hook.LLM_INPUT)) == (("a/b",), ())
    assert chosen_in(None) is NOTHING_CHOSEN


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"5",
        b'{"llm_input_guardrail": ["a/b"]}',
        b'{"input_guardrails": ["a/b"]}',
        b'{"llm_input_guardrails": "a"}',
        b"\xff",
        b"[" * 5_000,
        b" " * 9_000,
    ],
)
def test_what_cannot_be_asked_for(header):
    with pytest.raises(BadRequest, match="x-tfy-guardrails"):
        chosen_in(header)


def test_guardrails_by_their_names():
    check = Check(Passing("safety/g"), "enforce")
    rules = registered(g=check, none=None)

    assert checks_by_name(rules, Hook.LLM_INPUT, ["safety/g"], lambda _: True) == [check]
    for name, hook, may_use in (
        ("safety/x", Hook.LLM_INPUT, True),
        ("safety/g", Hook.LLM_INPUT, False),
        ("safety/none", Hook.LLM_INPUT, True),
        ("safety/g", Hook.LLM_OUTPUT, True),
    ):
        with pytest.raises(BadRequest, match="guardrail"):
            checks_by_name(rules, hook, [name], lambda _, may=may_use: may)


def test_nothing_registered_is_nothing_to_do():
    assert GuardRules().is_empty
    assert not registered(g=None).is_empty
