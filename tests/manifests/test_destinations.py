"""What decides where a secret goes."""

from typing import get_args

import msgspec
import pytest

from gateway.manifests import kinds
from gateway.manifests.destinations import HAVE_NO_SAY, Moves, place_of, place_text
from gateway.manifests.notifications import CustomAccount, SlackAccount, WebhookAccount
from gateway.manifests.shapes import holds
from gateway.providers.custom_endpoint import CustomEndpoints
from gateway.providers.demo import Demo
from gateway.providers.openai_compatible import OpenAICompatible
from gateway.secrecy.secret import Secret

STRUCTS = {**OpenAICompatible().accounts, **CustomEndpoints().accounts, **Demo().accounts} | kinds.STRUCTS
OPENAI = STRUCTS["provider-account/openai"]
SELF_HOSTED = STRUCTS["provider-account/self-hosted-model"]
KEY = ("auth_data", "api_key")


def moved(kind, before, after, *path):
    """What would take the secret at that path elsewhere."""
    what = Moves(kind, before, after).of(place_of(after, path))
    return place_text(what) if what is not None else None


# --- every type there is -----------------------------------------------------


def deciding_fields():
    """Struct -> its fields that decide, for all that manifests with secrets are made of."""
    found = {}

    def look(kind):
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__name__ not in found:
            free = frozenset().union(*(HAVE_NO_SAY.get(base, ()) for base in kind.__mro__))
            fields = [field for field in msgspec.structs.fields(kind) if field.encode_name not in free]
            found[kind.__name__] = [field.encode_name for field in fields]
            for field in fields:
                look(field.type)
        for inner in get_args(kind):
            look(inner)

    for kind in STRUCTS.values():
        if holds(kind, Secret):
            look(kind)
    return found


