"""The table, and what a record is in it.

Source: clickhouse.com/docs (reference on data types, ReplacingMergeTree, TTL, JSONEachRow), read 2026-11.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from gateway.contract import Record

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines

_WORD = "LowCardinality(String)"
"""One of few."""
_WORDS = "Array(LowCardinality(String))"
_MS = "Nullable(Float64)"


class Column(NamedTuple):
    """`comes_from`: what a row has there. Texts that are not known are empty, numbers NULL."""

    name: str
    type: str
    comes_from: Callable[[Record], Any]


COLUMNS: Sequence[Column] = (
    Column("timestamp", "DateTime64(6, 'UTC')", lambda r: r.timestamp.strftime("%Y-%m-%d %H:%M:%S.%f")),
    Column("request_id", "String", lambda r: r.request_id),
    Column("level", _WORD, lambda r: r.level),
    Column("method", _WORD, lambda r: r.method),
    Column("path", "String", lambda r: r.path),
    Column("status", "UInt16", lambda r: r.status),
    Column("outcome", _WORD, lambda r: r.outcome),
    Column("duration_ms", "Float64", lambda r: r.duration_ms),
    Column("request_type", _WORD, lambda r: r.request_type or ""),
    Column("subject", "String", lambda r: r.subject or ""),
    Column("token_id", "String", lambda r: r.token_id or ""),
    Column("teams", _WORDS, lambda r: r.teams),
    Column("model", "String", lambda r: r.model or ""),
    Column("resolved_model", _WORD, lambda r: r.resolved_model or ""),
    Column("stream", "Bool", lambda r: r.stream),
    Column("input_tokens", "UInt64", lambda r: r.usage.input_tokens if r.usage else 0),
    Column("output_tokens", "UInt64", lambda r: r.usage.output_tokens if r.usage else 0),
    Column("cache_read_tokens", "UInt64", lambda r: r.usage.cache_read if r.usage else 0),
    Column("reasoning_tokens", "UInt64", lambda r: r.usage.reasoning if r.usage else 0),
    Column("usage", "String", lambda r: _json(r.usage)),
    Column("cost_nanousd", "Nullable(Int64)", lambda r: r.cost_nanousd),
    Column("time_to_first_token_ms", _MS, lambda r: r.time_to_first_token_ms),
    Column("time_per_output_token_ms", _MS, lambda r: r.time_per_output_token_ms),
    Column("overhead_ms", _MS, lambda r: r.overhead_ms),
    Column("upstream_status", "Nullable(UInt16)", lambda r: r.upstream_status),
    Column("error_type", _WORD, lambda r: r.error_type or ""),
    Column("error_code", _WORD, lambda r: r.error_code or ""),
    Column("error_message", "String", lambda r: r.error_message or ""),
    Column("gave_up", _WORD, lambda r: r.gave_up or ""),
    Column("client", _WORD, lambda r: r.client or ""),
    Column("user_agent", "String", lambda r: r.user_agent or ""),
    Column("metadata", "Map(String, String)", lambda r: r.metadata),
    Column("limit_rules", _WORDS, lambda r: r.limit_rules),
    Column("budget_rules", _WORDS, lambda r: r.budget_rules),
    Column("over_limits", _WORDS, lambda r: r.over_limits),
    Column("dropped_params", _WORDS, lambda r: r.dropped_params),
    Column("spans", "String", lambda r: _json(r.spans)),
    Column("side_calls", "String", lambda r: _json(r.side_calls)),
    Column("applied", "String", lambda r: _json(r.applied)),
    Column("destination", "String", lambda r: r.destination or ""),
    Column("traceparent", "String", lambda r: r.traceparent or ""),
)


def rows_of(records: Sequence[Record]) -> bytes:
    """Lines of JSON, in the format JSONEachRow."""
    return _encode_lines([{name: of(record) for name, _, of in COLUMNS} for record in records])


def ddl(table: str, days: int) -> str:
    """Makes the table, unless it is there.

    A row that comes twice counts once: ClickHouse knows tokens of inserts again, of the last thousand; and when it
    merges parts of a day, of rows with the same key one stays, which is what FINAL sees at once.
    """
    columns = ",\n".join(f"    `{column.name}` {column.type}" for column in COLUMNS)
    return (
        f"CREATE TABLE IF NOT EXISTS `{table}`\n(\n{columns}\n)\n"
        "ENGINE = ReplacingMergeTree\n"
        "PARTITION BY toDate(timestamp)\n"
        "ORDER BY (timestamp, request_id)\n"
        f"TTL toDateTime(timestamp) + INTERVAL {days} DAY\n"
        "SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000"
    )


def _json(value: object) -> str:
    return _encode(value).decode() if value else ""
