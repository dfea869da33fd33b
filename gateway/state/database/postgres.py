"""PostgreSQL: how it is connected to, and what it says when it refuses."""

import asyncio
import socket
import ssl
from typing import Any
from urllib.parse import urlencode, urlunsplit

from sqlalchemy import ExceptionContext, event

from gateway.errors import ConfigError, Fault, GatewayError, Unavailable
from gateway.state.database.async_engine import AsyncEngine, create_async_engine
from gateway.wire.urls import ENCODED, split_server_url

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SESSIONS = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")
KNOWN = {
    "application_name",
    "database",
    "dbname",
    "gsslib",
    "host",
    "krbsrvname",
    "options",
    "passfile",
    "password",
    "port",
    "service",
    "servicefile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "target_session_attrs",
    "user",
}
"""Parameters of libpq that asyncpg knows. All others it would send to the server, which would refuse them."""
IGNORED = {
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "sslcompression",
    "sslsni",
    "tcp_user_timeout",
}
"""Those that it does not know, and that nothing is lost without."""
_POOL = "leave it out: the gateway keeps at most 8 connections for changes, and as many for the ledger"
_BOUNCER = "leave it out: nothing has to be set for PgBouncer"
_SCHEMA = "write options=-c%20search_path%3D and the name of the schema"
_TLS = "write sslmode=require, or sslmode=verify-full with sslrootcert="
INSTEAD = {
    "connection_limit": _POOL,
    "max_connections": _POOL,
    "pool_size": _POOL,
    "pool_timeout": _POOL,
    "pgbouncer": _BOUNCER,
    "prepareThreshold": _BOUNCER,
    "prepared_statement_cache_size": _BOUNCER,
    "statement_cache_size": _BOUNCER,
    "currentSchema": _SCHEMA,
    "schema": _SCHEMA,
    "search_path": _SCHEMA,
    "sslaccept": _TLS,
    "sslidentity": _TLS,
    "sslfactory": _TLS,
    "useSSL": _TLS,
}
"""What people write who come from Prisma (as LiteLLM's users do), JDBC or SQLAlchemy."""

_REFUSING = ("08", "28", "3D", "3F", "53", "57", "58", "F0", "XX")
"""Classes of errors that are about the server or the login, and not about the statement."""
READ_ONLY = "25006"
NO_PERMISSION = "42501"


def postgres_engine(url: str, *, timeout_s: float, closing_s: float, **pool: Any) -> AsyncEngine:
    """
    Args:
        timeout_s: the longest wait for a connection, and for an answer; `closing_s`: for the end of a connection.

    Raises:
        ConfigError: the URL cannot be used, or the driver is not installed.
    """
    try:
        import asyncpg  # type: ignore[import-untyped]  # only now: it is an extra
    except ImportError as error:
        raise wrong("PostgreSQL needs a driver that is not installed: pip install asyncpg") from error

    dsn, hosts = _dsn(url)

    class Connection(asyncpg.Connection):  # type: ignore[misc]  # it comes without types
        async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
            """Waits shortly for the server, then cuts the connection."""
            async with asyncio.timeout(closing_s):
                await super().close(timeout=closing_s)

    async def connect(**options: Any) -> Any:
        try:
            return await asyncpg.connect(**options)
        except TimeoutError:
            raise
        except asyncpg.PostgresError as error:
            raise Unavailable(_refusal(error.sqlstate, str(error), hosts), retry_after_s=1) from error
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError, ValueError) as error:
            problem = f"the database at {hosts} cannot be reached: {_hindrance(error)}"
            raise Unavailable(problem, retry_after_s=1) from error

    engine = create_async_engine(
        "postgresql+asyncpg://",
        connect_args={
            "async_creator_fn": connect,
            "dsn": dsn,
            "connection_class": Connection,
            "timeout": timeout_s,
            "command_timeout": timeout_s,
            # PgBouncer may give each transaction to another session, so no statement is prepared for longer than that.
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": str,  # no name
        },
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        hide_parameters=True,
        **pool,
    )

    @event.listens_for(engine.sync_engine, "handle_error")
    def named(context: ExceptionContext) -> GatewayError | None:
        code = getattr(context.original_exception, "sqlstate", None) or ""
        if code == READ_ONLY:
            context.is_disconnect = True  # it was the primary once; whoever is now, new connections find
        if context.is_pre_ping or not code.startswith((*_REFUSING, READ_ONLY, NO_PERMISSION)):
            return None  # a connection that was closed while nobody used it is opened anew
        cause = context.original_exception.__cause__ or context.original_exception
        return Unavailable(_refusal(code, str(cause), hosts), retry_after_s=1)

    return engine


def _dsn(url: str) -> tuple[str, str]:
    """The URL as asyncpg reads it, and where that leads to, for people."""
    try:
        parts, query = split_server_url(url)
    except ValueError:
        # Not `from` it: its text may hold a part of the password.
        raise wrong(f"expected postgresql://user:password@host:port/database?parameter=value, {ENCODED}") from None
    if "ssl" in query:  # as SQLAlchemy calls it
        query["sslmode"] = query.pop("ssl")
    if query.pop("channel_binding", "prefer") == "require":
        raise wrong("the driver cannot do channel_binding=require; leave it out and set sslmode=verify-full")
    query = {name: value for name, value in query.items() if name not in IGNORED}
    if faults := [f"unknown parameter {name[:60]!r}: {_instead(name)}" for name in query if name not in KNOWN]:
        raise wrong(*faults)
    if query.get("sslmode", "prefer") not in SSL_MODES:
        raise wrong(f"sslmode is one of {', '.join(SSL_MODES)}")
    if query.get("target_session_attrs", "any") not in SESSIONS:
        raise wrong(f"target_session_attrs is one of {', '.join(SESSIONS)}")
    hosts = parts.netloc.rpartition("@")[2] or query.get("host", "")
    if "," in hosts:  # all but one may be standbys, which cannot be written
        query.setdefault("target_session_attrs", "read-write")
    query = {"application_name": "llm-asgi-gateway"} | query
    return urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(query), "")), hosts or "the local socket"


def _instead(name: str) -> str:
    return INSTEAD.get(name) or "leave it out; a setting of the server is written options=-c%20name%3Dvalue"


def _refusal(code: str, message: str, hosts: str) -> str:
    """What the server says: it names users and databases, and never a password. The text may be in its language, the
    code is not."""
    advice = {
        "28P01": "; check user and password in the URL",
        READ_ONLY: "; it is a standby now: name all hosts in the URL, or one that always leads to the primary",
    }
    return f"the database at {hosts} refuses: {message} ({code}){advice.get(code, '')}"


def _hindrance(error: Exception) -> str:
    match error:
        case socket.gaierror():
            return f"the name of the host cannot be looked up: {error.strerror}"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted: {error.verify_message}"
        case ConnectionRefusedError():
            return "nobody listens there"
        case FileNotFoundError():
            return "its socket, or a file that its URL names, is not there"
        case OSError(strerror=str() as reason):
            return reason
        case OSError():
            return str(error) or "the connection was closed"
        case ValueError():
            return "a parameter of its URL has a value that the driver cannot use"
    return str(error)


def wrong(*problems: str) -> ConfigError:
    return ConfigError([Fault("the database's URL", 0, "", problem) for problem in problems])
