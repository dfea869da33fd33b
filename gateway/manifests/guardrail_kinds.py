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


class Config(msgspec.Struct, frozen=True, kw_only=True):
    pass


class PiiConfig(Config, frozen=True, kw_only=True):
    """`*`: all."""

    pii_categories: tuple[str, ...] = ("*",)


class SecretsConfig(Config, frozen=True, kw_only=True):
    redaction_text: str = "[REDACTED]"


class PresetPatterns(Config, frozen=True, kw_only=True):
    presets: tuple[str, ...] = ()


class UserPattern(Config, frozen=True, kw_only=True):
    pattern: Text
    redaction_text: str = "[REDACTED]"


class RegexConfig(Config, frozen=True, kw_only=True):
    preset_patterns: PresetPatterns = PresetPatterns()
    custom_patterns: tuple[UserPattern, ...] = ()


class WordListConfig(Config, frozen=True, kw_only=True):
    """`*` at the end of a word: however it ends."""

    words: Words
    redaction_text: str = "[REDACTED]"


class ModerationConfig(Config, frozen=True, kw_only=True):
    """`model`: who judges; one that is declared as `moderation`. TrueFoundry has one of its own instead."""

    severity_threshold: Severity = 2
    categories: tuple[Literal["Hate", "SelfHarm", "Sexual", "Violence"], ...] = (
        "Hate",
        "SelfHarm",
        "Sexual",
        "Violence",
    )
    model: ModelRef | None = None


class InjectionConfig(Config, frozen=True, kw_only=True):
    """`threshold`: the score from which on a text is taken for an attack."""

    threshold: Annotated[float, Meta(gt=0)] = 1.0


class SqlConfig(Config, frozen=True, kw_only=True):
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
    policy: Text


class OpaConfig(Config, frozen=True, kw_only=True):
    opa_url: Url
    policy_path: Text


class CustomConfig(Config, frozen=True, kw_only=True):
    """`status_is_verdict`: as before May 2026, any status but 2xx is a refusal."""

    url: Url
    status_is_verdict: bool = False
    headers: Annotated[dict[str, Secret], Mark.HEADERS] | None = None
    config: Any = None


class OpenAiModerationsConfig(Config, frozen=True, kw_only=True):
    model: Text = "omni-moderation-latest"
    base_url: Url = "https://api.openai.com/v1"
    category_thresholds: dict[str, float] = {}


class BedrockConfig(Config, frozen=True, kw_only=True):
    guardrail_id: Text
    guardrail_version: Text
    region: Label


class AzureConfig(Config, frozen=True, kw_only=True):
    resource_name: Label | None = None
    custom_host: Url | None = None
    api_version: Text = "2024-09-01"


class AzureSafetyConfig(AzureConfig, frozen=True, kw_only=True):
    blocklist_names: tuple[str, ...] = ()
    severity_threshold: Severity = 2
    categories: tuple[Literal["Hate", "SelfHarm", "Sexual", "Violence"], ...] = (
        "Hate",
        "SelfHarm",
        "Sexual",
        "Violence",
    )


class AzurePiiConfig(AzureConfig, frozen=True, kw_only=True):
    api_version: Text = "2024-11-01"
    domain: Literal["none", "phi"] = "none"
    pii_categories: tuple[str, ...] = ()
    model_version: Text = "latest"
    language: Text = "en"


class ModelArmorConfig(Config, frozen=True, kw_only=True):
    project_id: Text
    location: Label
    template_id: Text


class BaseUrlConfig(Config, frozen=True, kw_only=True):
    """Of vendors: what else is said is passed on as it is, or not at all."""

    base_url: Url | None = None


class JudgeConfig(Config, frozen=True, kw_only=True):
    """`policy`: what must not be, in words."""

    model: ModelRef
    policy: Text


class SchemaConfig(Config, frozen=True, kw_only=True):
    """`json_schema`: what each answer has to keep to."""

    json_schema: dict[str, Any]


class PluginConfig(Config, frozen=True, kw_only=True):
    """`plugin`: the name of an entry point in the group `gateway.guardrails`."""

    plugin: Text
    config: Any = None


BOTH, VALIDATE = ("validate", "mutate"), ("validate",)
KINDS: dict[str, tuple[Any, Any, tuple[str, ...]]] = {
    "tfy-pii": (PiiConfig, PiiConfig(), BOTH),
    "tfy-content-moderation": (ModerationConfig, ModerationConfig(), VALIDATE),
    "tfy-prompt-injection": (InjectionConfig, InjectionConfig(), VALIDATE),
    "secret-detection": (SecretsConfig, SecretsConfig(), BOTH),
    "regex": (RegexConfig, RegexConfig(), BOTH),
    "word-list": (WordListConfig, None, BOTH),
    "sql-sanitizer": (SqlConfig, SqlConfig(), BOTH),
    "code-safety-linter": (Any, None, VALIDATE),
    "json-schema": (SchemaConfig, None, VALIDATE),
    "llm-judge": (JudgeConfig, None, VALIDATE),
    "patronus": (Any, None, VALIDATE),
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
        (Any, None, VALIDATE),
    ),
    **dict.fromkeys(("calypsoai", "crowdstrike-aidr", "enkrypt-ai", "noma-security", "trojai"), (Any, None, BOTH)),
}
"""Last part of the type -> what its `config` is read into, what that is if nothing is written (None: it has to be), and
which operations it has. `custom` and `tfy-metadata` have more fields than these."""
