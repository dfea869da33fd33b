"""From manifests to routes, and who may take them."""

import json
from dataclasses import replace

import msgspec
import pytest

from gateway.config.compile.snapshot import compile_snapshot
from gateway.config.live import Config, Stored
from gateway.contract import Ask, Call, Caller, Credential, Request
from gateway.contract.route import Retry, Sla, Sticky
from gateway.dialects import CHAT
from gateway.errors import BadRequest, ConfigError, Forbidden, UnknownModel
from gateway.manifests import Secrets, loads
from gateway.plugins import providers_by_type
from gateway.rules.routing.routes import VIRTUAL, RouteTarget
from gateway.settings import Settings
from gateway.testing import FakeUpstream, get, post

ANA = Caller(subject="user:ana@example.com")
BOB = Caller(subject="user:bob@example.com", teams=frozenset({"premium"}))
APP = Caller(subject="virtualaccount:app", credential=Credential.VIRTUAL_ACCOUNT)

RETRIED = frozenset({429, 500, 502, 503})
FALLEN_BACK = frozenset({401, 403, 404, 408, 429, 500, 502, 503})


def account(name, *models, who=()):
    """Whose models `who` may use."""
    people = ", ".join(f'{{subject: "{subject}", role_id: provider-account-access}}' for subject in who)
    rows = "".join(
        f"  - {{type: integration/model/openai, name: {model}, model_id: real-{model}, model_types: [chat]}}\n"
        for model in models
    )
    return (
        f"type: provider-account/openai\nname: {name}\nbase_url: http://{name}.internal/v1\n"
        f"auth_data: {{type: api-key, api_key: k}}\ncollaborators: [{people}]\nintegrations:\n{rows}"
    )


ACCOUNTS = "---\n".join(
    [
        account("azure-eu", "gpt-4o"),
        account("openai-main", "gpt-4o"),
        account("gpu-farm", "llama-70b"),
        account("anthropic-main", "claude-sonnet"),
    ]
)


def virtual(routing, name="m", group="v", who=(), **fields):
    people = [{"subject": subject, "role_id": "provider-account-access"} for subject in who]
    model = {"type": "integration/model/virtual", "name": name, "model_types": ["chat"], "routing_config": routing}
    return json.dumps(
        {
            "type": "provider-account/virtual-model",
            "name": group,
            "collaborators": people,
            "integrations": [{**model, **fields}],
        }
    )


def by_priority(*targets, **fields):
    targets = [{"target": each} if isinstance(each, str) else each for each in targets]
    routing = {
        "type": "priority-based-routing",
        "load_balance_targets": [{"priority": number, **each} for number, each in enumerate(targets)],
    }
    return virtual(routing, **fields)


def rules(*these):
    """Each: (id, when, targets)."""
    return json.dumps(
        {
            "type": "gateway-load-balancing-config",
            "rules": [
                {
                    "id": id_,
                    "type": "priority-based-routing",
                    "when": when,
                    "load_balance_targets": [{"target": name, "priority": n} for n, name in enumerate(targets)],
                }
                for id_, when, targets in these
            ],
        }
    )


def manifests(*texts):
    return loads("\n---\n".join(texts), "gateway.yaml")


def compiled(*texts):
    return compile_snapshot(manifests(ACCOUNTS, *texts), providers_by_type(), Secrets({}))


def faults_of(*texts):
    with pytest.raises(ConfigError) as refused:
        compiled(*texts)
    return [f"{fault.path}: {fault.message}" for fault in refused.value.faults]


def stored(text):
    return [
        replace(manifest, file=f"database/{manifest.type}/{manifest.name}", line=0, lines=0, version=1)
        for manifest in loads(text)
    ]


@pytest.fixture
def config(tmp_path):
    def make(*texts):
        path = tmp_path / "gateway.yaml"
        path.write_text("\n---\n".join(texts))
        return Config(path, Settings())

    return make


def candidates_of(choice):
    return [candidate.name for candidate in choice.route.candidates]


# --- what a route is -------------------------------------------------------------------------------------------------


