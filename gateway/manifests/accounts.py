"""Provider accounts: what they have in common, and those which speak OpenAI's API without code of their own.

Source: types of truefoundry-sdk 0.6.0, as restated in section 1.1 and 1.2 of the project's compatibility notes.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.manifests.costs import Cost
from gateway.manifests.marks import Mark
from gateway.secrecy.secret import Secret, SecretText
from gateway.wire.pass_through import PATH, kept_back

AccountName = Annotated[str, Meta(pattern=r"^[^\s\x00-\x1f\x7f/]+\Z", description="a name without whitespace and /")]
ModelName = Annotated[str, Meta(pattern=r"^[^\s\x00-\x1f\x7f]+\Z", description="a name without whitespace")]
"""May hold slashes: the first one of `account/model` ends the account."""
Text = Annotated[str, Meta(pattern=r"\S", description="text, and not empty")]
Url = Annotated[
    str, Meta(pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/]\S*\Z", description="an http or https URL"), Mark.URL
]
ModelType = Literal[
    "chat",
    "completion",
    "embedding",
    "realtime",
    "rerank",
    "audio_transcription",
    "audio_translation",
    "text_to_speech",
    "moderation",
    "image",
    "responses",
    "ocr",
]


class Collaborator(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    Args:
        subject: who, as in `user:ana@example.com` or `team:everyone`.
        role_id: `provider-account-access` to use it, `provider-account-manager` to manage it, or a role of your own.
    """

    subject: str
    role_id: str


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    account: str


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        reject_unauthorized: whether the certificate of the other end is checked.
        ca_cert: an authority to be trusted besides, as PEM text.
    """

    reject_unauthorized: bool = True
    ca_cert: str | None = None


# --- auth_data ---------------------------------------------------------------


class ApiKeyAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="api-key"):
    api_key: Secret


class BasicAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="basic-auth"):
    """Both are encoded before they are sent (RFC 7617)."""

    username: SecretText
    password: SecretText


class BearerAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="bearer-auth"):
    bearer_token: Secret


class PatAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="pat-token"):
    """A programmatic access token."""

    pat_token: Secret


class ServicePrincipalAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="service-principal"):
    client_id: Secret
    oauth_secret: Secret


class OllamaHost(msgspec.Struct, frozen=True, kw_only=True):
    """
    Args:
        custom_host: where the server listens, as in `http://host:11434`.
    """

    custom_host: Url


# --- models ------------------------------------------------------------------


class Model(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all integrations have.

    Args:
        name: what stands behind the account's name in that of the model; `*` offers all that the vendor has.
        model_types: what it may be asked for.
        cost: None: what calls cost is not known.
        authorized_subjects: None when everybody who may use the account may use it.
    """

    type: Annotated[str, Meta(pattern="^integration/model/", description="integration/model/...")]
    name: ModelName
    model_types: Annotated[tuple[ModelType, ...], Meta(min_length=1)]
    cost: Cost | None = None
    authorized_subjects: tuple[str, ...] | None = None

    @property
    def listed_as(self) -> str:
        """By which lists of prices know it."""
        return self.name


class Integration(Model, frozen=True, kw_only=True):
    """
    Args:
        model_id: the provider's own name for it.
    """

    model_id: Text

    @property
    def listed_as(self) -> str:
        return self.model_id


class SelfHostedModel(Model, frozen=True, kw_only=True):
    """A server somewhere, with its own address and key.

    Args:
        hosted_model_name: its own name for the model.
        url: of its API, as in `https://host/v1`.
        headers: sent with each request.
        tfy_application_id: kept, and without effect.
        model_server: which server it is; whatever speaks OpenAI's API is `openai-compatible`.
    """

    hosted_model_name: Text
    url: Url
    model_server: Literal["openai-compatible", "vllm-openai", "tei", "infinity", "cohere-rerank-v2", "nemo-retriever"]
    auth_data: BasicAuth | BearerAuth | None = None
    headers: Annotated[dict[str, Secret], Mark.HEADERS] | None = None
    tls_settings: TlsSettings | None = None
    tfy_application_id: str | None = None

    @property
    def listed_as(self) -> str:
        return self.hosted_model_name


# --- accounts ----------------------------------------------------------------


