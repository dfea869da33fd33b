"""What waits for Redis to come back: bounded, added up, and told once."""

import structlog

from gateway.contract.limits import Amounts, Unit
from gateway.contract.windows import Window
from gateway.state.counters.backlog import Backlog
from gateway.state.counters.batch import Charge, Settlement

NOW_S = 4102444800.0


def everything(backlog):
    told = []
    while items := backlog.take():
        told += items
        backlog.arrived()
    return told


def test_what_is_under_way_stays_the_same_until_it_has_arrived(hold):
    """It is sent again under the same number, and what came meanwhile is not mixed with it."""
    backlog = Backlog()
    first, second = [Settlement(ticket_id, NOW_S, (hold(9),), Amounts()) for ticket_id in ("a", "b")]
    backlog.settle(first)

    sent = [(backlog.take(), backlog.number)]
    backlog.settle(second)
    sent.append((backlog.take(), backlog.number))
    backlog.arrived()
    sent.append((backlog.take(), backlog.number))

    assert sent == [([first], 1), ([first], 1), ([second], 2)]
    assert len(backlog) == 1


def test_charges_are_added_up_by_counter_and_bucket(hold):
    backlog = Backlog()
    minute, month = hold(9, Unit.TOKENS, key="minute"), hold(9, Unit.COST, Window.MONTH, key="month")

    for at_s, amount in [(NOW_S, 1), (NOW_S + 0.5, 2), (NOW_S + 0.7, 4)]:
        backlog.charge(minute, at_s, amount, NOW_S)
        backlog.charge(month, at_s, amount, NOW_S)
    backlog.charge(hold(9, Unit.CONCURRENT, Window.WHILE_OPEN), NOW_S, 1, NOW_S)
    backlog.charge(minute, NOW_S, 0, NOW_S)

    assert everything(backlog) == [
        Charge("minute", Window.MINUTE, 4102444800000, 3),
        Charge("month", Window.MONTH, 4102444800000, 7),
        Charge("minute", Window.MINUTE, 4102444800600, 4),
    ]


def test_too_many_settlements_are_added_up(hold):
    """Their tickets end with their leases, which leaves the request counted, so what was used is what is missing."""
    backlog = Backlog()
    holds = (hold(9, key="requests"), hold(9, Unit.TOKENS, key="tokens"))

    for number in range(10_500):
        backlog.settle(Settlement(f"ticket-{number}", NOW_S, holds, Amounts(tokens=2) if number % 2 else None))

    told = everything(backlog)
    assert (len(told), told[200]) == (10_001, Charge("tokens", Window.MINUTE, 4102444800000, 500))


def test_sums_of_windows_that_are_over_make_room(hold):
    backlog = Backlog()
    for number in range(50_000):
        backlog.charge(hold(9, key=f"user-{number}"), NOW_S, 1, NOW_S)

    with structlog.testing.capture_logs() as logs:
        backlog.charge(hold(9, key="too-many"), NOW_S, 1, NOW_S)
        backlog.charge(hold(9, key="too-many"), NOW_S, 1, NOW_S)
        full = len(backlog)
        backlog.arrived()
        backlog.charge(hold(9, key="later"), NOW_S + 61, 1, NOW_S + 61)

    assert (full, len(backlog)) == (50_000, 1)
    assert [entry["event"] for entry in logs] == ["more was used without the shared counters than can be remembered"]
