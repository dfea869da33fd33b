"""Where counters and tokens are kept."""

from collections.abc import Awaitable, Callable, Mapping

from gateway.contract.limits import Counters
from gateway.state.bus import redis_named, redis_url


def counters_from(environ: Mapping[str, str], restore: Callable[[], Awaitable[None]]) -> Counters:
    """In Redis where there is one, so that all replicas count together; else in this process.

    Args:
        restore: called when Redis has lost what it knew.

    Raises:
        ConfigError: Redis cannot be used as it is named.
    """
    url = redis_url(environ)
    if url is None:
        from gateway.state.counters.memory import MemoryCounters

        return MemoryCounters()
    from gateway.state.counters.failover import FailoverCounters
    from gateway.state.counters.redis import RedisCounters

    with redis_named():
        return FailoverCounters(RedisCounters(url, on_new_epoch=restore))
