"""Budgets by name, how much of them is used, and what would become of a request."""

import pytest

from gateway.contract import Caller
from gateway.contract.entry import Charge, Entry
from gateway.contract.limits import Amounts, Hold, Mode, Unit
from gateway.contract.windows import Window
from gateway.state.counters.failover import FailoverCounters
from gateway.state.counters.redis import RedisCounters

DAY_S, DAY_ENDS_S = 1767225600, 1767312000  # 2026-01-01, where the clock of these tests stands
MONTH_ENDS_S = 1769904000
ANA, DEE = Caller(subject="user:ana@example.com"), Caller(subject="user:dee@example.com")
LIST = "gateway-controls:ListGatewayControls"
MANAGE = "gateway-controls:ManageGatewayControls"

ORG = {
    "type": "tenant-budget-config",
    "name": "org-cap",
    "limits": {"cost_per_day": 0.25, "cost_per_month": 1500},
    "applies_to": {"type": "aggregate"},
    "mode": "enforce",
}
EACH = {
    "type": "tenant-budget-config",
    "name": "each",
    "limits": {"cost_per_month": 10},
    "applies_to": {
        "type": "per-user",
        "overrides": [{"users": ["dee@example.com"], "limits": {"cost_per_month": 50}}],
    },
    "mode": "audit",
}
RATE = {
    "type": "tenant-rate-limit-config/model",
    "name": "rate",
    "limits": {"requests_per_minute": 5, "concurrent_requests": 2},
    "applies_to": {"type": "per-user"},
}
MODEL = {
    "type": "integration/model/openai",
    "model_id": "gpt",
    "model_types": ["chat"],
    "cost": {"metric": "per_1000_tokens", "value": {"input": 1.0, "output": 2.0}},
}
MAIN = {
    "type": "provider-account/openai",
    "name": "main",
    "auth_data": {"type": "api-key", "api_key": "key-of-main"},
    "integrations": [{**MODEL, "name": "small"}, {**MODEL, "name": "large"}],
    "collaborators": [{"subject": "team:everyone", "role_id": "provider-account-access"}],
}
CHAT = {
    "type": "provider-account/virtual-model",
    "name": "prod",
    "collaborators": [{"subject": "team:everyone", "role_id": "provider-account-access"}],
    "integrations": [
        {
            "type": "integration/model/virtual",
            "name": "chat",
            "model_types": ["chat"],
            "routing_config": {
                "type": "weight-based-routing",
                "load_balance_targets": [
                    {"target": "main/small", "weight": 50},
                    {"target": "main/large", "weight": 50},
                ],
            },
        }
    ],
}


def team_budget(name="red-cap", **fields):
    return {**ORG, "type": "team-budget-config", "team_name": "red", "name": name, **fields}


async def apply_all(api, *manifests):
    for manifest in manifests:
        await api.done(api.apply(manifest))


async def take(control, caller, need, model="main/small", **metadata):
    """As a request does that is let in."""
    holds = control.config.snapshot.policies.holds(caller, (model,), metadata)
    verdict = await control.counters.reserve(holds, need)
    assert verdict.ticket is not None
    return verdict.ticket


async def names(api, path, *, by="admin"):
    return [row["name"] for row in (await api.done(api.ask("GET", path, by=by)))["data"]]


def in_short(rows, *fields):
    return [tuple(row[field] for field in fields) for row in rows]


# --- the manifests -----------------------------------------------------------


async def test_lists_what_one_may_read(either):
    """Of both types together, and of no other. Who may read none is shown none."""
    await apply_all(either, {"type": "team", "name": "red", "members": ["bo@example.com"]})
    await apply_all(either, EACH, ORG, RATE, team_budget())
    await either.grant("cy", LIST)

    assert await names(either, "/llm-gateway/budgets") == ["red-cap", "each", "org-cap"]
    assert await names(either, "/llm-gateway/budgets", by="cy") == ["red-cap", "each", "org-cap"]
    assert await names(either, "/llm-gateway/budgets", by="bo") == []
    assert await names(either, "/llm-gateway/rate-limits", by="cy") == ["rate"]
    assert await names(either, "/llm-gateway/rate-limits", by="bo") == []


