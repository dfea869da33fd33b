"""From manifests to the counters of a request: the samples, and what is wrong with others."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Caller
from gateway.contract.limits import Hold, Mode, Unit, WhenLost
from gateway.contract.windows import Window
from gateway.errors import ConfigError
from gateway.manifests.limits import Alerts
from gateway.manifests.notifications import ToSlackWebhook
from gateway.rules.limits import policy_of

SAMPLES = (Path(__file__).parents[2] / "manifests" / "limits.yaml").read_text()
ACCOUNTS = """
---
{type: provider-account/demo, name: openai-main, integrations: []}
---
{type: provider-account/demo, name: azure-eu, integrations: []}
---
{type: provider-account/demo, name: gpu-farm, integrations: []}
---
{type: virtual-account, name: lab, permissions: [{resource_fqn: a, resource_type: provider-account, role_id: x}], ownedBy: {team: research}}
"""  # noqa: E501

ANA = Caller("user:ana@example.com", teams=frozenset({"engineering", "research"}))
VIP = Caller("user:vip@example.com", teams=frozenset({"engineering"}))
BOB = Caller("user:bob@example.com")
APP = Caller("virtualaccount:app")
LAB = Caller("virtualaccount:lab")
GPT_4O = ("openai-main/gpt-4o",)


def rate_limit(fields):
    return f"{{type: tenant-rate-limit-config/model, name: a, limits: {{requests_per_minute: 5}}, {fields}}}"


def budget(fields):
    return f"{{type: tenant-budget-config, name: a, mode: enforce, {fields}}}"


def rules(*fields):
    listed = ", ".join(
        f"{{id: r{number}, limit_to: 1, unit: requests_per_minute, {each}}}" for number, each in enumerate(fields)
    )
    return f"{{type: gateway-rate-limiting-config, rules: [{listed}]}}"


# --- the samples -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def samples(compiled):
    found = compiled(SAMPLES + ACCOUNTS)
    assert found.faults == []
    assert [warning for warning in found.warnings if "nobody is told" not in warning] == [
        ": has no effect yet: calls of tools are not counted",
        "when.models.in[0]: prod/chat-auto is no model of any account",
    ]
    return found.policies


def test_a_request_that_many_samples_are_about(samples):
    metadata = {"environment": "production", "project_id": "p1", "other": "x"}

    assert samples.holds(VIP, GPT_4O, metadata) == (
        Hold(
            key="gateway-rate-limiting-config|limits|per-project#tokens/hour|metadata.project_id=p1",
            rule="per-project",
            unit=Unit.TOKENS,
            window=Window.HOUR,
            limit=50_000,
            scope="metadata.project_id:p1",
        ),
        Hold(
            key="gateway-rate-limiting-config|limits|everyone#requests/minute|user=vip@example.com",
            rule="everyone",
            unit=Unit.REQUESTS,
            window=Window.MINUTE,
            limit=500,
            scope="user:vip@example.com",
            mode=Mode.COUNT,
        ),
        Hold(
            key="tenant-rate-limit-config/model|org-cap#requests/minute|user=vip@example.com",
            rule="org-cap",
            unit=Unit.REQUESTS,
            window=Window.MINUTE,
            limit=2_000,
            scope="user:vip@example.com",
            mode=Mode.AUDIT,
        ),
        Hold(
            key="tenant-rate-limit-config/model|org-cap#tokens/day|user=vip@example.com",
            rule="org-cap",
            unit=Unit.TOKENS,
            window=Window.DAY,
            limit=5_000_000,
            scope="user:vip@example.com",
            mode=Mode.AUDIT,
        ),
        Hold(
            key="gateway-budget-config|budgets|eng-monthly#cost/month|user=vip@example.com",
            rule="eng-monthly",
            unit=Unit.COST,
            window=Window.MONTH,
            limit=5_000_000_000_000,
            scope="user:vip@example.com",
            is_budget=True,
        ),
        Hold(
            key="gateway-budget-config|budgets|tokens-daily#tokens/calendar_day|metadata.project_id=p1",
            rule="tokens-daily",
            unit=Unit.TOKENS,
            window=Window.CALENDAR_DAY,
            limit=5_000_000,
            scope="metadata.project_id:p1",
            mode=Mode.COUNT,
            is_budget=True,
        ),
        *(
            Hold(
                key=f"tenant-budget-config|org-cap#cost/{window}|user=vip@example.com",
                rule="org-cap",
                unit=Unit.COST,
                window=window,
                limit=dollars * 1_000_000_000,
                scope="user:vip@example.com",
                is_budget=True,
            )
            for window, dollars in [
                (Window.CALENDAR_DAY, 500),
                (Window.WEEK, 500),
                (Window.MONTH, 5_000),
                (Window.QUARTER, 4_000),
            ]
        ),
        Hold(
            key="tenant-budget-config|by-model#cost/month|model=openai-main/gpt-4o",
            rule="by-model",
            unit=Unit.COST,
            window=Window.MONTH,
            limit=90_000_000_000,
            scope="model:openai-main/gpt-4o",
            mode=Mode.AUDIT,
            is_budget=True,
        ),
        Hold(
            key="tenant-budget-config|whole#cost/quarter",
            rule="whole",
            unit=Unit.COST,
            window=Window.QUARTER,
            limit=9_000_000_000_000,
            is_budget=True,
        ),
    )


@pytest.mark.parametrize(
    ("caller", "metadata", "drawn"),
    [
        (
            Caller("user:dev@example.com", teams=frozenset({"backend"})),
            {"environment": "production"},
            [
                ("backend-4o", "user:dev@example.com, model:openai-main/gpt-4o", 20_000, Mode.ENFORCE),
                ("everyone", "user:dev@example.com", 500, Mode.COUNT),
                ("by-model", "model:openai-main/gpt-4o", 90_000_000_000, Mode.AUDIT),
                ("whole", "", 9_000_000_000_000, Mode.ENFORCE),
            ],
        ),
        (
            Caller("user:ceo@example.com", teams=frozenset({"engineering"})),
            {},
            [
                ("everyone", "user:ceo@example.com", 500, Mode.ENFORCE),
                ("by-model", "model:openai-main/gpt-4o", 90_000_000_000, Mode.AUDIT),
                ("whole", "", 9_000_000_000_000, Mode.ENFORCE),
            ],
        ),
        (
            APP,
            {},
            [
                ("by-model", "model:openai-main/gpt-4o", 90_000_000_000, Mode.AUDIT),
                ("by-va", "virtualaccount:app", 2_000_000_000, Mode.ENFORCE),
                ("whole", "", 9_000_000_000_000, Mode.ENFORCE),
            ],
        ),
        (
            LAB,
            {"project_id": "p2"},
            [
                ("per-project", "metadata.project_id:p2", 50_000, Mode.ENFORCE),
                ("tokens-daily", "metadata.project_id:p2", 5_000_000, Mode.AUDIT),
                ("by-model", "model:openai-main/gpt-4o", 90_000_000_000, Mode.AUDIT),
                ("by-va", "virtualaccount:lab", 9_000_000_000, Mode.ENFORCE),
                ("whole", "", 9_000_000_000_000, Mode.ENFORCE),
            ],
        ),
    ],
    ids=["backend", "ceo", "app", "lab"],
)
def test_requests_that_some_samples_are_about(samples, caller, metadata, drawn):
    holds = samples.holds(caller, GPT_4O, metadata)

    assert [(hold.rule, hold.scope, hold.limit, hold.mode) for hold in holds] == drawn


@pytest.mark.parametrize(
    ("caller", "project", "limit"),
    [(ANA, "p1", 100), (ANA, "p2", 20_000), (LAB, "p1", 100), (BOB, "p1", None), (APP, "p1", None)],
    ids=["ana-p1", "ana-p2", "lab", "bob", "app"],
)
def test_the_sample_for_a_team(samples, caller, project, limit):
    """It is for members and for virtual accounts the team owns, and for one virtual model unless azure-eu answers."""
    metadata = {"app": "bot", "project_id": project}

    first = samples.holds(caller, ("prod/chat-auto",), metadata, is_final=False)
    azure = samples.more_holds(caller, "prod/chat-auto", "azure-eu/gpt-4o", metadata, first)
    openai = samples.more_holds(caller, "prod/chat-auto", "openai-main/gpt-4o", metadata, first)

    def of_team(holds):
        return [hold for hold in holds if hold.rule == "research-lifetime"]

    assert of_team(first) == of_team(azure) == []
    assert of_team(openai) == (
        []
        if limit is None
        else [
            Hold(
                key=f"team-budget-config|research-lifetime#cost/lifetime|metadata.project_id={project}",
                rule="research-lifetime",
                unit=Unit.COST,
                window=Window.LIFETIME,
                limit=limit * 1_000_000_000,
                scope=f"metadata.project_id:{project}",
                mode=Mode.SOFT,
                is_budget=True,
            )
        ]
    )


def test_alerts_are_found_by_the_policy_of_a_hold(samples):
    metadata = {"environment": "production"}
    found = {hold.rule: samples.alerts.get(policy_of(hold.key)) for hold in samples.holds(VIP, GPT_4O, metadata)}

    assert {rule: alerts.thresholds for rule, alerts in found.items() if alerts is not None} == {
        "eng-monthly": (75, 90, 95, 100),
        "org-cap": (75, 90, 100),
    }
    assert samples.alerts["tenant-budget-config|org-cap"] == Alerts(
        thresholds=(75, 90, 100),
        targets=(ToSlackWebhook(notification_channel="acme:slack:wh:notification-channel:w"),),
    )


def test_budgets_can_be_listed(samples):
    assert [(budget.policy, budget.scopes, budget.mode) for budget in samples.budgets] == [
        ("gateway-budget-config|budgets|eng-monthly", ("user",), Mode.ENFORCE),
        ("gateway-budget-config|budgets|tokens-daily", ("metadata.project_id",), Mode.AUDIT),
        ("tenant-budget-config|org-cap", ("user",), Mode.ENFORCE),
        ("team-budget-config|research-lifetime", ("metadata.project_id",), Mode.SOFT),
        ("tenant-budget-config|by-model", ("model",), Mode.AUDIT),
        ("tenant-budget-config|by-va", ("virtualaccount",), Mode.ENFORCE),
        ("tenant-budget-config|whole", (), Mode.ENFORCE),
    ]


# --- details ---------------------------------------------------------------------------------------------------------


def test_the_first_generation_is_asked_first(policies_of):
    """Elsewhere the second is consulted only when no rule of the first blocks; so its refusal is the one told."""
    second = rate_limit("mode: enforce")
    first_budget = "{type: gateway-budget-config, rules: [{id: b, limit_to: 1, unit: cost_per_day}]}"
    policies = policies_of(
        "\n---\n".join(
            [
                budget("limits: {cost_per_day: 1}, applies_to: {type: aggregate}"),
                first_budget,
                second,
                rules("when: {}"),
            ]
        )
    )

    assert [policy_of(hold.key).partition("|")[0] for hold in policies.holds(BOB, GPT_4O, {})] == [
        "gateway-rate-limiting-config",
        "tenant-rate-limit-config/model",
        "gateway-budget-config",
        "tenant-budget-config",
    ]


def test_what_is_done_without_redis(policies_of):
    texts = [
        rules("when_redis_is_lost: open"),
        "{type: gateway-budget-config, rules: [{id: b, limit_to: 1, unit: cost_per_day, when_redis_is_lost: closed}]}",
        rate_limit("when_redis_is_lost: closed"),
        budget("limits: {cost_per_day: 1}, applies_to: {type: aggregate}, when_redis_is_lost: open"),
    ]

    holds = policies_of("\n---\n".join(texts)).holds(BOB, GPT_4O, {})

    assert [hold.when_lost for hold in holds] == [WhenLost.OPEN, WhenLost.CLOSED, WhenLost.CLOSED, WhenLost.OPEN]


def test_thresholds_are_put_in_order(policies_of):
    """Whoever compares a total with them may stop at the first that it has not reached."""
    policies = policies_of(
        budget("limits: {cost_per_day: 1}, applies_to: {type: aggregate}, alerts: {thresholds: [100, 50, 100, 75]}")
    )

    assert policies.alerts == {"tenant-budget-config|a": Alerts(thresholds=(50, 75, 100))}


@pytest.mark.parametrize(
    ("applies_to", "caller", "limits"),
    [
        ("per-user, overrides: [{users: ['user:BOB@example.com'], limits: {cost_per_week: 7}}]", BOB, [1, 7]),
        ("per-user, overrides: [{users: [bob@example.com], limits: {cost_per_day: 7}}]", BOB, [7]),
        ("per-user, overrides: [{users: [ana@example.com], limits: {cost_per_day: 7}}]", BOB, [1]),
        ("per-virtual-account, overrides: [{virtual_accounts: ['virtual-account:app'], limits: {cost_per_day: 7}}]",
         APP, [7]),
        ("per-team, overrides: [{teams: [research], limits: {cost_per_day: 7}}]", ANA, [1, 7]),
        ("per-token, overrides: [{tokens: [t1], limits: {cost_per_day: 7}}]", Caller("user:x@y.z", token_id="t1"), [7]),
        ("per-model, overrides: [{models: [openai-main/gpt-4o], limits: {cost_per_day: 7}}]", BOB, [7]),
        ("metadata, metadata: app, overrides: [{metadata_values: [bot], limits: {cost_per_day: 7}}]", BOB, [7]),
    ],
)  # fmt: skip
def test_overrides(policies_of, applies_to, caller, limits):
    """A window that an override does not name keeps the limit of all."""
    policies = policies_of(budget(f"limits: {{cost_per_day: 1}}, applies_to: {{type: {applies_to}}}"))

    holds = policies.holds(caller, GPT_4O, {"app": "bot"})

    assert [hold.limit // 1_000_000_000 for hold in holds] == limits


def test_a_virtual_model_may_be_overridden_by_its_alias(policies_of):
    override = "overrides: [{models: [our-chat], limits: {cost_per_day: 7}}]"
    policies = policies_of(budget(f"limits: {{cost_per_day: 1}}, applies_to: {{type: per-model, {override}}}"))

    assert [hold.limit for hold in policies.holds(BOB, ("prod/chat",), {})] == [7_000_000_000]


# --- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("applies_to", "fault"),
    [
        (
            "per-user, overrides: [{users: [a@b.c], limits: LIMITS}, {users: [x@b.c, 'user:A@b.c'], limits: LIMITS}]",
            "[1].users[1]: user:A@b.c has an override already",
        ),
        (
            "per-model, overrides: [{models: [prod/chat, our-chat], limits: LIMITS}]",
            "[0].models[1]: our-chat has an override already",
        ),
        (
            "per-user, overrides: [{users: [a@b.c], limits: {cost_per_lifetime: 5}}]",
            "[0].limits: cost_per_lifetime does not go with other windows; those of the manifest hold here too",
        ),
    ],
)
def test_faults_of_overrides(compiled, applies_to, fault):
    limits = "{cost_per_day: 1}"

    found = compiled(budget(f"limits: {limits}, applies_to: {{type: {applies_to.replace('LIMITS', limits)}}}"))

    assert found.faults == [f"applies_to.overrides{fault}"]


def test_a_fault_comes_with_its_manifest(compiled):
    """A stored manifest with a fault is left out alone, so it has to be known which it is."""
    override = "{users: [a@b.c, a@b.c], limits: {requests_per_day: 1}}"
    good, bad = rules("when: {}"), rate_limit(f"applies_to: {{type: per-user, overrides: [{override}]}}")

    assert compiled(f"{good}\n---\n{bad}").at_fault == ["tenant-rate-limit-config/model"]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            rules("when: {subjects: ['user:a@b.c', group:x]}"),
            "rules[0].when.subjects[1]: nobody is meant: write user:<email>, team:<name> or virtualaccount:<name>",
        ),
        (rules("when: {models: [gpt-5]}"), "rules[0].when.models[0]: gpt-5 is no model of any account"),
        (rules("when: {models: [nowhere/*]}"), "rules[0].when.models[0]: nowhere/* is no model of any account"),
        (
            rules("", "rate_limit_applies_per: [virtualaccount, user]"),
            "rules[1].rate_limit_applies_per: the rule fits nobody, because no caller is a user and a virtual account; "
            "write two rules",
        ),
        (
            rate_limit("when: {subjects: {users: {not_in: ['team:x']}}}"),
            "when.subjects.users.not_in[0]: nobody is meant: 'team:x' cannot be the name of a user",
        ),
        (
            rate_limit("when: {provider_accounts: {not_in: [openai]}}"),
            "when.provider_accounts.not_in[0]: there is no account named openai",
        ),
        (
            rate_limit("applies_to: {type: per-team, overrides: [{teams: ['*'], limits: {requests_per_hour: 1}}]}"),
            "applies_to.overrides[0].teams[0]: nobody is meant: '*' cannot be the name of a team",
        ),
        (rate_limit("log_request_body_on_block: true"), "log_request_body_on_block: ignored: bodies are not logged"),
    ],
)
def test_what_has_no_effect_is_said(compiled, text, warning):
    """A limit that is never looked at is worse than none, because somebody counts on it."""
    found = compiled(text + ACCOUNTS)

    assert (found.faults, found.warnings) == ([], [warning])


def test_ten_thousand_rules(policies_of):
    """All are in force, each for its own, and asking for one does not look at all of them."""
    text = "type: gateway-rate-limiting-config\nrules:\n" + "".join(
        f"- {{id: r{number}, when: {{subjects: ['user:u{number}@b.c']}}, limit_to: {number}, unit: requests_per_day}}\n"
        for number in range(10_000)
    )

    policies = policies_of(text)

    assert len(policies.rules) == 10_000
    [hold] = policies.holds(Caller("user:u7777@b.c"), GPT_4O, {})
    assert (hold.rule, hold.limit, hold.mode) == ("r7777", 7_777, Mode.ENFORCE)


WORDS = st.sampled_from(
    ["*", "user:ana@example.com", "ana@example.com", "team:", "prod/chat", "/", "", "x" * 500, "\x00"]
)
LISTS = st.lists(WORDS, max_size=3)
SELECTIONS = st.fixed_dictionaries({}, optional={"in": LISTS, "not_in": LISTS})
WHEN = st.fixed_dictionaries(
    {},
    optional={
        "subjects": st.dictionaries(st.sampled_from(["users", "teams", "virtual_accounts"]), SELECTIONS),
        "models": SELECTIONS,
        "provider_accounts": SELECTIONS,
        "metadata": st.dictionaries(WORDS, SELECTIONS, max_size=2),
    },
)
APPLIES_TO = st.fixed_dictionaries(
    {"type": st.sampled_from(["aggregate", "per-user", "per-model", "per-team", "metadata"])},
    optional={
        "metadata": WORDS,
        "overrides": st.lists(
            st.fixed_dictionaries(
                {"limits": st.just({"cost_per_day": 1})}, optional={"users": LISTS, "models": LISTS, "teams": LISTS}
            ),
            max_size=2,
        ),
    },
)


@given(WHEN, APPLIES_TO)
def test_whatever_is_written_nothing_breaks(compile_data, when, applies_to):
    """Names may be anything. What compiles also answers."""
    data = {"limits": {"cost_per_day": 1, "cost_per_week": 2}, "mode": "audit", "when": when, "applies_to": applies_to}

    with suppress(ConfigError):
        policies = compile_data("tenant-budget-config", data)
        for hold in policies.holds(
            ANA, ("prod/chat", "openai-main/gpt-4o"), {"": "", "*": "*", "x" * 500: "x" * 10_000}
        ):
            assert hold.rule == "a"


# --- who is told -----------------------------------------------------------------------------------------------------

CHANNELS = """
---
type: provider-account/webhook
name: hooks
integrations: [{type: integration/gateway-request-logger/webhook, name: costs, webhook_url: "https://ops.example"}]
"""


@pytest.mark.parametrize(
    ("channel", "why"),
    [
        ("budget-alerts", "is not the name of a channel, <tenant>:<provider>:<account>:notification-channel:<name>"),
        ("acme:webhook:hooks:gateway-request-logger:gone", "is no channel of any account"),
        ("acme:slack:hooks:notification-channel:costs", "is no channel of any account"),
    ],
)
@pytest.mark.parametrize("generation", [1, 2])
def test_a_budget_holds_though_nobody_is_told(compiled, channel, why, generation):
    alerts = (
        f"alerts: {{thresholds: [50], notification_target: [{{type: webhook, notification_channel: '{channel}'}}]}}"
    )
    first = f"{{type: gateway-budget-config, rules: [{{id: r, limit_to: 1, unit: cost_per_day, {alerts}}}]}}"
    second = budget(f"limits: {{cost_per_day: 1}}, applies_to: {{type: aggregate}}, {alerts}")

    found = compiled((first if generation == 1 else second) + CHANNELS)

    at = "rules[0].alerts" if generation == 1 else "alerts"
    assert found.faults == []
    assert found.warnings == [
        f"{at}.notification_target[0].notification_channel: {channel} {why}, so nobody is told by it"
    ]
    assert len(found.policies.budgets) == 1


def test_somebody_is_told(compiled):
    target = "{type: webhook, notification_channel: 'acme:webhook:hooks:gateway-request-logger:costs'}"
    text = budget(
        "limits: {cost_per_day: 1}, applies_to: {type: aggregate}, "
        f"alerts: {{thresholds: [50], notification_target: [{target}]}}"
    )

    assert compiled(text + CHANNELS).warnings == []
