"""Keeps callers from using each other's files: providers see one key for all of them, and would not mind."""

import asyncio
from collections.abc import Awaitable, Iterable

from gateway.contract import Caller, FormBody, JsonBody
from gateway.contract.objects import ObjectKind, Objects, not_found
from gateway.errors import BadRequest, NotFound
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.bodies import LARGE
from gateway.proxy.exchange import Exchange
from gateway.wire.file_references import files_in, files_in_form, may_refer


class FileReferencesMiddleware:
    """Refuses calls that name a file of somebody else. Those that nobody has made through the gateway pass: they are
    what the operator has put at the account."""

    def __init__(self, app: ASGIApp, *, objects: Objects) -> None:
        self.app = app
        self.objects = objects

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        exchange = Exchange.of(scope)
        call = exchange.call
        body = call.request.body if call is not None else None
        if isinstance(body, JsonBody):
            if not may_refer(body.data):
                return self.app(scope, receive, send)
        elif not isinstance(body, FormBody):
            return self.app(scope, receive, send)
        return self._checked(body, exchange.caller, scope, receive, send)

    async def _checked(
        self, body: JsonBody | FormBody, caller: Caller | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if isinstance(body, FormBody):
            named = files_in_form(body)
        else:
            data = body.data
            named = files_in(data) if len(data) <= LARGE else await asyncio.to_thread(files_in, data)
        await refuse_others_files(self.objects, named, caller)
        await self.app(scope, receive, send)


async def refuse_others_files(objects: Objects, named: Iterable[str], caller: Caller | None) -> None:
    """
    Raises:
        NotFound: one of them is somebody else's.
        BadRequest: one has another id at its provider.
    """
    for id_ in named:
        try:
            file = await objects.find(ObjectKind.FILE, id_, None)
        except NotFound:
            continue
        if not file.is_seen_by(caller):
            raise not_found(ObjectKind.FILE, id_)
        if file.provider_id != id_:
            problem = f"the file {id_[:80]!r} has another id at {file.account}; upload it again to name it in a call"
            raise BadRequest(problem, code="file_ambiguous")
