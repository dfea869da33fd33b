"""The provider for Google: the Gemini API, and Vertex AI with the models of its other publishers."""

from collections.abc import Callable, Collection, Iterable, Mapping
from secrets import token_hex
from typing import Any

import msgspec

from gateway.contract import Call, Endpoint, Head, JsonBody, Reading, Signer, Target, Translator, UpstreamRequest
from gateway.errors import BadRequest, Refused
from gateway.manifests.accounts import ProviderAccount
from gateway.providers.openai_compatible import OpenAICompatible, Settings, Vendor, any_model_of
from gateway.translators import HUB, translator
from gateway.translators.gemini.embeddings import ToEmbeddings as FromGemini
from gateway.translators.images import DIALECTS as IMAGES
from gateway.translators.joined import Joined
from gateway.wire.address import below, path_of
from gateway.wire.anthropic import with_betas
from gateway.wire.inlined import inlined
from gateway.wire.native import GEMINI, native_path
from gateway_google import native, verbatim
from gateway_google.accounts import GeminiAccount, VertexAccount
from gateway_google.addresses import Address, gemini, vertex
from gateway_google.embeddings import Api, ToEmbeddings
from gateway_google.pictures import ToPictures
from gateway_google.ranking import ToRanking
from gateway_google.refusal import status_of, waits_of
from gateway_google.translator import ToGemini

ANTHROPIC_VERSION = "vertex-2023-10-16"

MODELS = "/models?pageSize=1000"
"""As many as there may be on a page."""

_METHODS: Mapping[str, str] = {
    "requests": "batchEmbedContents",
    "content": "embedContent",
    "instances": "predict",
}
"""Field of a body -> what it is for."""
_JSON = {"content-type": "application/json"}
# What Mistral refuses, it refuses on Vertex AI as well: see `provider-account/mistral-ai` in the gateway's catalog.
_MISTRAL = Vendor(
    paths={"chat": ""},
    rejects=frozenset(
        {"logit_bias", "logprobs", "service_tier", "store", "stream_options", "top_logprobs", "user", "verbosity"}
    ),
    renames={"max_completion_tokens": "max_tokens", "seed": "random_seed"},
    asks_for_usage=False,
)
_OPEN_MODELS = Vendor(paths={"chat": "/chat/completions"})
_encode = msgspec.json.encode


class Listed(msgspec.Struct):
    name: str


class ModelList(msgspec.Struct):
    """Source: ai.google.dev/api/models, read 2026-11."""

    models: list[Listed] = []


class GoogleSettings(Settings, frozen=True):
    """
    Args:
        endpoints: by method, or for OpenAI's API by dialect.
        format: what is spoken there.
        passes_embeddings_on: callers of the Gemini API get the embeddings of that; on Vertex AI it has other words.
        betas: `anthropic_betas` of the account.
    """

    format: str = "gemini"
    embeddings: Translator | None = None
    passes_embeddings_on: bool = False
    pictures: ToPictures | None = None
    betas: tuple[str, ...] = ()


