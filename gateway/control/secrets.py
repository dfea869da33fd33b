"""The values of secret groups: written by some, read by others, and sealed where they lie."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.control.answers import page, secret_entry
from gateway.control.control import Ask, Control
from gateway.control.manifests import refuse_breaking, refuse_in_use, refuse_steering
from gateway.control.masking import is_address
from gateway.errors import BadRequest, NotFound
from gateway.secrecy.secret import cleaned

if TYPE_CHECKING:
    from gateway.state.database.store import Transaction  # SQLAlchemy takes 0.3 s

_KEY = re.compile(r"[^\s./\\:,;\"'\x00-\x1f][^\s/\\:,;\"'\x00-\x1f]{0,199}")
"""What a reference can name, as the name of a group."""


class SecretInput(msgspec.Struct, frozen=True):
    key: str
    value: str

    def __repr__(self) -> str:
        return f"SecretInput({self.key!r})"


class SecretsBody(msgspec.Struct, frozen=True):
    secrets: tuple[SecretInput, ...]


async def list_keys(control: Control, ask: Ask) -> dict[str, Any]:
    group = _group(control, ask)
    rows = await control.store.secrets()
    return page(ask.query, [secret_entry(row) for row in rows if row.group == group])


async def write(control: Control, ask: Ask) -> dict[str, Any]:
    """Each key gets its value; keys that are not named stay as they are."""
    group = _group(control, ask)
    sealed = {}
    for secret in ask.body.secrets:
        if not _KEY.fullmatch(secret.key):
            raise BadRequest("a key has no spaces and none of / \\ : , ; \" ', and begins with no dot", param="key")
        value = cleaned(secret.value)
        if not value:
            raise BadRequest(f"the value of {secret.key} is empty", param="value")
        sealed[group, secret.key] = control.seal.close(value)
    async with control.change(by=ask.caller.subject) as change:
        if not ask.caller.is_admin:
            await _refuse_redirecting(control, change, sealed)
        await refuse_breaking(control, change, sealed)
        for (_, key), value in sealed.items():
            await change.put_secret(group, key, value)
    await control.changed()
    return {"written": [secret.key for secret in ask.body.secrets]}


async def read(control: Control, ask: Ask) -> dict[str, Any]:
    """The value; that it was read is written down."""
    group, key = _group(control, ask), ask.path["key"]
    rows = await control.store.secrets()
    row = next((row for row in rows if (row.group, row.key) == (group, key)), None)
    if row is None:
        raise NotFound(f"there is no {key} in {group}")
    async with control.change(by=ask.caller.subject) as change:
        await change.note("read", "secret", f"{group}/{key}")
    return {"data": {**secret_entry(row), "value": control.seal.open(row.value)}}


async def remove(control: Control, ask: Ask) -> dict[str, Any]:
    group, key = _group(control, ask), ask.path["key"]
    async with control.change(by=ask.caller.subject) as change:
        if (group, key) not in {(row.group, row.key) for row in await change.secrets()}:
            raise NotFound(f"there is no {key} in {group}")
        await refuse_in_use(control, change, ask.caller, group, key)
        await refuse_breaking(control, change, {(group, key): None})
        await change.delete_secret(group, key)
    await control.changed()
    return {"key": key, "status": "deleted"}


async def _refuse_redirecting(control: Control, change: "Transaction", sealed: Mapping[tuple[str, str], str]) -> None:
    """An address, or a part of one such as its host, may be a secret, and decides where others go."""
    known = {(row.group, row.key): row.value for row in await change.secrets()}
    written = {secret: (value, known.get(secret, value)) for secret, value in sealed.items()}
    changes = {
        secret: any(is_address(control.seal.open(value)) for value in values)
        for secret, values in written.items()
        if secret in known
    }
    await refuse_steering(control, change, changes)


def _group(control: Control, ask: Ask) -> str:
    name = ask.path["name"]
    if ("secret-group", name) not in control.config.snapshot.manifests:
        raise NotFound(f"there is no secret group named {name}")
    return name