def test_a_target_with_all_there_is_to_say():
    full = {
        "target": "azure-eu/gpt-4o",
        "weight": 80,
        "retry_config": {"attempts": 3, "delay": 250, "on_status_codes": ["429"]},
        "fallback_status_codes": ["500"],
        "fallback_candidate": False,
        "override_params": {"temperature": 0.2},
        "headers_override": {"set": {"X-Region": "eu"}, "remove": ["X-Internal"]},
        "metadata_match": {"tfy_gateway_region": "EU"},
    }
    sticky = {"ttl_seconds": 3600, "session_identifiers": [{"source": "headers", "key": "x-session-id"}]}
    routing = {
        "type": "weight-based-routing",
        "sticky_routing": sticky,
        "load_balance_targets": [full, {"target": "openai-main/gpt-4o", "weight": 20}],
    }

    route = compiled(virtual(routing)).routes.by_model["v/m"]

    assert (route.name, route.strategy) == ("v/m", "weight")
    assert route.sticky == Sticky(3600, (("headers", "x-session-id"),))
    first, second = route.candidates
    assert (first.name, first.account, first.variant, first.weight) == ("azure-eu/gpt-4o", "azure-eu", "", 80)
    assert first.retry == Retry(3, 0.25, frozenset({429}))
    assert (first.fallback_statuses, first.takes_fallbacks) == (frozenset({500}), False)
    assert first.metadata_match == {"tfy_gateway_region": "EU"}
    assert first.route_target == RouteTarget(
        first.route_target.target,
        params={"temperature": msgspec.Raw(b"0.2")},
        set_headers={"x-region": "eu"},
        remove_headers=frozenset({"x-internal"}),
    )
    assert first.route_target.target.model == "real-gpt-4o"
    assert (second.weight, second.retry) == (20, Retry(2, 0.1, RETRIED))
    assert (second.fallback_statuses, second.takes_fallbacks, second.metadata_match) == (FALLEN_BACK, True, {})
    assert second.route_target == RouteTarget(second.route_target.target)


def test_strategies():
    names = ["weight", "latency", "priority", "complexity"]
    extra = [{"weight": 1}, {}, {"priority": 7}, {"tier": "complex"}]
    groups = [
        virtual(
            {"type": f"{name}-based-routing", "load_balance_targets": [{"target": "azure-eu/gpt-4o", **more}]},
            group=name,
        )
        for name, more in zip(names, extra, strict=True)
    ]

    routes = compiled(*groups).routes

    assert {name: route.strategy for name, route in routes.by_model.items()} == {
        "weight/m": "weight",
        "latency/m": "latency",
        "priority/m": "priority",
        "complexity/m": "complexity",
    }
    assert routes.by_model["priority/m"].candidates[0].priority == 7
    assert routes.by_model["complexity/m"].candidates[0].tier == "complex"
    assert set(routes.classifiers) == {"complexity/m"}


def test_milliseconds_become_seconds():
    slow = {"target": "azure-eu/gpt-4o", "sla_cutoff": {"time_per_output_token_ms": 50}}
    late = {"target": "openai-main/gpt-4o", "sla_cutoff": {"time_to_first_token_ms": 1500}}

    candidates = compiled(by_priority(slow, late, "gpu-farm/llama-70b")).routes.by_model["v/m"].candidates

    assert [candidate.sla for candidate in candidates] == [Sla(0.05, None), Sla(None, 1.5), None]


def test_one_model_twice_is_two_variants():
    """For example with two prompts, or two temperatures, that are compared."""
    cold = {"target": "azure-eu/gpt-4o", "override_params": {"temperature": 0}}
    warm = {"target": "azure-eu/gpt-4o", "override_params": {"temperature": 1}}

    candidates = compiled(by_priority(cold, warm, "openai-main/gpt-4o")).routes.by_model["v/m"].candidates

    assert [(candidate.name, candidate.variant) for candidate in candidates] == [
        ("azure-eu/gpt-4o", ""),
        ("azure-eu/gpt-4o", "2"),
        ("openai-main/gpt-4o", ""),
    ]


def test_settings_for_all_are_the_defaults():
    settings = "{type: gateway-global-settings, retry_settings: {attempts: 4, delay: 5, on_status_codes: ['500']}}"
    own = {"target": "openai-main/gpt-4o", "retry_config": {"attempts": 1}}

    routes = compiled(settings, by_priority("azure-eu/gpt-4o", own)).routes

    assert routes.retry == Retry(4, 0.005, frozenset({500}))
    assert [candidate.retry for candidate in routes.by_model["v/m"].candidates] == [
        Retry(4, 0.005, frozenset({500})),
        Retry(1, 0.1, RETRIED),
    ]


