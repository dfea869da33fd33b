"""What of other people's regular expressions is let in."""

import pytest

from gateway.rules.patterns import flaw_in


@pytest.mark.parametrize(
    "pattern",
    [
        "^(prod|dev)-[0-9]+$",
        "team-.*",
        "^[a-z]+@[a-z.]+$",
        "[A-Z]{2,5}(-[0-9]{1,4})?",
        "(?i)^x",
        "^(?:a|b)$",
        ".+ .+ .+",
        "",
    ],
)
def test_usual_patterns_are_fine(pattern):
    assert flaw_in(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a*)*b",
        "(a|a)*$",
        "(a|ab)+?c",
        "((a{1,30})b?)+",
        "(?:(?:x+)y?)*z",
        r"(.*)\1*",
        "(?=(a+)+b)",
        "(a{2,40}){2,40}",
        "(?P<x>(a+)+)",
        "(?(1)(a+)+|b)",
    ],
)
def test_what_may_take_for_ever_is_not(pattern):
    """`(a+)+$` takes a second for 25 characters, and twice as long for each more."""
    assert flaw_in(pattern) in (
        "may take too long: it has a repetition, or a choice with |, within another repetition",
        "is no regular expression: invalid group reference 1 at position 3",
    )


def test_many_repetitions_are_not():
    assert flaw_in(".*a.*b.*c.*d") == "may take too long: it has more than 3 repetitions without a bound"


@pytest.mark.parametrize("pattern", ["(", "[a", "a{99999999999}", "(?P<a>)(?P<a>)", "*"])
def test_what_is_none_is_told(pattern):
    assert flaw_in(pattern).startswith("is no regular expression: ")
