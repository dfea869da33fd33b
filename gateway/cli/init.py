"""`gateway init`: a first file of manifests."""

import os
from pathlib import Path
from string import Template

import click

KEY = "OPENAI_API_KEY"

_OPENAI = """\
type: provider-account/openai
name: openai
auth_data:
  type: api-key
  api_key: ${OPENAI_API_KEY} # of the gateway's environment; tfy-secret://acme:<group>:<key> is a file or stored secret
integrations:
  - type: integration/model/openai
    name: gpt-4o-mini # callers ask for openai/gpt-4o-mini
    model_id: gpt-4o-mini # what OpenAI calls it
    model_types: [chat]
    cost: {metric: public_cost} # its list price, for budgets and `gateway usage`
"""

_DEMO = """\
type: provider-account/demo # it needs no key, and answers with what it was told
name: demo
integrations:
  - type: integration/model/demo
    name: echo # callers ask for demo/echo
    model_types: [chat]
    cost: {metric: per_1000_tokens, value: {input: 0.001, output: 0.002}} # US dollars, to try budgets with
"""

_FILE = Template("""\
# What the gateway offers, to whom, and how much of it: manifests, with --- between them.
# `gateway check` tells what is wrong with them. While the gateway runs, a change is in force once the file is saved.

# An account: where models are, the key for them, and which of them are offered.
$account$more---
# A grant: all users may use these two accounts. A `{type: user, name: ana@example.com}` would be one.
type: role-binding
name: everyone-uses-models
subjects:
  - {type: team, name: everyone}
permissions:
  - {resourceType: provider-account, resourceFqn: acme:$vendor:$vendor, role: provider-account-access}
  - {resourceType: provider-account, resourceFqn: acme:virtual-model:models, role: provider-account-access}
---
# A virtual model: one name for one or several models. When the first cannot answer, the next one is asked.
type: provider-account/virtual-model
name: models
integrations:
  - type: integration/model/virtual
    name: small # callers ask for models/small
    alias: [$alias] # or for this; clients that have a list of names ask for one of theirs, such as gpt-4o-mini
    model_types: [chat]
    routing_config:
      type: priority-based-routing
      load_balance_targets:
        - {target: $model, priority: 0}
        # - {target: other-account/other-model, priority: 1}
---
# A limit: what each user may send in a minute.
type: tenant-rate-limit-config/model
name: per-user
limits: {requests_per_minute: 60}
applies_to: {type: per-user}

# More, once the `# ` in front of these lines is gone. A budget: what each user may spend in a day, in US dollars.
# ---
# type: tenant-budget-config
# name: daily
# limits: {cost_per_day: 5}
# applies_to: {type: per-user}
# mode: enforce

# Guardrails: one that replaces mail addresses and numbers of cards, and the rule by which all prompts pass it.
# ---
# type: provider-account/guardrail-config-group
# name: safety
# integrations:
#   - type: integration/guardrail-config/tfy-pii
#     name: pii
#     operation: mutate
#     enforcing_strategy: enforce
#     config: {pii_categories: [Email, CreditCardNumber]}
# ---
# type: gateway-guardrails-config
# name: guards
# rules:
#   - id: all-models
#     when: {target: {conditions: {model: {condition: in, values: ["*"]}}}}
#     llm_input_guardrails: [safety/pii]
#     llm_output_guardrails: []
#     mcp_tool_pre_invoke_guardrails: []
#     mcp_tool_post_invoke_guardrails: []
""")


@click.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), default="gateway.yaml")
def init(path: Path) -> None:
    """Write a first file of manifests: one account, one grant, one virtual model, one limit.

    PATH is gateway.yaml, where `gateway serve` looks for it, unless given. The account is OpenAI's if OPENAI_API_KEY is
    set, or else one that needs no key. What is there already is not overwritten.

    \b
    Exit codes:
      0  it is written
      1  it is not: there is such a file, or the folder cannot be written to
    """
    try:
        with path.open("x") as file:
            file.write(first_file(has_key=bool(os.environ.get(KEY))))
    except FileExistsError:
        raise click.ClickException(f"{path} is there already, and stays as it is; name another file") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    config = "" if path == Path("gateway.yaml") else f" --config {path}"
    click.echo(
        f"wrote {path}: one account, one grant, one virtual model, one limit\n\n"
        "Next:\n"
        f"  gateway check {path}\n"
        f"  gateway serve{config}\n"
        "  gateway token create --user you@example.com    (in another terminal: a token to call it with)"
    )


def first_file(*, has_key: bool) -> str:
    if has_key:
        return _FILE.substitute(
            account=_OPENAI, more="", vendor="openai", model="openai/gpt-4o-mini", alias="gpt-4o-mini"
        )
    commented = "".join(f"# {line}\n" for line in ["---", *_OPENAI.splitlines()])
    more = (
        f"#\n# With a key, OpenAI's would be this one; put it into the grant and the virtual model, too:\n{commented}"
    )
    return _FILE.substitute(account=_DEMO, more=more, vendor="demo", model="demo/echo", alias="echo")
