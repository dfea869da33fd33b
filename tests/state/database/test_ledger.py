"""What is written of requests is counted once, whoever writes it and how often, and adds up in every question."""

import asyncio
from datetime import UTC, date, datetime

import msgspec
import pytest

from gateway.contract.entry import Charge, Entry
from gateway.contract.limits import Hold, Mode, Unit
from gateway.contract.price import Bill, BillLine, Price, Rate, Tariff
from gateway.contract.usage import Usage
from gateway.contract.windows import Window
from gateway.errors import BadRequest, Unavailable
from gateway.state.database.ledger import LedgerStore
from gateway.state.database.ledger_rows import Alert, DueAlert, Total, UsageRow

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
DAY_S, MONTH_S = 1772668800, 1772323200  # 2026-03-05 and 2026-03-01
DAY_ENDS_S, MONTH_ENDS_S = 1772755200, 1775001600
ANA, BO = "user:ana@example.com", "user:bo@example.com"

ORG = Hold(key="org|cost|month", rule="org-cap", unit=Unit.COST, window=Window.MONTH, limit=1000, is_budget=True)
EACH = Hold(key="each|ana", rule="each", scope=ANA, unit=Unit.TOKENS, window=Window.CALENDAR_DAY, limit=100)
BILL = Bill(cost=30, row="openai/gpt-4o", version="private", lines=(BillLine("input", 3, 10, 1, 30),))


class Alerts(msgspec.Struct):
    thresholds: tuple[float, ...]
    targets: tuple[dict[str, str], ...]


OPS = {"type": "slack-webhook", "notification_channel": "ops"}


def entry_of(request_id, cost=30, at=NOW, **fields):
    fields = {
        "subject": ANA,
        "teams": frozenset({"research"}),
        "model": "prod/chat",
        "resolved_model": "openai-main/gpt-4o",
        "outcome": "complete",
        "usage": Usage(input=3),
        "bill": msgspec.structs.replace(BILL, cost=cost),
        "charges": (Charge(ORG, cost),),
    } | fields
    return Entry(request_id=request_id, at=at, **fields)


ALERTS = {"org-cap": Alerts((75, 90, 100), (OPS,)), "quiet": Alerts((50,), ())}


@pytest.fixture
async def replica(database_url):
    """Opens the ledger as one of several replicas; it is closed at the end."""
    opened = []

    def open_ledger(deadline_s=20.0):
        opened.append(LedgerStore(database_url, alerts_of=lambda hold: ALERTS.get(hold.rule), deadline_s=deadline_s))
        return opened[-1]

    yield open_ledger
    for ledger in opened:
        await ledger.close()


@pytest.fixture
async def ledger(replica):
    return replica()


async def amounts(ledger, at=NOW):
    return {(total.key, total.begins_s): total.amount for total in await ledger.totals(at)}


async def test_an_entry_comes_back_as_it_was(ledger):
    """A bill is explained from it. Charges are in the totals."""
    entry = entry_of("r1", token_id="t1", metadata={"app": "bot", "x": "ä"}, charges=(Charge(ORG, 30), Charge(EACH, 3)))

    assert await ledger.write([entry], at=NOW) == 1

    assert await ledger.entry("r1") == msgspec.structs.replace(entry, charges=())
    assert await ledger.entry("r2") is None
    assert await ledger.totals(NOW) == [
        Total("each|ana", "each", ANA, Unit.TOKENS, Window.CALENDAR_DAY, DAY_S, DAY_ENDS_S, 3),
        Total("org|cost|month", "org-cap", "", Unit.COST, Window.MONTH, MONTH_S, MONTH_ENDS_S, 30),
    ]


async def test_what_is_not_known_stays_unknown(ledger):
    """An unknown price is no price of 0."""
    entry = entry_of("r1", resolved_model=None, usage=None, bill=None, teams=frozenset(), charges=())

    await ledger.write([entry], at=NOW)

    assert await ledger.entry("r1") == entry
    assert await ledger.totals(NOW) == []
    assert await ledger.usage("model", date(2026, 3, 5), date(2026, 3, 6)) == [
        UsageRow("prod/chat", requests=1, unpriced=1, cost=0, usage=Usage())
    ]


async def test_a_batch_sent_twice_counts_once(ledger):
    """The answer to a commit may be lost, and then nobody knows whether it was made."""
    batch = [entry_of("r1", cost=10), entry_of("r2", cost=20)]

    assert await ledger.write(batch, at=NOW) == 2
    assert await ledger.write(batch, at=NOW) == 0
    assert await ledger.write([entry_of("r2", cost=20), entry_of("r3", cost=40)], at=NOW) == 1

    assert await amounts(ledger) == {(ORG.key, MONTH_S): 70}
    (row,) = await ledger.usage("model", date(2026, 3, 5), date(2026, 3, 6))
    assert (row.requests, row.cost) == (3, 70)


