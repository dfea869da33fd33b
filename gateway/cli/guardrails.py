"""`gateway guardrails`: what guardrails make of a text."""

import sys
from typing import TYPE_CHECKING

import click

from gateway.cli.options import as_json, calls_gateway

if TYPE_CHECKING:
    from gateway.cli.client import ControlApi

HOOKS = ("llm_input", "llm_output", "mcp_tool_pre_invoke", "mcp_tool_post_invoke")


@click.group()
def guardrails() -> None:
    """Try guardrails."""


@guardrails.command("test")
@click.argument("texts", nargs=-1)
@click.option(
    "--guardrail",
    "-g",
    "names",
    metavar="GROUP/NAME",
    multiple=True,
    required=True,
    help="Whom to ask; may be repeated.",
)
@click.option("--hook", type=click.Choice(HOOKS), default=HOOKS[0], show_default=True, help="What the texts are.")
@as_json
@calls_gateway
def try_out(api: "ControlApi", texts: tuple[str, ...], names: tuple[str, ...], hook: str, as_json: bool) -> None:
    """Ask guardrails of a running gateway about texts, without a model.

    TEXTS are asked about together; without any, each line of standard input is one.

    \b
    Exit codes:
      0  all of them would let it through
      1  it would be blocked, or the gateway does not answer
      2  wrong usage of this command
    """
    import msgspec

    from gateway.cli.terminal import printable, show_json, show_table
    from gateway.control.schema import GuardrailReport

    lines = texts or tuple(line for line in sys.stdin.read().splitlines() if line)
    body = {"guardrails": names, "hook": hook, "texts": lines}
    report = api.ask("POST", "guardrails", "test", kind=GuardrailReport, body=body)
    if as_json:
        show_json(msgspec.to_builtins(report))
    else:
        rows = [
            (each.guardrail_integration, each.result, each.explanation, f"{each.duration_ms:.1f} ms")
            for each in report.results
        ]
        show_table(("GUARDRAIL", "RESULT", "WHY", "TOOK"), rows, none="no guardrails")
        for before, after in zip(lines, report.texts, strict=False):
            if before != after:
                click.echo(f"changed to: {printable(after)}")
    if report.verdict == "failed":
        sys.exit(1)
