"""APIs of what belongs to an account, and not to a model: where they stand, and how a provider is asked for them.

Source: platform.openai.com/docs/api-reference (files, uploads, batch, fine-tuning), read 2026-11.
"""

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote

import msgspec

from gateway.contract.call import Call
from gateway.contract.provider import Endpoint, UpstreamRequest
from gateway.contract.request import FormBody, JsonBody
from gateway.errors import BadRequest
from gateway.wire.address import address_of
from gateway.wire.form import upload_to
from gateway.wire.native import query_of
from gateway.wire.session_config import ACTIONS, CALLS

ACCOUNT_HEADER = "x-tfy-provider-name"
"""In which callers say which account is meant."""

CLIENTS_VERSION = ("api-version",)
"""What Azure's clients put into each query: of the API as they know it. An account at Azure has its own."""

ROOTS: Mapping[str, str] = MappingProxyType(
    {
        "files": "/files",
        "uploads": "/uploads",
        "batches": "/batches",
        "fine_tuning": "/fine_tuning/jobs",
        "models": "/models",
        ACTIONS: CALLS,
    }
)
"""Name of the API, as in `ObjectAsk.api` -> the path that all of its routes begin with."""


def account_request(call: Call, endpoint: Endpoint, *, boundary: str) -> UpstreamRequest:
    """The caller's own request, for a provider that has the same API.

    Args:
        endpoint: of the root of the API; what stands in its query goes along.
        boundary: of a form, as in `form_of`.

    Raises:
        BadRequest: the id would lead elsewhere.
    """
    asked, about = call.request, call.ask.object
    assert about is not None
    base, _, query = address_of(endpoint.url).target.partition("?")
    path = base + asked.route.removeprefix(ROOTS[about.api])
    for name, value in asked.path_params.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    if queries := "&".join(filter(None, (query_of(asked, without=CLIENTS_VERSION), query))):
        path += f"?{queries}"
    try:
        endpoint = endpoint.at(path, method=asked.method)
    except ValueError as error:
        raise BadRequest(f"there is no asking for that id: {error}", param="id") from error
    if isinstance(asked.body, FormBody):
        return upload_to(endpoint, asked.body.parts, boundary)
    if isinstance(asked.body, JsonBody):
        # Not the caller's bytes: of two fields of one name, the provider might believe the one that nobody looked at.
        return UpstreamRequest(endpoint, msgspec.json.encode(asked.body.fields))
    return UpstreamRequest(endpoint.with_headers({}, remove=("content-type",)), b"")


def with_provider_ids(call: Call, *, object_id: str | None, files: Mapping[str, str], model: str | None) -> Call:
    """With the names that the provider knows: of the object in the path, of files in fields, and of a model."""
    asked = call.request
    if object_id is not None and asked.path_params.get("id") != object_id:
        asked = msgspec.structs.replace(asked, path_params={**asked.path_params, "id": object_id})
    names = {**files, **({"model": model} if model is not None else {})}
    changed = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in names.items()}
    if isinstance(asked.body, JsonBody) and any(asked.body.fields.get(name) != raw for name, raw in changed.items()):
        asked = msgspec.structs.replace(asked, body=JsonBody({**asked.body.fields, **changed}))
    return msgspec.structs.replace(call, request=asked)
