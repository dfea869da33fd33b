"""Budgets by name and who has used most of each, and the manifests of all other controls by type."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.contract.limits import Hold
from gateway.control import manifests
from gateway.control.answers import entries, page
from gateway.control.control import Ask, Control
from gateway.control.documents import named
from gateway.control.ownership import TEAM_BUDGET
from gateway.control.schema import Listing, Standing
from gateway.control.standing import standing
from gateway.errors import BadRequest, NotFound
from gateway.rules.limits import Limit, Rule, policy_of
from gateway.rules.limits.keys import counter_key, policy_key
from gateway.state.database.ledger_rows import Total

TENANT_BUDGET = "tenant-budget-config"
BUDGETS = (TENANT_BUDGET, TEAM_BUDGET)
RATE_LIMITS = ("gateway-rate-limiting-config", "tenant-rate-limit-config")
CONFIGS = (
    *RATE_LIMITS,
    *BUDGETS,
    "gateway-budget-config",
    "gateway-data-access-config",
    "gateway-data-routing-config",
    "gateway-fallback-config",
    "gateway-global-settings",
    "gateway-guardrails-config",
    "gateway-load-balancing-config",
    "gateway-logging-config",
    "gateway-otel-config",
    "gateway-priority-config",
)
LEADERS = 500
MAX_DIGITS = 18


# --- the handlers ------------------------------------------------------------


async def list_budgets(control: Control, ask: Ask) -> dict[str, Any]:
    """All, or those of a `type` and of the team `team_name`."""
    type_, team = ask.query.get("type"), ask.query.get("team_name")
    rows = [
        row
        for row in await _rows(control, ask, *BUDGETS)
        if type_ in (None, row["type"]) and team in (None, row["manifest"].get("team_name"))
    ]
    return page(ask.query, rows)


async def list_rate_limits(control: Control, ask: Ask) -> dict[str, Any]:
    return page(ask.query, await _rows(control, ask, *RATE_LIMITS))


async def config(control: Control, ask: Ask) -> dict[str, Any]:
    """The one of a type, wherever it is managed. Of some types there may be several: `data` has them all."""
    type_ = ask.path["type"]
    if type_ not in CONFIGS:
        raise NotFound(f"there is no configuration of type {type_[:200]!r}; there are: {', '.join(sorted(CONFIGS))}")
    rows = await _rows(control, ask, type_)
    if not rows:
        raise NotFound(f"there is no {type_}")
    return {**rows[0], "data": rows}


async def config_by_query(control: Control, ask: Ask) -> dict[str, Any]:
    """The same for `?type=`, with the fields of the manifest beside the others."""
    answer = await config(control, Ask(ask.caller, {"type": ask.query.get("type", "")}, ask.query))
    return {**answer["manifest"], **answer}


async def put_budget(control: Control, ask: Ask) -> dict[str, Any]:
    """Without a type, it is a team's if it names one."""
    manifest = ask.body.manifest
    type_ = manifest.get("type", TEAM_BUDGET if "team_name" in manifest else TENANT_BUDGET)
    if type_ not in BUDGETS:
        raise BadRequest(f"the type of the manifest has to be {TENANT_BUDGET} or {TEAM_BUDGET}", param="type")
    applied = await manifests.put(control, ask.caller, {"type": type_, **manifest}, dry_run=ask.body.dry_run)
    return {**await manifests.entry_of(control, ask.caller, applied), **msgspec.to_builtins(applied)}


async def get_budget(control: Control, ask: Ask) -> dict[str, Any]:
    [entry] = await entries(control, ask.caller, [named(control, ask, *BUDGETS, what="budget")])
    return entry


async def leaderboard(control: Control, ask: Ask) -> Listing[Standing]:
    """Of each window of the budget, that of now: who has used most of it, as far as the ledger knows by now."""
    manifest = named(control, ask, *BUDGETS, what="budget")
    most = _limit(ask.query)
    policy = policy_key(manifest.type, manifest.name)
    rule = next(rule for rule in control.config.snapshot.policies.rules if rule.policy == policy)
    usual, special = {(limit.unit, limit.window): limit.amount for limit in rule.limits}, _special(rule)
    windows = dict.fromkeys((limit.unit, limit.window) for limits in _all_limits(rule) for limit in limits)
    rows: list[Standing] = []
    now = control.now()
    for unit, window in windows:
        totals = await control.ledger.leaderboard(rule.name, unit, window, now, limit=LEADERS)
        # A rule of the first generation may have the same name.
        leaders = [total for total in totals if policy_of(total.key) == policy]
        for total in leaders[:most]:
            limit = special.get(total.key, usual.get((unit, window)))
            if limit is not None:
                rows.append(standing(_hold(rule, total, limit), total.amount, now.timestamp()))
    return Listing(rows)


# --- what they do ------------------------------------------------------------


async def _rows(control: Control, ask: Ask, *types: str) -> list[dict[str, Any]]:
    return await entries(control, ask.caller, manifests.readable(control, ask.caller, *types))


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(LEADERS))
    if not text.isdecimal() or len(text) > MAX_DIGITS or not 1 <= int(text) <= LEADERS:
        raise BadRequest(f"limit has to be a number from 1 to {LEADERS}", param="limit")
    return int(text)


def _all_limits(rule: Rule) -> Iterable[tuple[Limit, ...]]:
    return (rule.limits, *rule.overrides.values())


def _special(rule: Rule) -> Mapping[str, int]:
    """Key, as the ledger has it, -> the limit of those who have one of their own."""
    from gateway.state.database.charging import fitting  # with SQLAlchemy, which is there already

    return {
        fitting(counter_key(rule.policy, limit.unit, limit.window, [(rule.scopes[0], name)])): limit.amount
        for name, limits in rule.overrides.items()
        for limit in limits
    }


def _hold(rule: Rule, total: Total, limit: int) -> Hold:
    return Hold(
        key=total.key,
        rule=rule.name,
        unit=total.unit,
        window=total.window,
        limit=limit,
        scope=total.scope,
        mode=rule.mode,
        is_budget=True,
    )
