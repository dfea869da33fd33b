"""Applying, deleting and rolling back manifests, and their history.

A change is read, checked as a whole configuration, and written in one transaction that holds the database's write lock:
two people who change things at once come one after the other, and each is checked against what the other has done.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.config.compile.snapshot import struct_of, types_of
from gateway.config.live import Stored
from gateway.config.replica import manifest_of
from gateway.config.snapshot import Snapshot
from gateway.contract import Caller
from gateway.control import escalation
from gateway.control import masking as secrecy
from gateway.control.answers import entries, number, page
from gateway.control.control import Ask, Control, actor
from gateway.control.ownership import may_read, require
from gateway.control.schema import Applied, HistoryEntry
from gateway.errors import BadRequest, ConfigError, Conflict, Fault, Forbidden, GatewayError, NotFound
from gateway.manifests import Manifest
from gateway.manifests.diff import difference
from gateway.manifests.loader import manifest_from
from gateway.manifests.outward import vouched_in
from gateway.manifests.routing import VIRTUAL_MODELS
from gateway.manifests.unread import why_unread
from gateway.rules.access import ADMIN_PERMISSION, TENANT, kind_of
from gateway.state.database.rows import Change, StoredManifest

if TYPE_CHECKING:
    from gateway.state.database.store import Transaction  # SQLAlchemy takes 0.3 s

Data = dict[str, Any]

MAX_NAME_CHARS = 200
MAX_DEPTH = 100
MAX_FAULT_CHARS = 500
USERS_SHOWN = 10
HISTORY_SHOWN = 50
HISTORY_MOST = 500


class ApplyBody(msgspec.Struct, frozen=True, rename="camel"):
    manifest: dict[str, Any]
    dry_run: bool = False


class Step(msgspec.Struct, frozen=True):
    """One manifest to be applied; or deleted, and then its type and name are all it takes."""

    manifest: dict[str, Any]
    delete: bool = False


class BatchBody(msgspec.Struct, frozen=True, rename="camel"):
    """Steps in their order: each may need those before it."""

    steps: tuple[Step, ...]
    dry_run: bool = False


class RollbackBody(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    name: str
    version: int
    dry_run: bool = False


# --- the handlers ------------------------------------------------------------


async def apply(control: Control, ask: Ask) -> Applied:
    return await put(control, ask.caller, ask.body.manifest, dry_run=ask.body.dry_run)


async def apply_all(control: Control, ask: Ask) -> Data:
    """All steps or none: the refusal of one names it in `param`, and undoes those before it."""
    dry_run: bool = ask.body.dry_run
    done: list[Applied] = []
    async with control.change(by=ask.caller.subject, dry_run=dry_run) as change:
        for number, step in enumerate(ask.body.steps):
            try:
                manifest = read_manifest(step.manifest)
                if step.delete:
                    key = (manifest.type, manifest.name)
                    done.append(await remove(control, ask.caller, *key, dry_run=dry_run, within=change))
                else:
                    done.append(await put(control, ask.caller, step.manifest, dry_run=dry_run, within=change))
            except GatewayError as error:
                error.param = f"steps[{number}]"
                raise
    if not dry_run:
        await control.changed()
    return {"data": done}


async def delete(control: Control, ask: Ask) -> Applied:
    manifest = read_manifest(ask.body.manifest)
    return await remove(control, ask.caller, manifest.type, manifest.name, dry_run=ask.body.dry_run)


async def rollback(control: Control, ask: Ask) -> Applied:
    wanted = ask.body
    version = await control.store.manifest_version(wanted.type, wanted.name, wanted.version)
    missing = f"{wanted.type} {wanted.name} has no version {wanted.version}; `history` lists those there are"
    if version is None or version.data is None:
        raise NotFound(missing)
    versions = _versions(None, control.config.snapshot.manifests.get((wanted.type, wanted.name)))
    if not may_read(control.access, ask.caller, wanted.type, wanted.name, *versions, version.data):
        raise NotFound(missing)
    data = version.data
    return await _put(
        control,
        ask.caller,
        (wanted.type, wanted.name),
        lambda _: data,
        dry_run=wanted.dry_run,
        action=f"rolled back to {wanted.version}",
        written_at=version.at,
    )


async def list_manifests(control: Control, ask: Ask) -> Data:
    """What is in force and the caller may read, wherever it is managed."""
    types = [ask.query["type"]] if "type" in ask.query else []
    known = readable(control, ask.caller, *types)
    wanted = [manifest for manifest in known if ask.query.get("name") in (None, manifest.name)]
    return page(ask.query, await entries(control, ask.caller, wanted))


async def history(control: Control, ask: Ask) -> Data:
    """Who changed what, and when; all of it for admins, else that of one manifest."""
    type_, name = ask.query.get("type"), ask.query.get("name")
    if type_ is None or name is None:
        control.access.require(ask.caller, ADMIN_PERMISSION)
    else:
        control.access.require(ask.caller, kind_of(type_).read, kind_of(type_).of(name))
    limit = number(ask.query, "limit", HISTORY_SHOWN) or HISTORY_SHOWN
    before = number(ask.query, "before", None)
    changes = await control.store.history(type_, name, limit=min(limit, HISTORY_MOST), before=before)
    return {"data": [await _change(control, change) for change in changes]}


# --- what they do ------------------------------------------------------------


def readable(control: Control, caller: Caller, *types: str) -> list[Manifest]:
    """What is in force and the caller may read: all, or that of some types, which may be families, in their order."""
    return [
        manifest
        for (type_, name), manifest in sorted(control.config.snapshot.manifests.items())
        if (not types or type_ in types or manifest.family in types)
        and may_read(control.access, caller, type_, name, manifest.data)
    ]


async def put(
    control: Control,
    caller: Caller,
    data: Data,
    *,
    dry_run: bool = False,
    within: "Transaction | None" = None,
) -> Applied:
    """Creates or updates what a manifest says; `within` a change of several, whoever began it puts it in force.

    Raises:
        BadRequest: it cannot be used.
        Forbidden: the caller may not do this, or would grant more than it holds.
        Conflict: a file of the gateway manages it.
    """
    manifest = read_manifest(data)
    key = (manifest.type, manifest.name)
    return await _put(control, caller, key, lambda _: data, is_sealed=False, dry_run=dry_run, within=within)


async def edit(
    control: Control, caller: Caller, type_: str, name: str, change: Callable[[Data | None], Data]
) -> Applied:
    """Puts what `change` makes of the manifest as it is stored now, or of None; it does not touch secrets. Raises what
    `put` does, and what it raises."""
    return await _put(control, caller, (type_, name), change)


async def _put(
    control: Control,
    caller: Caller,
    key: tuple[str, str],
    make: Callable[[Data | None], Data],
    *,
    is_sealed: bool = True,
    dry_run: bool = False,
    action: str | None = None,
    written_at: datetime | None = None,
    within: "Transaction | None" = None,
) -> Applied:
    """`is_sealed`: what `make` returns is as it is stored; else it comes from outside, with masks and open secrets."""
    type_, name = key
    struct = _struct(control, type_)
    async with _change_of(control, caller, within, dry_run=dry_run) as change:
        rows = await change.manifests()
        stored = await _with_secrets(control, change)
        existing = next((row for row in rows if (row.type, row.name) == key), None)
        others = [row for row in rows if row is not existing]
        before = await _compiled(control, rows, stored)
        giver = actor(caller, before.access)
        versions = _versions(existing, before.manifests.get(key)) or [make(None)]
        _require_for_put(key, giver, before, existing, versions, written_at)
        _refuse_managed_by_file(control, *key)
        if struct is None:
            raise BadRequest(why_unread(type_, types_of(control.config.providers)), param="type")
        _refuse_taken_account(key, others)
        before_data = existing.data if existing is not None else None
        data = _completed(type_, make(before_data), before_data)
        _refuse_taken_aliases(type_, data, others)
        if not is_sealed:
            version = await change.next_version(type_, name)
            data = secrecy.sealed(struct, data, before_data, control.seal, version)
        escalation.require_for_secrets(giver, before, secrecy.newly_sent(struct, data, before_data, control.seal))
        by_admin = giver.is_admin or (existing is not None and existing.by_admin)
        after = await _compiled(control, others, stored, read_manifest(data, by_admin=by_admin))
        vouched = _vouched(after, key)
        if by_admin and not giver.is_admin and not vouched <= _vouched(before, key):
            # What an admin once applied holds for the addresses and identities of then.
            by_admin = False
            after = await _compiled(control, others, stored, read_manifest(data))
        _refuse_faults(before, after)
        made = None if existing is not None else kind_of(type_).of(name)
        escalation.refuse_escalation(before, after, giver, made)
        if type_ == "virtual-account":
            escalation.require_for_tokens(giver, before, after, name)
        if made is not None and type_ == "secret-group":
            _refuse_leftovers(control, name, giver, others, stored)
        result = Applied(
            action="UPDATE" if existing is not None else "CREATE",
            type=type_,
            name=name,
            manifest=secrecy.masked(struct, data),
            existing_manifest=_masked_or_none(struct, existing),
            version=existing.version if existing is not None else None,
            warnings=(*_new_warnings(before, after), *(_heirs(before, made) if made is not None else ())),
            dry_run=dry_run,
        )
        is_vouched = existing is None or existing.by_admin or not by_admin or not vouched
        if data == before_data and is_vouched:
            return msgspec.structs.replace(result, changed=False)
        done = action or ("updated" if existing is not None else "created")
        row = await change.put_manifest(type_, name, data, action=done, by_admin=by_admin)
    if dry_run:
        return result
    if within is None:
        await control.changed()
    return msgspec.structs.replace(result, version=row.version)


async def remove(
    control: Control,
    caller: Caller,
    type_: str,
    name: str,
    *,
    dry_run: bool = False,
    within: "Transaction | None" = None,
) -> Applied:
    """Deletes a manifest. Raises NotFound, Forbidden, Conflict (a file manages it, or others refer to it), BadRequest
    (others cannot be used without it)."""
    async with _change_of(control, caller, within, dry_run=dry_run) as change:
        rows = await change.manifests()
        stored = await _with_secrets(control, change)
        before = await _compiled(control, rows, stored)
        kind = kind_of(type_)
        giver = actor(caller, before.access)
        existing = next((row for row in rows if (row.type, row.name) == (type_, name)), None)
        versions = _versions(existing, before.manifests.get((type_, name)))
        require(before.access, giver, kind.delete, kind.of(name), type_, *versions)
        _refuse_managed_by_file(control, type_, name)
        if existing is None:
            raise NotFound(f"there is no {type_} named {name}")
        if type_ == "secret-group":
            await refuse_in_use(control, change, giver, name)
            secrets = {key: value for key, value in stored.secrets.items() if key[0] != name}
            stored = msgspec.structs.replace(stored, secrets=secrets)
        after = await _compiled(control, [row for row in rows if row is not existing], stored)
        _refuse_faults(before, after)
        escalation.refuse_escalation(before, after, giver, None)
        await _delete_with_contents(change, type_, name)
    if within is None and not dry_run:
        await control.changed()
    return Applied(
        action="DELETE",
        type=type_,
        name=name,
        manifest=None,
        existing_manifest=_masked_or_none(_struct(control, type_), existing),
        version=existing.version,
        dry_run=dry_run,
    )


def _change_of(
    control: Control, caller: Caller, within: "Transaction | None", *, dry_run: bool
) -> AbstractAsyncContextManager["Transaction"]:
    if within is not None:
        return nullcontext(within)
    return control.change(by=caller.subject, dry_run=dry_run)


async def refuse_breaking(
    control: Control, change: "Transaction", secrets: Mapping[tuple[str, str], str | None]
) -> None:
    """Raises BadRequest or Conflict: with these secrets, sealed, or without (None), a manifest could not be used."""
    rows, stored = await change.manifests(), await _with_secrets(control, change)
    then = {**stored.secrets, **secrets}
    kept = {key: value for key, value in then.items() if value is not None}
    before = await _compiled(control, rows, stored)
    _refuse_faults(before, await _compiled(control, rows, msgspec.structs.replace(stored, secrets=kept)))


async def refuse_in_use(
    control: Control, change: "Transaction", caller: Caller, group: str, key: str | None = None
) -> None:
    """Raises Conflict: a manifest refers to the secret, or to any of the group, or keeps a token there."""
    stored = await _with_secrets(control, change)
    own = control.config.secrets(stored).own
    rows = await change.manifests()
    users: list[StoredManifest | Manifest] = [row for row in rows if _uses(_drawn_on(control, row), group, key)]
    users += [
        file
        for file in control.config.files
        if _uses({secret for secret in _drawn_on(control, file) if not own(*secret)}, group, key)
    ]
    if users:
        shown = [user for user in users if may_read(control.access, caller, user.type, user.name, user.data)]
        names = [f"{user.type} {user.name}" for user in shown[:USERS_SHOWN]]
        hidden = len(users) - len(names)
        names += [f"{hidden} more" if names else f"{hidden} that you may not see"] if hidden else []
        what = f"the secret {key} of {group}" if key is not None else f"the secret group {group}"
        raise Conflict(f"{what} is in use by {', '.join(names)}; change that first", code="in_use")


async def refuse_steering(control: Control, change: "Transaction", secrets: Mapping[tuple[str, str], bool]) -> None:
    """Raises Forbidden: other secrets go where one of these says. Who changes it need not be able to read those, but
    could have them sent to himself.

    Args:
        secrets: (group, key) -> whether it is an address by itself.
    """
    stored = await _with_secrets(control, change)
    own = control.config.secrets(stored).own
    in_files = {secret: is_address for secret, is_address in secrets.items() if not own(*secret)}
    users: list[tuple[StoredManifest | Manifest, Mapping[tuple[str, str], bool]]] = [
        *((row, secrets) for row in await change.manifests()),
        *((file, in_files) for file in control.config.files),
    ]
    for user, changes in users:
        found = secrecy.steering(_struct(control, user.type), user.data, changes, control.seal)
        if found is not None:
            group, key = found
            raise Forbidden(f"a manifest sends other secrets to the address in {key} of {group}; ask an admin")


async def entry_of(control: Control, caller: Caller, applied: Applied) -> Data:
    """What was applied as lists show it; after a dry run, as they would."""
    assert applied.manifest is not None
    manifest = Manifest(applied.type, applied.name, "api", 0, applied.manifest, version=applied.version or 0)
    [entry] = await entries(control, caller, [manifest])
    return {**entry, "manifest": applied.manifest}


def read_manifest(data: Data, *, by_admin: bool = False) -> Manifest:
    """Raises BadRequest: it has no usable type or name, or more inside than anybody writes."""
    faults: list[Fault] = []
    manifest = manifest_from(data, 0, "manifest", faults)
    if manifest is None:
        raise BadRequest(_texts(faults))
    if len(manifest.type) > MAX_NAME_CHARS or len(manifest.name) > MAX_NAME_CHARS:
        raise BadRequest(f"a type or name has at most {MAX_NAME_CHARS} characters", param="name")
    if _depth(data) > MAX_DEPTH:
        raise BadRequest(f"the manifest is nested deeper than {MAX_DEPTH}")
    return Manifest(manifest.type, manifest.name, "manifest", 0, data, version=0, by_admin=by_admin)


# --- the checks --------------------------------------------------------------


def _require_for_put(
    key: tuple[str, str],
    giver: Caller,
    before: Snapshot,
    existing: StoredManifest | None,
    versions: Iterable[Data],
    written_at: datetime | None,
) -> None:
    """`versions`: what the manifest says now, or will if there is none yet."""
    type_, name = key
    kind = kind_of(type_)
    permission, resource = kind.manage, kind.of(name)
    if existing is None and key not in before.manifests:
        permission, resource = kind.create, TENANT
    elif existing is not None and written_at is not None and written_at < existing.created_at:
        # Of one that was deleted: its keys are not for who made another of the same name.
        resource = TENANT
    require(before.access, giver, permission, resource, type_, *versions)


def _versions(stored: StoredManifest | None, in_force: Manifest | None) -> list[Data]:
    return [each.data for each in (stored, in_force) if each is not None]


def _refuse_taken_account(key: tuple[str, str], others: Iterable[StoredManifest]) -> None:
    """Two vendors' accounts of one name would be one resource, also while one of them is left out."""
    resource = kind_of(key[0]).of(key[1])
    for row in others:
        if kind_of(row.type).of(row.name) == resource:
            raise BadRequest(f"there is a {row.type} named {key[1]} already; take another name", param="name")


