"""Replicas tell each other what they saw; nothing a message holds can do harm."""

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.route import Sla
from gateway.rules.routing import FaultOwner, Health
from gateway.rules.routing.gossip import MAX_BYTES, Item, News


@pytest.fixture
def here():
    return Health(Random(1))


@pytest.fixture
def there():
    return Health(Random(2))


@pytest.fixture
def is_unwell(candidate):
    def at(health, name, now_s, **fields):
        return bool(health.unwell([candidate(name, **fields)], now_s))

    return at


def test_nothing_to_tell(here):
    assert here.take_news(0.0) == b""


def test_one_failure_here_and_one_there_are_two(here, there, is_unwell):
    """Their clocks differ by a week: only ages are told."""
    week = 604_800.0
    here.failed("p/a", "p", FaultOwner.TARGET, 100.0)
    there.failed("p/a", "p", FaultOwner.TARGET, week + 140.0)

    there.hear(here.take_news(150.0), week + 150.0)
    here.hear(there.take_news(week + 150.0), 150.0)

    assert (is_unwell(here, "p/a", 219.9), is_unwell(here, "p/a", 220.0)) == (True, False)
    assert (is_unwell(there, "p/a", week + 219.9), is_unwell(there, "p/a", week + 220.0)) == (True, False)


def test_rests_and_accounts_are_told(here, there, is_unwell):
    here.failed("p/a", "p", FaultOwner.TARGET, 0.0, cooldown_s=60.0)
    for _ in range(2):
        here.failed("q/a", "q", FaultOwner.ACCOUNT, 0.0)

    there.hear(here.take_news(10.0), 1010.0)

    assert (is_unwell(there, "p/a", 1059.9), is_unwell(there, "p/a", 1060.0)) == (True, False)
    assert (is_unwell(there, "q/b", 1119.9), is_unwell(there, "q/b", 1120.0)) == (True, False)


def test_speeds_are_put_together(here, there, is_unwell):
    """Two calls here and one there: enough to know, and the mean is that of the three."""
    for tpot_s in (0.01, 0.02):
        here.observed("p/a", 1.0, tpot_s, 0.0)
    there.observed("p/a", 4.0, 0.06, 500.0)
    assert there.time_per_output_token_s("p/a", 500.0) is None

    there.hear(here.take_news(1.0), 500.0)

    assert there.time_per_output_token_s("p/a", 500.0) == pytest.approx(0.03)
    assert is_unwell(there, "p/a", 500.0, sla=Sla(None, 1.99))
    assert not is_unwell(there, "p/a", 500.0, sla=Sla(None, 2.01))


def test_breakers_are_not_shared(here, there):
    """What this replica cannot reach, another may."""
    for _ in range(5):
        here.failed("p/a", "p", FaultOwner.TARGET, 0.0)

    there.hear(here.take_news(0.0), 0.0)

    assert not here.may_ask("p/a", 0.0)
    assert there.may_ask("p/a", 0.0)


def test_what_was_heard_is_not_told_on(here, there):
    here.failed("p/a", "p", FaultOwner.TARGET, 0.0)

    there.hear(here.take_news(0.0), 0.0)

    assert there.take_news(0.0) == b""
    assert here.take_news(0.0) == b""


def test_hearing_it_twice_or_from_oneself_or_too_late_changes_nothing(here, there, is_unwell):
    here.failed("p/a", "p", FaultOwner.TARGET, 0.0)
    first = here.take_news(0.0)
    here.failed("q/a", "q", FaultOwner.TARGET, 0.0)
    second = here.take_news(0.0)

    there.hear(second, 0.0)
    there.hear(second, 0.0)
    there.hear(first, 0.0)
    here.hear(second, 0.0)

    assert not is_unwell(there, "q/a", 0.0)
    assert not is_unwell(here, "q/a", 0.0)
    assert [condition.name for condition in there.conditions(0.0)] == ["q/a"]


def test_much_news_comes_in_several_messages(here, there):
    for number in range(1200):
        here.failed(f"p/{number}", "p", FaultOwner.TARGET, 0.0)

    messages = [here.take_news(0.0) for _ in range(4)]
    for message in messages:
        there.hear(message, 0.0)

    assert [bool(message) for message in messages] == [True, True, True, False]
    assert max(map(len, messages)) < MAX_BYTES
    assert len(there.conditions(0.0)) == 1200


