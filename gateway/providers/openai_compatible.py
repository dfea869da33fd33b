"""The provider for every vendor that speaks OpenAI's API."""

import re
from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from secrets import token_hex
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from gateway.contract import (
    Call,
    Endpoint,
    FormBody,
    Head,
    JsonBody,
    Reading,
    Target,
    Tls,
    Translator,
    UpstreamRequest,
)
from gateway.dialects.pass_through import PassedReading
from gateway.errors import BadRequest, Forbidden, Refused, Unauthorized
from gateway.logs import holds_secret, redact_text, redacted
from gateway.manifests.accounts import (
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    DatabricksAccount,
    Model,
    OllamaAccount,
    OpenAIAccount,
    PatAuth,
    ProviderAccount,
    SelfHostedModel,
    ServicePrincipalAuth,
    WaferAccount,
)
from gateway.providers.catalog import OUTSIDE_V1, SERVERS, VENDORS, Vendor, with_responses
from gateway.providers.client_credentials import ClientCredentials
from gateway.providers.credentials import BearerTokens
from gateway.providers.openai_sessions import about_call, handshake, prepared_session
from gateway.providers.rerankers import TRANSLATORS
from gateway.translators import HUB, translator
from gateway.wire.account_apis import CLIENTS_VERSION, account_request
from gateway.wire.address import below, path_of
from gateway.wire.failure import failure_as, failure_of
from gateway.wire.form import upload_to
from gateway.wire.lenient import lenient_json
from gateway.wire.native import query_of
from gateway.wire.openai import StreamReading
from gateway.wire.pass_through import PASS_THROUGH, Passed, passed_request
from gateway.wire.response_items import for_provider
from gateway.wire.responses import COMPACTION, COMPLETION, RESPONSE, RESPONSES, TOKENS
from gateway.wire.session_config import CALL, KEYS

# For plugins: a vendor that needs more than a row.
__all__ = ["OpenAICompatible", "Settings", "Vendor", "with_callers_key"]

PASSED_ON = re.compile(r"retry-after(-ms)?|x-should-retry|(x|anthropic)-ratelimit-[a-z0-9-]+", re.IGNORECASE)
"""Headers of a refusal that are for the caller."""

COMMON_TYPES = ("chat", "completion", "embedding")
"""What most vendors have models for."""

KEPT = frozenset({RESPONSE, COMPLETION})
"""Dialects about what was made before."""
RESPONSE_BODIES = frozenset({RESPONSES, TOKENS, COMPACTION})
"""Dialects whose bodies hold items."""
_NOTHING_OWN: Mapping[str, Translator] = MappingProxyType({})
_INCLUDE_USAGE = msgspec.Raw(b'{"include_usage":true}')
_STREAM_OPTIONS = re.compile(rb"stream_options|include_usage")
_encoder = msgspec.json.Encoder()
_options = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Settings(msgspec.Struct, frozen=True):
    """Of targets at one address: dialect -> where they are called, and what is particular about the vendor.

    Args:
        passes_key_on: the account has no key, so each caller brings one.
        asks_for_usage: of streams whose caller does not.
        models: where the vendor lists its models.
        refuse_stream_options: names of targets that turned out not to know what that is asked with.
        own: dialect -> between it and what its endpoint speaks, where that is another format.
        passed: what is passed on as it is, at the endpoint of that name.
    """

    endpoints: Mapping[str, Endpoint]
    vendor: Vendor
    passes_key_on: bool = False
    asks_for_usage: bool = True
    models: Endpoint | None = None
    refuse_stream_options: set[str] = msgspec.field(default_factory=set)
    own: Mapping[str, Translator] = _NOTHING_OWN
    passed: tuple[Passed, ...] = ()


class Listed(msgspec.Struct):
    id: str


class ModelList(msgspec.Struct):
    """Together sends no object around it."""

    data: list[Listed]