async def test_puts_and_shows_and_deletes_by_name(either):
    """Without a type it is the tenant's, or a team's if it names one."""
    path = "/llm-gateway/budgets"
    org = {key: value for key, value in ORG.items() if key != "type"}
    red = {key: value for key, value in team_budget().items() if key != "type"}

    made = [await either.done(either.ask("PUT", path, {"manifest": manifest})) for manifest in (org, red)]
    shown = await either.done(either.ask("GET", f"{path}/org-cap"))
    gone = await either.done(either.ask("DELETE", f"{path}/red-cap"))

    assert in_short(made, "action", "type") == [
        ("CREATE", "tenant-budget-config"),
        ("CREATE", "team-budget-config"),
    ]
    assert (shown["type"], shown["manifest"], shown["managedBy"], shown["version"]) == (
        "tenant-budget-config",
        ORG,
        "api",
        1,
    )
    assert (gone["action"], gone["type"]) == ("DELETE", "team-budget-config")
    assert await names(either, path) == ["org-cap"]
    assert (await either.refused(either.ask("GET", f"{path}/red-cap")))[0] == 404
    assert (await either.refused(either.ask("DELETE", f"{path}/red-cap")))[0] == 404


async def test_what_cannot_be_put(timed):
    """A name is one budget's: what is told of `org-cap` must not be of two."""
    path = "/llm-gateway/budgets"
    await apply_all(timed, ORG)

    assert await timed.refused(timed.ask("PUT", path, {"manifest": RATE})) == (
        400,
        "the type of the manifest has to be tenant-budget-config or team-budget-config",
    )
    assert await timed.refused(timed.ask("PUT", path, {"manifest": team_budget("org-cap")})) == (
        400,
        "there is a tenant-budget-config named org-cap already; take another name",
    )


async def test_a_budget_of_a_file(open_app, tmp_path):
    """It is shown like the others, and changed where it stands."""
    (tmp_path / "gateway.yaml").write_text(
        "type: tenant-budget-config\nname: cap\nlimits: {cost_per_month: 5}\n"
        "applies_to: {type: aggregate}\nmode: enforce\n---\ntype: provider-account/demo\nname: demo\n"
    )
    api = await open_app(tmp_path / "gateway.yaml")

    shown = await api.done(api.ask("GET", "/llm-gateway/budgets/cap"))

    assert shown["managedBy"] == f"file:{tmp_path}/gateway.yaml:1"
    assert (await api.refused(api.ask("DELETE", "/llm-gateway/budgets/cap")))[0] == 409


async def test_configurations_by_type(timed):
    """A type stands for all that begin with it."""
    await apply_all(timed, MAIN, RATE, {"type": "gateway-budget-config", "name": "budgets", "rules": []})
    await timed.grant("cy", LIST)

    assert await names(timed, "/llm-gateway/config/gateway-budget-config", by="cy") == ["budgets"]
    assert await names(timed, "/llm-gateway/config/tenant-rate-limit-config", by="cy") == ["rate"]
    by_query = await timed.done(timed.ask("GET", "/gateway/configs?type=gateway-budget-config", by="cy"))
    assert (by_query["id"], by_query["rules"], by_query["manifest"]["rules"]) == ("budgets", [], [])
    for path, by in (("gateway-guardrails-config", "admin"), ("gateway-budget-config", "bo")):
        answer = await timed.refused(timed.ask("GET", f"/llm-gateway/config/{path}", by=by))
        assert answer == (404, f"there is no {path}")
    status, message = await timed.refused(timed.ask("GET", "/llm-gateway/config/provider-account"))
    assert (status, message.partition(";")[0]) == (404, "there is no configuration of type 'provider-account'")


# --- my usage ----------------------------------------------------------------


