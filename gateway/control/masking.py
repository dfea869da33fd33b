"""Secrets in manifests that come and go over the API: masked on the way out, sealed where they lie."""

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.manifests.builder import Steps, steps_text
from gateway.manifests.destinations import Moves, Place, decides, place_of, place_text
from gateway.manifests.queries import change_texts, has_mask, without_values
from gateway.manifests.references import references
from gateway.manifests.secret_fields import change_secrets, is_reference
from gateway.manifests.shapes import holds
from gateway.secrecy.sealing import MASK, PREFIX, Seal, mask
from gateway.secrecy.secret import Secret

Data = dict[str, Any]
Kind = type[msgspec.Struct] | None

SHOWN_CHARS = 200
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


def masked(kind: Kind, data: Data) -> Data:
    """As it may be shown: a reference stays as it is, and a mask of a secret says in which version it was written.

    In an address, the values of its query are masked.
    """
    hidden = change_secrets(kind, data, lambda text, _: text if is_reference(text) else mask(text))
    shown: Data = change_texts(hidden, lambda text, _: without_values(text))
    return shown


def sealed(kind: Kind, data: Data, before: Data | None, seal: Seal, version: int) -> Data:
    """As it is stored, each mask being the secret it stands for, so that a manifest that was read can be written back.

    Args:
        before: what is stored now.
        version: which this will be.

    Raises:
        BadRequest: a mask stands for no secret of the manifest, or something that decides where its secret goes has
            changed: who may change an account must not learn its key by having it sent to himself.
    """
    known = _known(kind, before)
    kept: dict[Place, Steps] = {}

    def seal_or_keep(text: str, path: Steps) -> str:
        if text.startswith(PREFIX):
            raise BadRequest(f"{_shown(path)} begins with {PREFIX}, which only stored secrets do")
        if is_reference(text):
            return text
        if not text.startswith(MASK):
            return seal.close(text, version)
        place = place_of(data, path)
        secret = known.get(place)
        if secret is None or is_reference(secret):
            raise BadRequest(
                f"{_shown(path)} is a mask, and no secret was there before; write the secret itself, or a "
                "tfy-secret:// reference"
            )
        if mask(secret) != text:
            raise BadRequest(
                f"{_shown(path)} is the mask of another version, and the secret there has changed since: its mask is "
                f"{mask(secret)} now; read the manifest again, or write the secret itself"
            )
        kept[place] = path
        return secret

    after = _with_queries(change_secrets(kind, data, seal_or_keep), before)
    if before is not None and kept and _sends(kind):
        _refuse_moved(kept, Moves(kind, before, after))
    return after


def _refuse_moved(kept: Mapping[Place, Steps], moves: Moves) -> None:
    """Raises BadRequest: one of the secrets that stay may be sent elsewhere."""
    for place, path in kept.items():
        if (what := moves.of(place)) is not None:
            raise BadRequest(
                f"{_shown(path)} is a mask, and {place_text(what)[:SHOWN_CHARS]} has changed, which may decide where "
                "the secret goes; write the secret itself"
            )


def _with_queries(data: Data, before: Data | None) -> Data:
    """Each address with masks in its query being the one that is shown so.

    Raises:
        BadRequest: there is no such, or it has changed: what is masked must not be sent elsewhere.
    """
    known: dict[Place, str] = {}

    def note(text: str, path: Steps) -> str:
        known[place_of(before, path)] = text
        return text

    def restored(text: str, path: Steps) -> str:
        if not has_mask(text):
            return text
        if not known and before is not None:
            change_texts(before, note)
        stored = known.get(place_of(data, path), text)
        if stored == text or without_values(stored) != text:
            raise BadRequest(
                f"{_shown(path)} has a mask in its query, and is not the address that is shown; write it out in full"
            )
        return stored

    whole: Data = change_texts(data, restored)
    return whole


def newly_sent(kind: Kind, after: Data, before: Data | None, seal: Seal) -> set[tuple[str, str]]:
    """The stored secrets, as (group, key), that a change draws on for the first time, or may send elsewhere. Both
    versions as they are stored."""
    known = {place: _references(text, seal) for place, text in _known(kind, before).items()}
    moves = Moves(kind, before or {}, after)
    return {
        secret
        for place, text in _secrets(kind, after)
        for secret in _references(text, seal)
        if secret not in known.get(place, ()) or moves.of(place) is not None
    }


def drawn_on(kind: Kind, data: Data, seal: Seal) -> set[tuple[str, str]]:
    """The stored secrets, as (group, key), to which a manifest refers. It may be stored or not."""
    return {secret for _, text in _secrets(kind, data) for secret in _references(text, seal)}


def steering(kind: Kind, data: Data, changes: Mapping[tuple[str, str], bool], seal: Seal) -> tuple[str, str] | None:
    """The first stored secret among some that change by which other secrets of a manifest may go elsewhere.

    Args:
        changes: (group, key) -> whether it is an address by itself; else it may be part of one.
    """
    found = [(place, _opened(text, seal)) for place, text in _secrets(kind, data)]
    for place, text in found:
        for secret in references(text):
            if changes.get(secret, False) or (secret in changes and is_address(text)):
                others = (other for other, own in found if secret not in references(own))
                if any(decides(place, other) for other in others):
                    return secret
    return None


def is_address(text: str) -> bool:
    return _ADDRESS.match(text) is not None


def _secrets(kind: Kind, data: Data) -> list[tuple[Place, str]]:
    found: list[tuple[Place, str]] = []

    def note(text: str, path: Steps) -> str:
        found.append((place_of(data, path), text))
        return text

    change_secrets(kind, data, note)
    return found


def _known(kind: Kind, before: Data | None) -> dict[Place, str]:
    """Those that stand alone in their place: of two items with one name, nobody could say whose it is."""
    found = _secrets(kind, before) if before is not None else []
    count = Counter(place for place, _ in found)
    return {place: text for place, text in found if count[place] == 1}


def _references(text: str, seal: Seal) -> list[tuple[str, str]]:
    return references(_opened(text, seal))


def _opened(text: str, seal: Seal) -> str:
    """A secret as it was written; empty: it cannot be opened, and so is sent nowhere."""
    if not text.startswith(PREFIX):
        return text
    with suppress(ValueError):
        return seal.open(text)
    return ""


def _sends(kind: Kind) -> bool:
    """Else what counts as secret stands in fields that nobody knows, and is sent nowhere."""
    return kind is None or holds(kind, Secret)


def _shown(path: Steps) -> str:
    return steps_text(path)[:SHOWN_CHARS]