def test_what_is_heard_displaces_nothing_that_was_seen(is_unwell):
    full = Health(Random(1), max_names=2)
    for name in ("p/a", "p/b"):
        full.observed(name, 0.1, 0.1, 0.0)
    other = Health(Random(2))
    for name in ("x/1", "p/a"):
        other.failed(name, name[0], FaultOwner.TARGET, 0.0, cooldown_s=60.0)

    full.hear(other.take_news(0.0), 0.0)

    assert sorted(condition.name for condition in full.conditions(0.0)) == ["p/a", "p/b"]
    assert is_unwell(full, "p/a", 0.0)


def test_news_nobody_takes_do_not_pile_up():
    alone = Health(Random(1), max_names=10)
    for number in range(1000):
        alone.observed(f"p/{number}", 0.1, 0.1, 0.0)
    for _ in range(100_050):
        alone.observed("p/999", 0.1, 0.1, 0.0)
    other = Health(Random(2))

    other.hear(alone.take_news(0.0), 0.0)

    assert len(other.conditions(0.0)) == 10
    assert other.time_per_output_token_s("p/999", 0.0) == pytest.approx(0.1)


def news(*targets, version=1, replica=9, number=1, accounts=()):
    return msgspec.msgpack.encode([version, replica, number, list(targets), list(accounts)])


GOOD = ["p/a", [0.0, 0.0], 60.0, 3, 0.3, 3, 0.3]


def test_the_format(here, is_unwell):
    """Replicas of different versions speak to each other while an update is rolled out."""
    assert msgspec.msgpack.encode(News(1, 9, 1, [Item("p/a", (0.0, 0.0), 60.0, 3, 0.3, 3, 0.3)], [])) == news(GOOD)

    here.hear(news(GOOD), 0.0)

    assert is_unwell(here, "p/a", 0.0)
    assert here.time_per_output_token_s("p/a", 0.0) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"{}",
        b"\x91" * 100_000,
        b"\xdd\xff\xff\xff\xff",
        news(GOOD, version=2),
        news(GOOD, number=-1),
        news(GOOD, replica="x"),
        news(["p/a", [-1.0, 0.0], 60.0]),
        news(["p/a", [0.0, 0.0, 0.0]]),
        news(["p/a", [0.0, 1e9]]),
        news(["p/a", [0.0, float("nan")]]),
        news(["p/a", [0.0, 0.0], float("inf")]),
        news(["p/a", [0.0, 0.0], 0.0, 10**9, 1.0]),
        news(["x" * 1000, [0.0, 0.0]]),
        news([5, [0.0, 0.0]]),
        news(*[["p/a", [0.0, 0.0]]] * 501),
        news(accounts=[["p", [0.0, 0.0], "x"]]),
        news(GOOD)[:-1],
        news(GOOD) + b"\0",
        news(GOOD) + b"\0" * MAX_BYTES,
    ],
)
def test_what_is_not_news_changes_nothing(here, is_unwell, data):
    here.hear(data, 0.0)

    assert here.conditions(0.0) == []
    assert not is_unwell(here, "p/a", 0.0)


@pytest.mark.parametrize("item", [["p/a", [], 0.0, 3, 1e9], ["p/a", [], 0.0, 0, 5.0], ["p/a", [], 0.0, 0, 0.0, 1, 1e9]])
def test_speeds_that_cannot_be_are_not_counted(here, item):
    here.hear(news(item), 0.0)

    assert here.time_per_output_token_s("p/a", 0.0) is None
    assert here.conditions(0.0)[0].time_to_first_token_s is None


@given(
    st.binary()
    | st.recursive(st.none() | st.integers(-1, 5) | st.floats() | st.text(), st.lists).map(
        lambda value: msgspec.msgpack.encode([1, 9, 1, value, []])
    )
)
def test_no_message_is_fatal(data):
    Health(Random(1)).hear(data, 0.0)


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_flipped_byte_is_not_fatal(at, value):
    data = bytearray(news(GOOD, GOOD, accounts=[GOOD]))
    data[at % len(data)] = value
    health = Health(Random(1))

    health.hear(bytes(data), 0.0)
    health.conditions(0.0)


@pytest.mark.parametrize(("replica", "is_news"), [(4999, False), (4000, False), (3999, True)])
def test_strangers_are_remembered_within_bounds(here, is_unwell, replica, is_news):
    """Of a thousand it is known what they have told; what others tell again is news again."""
    for number in range(5000):
        here.hear(news(GOOD, replica=number), 0.0)

    here.hear(news(GOOD, replica=replica), 1000.0)

    assert is_unwell(here, "p/a", 1000.0) is is_news