# --- what is wrong with one ------------------------------------------------------------------------------------------

AT = "integrations[0].routing_config.load_balance_targets"


@pytest.mark.parametrize("name", ["model", "stream", "stream_options"])
def test_what_the_form_of_the_answer_depends_on_stays(name):
    assert faults_of(by_priority({"target": "azure-eu/gpt-4o", "override_params": {name: True}})) == [
        f"{AT}[0].override_params.{name}: cannot be overridden"
    ]


NO_VALUE = "the value holds a line break, or another character that no header may hold"


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ({"set": {"Content-Length": "3"}}, "set.Content-Length: Content-Length cannot be set"),
        ({"set": {"host": "evil.test"}}, "set.host: host cannot be set"),
        ({"set": {"Transfer_Encoding": "chunked"}}, "set.Transfer_Encoding: Transfer_Encoding cannot be set"),
        ({"set": {"content-type": "text/plain"}}, "set.content-type: content-type cannot be set"),
        ({"set": {"x y": "1"}}, "set.x y: 'x y' is no name of a header"),
        ({"set": {"x": "1\r\ny: 2"}}, f"set.x: {NO_VALUE}"),
        ({"remove": ["Host"]}, "remove[0]: Host cannot be removed"),
        ({"remove": ["te "]}, "remove[0]: te  cannot be removed"),
    ],
)
def test_headers_that_cannot_be_changed(override, fault):
    assert faults_of(by_priority({"target": "azure-eu/gpt-4o", "headers_override": override})) == [
        f"{AT}[0].headers_override.{fault}"
    ]


def test_credentials_may_be_taken_out():
    """A gateway of the operator's own in between may bring its own."""
    without = {"target": "azure-eu/gpt-4o", "headers_override": {"remove": ["Authorization"]}}

    [candidate] = compiled(by_priority(without)).routes.by_model["v/m"].candidates

    assert candidate.route_target.remove_headers == {"authorization"}


@pytest.mark.parametrize("group", ["v", "w"])
def test_a_virtual_model_leads_to_no_other(group):
    """Nor to itself."""
    first = by_priority("v/m", group=group)
    second = by_priority("azure-eu/gpt-4o", group="v" if group == "w" else "u")

    assert faults_of(first, second) == [f"{AT}[0].target: v/m is a virtual model; name a real one"]


def test_one_target_for_each_tier():
    targets = [{"target": "azure-eu/gpt-4o", "tier": "simple"}, {"target": "openai-main/gpt-4o", "tier": "simple"}]

    assert faults_of(virtual({"type": "complexity-based-routing", "load_balance_targets": targets})) == [
        f"{AT}: two targets for one tier"
    ]


@pytest.mark.parametrize("model", ["v/m", "vectors/ada"])
def test_only_chat_models_classify(model):
    vectors = account("vectors", "ada").replace("[chat]", "[embedding]")
    routing = {
        "type": "complexity-based-routing",
        "classification_strategy": {"type": "llm-classifier", "model": model},
        "load_balance_targets": [{"target": "azure-eu/gpt-4o", "tier": "simple"}],
    }

    assert faults_of(virtual(routing), vectors) == [
        f"integrations[0].routing_config.classification_strategy.model: {model} is no real chat model"
    ]


def test_a_target_that_a_file_names_may_come_later():
    """The database is read after the files."""
    snapshot = compiled(by_priority("azure-eu/gpt-5", "openai-main/gpt-4o"))

    assert [candidate.name for candidate in snapshot.routes.by_model["v/m"].candidates] == ["openai-main/gpt-4o"]
    assert [(warning.path, warning.message) for warning in snapshot.warnings] == [
        (f"{AT}[0].target", "left out: azure-eu/gpt-5 is no model of any account")
    ]