def _refuse_taken_aliases(type_: str, data: Data, others: Iterable[StoredManifest]) -> None:
    """What one virtual model is called is no other's name, also while its manifest is left out."""
    if type_ != VIRTUAL_MODELS:
        return
    wanted = _aliases(data)
    for row in others:
        if row.type == VIRTUAL_MODELS and (taken := sorted(wanted & _aliases(row.data))):
            raise BadRequest(f"{taken[0]} is the name of a virtual model in {row.name} already", param="alias")


def _aliases(data: Data) -> set[str]:
    """Slugs and aliases in a manifest, which may be none that can be used."""
    models = data.get("integrations")
    found: list[Any] = []
    for model in models if isinstance(models, list) else ():
        if isinstance(model, dict):
            alias = model.get("alias")
            found += [model.get("slug"), *(alias if isinstance(alias, list) else ())]
    return {text for text in found if isinstance(text, str)}


def _refuse_leftovers(
    control: Control, group: str, giver: Caller, others: Iterable[StoredManifest], stored: Stored
) -> None:
    """What is in a group when it is made belongs to somebody else: it was a file's group before, for example. And what
    manifests refer to already would be read from it."""
    if giver.is_admin:
        return
    if any(other == group for other, _ in stored.secrets):
        raise Forbidden(f"the group {group} holds secrets already; only an admin can make it")
    known: list[StoredManifest | Manifest] = [*others, *control.config.files]
    if any(_uses(_drawn_on(control, manifest), group) for manifest in known):
        raise Forbidden(f"manifests refer to a group {group} already; only an admin can make it")