class Google(OpenAICompatible):
    """
    Args:
        translators: (dialect, format) -> the one between them, for what this plugin does not translate itself. Claude's
            is that into `anthropic-vertex`: Anthropic's API as Vertex AI has it.
        tokens: how access tokens are fetched, as by `tokens_for`; None: by that.
    """

    accounts: Mapping[str, Any] = {
        "provider-account/google-gemini": GeminiAccount,
        "provider-account/google-vertex": VertexAccount,
    }

    def __init__(
        self,
        *,
        translators: Callable[[str, str], Translator | None] = translator,
        tokens: Callable[..., Signer] | None = None,
    ) -> None:
        self._translators = translators
        self._tokens = tokens
        self._chat: Translator = ToGemini()
        self._ranking: Translator = ToRanking()

    def accounts_for(self, variables: Collection[str]) -> Iterable[dict[str, Any]]:
        if "GEMINI_API_KEY" in variables:
            types = ("chat", "embedding", "image")
            yield any_model_of("provider-account/google-gemini", {"apiKey": "${GEMINI_API_KEY}"}, types)

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        if isinstance(account, GeminiAccount):
            yield from self._of_gemini(account)
        elif isinstance(account, VertexAccount):
            yield from self._of_vertex(account)

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        settings: GoogleSettings = target.settings
        if settings.models is not None:  # any model of the account, whose addresses follow from the name
            settings = _settings_for(target.model, settings)
            target = msgspec.structs.replace(target, settings=settings)
        if call.dialect.name == GEMINI:
            return native.request(call, target)
        if settings.format == "gemini" and _is_passed_on(call.dialect.name, settings):
            return verbatim.request(call, target)
        if call.dialect.name in IMAGES and settings.pictures is not None:
            made, dropped = settings.pictures.request(call, target.model)
            length, document = inlined(made, token_hex(16))
            return UpstreamRequest(_endpoint_for(call, settings, made), document, dropped, length)
        through = self._translator(call, target)
        if through is None:
            return self._as_it_is(call, target)
        if settings.betas and settings.format == "anthropic":
            call = with_betas(call, settings.betas)
        body = through.request(call, target.model)
        assert isinstance(body, JsonBody)
        return UpstreamRequest(_endpoint_for(call, settings, body.fields), _encode(body.fields), body.dropped_params)

    def reading(self, call: Call, target: Target, head: Head) -> Reading | None:
        if call.dialect.name == GEMINI:
            return native.NativeReading(head, is_free=native_path(call).is_free)
        settings: GoogleSettings = target.settings
        if call.dialect.name in IMAGES and settings.pictures is not None:
            return settings.pictures.reading(target.model)
        through = self._translator(call, target)
        return through.reading(call, head) if through is not None else super().reading(call, target, head)

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        status = status_of(body)
        if status.is_bad_key:  # which is told as a 400
            head = msgspec.structs.replace(head, status=401)
        refused = super().refusal(call, target, head, body)
        if call.dialect.name != GEMINI and (call.dialect.name in IMAGES or self._translator(call, target) is not None):
            refused.body = None  # in another API's words
            if refused.code == Refused.code and status.name:
                refused.code = status.name
        if not any(name.lower() == "retry-after" for name in refused.headers):
            refused.headers = {**refused.headers, **waits_of(status)}
        return refused

    def listed(self, target: Target, body: bytes) -> Iterable[str]:
        try:
            found = msgspec.json.decode(body, type=ModelList).models
        except msgspec.DecodeError as error:
            raise ValueError(f"the provider's list of models cannot be read: {error}") from error
        return [model.name.removeprefix("models/") for model in found]

    def _of_gemini(self, account: GeminiAccount) -> Iterable[Target]:
        headers = {**_JSON, "x-goog-api-key": account.auth_data.api_key.reveal()}
        for model in account.integrations:
            address = gemini(account.base_url, model.model_id)
            target = self._target(account, model, address, headers, api="gemini")
            if model.name == "*":
                models = Endpoint(below(account.base_url, MODELS), headers, method="GET")
                settings = msgspec.structs.replace(target.settings, models=models)
                target = msgspec.structs.replace(target, settings=settings)
            yield target

    def _of_vertex(self, account: VertexAccount) -> Iterable[Target]:
        # google-auth takes a third of a second to load, and most gateways have no such account.
        from gateway_google.credentials import quota_project_of, tokens_for

        tokens = self._tokens or tokens_for
        quota = quota_project_of(account.auth_data)
        headers = _JSON if quota is None else {**_JSON, "x-goog-user-project": quota}
        signer: Signer | None = None  # one for all its models
        for model in account.integrations:
            region = model.region or account.region
            address = vertex(model.model_id, account.project_id, region, account.base_url)
            signer = signer or tokens(address.base, account.auth_data)
            api: Api = "vertex" if "gemini" in address.model else "predict"
            yield self._target(account, model, address, headers, api=api, signer=signer)

    def _target(
        self,
        account: ProviderAccount,
        model: Any,
        address: Address,
        headers: Mapping[str, str],
        *,
        api: Api,
        signer: Signer | None = None,
    ) -> Target:
        vendor = {"mistral": _MISTRAL, "openai": _OPEN_MODELS}.get(address.format, Vendor())
        return Target(
            name=f"{account.name}/{model.name}",
            model=address.model,
            model_types=frozenset(model.model_types),
            provider=self,
            signer=signer,
            settings=GoogleSettings(
                {name: Endpoint(url, headers) for name, url in _urls(address).items()},
                vendor,
                asks_for_usage=account.asks_for_usage and address.format == "openai",
                format=address.format,
                embeddings=ToEmbeddings(api),
                passes_embeddings_on=api == "gemini",
                betas=account.anthropic_betas if isinstance(account, VertexAccount) else (),
                pictures=ToPictures(is_vertex=api != "gemini") if address.format == "gemini" else None,
            ),
        )

    def _translator(self, call: Call, target: Target) -> Translator | None:
        """None: the caller's own API is spoken there.

        Raises:
            BadRequest: there is no way from one to the other.
        """
        settings: GoogleSettings = target.settings
        dialect, spoken = call.dialect.name, settings.format
        if spoken in (dialect, "openai", "mistral") or _is_passed_on(dialect, settings):
            return None
        if spoken == "gemini" and dialect == verbatim.EMBED and settings.embeddings is not None:
            return Joined(FromGemini(keeps_task=True), settings.embeddings)
        if spoken == "ranking":
            if dialect != self._ranking.dialect:
                raise BadRequest(f"{target.name} ranks documents, and does nothing else: use /rerank", param="model")
            return self._ranking
        if spoken == "gemini" and dialect == "embeddings":
            return settings.embeddings
        if spoken == "gemini" and dialect == HUB:
            return self._chat
        found: Translator | None
        if spoken == "gemini":
            first = self._translators(dialect, HUB)
            found = Joined(first, self._chat) if first is not None else None
        else:
            found = self._translators(dialect, f"{spoken}-vertex")
        if found is None:
            message = f"{target.name} speaks the API of {spoken}, and no plugin that is installed translates into it"
            raise BadRequest(f"{message} from that for {dialect}", param="model")
        return found

    def _as_it_is(self, call: Call, target: Target) -> UpstreamRequest:
        settings: GoogleSettings = target.settings
        if settings.format == "anthropic":
            fields: dict[str, Any] = {name: raw for name, raw in call.fields.items() if name != "model"}
            fields.setdefault("anthropic_version", ANTHROPIC_VERSION)
            return UpstreamRequest(_endpoint_for(call, settings, fields), _encode(fields))
        request = super().request(call, target)
        if settings.format == "mistral":
            return msgspec.structs.replace(request, endpoint=_endpoint_for(call, settings, call.fields))
        return request


