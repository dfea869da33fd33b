"""Metadata that rules set, complete and demand."""

import pytest

from gateway.contract import Caller
from gateway.errors import BadRequest
from gateway.rules.limits.rule import Filter
from gateway.rules.metadata import MetadataRule, MetadataRules

CI = Caller(subject="virtualaccount:ci")
ANA = Caller(subject="user:ana@example.com", teams=frozenset({"hr"}))
OF_CI = Filter(frozenset({"virtualaccount:ci"}))


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        ({}, {"env": "ci", "cost": "42", "region": "eu"}),
        ({"env": "prod", "region": "us", "own": "1"}, {"env": "ci", "cost": "42", "region": "us", "own": "1"}),
    ],
)
def test_what_is_set_counts_before_what_is_said_and_that_before_what_is_the_default(given, resolved):
    rules = MetadataRules([MetadataRule(OF_CI, {"env": "ci", "cost": "42"}, {"region": "eu", "env": "none"})])

    assert rules.resolved(given, CI) == resolved
    assert rules.resolved(given, ANA) == given


def test_what_is_said_of_the_caller_itself_counts_before_all_else():
    """Later ones win: what the request says, what rules say, tags of the virtual account."""
    rules = MetadataRules(
        [MetadataRule(override={"env": "first"}), MetadataRule(override={"env": "second"})],
        {"virtualaccount:ci": {"env": "tag"}},
    )

    assert rules.resolved({"env": "said"}, CI) == {"env": "tag"}
    assert rules.resolved({"env": "said"}, ANA) == {"env": "second"}
    assert rules.resolved({"env": "said"}, None) == {"env": "second"}


def test_what_is_missing_is_refused():
    rules = MetadataRules([MetadataRule(OF_CI, {"env": "ci"}, required=("env", "team", "project"))])

    with pytest.raises(
        BadRequest, match=r"^the request needs metadata for 'project': .* in the header x-tfy-metadata$"
    ):
        rules.resolved({"team": "a"}, CI)
    assert rules.resolved({}, ANA) == {}


def test_nothing_is_done_where_nothing_is_known():
    assert MetadataRules().is_empty
    assert not MetadataRules(tags={"virtualaccount:ci": {"a": "b"}}).is_empty