def test_which_fields_decide():
    """Written down for all types, so that whoever adds a field has to say here that it decides, or in `HAVE_NO_SAY`
    that it does not."""
    key_account = ["type", "name", "integrations", "auth_data"]
    channel = ["name", "auth_data"]
    assert deciding_fields() == {
        "KeyOnlyAccount": key_account,
        "VendorAccount": key_account,
        "OpenAIAccount": [*key_account, "base_url"],
        "WaferAccount": [*key_account, "base_url", "zero_data_retention"],
        "DatabricksAccount": ["type", "name", "integrations", "base_url", "auth_data"],
        "SnowflakeAccount": ["type", "name", "integrations", "account_identifier", "auth_data"],
        "SelfHostedAccount": ["type", "name", "integrations"],
        "SelfHostedModel": ["url", "model_server", "auth_data", "headers", "tls_settings"],
        "CustomEndpointAccount": key_account,
        "CustomEndpoint": ["base_url", "auth_data", "headers", "tls_settings"],
        "HeaderAuth": ["headers"],
        "Integration": [],
        "TlsSettings": ["reject_unauthorized", "ca_cert"],
        "ApiKeyAuth": ["api_key"],
        "BasicAuth": ["username", "password"],
        "BearerAuth": ["bearer_token"],
        "PatAuth": ["pat_token"],
        "ServicePrincipalAuth": ["client_id", "oauth_secret"],
        "SlackAccount": ["type", "name", "integrations"],
        "TeamsAccount": ["type", "name", "integrations"],
        "PagerDutyAccount": ["type", "name", "integrations"],
        "WebhookAccount": ["type", "name", "integrations"],
        "CustomAccount": ["type", "name", "integrations"],
        "EmailChannel": [*channel, "from_email"],
        "SlackWebhookChannel": channel,
        "SlackBotChannel": channel,
        "TeamsChannel": channel,
        "PagerDutyChannel": channel,
        "WebhookChannel": ["name", "webhook_url", "auth_data"],
        "SmtpCredentials": ["host", "username", "password", "port", "tls"],
        "SlackWebhookAuth": ["webhook_url"],
        "SlackBotAuth": ["bot_token"],
        "TeamsWebhookAuth": ["webhook_url"],
        "PagerDutyAuth": ["integration_key", "integration_url"],
        "WebhookBasicAuth": ["username", "password"],
        "WebhookBearerAuth": ["token", "prefix"],
        "OtelConfig": ["type", "name", "otel_traces_exporter_config", "otel_metrics_exporter_config"],
        "HttpTraces": ["headers", "endpoint"],
        "GrpcTraces": ["headers", "endpoint"],
        "HttpMetrics": ["headers", "endpoint"],
        "GrpcMetrics": ["headers", "endpoint"],
        "GuardrailGroup": ["type", "name", "integrations"],
        "MetadataIntegration": ["name"],
        "CustomIntegration": ["name", "target", "auth_data", "config"],
        "CustomConfig": ["url", "status_is_verdict", "headers", "config"],
        "PatronusIntegration": ["name", "auth_data", "config", "target"],
        "TfyPiiIntegration": ["name", "auth_data", "config"],
        "PiiConfig": ["pii_categories"],
        "TfyContentModerationIntegration": ["name", "auth_data", "config"],
        "ModerationConfig": ["severity_threshold", "categories", "model"],
        "TfyPromptInjectionIntegration": ["name", "auth_data", "config"],
        "InjectionConfig": ["threshold"],
        "SecretDetectionIntegration": ["name", "auth_data", "config"],
        "SecretsConfig": ["redaction_text"],
        "RegexIntegration": ["name", "auth_data", "config"],
        "RegexConfig": ["preset_patterns", "custom_patterns"],
        "PresetPatterns": ["presets"],
        "UserPattern": ["pattern", "redaction_text"],
        "WordListIntegration": ["name", "auth_data", "config"],
        "WordListConfig": ["words", "redaction_text"],
        "SqlSanitizerIntegration": ["name", "auth_data", "config"],
        "SqlConfig": [
            "block_drop",
            "block_truncate",
            "block_alter",
            "block_grant",
            "block_revoke",
            "strip_comments",
            "block_delete_without_where",
            "block_update_without_where",
            "require_parameterization",
        ],
        "CodeSafetyLinterIntegration": ["name", "auth_data", "config"],
        "JsonSchemaIntegration": ["name", "auth_data", "config"],
        "SchemaConfig": ["json_schema"],
        "LlmJudgeIntegration": ["name", "auth_data", "config"],
        "JudgeConfig": ["model", "policy"],
        "CedarIntegration": ["name", "auth_data", "config"],
        "CedarConfig": ["policy"],
        "OpaIntegration": ["name", "auth_data", "config"],
        "OpaConfig": ["opa_url", "policy_path"],
        "OpenaiModerationsIntegration": ["name", "auth_data", "config"],
        "OpenAiModerationsConfig": ["model", "base_url", "category_thresholds"],
        "AwsBedrockIntegration": ["name", "auth_data", "config"],
        "BedrockConfig": ["guardrail_id", "guardrail_version", "region"],
        "AzureContentSafetyIntegration": ["name", "auth_data", "config"],
        "AzureSafetyConfig": [
            "resource_name",
            "custom_host",
            "api_version",
            "blocklist_names",
            "severity_threshold",
            "categories",
        ],
        "AzurePromptShieldIntegration": ["name", "auth_data", "config"],
        "AzureConfig": ["resource_name", "custom_host", "api_version"],
        "AzurePiiIntegration": ["name", "auth_data", "config"],
        "AzurePiiConfig": [
            "resource_name",
            "custom_host",
            "api_version",
            "domain",
            "pii_categories",
            "model_version",
            "language",
        ],
        "GoogleModelArmorIntegration": ["name", "auth_data", "config"],
        "ModelArmorConfig": ["project_id", "location", "template_id"],
        "PluginIntegration": ["name", "auth_data", "config"],
        "PluginConfig": ["plugin", "config"],
        "AktoIntegration": ["name", "auth_data", "config"],
        "CiscoAiDefenseIntegration": ["name", "auth_data", "config"],
        "FiddlerIntegration": ["name", "auth_data", "config"],
        "GrayswanCygnalIntegration": ["name", "auth_data", "config"],
        "PaloAltoPrismaAirsIntegration": ["name", "auth_data", "config"],
        "CalypsoaiIntegration": ["name", "auth_data", "config"],
        "CrowdstrikeAidrIntegration": ["name", "auth_data", "config"],
        "EnkryptAiIntegration": ["name", "auth_data", "config"],
        "NomaSecurityIntegration": ["name", "auth_data", "config"],
        "TrojaiIntegration": ["name", "auth_data", "config"],
    }