@pytest.mark.parametrize("known", [[0], [100], [49, 50, 149], range(150)], ids=["first", "within", "some", "all"])
async def test_of_a_long_batch_what_is_known_counts_no_more(ledger, known):
    """As when a spool is replayed of which the first part had arrived."""
    batch = [entry_of(f"r{number:03}", cost=1) for number in range(150)]
    await ledger.write([batch[number] for number in known], at=NOW)

    assert await ledger.write(batch, at=NOW) == 150 - len(known)

    assert await amounts(ledger) == {(ORG.key, MONTH_S): 150}
    (row,) = await ledger.usage("day", date(2026, 3, 5), date(2026, 3, 6))
    assert (row.requests, row.cost) == (150, 150)


async def test_pictures_are_added_up(ledger):
    """Of what size they are, is not."""
    hd = Usage(images=2, image_size="1024x1792", image_quality="hd")
    await ledger.write([entry_of("r1", usage=hd, metadata={"app": "x"}), entry_of("r2", usage=Usage(images=1))], at=NOW)

    assert (await ledger.entry("r1")).usage == hd
    (row,) = await ledger.usage("day", date(2026, 3, 5), date(2026, 3, 6))
    assert row.usage == Usage(images=3)
    (row,) = await ledger.usage("metadata.app", date(2026, 3, 5), date(2026, 3, 6))
    assert row.usage == Usage(images=2)


async def test_a_bill_is_made_when_it_is_written(ledger):
    """Nobody waits for it, and it is made once."""
    price = Price(row="m/x", version="private", tariffs=(Tariff(rates={"input": Rate(10, 1)}),))

    await ledger.write([entry_of("r1", price=price, bill=None)], at=NOW)

    bill = Bill(cost=30, row="m/x", version="private", lines=(BillLine("input", 3, 10, 1, 30),))
    assert await ledger.entry("r1") == entry_of("r1", bill=bill, charges=())
    (row,) = await ledger.usage("day", date(2026, 3, 5), date(2026, 3, 6))
    assert (row.cost, row.unpriced) == (30, 0)


@pytest.mark.parametrize("cost", [2**63, 2**70])
async def test_a_number_that_cannot_be_stored_is_refused(ledger, cost):
    """Who writes then leaves that one out; else all others would wait for it for ever."""
    with pytest.raises(BadRequest):
        await ledger.write([entry_of("r1"), entry_of("r2", cost=cost)], at=NOW)

    assert await ledger.entry("r1") is None
    assert await ledger.totals(NOW) == []


async def test_a_request_that_is_twice_in_a_batch_counts_once(ledger):
    assert await ledger.write([entry_of("r1"), entry_of("r1")], at=NOW) == 1

    assert await amounts(ledger) == {(ORG.key, MONTH_S): 30}


async def test_nothing_is_written_of_nothing(ledger):
    assert await ledger.write([], at=NOW) == 0


async def test_each_window_has_its_own_total(ledger):
    """A request counts in the window it was made in, even if it is written in the next."""
    daily = (Charge(EACH, 7),)
    late, early = datetime(2026, 3, 4, 23, 59, 59, 999999, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC)

    await ledger.write([entry_of("r1", at=late, charges=daily), entry_of("r2", at=early, charges=daily)], at=NOW)

    assert await amounts(ledger) == {(EACH.key, DAY_S): 7}
    assert await amounts(ledger, late) == {(EACH.key, DAY_S): 7, (EACH.key, DAY_S - 86400): 7}


async def test_a_failed_batch_leaves_nothing(ledger):
    """A charge for a window that looks back from now belongs to no total; it is a fault of whoever made it."""
    sliding = Hold(key="k", rule="r", unit=Unit.COST, window=Window.DAY, limit=1)

    with pytest.raises(ValueError, match="no window of the calendar"):
        await ledger.write([entry_of("r1"), entry_of("r2", charges=(Charge(sliding, 1),))], at=NOW)

    assert await ledger.entry("r1") is None
    assert await ledger.usage("day", date(2026, 1, 1), date(2027, 1, 1)) == []


