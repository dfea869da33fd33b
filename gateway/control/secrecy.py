"""Secrets in manifests that come and go over the API: masked on the way out, sealed where they lie."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.manifests.builder import Steps, steps_text
from gateway.manifests.masking import change_secrets, is_reference
from gateway.manifests.secrets import references
from gateway.sealing import MASK, PREFIX, Seal

Data = dict[str, Any]
Kind = type[msgspec.Struct] | None

_ADDRESS = re.compile(r"https?://\S+")


def masked(kind: Kind, data: Data, seal: Seal) -> Data:
    """As it may be shown: a reference stays as it is, a secret becomes a mask that changes when it does."""
    about = _about(data)
    return change_secrets(
        kind, data, lambda text, _: text if is_reference(text) else seal.mask(_plain(text, seal), about)
    )


def sealed(kind: Kind, data: Data, seal: Seal) -> Data:
    """As it is stored."""
    return change_secrets(kind, data, lambda text, _: text if is_reference(text) else seal.close(text))


def opened(kind: Kind, data: Data, seal: Seal) -> Data:
    """As it was written."""
    return change_secrets(kind, data, lambda text, _: _plain(text, seal))


def with_secrets_kept(kind: Kind, data: Data, before: Data | None, seal: Seal) -> Data:
    """With each mask replaced by the secret it stands for, so that a manifest that was read can be written back.

    Raises:
        BadRequest: a mask stands for no secret of the manifest, or its secret would go to a new address: who may change
            an account must not learn its key by having it sent to himself.
    """
    sent_to = _destinations(kind, before) if before is not None else {}
    known = {seal.mask(secret, _about(data)): secret for secret in sent_to}

    def keep(text: str, path: Steps) -> str:
        if text.startswith(PREFIX):
            raise BadRequest(f"{steps_text(path)} begins with {PREFIX}, which only stored secrets do")
        if not text.startswith(MASK):
            return text
        if text not in known:
            raise BadRequest(f"{steps_text(path)} is a mask; write the secret itself, or a tfy-secret:// reference")
        secret = known[text]
        if new := _addresses_for(data, path) - sent_to[secret]:
            raise BadRequest(
                f"{steps_text(path)} is a mask, and its secret would go to {min(new)}, where it did not go before; "
                "write the secret itself"
            )
        return secret

    return change_secrets(kind, data, keep)


def newly_sent(kind: Kind, data: Data, before: Data | None) -> set[tuple[str, str]]:
    """The stored secrets, as (group, key), that a change draws on for the first time, or sends to a new address."""
    old = _references(kind, before) if before is not None else {}
    return {secret for secret, to in _references(kind, data).items() if secret not in old or not to <= old[secret]}


def _references(kind: Kind, data: Data) -> Mapping[tuple[str, str], set[str]]:
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for text, to in _destinations(kind, data).items():
        for secret in references(text):
            found[secret] |= to
    return found


def _destinations(kind: Kind, data: Data) -> Mapping[str, set[str]]:
    """Each secret and reference of a manifest -> the addresses it may be sent to."""
    found: defaultdict[str, set[str]] = defaultdict(set)

    def note(text: str, path: Steps) -> str:
        found[text] |= _addresses_for(data, path)
        return text

    change_secrets(kind, data, note)
    return found


def _addresses_for(data: Data, path: Steps) -> set[str]:
    """Where what stands there may be sent: for what is in a list, such as a model's, not to the others of the list."""
    match path:
        case str(name), int(index), *_:
            rest = {other: value for other, value in data.items() if other != name}
            return {*_addresses(rest), *_addresses(data[name][index])}
    return set(_addresses(data))


def _addresses(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _ADDRESS.findall(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _addresses(item)
    elif isinstance(value, list):
        for item in value:
            yield from _addresses(item)


def _plain(text: str, seal: Seal) -> str:
    return seal.open(text) if text.startswith(PREFIX) else text


def _about(data: Data) -> str:
    """Masks of one manifest tell nothing of another: else a guess could be tried out in one's own."""
    return f"{data.get('type')}/{data.get('name')}"