class Concurrency(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests an account takes at once. More of them wait, and are refused when too many do, or too long.

    Args:
        max_requests: how many it takes at once.
        max_queued: how many may wait; more are refused.
        queue_timeout_ms: for how long one waits before it is refused, in milliseconds.
    """

    max_requests: Annotated[int, Meta(ge=1)]
    max_queued: Annotated[int, Meta(ge=0)] = 100
    queue_timeout_ms: Annotated[int, Meta(ge=1)] = 1000


class ProviderAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What all accounts have.

    Args:
        name: stands in front of its models' names: `account/model`.
        integrations: its models.
        collaborators: who may use or manage it.
        ownedBy: kept, and without effect.
        concurrency: how many requests it takes at once; None: any number.
        discount_percent: taken off the list price.
        asks_for_usage: of streams whose callers do not, by `stream_options.include_usage`; for servers that refuse it.
    """

    type: str
    name: AccountName
    integrations: tuple[Model, ...]
    collaborators: tuple[Collaborator, ...] | None = None
    owned_by: Owner | None = msgspec.field(default=None, name="ownedBy")
    discount_percent: Annotated[float, Meta(ge=0, le=100)] | None = None
    concurrency: Concurrency | None = None
    asks_for_usage: bool = True

    def __post_init__(self) -> None:
        names = [model.name for model in self.integrations]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"integrations with the same name: {', '.join(twice)}")

    @property
    def own_identity(self) -> frozenset[str]:
        """What it uses of that by which a vendor knows the gateway itself, such as the role of its machine: that is the
        operator's, who pays for it. Empty: nothing, for it has credentials of its own."""
        return frozenset()


class KeyAccount(ProviderAccount, frozen=True, kw_only=True):
    """A vendor of whom nothing but the key has to be known."""

    integrations: tuple[Integration, ...]
    auth_data: ApiKeyAuth


class PassedPath(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that are passed on as they are. What they read and make at the account is shared by all who may use it.

    Args:
        path: below the account's address, as in `/vector_stores`; what lies below it is passed on as well.
        methods: all unless given.
    """

    path: Annotated[str, Meta(pattern=rf"^{PATH.pattern}\Z", description="a path such as /vector_stores")]
    methods: tuple[Literal["GET", "POST", "PUT", "PATCH", "DELETE"], ...] = ("GET", "POST", "PUT", "PATCH", "DELETE")

    def __post_init__(self) -> None:
        if self.path.startswith("/v1/"):
            raise ValueError("path: leave out /v1: it is the account's address that ends in it")
        if why := kept_back(self.path):
            raise ValueError(f"path: {why}")


class CompatibleAccount(ProviderAccount, frozen=True, kw_only=True):
    """What accounts have that speak OpenAI's API.

    Args:
        pass_through: APIs that the gateway does not know, and passes on at `/openai/<account>/proxy/...`; none unless
            given.
    """

    pass_through: tuple[PassedPath, ...] = ()


class VendorAccount(CompatibleAccount, frozen=True, kw_only=True):
    """One of whom nothing but the key has to be known."""

    integrations: tuple[Integration, ...]
    auth_data: ApiKeyAuth


class KeyOnlyAccount(VendorAccount, frozen=True, kw_only=True):
    """The same; the list of models may be left out."""

    integrations: tuple[Integration, ...] = ()


class OpenAIAccount(CompatibleAccount, frozen=True, kw_only=True):
    """
    Args:
        base_url: of another server that speaks this API; OpenAI's own unless given.
    """

    integrations: tuple[Integration, ...]
    auth_data: ApiKeyAuth | None = None
    base_url: Url | None = None


class OllamaAccount(CompatibleAccount, frozen=True, kw_only=True):
    integrations: tuple[Integration, ...]
    auth_data: OllamaHost


class WaferAccount(KeyOnlyAccount, frozen=True, kw_only=True):
    """
    Args:
        base_url: of its API.
        zero_data_retention: sends `Wafer-ZDR: required`.
    """

    base_url: Url = "https://pass.wafer.ai/v1"
    zero_data_retention: bool = True


class DatabricksAccount(CompatibleAccount, frozen=True, kw_only=True):
    """
    Args:
        base_url: of the workspace, as in `https://adb-1234.azuredatabricks.net`.
    """

    integrations: tuple[Integration, ...]
    base_url: Url
    auth_data: ServicePrincipalAuth | ApiKeyAuth


class SnowflakeAccount(CompatibleAccount, frozen=True, kw_only=True):
    """
    Args:
        account_identifier: what the address begins with, as in `orgname-accountname`.
    """

    integrations: tuple[Integration, ...]
    account_identifier: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", description="an identifier such as orgname-accountname")
    ]
    auth_data: PatAuth

    @property
    def base_url(self) -> str:
        return f"https://{self.account_identifier}.snowflakecomputing.com/api/v2/cortex/v1"


class SelfHostedAccount(CompatibleAccount, frozen=True, kw_only=True):
    integrations: tuple[SelfHostedModel, ...]
