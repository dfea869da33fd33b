"""Tells the other replicas something, over Redis. Losing a message only costs time, or precision."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog

from gateway.errors import ConfigError, Fault
from gateway.secrecy.secret import Secret
from gateway.wire.urls import ENCODED, split_server_url

CHANGED = "gateway:changed"
"""The database has changed."""
HEALTH = "gateway:health"
"""How targets are doing."""
TIMEOUT_S = 1.0
PING_S = 2.0
RECONNECT_S = 1.0

SCHEMES = ("redis", "rediss", "unix")
PARAMETERS: Mapping[str, Sequence[str]] = {
    "client_name": (),
    "db": (),
    "password": (),
    "ssl_ca_certs": (),
    "ssl_ca_path": (),
    "ssl_cert_reqs": ("none", "optional", "required"),
    "ssl_certfile": (),
    "ssl_check_hostname": ("true", "false"),
    "ssl_keyfile": (),
    "ssl_password": (),
    "username": (),
}
"""Of a Redis URL -> the values it may have; empty: any. How long to wait and how to retry is decided here."""

log = structlog.get_logger(__name__)


class Bus:
    """Publishes and hears announcements. `is_listening`: they do arrive just now.

    The package redis, an extra, is imported only here.

    Args:
        url: as `redis://user:password@host:port/0`.
        timeout_s: the longest wait for a connection, and for an answer.
        ping_s: how long the connection may be silent before it is asked whether it is still there.

    Raises:
        ValueError: that is no URL of a Redis server.
        ModuleNotFoundError: redis is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        channel: str = CHANGED,
        timeout_s: float = TIMEOUT_S,
        ping_s: float = PING_S,
        reconnect_s: float = RECONNECT_S,
    ) -> None:
        from redis import asyncio as aioredis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        self._channel = channel
        self._failures = (RedisError, OSError)
        # The client's own retries would wait a minute for a server that has frozen.
        self._redis = aioredis.Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
        )
        self._ping_s = ping_s
        self._reconnect_s = reconnect_s
        self.is_listening = False
        self._announcing: set[asyncio.Task[None]] = set()

    def announce(self, data: bytes = b"") -> None:
        """Does not wait, and does not fail."""
        task = asyncio.create_task(self._announce(data))
        self._announcing.add(task)
        task.add_done_callback(self._announcing.discard)

    async def listen(self, heard: Callable[[bytes], None]) -> None:
        """Calls `heard` with each announcement, and with b"" when some may have been missed. Until it is cancelled."""
        was_told = False
        while True:
            try:
                await self._listen(heard)
            except self._failures as error:
                if self.is_listening or not was_told:
                    log.warning("redis does not announce changes; looking for them instead", reason=str(error))
                self.is_listening, was_told = False, True
            await asyncio.sleep(self._reconnect_s)

    async def close(self) -> None:
        if self._announcing:
            await asyncio.wait(self._announcing)
        await self._redis.aclose()

    async def _listen(self, heard: Callable[[bytes], None]) -> None:
        async with self._redis.pubsub() as channel:
            await channel.subscribe(self._channel)
            pinged = False
            while True:
                message = await channel.get_message(timeout=self._ping_s)
                if message is not None:
                    pinged = False
                    if message["type"] in ("subscribe", "message"):
                        self.is_listening = True
                        heard(message["data"] if message["type"] == "message" else b"")
                elif pinged:
                    raise TimeoutError("no answer to a ping")
                else:
                    pinged = True
                    await channel.ping()

    async def _announce(self, data: bytes) -> None:
        try:
            await self._redis.publish(self._channel, data)
        except self._failures as error:
            log.warning("change not announced; others find it within seconds", reason=str(error))


def bus_from(url: Secret | None, channel: str) -> Bus | None:
    """None: there is no Redis. Raises ConfigError: it cannot be used as it is named."""
    if url is None:
        return None
    with redis_named():
        return Bus(url.reveal(), channel=channel)


def redis_url(url: str) -> Secret:
    """The URL of a Redis server. Raises ValueError: it is none, and what to write instead, without the URL."""
    try:
        parts, query = split_server_url(url)
    except ValueError:
        # Not `from` it: its text may hold a part of the password.
        raise ValueError(f"expected redis://user:password@host:port/0, {ENCODED}") from None
    if parts.scheme not in SCHEMES:
        raise ValueError(
            f"is no URL of a Redis server: it starts with none of {', '.join(f'{name}://' for name in SCHEMES)}"
        )
    if parts.scheme != "unix" and parts.path.strip("/") and not parts.path.strip("/").isdecimal():
        raise ValueError("what follows the host is the number of a database, as in redis://host:6379/0")
    for name, value in query.items():
        if name.startswith("ssl_") and parts.scheme != "rediss":
            raise ValueError(f"parameter {name[:60]!r} is about TLS: write rediss://")
        if name not in PARAMETERS:
            raise ValueError(f"unknown parameter {name[:60]!r}: leave it out; known are {', '.join(PARAMETERS)}")
        if PARAMETERS[name] and value not in PARAMETERS[name]:
            raise ValueError(f"{name} is one of {', '.join(PARAMETERS[name])}")
    return Secret(url)


@contextmanager
def redis_named() -> Iterator[None]:
    """Around what is made for `GATEWAY_REDIS_URL`. Raises ConfigError: Redis cannot be used as it is named there."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise _wrong("needs a package that is not installed: pip install redis") from error
    except ValueError as error:
        raise _wrong(f"is no URL of a Redis server: {error}") from error


def _wrong(problem: str) -> ConfigError:
    return ConfigError([Fault("the environment", 0, "GATEWAY_REDIS_URL", problem)])
