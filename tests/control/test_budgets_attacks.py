"""Who may change limits may raise their own; that is all it gives them."""

import pytest

from gateway.rules.access.roles import PERMISSIONS

LIST = "gateway-controls:ListGatewayControls"
MANAGE = "gateway-controls:ManageGatewayControls"
CREATE_ACCOUNT = "provider-account:CreateProviderAccount"
EVIL = "https://evil.example/v1"
BUDGET = {
    "type": "tenant-budget-config",
    "name": "cap",
    "limits": {"cost_per_month": 5},
    "applies_to": {"type": "per-user"},
    "mode": "enforce",
}
RATE = {"type": "tenant-rate-limit-config/model", "name": "rate", "limits": {"requests_per_minute": 5}}
V1_LIMITS = {"type": "gateway-rate-limiting-config", "name": "limits", "rules": []}
V1_BUDGETS = {"type": "gateway-budget-config", "name": "budgets", "rules": []}
PRIORITIES = {"type": "gateway-priority-config", "name": "waiting", "rules": []}
CONTROLS = [BUDGET, RATE, V1_LIMITS, V1_BUDGETS, PRIORITIES]
MAIN = {
    "type": "provider-account/openai",
    "name": "main",
    "auth_data": {"type": "api-key", "api_key": "key-of-main"},
    "integrations": [{"type": "integration/model/openai", "name": "m", "model_id": "gpt", "model_types": ["chat"]}],
    "collaborators": [],
}
SLACK = {
    "type": "provider-account/slack",
    "name": "ops",
    "integrations": [
        {
            "type": "integration/notification-channel/slack-webhook",
            "name": "costs",
            "auth_data": {"type": "slack-webhook", "webhook_url": "https://hooks.example.com/secret"},
        }
    ],
}
COSTS = {"type": "slack-webhook", "notification_channel": "acme:slack:ops:notification-channel:costs"}


def named(manifest):
    return manifest["type"]


def routing(target, **leg):
    rule = {
        "id": "r",
        "type": "weight-based-routing",
        "load_balance_targets": [{"target": target, "weight": 1, **leg}],
    }
    return {"type": "gateway-load-balancing-config", "name": "routing", "rules": [rule]}


def fallback(target):
    when = {"response_status_codes": [500]}
    rule = {"id": "r", "when": when, "fallback_models": [{"target": target}]}
    return {"type": "gateway-fallback-config", "name": "fallback", "rules": [rule]}


async def refused(api, answering, *texts):
    status, message = await api.refused(answering)
    assert (status, [text for text in texts if text not in message]) == (403, []), message


@pytest.mark.parametrize("manifest", CONTROLS, ids=named)
async def test_who_may_manage_controls(api, manifest):
    """Makes, changes, rolls back and deletes them; and raises its own limits, for that is what is permitted."""
    await api.grant("bo", LIST, MANAGE)
    back = {"type": manifest["type"], "name": manifest["name"], "version": 1}

    made = await api.done(api.apply(manifest, by="bo"))
    await api.done(api.apply({**manifest, "note": "second"}, by="bo"))
    again = await api.done(api.ask("POST", "/rollback", back, by="bo"))
    gone = await api.done(api.delete(manifest["type"], manifest["name"], by="bo"))

    assert [each["action"] for each in (made, again, gone)] == ["CREATE", "UPDATE", "DELETE"]


@pytest.mark.parametrize("manifest", CONTROLS, ids=named)
async def test_who_may_not(api, manifest):
    """Neither without any permission, nor with that to read, nor with all others there are."""
    await api.done(api.apply(manifest))
    await api.grant("bo", LIST)
    await api.grant("cy", *sorted(PERMISSIONS - {MANAGE, LIST}))

    for by in ("ana", "bo", "cy"):
        await refused(api, api.apply({**manifest, "name": "new"}, by=by), MANAGE)
        await refused(api, api.apply(manifest, by=by), MANAGE)
        await refused(api, api.delete(manifest["type"], manifest["name"], by=by), MANAGE)
    path = f"/manifests?type={manifest['type']}"
    assert [len((await api.done(api.ask("GET", path, by=by)))["data"]) for by in ("ana", "bo", "cy")] == [0, 1, 0]


@pytest.mark.parametrize(
    "manifest",
    [
        routing("bo/m"),
        routing("main/m", headers_override={"set": {"authorization": "Bearer key-of-bo"}}),
        routing("main/m", override_params={"store": True}),
        fallback("bo/m"),
        {"type": "gateway-global-settings", "name": "settings"},
        {"type": "gateway-guardrails-config", "name": "guards", "rules": []},
    ],
    ids=["own account", "own key", "own fields", "fallback", "settings", "guardrails"],
)
async def test_rules_that_others_follow_are_for_admins(api, manifest):
    """Bo may do everything that can be granted, and would get to see what others ask: at an address, or with a key, of
    his own."""
    await api.grant("bo", *sorted(PERMISSIONS))
    own = {**MAIN, "name": "bo", "base_url": EVIL}
    shared = [{"subject": "team:everyone", "role_id": "provider-account-access"}]
    await api.done(api.apply(MAIN))
    await api.done(api.apply({**own, "collaborators": shared}, by="bo"))

    await refused(api, api.apply(manifest, by="bo"), "the role tenant-admin")
    await api.done(api.apply(manifest))
    await refused(api, api.delete(manifest["type"], manifest["name"], by="bo"), "the role tenant-admin")


