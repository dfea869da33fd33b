"""Where counters and tokens are kept."""

from collections.abc import Awaitable, Callable

from gateway.contract.limits import Counters
from gateway.secrecy.secret import Secret
from gateway.state.bus import redis_named


def counters_from(redis_url: Secret | None, restore: Callable[[], Awaitable[None]]) -> Counters:
    """In Redis where there is one, so that all replicas count together; else in this process.

    Args:
        restore: called when Redis has lost what it knew.

    Raises:
        ConfigError: Redis cannot be used as it is named.
    """
    if redis_url is None:
        from gateway.state.counters.memory import MemoryCounters

        return MemoryCounters()
    from gateway.state.counters.failover import FailoverCounters
    from gateway.state.counters.redis import RedisCounters

    with redis_named():
        return FailoverCounters(RedisCounters(redis_url.reveal(), on_new_epoch=restore))
