"""The connection to Redis, and the script that runs there."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha1
from importlib.resources import files
from typing import Any

import msgspec

from gateway.errors import Unavailable
from gateway.state.counters.batch import Reply, read


class ScriptedRedis:
    """One connection to Redis, on which counters.lua is called, one call at a time.

    The package redis, an extra, is imported when one is made.

    Args:
        url: as `redis://user:password@host:port/0`.
        timeout_s: the longest that connecting and an answer may take together.

    Raises:
        ValueError: that is no URL of a Redis server.
        ModuleNotFoundError: redis is not installed.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        from redis import asyncio as aioredis
        from redis import exceptions
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        self.timeout_s = timeout_s
        self._errors = exceptions
        # Its own retries would wait a minute for a server that has frozen; its own time limits cost a task each.
        pool: Any = aioredis.ConnectionPool.from_url(
            url, socket_timeout=None, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
        )
        self._connection = pool.make_connection()
        self._script = files("gateway.state.counters").joinpath("counters.lua").read_bytes()
        self._sha = sha1(self._script, usedforsecurity=False).hexdigest()

    async def call(self, arguments: Sequence[object]) -> Reply:
        """Raises Unavailable, and says why, whatever goes wrong."""
        try:
            async with asyncio.timeout(self.timeout_s):
                return read(await self._call(arguments))
        except TimeoutError as error:
            raise Unavailable("redis does not answer in time") from error
        except (self._errors.ResponseError, self._errors.AuthenticationError) as error:
            raise Unavailable(f"redis refuses: {str(error)[:200]}") from error
        except (self._errors.RedisError, OSError) as error:
            raise Unavailable(f"redis cannot be reached: {type(error).__name__}") from error
        except msgspec.MsgspecError as error:
            raise Unavailable("redis answers something else") from error

    async def close(self) -> None:
        with suppress(self._errors.RedisError, OSError):
            await self._connection.disconnect()

    async def _call(self, arguments: Sequence[object]) -> bytes:
        """A connection that was idle may have been closed from the other side; asking twice does no harm."""
        was_connected = self._connection.is_connected
        try:
            return await self._evaluate(arguments)
        except self._errors.ConnectionError:
            if not was_connected:
                raise
        return await self._evaluate(arguments)

    async def _evaluate(self, arguments: Sequence[object]) -> bytes:
        try:
            await self._connection.send_command("EVALSHA", self._sha, *arguments)
            answer: bytes = await self._connection.read_response()
        except self._errors.NoScriptError:  # a new server, or a flush; this loads it as well
            await self._connection.send_command("EVAL", self._script, *arguments)
            answer = await self._connection.read_response()
        return answer
