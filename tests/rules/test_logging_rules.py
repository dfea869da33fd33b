"""What of a request is written down, and what is made unreadable before."""

import re
from datetime import UTC, datetime

import pytest

from gateway.contract import Caller, Choice, Outcome, Record, Target
from gateway.rules.limits.rule import Filter
from gateway.rules.logging import PRESETS, Destination, LoggingRule, LoggingRules, Redaction

ANA = Caller(subject="user:ana@example.com", teams=frozenset({"hr"}))
EMAIL = Redaction(((re.compile(PRESETS["email"]), "[REDACTED]"),))
EMPLOYEE = Redaction(((re.compile("EMP-[0-9]+"), r"\1"),))


def choice(name="main/gpt"):
    return Choice(Target(name=name, model="m", model_types=frozenset({"chat"}), provider=None))


def record(**fields):
    usual = {
        "timestamp": datetime(2026, 11, 1, tzinfo=UTC),
        "level": "info",
        "request_id": "0" * 32,
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "outcome": Outcome.COMPLETE,
        "duration_ms": 1.0,
    }
    return Record(**{**usual, **fields})


# --- whether ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bodies", "by_default", "wished", "keeps"),
    [
        ("never", False, None, False),
        ("never", True, True, False),
        ("always", False, None, True),
        ("always", False, False, True),
        ("header", True, None, True),
        ("header", False, None, False),
        ("header", True, False, False),
        ("header", False, True, True),
    ],
)
def test_who_decides_whether_bodies_are_written_down(bodies, by_default, wished, keeps):
    """The header counts in one mode alone."""
    assert LoggingRules(bodies, by_default).keeps_bodies(choice(), ANA, {}, wished) is keeps


@pytest.mark.parametrize(
    ("rule", "keeps"),
    [
        ({"subjects": Filter(frozenset({"team:hr"}))}, False),
        ({"subjects": Filter(frozenset({"team:sales"}))}, True),
        ({"subjects": Filter(never=frozenset({"team:hr"}))}, True),
        ({"models": Filter(frozenset({"main/*"}))}, False),
        ({"models": Filter(never=frozenset({"main/gpt"}))}, True),
        ({"metadata": {"env": "prod"}}, False),
        ({"metadata": {"env": "dev"}}, True),
        ({}, False),
    ],
)
def test_one_rule_is_enough_to_forbid_it(rule, keeps):
    rules = LoggingRules("always", rules=[LoggingRule(log=True), LoggingRule(**rule, log=False)])

    assert rules.keeps_bodies(choice(), ANA, {"env": "prod"}, None) is keeps


# --- what ------------------------------------------------------------------------------------------------------------


def test_what_others_have_written_is_made_unreadable():
    """By all rules that fit. Who asked for which model stays, for that is what a record is found by."""
    rules = LoggingRules(rules=[LoggingRule(redaction=EMAIL), LoggingRule(redaction=EMPLOYEE)])
    before = record(
        subject="user:ana@example.com",
        model="main/gpt",
        user_agent="bot of bob@example.com",
        error_message="no user bob@example.com, EMP-12345",
        metadata={"owner": "bob@example.com", "ticket": "T-1"},
    )

    after = rules.told(before, choice(), ANA, before.metadata)

    assert (after.subject, after.model, after.path) == (before.subject, before.model, before.path)
    assert after.user_agent == "bot of [REDACTED]"
    assert after.error_message == r"no user [REDACTED], \1"  # as it was written, and not a group of the pattern
    assert after.metadata == {"owner": "[REDACTED]", "ticket": "T-1"}
    assert after.destination is None


def test_a_rule_that_does_not_fit_changes_nothing():
    rules = LoggingRules(rules=[LoggingRule(Filter(frozenset({"team:sales"})), redaction=EMAIL)])
    before = record(error_message="bob@example.com")

    assert rules.told(before, choice(), ANA, {}) == before
    assert rules.told(before, None, None, {}) == before  # nobody knows who that was