async def test_writers_at_once_count_each_request_once(ledger, replica):
    """Several replicas replay the same entries in different orders, and nobody waits for another in a circle."""
    holds = [
        Hold(key=f"k{number}", rule="each", scope=f"s{number}", unit=Unit.COST, window=Window.MONTH, limit=10)
        for number in range(5)
    ]
    batches = [
        [entry_of(f"r{batch}-{n}", charges=tuple(Charge(hold, 1) for hold in holds)) for n in range(20)]
        for batch in range(6)
    ]
    others = [replica() for _ in range(4)]

    async def write(store, order):
        return [await store.write(batches[number][::order], at=NOW) for number in range(6)[::order]]

    written = await asyncio.gather(*[write(store, (-1) ** number) for number, store in enumerate(others)])

    assert sum(map(sum, written)) == 120
    assert await amounts(ledger) == {(hold.key, MONTH_S): 120 for hold in holds}
    (row,) = await ledger.usage("team", date(2026, 3, 5), date(2026, 3, 6))
    assert (row.group, row.requests) == ("team:research", 120)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_does_not_wait_for_a_change(ledger, store):
    """Somebody who changes manifests holds up no bookkeeping."""
    async with store.change(ANA) as change:
        await change.put_user("bo@example.com")

        assert await ledger.write([entry_of("r1")], at=NOW) == 1


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 3000, "ä" * 400], ids=["nul", "surrogate", "long", "wide"])
async def test_no_text_keeps_a_request_out(ledger, text):
    """Callers choose metadata; with a clever one, what they use must not go uncounted, nor be counted as another's."""
    holds = [
        Hold(key=f"k|{text}{end}", rule="each", scope=text + end, unit=Unit.COST, window=Window.MONTH, limit=10)
        for end in "12"
    ]
    entry = entry_of("r1", subject=text, model=text, metadata={text: text}, charges=[Charge(hold, 5) for hold in holds])

    assert await ledger.write([entry], at=NOW) == 1

    assert list((await amounts(ledger)).values()) == [5, 5]


async def test_can_be_cancelled_whenever_it_waits(ledger):
    """A batch was written as a whole or not at all, and no connection is lost."""
    for turns in range(80):
        writing = asyncio.create_task(ledger.write([entry_of(f"r{turns}", cost=1)], at=NOW))
        for _ in range(turns):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])

    written = [turns for turns in range(80) if await ledger.entry(f"r{turns}")]
    assert (await amounts(ledger)).get((ORG.key, MONTH_S), 0) == len(written)
    assert ledger.connections.engine.pool.checkedout() == 0


# --- questions ---------------------------------------------------------------


@pytest.fixture
async def used(ledger):
    """Three requests of two people, two teams, two models and two days; one has no price."""
    yesterday = datetime(2026, 3, 4, 1, tzinfo=UTC)
    await ledger.write(
        [
            entry_of("r1", cost=10, metadata={"app": "bot", "env": "a'b\"c"}, usage=Usage(input=1, cache_read=2)),
            entry_of("r2", cost=20, at=yesterday, teams=frozenset({"research", "ops"}), usage=Usage(output=4)),
            entry_of("r3", subject=BO, teams=frozenset(), resolved_model="m/x", bill=None, metadata={"app": "bot"}),
        ],
        at=NOW,
    )
    return ledger


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("subject", [(ANA, 2, 0, 30), (BO, 1, 1, 0)]),
        ("team", [("team:ops", 1, 0, 20), ("team:research", 2, 0, 30)]),
        ("model", [("prod/chat", 3, 1, 30)]),
        ("resolved_model", [("m/x", 1, 1, 0), ("openai-main/gpt-4o", 2, 0, 30)]),
        ("day", [("2026-03-04", 1, 0, 20), ("2026-03-05", 2, 1, 10)]),
        ("metadata.app", [("bot", 2, 1, 10)]),
        ("metadata.env", [("a'b\"c", 1, 0, 10)]),
        ("metadata.') OR 1=1 --", []),
    ],
)
async def test_usage_is_grouped(used, by, expected):
    rows = await used.usage(by, date(2026, 3, 1), date(2026, 4, 1))

    assert [(row.group, row.requests, row.unpriced, row.cost) for row in rows] == expected


async def test_usage_has_all_classes(used):
    """By day and by metadata they come from different tables."""
    expected = Usage(input=4, cache_read=2)

    (by_day,) = await used.usage("day", date(2026, 3, 5), date(2026, 3, 6))
    (by_metadata,) = await used.usage("metadata.app", date(2026, 3, 5), date(2026, 3, 6))

    assert (by_day.usage, by_metadata.usage) == (expected, expected)


