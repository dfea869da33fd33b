"""What was used and what it cost, for who may see it; and how each bill comes about."""

from datetime import UTC, datetime

import msgspec
import pytest

from gateway.contract.entry import Entry
from gateway.contract.price import Bill, BillLine
from gateway.contract.usage import Usage

LIST = "gateway-controls:ListGatewayControls"
ANA, BO, APP = "user:ana@example.com", "user:bo@example.com", "virtualaccount:app"
BILL = Bill(
    cost=232_500,
    row="openai/gpt-4o",
    version="genai-prices 0.2.3",
    lines=(BillLine("input", 93, 2_500_000_000, 1_000_000, 232_500),),
)
JAN_1, JAN_2 = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, 23, 59, 59, tzinfo=UTC)


def entry(request_id, subject=ANA, *, cost=None, at=JAN_1, teams=(), **fields):
    """Without a cost nobody knows its price."""
    fields = {"model": "prod/chat", "resolved_model": "main/small", "usage": Usage(input=90, cache_read=3), **fields}
    return Entry(
        request_id=request_id,
        at=at,
        subject=subject,
        teams=frozenset(teams),
        outcome="complete",
        bill=msgspec.structs.replace(BILL, cost=cost) if cost is not None else None,
        **fields,
    )


ENTRIES = [
    entry("r1", cost=1, teams=["red"], metadata={"app": "bot"}),
    entry("r2", cost=2_000_000_000, teams=["red", "blue"], at=JAN_2, model="main/large", resolved_model="main/large"),
    entry("r3", teams=["red"], usage=Usage(input=1, output=7, reasoning=2)),
    entry("r4", BO, cost=10, teams=["blue"], metadata={"app": "bot"}),
    entry("r5", APP, cost=100, metadata={"app": "cron"}),
    entry("r6", BO, cost=5, at=datetime(2025, 12, 31, tzinfo=UTC)),
]
"""Ana is in both teams for a while."""


@pytest.fixture
async def api(either, clock):
    """The ledger has ENTRIES. Bo manages red, cy may manage the virtual account, and dee may read all. Until Jan 2."""
    clock.move(days=1)
    team = {"type": "team", "name": "red", "members": ["ana@example.com"], "managers": ["bo@example.com"]}
    use = {"resource_type": "provider-account", "resource_fqn": "a:demo:demo", "role_id": "provider-account-access"}
    await either.done(either.apply(team))
    await either.done(either.apply({"type": "virtual-account", "name": "app", "permissions": [use]}))
    await either.grant("cy", "virtual-account:ManageVirtualAccount", on="virtual-account:app")
    await either.grant("dee", LIST)
    await either.control.ledger.write(ENTRIES, at=clock.now)
    return either


async def usage(api, query="", *, by="admin"):
    return await api.done(api.ask("GET", f"/llm-gateway/usage{query}", by=by))


def in_short(report):
    return [(row["group"], row["requests"], row["costNanoUsd"], row["unpriced"]) for row in report["data"]]


async def explain(api, request_id, *, by="admin"):
    return await api.ask("GET", f"/llm-gateway/usage/requests/{request_id}", by=by)


# --- usage -------------------------------------------------------------------


async def test_the_whole_answer(api):
    """Of this month until now, by model, the most expensive first. Dollars are exact."""
    assert await usage(api) == {
        "data": [
            {
                "group": "main/large",
                "requests": 1,
                "inputTokens": 93,
                "outputTokens": 0,
                "cost": 2,
                "costNanoUsd": 2_000_000_000,
                "unpriced": 0,
                "usage": {"input": 90, "cache_read": 3},
            },
            {
                "group": "prod/chat",
                "requests": 4,
                "inputTokens": 280,
                "outputTokens": 9,
                "cost": 0.000000111,
                "costNanoUsd": 111,
                "unpriced": 1,
                "usage": {"input": 271, "cache_read": 9, "output": 7, "reasoning": 2},
            },
        ],
        "total": {
            "group": "",
            "requests": 5,
            "inputTokens": 373,
            "outputTokens": 9,
            "cost": 2.000000111,
            "costNanoUsd": 2_000_000_111,
            "unpriced": 1,
            "usage": {"input": 361, "cache_read": 12, "output": 7, "reasoning": 2},
        },
        "by": "model",
        "since": "2026-01-01",
        "until": "2026-01-02",
        "who": None,
    }


