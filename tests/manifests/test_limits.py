"""Rate limits and budgets of both generations: as the samples have them, and what is wrong with others."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.limits import WhenLost
from gateway.errors import ConfigError
from gateway.manifests import Manifest, Secrets, loads, read
from gateway.manifests.kinds import STRUCTS
from gateway.manifests.limits import (
    Alerts,
    BudgetConfig,
    BudgetRule,
    CostAppliesTo,
    CostLimits,
    CostOverride,
    McpRateLimit,
    McpWhen,
    ModelRateLimit,
    RateAppliesTo,
    RateLimitConfig,
    RateLimitRule,
    RateLimits,
    RateOverride,
    RuleAlerts,
    TeamBudget,
    TenantBudget,
    ToolAppliesTo,
    ToolLimits,
)
from gateway.manifests.notifications import ToEmail, ToPagerDuty, ToSlackBot, ToSlackWebhook, ToTeams, ToWebhook
from gateway.manifests.routing import When
from gateway.manifests.scopes import ModelWhen, Selection, SubjectSelections

TYPES = (
    "gateway-budget-config",
    "gateway-rate-limiting-config",
    "team-budget-config",
    "tenant-budget-config",
    "tenant-rate-limit-config/mcp",
    "tenant-rate-limit-config/model",
)
SAMPLES = Path(__file__).with_name("limits.yaml").read_text()


def read_all(text):
    return [read(manifest, STRUCTS[manifest.type], Secrets({})) for manifest in loads(text, "gateway.yaml")]


def document(text):
    """What a text is read as; there must be nothing in it that is not known."""
    [(found, unknown)] = read_all(text)
    assert unknown == []
    return found


def faults_of(text):
    with pytest.raises(ConfigError) as refused:
        read_all(text)
    return [f"{fault.path}: {fault.message}" for fault in refused.value.faults]


def rate_rule(fields):
    return (
        f"{{type: gateway-rate-limiting-config, rules: [{{id: a, limit_to: 1, unit: requests_per_minute, {fields}}}]}}"
    )


def budget_rule(fields):
    return f"{{type: gateway-budget-config, rules: [{{id: a, {fields}}}]}}"


def rate_limit(fields):
    return f"{{type: tenant-rate-limit-config/model, name: a, {fields}}}"


def budget(fields):
    return f"{{type: tenant-budget-config, name: a, mode: enforce, {fields}}}"


# --- the samples -----------------------------------------------------------------------------------------------------


def test_samples():
    """All fields of the compatibility notes are known, and arrive where they belong."""
    found = read_all(SAMPLES)

    assert [unknown for _, unknown in found] == [[]] * 9
    rates, tools, cap, budgets, org, team, by_model, by_account, whole = (document for document, _ in found)
    assert rates == RateLimitConfig(
        type="gateway-rate-limiting-config",
        name="limits",
        rules=(
            RateLimitRule(
                id="backend-4o",
                when=When(
                    subjects=("team:backend",),
                    models=("openai-main/gpt-4o",),
                    metadata={"environment": "production"},
                ),
                limit_to=20000,
                unit="tokens_per_minute",
                rate_limit_applies_per=("user", "model"),
            ),
            RateLimitRule(
                id="per-project",
                limit_to=50000,
                unit="tokens_per_hour",
                rate_limit_applies_per=("metadata.project_id",),
            ),
            RateLimitRule(id="everyone", limit_to=500, unit="requests_per_minute", rate_limit_applies_per=("user",)),
        ),
    )
    assert tools == McpRateLimit(
        type="tenant-rate-limit-config/mcp",
        name="tools-per-user",
        when=McpWhen(mcp_servers=Selection(in_=("github", "github:create_issue"))),
        limits=ToolLimits(tool_calls_per_minute=90, tool_calls_per_hour=2000),
        applies_to=ToolAppliesTo(type="per-user"),
    )
    assert cap == ModelRateLimit(
        type="tenant-rate-limit-config/model",
        name="org-cap",
        when=ModelWhen(
            subjects=SubjectSelections(teams=Selection(in_=("engineering",))),
            provider_accounts=Selection(not_in=("gpu-farm",)),
            metadata={"environment": Selection(in_=("production",))},
        ),
        limits=RateLimits(requests_per_minute=500, tokens_per_day=5_000_000),
        applies_to=RateAppliesTo(
            type="per-user",
            overrides=(RateOverride(users=("vip@example.com",), limits=RateLimits(requests_per_minute=2000)),),
        ),
        mode="audit",
    )
    assert budgets == BudgetConfig(
        type="gateway-budget-config",
        name="budgets",
        rules=(
            BudgetRule(
                id="eng-monthly",
                when=When(
                    subjects=("team:engineering",),
                    models=("openai-main/gpt-4o",),
                    metadata={"environment": "production"},
                ),
                limit_to=5000.0,
                unit="cost_per_month",
                budget_applies_per=("user",),
                alerts=RuleAlerts(
                    thresholds=(75.0, 90.0, 95.0, 100.0),
                    targets=(
                        ToEmail(
                            notification_channel="acme:custom:smtp:notification-channel:mail",
                            to_emails=("ops@example.com",),
                        ),
                        ToSlackBot(
                            notification_channel="acme:slack:bot:notification-channel:tfy", channels=("#costs",)
                        ),
                        ToSlackWebhook(notification_channel="acme:slack:wh:notification-channel:w"),
                        ToPagerDuty(notification_channel="acme:pagerduty:pd:notification-channel:p"),
                        ToTeams(notification_channel="acme:ms-teams:t:notification-channel:m"),
                    ),
                ),
            ),
            BudgetRule(
                id="tokens-daily",
                limit_to=5_000_000.0,
                unit="tokens_per_day",
                budget_applies_per=("metadata.project_id",),
                audit_mode=True,
            ),
        ),
    )
    assert org == TenantBudget(
        type="tenant-budget-config",
        name="org-cap",
        when=ModelWhen(
            subjects=SubjectSelections(
                users=Selection(not_in=("ceo@example.com",)),
                teams=Selection(in_=("engineering",)),
                virtual_accounts=Selection(in_=("app",)),
            ),
            models=Selection(in_=("openai-main/gpt-4o",)),
            provider_accounts=Selection(in_=("openai-main",)),
            metadata={"environment": Selection(in_=("production",))},
        ),
        limits=CostLimits(cost_per_day=100, cost_per_week=500, cost_per_month=1500, cost_per_quarter=4000),
        applies_to=CostAppliesTo(
            type="per-user",
            overrides=(
                CostOverride(users=("vip@example.com",), limits=CostLimits(cost_per_day=500, cost_per_month=5000)),
            ),
        ),
        mode="enforce",
        alerts=Alerts(
            thresholds=(75.0, 90.0, 100.0),
            targets=(ToSlackWebhook(notification_channel="acme:slack:wh:notification-channel:w"),),
        ),
    )
    assert team == TeamBudget(
        type="team-budget-config",
        name="research-lifetime",
        team_name="research",
        when=ModelWhen(
            subjects=SubjectSelections(
                users=Selection(in_=("ana@example.com",)), virtual_accounts=Selection(in_=("lab",))
            ),
            models=Selection(in_=("prod/chat-auto",)),
            provider_accounts=Selection(not_in=("azure-eu",)),
            metadata={"app": Selection(in_=("bot",))},
        ),
        limits=CostLimits(cost_per_lifetime=20000),
        applies_to=CostAppliesTo(
            type="metadata",
            metadata="project_id",
            overrides=(CostOverride(metadata_values=("p1",), limits=CostLimits(cost_per_lifetime=100)),),
        ),
        mode="soft_enforce",
    )
    assert (by_model.applies_to.type, by_model.limits, by_model.mode) == (
        "per-model",
        CostLimits(cost_per_month=900),
        "audit",
    )
    assert by_account.applies_to.overrides == (
        CostOverride(virtual_accounts=("app",), limits=CostLimits(cost_per_day=2)),
    )
    assert (whole.applies_to, whole.limits) == (CostAppliesTo(type="aggregate"), CostLimits(cost_per_quarter=9000))


# --- what the samples do not have ------------------------------------------------------------------------------------


def test_what_may_be_left_out():
    assert document("{type: gateway-rate-limiting-config, rules: []}").rules == ()
    assert document(rate_limit("limits: {concurrent_requests: 5}")) == ModelRateLimit(
        type="tenant-rate-limit-config/model",
        name="a",
        when=ModelWhen(),
        limits=RateLimits(concurrent_requests=5),
        applies_to=RateAppliesTo(type="aggregate"),
        mode="enforce",
        log_request_body_on_block=False,
        when_redis_is_lost=WhenLost.LOCAL,
    )


@pytest.mark.parametrize("type_", ["gateway-rate-limiting-config", "gateway-budget-config"])
@pytest.mark.parametrize("more", ["", ", rule: []", ", rules: null", ", Rules: []"])
def test_rules_are_not_left_out(type_, more):
    """No limit would be in force, and whoever wrote the file would not know."""
    assert any("rules" in fault for fault in faults_of(f"{{type: {type_}{more}}}"))


def test_thresholds_of_the_first_generation_have_a_default():
    target = '{type: webhook, notification_channel: "acme:webhook:hooks:gateway-request-logger:costs"}'
    text = budget_rule(f"limit_to: 1, unit: cost_per_day, alerts: {{notification_target: [{target}]}}")

    assert document(text).rules[0].alerts == RuleAlerts(
        thresholds=(75, 90, 95, 100),
        targets=(ToWebhook(notification_channel="acme:webhook:hooks:gateway-request-logger:costs"),),
    )


@pytest.mark.parametrize("scope", ["user", "virtualaccount", "team", "token", "model", "metadata.a.b c"])
def test_scopes_of_rules(scope):
    assert document(rate_rule(f"rate_limit_applies_per: ['{scope}']")).rules[0].rate_limit_applies_per == (scope,)


@pytest.mark.parametrize(
    ("applies_to", "named"),
    [
        ("per-user", "users"),
        ("per-virtual-account", "virtual_accounts"),
        ("per-team", "teams"),
        ("per-token", "tokens"),
        ("per-model", "models"),
        ("metadata, metadata: app", "metadata_values"),
    ],
)
def test_rate_limits_apply_to_all_that_budgets_do(applies_to, named):
    override = f"{{{named}: [x], limits: {{requests_per_hour: 9}}}}"
    text = rate_limit(f"limits: {{requests_per_hour: 5}}, applies_to: {{type: {applies_to}, overrides: [{override}]}}")

    [found] = document(text).applies_to.overrides

    assert (getattr(found, named), found.limits) == (("x",), RateLimits(requests_per_hour=9))


def test_nothing_may_be_allowed():
    assert document(rate_rule("").replace("limit_to: 1", "limit_to: 0")).rules[0].limit_to == 0
    assert document(budget("applies_to: {type: aggregate}, limits: {cost_per_day: 0}")).limits.cost_per_day == 0


@pytest.mark.parametrize(
    ("word", "means"), [("local", WhenLost.LOCAL), ("open", WhenLost.OPEN), ("closed", WhenLost.CLOSED)]
)
def test_what_a_limit_does_without_redis(word, means):
    assert document(rate_rule(f"when_redis_is_lost: {word}")).rules[0].when_redis_is_lost is means
    assert (
        document(rate_limit(f"limits: {{requests_per_day: 1}}, when_redis_is_lost: {word}")).when_redis_is_lost is means
    )


# --- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ("when: {subjects: ana}", "rules[0].when.subjects: Expected `array`, got `str`"),
        (
            "rate_limit_applies_per: [users]",
            "rules[0].rate_limit_applies_per[0]: must be one of: user, virtualaccount, team, token, model, "
            "metadata.<key>",
        ),
        (
            "rate_limit_applies_per: [user, model, team]",
            "rules[0].rate_limit_applies_per: Expected `array` of length <= 2",
        ),
        ("rate_limit_applies_per: [user, user]", "rules[0]: 'user' stands twice in rate_limit_applies_per"),
        ("when_redis_is_lost: shut", "rules[0].when_redis_is_lost: must be one of: local, open, closed"),
    ],
)
def test_faults_of_rate_limit_rules(fields, fault):
    assert faults_of(rate_rule(fields)) == [fault]


@pytest.mark.parametrize("limit", ["-1", "1.5", "nine", "true", "null", "100000000000000000"])
def test_limits_are_whole_numbers(limit):
    text = rate_rule("").replace("limit_to: 1", f"limit_to: {limit}")

    assert faults_of(text) == ["rules[0].limit_to: must be a whole number from 0 to 9007199254740992"]


@pytest.mark.parametrize("dollars", ["-0.01", "five", "true", "9000000000.5", "[]"])
def test_budgets_are_dollars(dollars):
    assert faults_of(budget_rule(f"limit_to: {dollars}, unit: cost_per_day")) == [
        "rules[0].limit_to: must be US dollars, from 0 to 9 billion"
    ]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ("limit_to: 0.5, unit: tokens_per_day", "rules[0]: limit_to is no whole number of tokens"),
        (
            "limit_to: 1, unit: cost_per_hour",
            "rules[0].unit: must be one of: cost_per_day, cost_per_week, cost_per_month, cost_per_quarter, "
            "cost_per_lifetime, tokens_per_day, tokens_per_month",
        ),
        (
            "limit_to: 1, unit: cost_per_day, alerts: {}",
            "rules[0].alerts: missing required field `notification_target`",
        ),
        (
            "limit_to: 1, unit: cost_per_day, alerts: {thresholds: [101], notification_target: []}",
            "rules[0].alerts.thresholds[0]: must be a percentage from 0 to 100",
        ),
        (
            "limit_to: 1, unit: cost_per_day, alerts: {notification_target: [{type: sms}]}",
            "rules[0].alerts.notification_target[0].type: must be one of: email, slack-webhook, slack-bot, "
            "ms-teams-webhook, pagerduty, webhook",
        ),
    ],
)
def test_faults_of_budget_rules(fields, fault):
    assert faults_of(budget_rule(fields)) == [fault]


def test_a_rule_of_the_same_id_again():
    """Both would count under one name."""
    rule = "{id: a, limit_to: 1, unit: requests_per_minute}"

    assert faults_of(f"{{type: gateway-rate-limiting-config, rules: [{rule}, {rule}]}}") == [
        ": 'a' stands twice as the id of a rule"
    ]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ("applies_to: {type: aggregate}, limits: {}", "limits: limits nothing"),
        ("applies_to: {type: aggregate}", ": missing required field `limits`"),
        ("limits: {cost_per_day: 1}", ": missing required field `applies_to`"),
        (
            "applies_to: {type: aggregate}, limits: {cost_per_lifetime: 5, cost_per_day: 1}",
            "limits: cost_per_lifetime stands alone, without other windows",
        ),
    ],
)
def test_faults_of_budgets(fields, fault):
    assert faults_of(budget(fields)) == [fault]


@pytest.mark.parametrize(
    ("applies_to", "fault"),
    [
        (
            "{type: metadata}",
            ": type `metadata`, and no other, has the field `metadata`, which names the key",
        ),
        (
            "{type: per-user, metadata: x}",
            ": type `metadata`, and no other, has the field `metadata`, which names the key",
        ),
        (
            "{type: aggregate, overrides: [{users: [a], limits: LIMITS}]}",
            ": an aggregate has no overrides, because it tells nobody apart",
        ),
        (
            "{type: per-user, overrides: [{models: [a], limits: LIMITS}]}",
            ": overrides of type `per-user` name `users`, and nothing else",
        ),
        (
            "{type: per-user, overrides: [{users: [], limits: LIMITS}]}",
            ": overrides of type `per-user` name `users`, and nothing else",
        ),
        (
            "{type: per-user, overrides: [{users: [a], limits: {}}]}",
            ".overrides[0].limits: limits nothing",
        ),
        (
            "{type: each}",
            ".type: must be one of: aggregate, per-user, per-virtual-account, per-team, per-token, per-model, metadata",
        ),
    ],
)
def test_faults_of_applies_to(applies_to, fault):
    limits = "{cost_per_day: 1}"

    found = faults_of(budget(f"limits: {limits}, applies_to: {applies_to.replace('LIMITS', limits)}"))

    assert found == [f"applies_to{fault}"]


def test_rate_limits_are_not_soft():
    assert faults_of(rate_limit("limits: {requests_per_day: 1}, mode: soft_enforce")) == [
        "mode: must be one of: enforce, audit"
    ]


def test_what_is_not_known_is_a_warning():
    """A budget that is never looked at because of a slip of the pen is found when it is applied."""
    text = budget("applies_to: {type: aggregate}, limits: {cost_per_day: 1, cost_per_mnth: 5}, block: true")

    [(_, warnings)] = read_all(text)

    assert [(warning.path, warning.message) for warning in warnings] == [
        ("limits.cost_per_mnth", "unknown field; did you mean `cost_per_month`?"),
        ("block", "unknown field"),
    ]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["*", "per-user"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["in", "id", "when", "limits", "x"]), inner)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["rules", "when", "limits", "applies_to", "mode", "alerts", "team_name", "name", "when_redis_is_lost", "x"]
)


@given(st.sampled_from(TYPES), st.dictionaries(FIELDS, JUNK))
def test_junk_is_a_fault(kind, fields):
    """Anybody who may apply manifests may send anything; nothing but a ConfigError may come of it."""
    data = {"type": kind, **fields}

    with suppress(ConfigError):
        found, _ = read(Manifest(kind, "a", "gateway.yaml", 1, data), STRUCTS[kind], Secrets({}))
        assert isinstance(found, STRUCTS[kind])