def test_a_stored_one_that_names_it_is_left_out():
    """Whoever applied it is told, and nothing else is the worse for it."""
    bad = stored(by_priority("azure-eu/gpt-5", group="bad", slug="short"))
    good = stored(by_priority("azure-eu/gpt-4o", group="good"))

    snapshot = compile_snapshot([*manifests(ACCOUNTS), *bad, *good], providers_by_type(), Secrets({}))

    assert set(snapshot.routes.by_model) == {"good/m"}
    assert [name for name, target in snapshot.targets.items() if target.provider is VIRTUAL] == ["good/m"]
    assert [str(fault) for fault in snapshot.left_out] == [
        f"database/provider-account/virtual-model/bad: {AT}[0].target: azure-eu/gpt-5 is no model of any account"
    ]


def test_any_model_of_an_account_can_be_a_target():
    snapshot = compiled(account("any", '"*"'), by_priority("any/vendor/new"))

    [candidate] = snapshot.routes.by_model["v/m"].candidates
    assert (candidate.name, candidate.route_target.target.model) == ("any/vendor/new", "vendor/new")


def test_what_was_there_in_2025_is_ignored_aloud():
    config = "{type: gateway-load-balancing-config, rules: [], model_configs: [{model: azure-eu/gpt-4o}]}"

    assert [(warning.path, warning.message) for warning in compiled(config).warnings] == [
        (
            "model_configs",
            "ignored: limits belong in gateway-rate-limiting-config, and health is watched for all models",
        )
    ]


# --- names -----------------------------------------------------------------------------------------------------------


def test_slugs_and_aliases_stand_for_a_model(config):
    config = config(ACCOUNTS, by_priority("azure-eu/gpt-4o", slug="acme-chat", alias=["gpt-4o", "acme/default"]))

    chosen = [config.find(name, None) for name in ("v/m", "acme-chat", "gpt-4o", "acme/default")]

    assert [choice.target.name for choice in chosen] == ["v/m"] * 4
    assert [choice.route.name for choice in chosen] == ["v/m"] * 4
    assert list(config.names(None))[-4:] == ["v/m", "acme-chat", "gpt-4o", "acme/default"]


TWO = ("azure-eu/gpt-4o", "openai-main/gpt-4o")


@pytest.mark.parametrize(
    ("first", "second", "fault"),
    [
        ({"slug": "x"}, {"slug": "x"}, "integrations[0].slug: x stands for v/m already, which is in gateway.yaml"),
        ({"alias": ["x"]}, {"slug": "x"}, "integrations[0].slug: x stands for v/m already, which is in gateway.yaml"),
        (
            {"slug": "x"},
            {"alias": ["y", "x"]},
            "integrations[0].alias: x stands for v/m already, which is in gateway.yaml",
        ),
        ({"alias": ["w/x"]}, {}, "name: w/x stands for v/m already, which is in gateway.yaml"),
        ({}, {"alias": ["v/x"]}, "integrations[0].alias: v/x is a name in the account v, which is in gateway.yaml"),
        (
            {},
            {"slug": "azure-eu/gpt-4o"},
            "azure-eu/gpt-4o is a name in the account azure-eu, which is in gateway.yaml:",
        ),
        ({}, {"slug": "azure-eu/later"}, "azure-eu/later is a name in the account azure-eu, which is in gateway.yaml"),
    ],
)
def test_a_name_is_of_who_has_it_first(first, second, fault):
    """A second one was passed over with a warning, or it was first and took everybody's requests."""
    manifests = (by_priority(TWO[0], **first), by_priority(TWO[1], group="w", **second))

    [found] = faults_of(*manifests)

    assert fault in found


def test_two_virtual_models_of_a_group_share_no_name():
    group = json.loads(by_priority(TWO[0], slug="x"))
    group["integrations"].append({**group["integrations"][0], "name": "n"})
    third = {**group["integrations"][0], "name": "o", "slug": "v/m"}

    assert [fault.partition(": x")[0] for fault in faults_of(json.dumps(group))] == ["integrations[1].slug"]
    group["integrations"][1:] = [third]
    assert faults_of(json.dumps(group)) == ["integrations[1].slug: v/m is a model itself"]


def test_the_same_name_twice_for_one_model_is_no_fault():
    snapshot = compiled(by_priority(TWO[0], slug="x", alias=["x", "v/m", "v/other"]))

    assert [name for name, target in snapshot.targets.items() if target.name == "v/m"] == ["v/m", "x", "v/other"]


