"""Manifests of guardrails: which there are, and which requests have to pass them.

Source: types of truefoundry-sdk 0.6.0, as restated in section 1.9 of the project's compatibility notes.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, Union

import msgspec
from msgspec import Meta

from gateway.manifests.accounts import AccountName, Collaborator, ModelName, Owner, Text
from gateway.manifests.guardrail_kinds import KINDS, CustomConfig, Open, PluginConfig
from gateway.manifests.scopes import Selection, refuse_twice
from gateway.secrecy.secret import SecretText

EnforcingStrategy: TypeAlias = Literal["enforce", "enforce_but_ignore_on_error", "audit"]
GuardrailSelector: TypeAlias = Text
"""`<group>/<name>`"""

KIND = "integration/guardrail-config/"
_CREDENTIALS: Mapping[str, tuple[frozenset[str], ...]] = MappingProxyType(
    {
        "aws-bedrock": (frozenset({"api_key"}), frozenset({"access_key_id", "secret_access_key"})),
        "google-model-armor": (frozenset({"api_key"}), frozenset({"key_file_content"})),
    }
)
"""Kinds that are asked by the gateway's own identity unless all of one of these stand in `auth_data`."""

# --- guardrails --------------------------------------------------------------


class GuardrailIntegration(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all have. The lowest `priority` comes first."""

    name: ModelName
    description: str | None = None
    operation: Literal["validate", "mutate"] = "validate"
    priority: int = 1
    enforcing_strategy: EnforcingStrategy


class ValueByPattern(msgspec.Struct, frozen=True, kw_only=True, tag_field="constraint", tag="regex"):
    """
    Args:
        constraint: says which kind it is.
        regex: found anywhere in the value: `^` and `$` are for who wants all of it.
    """

    regex: Text


class ValueAmong(msgspec.Struct, frozen=True, kw_only=True, tag_field="constraint", tag="allowed_values"):
    """
    Args:
        constraint: says which kind it is.
        allowed_values: the value has to be one of these.
    """

    allowed_values: Annotated[tuple[str, ...], Meta(min_length=1)]


class MetadataKey(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        required: whether it has to be there.
        value: what it has to be; anything unless given.
    """

    required: bool = True
    value: ValueByPattern | ValueAmong | None = None


class MetadataConfig(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        allow_unknown_keys: whether there may be others than `keys`.
        keys: what is asked of each, by its name.
    """

    allow_unknown_keys: bool = True
    keys: dict[str, MetadataKey] = {}


class MetadataIntegration(GuardrailIntegration, frozen=True, kw_only=True, tag=f"{KIND}tfy-metadata"):
    name: Annotated[
        str,
        Meta(
            pattern=r"^[^\s\x00-\x1f\x7f]+\Z",
            min_length=3,
            max_length=36,
            description="a name of 3 to 36 characters without whitespace",
        ),
    ]
    operation: Literal["validate"] = "validate"
    config: MetadataConfig


class KindIntegration(GuardrailIntegration, frozen=True, kw_only=True):
    """Any other. `auth_data` as it was written; `config` as in `KINDS`."""

    auth_data: dict[str, SecretText] | None = None
    config: Open = None


class CustomIntegration(GuardrailIntegration, frozen=True, kw_only=True, tag=f"{KIND}custom"):
    """
    Args:
        target: whether it looks at requests or at answers.
    """

    target: Literal["request", "response"]
    auth_data: dict[str, SecretText] | None = None
    config: CustomConfig


class PatronusIntegration(KindIntegration, frozen=True, kw_only=True, tag=f"{KIND}patronus"):
    operation: Literal["validate"] = "validate"
    target: Literal["request", "response"] | None = None


def _struct(kind: str) -> type[KindIntegration]:
    config, default, operations = KINDS[kind]
    own: tuple[Any, ...] = ("config", config) if default is None and config is not Open else ("config", config, default)
    operation = ("operation", Literal[operations], "validate")
    fields: Any = [operation, own]
    name = "".join(part.capitalize() for part in kind.split("-")) + "Integration"
    made: type[KindIntegration] = msgspec.defstruct(  # type: ignore[assignment]
        name, fields, bases=(KindIntegration,), frozen=True, kw_only=True, tag=KIND + kind
    )
    return made


if TYPE_CHECKING:
    Integration: TypeAlias = MetadataIntegration | CustomIntegration | KindIntegration
else:
    kinds = (_struct(kind) for kind in KINDS if kind != "patronus")
    Integration = Union[(MetadataIntegration, CustomIntegration, PatronusIntegration, *kinds)]


class GuardrailGroup(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    name: AccountName
    integrations: tuple[Integration, ...]
    collaborators: tuple[Collaborator, ...] | None = None
    owned_by: Owner | None = msgspec.field(default=None, name="ownedBy")

    def __post_init__(self) -> None:
        refuse_twice((integration.name for integration in self.integrations), "as the name of an integration")

    @property
    def own_identity(self) -> frozenset[str]:
        """As that of a `ProviderAccount`."""
        return frozenset(text for each in self.integrations if (text := _own_identity(each)) is not None)


def _own_identity(integration: GuardrailIntegration) -> str | None:
    if not isinstance(integration, KindIntegration):
        return None
    config, auth = integration.config, integration.auth_data or {}
    kind = str(integration.__struct_config__.tag).removeprefix(KIND)
    kind = config.plugin if isinstance(config, PluginConfig) else kind
    if kind not in _CREDENTIALS or any(names <= auth.keys() for names in _CREDENTIALS[kind]):
        return None
    return f"{kind} { ({name: auth[name].reveal() for name in sorted(auth)}) }"


# --- rules -------------------------------------------------------------------


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        condition: whether it has to be one of `values`, or none of them.
        values: their names; `*` is all.
    """

    condition: Literal["in", "not_in"]
    values: tuple[str, ...]


class ToolsOfServer(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        name: of the server.
        enable_all_tools: all of its tools, whatever `enabled_tools` says.
        enabled_tools: by their names.
    """

    name: Text
    enable_all_tools: bool = False
    enabled_tools: tuple[str, ...] = ()


class ToolCondition(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        condition: whether it has to be one of `values`, or none of them.
        values: servers, and which of their tools.
    """

    condition: Literal["in", "not_in"]
    values: tuple[ToolsOfServer, ...]


class TargetConditions(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A rule is about what it names here, and about nothing else.

    Args:
        model: as `account/model`.
        mcpServers: kept for when tools are called through the gateway.
        mcpTools: kept for when tools are called through the gateway.
    """

    model: Condition | None = None
    mcp_servers: Condition | None = None
    mcp_tools: ToolCondition | None = None


class TargetWhen(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        operator: one of the conditions has to fit.
        conditions: what is asked.
    """

    operator: Literal["or"] = "or"
    conditions: TargetConditions = TargetConditions()


class SubjectsWhen(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        operator: whether `in` and `not_in` both have to fit, or one of them.
        conditions: who asks.
    """

    operator: Literal["and", "or"] = "and"
    conditions: Selection = Selection()


class GuardWhen(msgspec.Struct, frozen=True, kw_only=True):
    """All that is given has to fit. Metadata has to have these values."""

    target: TargetWhen = TargetWhen()
    subjects: SubjectsWhen = SubjectsWhen()
    metadata: dict[str, str] = {}


class GuardrailsRule(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        llm_input_guardrails: for what is asked, as `group/name`.
        llm_output_guardrails: for what is answered, as `group/name`.
        mcp_tool_pre_invoke_guardrails: for what tools are given, as `group/name`.
        mcp_tool_post_invoke_guardrails: for what tools say, as `group/name`.
        custom_error_message: what is said of a refusal; `{{guardrail_message}}` and `{{failed_guardrails}}` are filled
            in.
    """

    id: Text
    when: GuardWhen
    llm_input_guardrails: tuple[GuardrailSelector, ...]
    llm_output_guardrails: tuple[GuardrailSelector, ...]
    mcp_tool_pre_invoke_guardrails: tuple[GuardrailSelector, ...]
    mcp_tool_post_invoke_guardrails: tuple[GuardrailSelector, ...]
    custom_error_message: Text | None = None


class GuardrailsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All rules that fit count."""

    type: str
    name: str | None = None
    rules: tuple[GuardrailsRule, ...]

    def __post_init__(self) -> None:
        refuse_twice((rule.id for rule in self.rules), "as the id of a rule")


class GuardrailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        timeout_ms: milliseconds that each guardrail has.
        enable_parallel_execution: a model may be asked while guardrails that only look at the request, and ask somebody
            else, are waited for; nothing of its answer goes out before they have answered.
    """

    timeout_ms: Annotated[int, Meta(ge=1)] = 5000
    enable_parallel_execution: bool = True
