"""Sessions stay where they are, on every replica, for as long as they should."""

from collections import Counter
from random import Random

import pytest

from gateway.contract.route import Route, Sticky
from gateway.rules.routing import FaultOwner, Health, order, session_of

SESSIONS = [f"session-{number}" for number in range(10_000)]
STICKY = Sticky(3600, (("headers", "X-Session-Id"), ("metadata", "user")))


def route(candidate, weights):
    return Route("r", "weight", tuple(candidate(f"p/{name}", weight=weight) for name, weight in weights.items()))


def firsts(route, health=None, *, now_s=0.0, seed=1):
    """Session -> the target it is sent to."""
    health, random = health or Health(Random(seed)), Random(seed)
    return {
        session: order(route, health=health, now_s=now_s, random=random, session=session)[0].name
        for session in SESSIONS
    }


def moves(before, after):
    return Counter((before[session], after[session]) for session in SESSIONS if before[session] != after[session])


def test_shares_follow_the_weights(candidate):
    shares = Counter(firsts(route(candidate, {"a": 60, "b": 30, "c": 10, "zero": 0})).values())

    assert {name: count / 10_000 for name, count in shares.items()} == {
        "p/a": pytest.approx(0.6, abs=0.01),
        "p/b": pytest.approx(0.3, abs=0.01),
        "p/c": pytest.approx(0.1, abs=0.01),
    }


def test_replicas_agree_and_chance_has_no_say(candidate):
    """Also when they list the candidates differently."""
    here = route(candidate, {"a": 60, "b": 30, "c": 10})
    there = route(candidate, {"c": 10, "a": 60, "b": 30})

    assert firsts(here, seed=1) == firsts(there, seed=2)


def test_the_draw_is_the_same_for_ever(candidate):
    """A new version that drew differently would move every session when it is rolled out."""
    ordered = route(candidate, {"a": 1, "b": 1, "c": 1})

    assert [
        "".join(one.name[-1] for one in order(ordered, health=Health(Random(1)), now_s=0, random=Random(1), session=s))
        for s in SESSIONS[:6]
    ] == ["acb", "cba", "acb", "bca", "bac", "bac"]


def test_a_target_that_comes_takes_its_share_and_nothing_else_moves(candidate):
    before = firsts(route(candidate, {"a": 1, "b": 1, "c": 1}))
    after = firsts(route(candidate, {"a": 1, "b": 1, "c": 1, "new": 1}))

    moved = moves(before, after)

    assert {to for _, to in moved} == {"p/new"}
    assert moved.total() / 10_000 == pytest.approx(0.25, abs=0.01)


def test_a_target_that_leaves_gives_up_its_own_and_nothing_else_moves(candidate):
    before = firsts(route(candidate, {"a": 1, "b": 1, "c": 2}))
    after = firsts(route(candidate, {"a": 1, "b": 1}))

    moved = moves(before, after)

    assert {origin for origin, _ in moved} == {"p/c"}
    assert moved.total() / 10_000 == pytest.approx(0.5, abs=0.01)


def test_a_greater_weight_only_draws_sessions_to_itself(candidate):
    """From a third to a half: a quarter of those of the others, 0.167 of all."""
    before = firsts(route(candidate, {"a": 1, "b": 1, "c": 1}))
    after = firsts(route(candidate, {"a": 1, "b": 1, "c": 2}))

    moved = moves(before, after)

    assert {to for _, to in moved} == {"p/c"}
    assert moved.total() / 10_000 == pytest.approx(0.167, abs=0.01)


def test_an_unhealthy_target_lends_its_sessions_and_gets_them_back(candidate):
    """To the next in each session's own order: by weight, not all to one."""
    weighted = route(candidate, {"a": 1, "b": 2, "c": 1})
    health = Health(Random(1))
    before = firsts(weighted, health)
    for _ in range(2):
        health.failed("p/a", "p", FaultOwner.TARGET, 0.0)

    moved = moves(before, firsts(weighted, health, now_s=119.9))

    assert {name: count / moved.total() for name, count in moved.items()} == {
        ("p/a", "p/b"): pytest.approx(0.667, abs=0.02),
        ("p/a", "p/c"): pytest.approx(0.333, abs=0.02),
    }
    assert firsts(weighted, health, now_s=120.0) == before


def test_candidates_of_one_name_are_told_apart_by_their_variant(candidate):
    """Two prompts compared on one model; by their names alone the heavier would win each session."""
    both = Route("r", "weight", tuple(candidate("p/a", variant=variant, weight=1) for variant in ("old", "new")))

    shares = Counter(
        order(both, health=Health(Random(1)), now_s=0.0, random=Random(1), session=session)[0].variant
        for session in SESSIONS
    )

    assert shares["old"] / 10_000 == pytest.approx(0.5, abs=0.01)


def test_a_session_is_all_its_identifiers():
    def of(headers, metadata):
        return session_of(STICKY, headers, metadata, 0.0)

    whole = of({"x-session-id": "1"}, {"user": "ana"})

    assert whole == of({"x-session-id": "1", "other": "x"}, {"user": "ana", "other": "y"})
    assert len({whole, of({"x-session-id": "1"}, {}), of({}, {"user": "ana"}), of({"x-session-id": "ana"}, {})}) == 4
    assert of({}, {}) is None
    assert of({"x-session-id": ""}, {}) is None
    assert session_of(None, {"x-session-id": "1"}, {}, 0.0) is None


def test_a_session_can_be_any_text():
    assert session_of(STICKY, {}, {"user": "\ud800\0\n'"}, 0.0) is not None


def test_a_session_is_drawn_again_when_its_epoch_ends():
    """3600 s long, and over at a moment of its own."""

    def ends(user):
        of = [session_of(STICKY, {}, {"user": user}, 1.8e9 + second) for second in range(7200)]
        return [second for second in range(1, 7200) if of[second] != of[second - 1]]

    ana, bo = ends("ana"), ends("bo")

    assert (ana, bo) == ([933, 4533], [2111, 5711])
    assert [end // 60 for user in range(6) for end in ends(f"user-{user}")[:1]] == [30, 19, 11, 0, 54, 19]