async def my_usage(api, *, by="ana", query=""):
    return await api.done(api.ask("GET", f"/llm-gateway/budgets/my-usage{query}", by=by))


async def test_my_usage(either, clock):
    """Each limit with its window. Dollars are exact, and so is their whole number of nano-dollars."""
    await apply_all(either, MAIN, ORG, EACH, RATE)
    clock.move(hours=1)
    await take(either.control, ANA, Amounts(tokens=7, cost=100_000_001))
    await take(either.control, DEE, Amounts(tokens=7, cost=50_000_000))

    answer = await my_usage(either)

    assert answer["source"] == "counters"
    fields = ("rule", "scope", "unit", "limit", "used", "percentage", "mode", "start", "end")
    now_s = DAY_S + 3600
    assert in_short(answer["data"], *fields) == [
        ("rate", "user:ana@example.com", "requests_per_minute", 5, 1, 20.0, "enforce", now_s - 60, now_s),
        ("rate", "user:ana@example.com", "concurrent_requests", 2, 1, 50.0, "enforce", None, None),
        ("each", "user:ana@example.com", "cost_per_month", 10, 0.100000001, 1.0, "audit", DAY_S, MONTH_ENDS_S),
        ("org-cap", "", "cost_per_day", 0.25, 0.150000001, 60.0, "enforce", DAY_S, DAY_ENDS_S),
        ("org-cap", "", "cost_per_month", 1500, 0.150000001, 0.01, "enforce", DAY_S, MONTH_ENDS_S),
    ]
    assert in_short(answer["data"][1:3], "isBudget", "policy", "limitNanoUsd", "usedNanoUsd") == [
        (False, "tenant-rate-limit-config/model|rate", None, None),
        (True, "tenant-budget-config|each", 10_000_000_000, 100_000_001),
    ]


async def test_a_budget_that_is_used_up(timed):
    """More than all of it is all of it, and of nothing everything is used."""
    nothing = {**ORG, "name": "nothing", "limits": {"cost_per_day": 0}, "mode": "audit"}
    await apply_all(timed, MAIN, {**ORG, "mode": "audit"}, nothing)
    await take(timed.control, ANA, Amounts(cost=300_000_000))

    answer = await my_usage(timed)

    assert in_short(answer["data"], "rule", "used", "percentage") == [
        ("nothing", 0.3, 100.0),
        ("org-cap", 0.3, 100.0),
        ("org-cap", 0.3, 0.02),
    ]


async def test_only_what_is_about_the_caller(timed):
    """Limits of others are nobody's business; an override is its owner's limit."""
    robots = {**RATE, "name": "robots", "applies_to": {"type": "per-virtual-account"}}
    reds = {**ORG, "name": "reds", "when": {"subjects": {"teams": {"in": ["red"]}}}}
    await apply_all(timed, {"type": "team", "name": "red", "members": ["bo@example.com"]}, EACH, robots, reds)

    assert in_short((await my_usage(timed, by="dee"))["data"], "rule", "limit") == [("each", 50)]
    assert in_short((await my_usage(timed, by="bo"))["data"], "rule", "limit") == [
        ("each", 10),
        ("reds", 0.25),
        ("reds", 1500),
    ]


async def test_what_depends_on_the_request_is_left_open(timed):
    """Nobody can say how much of it is used, until the model or the metadata is known."""
    models = {**ORG, "name": "models", "limits": {"cost_per_day": 3}, "applies_to": {"type": "per-model"}}
    large = {**ORG, "name": "large", "limits": {"cost_per_day": 4}, "when": {"models": {"in": ["main/large"]}}}
    project = {"type": "metadata", "metadata": "project"}
    projects = {**ORG, "name": "projects", "limits": {"cost_per_day": 5}, "applies_to": project}
    await apply_all(timed, MAIN, models, large, projects)
    await take(timed.control, ANA, Amounts(cost=1_000_000_000), project="p1")

    unknown = await my_usage(timed)
    known = await my_usage(timed, query="?model=main/small&metadata.project=p1")

    assert in_short(unknown["data"], "rule", "scope", "used", "percentage") == [
        ("large", "", 0, 0.0),
        ("models", "model:*", None, None),
        ("projects", "metadata.project:*", None, None),
    ]
    assert in_short(known["data"], "rule", "scope", "used", "percentage") == [
        ("models", "model:main/small", 1, 33.33),
        ("projects", "metadata.project:p1", 1, 20.0),
    ]


