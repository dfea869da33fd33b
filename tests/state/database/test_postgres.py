"""What PostgreSQL refuses, and how people get to know it."""

import traceback
from datetime import UTC, datetime, timedelta

import pytest

from gateway.contract.entry import Charge, Entry
from gateway.contract.limits import Hold, Unit
from gateway.contract.windows import Window
from gateway.errors import Unavailable
from gateway.state.database.ledger import LedgerStore
from gateway.state.database.store import Store

ANA = "user:ana@example.com"
IN_TIME_S = 60.0
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


async def put_user(store, email):
    async with store.change(ANA) as transaction:
        await transaction.put_user(email)


def saying(answer):
    """A server that says no more than that."""

    async def talk(reader, writer):
        await reader.read(1000)
        writer.write(answer)
        await reader.read(1000)

    return talk


def fatal(code, message):
    fields = b"SFATAL\0C%b\0M%b\0\0" % (code, message)
    return b"E" + (len(fields) + 4).to_bytes(4) + fields


@pytest.mark.parametrize(
    ("answer", "query", "problem"),
    [
        (
            fatal(b"28P01", b'password authentication failed for user "ana"'),
            "sslmode=disable",
            'refuses: password authentication failed for user "ana" (28P01); check user and password in the URL',
        ),
        (fatal(b"57P03", b"the database system is starting up"), "sslmode=disable", "is starting up (57P03)"),
        (b"N", "sslmode=require", "rejected SSL upgrade"),
        (b"", "sslmode=verify-full&sslrootcert=/none", "a file that its URL names, is not there"),
    ],
)
async def test_says_why_it_was_not_let_in(tcp_server, answer, query, problem):
    """All of these were "cannot be reached; try again in a moment", for ever."""
    async with tcp_server(saying(answer)) as port:
        store = Store(f"postgresql://ana:s3cret@127.0.0.1:{port}/gateway?{query}", deadline_s=IN_TIME_S)
        with pytest.raises(Unavailable) as raised:
            await store.versions()
        await store.close()

    assert raised.value.message.startswith(f"the database at 127.0.0.1:{port} ")
    assert problem in raised.value.message
    assert "s3cret" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("hosts", "problem"),
    [
        ("127.0.0.1:1", "the database at 127.0.0.1:1 cannot be reached: nobody listens there"),
        ("127.0.0.1:1,127.0.0.1:2", "the database at 127.0.0.1:1,127.0.0.1:2 cannot be reached: nobody listens there"),
        ("gateway.invalid", "the database at gateway.invalid cannot be reached: the name of the host cannot be looked"),
    ],
)
async def test_says_where_nobody_is(hosts, problem):
    store = Store(f"postgresql://ana:s3cret@{hosts}/gateway", deadline_s=IN_TIME_S)

    with pytest.raises(Unavailable) as raised:
        await store.versions()
    await store.close()

    assert raised.value.message.startswith(problem)


@pytest.fixture
def database_url(postgres, migrated_template):
    with postgres.database(migrated_template) as url:
        yield url


@pytest.fixture
def entry():
    hold = Hold(key="org|cost|month", rule="org-cap", unit=Unit.COST, window=Window.MONTH, limit=1000)
    return Entry(request_id="1", at=NOW, subject=ANA, model="m/x", outcome="complete", charges=(Charge(hold, 7),))


@pytest.fixture
async def store(database_url):
    store = Store(database_url, deadline_s=IN_TIME_S)
    yield store
    await store.close()


async def test_there_is_no_such_database(postgres):
    store = Store(f"postgresql://postgres@/nowhere?host={postgres.socket}", deadline_s=IN_TIME_S)

    with pytest.raises(Unavailable, match=r'refuses: database "nowhere" does not exist \(3D000\)'):
        await store.versions()
    await store.close()


async def test_a_role_without_rights_or_without_room(postgres, database_url, sql):
    """Both heal without a restart once somebody has seen to them."""
    await sql("CREATE ROLE guest LOGIN CONNECTION LIMIT 0")
    store = Store(database_url.replace("postgres@", "guest@"), deadline_s=IN_TIME_S)
    try:
        with pytest.raises(Unavailable, match=r'refuses: too many connections for role "guest" \(53300\)'):
            await store.versions()
        await sql("ALTER ROLE guest CONNECTION LIMIT -1")
        with pytest.raises(Unavailable, match=r"refuses: permission denied for table state \(42501\)"):
            await store.versions()
        await sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
        assert (await store.versions()).tokens == 0
    finally:
        await store.close()
        await sql("DROP OWNED BY guest")
        await sql("DROP ROLE guest")


async def test_a_primary_that_has_become_a_standby(store, postgres, database_url, entry):
    """Nothing is confirmed that is not written, and the one who is primary now is found without a restart."""
    ledger = LedgerStore(database_url, deadline_s=IN_TIME_S)
    database = database_url.partition("@/")[2].partition("?")[0]
    await put_user(store, "a")
    postgres.sql(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    postgres.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")

    with pytest.raises(Unavailable, match=r"read-only transaction \(25006\); it is a standby now"):
        await put_user(store, "b")
    with pytest.raises(Unavailable, match=r"\(25006\)"):
        await ledger.write([entry], at=NOW)
    assert [user.email for user in await store.users()] == ["a"]
    postgres.sql(f"ALTER DATABASE {database} RESET default_transaction_read_only")

    with pytest.raises(Unavailable, match=r"\(25006\)"):
        await put_user(store, "b")  # by a connection from before
    await put_user(store, "b")
    assert await ledger.write([entry], at=NOW) == 1
    assert await ledger.write([entry], at=NOW) == 0
    await ledger.close()
    assert [user.email for user in await store.users()] == ["a", "b"]


async def test_a_bill_whose_commit_is_in_doubt_counts_once(postgres, database_url, sql, entry):
    """The connection ends in the midst of the commit; the writer, who cannot tell, writes it again."""
    await sql(
        "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'"
    )
    await sql(
        "CREATE CONSTRAINT TRIGGER leave AFTER INSERT ON ledger DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION leave()"
    )
    ledger = LedgerStore(database_url, deadline_s=IN_TIME_S)

    with pytest.raises(Unavailable):
        await ledger.write([entry], at=NOW)
    await sql("DROP TRIGGER leave ON ledger")
    written = [await ledger.write([entry], at=NOW) for _ in range(2)]

    assert written == [1, 0]
    assert [total.amount for total in await ledger.totals(NOW)] == [7]
    await ledger.close()


async def test_the_time_zone_of_the_server_does_not_matter(database_url, entry):
    """Moments go there as text."""
    ledger = LedgerStore(f"{database_url}&options=-c%20timezone%3DAmerica/New_York", deadline_s=IN_TIME_S)

    await ledger.write([entry], at=NOW)
    written = await ledger.entry(entry.request_id)
    rows = await ledger.usage("day", NOW.date(), NOW.date() + timedelta(days=1))
    await ledger.close()

    assert (written.at, [row.requests for row in rows]) == (entry.at, [1])
