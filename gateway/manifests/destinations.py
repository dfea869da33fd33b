"""What decides where a secret of a manifest goes: all that stands beside it, but for what is known to have no say."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import msgspec

from gateway.manifests.accounts import CompatibleAccount, Integration, Model, ProviderAccount, SelfHostedModel
from gateway.manifests.builder import Steps
from gateway.manifests.endpoints import CustomEndpoint, CustomEndpointAccount
from gateway.manifests.guardrails import GuardrailGroup, GuardrailIntegration, MetadataIntegration
from gateway.manifests.notifications import (
    ChannelAccount,
    EmailChannel,
    PagerDutyChannel,
    SlackBotChannel,
    SlackWebhookChannel,
    TeamsChannel,
    WebhookChannel,
)
from gateway.manifests.references import without_tenant
from gateway.manifests.shapes import LISTS, MAPPINGS, fields_of, shape, struct_at
from gateway.manifests.telemetry import HttpMetrics, HttpTraces, Metrics, Traces

_LISTED = frozenset({"authorized_subjects"})
HAVE_NO_SAY: Mapping[type[msgspec.Struct], frozenset[str]] = MappingProxyType(
    {
        ProviderAccount: frozenset({"asks_for_usage", "collaborators", "concurrency", "discount_percent", "ownedBy"}),
        CompatibleAccount: frozenset({"pass_through"}),
        Model: frozenset({"authorized_subjects", "cost", "model_types", "name", "type"}),
        Integration: frozenset({"model_id"}),
        SelfHostedModel: frozenset({"hosted_model_name", "tfy_application_id"}),
        CustomEndpoint: frozenset({"loadbalancing_config"}),
        CustomEndpointAccount: frozenset({"endpoint_type", "routing_type", "slug"}),
        ChannelAccount: frozenset({"ownedBy"}),
        GuardrailGroup: frozenset({"collaborators", "ownedBy"}),
        GuardrailIntegration: frozenset({"description", "enforcing_strategy", "operation", "priority"}),
        MetadataIntegration: frozenset({"config"}),
        Traces: frozenset({"additional_resource_attributes", "exclude_request_data", "when"}),
        Metrics: frozenset({"export_delta_metrics"}),
        HttpTraces: frozenset({"encoding"}),
        HttpMetrics: frozenset({"encoding"}),
        EmailChannel: _LISTED,
        PagerDutyChannel: _LISTED,
        SlackBotChannel: _LISTED,
        SlackWebhookChannel: _LISTED,
        TeamsChannel: _LISTED,
        WebhookChannel: _LISTED,
    }
)
"""Struct -> fields of it, and of those that inherit from it, which may change while a secret stays. A field that is not
here decides: so do those of a plugin, and those that nobody knows."""

_PORTS = {"http": 80, "https": 443}


class Item(NamedTuple):
    """Of a list: known by its `name`, else by its index."""

    key: str | int


Place: TypeAlias = tuple[str | Item, ...]
"""The way to a value, which stays the same when a list is put in another order."""


def place_of(data: Any, path: Steps) -> Place:
    place: list[str | Item] = []
    for step in path:
        data = data[step]
        place.append(_item(step, data) if isinstance(step, int) else step)
    return tuple(place)


def place_text(place: Place) -> str:
    """`integrations[llama-70b].url`"""
    return "".join(f"[{step.key}]" if isinstance(step, Item) else f".{step}" for step in place).removeprefix(".")


class Moves:
    """What differs between two versions of a manifest, as far as it decides where secrets go. Both as they are stored:
    a secret that was written anew never equals the one before."""

    def __init__(self, kind: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        old, new = _by_place(_deciding(kind, before, ())), _by_place(_deciding(kind, after, ()))
        self._changed = [place for place in {**old, **new} if old.get(place) != new.get(place)]

    def of(self, secret: Place) -> Place | None:
        """Something that decides where the secret of this place goes, and has changed."""
        return next((place for place in self._changed if decides(place, secret)), None)


def decides(place: Place, secret: Place) -> bool:
    """Whether what stands at a place may decide where a secret goes."""
    return place != secret and not _is_of_another(place, secret)


def _by_place(found: Iterator[tuple[Place, Any]]) -> Mapping[Place, list[Any]]:
    """All values of a place: two items of a list may have one name."""
    values: defaultdict[Place, list[Any]] = defaultdict(list)
    for place, value in found:
        values[place].append(value)
    return values


def _is_of_another(place: Place, secret: Place) -> bool:
    """Whether it belongs to another item of a list in which the secret is, such as another model."""
    for step, own in zip(place, secret, strict=False):
        if step != own:
            return isinstance(step, Item) and isinstance(own, Item)
    return False


def _deciding(kind: Any, value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    """The place and value of each text, number and truth; what is null or empty is as if it was not there."""
    expected = shape(kind, value.__class__)
    origin, inner = expected.origin, expected.inner
    if isinstance(value, Mapping):
        struct = struct_at(expected, value)
        if struct is not None:
            yield from _of_struct(struct, value, place)
            return
        kind = inner[1] if origin in MAPPINGS and inner else Any
        for key, item in value.items():
            yield from _deciding(kind, item, (*place, key))
    elif isinstance(value, list | tuple):
        kind = inner[0] if origin in LISTS and inner else Any
        for index, item in enumerate(value):
            yield from _deciding(kind, item, (*place, _item(index, item)))
    elif value is not None:
        yield place, _meaning(value) if isinstance(value, str) else value


def _of_struct(struct: type[msgspec.Struct], value: Mapping[str, Any], place: Place) -> Iterator[tuple[Place, Any]]:
    fields, passed_over = fields_of(struct), _without_say(struct)
    defaults = {name: field.default for name, field in fields.items() if field.default is not msgspec.NODEFAULT}
    for key, item in {**defaults, **value}.items():
        if key not in passed_over:
            yield from _deciding(fields[key].type if key in fields else Any, item, (*place, key))


@cache
def _without_say(struct: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset().union(*(HAVE_NO_SAY.get(base, ()) for base in struct.__mro__))


def _item(index: int, value: Any) -> Item:
    name = value.get("name") if isinstance(value, Mapping) else None
    return Item(name if isinstance(name, str) else index)


def _meaning(text: str) -> Any:
    """The same for texts which lead to the same place: of an address the parts, of a reference all but its tenant."""
    with suppress(ValueError):
        parts = urlsplit(text)
        if parts.scheme in _PORTS and parts.hostname is not None:
            port = parts.port or _PORTS[parts.scheme]
            user = parts.netloc.rpartition("@")[0]
            return parts.scheme, user, parts.hostname, port, parts.path, parts.query, parts.fragment
    return without_tenant(text)