def _refuse_faults(before: Snapshot, after: Snapshot) -> None:
    new = [fault for fault in after.left_out if fault not in before.left_out]
    if new:
        raise BadRequest(_texts(new))


def _new_warnings(before: Snapshot, after: Snapshot) -> list[str]:
    return [_text(fault) for fault in after.warnings if fault not in before.warnings]


def _heirs(before: Snapshot, made: str) -> list[str]:
    """Role bindings and virtual accounts outlive what they are about: whoever makes another of its name should know."""
    heirs = sorted(
        subject for subject, held in before.access.grants.items() if any(grant.resource == made for grant in held)
    )
    more = f" and {len(heirs) - USERS_SHOWN} more" if len(heirs) > USERS_SHOWN else ""
    named = f"{', '.join(heirs[:USERS_SHOWN])}{more}"
    return [f"{named} had roles on {made} before it was made, which count for this one"] if heirs else []


def _refuse_managed_by_file(control: Control, type_: str, name: str) -> None:
    for manifest in control.config.files:
        if (manifest.type, manifest.name) == (type_, name):
            where = f"{manifest.file}:{manifest.line}" if manifest.line else manifest.file
            raise Conflict(f"{type_} {name} is managed in {where}; change it there", code="managed_by_file")


# --- details -----------------------------------------------------------------


