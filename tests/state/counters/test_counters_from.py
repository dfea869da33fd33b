"""Where a gateway counts."""

import pytest

from gateway.errors import ConfigError
from gateway.secrecy.secret import Secret
from gateway.state.counters import counters_from
from gateway.state.counters.failover import FailoverCounters
from gateway.state.counters.memory import MemoryCounters


async def never():
    raise AssertionError("nobody asked")


async def test_counters_are_shared_where_there_is_redis():
    shared = counters_from(Secret("redis://127.0.0.1:1/0"), never)

    assert isinstance(shared, FailoverCounters)
    assert isinstance(counters_from(None, never), MemoryCounters)
    await shared.close()


def test_a_url_that_is_none():
    with pytest.raises(ConfigError, match="is no URL of a Redis server"):
        counters_from(Secret("http://127.0.0.1"), never)