async def test_rules_that_route_can_be_read(api):
    """Who manages limits needs to know where requests go."""
    await api.done(api.apply(MAIN))
    await api.done(api.apply(routing("main/m")))
    await api.grant("bo", LIST)
    path = "/llm-gateway/config/gateway-load-balancing-config"

    assert [row["name"] for row in (await api.done(api.ask("GET", path, by="bo")))["data"]] == ["routing"]
    assert (await api.refused(api.ask("GET", path, by="ana")))[0] == 404


async def test_controls_open_no_model(api):
    """A limit, a priority or a budget that names a model gives no access to it."""
    await api.done(api.apply(MAIN))
    await api.grant("bo", LIST, MANAGE)
    rule = {"id": "me", "priority": 100, "when": {"subjects": ["user:bo@example.com"], "models": ["main/m"]}}

    await api.done(api.apply({**PRIORITIES, "rules": [rule]}, by="bo"))
    await api.done(api.apply({**RATE, "when": {"models": {"in": ["main/m"]}}}, by="bo"))
    await api.done(api.apply({**BUDGET, "when": {"models": {"in": ["main/m"]}}}, by="bo"))

    assert await api.models(by="bo") == ["demo/echo"]
    assert await api.holds(by="bo") == {f"{LIST} on tenant", f"{MANAGE} on tenant"}


async def test_a_grant_on_one_control_is_for_that_one(api):
    """And not for one of another type with the same name, nor for a new one."""
    await api.done(api.apply(BUDGET))
    await api.done(api.apply({**RATE, "name": "cap"}))
    await api.grant("bo", MANAGE, on="tenant-budget-config:cap")

    await api.done(api.apply({**BUDGET, "mode": "audit"}, by="bo"))
    await refused(api, api.apply({**BUDGET, "name": "other"}, by="bo"), MANAGE)
    await refused(api, api.apply({**RATE, "name": "cap"}, by="bo"), MANAGE)


# --- alerts ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manifest", "target"),
    [
        ({**BUDGET, "alerts": {"thresholds": [1], "notification_target": [COSTS]}}, COSTS),
        (
            {
                **V1_BUDGETS,
                "rules": [
                    {"id": "r", "limit_to": 1, "unit": "cost_per_day", "alerts": {"notification_target": [COSTS]}}
                ],
            },
            COSTS,
        ),
    ],
    ids=["second generation", "first generation"],
)
async def test_alerts_by_a_channel_of_others(api, manifest, target):
    """The name of a budget is bo's own text, and would be read in a channel of somebody else."""
    await api.done(api.apply(SLACK))
    await api.grant("bo", LIST, MANAGE)

    await refused(api, api.apply(manifest, by="bo"), target["notification_channel"], "may not use")
    channel = {**SLACK["integrations"][0], "authorized_subjects": ["user:bo@example.com"]}
    await api.done(api.apply({**SLACK, "integrations": [channel]}))
    await api.done(api.apply(manifest, by="bo"))


async def test_alerts_that_an_admin_chose_stay(api):
    """Bo may change the budget beside them, and send them to nobody else."""
    mail = {**COSTS, "type": "email", "to_emails": ["bo@example.com"]}
    with_alerts = {**BUDGET, "alerts": {"thresholds": [90], "notification_target": [COSTS]}}
    await api.done(api.apply(SLACK))
    await api.done(api.apply(with_alerts))
    await api.grant("bo", LIST, MANAGE)

    await api.done(api.apply({**with_alerts, "limits": {"cost_per_month": 6}}, by="bo"))
    more = {**BUDGET, "alerts": {"thresholds": [90], "notification_target": [COSTS, mail]}}
    await refused(api, api.apply(more, by="bo"), "may not use")
    await refused(api, api.apply({**with_alerts, "name": "other"}, by="bo"), "may not use")


async def test_channels_are_made_by_who_may_make_accounts(api):
    """The gateway would call any address for whoever makes one."""
    await api.grant("bo", LIST, MANAGE)

    await refused(api, api.apply(SLACK, by="bo"), CREATE_ACCOUNT)
    webhook = {"type": "integration/gateway-request-logger/webhook", "name": "w", "webhook_url": EVIL}
    hooks = {"type": "provider-account/webhook", "name": "hooks", "integrations": [webhook]}
    await refused(api, api.apply(hooks, by="bo"), CREATE_ACCOUNT)


async def test_addresses_of_channels_are_secret(api):
    """Who may read controls, and even the account, sees a mask."""
    await api.done(api.apply(SLACK))
    await api.grant("bo", LIST, MANAGE, "provider-account:ReadProviderAccount")

    answers = [
        await api.ask("GET", "/manifests", by="bo"),
        await api.ask("GET", "/provider-accounts/ops", by="bo"),
    ]

    assert [answer.status for answer in answers] == [200, 200]
    assert [answer.body for answer in answers if b"hooks.example.com" in answer.body] == []
