"""Rules found by what they ask for."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.index import Index

KEYS = [("model", "a/m"), ("model", "*"), ("subject", "team:x"), ("subject", "user:y")]

some = st.frozensets(st.sampled_from(KEYS))


def test_finds_those_that_may_fit_in_their_order():
    index = Index([(name, [("model", name)]) for name in "edcba"] + [("any", None), ("c again", [("model", "c")])])

    assert index.candidates([("model", "c"), ("subject", "user:y")]) == ["c", "any", "c again"]


def test_who_asks_for_nothing_that_can_be_had_is_not_found():
    index = Index([("nobody", [])] + [(name, [("model", name)]) for name in "abcd"])

    assert index.candidates([("model", "a")]) == ["a"]


@given(st.lists(st.none() | some, max_size=12), some)
def test_no_rule_that_fits_is_passed_over(asked, keys):
    index = Index(enumerate(asked))

    fits = [number for number, wanted in enumerate(asked) if wanted is None or wanted & keys]
    assert [number for number in index.candidates(keys) if number in fits] == fits