async def _compiled(
    control: Control, rows: Sequence[StoredManifest], stored: Stored, more: Manifest | None = None
) -> Snapshot:
    manifests = [manifest_of(row) for row in rows] + ([more] if more is not None else [])
    stored = msgspec.structs.replace(stored, manifests=manifests)
    try:
        return await asyncio.to_thread(control.config.compile, control.config.files, stored)
    except ConfigError as error:
        raise Conflict(f"the gateway's own files cannot be used just now: {_texts(error.faults)}") from error


async def _with_secrets(control: Control, change: "Transaction") -> Stored:
    """What is stored, with the secrets as they are within this change."""
    secrets = {(secret.group, secret.key): secret.value for secret in await change.secrets()}
    return msgspec.structs.replace(control.config.stored, secrets=secrets)


def _drawn_on(control: Control, manifest: StoredManifest | Manifest) -> set[tuple[str, str]]:
    """The secrets that a manifest refers to, and the one into which tokens are written; as (group, key)."""
    found = secrecy.drawn_on(_struct(control, manifest.type), manifest.data, control.seal)
    place = manifest.data.get("secret_store_config")
    if manifest.type == "virtual-account" and isinstance(place, dict):
        found.add((str(place.get("secret_group")), str(place.get("key"))))
    return found


def _uses(secrets: Iterable[tuple[str, str]], group: str, key: str | None = None) -> bool:
    """None: any of the group."""
    return any(secret[0] == group and key in (None, secret[1]) for secret in secrets)


