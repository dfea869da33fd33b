"""`gateway usage`: what was used and what it cost, and how much of limits and budgets is left."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import as_json, calls_gateway
from gateway.cli.periods import since_option

if TYPE_CHECKING:
    from gateway.cli.client import ControlApi
    from gateway.control.schema import Amount, Standing, Used

_HEAD = ("REQUESTS", "INPUT TOKENS", "OUTPUT TOKENS", "COST", "UNPRICED")
_CSV = ("requests", "input_tokens", "output_tokens", "cost_usd", "unpriced")
_SUMMED = ("inputTokens", "outputTokens", "costInUSD", "unpriced")
_VALUES = ("count", *(f"sum({name})" for name in _SUMMED))
_DIMENSIONS = {"model": "requestedModelName", "resolved_model": "modelName", "account": "providerAccountName"} | {
    "token": "tokenId",
    "status": "httpStatusCode",
    "type": "requestType",
}
_UNITS = ("subject", "team", "model", "resolved_model", "day")


class _ReportUnlessNamed(click.Group):
    """`gateway usage --by day` is `gateway usage report --by day`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["report", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ReportUnlessNamed)
def usage() -> None:
    """Show what was used, what it cost, and what is left.

    Without a command it is `report`: gateway usage --by subject --since 2026-03-01
    """


@usage.command()
@click.option(
    "--by",
    metavar="|".join((*_UNITS, "metadata.KEY")),
    default="model",
    show_default=True,
    help="One row for each; of each pair if it is two, as in team,model.",
)
@click.option(
    "--since", metavar="DATE", callback=since_option, help="The first day, in UTC, or 7d. [default: this month's first]"
)
@click.option("--until", metavar="DATE", help="The last day, in UTC. [default: today]")
@click.option("--who", metavar="SUBJECT", help="Of one only: user:ana@example.com, team:research, virtualaccount:ci.")
@click.option("--output", "-o", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True)
@as_json
@calls_gateway
def report(
    api: "ControlApi",
    by: str,
    since: str | None,
    until: str | None,
    who: str | None,
    output: str,
    as_json: bool,
) -> None:
    """Sum up requests, tokens and costs.

    Of everybody, if you may see that, or else your own. Requests nobody knows the price of are counted as unpriced, and
    cost more than nothing.
    """
    from gateway.cli.terminal import show_csv, show_json, show_table
    from gateway.control.schema import UsageReport

    if "," in by:
        _report_pairs(api, by.split(","), since, until, who, "json" if as_json else output)
        return
    query = {"by": by, "since": since, "until": until, "who": who}
    if as_json or output == "json":
        show_json(api.ask("GET", "llm-gateway", "usage", kind=dict[str, Any], query=query))
        return
    found = api.ask("GET", "llm-gateway", "usage", kind=UsageReport, query=query)
    rows = [(row.group, *_cells(row)) for row in found.data]
    if output == "csv":
        show_csv((by, *_CSV), [(row.group, *_numbers(row)) for row in found.data])
        return
    if rows and found.total is not None:
        rows.append(("total", *_cells(found.total)))
    show_table((by.upper().replace("_", " "), *_HEAD), rows, none="nothing was used")


def _report_pairs(
    api: "ControlApi", by: Sequence[str], since: str | None, until: str | None, who: str | None, output: str
) -> None:
    """By two things at once: from the sums of request records, which are kept for 400 days."""
    from datetime import UTC, datetime, timedelta

    from gateway.cli.terminal import show_csv, show_json, show_table
    from gateway.contract.money import dollars_text, nano_dollars
    from gateway.control.schema import Metrics

    names = [_DIMENSIONS.get(name, name) for name in by]
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    end = datetime.fromisoformat(until).replace(tzinfo=UTC) if until is not None else today
    body: dict[str, Any] = {
        "startTs": f"{since}T00:00:00Z" if since is not None else today.replace(day=1).isoformat(),
        "endTs": (end + timedelta(days=1)).isoformat(),
        "groupBy": names,
        "aggregations": [{"type": "count"}, *({"type": "sum", "column": name} for name in _SUMMED)],
    }
    if who is not None:
        field = "team" if who.startswith("team:") else "subject"
        body["filters"] = [{"field": field, "operator": "IN", "value": who}]
    path = ("llm-gateway", "metrics", "query")
    if output == "json":
        show_json(api.ask("POST", *path, kind=dict[str, Any], body=body))
        return
    found = api.ask("POST", *path, kind=Metrics, body=body).data
    rows = []
    for row in found:
        groups = [row.group_by.get(name, "") for name in names]
        count, tokens_in, tokens_out, cost, unpriced = (row.values.get(name) for name in _VALUES)
        rows.append((*groups, str(count), str(tokens_in), str(tokens_out), str(cost), str(unpriced)))
    if output == "csv":
        show_csv((*by, *_CSV), rows)
        return
    shown = [(*cells, dollars_text(nano_dollars(float(cost))), unpriced) for *cells, cost, unpriced in rows]
    show_table((*(name.upper().replace("_", " ") for name in by), *_HEAD), shown, none="nothing was used")


