"""Replicas tell each other how targets are doing, over a real Redis."""

from contextlib import AsyncExitStack
from random import Random

from gateway.contract import Target
from gateway.contract.route import Retry
from gateway.providers.demo import Demo
from gateway.rules.routing import FaultOwner, Health
from gateway.rules.routing.routes import direct
from gateway.state.bus import HEALTH, Bus
from gateway.state.shared_health import SharedHealth

TARGET = direct(
    Target(name="openai-main/gpt-4o", model="gpt-4o", model_types=frozenset({"chat"}), provider=Demo()), Retry()
)


async def test_a_target_that_fails_here_is_avoided_there(redis_url, until):
    """One that rests, because its provider said so, is known to do so everywhere."""
    clock = lambda: 1000.0  # noqa: E731
    one, two = Health(Random(1)), Health(Random(2))
    async with AsyncExitStack() as stack:
        for health in (one, two):
            shared = SharedHealth(health, Bus(redis_url, channel=HEALTH), every_s=0.01, clock=clock)
            await stack.enter_async_context(shared.running())
            await until(lambda shared=shared: shared.bus.is_listening)

        one.failed(TARGET.name, TARGET.account, FaultOwner.TARGET, clock())
        one.failed(TARGET.name, TARGET.account, FaultOwner.TARGET, clock(), 30.0)

        await until(lambda: two.unwell([TARGET], clock()) == [TARGET])
    assert one.unwell([TARGET], clock()) == [TARGET]


async def test_nothing_waits_for_redis(own_redis, until):
    """It is frozen when there is something to tell, and gone when that ends."""
    health = Health(Random(1))
    shared = SharedHealth(health, Bus(own_redis.url, channel=HEALTH, timeout_s=0.05), every_s=0.01, clock=lambda: 0.0)
    async with shared.running():
        await until(lambda: shared.bus.is_listening)
        with own_redis.frozen():
            health.failed(TARGET.name, TARGET.account, FaultOwner.TARGET, 0.0)
            await until(lambda: not shared.bus.is_listening)
