"""Single requests: lists, one with all that is known of it, those that come in, and all of them for a spreadsheet."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.contract import Record, Span
from gateway.contract.money import exact_dollars
from gateway.control.answers import number
from gateway.control.control import Ask, Control, store_of
from gateway.control.feedback import IDS, page_of, rows_for
from gateway.control.schema import (
    Facet,
    FeedbackRow,
    RequestDetails,
    RequestList,
    RequestRow,
    RequestStep,
    Shown,
    SideCall,
)
from gateway.control.sight import sight_of
from gateway.control.streaming import Streamed
from gateway.control.usage import bill_shown
from gateway.errors import BadRequest, GatewayError, NotFound
from gateway.state.requests.asked import Query, Question, Rule, filters_of
from gateway.wire.cells import safe_cell

if TYPE_CHECKING:
    from gateway.state.requests.store import RecordStore

MOST_ROWS = 500
MOST_EXPORTED = 1_000_000
EXPORT_PAGE = 1000
EXPORT_BUDGET_S = 0.2
TICK_S = 0.25
ALIVE_S = 15.0
FACETS = ("model", "resolved_model", "account", "subject", "team", "type", "status")
MOST_FACETS = 100

_NO_FILTERS = frozenset({"limit", "cursor", "since", "until", "order", "format", "after"})
_TIME = msgspec.json.Decoder(datetime)
_encode = msgspec.json.encode


# --- the handlers ------------------------------------------------------------


async def list_requests(control: Control, ask: Ask) -> RequestList:
    """The newest first. A filter is a field and what it has to be; the same one twice is one or the other."""
    limit = number(ask.query, "limit", 50)
    if not 1 <= limit <= MOST_ROWS:
        raise BadRequest(f"limit lies between 1 and {MOST_ROWS}", param="limit")
    page = await page_of(control, query_of(control, ask, limit=limit))
    return RequestList(data=await _rows_of(control, page.records), next_cursor=page.next)


async def get_request(control: Control, ask: Ask) -> Shown[RequestDetails]:
    """Somebody else's is as unknown as one that never was."""
    records, id_ = store_of(control), ask.path["request_id"]
    seen = sight_of(control.config.snapshot, ask.caller, "traces")
    page = await records.page(Query(filters=filters_of([("id", id_)]), seen=seen.rules, limit=1))
    if not page.records:
        raise NotFound(f"there is no request {id_[:200]!r} in the records, or it is not there yet")
    record = page.records[0]
    content = await records.content(id_)
    entry = await control.ledger.entry(id_)
    return Shown(
        RequestDetails(
            request=(await _rows_of(control, [record]))[0],
            applied=record.applied,
            steps=tuple(map(_step, steps_of(record))),
            side_calls=tuple(
                SideCall(side.resolved_model, side.usage, money(side.cost_nanousd)) for side in record.side_calls
            ),
            bill=bill_shown(entry.bill) if entry is not None and entry.bill is not None else None,
            input=content.input if content is not None else None,
            output=content.output if content is not None else None,
            is_cut=content is not None and content.is_cut,
        )
    )


async def stream(control: Control, ask: Ask) -> Streamed:
    """Those that are written from now on, or `after` one that was told, as server-sent events, four times a second."""
    records = store_of(control)
    query = query_of(control, ask, limit=MOST_ROWS)
    after = number(ask.query, "after", None)
    return Streamed("text/event-stream", _events(control, records, query, after))


async def export(control: Control, ask: Ask) -> Streamed:
    """All that fit, a million at most, as lines of JSON or as CSV."""
    kind = ask.query.get("format", "jsonl")
    if kind not in ("jsonl", "csv"):
        raise BadRequest("format is jsonl or csv", param="format")
    most = min(number(ask.query, "limit", MOST_EXPORTED), MOST_EXPORTED)
    query = query_of(control, ask, limit=EXPORT_PAGE)
    name = f'attachment; filename="requests.{kind}"'.encode()
    content_type = "text/csv; charset=utf-8" if kind == "csv" else "application/x-ndjson"
    lines = csv_lines if kind == "csv" else json_lines
    chunks = lines(_rows(control, query, most))
    return Streamed(content_type, chunks, [(b"content-disposition", name)])


