"""URLs as people write them, and what must not be in an error."""

import asyncio
import stat
import sys
import traceback

import pytest

from gateway.errors import ConfigError, Conflict, Unavailable
from gateway.state.database.engine import connected, engine_of
from gateway.state.database.migrate import migrate
from gateway.state.database.store import Store


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
async def test_sqlite_is_set_up_for_several_processes(tmp_path, scheme):
    engine = engine_of(f"{scheme}:///{tmp_path}/a%20b #:@.db", timeout_s=2)

    async with connected(engine) as connection:
        settings = [
            (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        ]

    await engine.dispose()
    assert settings == ["wal", 1500, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["a%20b #:@.db"]


async def test_nobody_else_may_read_the_file(tmp_path):
    """It holds digests of tokens and sealed secrets; so do the files that SQLite puts beside it."""
    await migrate(f"sqlite:///{tmp_path}/data/gateway.db")
    store = Store(f"sqlite:///{tmp_path}/data/gateway.db")
    await store.versions()

    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (tmp_path / "data").iterdir()}
    await store.close()

    assert modes == {"gateway.db": "0o600", "gateway.db-wal": "0o600", "gateway.db-shm": "0o600"}
    assert oct(stat.S_IMODE((tmp_path / "data").stat().st_mode)) == "0o700"


async def test_a_relative_path_starts_where_we_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    await migrate("sqlite:///gateway.db")

    assert (tmp_path / "gateway.db").exists()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg", "POSTGRES"])
async def test_postgres_by_any_of_its_names(postgres, scheme):
    engine = engine_of(f"{scheme}://postgres@/postgres?host={postgres.socket}", timeout_s=2)

    async with connected(engine) as connection:
        settings = [
            (await connection.exec_driver_sql(f"SHOW {name}")).scalar()
            for name in ("transaction_isolation", "application_name")
        ]

    assert settings == ["read committed", "llm-asgi-gateway"]
    await engine.dispose()


@pytest.mark.parametrize("where", ["postgres@/postgres?host=", "/postgres?user=postgres&host=", "postgres@/?host=/no,"])
async def test_postgres_where_it_listens(postgres, where):
    """Of several hosts, as a cluster has, the first that answers."""
    engine = engine_of(f"postgresql://{where}{postgres.socket}")

    async with connected(engine) as connection:
        assert (await connection.exec_driver_sql("SELECT current_user")).scalar() == "postgres"
    await engine.dispose()


@pytest.mark.parametrize(
    "hosts", ["a", "a:5432", "a:5432,b:5433", "[::1]:5432", "10.0.0.1,b", "ana%40x:p%2Fw%3A@a:1", "ana:@a"]
)
def test_hosts_of_postgres(hosts):
    assert engine_of(f"postgresql://{hosts}/gateway?target_session_attrs=primary").dialect.name == "postgresql"


@pytest.mark.parametrize(
    "query",
    [
        "sslmode=disable",
        "sslmode=prefer&connect_timeout=10&keepalives=1&keepalives_idle=5",
        "ssl=prefer",
        "channel_binding=prefer&gssencmode=disable",
        "application_name=x&options=-c%20search_path%3Dpublic",
        "fallback_application_name=x&sslsni=0&sslcompression=0",
        "target_session_attrs=read-write",
        "sslrootcert=",
    ],
)
async def test_parameters_of_libpq(postgres, query):
    """A URL that works with psql works here; a server would refuse what it takes for unknown settings."""
    engine = engine_of(f"postgresql://postgres@/postgres?host={postgres.socket}&{query}")

    async with connected(engine) as connection:
        assert (await connection.exec_driver_sql("SELECT 1")).scalar() == 1
    await engine.dispose()


async def test_a_server_without_tls_is_refused_when_it_is_required(tcp_server):
    """To go on without would show the password to the network."""
    received = asyncio.Queue()

    async def answer(reader, writer):
        received.put_nowait(await reader.read(100))
        writer.write(b"N")  # no TLS here
        received.put_nowait(await reader.read(100))

    async with tcp_server(answer) as port:
        store = Store(f"postgresql://ana:s3cret@127.0.0.1:{port}/gateway?sslmode=require")

        refusal = r"127\.0\.0\.1:\d+ cannot be reached: PostgreSQL .* rejected SSL upgrade"
        with pytest.raises(Unavailable, match=refusal):
            await store.versions()
        assert [await received.get(), await received.get()] == [b"\0\0\0\x08\x04\xd2\x16\x2f", b""]


def test_a_driver_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "asyncpg", None)

    with pytest.raises(ConfigError, match="not installed: pip install asyncpg"):
        Store("postgresql://ana:s3cret@host/db")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "neither sqlite:/// nor postgresql://"),
        ("gateway.db", "neither sqlite:/// nor postgresql://"),
        ("mysql://ana:s3cret@host/db", "neither sqlite:/// nor postgresql://"),
        ("postgresql+psycopg2://ana:s3cret@host/db", "write postgresql:// alone"),
        ("sqlite://", "the path of a file"),
        ("sqlite:///", "the path of a file"),
        ("sqlite:///:memory:", "the path of a file"),
        ("sqlite:///gateway.db?mode=memory", "without parameters"),
        ("postgresql://ana:s3cret@host:s3cret/db", "expected postgresql://"),
        ("postgresql://ana:s3cret/x@host/db", "expected postgresql://"),
        ("postgresql://ana:s3cret@[::1/db", "expected postgresql://"),
        ("postgresql://ana:s3cret@host/db?s3cret", "expected postgresql://"),
        ("postgresql://ana:s3cr@et@host/db", "percent-encoded"),
        ("postgresql://ana:12/s3cret@host/db", "percent-encoded"),
        ("postgresql://ana:s3c#ret@host/db", "percent-encoded"),
        ("postgresql://ana:12?a=s3cret@host/db", "percent-encoded"),
        ("postgresql://ana:s3cret@host/db?connection_limit=5", "'connection_limit': leave it out: the gateway keeps"),
        ("postgresql://ana:s3cret@host/db?pgbouncer=true", "'pgbouncer': leave it out: nothing has to be set"),
        ("postgresql://ana:s3cret@host/db?schema=x", "'schema': write options=-c%20search_path%3D"),
        ("postgresql://ana:s3cret@host/db?currentSchema=x", "'currentSchema': write options=-c%20search_path%3D"),
        ("postgresql://ana:s3cret@host/db?sslaccept=strict", "'sslaccept': write sslmode="),
        ("postgresql://ana:s3cret@host/db?foo=s3cret", "'foo': leave it out; a setting of the server is written"),
        ("postgresql://ana:s3cret@host/db?ssl=true", "sslmode is one of disable, allow, prefer"),
        ("postgresql://ana:s3cret@host/db?sslmode=no-verify", "sslmode is one of disable, allow, prefer"),
        ("postgresql://ana:s3cret@host/db?target_session_attrs=x", "target_session_attrs is one of any, primary"),
        ("postgresql://ana:s3cret@host/db?sslmode=yes", "sslmode is one of disable, allow, prefer"),
        ("postgresql://ana:s3cret@host/db?channel_binding=require", "leave it out"),
    ],
)
def test_a_url_that_cannot_be_used(url, problem):
    """It says what to do; of the URL it repeats nothing, since parts of the password may be anywhere in it."""
    with pytest.raises(ConfigError, match=problem) as raised:
        Store(url)

    told = "".join(traceback.format_exception(raised.value))
    assert "s3c" not in told


async def test_a_password_is_never_told():
    url = "postgresql://ana:s3cret@127.0.0.1:1/gateway"
    store, engine = Store(url), engine_of(url)

    with pytest.raises(Unavailable) as raised:
        await store.versions()
    told = "".join(traceback.format_exception(raised.value))
    told += f"{store!r} {engine!r} {engine.url!r} {engine.pool!r} {engine.pool.status()}"
    await store.close()

    assert "s3cret" not in told


async def test_values_are_not_in_errors(store, token_of):
    """Errors come into logs; what is stored does not belong there."""
    token = token_of("t", name="s3cret")
    async with store.change("a") as transaction:
        await transaction.add_token(token)

    with pytest.raises(Conflict) as raised:
        async with store.change("a") as transaction:
            await transaction.add_token(token)

    assert "s3cret" not in "".join(traceback.format_exception(raised.value))
