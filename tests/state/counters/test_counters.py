"""What all counters do alike, in memory and on a real Redis. Windows are told by a clock that stands still."""

import pytest

from gateway.contract.limits import Amounts, Mode, Unit
from gateway.contract.windows import Window

NOTHING = Amounts()


async def used(counters, *holds):
    return [level.used for level in await counters.levels(holds)]


async def test_never_more_than_the_limit(counters, hold):
    limit = hold(3)

    verdicts = [await counters.reserve([limit], NOTHING) for _ in range(5)]

    assert [verdict.ticket is not None for verdict in verdicts] == [True, True, True, False, False]
    assert [verdict.levels[0].used for verdict in verdicts] == [1, 2, 3, 3, 3]
    assert verdicts[3].refused == verdicts[3].levels[0]
    assert verdicts[3].levels[0].hold == limit


async def test_a_refusal_takes_nothing(counters, hold):
    """All or none: the day's allowance must not shrink because the minute's is used up."""
    minute, day = hold(1), hold(9, window=Window.DAY)
    await counters.reserve([minute, day], NOTHING)

    refused = await counters.reserve([day, minute], NOTHING)

    assert (refused.ticket, refused.refused.hold) == (None, minute)
    assert await used(counters, minute, day) == [1, 1]


@pytest.mark.parametrize(("window", "length_s"), [(Window.MINUTE, 60), (Window.HOUR, 3600), (Window.DAY, 86400)])
async def test_sliding_windows_are_good_to_one_percent(counters, hold, clock, window, length_s):
    """What was taken counts until the whole hundredth in which it was taken has left the window."""
    limit = hold(1, window=window)
    clock.move(0.25)
    taken = await counters.reserve([limit], NOTHING)

    clock.move(length_s)
    early = await counters.reserve([limit], NOTHING)
    clock.move(length_s / 100 - 0.25)
    late = await counters.reserve([limit], NOTHING)

    assert taken.levels[0].resets_s == pytest.approx(1.01 * length_s - 0.25)
    assert (early.ticket, early.retry_after_s) == (None, pytest.approx(length_s / 100 - 0.25))
    assert late.ticket is not None


async def test_calendar_windows_end_together(counters, hold, clock):
    month, lifetime = hold(1, window=Window.MONTH), hold(5, window=Window.LIFETIME)
    await counters.reserve([month, lifetime], NOTHING)

    refused = await counters.reserve([month, lifetime], NOTHING)
    clock.move(31 * 86400)
    passed = await counters.reserve([month, lifetime], NOTHING)

    assert refused.retry_after_s == 31 * 86400
    assert [level.used for level in passed.levels] == [1, 2]


async def test_retry_after_is_when_all_have_room(counters, hold, clock):
    """The client comes back once, and not for every limit in turn."""
    tokens, day = hold(100, Unit.TOKENS), hold(1, window=Window.CALENDAR_DAY)
    await counters.reserve([tokens, day], Amounts(tokens=60))
    clock.move(6)
    await counters.reserve([tokens], Amounts(tokens=40))

    of_tokens = await counters.reserve([tokens], Amounts(tokens=61))
    of_both = await counters.reserve([tokens, day], Amounts(tokens=1))
    never = await counters.reserve([tokens, day], Amounts(tokens=101))

    assert of_tokens.retry_after_s == pytest.approx(60.6)
    assert of_both.retry_after_s == 86394
    assert never.retry_after_s is None


async def test_what_was_not_used_is_given_back(counters, hold):
    tokens, cost = hold(100, Unit.TOKENS), hold(1000, Unit.COST, Window.MONTH)
    verdict = await counters.reserve([tokens, cost], Amounts(tokens=100, cost=1000))

    counters.settle(verdict.ticket, Amounts(tokens=30, cost=200))

    assert await used(counters, tokens, cost) == [30, 200]


