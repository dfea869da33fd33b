"""The routes that each kind of manifest has of its own: list, create or update, show, delete."""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from gateway.control import manifests
from gateway.control.answers import entries, page
from gateway.control.control import Ask, Control
from gateway.control.schema import Applied
from gateway.errors import BadRequest, NotFound
from gateway.manifests import Manifest
from gateway.rules.access import kind_of
from gateway.rules.access.roles import PROVIDER_ACCOUNT, VIRTUAL_ACCOUNT

Handler = Callable[[Control, Ask], Coroutine[Any, Any, Any]]


def lister(type_: str) -> Handler:
    async def list_documents(control: Control, ask: Ask) -> dict[str, Any]:
        return await manifests.list_manifests(control, Ask(ask.caller, ask.path, {**ask.query, "type": type_}))

    return list_documents


def putter(type_: str) -> Handler:
    async def put_document(control: Control, ask: Ask) -> dict[str, Any]:
        manifest = ask.body.manifest
        if str(manifest.get("type", type_)).partition("/")[0] != type_:
            raise BadRequest(f"the type of the manifest has to be {type_}", param="type")
        applied = await manifests.put(control, ask.caller, {"type": type_, **manifest}, dry_run=ask.body.dry_run)
        return {**msgspec.to_builtins(applied), "data": await manifests.entry_of(control, ask.caller, applied)}

    return put_document


def getter(type_: str) -> Handler:
    async def get_document(control: Control, ask: Ask) -> dict[str, Any]:
        """One the caller may not read is as unknown as one that is not there."""
        kind, name = kind_of(type_), ask.path["name"]
        manifest = _find(control, type_, name)
        if manifest is None or not control.access.holds(ask.caller, kind.read, kind.of(name)):
            raise NotFound(f"there is no {type_} named {name}")
        [entry] = await entries(control, ask.caller, [manifest])
        return {"data": entry}

    return get_document


def deleter(type_: str) -> Handler:
    async def delete_document(control: Control, ask: Ask) -> Applied:
        name = ask.path["name"]
        manifest = _find(control, type_, name)
        actual = manifest.type if manifest is not None else type_
        return await manifests.remove(control, ask.caller, actual, name)

    return delete_document


async def integrations(control: Control, ask: Ask) -> dict[str, Any]:
    """What accounts hold that the caller may read: their models with `?type=model`."""
    access, wanted = control.access, ask.query.get("type")
    accounts = [
        manifest
        for (type_, name), manifest in sorted(control.config.snapshot.manifests.items())
        if kind_of(type_) is PROVIDER_ACCOUNT
        and access.holds(ask.caller, PROVIDER_ACCOUNT.read, PROVIDER_ACCOUNT.of(name))
    ]
    rows = [
        row
        for entry in await entries(control, ask.caller, accounts)
        for row in entry["integrations"]
        if wanted in (None, row["type"].split("/")[1])
        and all(ask.query.get(key) in (None, row[key]) for key in ("id", "fqn"))
    ]
    return page(ask.query, rows)


async def virtual_account_exists(control: Control, ask: Ask) -> dict[str, Any]:
    """One the caller may not read does not."""
    name = ask.query.get("name", "")
    manifest = _find(control, "virtual-account", name)
    access = control.access
    is_known = manifest is not None and access.holds(ask.caller, VIRTUAL_ACCOUNT.read, VIRTUAL_ACCOUNT.of(name))
    return {"exists": is_known}


def _find(control: Control, type_: str, name: str) -> Manifest | None:
    """By family: an account is asked for by name alone, whoever its vendor is."""
    for (other, other_name), manifest in control.config.snapshot.manifests.items():
        if other_name == name and other.partition("/")[0] == type_:
            return manifest
    return None
