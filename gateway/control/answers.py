"""How the control API shows what it keeps: with all fields that TrueFoundry's SDK reads, and ours beside them.

Source: the types of truefoundry-sdk 0.6.0, which refuses an answer of which a field is missing or null.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from gateway.config.compile.snapshot import struct_of
from gateway.contract import Caller
from gateway.control import masking as secrecy
from gateway.control.control import Control
from gateway.errors import BadRequest
from gateway.manifests import Manifest
from gateway.rules.access.roles import VIRTUAL_ACCOUNT
from gateway.secrecy.tokens import NEVER_S
from gateway.state.database.rows import StoredManifest, StoredSecret, StoredToken

D = TypeVar("D", int, None)
Data = dict[str, Any]

TENANT_NAME = "default"
"""A gateway has one tenant, so its name says nothing; in references and grants any other does as well."""
UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)
"""When what stands in a file was written, or a user first heard of. Clients take no null."""
NEVER = datetime.fromtimestamp(NEVER_S, UTC)
MAX_DIGITS = 18


def page(query: Mapping[str, str], rows: Sequence[Any]) -> Data:
    """A list, from `offset` on and `limit` long; without a limit, all of it. Clients go on until a page is empty."""
    offset, limit = number(query, "offset", 0), number(query, "limit", len(rows))
    pagination = {"total": len(rows), "offset": offset, "limit": limit}
    return {"data": rows[offset : offset + limit], "pagination": pagination}


def number(query: Mapping[str, str], name: str, default: D) -> int | D:
    """Raises BadRequest: it is none."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > MAX_DIGITS:
        raise BadRequest(f"{name} has to be a number", param=name)
    return int(text)


def kept(
    id_: str,
    created_at: datetime | None,
    created_by: str | None,
    updated_at: datetime | None = None,
    updated_by: str | None = None,
) -> Data:
    """What is said of everything: whose it is, and who made and changed it when. `id_` is what paths name it by."""
    return {
        "id": id_,
        "tenantName": TENANT_NAME,
        "accountId": TENANT_NAME,
        "createdAt": created_at or UNKNOWN_TIME,
        "createdBy": created_by,
        "createdBySubject": subject(created_by),
        "updatedAt": updated_at or created_at or UNKNOWN_TIME,
        "updatedBy": updated_by or created_by,
    }


def subject(text: str | None) -> Data:
    """`user:ana@example.com` in parts. None, and what the gateway does itself: as a service account."""
    kind, _, name = (text or "gateway").partition(":")
    if not name:
        kind, name = "serviceaccount", kind
    return {"subjectId": name, "subjectType": kind, "subjectSlug": name, "subjectDisplayName": name}


def fqn(*parts: str) -> str:
    """`default:openai:openai-main`"""
    return ":".join((TENANT_NAME, *parts))


async def entries(control: Control, caller: Caller, manifests: Iterable[Manifest]) -> list[Data]:
    """Manifests: who changed each when, itself without its secrets, and what else is known of it.

    The tokens of a virtual account are for who manages it; everything else is for all who may read the manifest.
    """
    manifests = [*manifests]
    families = {manifest.family for manifest in manifests}
    stored = {(row.type, row.name): row for row in await control.store.manifests()}
    tokens = await control.store.tokens() if "virtual-account" in families else []
    secrets = await control.store.secrets() if "secret-group" in families else []
    found = []
    for manifest in manifests:
        # A row of the same name may not be in force.
        row = stored.get((manifest.type, manifest.name)) if manifest.version is not None else None
        entry = _entry(control, manifest, row)
        match manifest.family:
            case "provider-account":
                struct = struct_of(manifest.type, control.config.providers)
                entry |= _of_account(entry, manifest.type.partition("/")[2], struct)
            case "team":
                entry |= _of_team(entry["manifest"])
            case "virtual-account":
                manages = control.access.holds(caller, VIRTUAL_ACCOUNT.manage, VIRTUAL_ACCOUNT.of(manifest.name))
                entry |= _of_virtual_account(tokens if manages else [], f"virtualaccount:{manifest.name}", control)
            case "secret-group":
                entry |= _of_group(secrets, manifest.name)
        found.append(entry)
    return found


