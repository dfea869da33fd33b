"""Other gateways, installed apart: how each is told of the mock provider, and to do what ours does."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from subject import Place, Subject, token

PROVIDER_KEY = "sk-mock"
NOWHERE = "http://127.0.0.1:9/"
"""Where nobody listens: for what would be fetched from the internet at the start."""

FERROGW_KEPT = """\
plugins:
  - &limit
    name: rate-limit
    type: ratelimit
    stage: before_request
    enabled: true
    config: {requests_per_second: 1000000000, key_rpm: 1000000000, user_rpm: 1000000000}
  - &budget
    name: budget
    type: ratelimit
    stage: before_request
    enabled: true
    config: {store_id: default, spend_limit_usd: 1000000, input_per_m_tokens: 1.0, output_per_m_tokens: 2.0}
  - {<<: *budget, stage: after_request}
  - &log
    name: request-logger
    type: logging
    stage: before_request
    enabled: true
    config: {level: info, persist: true}
  - {<<: *log, stage: after_request}
  - {<<: *log, stage: on_error}
"""
"""Limits and a budget that nothing comes near to, and requests kept in SQLite."""


def ferrogw(name: str, models: Sequence[str], more: str = "") -> Subject:
    """A gateway written in Go, with the key of its admin and its log on; `more` of its configuration."""
    binary = os.environ.get("BENCHMARK_FERROGW") or shutil.which("ferrogw") or ""
    key = f"fgw_{token()}"

    def command(place: Place) -> list[str]:
        declared = "".join(f"      - {model}\n" for model in models)
        (place.directory / "ferrogw.yaml").write_text(
            f"strategy:\n  mode: single\ntargets:\n  - virtual_key: openai\n    models:\n{declared}{more}"
        )
        return [binary, "serve"]

    def settings(place: Place) -> dict[str, str]:
        kept = {"REQUEST_LOG_STORE_BACKEND": "sqlite", "REQUEST_LOG_STORE_DSN": str(place.directory / "requests.db")}
        return {
            "GATEWAY_CONFIG": str(place.directory / "ferrogw.yaml"),
            "PORT": str(place.port),
            "MASTER_KEY": key,
            "OPENAI_API_KEY": PROVIDER_KEY,
            "OPENAI_BASE_URL": f"{place.upstream}/v1",
            "FERRO_MODEL_CATALOG_URL": NOWHERE,
            # Its limit for each address, of 20 requests a second, would be all that is measured.
            "RATE_LIMIT_RPS": "1000000000",
            "RATE_LIMIT_BURST": "1000000000",
            **(kept if more else {}),
        }

    return Subject(
        name,
        command,
        token=key,
        settings=settings,
        tells_usage=True,
        is_foreign=True,
        missing="" if binary else "pip install --no-deps --target DIR ferrogw; BENCHMARK_FERROGW=DIR/bin/ferrogw",
    )


def litellm(models: Sequence[str]) -> Subject:
    """Its proxy with one worker and the key of its admin; it has no database, and so no limits, budgets and ledger."""
    python = os.environ.get("BENCHMARK_LITELLM", "")
    key = f"sk-{token()}"

    def command(place: Place) -> list[str]:
        config = place.directory / "litellm.yaml"
        config.write_text(
            "model_list:\n"
            + "".join(
                f"  - model_name: {model}\n"
                f"    litellm_params:\n"
                f"      {{model: openai/{model}, api_base: '{place.upstream}/v1', api_key: {PROVIDER_KEY},\n"
                f"       input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}}\n"
                for model in models
            )
        )
        return [
            *(str(Path(python).absolute().parent / "litellm"), "--config", str(config), "--telemetry", "False"),
            *("--host", "127.0.0.1", "--port", str(place.port), "--num_workers", "1"),
        ]

    return Subject(
        "litellm",
        command,
        token=key,
        settings=lambda _: {"LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        is_foreign=True,
        missing=""
        if python
        else "pip install 'litellm[proxy]' in an environment of its own; BENCHMARK_LITELLM=its Python",
    )


def versions(subjects: Sequence[str]) -> list[str]:
    """Of those that are among the subjects."""
    names = {subject.partition("_")[0] for subject in subjects}
    asked: dict[str, Callable[[], list[str]]] = {
        "ferrogw": lambda: [os.environ.get("BENCHMARK_FERROGW") or "ferrogw", "version"],
        "litellm": lambda: [os.environ["BENCHMARK_LITELLM"], "-m", "pip", "show", "litellm"],
    }
    found = []
    for name in sorted(names & asked.keys()):
        said = subprocess.run(asked[name](), capture_output=True, text=True, check=False).stdout
        version = re.search(r"(?i)version:?\s+(\S+)", said)
        found.append(f"{name} {version[1] if version else 'of unknown version'}")
    return found
