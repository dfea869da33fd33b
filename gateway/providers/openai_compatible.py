"""The provider for every vendor that speaks OpenAI's API."""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.contract import Call, Endpoint, Reader, Target, Tls, UpstreamRequest
from gateway.errors import BadRequest, BrokeOff, Refused, Unauthorized
from gateway.logs import redacted
from gateway.manifests.accounts import (
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    Model,
    OllamaAccount,
    OpenAIAccount,
    ProviderAccount,
    SelfHostedModel,
    ServicePrincipalAuth,
    WaferAccount,
)
from gateway.providers.catalog import SERVERS, VENDORS, Vendor
from gateway.wire import sse

__all__ = ["OpenAICompatible", "Settings", "Vendor"]  # for plugins: a vendor that needs more than a row

PASSED_ON = re.compile(r"retry-after(-ms)?|x-should-retry|x-ratelimit-[a-z-]+", re.IGNORECASE)
"""Headers of a refusal that are for the caller."""

_INCLUDE_USAGE = msgspec.Raw(b'{"include_usage":true}')
_EMPTY_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_encoder = msgspec.json.Encoder()
_options = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Settings(msgspec.Struct, frozen=True):
    """Of one target: dialect -> where it is called, and what is particular about the vendor.

    `passes_key_on`: the account has no key, so each caller brings one.
    """

    endpoints: Mapping[str, Endpoint]
    vendor: Vendor
    passes_key_on: bool = False


class OpenAICompatible:
    accounts: Mapping[str, Any] = {type_: vendor.account for type_, vendor in VENDORS.items()}

    def targets(self, account: ProviderAccount) -> Iterable[Target]:
        vendor = VENDORS[account.type]
        passes_key_on = isinstance(account, OpenAIAccount) and account.auth_data is None
        endpoints: dict[object, Mapping[str, Endpoint]] = {}  # most models of an account share them
        for model in account.integrations:
            base_url, headers, tls = address_of(account, model, vendor)
            paths = SERVERS[model.model_server] if isinstance(model, SelfHostedModel) else vendor.paths
            key = (base_url, *headers.items(), tls, *paths)
            if key not in endpoints:
                endpoints[key] = {
                    dialect: Endpoint(base_url.rstrip("/") + path, headers, tls=tls) for dialect, path in paths.items()
                }
            yield Target(
                name=f"{account.name}/{model.name}",
                model=model.hosted_model_name if isinstance(model, SelfHostedModel) else model.model_id,  # type: ignore[attr-defined]
                model_types=frozenset(model.model_types),
                provider=self,
                settings=Settings(endpoints[key], vendor, passes_key_on=passes_key_on),
            )

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        settings: Settings = target.settings
        endpoint = settings.endpoints.get(call.dialect.name)
        if endpoint is None:
            raise BadRequest(f"the provider of {target.name} has no API for {call.dialect.name}", param="model")
        if settings.passes_key_on:
            endpoint = _with_callers_key(endpoint, call, target)
        vendor = settings.vendor
        fields: dict[str, Any] = {**call.fields, "model": target.model}
        dropped = _adapt(fields, vendor) if vendor.rejects or vendor.renames else ()
        if self._asks_for_usage(call, settings):
            fields["stream_options"] = _with_usage(call.fields.get("stream_options"))
        return UpstreamRequest(endpoint, _encoder.encode(fields), dropped)

    def reader(self, call: Call, target: Target) -> Reader | None:
        return UsageCut() if self._asks_for_usage(call, target.settings) else None

    def refusal(self, call: Call, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        passed_on = {name: value for name, value in headers.items() if PASSED_ON.fullmatch(name)}
        if status < 400:
            return Refused("the provider redirects to another address; name that one in the account", status=502)
        if status == 401:
            message = "the provider does not accept the gateway's credentials; tell whoever runs the gateway"
            if call.provider_key is not None:
                message = "the provider does not accept the key: yours, if the account has none of its own"
            return Refused(message, status=401, code="upstream_authentication_error")
        said, openai_body = read_error(body)
        message = said or f"the provider answered with status {status}"
        return Refused(message, status=status, body=openai_body, headers=passed_on)

    def _asks_for_usage(self, call: Call, settings: Settings) -> bool:
        return call.ask.stream and not call.ask.wants_usage and settings.vendor.asks_for_usage


def _with_callers_key(endpoint: Endpoint, call: Call, target: Target) -> Endpoint:
    if call.provider_key is None:
        account = target.name.partition("/")[0]
        raise Unauthorized(
            f"the account {account} has no key: send your own as 'Authorization: Bearer <key>', and the "
            "gateway's token as x-tfy-api-key",
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
        case ApiKeyAuth(api_key=key):
            headers["authorization"] = f"Bearer {key.reveal()}"
        case ServicePrincipalAuth():
            raise ValueError("auth_data: a service-principal is not supported yet; use a key, with type: api-key")
    if isinstance(account, WaferAccount) and account.zero_data_retention:
        headers["wafer-zdr"] = "required"
    base_url = getattr(account, "base_url", None) or vendor.base_url
    if isinstance(account, OllamaAccount):
        base_url = account.auth_data.custom_host
    assert base_url is not None
    return base_url.rstrip("/").removesuffix(vendor.suffix) + vendor.suffix, headers, None


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


def read_error(body: bytes) -> tuple[str | None, bytes | None]:
    """The message of an error body, in any of the shapes servers use; and the body, when its shape is OpenAI's."""
    try:
        value = msgspec.json.decode(body)
        safe = redacted(value)
    except (msgspec.DecodeError, RecursionError):
        return None, None
    if not isinstance(safe, dict):
        return None, None
    error = safe.get("error")
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return error["message"], body if safe == value else _encoder.encode(safe)
    found = (_text_of(safe.get(name)) for name in ("error", "message", "detail"))
    return next(filter(None, found), None), None


def _text_of(said: Any) -> str | None:
    """Text as it is; FastAPI's list of what is wrong with which field, without the values it repeats."""
    if isinstance(said, dict):
        return _text_of(said.get("detail") or said.get("message"))
    if isinstance(said, list):
        faults = [item for item in said if isinstance(item, dict) and "msg" in item]
        return "; ".join(f"{'.'.join(map(str, item.get('loc') or ['body']))}: {item['msg']}" for item in faults)
    return said if isinstance(said, str) else None


class Choices(msgspec.Struct):
    choices: list[msgspec.Raw] | None = None
    usage: Any = None


_choices = msgspec.json.Decoder(Choices)


class UsageCut:
    """A `Reader` that takes out the event with the usage which the gateway asked for and the client did not.

    That event has no choices, and clients that index `choices[0]` fail on it. All other bytes stay as they are.
    """

    def __init__(self) -> None:
        self._events = sse.EventSplitter()

    def feed(self, data: bytes) -> bytes:
        events = self._events
        if not events and sse.ends_event(data) and not _EMPTY_CHOICES.search(data):
            return data
        kept = b"".join([event for event in events.feed(data) if not is_usage_only(event)])
        if len(events) > sse.MAX_EVENT:
            raise BrokeOff(f"the provider sent an event of more than {sse.MAX_EVENT} bytes")
        return kept

    def end(self) -> bytes:
        return self._events.end()


def is_usage_only(event: bytes) -> bool:
    if not _EMPTY_CHOICES.search(event):
        return False
    try:
        found = _choices.decode(sse.data_of(event))
    except msgspec.DecodeError:
        return False
    return found.choices == [] and found.usage is not None