def test_what_has_no_say_is_there():
    """A field that was renamed would be passed over by nobody, but its old name would stay in the list."""
    for struct, names in HAVE_NO_SAY.items():
        assert names <= {field.encode_name for field in msgspec.structs.fields(struct)}, struct


# --- accounts ----------------------------------------------------------------


def account(**fields):
    model = {"type": "integration/model/openai", "name": "m", "model_id": "gpt", "model_types": ["chat"]}
    auth = {"type": "api-key", "api_key": "kept"}
    data = {"type": "provider-account/openai", "name": "main", "auth_data": auth, "integrations": [model]}
    return {**data, **fields}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"discount_percent": 5},
        {"collaborators": [{"subject": "user:ana", "role_id": "r"}]},
        {"ownedBy": {"account": "x"}},
        {"concurrency": {"max_requests": 1}},
        {"base_url": None},
        {"integrations": []},
        {"integrations": [{"type": "integration/model/openai", "name": "n", "model_id": "x", "model_types": ["chat"]}]},
    ],
)
def test_what_may_change_beside_a_key(change):
    assert moved(OPENAI, account(), account(**change), *KEY) is None


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"base_url": "https://evil.example/v1"}, "base_url"),
        ({"base_url": "HTTPS://evil.example"}, "base_url"),
        ({"note": {"deep": ["evil.example"]}}, "note.deep[0]"),
        ({"proxy": "socks5://evil.example"}, "proxy"),
        ({"note": 1}, "note"),
        ({"auth_data": {"type": "other", "api_key": "kept"}}, "auth_data.type"),
        ({"auth_data": {"type": "api-key", "api_key": "kept", "url": "evil.example"}}, "auth_data.url"),
        ({"integrations": [{"name": "m", "endpoint": "evil.example"}]}, "integrations[m].endpoint"),
        ({"integrations": {"x": "evil.example"}}, "integrations.x"),
    ],
)
def test_what_takes_a_key_elsewhere(change, what):
    """Whatever is not known to be harmless, in any spelling, and what a plugin alone can read."""
    assert moved(OPENAI, account(), account(**change), *KEY) == what


@pytest.mark.parametrize(
    ("before", "after", "is_same"),
    [
        ("https://api.example.com/v1", "HTTPS://API.example.COM:443/v1", True),
        ("http://api.example.com/v1", "http://api.example.com:80/v1", True),
        ("https://api.example.com/v1", "http://api.example.com:443/v1", False),
        ("https://api.example.com/v1", "https://api.example.com:80/v1", False),
        ("https://api.example.com/v1", "https://api.example.com/V1", False),
        ("https://api.example.com/v1", "https://api.example.com.evil.example/v1", False),
        ("https://api.example.com/v1", "https://api.example.com@evil.example/v1", False),
        ("https://api.example.com/v1", "https://api.example.com/v1?to=evil.example", False),
        ("https://api.example.com/v1", "https://api.example.com:x/v1", False),
        ("https://[::1]/v1", "https://[::1", False),
        ("https://api.example.com/v1", None, False),
    ],
)
def test_addresses_are_compared_by_what_they_mean(before, after, is_same):
    """`HTTP://` was no address for the comparison, and one for who sent the key."""
    found = moved(OPENAI, account(base_url=before), account(base_url=after), *KEY)

    assert found == (None if is_same else "base_url")


