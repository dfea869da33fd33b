"""What providers write into Retry-After."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.routing import retry_after_s


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "1"}, 1.0),
        ({"retry-after": "300"}, 300.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after": ".5"}, 0.5),
        ({"retry-after": "Thu, 01 Jan 1970 00:02:00 GMT"}, 20.0),
        ({"retry-after": "Thursday, 01-Jan-70 00:02:00 GMT"}, 20.0),
        ({"retry-after": "Thu Jan  1 00:02:00 1970"}, 20.0),
        ({"retry-after": "Thu, 01 Jan 1970 01:02:00 +0100"}, 20.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250.5", "retry-after": "7"}, 0.2505),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "5, 7"}, None),
        ({"retry-after": "Thu, 99 Foo 1970 00:02:00 GMT"}, None),
        ({"retry-after": "99999999"}, 86400.0),
        ({"retry-after": "9" * 5000}, 86400.0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86400.0),
    ],
)
def test_reads_seconds_milliseconds_and_dates(headers, seconds):
    """A date that has passed means now; what is longer than a day, a day; garbage is no answer."""
    assert retry_after_s(headers, wall_s=100.0) == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ Jan \d+ \d+:\d+:\d+ ([+-]\d+|GMT)", fullmatch=True))
def test_no_value_is_fatal(value):
    seconds = retry_after_s({"retry-after": value, "retry-after-ms": value}, wall_s=100.0)

    assert seconds is None or 0.0 <= seconds <= 86400.0
