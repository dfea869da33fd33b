"""Who manages a team may manage its budgets, and no others."""

import pytest

LIST = "gateway-controls:ListGatewayControls"
MANAGE = "gateway-controls:ManageGatewayControls"
PATH = "/llm-gateway/budgets"
CAP = {
    "type": "team-budget-config",
    "name": "red-cap",
    "team_name": "red",
    "limits": {"cost_per_month": 5},
    "applies_to": {"type": "per-user"},
    "mode": "enforce",
}
ORG = {
    "type": "tenant-budget-config",
    "name": "org-cap",
    "limits": {"cost_per_month": 5},
    "applies_to": {"type": "aggregate"},
    "mode": "enforce",
}


@pytest.fixture
async def teams(api):
    """An Api with the teams `red`, which bo manages and ana is in, and `blue`, which cy manages."""
    await api.done(
        api.apply({"type": "team", "name": "red", "members": ["ana@example.com"], "managers": ["bo@example.com"]})
    )
    await api.done(api.apply({"type": "team", "name": "blue", "members": [], "managers": ["cy@example.com"]}))
    return api


async def refused(api, answering, *texts):
    status, message = await api.refused(answering)
    assert (status, [text for text in texts if text not in message]) == (403, []), message


async def names(api, path, *, by):
    return [row["name"] for row in (await api.done(api.ask("GET", path, by=by)))["data"]]


async def test_a_manager_handles_the_budgets_of_the_team(teams):
    back = {"type": CAP["type"], "name": CAP["name"], "version": 1}

    made = await teams.done(teams.ask("PUT", PATH, {"manifest": CAP}, by="bo"))
    raised = await teams.done(teams.apply({**CAP, "limits": {"cost_per_month": 500}}, by="bo"))
    shown = await teams.done(teams.ask("GET", f"{PATH}/red-cap", by="bo"))
    again = await teams.done(teams.ask("POST", "/rollback", back, by="bo"))
    leaders = await teams.done(teams.ask("GET", f"{PATH}/red-cap/leaderboard", by="bo"))
    listed = [await names(teams, path, by="bo") for path in (PATH, "/manifests?type=team-budget-config")]
    gone = await teams.done(teams.ask("DELETE", f"{PATH}/red-cap", by="bo"))

    assert [each["action"] for each in (made, raised, again, gone)] == [
        "CREATE",
        "UPDATE",
        "UPDATE",
        "DELETE",
    ]
    assert (shown["manifest"]["limits"], leaders, listed) == (
        {"cost_per_month": 500},
        {"data": []},
        [["red-cap"], ["red-cap"]],
    )


@pytest.mark.parametrize("by", ["ana", "cy", "dee"])
async def test_who_does_not_manage_the_team(teams, by):
    """A member, the manager of another team, and a stranger."""
    await refused(teams, teams.apply(CAP, by=by), MANAGE)
    await teams.done(teams.apply(CAP))

    await refused(teams, teams.apply({**CAP, "mode": "audit"}, by=by), MANAGE)
    await refused(teams, teams.ask("DELETE", f"{PATH}/red-cap", by=by), MANAGE)
    assert (await teams.refused(teams.ask("GET", f"{PATH}/red-cap", by=by)))[0] == 404
    assert (await teams.refused(teams.ask("GET", f"{PATH}/red-cap/leaderboard", by=by)))[0] == 404
    assert await names(teams, PATH, by=by) == []


async def test_a_budget_is_not_handed_to_another_team(teams):
    """Bo would decide what the blues may spend; or take their budget away from them."""
    await teams.done(teams.apply(CAP, by="bo"))
    await teams.done(teams.apply({**CAP, "name": "blue-cap", "team_name": "blue"}, by="cy"))

    await refused(teams, teams.apply({**CAP, "team_name": "blue"}, by="bo"), MANAGE)
    await refused(teams, teams.apply({**CAP, "name": "blue-cap"}, by="bo"), MANAGE)
    await refused(teams, teams.ask("DELETE", f"{PATH}/blue-cap", by="bo"), MANAGE)


async def test_back_to_a_version_for_another_team(teams):
    """The budget was the blues' once. Nor may cy take it back."""
    await teams.done(teams.apply({**CAP, "team_name": "blue"}))
    await teams.done(teams.apply(CAP))
    back = {"type": CAP["type"], "name": CAP["name"], "version": 1}

    assert (await teams.refused(teams.ask("POST", "/rollback", back, by="bo")))[0] == 404
    assert (await teams.refused(teams.ask("POST", "/rollback", back, by="cy")))[0] == 404


async def test_nobody_manages_everyone(teams):
    """Who manages all teams there are manages none that all users are in."""
    await teams.grant("dee", "team:ManageTeam")

    await refused(teams, teams.apply({**CAP, "team_name": "everyone"}, by="dee"), MANAGE)
    await teams.done(teams.apply(CAP, by="dee"))


async def test_budgets_of_the_tenant_are_not_for_managers(teams):
    """Nor are those that only say that they are a team's, nor any other limit."""
    await teams.done(teams.apply(ORG))
    others = [
        ORG,
        {**ORG, "team_name": "red"},
        {**CAP, "type": "tenant-budget-config"},
        {"type": "tenant-rate-limit-config/model", "name": "r", "team_name": "red", "limits": {"requests_per_day": 1}},
        {"type": "gateway-budget-config", "name": "b", "team_name": "red", "rules": []},
    ]

    for manifest in others:
        await refused(teams, teams.apply(manifest, by="bo"), MANAGE)
    await refused(teams, teams.ask("DELETE", f"{PATH}/org-cap", by="bo"), MANAGE)
    assert (await teams.refused(teams.apply({**CAP, "name": "org-cap"}, by="bo")))[0] == 400


@pytest.mark.parametrize("team", [None, 5, ["red"], "", "*", "red "])
async def test_a_budget_of_no_team(teams, team):
    """Whatever stands there instead of a team, nobody manages it."""
    await refused(teams, teams.apply({**CAP, "team_name": team}, by="bo"), MANAGE)


async def test_a_manager_who_is_none_any_more(teams):
    """What counts is who manages the team now."""
    await teams.done(teams.apply(CAP, by="bo"))
    await teams.done(teams.apply({"type": "team", "name": "red", "members": ["bo@example.com"]}))

    await refused(teams, teams.apply({**CAP, "mode": "audit"}, by="bo"), MANAGE)
    assert await names(teams, PATH, by="bo") == []


async def test_alerts_of_a_manager_go_by_channels_of_his_own(teams):
    """A team's budget has alerts as any other, and its manager may use no channel for being one."""
    channel = {
        "type": "integration/notification-channel/slack-webhook",
        "name": "costs",
        "auth_data": {"type": "slack-webhook", "webhook_url": "https://hooks.example.com/secret"},
    }
    target = {"type": "slack-webhook", "notification_channel": "acme:slack:ops:notification-channel:costs"}
    loud = {**CAP, "alerts": {"thresholds": [1], "notification_target": [target]}}
    await teams.done(teams.apply({"type": "provider-account/slack", "name": "ops", "integrations": [channel]}))

    await refused(teams, teams.apply(loud, by="bo"), "may not use")
    shared = {**channel, "authorized_subjects": ["team:red"]}
    await teams.done(teams.apply({"type": "provider-account/slack", "name": "ops", "integrations": [shared]}))
    await teams.done(teams.apply(loud, by="bo"))
