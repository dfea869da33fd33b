"""Percentiles from counts that can be added up."""

from random import Random

import pytest

from gateway.state.requests.histogram import LATENCY, PER_TOKEN, SCALES


@pytest.mark.parametrize(
    ("ms", "number"), [(0.0, 0), (1.0, 0), (1.01, 1), (1.41, 1), (2.0, 2), (2.1, 3), (1e6, 40), (1e12, 41)]
)
def test_each_time_has_a_bin(ms, number):
    assert LATENCY.bin_of(ms) == number


def test_there_is_a_column_for_each_bin():
    assert LATENCY.columns[0] == "latency_0"
    assert LATENCY.columns[-1] == "latency_41"
    assert len(PER_TOKEN.columns) == 34
    assert len({name for scale in SCALES for name in scale.columns}) == 118


def test_of_nothing_there_is_no_percentile():
    assert LATENCY.percentile_ms([0] * 42, 0.5) is None


def test_a_percentile_lies_within_its_bin():
    counts = [0] * 42
    counts[20] = 10  # from 724 to 1024 ms

    assert LATENCY.percentile_ms(counts, 0.0) == pytest.approx(724.08, abs=0.01)
    assert LATENCY.percentile_ms(counts, 0.5) == pytest.approx(861.08, abs=0.01)
    assert LATENCY.percentile_ms(counts, 1.0) == 1024.0


@pytest.mark.parametrize("share", [0.5, 0.75, 0.9, 0.99])
def test_it_is_close_to_the_true_one(share):
    random = Random(7)
    times = sorted(random.lognormvariate(6, 1) for _ in range(20_000))
    counts = [0] * 42
    for ms in times:
        counts[LATENCY.bin_of(ms)] += 1

    assert LATENCY.percentile_ms(counts, share) == pytest.approx(times[int(share * len(times))], rel=0.05)


def test_counts_of_two_replicas_add_up():
    random = Random(8)
    parts = [[random.randrange(5) for _ in range(42)] for _ in range(2)]
    both = [*map(sum, zip(*parts, strict=True))]
    low, high = sorted(LATENCY.percentile_ms(part, 0.9) for part in parts)

    assert low <= LATENCY.percentile_ms(both, 0.9) <= high