async def facets(control: Control, ask: Ask) -> dict[str, Any]:
    """What there is to filter by, and how many requests each would leave: of the last day, unless it is said."""
    records, now = store_of(control), control.now()
    since = time_in(ask.query, "since", now) or now - timedelta(days=1)
    until = time_in(ask.query, "until", now) or now
    seen = sight_of(control.config.snapshot, ask.caller, "metrics").subjects
    found: dict[str, list[Facet]] = {}
    for name in (*FACETS, *(f"metadata.{key}" for key in records.metadata)):
        if seen is not None and (name == "team" or name.startswith("metadata.")):
            continue  # whose sums are not kept for each of their people
        question = Question(since=since, until=until, by=(name,), subjects=seen, counts=("requests",))
        counts = [Facet(each.group[0], each.requests) for each in await records.sums(question, now=now)]
        found[name] = sorted(counts, key=lambda each: (-each.requests, each.value))[:MOST_FACETS]
    return {"data": found}


# --- what is asked for -------------------------------------------------------


def query_of(control: Control, ask: Ask, *, limit: int) -> Query:
    """Raises BadRequest: something of it cannot be understood."""
    seen = sight_of(control.config.snapshot, ask.caller, "traces")
    order = ask.query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise BadRequest("order is asc or desc", param="order")
    return Query(
        filters=filters_in(ask.pairs),
        seen=seen.rules,
        since=time_in(ask.query, "since", control.now()),
        until=time_in(ask.query, "until", control.now()),
        before=cursor_in(ask.query.get("cursor")),
        limit=limit,
        oldest_first=order == "asc",
    )


def filters_in(pairs: Iterable[tuple[str, str]]) -> Rule:
    return filters_of((name, value) for name, value in pairs if name not in _NO_FILTERS)


def cursor_in(text: str | None, *, name: str = "cursor", given: str = "nextCursor") -> str | None:
    """Raises BadRequest: no answer has given that, for each goes on behind a request."""
    if text is not None and IDS.fullmatch(text) is None:
        raise BadRequest(f"{name} is the {given} of an answer; leave it out to begin at the beginning", param=name)
    return text


def time_in(query: Mapping[str, str], name: str, now: datetime) -> datetime | None:
    """A moment as in `2026-01-31T12:00:00Z`, or how long ago: `30m`, `24h`, `7d`. Raises BadRequest: it is neither."""
    text = query.get(name)
    if text is None:
        return None
    if len(text) <= 7 and text[:-1].isdecimal() and text[-1] in _PERIODS:
        return now - int(text[:-1]) * _PERIODS[text[-1]]
    try:
        moment = _TIME.decode(_encode(text))
    except msgspec.ValidationError:
        raise BadRequest(f"{name} is a moment as in 2026-01-31T12:00:00Z, or a period as in 24h", param=name) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


_PERIODS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


# --- what is shown -----------------------------------------------------------


async def _rows_of(control: Control, records: Sequence[Record]) -> tuple[RequestRow, ...]:
    """With what was said of each."""
    feedback = await rows_for(control, records)
    return tuple(row_of(record, feedback.get(record.request_id, ())) for record in records)


def row_of(record: Record, feedback: tuple[FeedbackRow, ...] = ()) -> RequestRow:
    usage = record.usage
    return RequestRow(
        request_id=record.request_id,
        at=record.timestamp,
        type=record.request_type,
        method=record.method,
        path=record.path,
        subject=record.subject,
        teams=record.teams,
        token_id=record.token_id,
        model=record.model,
        resolved_model=record.resolved_model,
        stream=record.stream,
        status=record.status,
        outcome=record.outcome,
        duration_ms=record.duration_ms,
        time_to_first_token_ms=record.time_to_first_token_ms,
        time_per_output_token_ms=record.time_per_output_token_ms,
        overhead_ms=record.overhead_ms,
        input_tokens=usage.input_tokens if usage is not None else None,
        output_tokens=usage.output_tokens if usage is not None else None,
        usage=usage,
        cost=money(record.cost_nanousd),
        metadata=record.metadata,
        limit_rules=record.limit_rules,
        budget_rules=record.budget_rules,
        over_limits=record.over_limits,
        upstream_status=record.upstream_status,
        gave_up=record.gave_up,
        dropped_params=record.dropped_params,
        error_type=record.error_type,
        error_code=record.error_code,
        error_message=record.error_message,
        client=record.client,
        user_agent=record.user_agent,
        feedback=feedback,
    )


