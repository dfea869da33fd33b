"""Secrets in manifests that come and go over the API: masked on the way out, sealed where they lie."""

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


def steers(kind: Kind, data: Data, secret: tuple[str, str], seal: Seal) -> bool:
    """Whether other secrets of a manifest may go where this stored one, as (group, key), says."""
    found = [(place, secret in _references(text, seal)) for place, text in _secrets(kind, data)]
    own = [place for place, is_own in found if is_own]
    others = [place for place, is_own in found if not is_own]
    return any(decides(place, other) for place in own for other in others)


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
    if not text.startswith(PREFIX):
        return references(text)
    with suppress(ValueError):  # what cannot be opened is sent nowhere
        return references(seal.open(text))
    return []


def _sends(kind: Kind) -> bool:
    """Else what counts as secret stands in fields that nobody knows, and is sent nowhere."""
    return kind is None or holds(kind, Secret)


def _shown(path: Steps) -> str:
    return steps_text(path)[:SHOWN_CHARS]