class OpenAICompatible:
    accounts: Mapping[str, Any] = {type_: vendor.account for type_, vendor in VENDORS.items()}

    def accounts_for(self, variables: Collection[str]) -> Iterable[dict[str, Any]]:
        for type_, vendor in VENDORS.items():
            if type_ in self.accounts and vendor.key_variable in variables:
                yield any_model_of(type_, {"api_key": f"${{{vendor.key_variable}}}"}, COMMON_TYPES)

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        vendor = VENDORS[account.type]
        passes_key_on = isinstance(account, OpenAIAccount) and account.auth_data is None
        signer = signer_of(account)
        passed = tuple(Passed(each.path, frozenset(each.methods)) for each in getattr(account, "pass_through", ()))
        known: dict[object, Settings] = {}  # most models of an account share them
        types: dict[tuple[str, ...], frozenset[str]] = {}
        for model in account.integrations:
            base_url, headers, tls = address_of(account, model, vendor)
            server = model.model_server if isinstance(model, SelfHostedModel) else ""
            paths = SERVERS[server] if server else vendor.paths
            if has_responses(account, model, vendor):
                paths = with_responses(paths)
            if passed:
                paths = {**paths, PASS_THROUGH: ""}
            key = (base_url, *headers.items(), tls, server, RESPONSES in paths)
            if key not in known:
                known[key] = Settings(
                    {
                        dialect: Endpoint(_address(base_url, server, dialect, path), headers, tls=tls)
                        for dialect, path in paths.items()
                    },
                    vendor,
                    passes_key_on=passes_key_on,
                    asks_for_usage=account.asks_for_usage,
                    own={each.dialect: each} if (each := TRANSLATORS.get(server)) is not None else _NOTHING_OWN,
                    passed=passed,
                )
            settings = known[key]
            if model.name == "*" and vendor.lists_models and "chat" in paths and not passes_key_on:
                models = Endpoint(below(base_url, "/models"), headers, method="GET", tls=tls)
                settings = msgspec.structs.replace(settings, models=models)
            yield Target(
                name=f"{account.name}/{model.name}",
                model=model.hosted_model_name if isinstance(model, SelfHostedModel) else model.model_id,  # type: ignore[attr-defined]
                model_types=types.setdefault(model.model_types, frozenset(model.model_types)),
                provider=self,
                signer=signer,
                states_cost=vendor.states_cost,
                settings=settings,
            )

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        if call.dialect.name == PASS_THROUGH:
            return self._passed_request(call, target)
        if call.ask.object is not None:
            return self._account_request(call, target)
        settings: Settings = target.settings
        endpoint = settings.endpoints.get(call.dialect.name)
        fields: dict[str, Any] = {**call.fields, "model": target.model}
        dropped: tuple[str, ...] = ()
        if endpoint is not None and call.dialect.name in KEPT:
            return _about_kept(endpoint, call, target)
        if endpoint is None or (settings.own and call.dialect.name in settings.own):
            body = _translator(call, target).request(call, target.model)
            assert isinstance(body, JsonBody)
            endpoint, fields, dropped = endpoint or settings.endpoints[HUB], {**body.fields}, body.dropped_params
        if settings.passes_key_on:
            endpoint = with_callers_key(endpoint, call, target)
        sent = call.request.body
        if call.dialect.name == KEYS:
            return prepared_session(endpoint, call, target)
        if call.dialect.name == CALL:
            return about_call(endpoint, call, target)
        if not isinstance(sent, JsonBody):
            if sent is None:
                return handshake(endpoint, call, target)
            assert isinstance(sent, FormBody)
            return upload_to(endpoint, sent.with_texts({"model": target.model}).parts, token_hex(16))
        vendor = settings.vendor
        if call.dialect.name in RESPONSE_BODIES and call.dialect.name in settings.endpoints:
            dropped += _leave_out_own(fields, target.account)
        elif vendor.rejects or vendor.renames:
            dropped += _adapt(fields, vendor)
        if self._asks_for_usage(call, target):
            fields["stream_options"] = _with_usage(fields.get("stream_options"))
        return UpstreamRequest(endpoint, _encoder.encode(fields), dropped)

    def serves(self, api: str, target: Target) -> bool:
        return api in target.settings.endpoints

    def _passed_request(self, call: Call, target: Target) -> UpstreamRequest:
        settings: Settings = target.settings
        if PASS_THROUGH not in settings.endpoints:
            raise Forbidden(f"the account {target.account} passes nothing on: it has no pass_through")
        endpoint = settings.endpoints[PASS_THROUGH]
        if settings.passes_key_on:
            endpoint = with_callers_key(endpoint, call, target)
        return passed_request(call, endpoint, settings.passed, model=target.model, boundary=token_hex(16))

    def _account_request(self, call: Call, target: Target) -> UpstreamRequest:
        settings: Settings = target.settings
        asked = call.ask.object
        assert asked is not None
        if asked.api not in settings.endpoints:
            raise BadRequest(f"the provider of {target.name} has no API for {asked.api}")
        endpoint = settings.endpoints[asked.api]
        if settings.passes_key_on:
            endpoint = with_callers_key(endpoint, call, target)
        return account_request(call, endpoint, boundary=token_hex(16))

    def reading(self, call: Call, target: Target, head: Head) -> Reading | None:
        if call.dialect.name == PASS_THROUGH and (endpoint := target.settings.endpoints.get(PASS_THROUGH)) is not None:
            return PassedReading(head, secrets=endpoint.secrets())
        if not _is_spoken(call, target):
            return _translator(call, target).reading(call, head)
        return StreamReading(cuts_usage=True) if head.is_stream and self._asks_for_usage(call, target) else None

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        status = head.status
        passed_on = {name: value for name, value in head.headers.items() if PASSED_ON.fullmatch(name)}
        if status < 400:
            return Refused("the provider redirects to another address; name that one in the account", status=502)
        if status == 401:
            message = "the provider does not accept the gateway's credentials; tell whoever runs the gateway"
            if call.provider_key is not None:
                message = "the provider does not accept the key: yours, if the account has none of its own"
            refused = Refused(message, status=401, headers=passed_on, code="upstream_authentication_error")
            if isinstance(target.signer, BearerTokens):
                target.signer.drop()
                refused.is_worth_asking_again = True
            return refused
        said, openai_body = _said(body)
        message = said or f"the provider answered with status {status}"
        refused = Refused(
            message, status=status, body=openai_body if _is_spoken(call, target) else None, headers=passed_on
        )
        if status in (400, 422) and self._asks_for_usage(call, target) and _STREAM_OPTIONS.search(body):
            target.settings.refuse_stream_options.add(target.name)
            refused.is_worth_asking_again = True
        return refused

    def listing(self, target: Target) -> UpstreamRequest | None:
        endpoint = target.settings.models
        return UpstreamRequest(endpoint, b"") if endpoint is not None else None

    def listed(self, target: Target, body: bytes) -> Iterable[str]:
        try:
            said = msgspec.json.decode(body, type=ModelList | list[Listed])
        except msgspec.DecodeError as error:
            raise ValueError(f"the provider's list of models cannot be read: {error}") from error
        return [each.id for each in (said.data if isinstance(said, ModelList) else said)]

    def _asks_for_usage(self, call: Call, target: Target) -> bool:
        settings: Settings = target.settings
        return (
            call.ask.stream
            and not (call.ask.wants_usage and _is_spoken(call, target))  # else the caller has asked for it
            and settings.vendor.asks_for_usage
            and settings.asks_for_usage
            and target.name not in settings.refuse_stream_options
        )