def test_what_is_left_out_is_its_default():
    smtp = {"type": "smtp-credentials", "host": "mail.example", "password": "kept"}

    def mail(**fields):
        channel = {"type": "integration/notification-channel/email", "name": "m", "from_email": "a@example.com"}
        return {"integrations": [{**channel, "auth_data": {**smtp, **fields}}]}

    def found(**fields):
        return moved(CustomAccount, mail(), mail(**fields), "integrations", 0, "auth_data", "password")

    assert found(port=587, tls=True, username=None) is None
    assert found(host="evil.example") == "integrations[m].auth_data.host"
    assert found(port=588) == "integrations[m].auth_data.port"
    assert found(tls=False) == "integrations[m].auth_data.tls"
    assert found(username="eve") == "integrations[m].auth_data.username"


def test_a_webhook():
    """Its address is a secret too: one that was written anew is another, whatever it is."""

    def hook(url, **auth):
        auth_data = {"type": "webhook-bearer", "token": "kept", **auth}
        type_ = "integration/gateway-request-logger/webhook"
        return {"integrations": [{"type": type_, "name": "h", "webhook_url": url, "auth_data": auth_data}]}

    def found(url, **auth):
        return moved(WebhookAccount, hook("sealed"), hook(url, **auth), "integrations", 0, "auth_data", "token")

    assert found("sealed", prefix="Bearer") is None
    assert found("sealed anew") == "integrations[h].webhook_url"
    assert found("tfy-secret://t:mine:url") == "integrations[h].webhook_url"
    assert found("sealed", prefix="Other") == "integrations[h].auth_data.prefix"
    before, after = hook("tfy-secret://a:hooks:url"), hook("tfy-secret://b:hooks:url")
    assert moved(WebhookAccount, before, after, "integrations", 0, "auth_data", "token") is None


# --- lists -------------------------------------------------------------------


def model(name, url, **fields):
    auth = {"type": "bearer-auth", "bearer_token": f"kept-{name}"}
    return {"name": name, "url": url, "auth_data": auth, **fields}


A, B = model("a", "http://a.test"), model("b", "http://b.test")


def hosted(*models):
    return {"type": "provider-account/self-hosted-model", "name": "own", "integrations": list(models)}


@pytest.mark.parametrize(
    ("after", "index", "what"),
    [
        (hosted(B, A), 0, None),
        (hosted(B, A), 1, None),
        (hosted(A), 0, None),
        (hosted(A, B, model("c", "http://evil.example")), 0, None),
        (hosted(A, {**B, "url": "http://evil.example"}), 0, None),
        (hosted(A, {**B, "url": "http://evil.example"}), 1, "integrations[b].url"),
        (hosted({**A, "url": "http://b.test"}, B), 0, "integrations[a].url"),
        (hosted({**A, "headers": {"host": "evil.example"}}), 0, "integrations[a].headers.host"),
        (hosted({**A, "tls_settings": {"reject_unauthorized": False}}), 0,
         "integrations[a].tls_settings.reject_unauthorized"),
        (hosted({**A, "tls_settings": {"ca_cert": "mine"}}), 0, "integrations[a].tls_settings.reject_unauthorized"),
        (hosted({**A, "name": "new"}), 0, "integrations[new].auth_data.type"),
        (hosted({**A, "url": "http://evil.example"}, A), 1, "integrations[a].auth_data.type"),
        ({**hosted(A), "base_url": "http://evil.example"}, 0, "base_url"),
        ({**hosted(A), "other": [{"name": "a", "url": "http://evil.example"}]}, 0, "other[a].name"),
        ({**hosted(A), "other": [{"name": "b", "url": "http://evil.example"}]}, 0, "other[b].name"),
    ],
)  # fmt: skip
def test_a_key_of_an_item_goes_by_what_is_in_the_item_and_around_the_list(after, index, what):
    assert moved(SELF_HOSTED, hosted(A, B), after, "integrations", index, "auth_data", "bearer_token") == what


def test_items_without_a_name_are_known_by_their_place():
    before = {"more": [{"key": "kept", "url": "x"}]}
    after = {"more": [{"url": "y"}, {"key": "kept", "url": "x"}]}

    assert moved(SlackAccount, before, {"more": [{"key": "kept", "url": "x"}, {"url": "y"}]}, "more", 0, "key") is None
    assert moved(SlackAccount, before, after, "more", 1, "key") == "more[1].url"
