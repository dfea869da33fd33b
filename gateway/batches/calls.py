"""Calls of the gateway's own, about batches and files at providers."""

from gateway.contract import Ask, Call, Request
from gateway.contract.objects import AccountObject, ObjectAsk
from gateway.dialects.accounts import ACCOUNT_APIS, BATCH, FILE, AccountApi


def about_batches(batch: AccountObject) -> Call:
    """For how it is now."""
    return _call("batches", ObjectAsk(api="batches", type=BATCH, action="read", id=batch.id), "/batches/{id}", batch)


def content_of(file: AccountObject) -> Call:
    asked = ObjectAsk(api="files", type=FILE, action="pass", id=file.id)
    return _call("files", asked, "/files/{id}/content", file)


def _call(api: str, asked: ObjectAsk, route: str, about: AccountObject) -> Call:
    request = Request(method="GET", route=route, path_params={"id": about.provider_id})
    return Call(_DIALECTS[api], Ask(None, has_output=False, account=about.account, object=asked), request)


_DIALECTS: dict[str, AccountApi] = {api.name: api for api in reversed(ACCOUNT_APIS)}
