"""`gateway logs`: what happened to single requests, the last of them or those that come in."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import calls_gateway

if TYPE_CHECKING:
    from gateway.cli.client import ControlApi
    from gateway.control.schema import RequestRow, RequestStep

PAGE = 500
_WHERE = re.compile(r"([A-Za-z_][^=<>!]*)(!=|>=|<=|=|>|<)(.*)", re.DOTALL)
_HEAD = ("TIME", "STATUS", "MODEL", "WHO", "MS", "FIRST", "TOKENS", "COST", "REQUEST")
_WIDTHS = (19, 6, 28, 26, 8, 7, 13, 12)
_FOLLOWED_S = 60.0
"""The gateway says something at least every 15 s."""


def where_option(_: click.Context, __: click.Parameter, values: Sequence[str]) -> dict[str, list[str]]:
    """Field -> its values, as the query has them. `model!=a` becomes `not.model`, `duration_ms>500` a bound."""
    found: dict[str, list[str]] = {}
    for text in values:
        match = _WHERE.fullmatch(text)
        if match is None:
            raise click.BadParameter(f"{text!r} has to look like model=gpt-4o, status!=200 or duration_ms>500")
        field, compare, value = match[1].strip(), match[2], match[3].strip()
        name = f"not.{field}" if compare == "!=" else field
        found.setdefault(name, []).append(value if compare in ("=", "!=") else f"{compare}{value}")
    return found


@click.command()
@click.argument("request_id", required=False)
@click.option("--follow", "-f", is_flag=True, help="Show requests as they end, until Ctrl-C.")
@click.option(
    "--where",
    "-w",
    multiple=True,
    callback=where_option,
    metavar="FIELD=VALUE",
    help="Only those that fit: model=a, model!=a, status=5xx, duration_ms>500, metadata.app=bot. The same field twice "
    "is one or the other; different ones have to fit together.",
)
@click.option("--since", metavar="WHEN", help="30m, 24h, 7d, or 2026-01-31T12:00:00Z.")
@click.option("--until", metavar="WHEN", help="The same.")
@click.option("--limit", "-n", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="How many.")
@click.option("--output", "-o", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True)
@calls_gateway
def logs(
    api: "ControlApi",
    request_id: str | None,
    follow: bool,
    where: Mapping[str, Sequence[str]],
    since: str | None,
    until: str | None,
    limit: int,
    output: str,
) -> None:
    """Show requests: the last ones, those that come in, or all that is known of one.

    Those of everybody, if you may see that, or else your own.
    """
    if request_id is not None:
        _show_one(api, request_id, output)
        return
    if follow:
        if output == "csv":
            raise click.UsageError("--follow writes text or json")
        _follow(api, {**where, "since": since}, output)
        return
    query: dict[str, Any] = {**where, "since": since, "until": until}
    if output == "text":
        rows = list(_rows(api, query, limit))
        if not rows:
            click.echo("no requests", err=True)
            return
        click.echo(_line(_HEAD))
        for row in reversed(rows):
            click.echo(_text(row))
        return
    kind = "csv" if output == "csv" else "jsonl"
    for line in api.lines("requests", "export", query={**query, "format": kind, "limit": limit}):
        click.echo(line, nl=False)


def _rows(api: "ControlApi", query: Mapping[str, Any], limit: int) -> "Iterator[RequestRow]":
    """The newest first. A page may be short, and still not be the last."""
    from gateway.control.schema import RequestList

    cursor, left = None, limit
    while left > 0:
        asked = {**query, "limit": min(left, PAGE), "cursor": cursor}
        page = api.ask("GET", "requests", kind=RequestList, query=asked)
        yield from page.data
        left -= len(page.data)
        cursor = page.next_cursor
        if cursor is None:
            return


def _follow(api: "ControlApi", query: Mapping[str, Any], output: str) -> None:
    import msgspec

    from gateway.cli.terminal import printable
    from gateway.control.schema import RequestRow

    if output == "text":
        click.echo(_line(_HEAD))
    event = ""
    try:
        for line in api.lines("requests", "stream", query=query, timeout_s=_FOLLOWED_S):
            name, _, value = line.decode().rstrip("\r\n").partition(": ")
            if name == "event":
                event = value
            elif name == "data" and event == "requests":
                for raw in msgspec.json.decode(value, type=list[msgspec.Raw]):
                    row = msgspec.json.decode(raw, type=RequestRow)
                    click.echo(bytes(raw) if output == "json" else _text(row))
            elif name == "data" and event == "problem":
                click.echo(printable(value), err=True)
    except KeyboardInterrupt:
        return
    click.echo("the gateway ended it: it stops", err=True)


def about(step: "RequestStep") -> str:
    became = str(step.result or step.status)
    reason = f", {step.reason}" if step.reason and step.reason != became else ""
    rule = f", by {step.rule}" if step.rule else ""
    return f"{became} in {step.duration_ms:.0f} ms{reason}{rule}"


def _show_one(api: "ControlApi", request_id: str, output: str) -> None:
    from gateway.cli.terminal import show_fields, show_json
    from gateway.control.schema import RequestDetails, Shown

    if output == "json":
        show_json(api.ask("GET", "requests", request_id, kind=Shown[dict[str, Any]]).data)
        return
    found = api.ask("GET", "requests", request_id, kind=Shown[RequestDetails]).data
    row = found.request
    fields = [
        ("request", row.request_id),
        ("time", f"{row.at:%Y-%m-%d %H:%M:%S} UTC"),
        ("who", row.subject or ""),
        ("asked for", f"{row.type or ''} {row.model or ''}".strip()),
        ("answered by", row.resolved_model or ""),
        ("status", f"{row.status} {row.outcome}"),
        ("took", _took(row)),
        ("tokens", _tokens(row)),
        ("metadata", ", ".join(f"{name}={value}" for name, value in row.metadata.items())),
    ]
    if row.error_message:
        fields.append(("error", f"{row.error_code or row.error_type or ''}: {row.error_message}"))
    for name, value in (found.applied or {}).items():
        fields.append((name.replace("_", " "), value if isinstance(value, str) else str(value)))
    for rules, name in ((row.limit_rules, "limits"), (row.budget_rules, "budgets"), (row.over_limits, "over")):
        if rules:
            fields.append((name, ", ".join(rules)))
    fields += [(step.kind, f"{step.name}: {about(step)}") for step in found.steps]
    if found.bill is not None:
        fields.append(("price", f"{found.bill.price_row} of {found.bill.price_version}"))
        fields += [(line.name, line.sum) for line in found.bill.lines]
    fields.append(("cost", f"${row.cost}" if row.cost is not None else "not known"))
    for given in row.feedback:
        said = " ".join(filter(None, (_value(given.value), given.comment)))
        fields.append(("feedback", f"{given.name}: {said} ({given.by})"))
    show_fields(fields)


def _took(row: "RequestRow") -> str:
    own = f", {row.overhead_ms:.1f} ms of it the gateway's own" if row.overhead_ms is not None else ""
    first = f", first token after {row.time_to_first_token_ms:.0f} ms" if row.time_to_first_token_ms else ""
    return f"{row.duration_ms:.0f} ms{first}{own}"


def _tokens(row: "RequestRow") -> str:
    return f"{row.input_tokens} -> {row.output_tokens}" if row.input_tokens is not None else ""


def _value(value: str | float | None) -> str:
    return f"{value:g}" if isinstance(value, float) else value or ""


def _text(row: "RequestRow") -> str:
    first = f"{row.time_to_first_token_ms:.0f}" if row.stream and row.time_to_first_token_ms is not None else ""
    cells = (
        f"{row.at:%Y-%m-%d %H:%M:%S}",
        str(row.status),
        row.resolved_model or row.model or "",
        row.subject or "",
        f"{row.duration_ms:.0f}",
        first,
        _tokens(row),
        f"${row.cost}" if row.cost is not None else "",
        row.request_id,
    )
    more = [*((row.error_message,) if row.error_message else ())]
    more += [f"{given.name}: {_value(given.value)}".rstrip(": ") for given in row.feedback]
    return "  ".join((_line(cells), *map(_printable, more)))


def _line(cells: Sequence[str]) -> str:
    padded = [(_printable(cell) or "-").ljust(width) for cell, width in zip(cells, (*_WIDTHS, 0), strict=True)]
    return "  ".join(padded).rstrip()


def _printable(text: str) -> str:
    from gateway.cli.terminal import printable

    return printable(text)
