from datetime import date

import pytest

from gateway.cli.periods import day_of, minutes_of

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(("text", "minutes"), [("0", 0), ("30m", 30), ("24h", 1440), ("7d", 10080), ("0h", 0)])
def test_minutes(text, minutes):
    assert minutes_of(text) == minutes


@pytest.mark.parametrize("text", ["", "30", "m", "1.5h", "-1h", "1w", "1H", "24 h", "1d12h", "9999999m", "٣d"])
def test_what_is_no_period(text):
    with pytest.raises(ValueError, match="it has to look like 30m, 24h or 7d, or be 0"):
        minutes_of(text)


@pytest.mark.parametrize(("text", "day"), [("90d", "2027-02-20"), ("0d", "2026-11-22"), ("2027-01-31", "2027-01-31")])
def test_days(text, day):
    assert day_of(text, TODAY) == day


@pytest.mark.parametrize("text", ["", "90", "24h", "2027-02-30", "31.01.2027", "20270131", "2027-W01-1", "999999999d"])
def test_what_is_no_day(text):
    with pytest.raises(ValueError, match="it has to look like 90d or 2027-01-31"):
        day_of(text, TODAY)


def test_days_beyond_the_calendar():
    with pytest.raises(ValueError, match="it has to look like 90d"):
        day_of("999999d", date(9999, 1, 1))
