"""What is measured: how each subject is started, and how its models are called."""

import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

HERE = Path(__file__).resolve().parent


class Place(NamedTuple):
    """Where a subject runs. `directory` is empty and goes away with it."""

    server: str
    port: int
    upstream: str
    directory: Path


class Subject(NamedTuple):
    """`prefix` stands before the mock's model names. The command may need files, which `command` writes."""

    name: str
    command: Callable[[Place], list[str]]
    prefix: str = ""
    token: str = ""
    settings: Mapping[str, str] = MappingProxyType({})

    def environment(self) -> dict[str, str]:
        """This process's, without what would configure a gateway, and with its own settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "OTEL_"))}
        return {**kept, **self.settings, **({"GATEWAY_ADMIN_TOKEN": self.token} if self.token else {})}


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
    """All subjects by name.

    Args:
        models: of the mock; a gateway has to be told of each.
    """

    def gateway_command(place: Place, more: str = "", python: str = sys.executable) -> list[str]:
        config = place.directory / "gateway.yaml"
        config.write_text(manifest(models, place.upstream) + more)
        return [
            *(python, "-m", "gateway", "serve", "--config", str(config), "--host", "127.0.0.1"),
            *("--port", str(place.port), "--server", place.server),
        ]

    def before_command(place: Place, more: str = "") -> list[str]:
        return gateway_command(place, more, os.environ.get("BENCHMARK_BEFORE", sys.executable))

    def pooled(strategy: str) -> Subject:
        def command(place: Place) -> list[str]:
            return gateway_command(place, pool(strategy, models, place.upstream))

        return Subject(strategy, command, prefix="pool/", token=secrets.token_hex(32))

    known = [
        Subject("bare", bare_command),
        Subject("gateway", gateway_command, prefix="mock/", token=secrets.token_hex(32)),
        # Two that explain: how much two runs of the same thing differ, and what serving as the gateway does costs.
        Subject("control", bare_command),
        Subject("hosted", lambda place: [*bare_command(place), "--gateway-servers"]),
        # For `steps.py`: the same gateway with one thing more.
        Subject("again", gateway_command, prefix="mock/", token=secrets.token_hex(32)),
        # Another version, installed in an environment of its own: the path of its Python.
        Subject("before", before_command, prefix="mock/", token=secrets.token_hex(32)),
        Subject("before_limited", lambda place: before_command(place, LIMITS), "mock/", secrets.token_hex(32)),
        *(pooled(strategy) for strategy in ("weight", "latency", "priority")),
        Subject("limited", lambda place: gateway_command(place, LIMITS), "mock/", secrets.token_hex(32)),
        Subject(
            "shared",
            lambda place: gateway_command(place, LIMITS),
            "mock/",
            secrets.token_hex(32),
            {"GATEWAY_REDIS_URL": os.environ.get("BENCHMARK_REDIS_URL", "redis://127.0.0.1:6379/0")},
        ),
    ]
    return {subject.name: subject for subject in known}


def bare_command(place: Place) -> list[str]:
    return [
        *(sys.executable, str(HERE / "serve_bare.py"), "--server", place.server),
        *("--port", str(place.port), "--upstream", place.upstream),
    ]


def pool(strategy: str, models: Sequence[str], upstream: str) -> str:
    """A virtual model for each model, over three accounts."""
    accounts = "".join(f"---\n{manifest(models, upstream, name)}" for name in ("second", "third"))
    head = "---\ntype: provider-account/virtual-model\nname: pool\nintegrations:\n"
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


def manifest(models: Sequence[str], upstream: str, name: str = "mock") -> str:
    """One provider account, with one integration for each model."""
    head = f"type: provider-account/self-hosted-model\nname: {name}\nintegrations:\n"
    return head + "".join(
        f"  - type: integration/model/self-hosted-model\n"
        f"    name: {model}\n"
        f"    hosted_model_name: {model}\n"
        f"    url: {upstream}/v1\n"
        f"    model_server: openai-compatible\n"
        f"    model_types: [chat]\n"
        f"    cost: {{metric: per_1000_tokens, value: {{input: 0.001, output: 0.002}}}}\n"
        for model in models
    )