@pytest.mark.parametrize(
    ("rules", "changes"), [((), False), ((LoggingRule(),), False), ((LoggingRule(redaction=EMAIL),), True)]
)
def test_without_redaction_records_are_not_looked_at(rules, changes):
    assert LoggingRules("always", rules=rules).changes is changes


@pytest.mark.parametrize(
    ("preset", "text", "left"),
    [
        ("email", "to ana.b+c@mail.example.com.", "to X."),
        ("us_ssn", "123-45-6789 and 000-45-6789", "X and 000-45-6789"),
        ("us_ssn_no_dash", "123456789 1234567890", "X 1234567890"),
        ("us_phone", "call (212) 555-0123 or +1 212-555-0123", "call X or X"),
        ("credit_card", "4111 1111 1111 1111", "X"),
        ("visa", "4111-1111-1111-1111, 5111-1111-1111-1111", "X, 5111-1111-1111-1111"),
        ("mastercard", "5111111111111111", "X"),
        ("amex", "378282246310005", "X"),
        ("discover", "6011111111111117", "X"),
        ("ipv4", "10.0.0.255 10.0.0.256", "X 10.0.0.256"),
        ("url", "see https://example.com/a?b=c now", "see X now"),
        ("aws_access_key", "AKIAIOSFODNN7EXAMPLE", "X"),
        ("github_token", "ghp_" + "a" * 36, "X"),
        ("slack_token", "xoxb-123456789012-abc", "X"),
        ("india_aadhaar", "2345 6789 0123", "X"),
        ("india_pan", "ABCDE1234F", "X"),
    ],
)
def test_presets(preset, text, left):
    assert re.sub(PRESETS[preset], "X", text) == left


def test_each_preset_is_tried():
    tried = {case[0] for mark in test_presets.pytestmark for case in mark.args[1]}

    assert tried == PRESETS.keys()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "text", ["a" * 500, "1" * 500, "1 " * 250, "a." * 250, "a@" + "a-" * 249, "https://" + "a" * 492]
)
def test_presets_come_to_an_end(preset, text):
    """None of them may find a way to take forever: each repetition has a bound."""
    assert not re.search(r"(?<!\\)[*+](?![^\[]*\])|,\}", PRESETS[preset])
    re.sub(PRESETS[preset], "X", text)


def test_a_long_text_is_cut_before_it_is_looked_through():
    rules = LoggingRules(rules=[LoggingRule(redaction=EMAIL)])

    assert rules.told(record(error_message="x" * 100_000), choice(), ANA, {}).error_message == "x" * 500


@pytest.mark.parametrize("redaction", [EMAIL, EMPLOYEE])
def test_nothing_is_left_of_it_wherever_it_stands_in_a_long_text(redaction):
    """Bodies are looked through in windows, and a window may end in the midst of it."""
    secret, hidden = ("bob@example.com", "[REDACTED]") if redaction is EMAIL else ("EMP-123456789", r"\1")
    for before in range(0, 1100, 7):
        text = " " * before + secret + " " * (1500 - before)

        assert redaction.of(text) == text.replace(secret, hidden)


def test_all_of_many_are_found():
    text = ", ".join(f"u{n}@example.com" for n in range(500))

    assert EMAIL.of(text) == ", ".join(["[REDACTED]"] * 500)
    assert EMAIL.of("no address, " * 200) == "no address, " * 200


# --- where -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "caller", "name"),
    [
        ({"region": "eu"}, ANA, "eu"),
        ({"region": "us"}, ANA, "default"),
        ({}, None, "default"),
        ({}, Caller(subject="virtualaccount:app"), "apps"),
        ({"region": "eu"}, Caller(subject="virtualaccount:app"), "eu"),
    ],
)
def test_the_first_destination_that_fits_has_it(metadata, caller, name):
    rules = LoggingRules(
        destinations=[
            Destination("eu", metadata=(("region", frozenset({"eu", "uk"})),)),
            Destination("apps", created_by=(frozenset({"virtualaccount:app"}),)),
        ]
    )

    assert rules.changes
    assert rules.told(record(), choice(), caller, metadata).destination == name