def has_responses(account: ProviderAccount, model: Model, vendor: Vendor) -> bool:
    """Whether the Responses API is spoken with it, and not only chat."""
    is_elsewhere = isinstance(account, OpenAIAccount) and account.base_url is not None
    return "responses" in model.model_types or (
        vendor.has_responses and not is_elsewhere and "chat" in model.model_types
    )


def _about_kept(endpoint: Endpoint, call: Call, target: Target) -> UpstreamRequest:
    """A request about what was made before. The places in its path are filled in as the provider knows them."""
    asked = call.request
    if target.settings.passes_key_on:
        endpoint = with_callers_key(endpoint, call, target)
    url = urlsplit(endpoint.url)
    _, _, below_it = asked.route.partition("{id}")
    path = f"{url.path}/{quote(asked.path_params['id'], safe='')}{below_it}"
    query = "&".join(filter(None, (url.query, query_of(asked, without=CLIENTS_VERSION))))
    method = "GET" if asked.method == "HEAD" else asked.method
    body = asked.body.data if isinstance(asked.body, JsonBody) else b""
    return UpstreamRequest(endpoint.at(f"{path}?{query}" if query else path, method=method), body)


def _leave_out_own(fields: dict[str, Any], account: str) -> tuple[str, ...]:
    try:
        return for_provider(fields, account)
    except RecursionError as error:  # here, further inside, less is too deep than where the body was parsed
        raise BadRequest("the request body is nested too deeply", param="input") from error


def _is_spoken(call: Call, target: Target) -> bool:
    """Whether the provider has the caller's own API."""
    settings: Settings = target.settings
    return call.dialect.name in settings.endpoints and not (settings.own and call.dialect.name in settings.own)


def _translator(call: Call, target: Target) -> Translator:
    """From the caller's API to what its endpoint speaks, or to the provider's chat.

    Raises:
        BadRequest: there is none, or the provider has no chat.
    """
    settings: Settings = target.settings
    dialect = call.dialect.name
    found = settings.own.get(dialect)
    if found is None and HUB in settings.endpoints:
        found = translator(dialect, settings.vendor.format) or translator(dialect, HUB)
    if found is None:
        raise BadRequest(f"the provider of {target.name} has no API for {dialect}", param="model")
    return found


def _address(base_url: str, server: str, dialect: str, path: str) -> str:
    if (server, dialect) in OUTSIDE_V1:
        url, mark, query = base_url.partition("?")
        base_url = url.rstrip("/").removesuffix("/v1") + mark + query
    return below(base_url, path)