@pytest.mark.parametrize(
    ("by", "who", "expected"),
    [
        ("model", ANA, [("prod/chat", 30)]),
        ("day", "team:ops", [("2026-03-04", 20)]),
        ("metadata.app", ANA, [("bot", 10)]),
        ("model", "user:nobody@example.com", []),
    ],
)
async def test_usage_of_one(used, by, who, expected):
    rows = await used.usage(by, date(2026, 3, 1), date(2026, 4, 1), who=who)

    assert [(row.group, row.cost) for row in rows] == expected


async def test_there_are_no_other_groups(ledger):
    with pytest.raises(BadRequest, match="usage is grouped by one of: subject, team, model"):
        await ledger.usage("digest", date(2026, 3, 1), date(2026, 4, 1))


async def test_the_leaderboard_begins_with_who_used_most(ledger):
    def entry(number, amount, rule="each", window=Window.MONTH):
        hold = Hold(
            key=f"{rule}|{window}|{number}", rule=rule, scope=f"s{number}", unit=Unit.COST, window=window, limit=9
        )
        return entry_of(f"{rule}-{window}-{number}", charges=(Charge(hold, amount),))

    months = [entry(number, amount) for number, amount in enumerate([5, 7, 7, 1])]
    await ledger.write([*months, entry(9, 9, rule="other"), entry(8, 8, window=Window.CALENDAR_DAY)], at=NOW)

    best = await ledger.leaderboard("each", Unit.COST, Window.MONTH, NOW, limit=3)

    assert [(total.scope, total.amount) for total in best] == [("s1", 7), ("s2", 7), ("s0", 5)]
    assert await ledger.leaderboard("each", Unit.COST, Window.MONTH, datetime(2026, 4, 1, tzinfo=UTC)) == []


async def test_forgets_what_is_old_and_keeps_the_sums(ledger):
    """Batch by batch, so that it takes neither much memory nor a long lock."""
    old = datetime(2026, 1, 5, tzinfo=UTC)
    await ledger.write([entry_of(f"old{n}", at=old) for n in range(25)] + [entry_of("new")], at=NOW)

    assert await ledger.forget(datetime(2026, 3, 1, tzinfo=UTC), batch=10) == 25

    assert await ledger.entry("old0") is None
    assert await ledger.entry("new") is not None
    assert await amounts(ledger, old) == {(ORG.key, MONTH_S): 30}
    assert [row.requests for row in await ledger.usage("day", date(2026, 1, 1), date(2026, 4, 1))] == [25, 1]


# --- alerts ------------------------------------------------------------------


async def due(ledger, at=NOW):
    return [(alert.alert.threshold, alert.alert.used) for alert in await ledger.claim_alerts(at, lease_s=60)]


async def test_a_threshold_is_told_once_in_a_window(ledger, replica):
    """However many replicas write, and however often they are started again."""
    other = replica()

    seen = []
    for number, store in enumerate([ledger, other, ledger, other]):
        await store.write([entry_of(f"r{number}", cost=250)], at=NOW)
        seen.append(await due(ledger))
    await other.write([entry_of("beyond", cost=500)], at=NOW)
    await ledger.write([entry_of("next", cost=800, at=datetime(2026, 4, 1, tzinfo=UTC))], at=NOW)

    assert seen == [[], [], [(75.0, 750)], [(100.0, 1000)]]
    assert await due(ledger) == [(75.0, 800)]


async def test_a_threshold_is_told_once_by_writers_at_once(ledger, replica):
    others = [replica() for _ in range(4)]

    async def write(name, store):
        for number in range(10):
            await store.write([entry_of(f"{name}-{number}", cost=20)], at=NOW)

    await asyncio.gather(*[write(name, store) for name, store in enumerate(others)])

    assert await due(ledger) == [(75.0, 760)]


async def test_an_alert_says_what_it_is_about(ledger):
    await ledger.write([entry_of("r1", cost=760)], at=NOW)

    assert await ledger.claim_alerts(NOW, lease_s=60) == [
        DueAlert(
            Alert(
                key=ORG.key,
                rule="org-cap",
                scope="",
                unit=Unit.COST,
                window=Window.MONTH,
                begins_s=MONTH_S,
                ends_s=MONTH_ENDS_S,
                used=760,
                limit=1000,
                threshold=75.0,
                mode=Mode.ENFORCE,
            ),
            targets=(OPS,),
            attempts=1,
        )
    ]


@pytest.mark.parametrize(("rule", "limit"), [("quiet", 100), ("unknown", 100), ("org-cap", 0)])
async def test_nobody_is_told(ledger, rule, limit):
    """There is nobody to tell, nothing to tell, or no percentage of nothing."""
    hold = Hold(key="k", rule=rule, unit=Unit.COST, window=Window.MONTH, limit=limit)

    await ledger.write([entry_of("r1", charges=(Charge(hold, 90),))], at=NOW)

    assert await due(ledger) == []