@pytest.mark.parametrize("fields", [{"slug": "*"}, {"alias": ["v/*"]}, {"alias": ["azure-eu/*"]}, {"name": "*"}])
def test_a_virtual_model_is_not_called_by_a_star(fields):
    """That is any model of an account. Whoever asked for one found a route that was not there: a 500."""
    [fault] = faults_of(by_priority(TWO[0], **fields))

    assert fault.endswith("must be a name without whitespace and without *")


def test_a_file_takes_a_name_from_the_database():
    """And from nobody else: what is stored is left out, and says who has the name now."""
    alias, slug = by_priority(TWO[0], alias=["x"]), stored(by_priority(TWO[1], group="a", slug="x"))
    below, named = by_priority(TWO[0], alias=["a/x"]), stored(by_priority(TWO[1], group="a"))

    for file, other, path in ((alias, slug, "integrations[0].slug: x"), (below, named, "name: a/x")):
        snapshot = compile_snapshot(
            [*manifests(ACCOUNTS), *loads(file, "f.yaml"), *other], providers_by_type(), Secrets({})
        )

        assert {target.name for target in snapshot.targets.values() if target.provider is VIRTUAL} == {"v/m"}
        assert [str(fault) for fault in snapshot.left_out] == [
            f"database/provider-account/virtual-model/a: {path} stands for v/m already, which is in f.yaml:1"
        ]


