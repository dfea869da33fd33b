"""The guardrails that a manifest may register, and what each is told.

Source: types of truefoundry-sdk 0.6.0, as restated in section 1.9 of the project's compatibility notes. `llm-judge`,
`json-schema`, `word-list` and `plugin` are this project's own.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.manifests.accounts import Text, Url
from gateway.manifests.marks import Mark
from gateway.secrecy.secret import Secret

Words = Annotated[tuple[Text, ...], Meta(min_length=1)]
ModelRef = Annotated[str, Meta(pattern=r"\S", description="the name of a model"), Mark.MODEL]
Label = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]+\Z", description="letters, digits and hyphens")]
"""Of what becomes a part of a host's name."""
Severity = Annotated[int, Meta(ge=0, le=6)]
Open = Annotated[Any, Mark.OPEN]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    pass


class PiiConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        pii_categories: which kinds are looked for; `*` is all.
    """

    pii_categories: tuple[str, ...] = ("*",)


class SecretsConfig(Config, frozen=True, kw_only=True):
    redaction_text: str = "[REDACTED]"


class PresetPatterns(Config, frozen=True, kw_only=True):
    """
    Args:
        presets: patterns that come with the gateway, by their names.
    """

    presets: tuple[str, ...] = ()


class UserPattern(Config, frozen=True, kw_only=True):
    """
    Args:
        pattern: as RE2 reads it.
    """

    pattern: Text
    redaction_text: str = "[REDACTED]"


class RegexConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        preset_patterns: patterns that come with the gateway.
        custom_patterns: patterns of your own.
    """

    preset_patterns: PresetPatterns = PresetPatterns()
    custom_patterns: tuple[UserPattern, ...] = ()


class WordListConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        words: words and phrases; `*` at the end of a word: however it ends.
    """

    words: Words
    redaction_text: str = "[REDACTED]"


class ModerationConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        model: who judges, as `account/model`: one that is declared as `moderation`. TrueFoundry has one of its own
            instead.
    """

    severity_threshold: Severity = 2
    categories: tuple[Literal["Hate", "SelfHarm", "Sexual", "Violence"], ...] = (
        "Hate",
        "SelfHarm",
        "Sexual",
        "Violence",
    )
    model: ModelRef | None = None


class InjectionConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        threshold: the score from which on a text is taken for an attack.
    """

    threshold: Annotated[float, Meta(gt=0)] = 1.0


class SqlConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        block_drop: stops `DROP`.
        block_truncate: stops `TRUNCATE`.
        block_alter: stops `ALTER`.
        block_grant: stops `GRANT`.
        block_revoke: stops `REVOKE`.
        strip_comments: takes comments out, with `operation: mutate`.
        block_delete_without_where: stops a `DELETE` of all rows.
        block_update_without_where: stops an `UPDATE` of all rows.
        require_parameterization: stops values that are no parameters, as in `= 'x'`.
    """

    block_drop: bool = True
    block_truncate: bool = True
    block_alter: bool = True
    block_grant: bool = True
    block_revoke: bool = True
    strip_comments: bool = True
    block_delete_without_where: bool = True
    block_update_without_where: bool = True
    require_parameterization: bool = False


class CedarConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        policy: who may use which tool, in the language of Cedar. What nothing permits is refused.
    """

    policy: Text


class OpaConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        opa_url: where Open Policy Agent listens.
        policy_path: of the rule to ask, below `/v1/data/`.
    """

    opa_url: Url
    policy_path: Text


class CustomConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        url: of your service.
        status_is_verdict: any status but 2xx is a refusal, as before May 2026.
        config: passed on to the service as it is.
    """

    url: Url
    status_is_verdict: bool = False
    headers: Annotated[dict[str, Secret], Mark.HEADERS] | None = None
    config: Any = None


class OpenAiModerationsConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        model: of OpenAI's.
        base_url: of OpenAI's API, or one like it.
        category_thresholds: scores from 0 to 1, from which on a category counts; one that is not here counts if OpenAI
            flags it.
    """

    model: Text = "omni-moderation-latest"
    base_url: Url = "https://api.openai.com/v1"
    category_thresholds: dict[str, float] = {}


class BedrockConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        guardrail_id: of the guardrail at AWS.
        guardrail_version: its version there, or `DRAFT`.
        region: of AWS, as in `eu-central-1`.
    """

    guardrail_id: Text
    guardrail_version: Text
    region: Label


class AzureConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        resource_name: what the address begins with.
        custom_host: the address, in the place of `resource_name`.
        api_version: of Azure's API.
    """

    resource_name: Label | None = None
    custom_host: Url | None = None
    api_version: Text = "2024-09-01"


class AzureSafetyConfig(AzureConfig, frozen=True, kw_only=True):
    """
    Args:
        blocklist_names: of lists that are kept at Azure.
    """

    blocklist_names: tuple[str, ...] = ()
    severity_threshold: Severity = 2
    categories: tuple[Literal["Hate", "SelfHarm", "Sexual", "Violence"], ...] = (
        "Hate",
        "SelfHarm",
        "Sexual",
        "Violence",
    )


class AzurePiiConfig(AzureConfig, frozen=True, kw_only=True):
    """
    Args:
        domain: `phi`: health data alone.
        pii_categories: by Azure's names; all unless given.
        model_version: of Azure's model.
        language: of the texts, as in `en`.
    """

    api_version: Text = "2024-11-01"
    domain: Literal["none", "phi"] = "none"
    pii_categories: tuple[str, ...] = ()
    model_version: Text = "latest"
    language: Text = "en"


class ModelArmorConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        project_id: of Google Cloud.
        location: of the template, as in `europe-west4`.
        template_id: of the template there.
    """

    project_id: Text
    location: Label
    template_id: Text


class BaseUrlConfig(Config, frozen=True, kw_only=True):
    """Of vendors: what else is said is passed on as it is, or not at all.

    Args:
        base_url: the vendor's address; its usual one unless given.
    """

    base_url: Url | None = None


class JudgeConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        model: who judges, as `account/model`: one that chats.
        policy: what must not be, in words.
    """

    model: ModelRef
    policy: Text


class SchemaConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        json_schema: what each answer has to keep to.
    """

    json_schema: dict[str, Any]


class PluginConfig(Config, frozen=True, kw_only=True):
    """
    Args:
        plugin: the name of an entry point in the group `gateway.guardrails`.
        config: handed to the plugin as it is.
    """

    plugin: Text
    config: Open = None


BOTH, VALIDATE = ("validate", "mutate"), ("validate",)
KINDS: dict[str, tuple[Any, Any, tuple[str, ...]]] = {
    "tfy-pii": (PiiConfig, PiiConfig(), BOTH),
    "tfy-content-moderation": (ModerationConfig, ModerationConfig(), VALIDATE),
    "tfy-prompt-injection": (InjectionConfig, InjectionConfig(), VALIDATE),
    "secret-detection": (SecretsConfig, SecretsConfig(), BOTH),
    "regex": (RegexConfig, RegexConfig(), BOTH),
    "word-list": (WordListConfig, None, BOTH),
    "sql-sanitizer": (SqlConfig, SqlConfig(), BOTH),
    "code-safety-linter": (Open, None, VALIDATE),
    "json-schema": (SchemaConfig, None, VALIDATE),
    "llm-judge": (JudgeConfig, None, VALIDATE),
    "patronus": (Open, None, VALIDATE),
    "cedar": (CedarConfig, None, VALIDATE),
    "opa": (OpaConfig, None, VALIDATE),
    "openai-moderations": (OpenAiModerationsConfig, OpenAiModerationsConfig(), VALIDATE),
    "aws-bedrock": (BedrockConfig, None, BOTH),
    "azure-content-safety": (AzureSafetyConfig, None, VALIDATE),
    "azure-prompt-shield": (AzureConfig, None, VALIDATE),
    "azure-pii": (AzurePiiConfig, None, BOTH),
    "google-model-armor": (ModelArmorConfig, None, BOTH),
    "plugin": (PluginConfig, None, BOTH),
    **dict.fromkeys(
        ("akto", "cisco-ai-defense", "fiddler", "grayswan-cygnal", "palo-alto-prisma-airs"),
        (Open, None, VALIDATE),
    ),
    **dict.fromkeys(("calypsoai", "crowdstrike-aidr", "enkrypt-ai", "noma-security", "trojai"), (Open, None, BOTH)),
}
"""Last part of the type -> what its `config` is read into, what that is if nothing is written (None: it has to be), and
which operations it has. `custom` and `tfy-metadata` have more fields than these."""