GROUPS = {
    "?by=subject": [(ANA, 3, 2_000_000_001, 1), (APP, 1, 100, 0), (BO, 1, 10, 0)],
    "?by=team": [("team:blue", 2, 2_000_000_010, 0), ("team:red", 3, 2_000_000_001, 1)],
    "?by=resolved_model": [("main/large", 1, 2_000_000_000, 0), ("main/small", 4, 111, 1)],
    "?by=day": [("2026-01-01", 4, 111, 1), ("2026-01-02", 1, 2_000_000_000, 0)],
    "?by=metadata.app": [("cron", 1, 100, 0), ("bot", 2, 11, 0)],
    "?by=day&who=team:red": [("2026-01-01", 2, 1, 1), ("2026-01-02", 1, 2_000_000_000, 0)],
    "?by=day&who=user:Bo@Example.COM&since=2025-12-31": [("2025-12-31", 1, 5, 0), ("2026-01-01", 1, 10, 0)],
    "?by=metadata.app&who=virtualaccount:app": [("cron", 1, 100, 0)],
    "?by=subject&until=2026-01-01": [(APP, 1, 100, 0), (BO, 1, 10, 0), (ANA, 2, 1, 1)],
    "?since=2026-01-02&until=2026-01-02": [("main/large", 1, 2_000_000_000, 0)],
    "?by=model&who=user:nobody@example.com": [],
}


async def test_groups(api):
    """Days are whole, the last one too, and in their order; all else begins with the most expensive."""
    assert {query: in_short(await usage(api, query)) for query in GROUPS} == GROUPS


async def test_teams_have_no_total(api):
    """Ana's request for two teams counts in both, so their sum is nothing anybody spent."""
    assert (await usage(api, "?by=team"))["total"] is None


async def test_who_sees_what(api):
    """Plain users see themselves, managers their teams too, and the permission to list controls shows all."""
    seen = {
        (by, query): in_short(await usage(api, query, by=by))
        for by, query in [
            ("ana", "?by=subject"),
            ("ana", "?by=team"),
            ("bo", "?by=subject"),
            ("bo", "?by=team"),
            ("bo", "?by=day&who=team:red"),
            ("cy", "?by=day&who=virtualaccount:app"),
            ("dee", "?by=subject"),
        ]
    }

    assert seen == {
        ("ana", "?by=subject"): [(ANA, 3, 2_000_000_001, 1)],
        ("ana", "?by=team"): [],
        ("bo", "?by=subject"): [(BO, 1, 10, 0)],
        ("bo", "?by=team"): [("team:red", 3, 2_000_000_001, 1)],
        ("bo", "?by=day&who=team:red"): [("2026-01-01", 2, 1, 1), ("2026-01-02", 1, 2_000_000_000, 0)],
        ("cy", "?by=day&who=virtualaccount:app"): [("2026-01-01", 1, 100, 0)],
        ("dee", "?by=subject"): [(ANA, 3, 2_000_000_001, 1), (APP, 1, 100, 0), (BO, 1, 10, 0)],
    }