def secret_entry(secret: StoredSecret) -> Data:
    """Without its value."""
    return {
        **kept(f"{secret.group}:{secret.key}", secret.updated_at, secret.updated_by),
        "fqn": fqn(secret.group, secret.key),
        "name": secret.key,
        "key": secret.key,
        "secretGroupId": secret.group,
    }


def _entry(control: Control, manifest: Manifest, row: StoredManifest | None) -> Data:
    times = (row.created_at, row.created_by, row.updated_at, row.updated_by) if row is not None else (None, None)
    where = f"file:{manifest.file}:{manifest.line}"
    return {
        "type": manifest.type,
        "name": manifest.name,
        **kept(manifest.name, *times),
        "managedBy": where if manifest.version is None else "api",
        "isEditable": manifest.version is not None,
        "version": manifest.version,
        "manifest": secrecy.masked(struct_of(manifest.type, control.config.providers), manifest.data),
    }


def _of_account(entry: Data, vendor: str, struct: type[msgspec.Struct] | None) -> Data:
    """With its models and whatever else it holds, each as `/provider-integrations` lists it."""
    name = entry["name"]
    given = entry["manifest"].get("integrations")
    usual, left_out = _usual(struct) if struct is not None else ((), {})
    integrations = [
        {
            "id": f"{name}/{each['name']}",
            "name": each["name"],
            "type": each["type"],
            "fqn": fqn(vendor, name, each["type"].split("/")[1], each["name"]),
            "provider": vendor,
            "providerAccountId": name,
            "providerAccountName": name,
            "providerAccountFqn": fqn(vendor, name),
            "manifest": each,
        }
        for each in ({**left_out, **each} for each in (usual if given is None else given))
    ]
    return {"fqn": fqn(vendor, name), "provider": vendor, "integrations": integrations}


@cache
def _usual(struct: type[msgspec.Struct]) -> tuple[Sequence[Data], Data]:
    """The integrations of an account that has no such field, and the type and name that one may leave out."""
    for field in msgspec.structs.fields(struct):
        if field.name == "integrations":
            usual: Sequence[Data] = msgspec.to_builtins(() if field.default is msgspec.NODEFAULT else field.default)
            bare = get_args(field.type)[0] if get_origin(field.type) is Annotated else field.type
            items = [each for each in get_args(bare) if isinstance(each, type)]
            fields = [each for item in items for each in msgspec.structs.fields(item)]
            named = [each for each in fields if each.name in ("type", "name") and isinstance(each.default, str)]
            return usual, {each.name: each.default for each in named}
    return (), {}


def _of_team(manifest: Data) -> Data:
    return {
        "description": manifest.get("description") or "",
        "members": manifest.get("members") or [],
        "managers": manifest.get("managers") or [],
    }


def _of_virtual_account(tokens: Iterable[StoredToken], subject: str, control: Control) -> Data:
    """With the tokens that work."""
    now = control.now()
    live = [each for each in tokens if each.subject == subject and (each.expires_at is None or each.expires_at > now)]
    newest = max(live, key=lambda token: token.created_at, default=None)
    return {
        "jwtId": newest.id if newest is not None else None,
        "jwts": [
            {
                "id": token.id,
                "subjectType": "virtualaccount",
                "subjectId": subject.removeprefix("virtualaccount:"),
                "tokenType": token.token_type,
                "expiry": token.expires_at or NEVER,
                "createdAt": token.created_at,
                "updatedAt": token.created_at,
            }
            for token in live
        ],
    }


def _of_group(secrets: Iterable[StoredSecret], name: str) -> Data:
    return {"fqn": fqn(name), "associatedSecrets": [secret_entry(each) for each in secrets if each.group == name]}
