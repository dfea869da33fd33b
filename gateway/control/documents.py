"""The routes that each kind of manifest has of its own: list, create or update, show, delete."""

from collections.abc import Callable, Collection, Coroutine
from typing import Any

import msgspec

from gateway.control import manifests
from gateway.control.answers import entries, page
from gateway.control.control import Ask, Control
from gateway.control.ownership import may_read
from gateway.control.schema import Applied
from gateway.errors import BadRequest, NotFound
from gateway.manifests import Manifest
from gateway.rules.access.roles import VIRTUAL_ACCOUNT

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
        [entry] = await entries(control, ask.caller, [named(control, ask, type_, what=type_)])
        return {"data": entry}

    return get_document


def deleter(*types: str) -> Handler:
    async def delete_document(control: Control, ask: Ask) -> Applied:
        name = ask.path["name"]
        manifest = _find(control, types, name)
        return await manifests.remove(control, ask.caller, manifest.type if manifest is not None else types[0], name)

    return delete_document


async def integrations(control: Control, ask: Ask) -> dict[str, Any]:
    """What accounts hold that the caller may read: their models with `?type=model`."""
    wanted = ask.query.get("type")
    accounts = manifests.readable(control, ask.caller, "provider-account")
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
    manifest = _find(control, ("virtual-account",), name)
    access = control.access
    is_known = manifest is not None and access.holds(ask.caller, VIRTUAL_ACCOUNT.read, VIRTUAL_ACCOUNT.of(name))
    return {"exists": is_known}


def named(control: Control, ask: Ask, *types: str, what: str) -> Manifest:
    """The one of the path. Raises NotFound: it is not there, or the caller may not read it, which is all the same."""
    name = ask.path["name"]
    manifest = _find(control, types, name)
    if manifest is None or not may_read(control.access, ask.caller, manifest.type, name, manifest.data):
        raise NotFound(f"there is no {what} named {name}")
    return manifest


def _find(control: Control, types: Collection[str], name: str) -> Manifest | None:
    """By family: an account is asked for by name alone, whoever its vendor is. Where a file and the API both have one
    of that name, it is that of the file."""
    both = [
        manifest
        for manifest in control.config.snapshot.manifests.values()
        if manifest.name == name and manifest.family in types
    ]
    return min(both, key=lambda manifest: manifest.version is not None, default=None)