async def test_others_are_not_shown(api):
    """Neither a member to the manager of the team, nor a team to its members."""
    asked = [
        ("ana", "user:bo@example.com"),
        ("ana", "team:red"),
        ("ana", "team:everyone"),
        ("ana", "virtualaccount:app"),
        ("bo", "user:ana@example.com"),
        ("bo", "team:blue"),
        ("cy", "virtualaccount:other"),
    ]

    answers = [await api.refused(api.ask("GET", f"/llm-gateway/usage?by=day&who={who}", by=by)) for by, who in asked]

    assert answers == [
        (403, f"user:{by}@example.com may not see what {who} used; it takes the permission {LIST}") for by, who in asked
    ]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?by=nothing", "usage is grouped by one of: subject, team, model, resolved_model, day, metadata.<key>"),
        ("?since=yesterday", "since has to be a day, yyyy-mm-dd"),
        ("?until=2026-02-30", "until has to be a day, yyyy-mm-dd"),
        ("?until=9999-12-31", "until has to be a day, yyyy-mm-dd"),
        ("?since=2026-01-02", "since and until are the first day and the last, of at most 366 days"),
        ("?since=2024-01-01", "since and until are the first day and the last, of at most 366 days"),
        ("?who=ana", "who has to be user:<email>, team:<name> or virtualaccount:<name>"),
        ("?by=subject&who=team:red", "of a team, usage by subject is not kept; ask by model or by day"),
        ("?by=metadata.app&who=team:red", "of a team, usage by metadata.app is not kept; ask by model or by day"),
        (f"?by=team&who={ANA}", "usage by team is that of all, or of a team; user:ana@example.com is none"),
    ],
)
async def test_what_cannot_be_asked(timed, query, message):
    assert await timed.refused(timed.ask("GET", f"/llm-gateway/usage{query}")) == (400, message)


# --- one bill ----------------------------------------------------------------


async def test_explains_a_bill(api):
    """Row and version of the price list, and the sum of each class: anybody can do it again with pencil and paper."""
    discounted = msgspec.structs.replace(
        BILL, discount_percent=10.0, tariff="above 10 input tokens", unpriced=("audio",)
    )
    bill = msgspec.structs.replace(
        discounted, cost=209_250, lines=(BillLine("input", 93, 2_500_000_000, 1_000_000, 209_250),)
    )
    await api.control.ledger.write([msgspec.structs.replace(ENTRIES[0], request_id="r7", bill=bill)], at=JAN_2)

    answer = await api.done(explain(api, "r7"))

    assert answer["data"] == {
        "requestId": "r7",
        "at": "2026-01-01T00:00:00Z",
        "subject": ANA,
        "teams": ["red"],
        "tokenId": None,
        "model": "prod/chat",
        "resolvedModel": "main/small",
        "metadata": {"app": "bot"},
        "outcome": "complete",
        "usage": {"input": 90, "cache_read": 3},
        "bill": {
            "cost": 0.00020925,
            "costNanoUsd": 209_250,
            "priceRow": "openai/gpt-4o",
            "priceVersion": "genai-prices 0.2.3",
            "tariff": "above 10 input tokens",
            "discountPercent": 10.0,
            "lines": [
                {
                    "name": "input",
                    "amount": 93,
                    "rate": 2.5,
                    "per": 1_000_000,
                    "cost": 0.00020925,
                    "costNanoUsd": 209_250,
                    "sum": "93 x $2.5 / 1000000 - 10 % = $0.00020925",
                }
            ],
            "unpriced": ["audio"],
        },
    }


async def test_a_bill_nobody_knows(api):
    """Unknown is not free."""
    assert (await api.done(explain(api, "r3")))["data"]["bill"] is None


async def test_who_sees_which_request(api):
    """Somebody else's is as unknown as one that never was."""
    requests = ("r1", "r4", "r5", "r9")

    seen = {by: [(await explain(api, id_, by=by)).status for id_ in requests] for by in ("ana", "bo", "cy", "dee")}
    hidden, unknown = await explain(api, "r4", by="ana"), await explain(api, "r9", by="ana")

    assert seen == {
        "ana": [200, 404, 404, 404],
        "bo": [200, 200, 404, 404],
        "cy": [404, 404, 200, 404],
        "dee": [200, 200, 200, 404],
    }
    said = "in the ledger, or not yet; one that was refused has no bill"
    assert hidden.json()["error"]["message"] == f"there is no request 'r4' {said}"
    assert unknown.json()["error"]["message"] == f"there is no request 'r9' {said}"


async def test_the_ledger_cannot_be_reached(postgres, postgres_environ, timed_on):
    """Nobody is told that nothing was used."""
    api = await timed_on(postgres_environ)

    with postgres.frozen():
        status, message = await api.refused(api.ask("GET", "/llm-gateway/usage"))

    assert (status, message) == (503, "the database cannot be reached; try again in a moment")