def _is_passed_on(dialect: str, settings: GoogleSettings) -> bool:
    """Whether callers speak the API of the target themselves."""
    is_one = dialect in (verbatim.GENERATE, verbatim.COUNT) or (
        dialect == verbatim.EMBED and settings.passes_embeddings_on
    )
    return is_one and settings.format == "gemini"


def _settings_for(model: str, settings: GoogleSettings) -> GoogleSettings:
    """Raises BadRequest: a name that would lead elsewhere."""
    assert settings.models is not None
    urls = _urls(gemini("", model))
    base = path_of(settings.models.url).removesuffix(path_of(MODELS))
    try:
        endpoints = {name: settings.models.at(f"{base}{path}", method="POST") for name, path in urls.items()}
    except ValueError as error:
        raise BadRequest(f"{model[:200]!r} is no name of a model: {error}", param="model") from error
    return msgspec.structs.replace(settings, endpoints=endpoints)


def _urls(address: Address) -> dict[str, str]:
    match address.format:
        case "ranking":
            return {"generate": f"{address.base}:rank"}
        case "openai":
            return {"chat": f"{address.base}/chat/completions"}
        case "anthropic" | "mistral":
            return {
                "chat": f"{address.base}:rawPredict",
                "generate": f"{address.base}:rawPredict",
                "stream": f"{address.base}:streamRawPredict",
            }
    return {
        **dict.fromkeys(
            ("generate", verbatim.GENERATE, verbatim.COUNT, verbatim.EMBED), f"{address.base}:generateContent"
        ),
        "stream": f"{address.base}:streamGenerateContent?alt=sse",
        **{method: f"{address.base}:{method}" for method in _METHODS.values()},
    }


def _endpoint_for(call: Call, settings: GoogleSettings, fields: Mapping[str, Any]) -> Endpoint:
    embedding = next((method for name, method in _METHODS.items() if name in fields), None)
    if settings.format != "gemini" or embedding is None:
        return settings.endpoints["stream" if call.ask.stream else "generate"]
    return settings.endpoints[embedding]