async def test_a_model_that_is_not_the_callers(timed):
    """It is answered as one that is not there."""
    await apply_all(timed, {**MAIN, "collaborators": []})

    for model in ("main/small", "main/none"):
        answering = timed.ask("GET", f"/llm-gateway/budgets/my-usage?model={model}", by="ana")
        assert await timed.refused(answering) == (404, f"no model named '{model}'; you may use: demo/echo")


async def test_rules_of_the_first_generation(timed):
    """The first that surely fits decides, and those after it only count. One about a model is not sure to fit."""
    rules = [
        {"id": "of-a-model", "when": {"models": ["main/large"]}, "limit_to": 1, "unit": "cost_per_day"},
        {"id": "of-all", "limit_to": 2, "unit": "cost_per_week", "budget_applies_per": ["user"]},
        {"id": "of-nobody", "limit_to": 3, "unit": "tokens_per_day"},
    ]
    limits = [{"id": "slow", "limit_to": 4, "unit": "tokens_per_day"}]
    await apply_all(
        timed,
        MAIN,
        {"type": "gateway-budget-config", "name": "budgets", "rules": rules},
        {"type": "gateway-rate-limiting-config", "name": "limits", "rules": limits},
    )

    answer = await my_usage(timed)

    assert in_short(answer["data"], "rule", "unit", "mode", "isBudget") == [
        ("slow", "tokens_per_day", "enforce", False),
        ("of-a-model", "cost_per_day", "enforce", True),
        ("of-all", "cost_per_week", "enforce", True),
        ("of-nobody", "tokens_per_day", "count", True),
    ]


async def test_the_ledger_answers_when_the_counters_do_not(either_environ, timed_on, own_redis, clock):
    """It knows nothing of sliding windows, and says so; what it knows of other windows is of no use."""
    counters = FailoverCounters(RedisCounters(own_redis.url))
    api = await timed_on(either_environ, counters)
    await apply_all(api, MAIN, ORG, RATE)
    holds = api.control.config.snapshot.policies.holds(ANA, ("main/small",), {})
    charges = tuple(Charge(hold, 200_000_000) for hold in holds if hold.is_budget)
    entry = Entry(
        request_id="r1", at=clock.now, subject=ANA.subject, model="main/small", outcome="complete", charges=charges
    )
    await api.control.ledger.write([entry], at=clock.now)
    clock.move(days=1)

    with own_redis.frozen():
        answer = await my_usage(api)
        simulated = await api.done(
            api.ask("POST", "/llm-gateway/budgets/simulate", {"user": "ana@example.com", "model": "main/small"})
        )
    await counters.close()

    assert answer["source"] == simulated["source"] == "ledger"
    assert in_short(answer["data"], "unit", "used", "percentage") == [
        ("requests_per_minute", None, None),
        ("concurrent_requests", None, None),
        ("cost_per_day", 0, 0.0),
        ("cost_per_month", 0.2, 0.01),
    ]
    assert simulated["allowed"] is True


# --- simulation --------------------------------------------------------------


async def simulate(api, *, by="admin", **body):
    body = {"user": "ana@example.com", "model": "main/small", **body}
    body = {key: value for key, value in body.items() if value is not None}
    return await api.done(api.ask("POST", "/llm-gateway/budgets/simulate", body, by=by))