def money(nano: int | None) -> str | None:
    """US dollars; text, because a number would be a float to whoever reads it."""
    return exact_dollars(nano) if nano is not None else None


def steps_of(record: Record) -> tuple[Span, ...]:
    """Of a request that went smoothly, none were written down: the record itself tells of the only model asked."""
    if record.spans or record.resolved_model is None:
        return record.spans
    overhead = record.overhead_ms or 0.0
    return (
        Span(
            kind="model",
            name=record.resolved_model,
            status=record.upstream_status or record.status,
            reason=None,
            started_ms=0.0,
            duration_ms=round(max(0.0, record.duration_ms - overhead), 3),
        ),
    )


def _step(span: Span) -> RequestStep:
    return RequestStep(
        kind=span.kind,
        name=span.name,
        status=span.status,
        reason=span.reason,
        started_ms=span.started_ms,
        duration_ms=span.duration_ms,
        hook=span.hook,
        result=span.result,
        rule=span.rule,
    )


# --- streams -----------------------------------------------------------------


async def _events(control: Control, records: "RecordStore", query: Query, after: int | None) -> AsyncIterator[bytes]:
    """Until the gateway stops, or the client leaves. What goes wrong once it has begun is told, and tried again."""
    with control.streams.one_more():
        tail = await records.tail(None, query)
        seq = tail.seq if after is None else min(after, tail.seq)
        yield b": records\n\n"
        quiet_s = 0.0
        while not control.streams.is_stopping():
            try:
                tail = await records.tail(seq, query)
            except GatewayError as error:
                yield b"event: problem\ndata: " + _encode({"message": error.message}) + b"\n\n"
                await asyncio.sleep(4 * TICK_S)
                continue
            seq = tail.seq
            if tail.records:
                data = _encode([row_of(record) for record in tail.records])
                yield b"id: %d\nevent: requests\ndata: %s\n\n" % (seq, data)
                quiet_s = 0.0
            elif quiet_s >= ALIVE_S:
                yield b": nothing new\n\n"
                quiet_s = 0.0
            else:
                yield b""
            await asyncio.sleep(TICK_S)
            quiet_s += TICK_S
        yield b"event: end\ndata: {}\n\n"


async def _rows(control: Control, query: Query, most: int) -> AsyncIterator[list[RequestRow]]:
    """All pages."""
    with control.streams.one_more():
        left = most
        while left > 0 and not control.streams.is_stopping():
            query = msgspec.structs.replace(query, limit=min(left, EXPORT_PAGE))
            page = await page_of(control, query, budget_s=EXPORT_BUDGET_S)
            left -= len(page.records)
            yield [*await _rows_of(control, page.records)]
            if page.next is None:
                return
            query = msgspec.structs.replace(query, before=page.next)


async def json_lines(pages: AsyncIterator[list[RequestRow]]) -> AsyncIterator[bytes]:
    async for rows in pages:
        yield msgspec.json.Encoder().encode_lines(rows)


async def csv_lines(pages: AsyncIterator[list[RequestRow]]) -> AsyncIterator[bytes]:
    """With a line of names first. Lists and objects are JSON in their cells."""
    yield _csv([RequestRow.__struct_encode_fields__])
    async for rows in pages:
        yield _csv([_cell(getattr(row, name)) for name in RequestRow.__struct_fields__] for row in rows)


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode(errors="replace")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else _encode(value).decode() if value else ""
    return safe_cell(text)