async def test_an_alert_is_claimed_by_one(ledger, replica):
    """Until the lease is over; then the one who had it is dead, and that counts as an attempt."""
    await ledger.write([entry_of("r1", cost=760)], at=NOW)
    others = [replica() for _ in range(4)]

    claimed = await asyncio.gather(*[other.claim_alerts(NOW, lease_s=60) for other in others])
    later = [await ledger.claim_alerts(NOW.replace(minute=minute), lease_s=60) for minute in (0, 1)]

    assert sorted(map(len, claimed)) == [0, 0, 0, 1]
    assert [[alert.attempts for alert in alerts] for alerts in later] == [[], [2]]


async def test_what_became_of_an_alert_is_noted(ledger):
    """Who has lost the claim meanwhile has nothing to say."""
    await ledger.write([entry_of("r1", cost=760)], at=NOW)
    (first,) = await ledger.claim_alerts(NOW, lease_s=0)
    (second,) = await ledger.claim_alerts(NOW, lease_s=60)

    await ledger.note_alert(first, state="failed", due_at=None, problem="x")
    await ledger.note_alert(second, state="due", targets=[{"type": "b"}], due_at=NOW, problem="it answered 500")
    (third,) = await ledger.claim_alerts(NOW, lease_s=60)
    await ledger.note_alert(third, state="sent", due_at=None, problem=None)

    assert (third.targets, third.attempts) == (({"type": "b"},), 3)
    assert await ledger.claim_alerts(NOW.replace(year=2027), lease_s=60) == []


async def test_forgets_alerts_that_are_done(ledger, sql):
    old = datetime(2026, 1, 5, tzinfo=UTC)
    await ledger.write([entry_of("r1", cost=760)], at=old)
    (claimed,) = await ledger.claim_alerts(old, lease_s=0)

    await ledger.forget(NOW)
    waiting = await sql("SELECT state FROM outbox")
    await ledger.note_alert(claimed, state="sent", due_at=None, problem=None)
    await ledger.forget(NOW)

    assert waiting == [("due",)]
    assert await sql("SELECT state FROM outbox") == []


# --- a database that is away -------------------------------------------------


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_frozen_server_is_given_up(ledger, replica, postgres, in_the_end):
    impatient = replica(deadline_s=0.4)

    async with asyncio.timeout(60):
        with postgres.frozen(), pytest.raises(Unavailable, match="cannot be reached"):
            await impatient.write([entry_of("r1")], at=NOW)
        await in_the_end(lambda: impatient.write([entry_of("r1")], at=NOW))

    assert await amounts(ledger) == {(ORG.key, MONTH_S): 30}


async def test_without_tables_it_says_what_to_do(empty_url):
    unmigrated = LedgerStore(empty_url, deadline_s=20.0)

    with pytest.raises(Unavailable, match="migrate it first"):
        await unmigrated.write([entry_of("r1")], at=NOW)
    await unmigrated.close()


# --- requests under way ---


async def test_a_note_of_open_requests_replaces_the_one_before(replica):
    """Each process has its own, and deletes it only as long as it is the one it means."""
    one, other = replica(), replica()
    entries = [entry_of("r1", token_id="t1", metadata={"app": "bot", "x": "\0ä"}), entry_of("r2", bill=None)]
    await one.note_open("a", 1, entries[:1])
    await other.note_open("b", 7, entries[1:])

    await one.note_open("a", 2, entries)

    assert await other.open_notes() == {"a": 2, "b": 7}
    assert await other.open_entries("a", 2) == entries
    assert await other.open_entries("a", 1) == []
    await other.forget_open("a", 1)
    assert await other.open_notes() == {"a": 2, "b": 7}
    await other.forget_open("a", 2)
    assert await one.open_notes() == {"b": 7}


async def test_a_request_that_was_billed_for_a_dead_process_counts_once(replica):
    """The process was only slow, and bills it as well; or two others took it for dead."""
    one, other = replica(), replica()

    assert await one.write([entry_of("r1", cost=10)], at=NOW) == 1
    assert await other.write([entry_of("r1", cost=30)], at=NOW) == 0

    assert await amounts(one) == {("org|cost|month", MONTH_S): 10}


async def test_a_key_in_metadata_is_not_kept(ledger):
    """As it is not in the records."""
    key = "sk-0123456789abcdef0123"
    await ledger.write([entry_of("r1", metadata={"app": f"x {key}", key: "y"})], at=NOW)

    assert (await ledger.entry("r1")).metadata == {"app": "x ***", "***": "y"}