async def test_simulates_and_takes_nothing(timed):
    """Both generations, limits first; nobody is charged for a question."""
    slow = {"id": "slow", "limit_to": 9, "unit": "requests_per_hour"}
    await apply_all(timed, MAIN, ORG, EACH, {"type": "gateway-rate-limiting-config", "name": "limits", "rules": [slow]})
    await timed.grant("cy", MANAGE)

    first = await simulate(timed, by="cy")
    second = await simulate(timed, by="cy")

    assert first == second
    assert (first["allowed"], first["refusedBy"], first["source"]) == (True, None, "counters")
    assert (first["subject"], first["model"], first["targets"]) == ("user:ana@example.com", "main/small", [])
    assert in_short(first["rules"], "rule", "unit", "mode", "limit", "used", "target") == [
        ("slow", "requests_per_hour", "enforce", 9, 0, None),
        ("each", "cost_per_month", "audit", 10, 0, None),
        ("org-cap", "cost_per_day", "enforce", 0.25, 0, None),
        ("org-cap", "cost_per_month", "enforce", 1500, 0, None),
    ]


async def test_simulates_a_refusal(timed):
    """A budget that is used up to the last nano-dollar has no room for what costs anything; for others it has."""
    await apply_all(timed, MAIN, ORG)
    await take(timed.control, ANA, Amounts(cost=250_000_000))

    refused = await simulate(timed)
    free = await simulate(timed, model="demo/echo")

    assert (refused["allowed"], refused["refusedBy"]["rule"], refused["refusedBy"]["unit"]) == (
        False,
        "org-cap",
        "cost_per_day",
    )
    assert (free["allowed"], free["refusedBy"]) == (True, None)


async def test_simulates_teams_and_metadata(timed):
    """Teams that are given come on top of those the user is in."""
    blues = {**ORG, "name": "blues", "limits": {"cost_per_day": 0}, "when": {"subjects": {"teams": {"in": ["blue"]}}}}
    bots = {**ORG, "name": "bots", "limits": {"cost_per_day": 0}, "when": {"metadata": {"app": {"in": ["bot"]}}}}
    await apply_all(timed, {"type": "team", "name": "red", "members": ["ana@example.com"]}, MAIN, blues, bots)

    answers = [
        await simulate(timed),
        await simulate(timed, team="blue"),
        await simulate(timed, teams=["blue", "green"]),
        await simulate(timed, metadata={"app": "bot"}),
    ]

    assert [(answer["teams"], answer["allowed"]) for answer in answers] == [
        (["red"], True),
        (["blue", "red"], False),
        (["blue", "green", "red"], False),
        (["red"], False),
    ]
    assert [answer["refusedBy"] and answer["refusedBy"]["rule"] for answer in answers] == [
        None,
        "blues",
        "blues",
        "bots",
    ]


@pytest.mark.parametrize(
    ("closed", "allowed", "refused_by"),
    [(["main/large"], True, None), (["main/small", "main/large"], False, "not-small")],
)
async def test_simulates_a_virtual_model(timed, closed, allowed, refused_by):
    """It is refused when every model it may lead to refuses. What is about a target alone says which."""
    rules = [
        {
            **ORG,
            "name": f"not-{model.partition('/')[2]}",
            "limits": {"cost_per_day": 0 if model in closed else 1},
            "when": {"models": {"in": [model]}},
        }
        for model in ("main/small", "main/large")
    ]
    await apply_all(timed, MAIN, CHAT, *rules)

    answer = await simulate(timed, model="prod/chat")

    assert (answer["model"], answer["targets"]) == ("prod/chat", ["main/small", "main/large"])
    assert in_short(answer["rules"], "rule", "target") == [("not-small", "main/small"), ("not-large", "main/large")]
    assert (answer["allowed"], answer["refusedBy"] and answer["refusedBy"]["rule"]) == (allowed, refused_by)