def any_model_of(type_: str, auth_data: Mapping[str, str], model_types: Sequence[str]) -> dict[str, Any]:
    """An account that offers all of a vendor's models, under the vendor's own names."""
    name = type_.removeprefix("provider-account/")
    model = {"type": f"integration/model/{name}", "name": "*", "model_id": "*", "model_types": [*model_types]}
    return {"type": type_, "name": name, "auth_data": {"type": "api-key", **auth_data}, "integrations": [model]}


def with_callers_key(endpoint: Endpoint, call: Call, target: Target) -> Endpoint:
    """For an account without a key: the endpoint with the Authorization that the caller sent for the provider.

    Raises:
        Unauthorized: none was sent.
        BadRequest: it can be in no header.
    """
    if call.provider_key is None:
        account = target.account
        raise Unauthorized(
            f"the account {account} has no key: send your own in the Authorization header, after the word "
            "Bearer, and the gateway's token as x-tfy-api-key",
            code="provider_key_missing",
        )
    try:
        return endpoint.with_headers({"authorization": call.provider_key.reveal()})
    except ValueError as error:
        raise BadRequest("the Authorization header holds characters that are not allowed") from error


def address_of(account: ProviderAccount, model: Model, vendor: Vendor) -> tuple[str, dict[str, str], Tls | None]:
    """Base URL, headers and TLS settings under which a model is reached.

    Raises:
        ValueError: the account does not say enough.
    """
    headers = {"content-type": "application/json"}
    if isinstance(model, SelfHostedModel):
        headers |= {name.lower(): value.reveal() for name, value in (model.headers or {}).items()}
        match model.auth_data:
            case BearerAuth(bearer_token=token):
                headers["authorization"] = f"Bearer {token.reveal()}"
            case BasicAuth(username=user, password=password):
                pair = f"{user.reveal()}:{password.reveal()}".encode()
                headers["authorization"] = f"Basic {b64encode(pair).decode()}"
        tls = model.tls_settings
        return model.url, headers, Tls(tls.reject_unauthorized, tls.ca_cert) if tls is not None else None
    match getattr(account, "auth_data", None):
        case ApiKeyAuth(api_key=key) | PatAuth(pat_token=key):
            headers["authorization"] = f"Bearer {key.reveal()}"
    if isinstance(account, WaferAccount) and account.zero_data_retention:
        headers["wafer-zdr"] = "required"
    base_url = getattr(account, "base_url", None) or vendor.base_url
    if isinstance(account, OllamaAccount):
        base_url = account.auth_data.custom_host
    assert base_url is not None
    is_there = path_of(base_url).rstrip("/").endswith(vendor.suffix)
    return below(base_url, "" if is_there else vendor.suffix), headers, None


def signer_of(account: ProviderAccount) -> BearerTokens | None:
    """For an account that has no key, but is given tokens. One for all its models. Raises ValueError, as above.

    Source: "Authorize service principal access to Databricks with OAuth" in docs.databricks.com, and databricks/sdk/
    oauth.py of databricks-sdk-py; read 2026-11.
    """
    if not isinstance(account, DatabricksAccount) or not isinstance(account.auth_data, ServicePrincipalAuth):
        return None
    principal = account.auth_data
    token_url = urljoin(account.base_url, "/oidc/v1/token")  # of the workspace, wherever below it the models are
    return ClientCredentials(token_url, principal.client_id, principal.oauth_secret, scope="all-apis")


def _adapt(fields: dict[str, Any], vendor: Vendor) -> tuple[str, ...]:
    """Leaves out what the vendor rejects, and gives the rest its names for it. Returns what was left out."""
    dropped = tuple(name for name in fields if name in vendor.rejects)
    for name in dropped:
        del fields[name]
    for name, own_name in vendor.renames.items():
        if name in fields:
            fields[own_name] = fields.pop(name)
    return dropped


def _with_usage(options: msgspec.Raw | None) -> Any:
    if options is None or bytes(options) == b"null":
        return _INCLUDE_USAGE
    try:
        given = _options.decode(options)
    except RecursionError as error:  # here, further inside, less is too deep than where the body was parsed
        raise BadRequest("the request body is nested too deeply", param="stream_options") from error
    return {**given, "include_usage": True}


def _said(body: bytes) -> tuple[str | None, bytes | None]:
    """What an error body says, and the body itself when its shape is OpenAI's; both without what looks like a key."""
    try:
        value = lenient_json(body)
        safe = redacted(value)
    except ValueError:
        message = failure_of(body).message
        return redact_text(message) if message is not None else None, None
    error = safe.get("error") if isinstance(safe, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return error["message"], body if safe == value and not holds_secret(body) else _encoder.encode(safe)
    return failure_as(safe).message, None