async def test_what_was_used_beyond_it_counts_from_now(counters, hold, clock):
    """Otherwise a long reply would be free: its beginning has left the window before it ends."""
    tokens = hold(100, Unit.TOKENS)
    verdict = await counters.reserve([tokens], Amounts(tokens=10))

    clock.move(30)
    counters.settle(verdict.ticket, Amounts(tokens=150))
    soon = await used(counters, tokens)
    clock.move(30.6)
    later = await used(counters, tokens)

    assert (soon, later) == ([150], [140])


async def test_a_reply_longer_than_the_window(counters, hold, clock):
    """What it reserved no longer counts, and giving it back must not make the counter negative."""
    tokens, requests = hold(100, Unit.TOKENS), hold(5)
    verdict = await counters.reserve([tokens, requests], Amounts(tokens=50))

    clock.move(90)
    counters.settle(verdict.ticket, Amounts(tokens=20))

    assert await used(counters, tokens, requests) == [0, 0]


async def test_a_month_is_charged_where_it_began(counters, hold, clock):
    cost = hold(1000, Unit.COST, Window.MONTH)
    clock.move(31 * 86400 - 1)
    verdict = await counters.reserve([cost], Amounts(cost=100))

    clock.move(2)
    counters.settle(verdict.ticket, Amounts(cost=700))

    assert await used(counters, cost) == [0]


async def test_nothing_was_sent(counters, hold):
    """Then the request is not counted either."""
    holds = [hold(5), hold(100, Unit.TOKENS), hold(2, Unit.CONCURRENT, Window.WHILE_OPEN)]
    verdict = await counters.reserve(holds, Amounts(tokens=50))

    counters.settle(verdict.ticket, None)

    assert await used(counters, *holds) == [0, 0, 0]


async def test_settling_twice_is_settling_once(counters, hold):
    holds = [hold(5), hold(100, Unit.TOKENS)]
    verdict = await counters.reserve(holds, Amounts(tokens=50))

    counters.settle(verdict.ticket, Amounts(tokens=20))
    counters.settle(verdict.ticket, None)
    counters.settle(verdict.ticket, Amounts(tokens=90))

    assert await used(counters, *holds) == [1, 20]


async def test_concurrent_requests_count_while_they_last(counters, hold, clock):
    slots = hold(2, Unit.CONCURRENT, Window.WHILE_OPEN)
    first, _second = [await counters.reserve([slots], NOTHING) for _ in range(2)]
    clock.move(600)

    refused = await counters.reserve([slots], NOTHING)
    counters.settle(first.ticket, NOTHING)
    passed = await counters.reserve([slots], NOTHING)

    assert (refused.ticket, refused.retry_after_s, refused.levels[0].resets_s) == (None, 1.0, 1.0)
    assert passed.ticket is not None


@pytest.mark.parametrize("mode", [Mode.COUNT, Mode.AUDIT])
async def test_those_that_only_count_refuse_nobody(counters, hold, mode):
    limit = hold(1, mode=mode)

    verdicts = [await counters.reserve([limit], NOTHING) for _ in range(3)]

    assert [(verdict.ticket is not None, verdict.levels[0].used) for verdict in verdicts] == [
        (True, 1),
        (True, 2),
        (True, 3),
    ]
    assert verdicts[2].levels[0].remaining == 0


@pytest.mark.parametrize(
    ("other", "is_refused"),
    [
        ({}, True),
        ({"limit": 1, "is_budget": True}, True),
        ({"limit": 9, "is_budget": True}, False),
        ({"limit": 9, "is_budget": True, "rule": "soft"}, True),
        ({"limit": 9, "is_budget": False}, True),
    ],
    ids=["alone", "the other is over too", "the other has room", "of the same rule", "no budget"],
)
async def test_a_soft_budget_refuses_when_no_other_has_room(counters, hold, other, is_refused):
    soft = hold(1, Unit.COST, Window.MONTH, rule="soft", mode=Mode.SOFT, is_budget=True)
    holds = [soft, hold(**{"unit": Unit.COST, "window": Window.WEEK, "mode": Mode.AUDIT, **other})] if other else [soft]
    await counters.reserve(holds, Amounts(cost=1))

    verdict = await counters.reserve(holds, Amounts(cost=1))

    assert (verdict.ticket is None) is is_refused
    assert (verdict.refused and verdict.refused.hold) == (soft if is_refused else None)