async def test_a_soft_budget_gives_way_to_one_with_room(timed):
    """Used up, it refuses only if no other budget has room."""
    soft = {**ORG, "name": "soft", "limits": {"cost_per_day": 0}, "mode": "soft_enforce"}
    await apply_all(timed, MAIN, soft)

    alone = await simulate(timed)
    await apply_all(timed, ORG)
    beside = await simulate(timed)

    assert (alone["allowed"], alone["refusedBy"]["rule"]) == (False, "soft")
    assert (beside["allowed"], beside["refusedBy"]) == (True, None)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"user": None}, 400, "who asks: give either user, an address, or virtual_account, a name"),
        ({"virtual_account": "app"}, 400, "who asks: give either user, an address, or virtual_account, a name"),
        ({"user": "ana"}, 400, "email has to be an address"),
        ({"model": "main/none"}, 404, "user:ana@example.com may use no model named 'main/none'"),
        ({"model": "hidden/small"}, 404, "user:ana@example.com may use no model named 'hidden/small'"),
    ],
)
async def test_what_cannot_be_simulated(timed, body, status, message):
    """Who may ask need not know what models others have, so no list of them is given."""
    await apply_all(timed, MAIN, {**MAIN, "name": "hidden", "collaborators": []})
    body = {"user": "ana@example.com", "model": "main/small", **body}
    body = {key: value for key, value in body.items() if value is not None}

    answering = timed.ask("POST", "/llm-gateway/budgets/simulate", body)

    assert await timed.refused(answering) == (status, message)


# --- leaderboard -------------------------------------------------------------


def spent(request_id, subject, hold, amount, at):
    charges = (Charge(hold, amount),)
    return Entry(request_id=request_id, at=at, subject=subject, model="main/small", outcome="complete", charges=charges)


async def leaders(api, name, query=""):
    return (await api.done(api.ask("GET", f"/llm-gateway/budgets/{name}/leaderboard{query}")))["data"]


async def test_who_used_most(either, clock):
    """Of the window of now alone. Each is measured by its own limit."""
    await apply_all(either, MAIN, EACH)
    policies = either.control.config.snapshot.policies
    of = {caller.subject: policies.holds(caller, ("main/small",), {})[0] for caller in (ANA, DEE)}
    entries = [
        spent("r1", ANA.subject, of[ANA.subject], 2_000_000_000, clock.now),
        spent("r2", DEE.subject, of[DEE.subject], 5_000_000_000, clock.now),
        spent("r3", DEE.subject, of[DEE.subject], 7_000_000_000, clock.now.replace(year=2025)),
    ]
    await either.control.ledger.write(entries, at=clock.now)

    rows = await leaders(either, "each")

    assert in_short(rows, "scope", "unit", "limit", "used", "usedNanoUsd", "percentage", "start", "end") == [
        ("user:dee@example.com", "cost_per_month", 50, 5, 5_000_000_000, 10.0, DAY_S, MONTH_ENDS_S),
        ("user:ana@example.com", "cost_per_month", 10, 2, 2_000_000_000, 20.0, DAY_S, MONTH_ENDS_S),
    ]
    assert in_short(await leaders(either, "each", "?limit=1"), "scope") == [("user:dee@example.com",)]
    assert await leaders(either, "each", "?limit=500") == rows


async def test_another_rule_of_the_same_name(timed, clock):
    """One of the first generation is somebody else's budget."""
    await apply_all(timed, ORG)
    same_name = Hold(
        key="gateway-budget-config|b|org-cap#cost/month",
        rule="org-cap",
        unit=Unit.COST,
        window=Window.MONTH,
        limit=1,
        mode=Mode.ENFORCE,
        is_budget=True,
    )
    await timed.control.ledger.write([spent("r1", ANA.subject, same_name, 9, clock.now)], at=clock.now)

    assert await leaders(timed, "org-cap") == []


@pytest.mark.parametrize("limit", ["0", "501", "-1", "x", "", "1" * 5000])
async def test_a_limit_that_is_none(timed, limit):
    await apply_all(timed, ORG)

    answering = timed.ask("GET", f"/llm-gateway/budgets/org-cap/leaderboard?limit={limit}")

    assert await timed.refused(answering) == (400, "limit has to be a number from 1 to 500")