@usage.command()
@as_json
@calls_gateway
def mine(api: "ControlApi", as_json: bool) -> None:
    """Show your own limits and budgets, and how much of them is used.

    A * stands for each model, or each value of the metadata.
    """
    from gateway.cli.terminal import show_json, show_table
    from gateway.control.schema import Standings

    path = ("llm-gateway", "budgets", "my-usage")
    if as_json:
        show_json(api.ask("GET", *path, kind=dict[str, Any]))
        return
    found = api.ask("GET", *path, kind=Standings)
    rows = [(each.rule, each.scope, *_standing(each), each.mode, _end(each)) for each in found.data]
    show_table(("RULE", "FOR", "UNIT", "USED", "LIMIT", "%", "MODE", "RESETS"), rows, none="nothing limits you")
    if found.source == "ledger":
        click.echo("The counters cannot be reached just now, so this is what was written down before.", err=True)


@usage.command()
@click.argument("request_id")
@as_json
@calls_gateway
def explain(api: "ControlApi", request_id: str, as_json: bool) -> None:
    """Show how the bill of one request comes about.

    Its id is in the answer, as the header x-request-id.
    """
    from gateway.cli.terminal import show_fields, show_json, when
    from gateway.contract.money import dollars_text
    from gateway.control.schema import Request, Shown

    path = ("llm-gateway", "usage", "requests", request_id)
    if as_json:
        show_json(api.ask("GET", *path, kind=Shown[dict[str, Any]]).data)
        return
    found = api.ask("GET", *path, kind=Shown[Request]).data
    bill = found.bill
    fields = [
        ("request", found.request_id),
        ("time", when(found.at)),
        ("subject", found.subject),
        ("model", found.model),
        ("answered by", found.resolved_model or ""),
        ("outcome", found.outcome),
    ]
    if bill is None:
        fields.append(("cost", "not known: the model has no price"))
    else:
        fields += [("price", f"{bill.price_row} of {bill.price_version}"), ("tariff", bill.tariff)]
        fields += [(line.name, line.sum) for line in bill.lines]
        fields += [(name, "not known: the price list has no price for it") for name in bill.unpriced]
        fields.append(("cost", dollars_text(bill.cost_nano_usd)))
    show_fields(fields)


@usage.command()
@as_json
@calls_gateway
def budgets(api: "ControlApi", as_json: bool) -> None:
    """List the budgets you may see."""
    from gateway.cli.terminal import show_json, show_table
    from gateway.control.schema import Budget, Listing

    if as_json:
        show_json(api.ask("GET", "llm-gateway", "budgets", kind=Listing[Any]).data)
        return
    rows = [
        (
            each.name,
            str(each.manifest.get("team_name", "")),
            str(each.manifest.get("mode", "")),
            _limits(each.manifest.get("limits")),
            each.managed_by,
            str(each.version or ""),
        )
        for each in api.ask("GET", "llm-gateway", "budgets", kind=Listing[Budget]).data
    ]
    show_table(("NAME", "TEAM", "MODE", "LIMITS", "MANAGED BY", "VERSION"), rows, none="no budgets")


@usage.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many of each window.")
@as_json
@calls_gateway
def leaderboard(api: "ControlApi", name: str, limit: int, as_json: bool) -> None:
    """Show who has used most of a budget, in each of its windows of now."""
    from gateway.cli.terminal import show_json, show_table
    from gateway.control.schema import Listing, Standing

    path, query = ("llm-gateway", "budgets", name, "leaderboard"), {"limit": limit}
    if as_json:
        show_json(api.ask("GET", *path, kind=Listing[Any], query=query).data)
        return
    found = api.ask("GET", *path, kind=Listing[Standing], query=query).data
    rows = [(each.scope or "all together", *_standing(each)) for each in found]
    show_table(("WHO", "UNIT", "USED", "LIMIT", "%"), rows, none="nothing was used")


def _cells(row: "Used") -> tuple[str, ...]:
    from gateway.contract.money import dollars_text

    counts = (str(row.requests), str(row.input_tokens), str(row.output_tokens))
    return (*counts, dollars_text(row.cost_nano_usd), str(row.unpriced))


def _numbers(row: "Used") -> tuple[str, ...]:
    """For programs: the cost to the last digit."""
    from gateway.contract.money import exact_dollars

    counts = (str(row.requests), str(row.input_tokens), str(row.output_tokens))
    return (*counts, exact_dollars(row.cost_nano_usd), str(row.unpriced))


def _standing(each: "Standing") -> tuple[str, ...]:
    """Unit, used, limit and percentage."""
    share = "" if each.percentage is None else f"{each.percentage:g}"
    return (each.unit, _amount(each.used, each.used_nano_usd), _amount(each.limit, each.limit_nano_usd), share)


def _amount(amount: "Amount | None", nano_usd: int | None) -> str:
    from gateway.contract.money import dollars_text

    if nano_usd is not None:
        return dollars_text(nano_usd)
    return f"{amount:.0f}" if isinstance(amount, float) else ""


def _end(each: "Standing") -> str:
    """Of a budget's window; those of limits slide."""
    from datetime import UTC, datetime

    from gateway.contract.windows import FOREVER_S

    if each.end is None or not each.is_budget:
        return ""
    return "never" if each.end == FOREVER_S else f"{datetime.fromtimestamp(each.end, UTC):%Y-%m-%d %H:%M} UTC"


def _limits(limits: Any) -> str:
    """Of a budget, as they are written in its manifest."""
    named = limits.items() if isinstance(limits, dict) else ()
    return ", ".join(f"{name} {_dollars(amount)}" for name, amount in named)


def _dollars(amount: Any) -> str:
    """What stands in for a number, as `${NAME}` does, as it is."""
    from gateway.contract.money import dollars_text, nano_dollars

    return dollars_text(nano_dollars(amount)) if isinstance(amount, int | float) else str(amount)