def _vouched(snapshot: Snapshot, key: tuple[str, str]) -> set[str]:
    """Where a manifest leads to, and as whom; nothing when it is not in force."""
    document = snapshot.documents.get(key)
    return vouched_in(document) if document is not None else set()


def _depth(data: Data) -> int:
    depth = 0
    level: list[Any] = [data]
    while level:
        depth += 1
        values = chain.from_iterable(part.values() if isinstance(part, dict) else part for part in level)
        level = [value for value in values if isinstance(value, dict | list)]
    return depth


def _completed(type_: str, data: Data, before: Data | None) -> Data:
    """Left out in an update, the permissions of a virtual account stay as they are."""
    if type_ == "virtual-account" and before is not None and "permissions" not in data:
        return {**data, "permissions": before["permissions"]}
    return data


async def _delete_with_contents(change: "Transaction", type_: str, name: str) -> None:
    """With a virtual account go its tokens, and with a secret group its secrets."""
    await change.delete_manifest(type_, name, action="deleted")
    if type_ == "virtual-account":
        tokens = await change.tokens()
        await change.revoke_tokens([token.id for token in tokens if token.subject == f"virtualaccount:{name}"])
    if type_ == "secret-group":
        for secret in await change.secrets():
            if secret.group == name:
                await change.delete_secret(secret.group, secret.key)


