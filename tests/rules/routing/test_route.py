"""What manifests leave out."""

import pytest

from gateway.contract.route import Retry, Route, Sticky


def test_defaults_are_the_documented_ones(candidate):
    some = candidate("azure/gpt")

    assert (some.retry.attempts, some.retry.delay_s) == (2, 0.1)
    assert sorted(some.retry.statuses) == [429, 500, 502, 503]
    assert sorted(some.fallback_statuses) == [401, 403, 404, 408, 429, 500, 502, 503]
    assert (some.weight, some.priority, some.takes_fallbacks, some.metadata_match) == (0, 0, True, {})
    assert Retry() == Retry(attempts=2)


def test_equals_nothing_but_itself(candidate):
    """The same target may stand in a route twice, with different overrides."""
    one, other = candidate("azure/gpt"), candidate("azure/gpt")

    assert one != other
    assert len({one, other}) == 2


def test_a_route_knows_what_need_not_be_looked_at(candidate):
    plain = candidate("azure/gpt")

    assert not Route("r", "weight", (plain,)).is_conditional
    assert Route("r", "weight", (plain, candidate("a/b", metadata_match={"region": "EU"}))).is_conditional
    assert not Route("r", "weight", (plain,)).is_choosy
    assert Route("r", "weight", (plain, candidate("a/b", takes_fallbacks=False))).is_choosy


@pytest.mark.parametrize("ttl_s", [0, -1, float("nan")])
def test_a_session_without_duration_is_refused(ttl_s):
    with pytest.raises(ValueError, match="must be above 0"):
        Sticky(ttl_s, (("headers", "x-session-id"),))