async def test_the_list_has_all_names(app_with, auth, tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text(f"{ACCOUNTS}---\n{by_priority('azure-eu/gpt-4o', slug='acme-chat', alias=['gpt-4o'])}")
    app = app_with(FakeUpstream((200, [b"{}"])), path)

    listed = (await get(app, "/v1/models", headers=auth)).json()["data"]
    one = await get(app, "/v1/models/acme-chat", headers=auth)

    assert [model["id"] for model in listed] == [
        "azure-eu/gpt-4o",
        "openai-main/gpt-4o",
        "gpu-farm/llama-70b",
        "anthropic-main/claude-sonnet",
        "v/m",
        "acme-chat",
        "gpt-4o",
    ]
    assert (one.status, one.json()["id"]) == (200, "acme-chat")


def test_its_targets_have_to_offer_the_same_apis():
    """Else an embedding could be asked of a model that only chats, and the provider's refusal would be a riddle."""
    assert faults_of(by_priority("azure-eu/gpt-4o", model_types=["chat", "embedding"])) == [
        "integrations[0].routing_config.load_balance_targets[0].target: azure-eu/gpt-4o is not declared as embedding "
        "(model_types), which v/m is"
    ]


async def test_a_virtual_model_has_the_apis_it_was_declared_for(app_with, auth, tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text(f"{ACCOUNTS}---\n{by_priority('azure-eu/gpt-4o')}")
    app = app_with(FakeUpstream((200, [b"{}"])), path)

    answer = await post(app, "/v1/embeddings", {"model": "v/m", "input": "a"}, headers=auth)

    assert answer.status == 400
    assert answer.json()["error"]["message"] == "v/m is not declared as embedding (model_types)"


def test_whoever_asks_a_virtual_model_itself_is_told():
    """An API that no route can serve says so."""
    target = compiled(by_priority("azure-eu/gpt-4o")).targets["v/m"]
    call = Call(CHAT, Ask("v/m"), Request())

    with pytest.raises(BadRequest, match="v/m is a virtual model, and chat takes real ones only"):
        target.provider.request(call, target)


# --- who may use it --------------------------------------------------------------------------------------------------


def test_a_grant_on_the_group_is_enough(config):
    """Those who made the virtual model have chosen its targets for the caller."""
    config = config(ACCOUNTS, by_priority("azure-eu/gpt-4o", who=["team:everyone"]))

    choice = config.find("v/m", ANA)

    assert candidates_of(choice) == ["azure-eu/gpt-4o"]
    assert config.names(ANA) == ("v/m",)
    with pytest.raises(UnknownModel):
        config.find("azure-eu/gpt-4o", ANA)


def test_without_it_grants_on_the_targets_are_not(config):
    config = config(account("a", "m", who=["team:everyone"]), by_priority("a/m", slug="short"))

    with pytest.raises(UnknownModel):
        config.find("v/m", ANA)
    with pytest.raises(UnknownModel):
        config.find("short", ANA)
    assert config.names(ANA) == ("a/m",)


def test_a_slug_is_for_those_of_the_model(config):
    config = config(ACCOUNTS, by_priority("azure-eu/gpt-4o", who=[ANA.subject], slug="short"))

    assert config.names(ANA) == ("v/m", "short")
    assert config.find("short", ANA).target.name == "v/m"
    with pytest.raises(UnknownModel):
        config.find("short", BOB)


def test_authorized_subjects_narrow_it(config):
    config = config(
        ACCOUNTS, by_priority("azure-eu/gpt-4o", who=["team:everyone"], authorized_subjects=[BOB.subject], slug="x")
    )

    assert config.find("x", BOB).target.name == "v/m"
    with pytest.raises((UnknownModel, Forbidden)):
        config.find("x", ANA)


# --- rules -----------------------------------------------------------------------------------------------------------

A = account("a", "m", who=["team:everyone", APP.subject])
B = account("b", "m", who=["team:everyone"])
PRIVATE = account("private", "m")


@pytest.mark.parametrize(
    ("when", "caller", "metadata", "fits"),
    [
        ({}, ANA, {}, True),
        ({"models": ["a/m"]}, ANA, {}, True),
        ({"models": ["b/m", "a/m"]}, ANA, {}, True),
        ({"models": ["*"]}, ANA, {}, True),
        ({"models": ["b/m"]}, ANA, {}, False),
        ({"models": []}, ANA, {}, False),
        ({"subjects": ["*"]}, ANA, {}, True),
        ({"subjects": ["user:ANA@example.com"]}, ANA, {}, True),
        ({"subjects": ["team:everyone"]}, ANA, {}, True),
        ({"subjects": ["team:everyone"]}, APP, {}, False),
        ({"subjects": ["virtual-account:app"]}, APP, {}, True),
        ({"subjects": ["team:premium"]}, ANA, {}, False),
        ({"subjects": ["team:premium"]}, BOB, {}, True),
        ({"metadata": {"env": "prod"}}, ANA, {}, False),
        ({"metadata": {"env": "prod"}}, ANA, {"env": "dev"}, False),
        ({"metadata": {"env": "prod"}}, ANA, {"env": "prod", "more": "x"}, True),
        ({"metadata": {"env": "prod"}, "models": ["b/m"]}, ANA, {"env": "prod"}, False),
    ],
)
def test_a_rule_fits(config, when, caller, metadata, fits):
    """All of it has to; of a list, one."""
    config = config(A, B, rules(("first", when, ["a/m"])))

    choice = config.find("a/m", caller, metadata)

    assert (choice.rule == "first") is fits
    assert (choice.route is not None) is fits


def test_the_first_that_fits_decides(config):
    config = config(A, B, rules(("premium", {"subjects": ["team:premium"]}, ["b/m"]), ("rest", {}, ["a/m", "b/m"])))

    chosen = [config.find("a/m", caller) for caller in (BOB, ANA)]

    assert [(choice.rule, candidates_of(choice)) for choice in chosen] == [
        ("premium", ["b/m"]),
        ("rest", ["a/m", "b/m"]),
    ]
    assert [choice.route.name for choice in chosen] == ["premium", "rest"]


def test_a_rule_may_name_a_model_that_is_none(config):
    config = config(A, rules(("short", {"models": ["gpt"]}, ["a/m"])))

    choice = config.find("gpt", ANA)

    assert (choice.target.name, choice.rule) == ("a/m", "short")


def test_a_rule_gives_no_access(config):
    """It says where a request goes among what its caller may use anyway."""
    config = config(A, PRIVATE, rules(("rule", {}, ["private/m", "a/m"])))

    assert candidates_of(config.find("a/m", ANA)) == ["a/m"]
    assert candidates_of(config.find("a/m", None)) == ["private/m", "a/m"]
    assert candidates_of(config.find("private/m", ANA)) == ["a/m"]


def test_a_rule_with_nothing_left_is_as_good_as_none(config):
    config = config(A, PRIVATE, rules(("rule", {}, ["private/m"])))

    choice = config.find("a/m", ANA)

    assert (choice.target.name, choice.route, choice.rule) == ("a/m", None, None)
    with pytest.raises(UnknownModel):
        config.find("private/m", ANA)


def test_virtual_models_have_their_own_routes(config):
    config = config(A, B, by_priority("a/m", who=["team:everyone"]), rules(("rule", {}, ["b/m"])))

    choice = config.find("v/m", ANA)

    assert (choice.rule, candidates_of(choice)) == (None, ["a/m"])


async def test_the_answer_names_the_rule(app_with, auth, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("\n---\n".join([A, B, rules(("prod", {"metadata": {"env": "prod"}}, ["b/m"]))]))
    upstream = FakeUpstream((200, [b'{"choices":[]}']))
    app = app_with(upstream, path)
    ask = {"model": "a/m", "messages": []}

    answer = await post(app, "/v1/chat/completions", ask, headers={**auth, "x-tfy-metadata": '{"env":"prod"}'})
    other = await post(app, "/v1/chat/completions", ask, headers=auth)

    assert answer.headers["x-tfy-resolved-model"] == "b/m"
    assert json.loads(answer.headers["x-tfy-applied-rules"]) == {
        "resolved_model": "b/m",
        "routing_model_order": ["b/m"],
        "rule": "prod",
    }
    assert other.headers["x-tfy-resolved-model"] == "a/m"


# --- the fallback config of old --------------------------------------------------------------------------------------


def test_who_goes_first(config):
    """The first rule that fits decides, also for a model that was named by its alias."""
    priorities = """
    type: gateway-priority-config
    rules:
      - {id: batch, priority: -3, when: {metadata: {job: nightly}}}
      - {id: premium, priority: 5, when: {subjects: ["team:premium"], models: [v/m]}}
    """
    compiled = config(ACCOUNTS, by_priority("azure-eu/gpt-4o", alias=["fast"], who=["team:everyone"]), priorities)

    found = [
        compiled.find("v/m", BOB).priority,
        compiled.find("fast", BOB).priority,
        compiled.find("v/m", BOB, {"job": "nightly"}).priority,
        compiled.find("v/m", ANA).priority,
        compiled.find("azure-eu/gpt-4o", None).priority,
    ]

    assert found == [5, 5, -3, 0, 0]


def fallbacks(when, *targets):
    return json.dumps(
        {
            "type": "gateway-fallback-config",
            "rules": [
                {
                    "id": "down",
                    "when": {"response_status_codes": [429, 500], **when},
                    "fallback_models": [{"target": name, "override_params": {"n": 1}} for name in targets],
                }
            ],
        }
    )


def test_the_model_itself_comes_first(config):
    config = config(A, B, fallbacks({"models": ["a/m"], "subjects": ["*"]}, "b/m"))

    choice = config.find("a/m", ANA)

    assert (choice.target.name, choice.rule, choice.route.strategy) == ("a/m", "down", "priority")
    first, second = choice.route.candidates
    assert (first.name, first.priority, first.fallback_statuses) == ("a/m", 0, frozenset({429, 500}))
    assert first.route_target == RouteTarget(first.route_target.target)
    assert (second.name, second.priority, second.route_target.params) == ("b/m", 1, {"n": msgspec.Raw(b"1")})
    assert config.find("b/m", ANA).route is None


def test_a_model_is_not_its_own_fallback(config):
    config = config(A, B, fallbacks({}, "b/m", "a/m"))

    assert candidates_of(config.find("a/m", ANA)) == ["a/m", "b/m"]


def test_fallbacks_give_no_access(config):
    config = config(A, PRIVATE, fallbacks({}, "private/m"))

    assert candidates_of(config.find("a/m", ANA)) == ["a/m"]
    for name in ("private/m", "nobody/m"):
        with pytest.raises(UnknownModel):
            config.find(name, ANA)


# --- a newer configuration -------------------------------------------------------------------------------------------


async def test_a_target_that_is_stored_later_joins_its_route(config):
    config = config(A, by_priority("a/m", "b/m"))
    assert candidates_of(config.find("v/m", None)) == ["a/m"]

    await config.reload(Stored(stored(B)))

    assert candidates_of(config.find("v/m", None)) == ["a/m", "b/m"]
