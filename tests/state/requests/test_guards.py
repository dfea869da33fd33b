"""What guardrails said adds up, by guardrail, rule, verdict, model and caller; on both databases alike."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from gateway.contract import Span
from gateway.errors import BadRequest
from gateway.state.requests.asked import Only, Question
from gateway.state.requests.guard_metrics import guard_sums
from gateway.state.requests.guard_rows import GUARD_LEVELS
from gateway.state.requests.histogram import LATENCY
from gateway.state.requests.metrics import settled

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
NOW = NOON + timedelta(hours=1)
ANA, BO = "user:ana@example.com", "user:bo@example.com"


def guard(name="safe/pii", result="passed", ms=4.0, hook="llm_input", rule="all"):
    return Span("guardrail", name, 200, None, 0.0, ms, hook=hook, result=result, rule=rule)


MODEL = Span("model", "openai-main/gpt-4o", 200, None, 1.0, 90.0)


@pytest.fixture
async def filled(store, record_of):
    await store.write(
        [
            record_of(1, spans=(guard(), guard(result="mutated", ms=6.0, hook="llm_output"), MODEL)),
            record_of(2, spans=(guard(result="failed", ms=8.0, rule="strict"),), subject=BO, teams=()),
            record_of(3, spans=(guard("safe/judge", "error", 5000.0, rule=None), MODEL), teams=("research", "ops")),
            record_of(4, spans=(MODEL, MODEL)),
            record_of(5),
        ]
    )
    return store


async def sums(store, **question):
    asked = settled(Question(**({"since": NOON, "until": NOW} | question)), NOW)
    return [(*each.group, each.checks, each.latency_us) for each in await guard_sums(store, asked, NOW)]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({}, [(4, 5_018_000)]),
        ({"by": ("guardrail",)}, [("safe/pii", 3, 18_000), ("safe/judge", 1, 5_000_000)]),
        (
            {"by": ("result",)},
            [("block", 1, 8_000), ("error", 1, 5_000_000), ("mutate", 1, 6_000), ("pass", 1, 4_000)],
        ),
        ({"by": ("rule",)}, [("all", 2, 10_000), ("", 1, 5_000_000), ("strict", 1, 8_000)]),
        ({"by": ("hook",)}, [("llm_input", 3, 5_012_000), ("llm_output", 1, 6_000)]),
        ({"by": ("subject",)}, [(ANA, 3, 5_010_000), (BO, 1, 8_000)]),
        ({"by": ("team",)}, [("research", 3, 5_010_000), ("ops", 1, 5_000_000)]),
        ({"by": ("model", "guardrail"), "subjects": frozenset({BO})}, [("openai-main/gpt-4o", "safe/pii", 1, 8_000)]),
        ({"only": (Only("result", ("pass", "mutate")),)}, [(2, 10_000)]),
        ({"only": (Only("guardrail", ("safe/p*",), is_not=True),)}, [(1, 5_000_000)]),
    ],
)
async def test_sums(filled, question, expected):
    assert await sums(filled, **question) == expected


async def test_percentiles_and_steps(filled):
    asked = settled(Question(since=NOON, until=NOW, step_s=60, scales=(LATENCY,)), NOW)

    [only] = await guard_sums(filled, asked, NOW)

    assert (only.at, sum(only.bins)) == (int(NOON.timestamp()), 4)
    assert LATENCY.percentile_ms(only.bins, 0.99) == pytest.approx(5000, rel=0.42)


async def test_written_again_is_not_twice(filled, record_of):
    await filled.write([record_of(2, spans=(guard(result="failed", ms=8.0),), subject=BO)])

    assert await sums(filled) == [(4, 5_018_000)]


async def test_subject_and_team_are_not_kept_together(filled):
    with pytest.raises(BadRequest, match="sums by subject and team are not kept together"):
        await sums(filled, by=("team",), subjects=frozenset({ANA}))


async def test_where_no_guardrail_was_asked_there_is_nothing_to_write(store, record_of):
    await store.write([record_of(1), record_of(2, spans=(MODEL, MODEL))])

    async with store.connection() as connection:
        counts = [await connection.scalar(select(func.count()).select_from(table)) for table, _ in GUARD_LEVELS]
    assert counts == [0, 0, 0]


async def test_old_sums_go(filled):
    await filled.forget(NOON, now=NOW + timedelta(days=401))

    assert await sums(filled) == [(0, 0)]