async def test_an_enforced_limit_goes_before_a_soft_one(counters, hold):
    soft = hold(0, mode=Mode.SOFT, key="soft")
    enforced = hold(0, key="enforced")

    verdict = await counters.reserve([soft, enforced], NOTHING)

    assert verdict.refused.hold == enforced


async def test_nine_million_dollars_are_counted_to_the_nano_dollar(counters, hold):
    """Nano-dollars pass 2^53, where doubles begin to skip."""
    limit = 3 * 2**53 + 1
    cost = hold(limit, Unit.COST, Window.MONTH)
    await counters.restore([(cost, 4102444800.0, 3 * 2**53 - 2)])

    levels = [(await counters.reserve([cost], Amounts(cost=1))).levels[0].used for _ in range(4)]

    assert levels == [limit - 2, limit - 1, limit, limit]


async def test_restoring_never_lowers(counters, hold, clock):
    """The ledger may lag behind, and what is reserved is not in it."""
    month, week, minute = hold(100, window=Window.MONTH), hold(100, window=Window.WEEK), hold(100)
    await counters.reserve([month, week, minute], NOTHING)

    await counters.restore([(month, clock() - 1, 50), (month, clock(), 40), (week, clock() - 86400, 7), (minute, 0, 9)])
    await counters.restore([(month, clock(), 30)])

    assert await used(counters, month, week, minute) == [40, 7, 1]


async def test_unknown_counters_are_empty(counters, hold):
    [level] = await counters.levels([hold(5)])

    assert (level.used, level.remaining, level.resets_s) == (0, 5, 0.0)


async def test_a_request_that_needs_nothing(counters, hold):
    tokens = hold(0, Unit.TOKENS)

    verdict = await counters.reserve([tokens], NOTHING)

    assert verdict.ticket is not None
    assert [(level.used, level.resets_s) for level in verdict.levels] == [(0, 0.0)]


@pytest.mark.parametrize("unit", [Unit.COST, Unit.TOKENS])
@pytest.mark.parametrize("window", [Window.MINUTE, Window.MONTH])
@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.SOFT])
@pytest.mark.parametrize("limit", [0, 10])
async def test_nothing_fits_into_what_is_overdrawn(counters, hold, unit, window, mode, limit):
    """A model that costs nothing was refused as soon as a budget was overdrawn: "this request may take $0.00"."""
    overdrawn, requests = hold(limit, unit, window, mode=mode, is_budget=True), hold(1)
    one = await counters.reserve([hold(99, unit, window, key=overdrawn.key)], NOTHING)
    counters.settle(one.ticket, Amounts(tokens=20, cost=20))

    passed = await counters.reserve([overdrawn, requests], NOTHING)
    refused = await counters.reserve([overdrawn, requests], NOTHING)
    needy = await counters.reserve([overdrawn], Amounts(tokens=1, cost=1))

    assert (passed.ticket is not None, passed.levels[0].used) == (True, 20)
    assert refused.refused.hold == requests
    assert refused.retry_after_s == pytest.approx(60.6, abs=0.1)
    assert needy.refused.hold == overdrawn


async def test_reset_is_exact_after_something_was_given_back(counters, hold, clock):
    tokens = hold(100, Unit.TOKENS)
    _first = await counters.reserve([tokens], Amounts(tokens=10))
    clock.move(20)
    verdict = await counters.reserve([tokens], Amounts(tokens=10))

    counters.settle(verdict.ticket, None)
    [level] = await counters.levels([tokens])

    assert level.resets_s == pytest.approx(40.6)


async def test_any_text_can_be_a_key(counters, hold):
    """Keys hold what callers sent: metadata, say."""
    odd = [hold(1, key=key) for key in ("\ud800", "ключ 🔑", "a\x00b\r\n", "x" * 5000)]

    first, second = [await counters.reserve(odd, NOTHING) for _ in range(2)]

    assert (first.ticket is not None, second.ticket) == (True, None)
