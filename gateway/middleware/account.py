"""Finds the account that is meant, where a request is about something that belongs to one."""

from collections.abc import Callable

import msgspec

from gateway.contract import Call, Caller, Choice, Models, Target
from gateway.contract.objects import AccountObject, ObjectAsk, ObjectKind, Objects, owner_of
from gateway.contract.price import Price, Tariff
from gateway.errors import BadRequest, NotFound
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.exchange import Exchange
from gateway.wire.account_apis import ACCOUNT_HEADER, ROOTS, with_provider_ids

FREE = Price(row="free", version="", tariffs=(Tariff(rates={}),))
STOOD_IN = frozenset({"files", "batches"})
SHOWN = 20
"""Accounts that an error names."""


class AccountMiddleware:
    """Fills `Exchange.choice` and `Exchange.account_object`; in the call, ids become those that the provider knows.

    The account is that of the object or file the caller names; else the one in `x-tfy-provider-name`; else the one that
    the model begins with; else the only one there is.

    Args:
        stand_in: the target in whose place the gateway itself has files and batches; None: it has none.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        models: Models,
        objects: Objects,
        stand_in: Callable[[Target], Target] | None = None,
    ) -> None:
        self.app = app
        self.stand_in = stand_in
        self.models = models
        self.objects = objects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        call, caller = exchange.call, exchange.caller
        assert call is not None
        asked = call.ask.object
        assert asked is not None
        found = await self._found(asked, caller)
        files = {name: await self.objects.find(ObjectKind.FILE, id_, caller) for name, id_ in asked.files.items()}
        target = self._target(call, asked, caller, [*([found] if found else []), *files.values()])
        model = self._model(asked, caller, target.account)
        exchange.account_object = found
        exchange.choice = Choice(standing_for(target, asked.api, is_free=asked.api in ROOTS or not call.request.body))
        call = with_provider_ids(
            call,
            object_id=found.provider_id if found is not None else None,
            files={name: file.provider_id for name, file in files.items()},
            model=model,
        )
        asked = msgspec.structs.replace(asked, owner=owner_of(caller))
        ask = msgspec.structs.replace(call.ask, account=target.account, object=asked)
        exchange.call = msgspec.structs.replace(call, ask=ask)
        await self.app(scope, receive, send)

    async def _found(self, asked: ObjectAsk, caller: Caller | None) -> AccountObject | None:
        """Raises NotFound."""
        if asked.id is None:
            return None
        try:
            return await self.objects.find(asked.type.kind, asked.id, caller)
        except NotFound:
            if not asked.may_be_new or await self._is_there(asked.type.kind, asked.id):
                raise
            return None

    async def _is_there(self, kind: ObjectKind, id_: str) -> bool:
        try:
            await self.objects.find(kind, id_, None)
        except NotFound:
            return False
        return True

    def _target(self, call: Call, asked: ObjectAsk, caller: Caller | None, known: list[AccountObject]) -> Target:
        places = {(each.account, each.is_kept_here) for each in known}
        if len(places) > 1:
            told = ", ".join(
                f"{each.id[:80]!r} at {'the gateway, for ' if each.is_kept_here else ''}{each.account}"
                for each in known
            )
            raise BadRequest(f"these are at different places: {told}; upload the file where it is used")
        if known:
            return self._target_of(known[0], asked.api, caller)
        account = call.ask.account
        serving = self._serving(asked.api, caller, account)
        if account is None and asked.model is not None and len(serving) > 1:
            named = asked.model.partition("/")[0]
            serving = [target for target in serving if target.account == named] or serving
        if len(serving) == 1:
            return serving[0]
        raise self._unclear(asked.api, account, [target.account for target in serving], caller)

    def _target_of(self, one: AccountObject, api: str, caller: Caller | None) -> Target:
        """Where an object is. Raises NotFound: that is not there any more."""
        if one.is_kept_here and self.stand_in is not None:
            serving = [self.stand_in(target) for target in self.models.serving(None, caller, one.account)]
        else:
            serving = [*self.models.serving(api, caller, one.account)]
        if serving:
            return serving[0]
        raise NotFound(
            f"{one.kind} {one.id[:80]!r} is at the account {one.account}, which you may not use any more, or which has "
            f"no {api} now",
            code="account_not_found",
        )

    def _serving(self, api: str, caller: Caller | None, account: str | None) -> list[Target]:
        """One for each account that has such an API; or, if it has none, for whom the gateway has."""
        own = self.models.serving(api, caller, account)
        if self.stand_in is None or api not in STOOD_IN or len(own) == 1:
            return [*own]
        served = {target.account for target in own}
        others = [each for each in self.models.serving(None, caller, account) if each.account not in served]
        return [*own, *map(self.stand_in, others)]

    def _unclear(self, api: str, account: str | None, serving: list[str], caller: Caller | None) -> BadRequest:
        serving = serving or [target.account for target in self._serving(api, caller, None)]
        names = ", ".join(sorted(serving)[:SHOWN]) or "none"
        if account is not None:
            problem = f"no account named {account[:200]!r} that has {api} and that you may use; there is: {names}"
        elif serving:
            problem = f"say which account is meant, in the header {ACCOUNT_HEADER}: {names}"
        else:
            problem = f"none of the accounts that you may use has an API for {api}"
        return BadRequest(problem, code="account_needed", param=ACCOUNT_HEADER)

    def _model(self, asked: ObjectAsk, caller: Caller | None, account: str) -> str | None:
        """The provider's name for a model that is called `account/model`; any other is the provider's already.

        Raises:
            UnknownModel, Forbidden: the caller may not use it.
        """
        if asked.model is None or not asked.model.startswith(f"{account}/"):
            return None
        return self.models.find(asked.model, caller, {}, None).target.model


def standing_for(target: Target, api: str, *, is_free: bool = True) -> Target:
    """The account of a target, in the place of one of its models; limits know it as `account/files`. Unless it is free,
    nobody here knows what is used."""
    return msgspec.structs.replace(target, name=f"{target.account}/{api}", model="", price=FREE if is_free else None)