async def _change(control: Control, change: Change) -> HistoryEntry:
    text = None
    if change.version is not None:
        struct = _struct(control, change.type)
        old = await control.store.manifest_version(change.type, change.name, change.version - 1)
        text = "\n".join(
            difference(
                _masked_or_none(struct, old),
                _masked_or_none(struct, change),
                old_name=f"{change.name} (version {change.version - 1})" if old is not None else "/dev/null",
                new_name=f"{change.name} (version {change.version})",
            )
        )
    return HistoryEntry(
        number=change.number,
        at=change.at,
        subject=change.subject,
        action=change.action,
        type=change.type,
        name=change.name,
        version=change.version,
        diff=text,
    )


def _masked_or_none(struct: type[msgspec.Struct] | None, row: StoredManifest | Change | None) -> Data | None:
    return secrecy.masked(struct, row.data) if row is not None and row.data is not None else None


def _struct(control: Control, type_: str) -> type[msgspec.Struct] | None:
    return struct_of(type_, control.config.providers)


def _text(fault: Fault) -> str:
    """Cut, because both may repeat a name of any length."""
    text = f"{fault.path}: {fault.message}" if fault.path else fault.message
    return text if len(text) <= MAX_FAULT_CHARS else f"{text[:MAX_FAULT_CHARS]}..."


def _texts(faults: Sequence[Fault]) -> str:
    return "; ".join(map(_text, faults))
