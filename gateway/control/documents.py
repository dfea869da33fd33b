"""The routes that each kind of manifest has of its own: list, create or update, show, delete."""

from collections.abc import Callable, Coroutine
from typing import Any

from gateway.access import kind_of
from gateway.control import manifests
from gateway.control.control import Ask, Control, found
from gateway.errors import BadRequest

Handler = Callable[[Control, Ask], Coroutine[Any, Any, Any]]


def lister(type_: str) -> Handler:
    async def list_documents(control: Control, ask: Ask) -> dict[str, Any]:
        return await manifests.list_manifests(control, Ask(ask.caller, ask.path, {**ask.query, "type": type_}))

    return list_documents


def putter(type_: str) -> Handler:
    async def put_document(control: Control, ask: Ask) -> manifests.Applied:
        manifest = ask.body.manifest
        if str(manifest.get("type", type_)).partition("/")[0] != type_:
            raise BadRequest(f"the type of the manifest has to be {type_}", param="type")
        return await manifests.put(control, ask.caller, {"type": type_, **manifest}, dry_run=ask.body.dry_run)

    return put_document


def getter(type_: str) -> Handler:
    async def get_document(control: Control, ask: Ask) -> dict[str, Any]:
        """One the caller may not read is as unknown as one that is not there."""
        kind, name = kind_of(type_), ask.path["name"]
        manifest = found(_find(control, type_, name), f"there is no {type_} named {name}")
        if not control.access.holds(ask.caller, kind.read, kind.of(name)):
            found(None, f"there is no {type_} named {name}")
        stored = {(row.type, row.name): row for row in await control.store.manifests()}
        return {"data": manifests.shown(control, manifest, stored.get((manifest.type, name)))}

    return get_document


def deleter(type_: str) -> Handler:
    async def delete_document(control: Control, ask: Ask) -> manifests.Applied:
        name = ask.path["name"]
        manifest = _find(control, type_, name)
        actual = manifest.type if manifest is not None else type_
        return await manifests.remove(control, ask.caller, actual, name)

    return delete_document


def _find(control: Control, type_: str, name: str) -> Any:
    """By family: an account is asked for by name alone, whoever its vendor is."""
    for (other, other_name), manifest in control.config.snapshot.manifests.items():
        if other_name == name and other.partition("/")[0] == type_:
            return manifest
    return None
