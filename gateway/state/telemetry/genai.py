"""Records -> the metrics that OpenTelemetry's conventions want of clients of generative AI.

Counted only where they are sent to somebody: Prometheus has the same under other names.
"""

from collections.abc import Iterable

from gateway.contract import Record
from gateway.contract.part import Distribution
from gateway.state.telemetry import conventions as names
from gateway.state.telemetry.series import Bounded, Values
from gateway.state.telemetry.tally import MOST, Described

LABELS = (names.OPERATION, names.PROVIDER, names.REQUEST_MODEL, names.ERROR_TYPE)
HELP = {
    names.DURATION: "How long a request for a model took.",
    names.TIME_TO_FIRST_CHUNK: "Until a stream began.",
    names.TIME_PER_TOKEN: "From token to token of a stream, on average.",
    names.TOKEN_USAGE: "Tokens of a request.",
}
ERRORS = frozenset({"upstream_unreachable", "upstream_timeout", "stream_interrupted", "rate_limit_exceeded"})
OTHER_ERROR = "_OTHER"
"""As the conventions have it, for errors that are as many as providers can think of."""


class GenAi:
    def __init__(self, described: Described, *, most: int = MOST) -> None:
        self.described = described
        self._seconds = {
            name: Bounded(lambda: Values(names.SECONDS_BOUNDS), labels=len(LABELS), most=most)
            for name in (names.DURATION, names.TIME_TO_FIRST_CHUNK, names.TIME_PER_TOKEN)
        }
        self._tokens = Bounded(lambda: Values(names.TOKENS_BOUNDS), labels=len(LABELS) + 1, most=most)

    def count(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.request_type is not None and record.resolved_model is not None:
                self._count(record, record.request_type, record.resolved_model)

    def _count(self, record: Record, kind: str, resolved: str) -> None:
        name, account_type = self.described(resolved)
        labels = (
            names.operation_of(kind),
            names.provider_of(account_type),
            name.partition("/")[2],
            "" if record.status < 400 else _error_of(record),
        )
        self._seconds[names.DURATION].at(labels).add(record.duration_ms / 1000)
        if record.stream and record.time_to_first_token_ms is not None:
            self._seconds[names.TIME_TO_FIRST_CHUNK].at(labels).add(record.time_to_first_token_ms / 1000)
        if record.time_per_output_token_ms is not None:
            self._seconds[names.TIME_PER_TOKEN].at(labels).add(record.time_per_output_token_ms / 1000)
        if record.usage is not None:
            self._tokens.at((*labels, "input")).add(record.usage.input_tokens)
            self._tokens.at((*labels, "output")).add(record.usage.output_tokens)

    def figures(self) -> Iterable[Distribution]:
        for name, cells in self._seconds.items():
            values = {of: cell.spread for of, cell in cells.cells.items()}
            yield Distribution(name, HELP[name], names.SECONDS_BOUNDS, values, LABELS)
        values = {of: cell.spread for of, cell in self._tokens.cells.items()}
        labels = (*LABELS, names.TOKEN_TYPE)
        yield Distribution(names.TOKEN_USAGE, HELP[names.TOKEN_USAGE], names.TOKENS_BOUNDS, values, labels)


def _error_of(record: Record) -> str:
    return record.error_code if record.error_code in ERRORS else OTHER_ERROR
