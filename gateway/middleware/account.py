"""Finds the account that is meant, where a request is about something that belongs to one."""

import msgspec

from gateway.contract import Call, Caller, Choice, Models, Target
from gateway.contract.objects import AccountObject, ObjectAsk, ObjectKind, Objects
from gateway.contract.price import Price, Tariff
from gateway.errors import BadRequest, NotFound
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.exchange import Exchange
from gateway.wire.account_apis import ACCOUNT_HEADER, with_provider_ids

FREE = Price(row="free", version="", tariffs=(Tariff(rates={}),))
SHOWN = 20
"""Accounts that an error names."""


class AccountMiddleware:
    """Fills `Exchange.choice` and `Exchange.account_object`; in the call, ids become those that the provider knows.

    The account is that of the object or file the caller names; else the one in `x-tfy-provider-name`; else the one that
    the model begins with; else the only one there is.
    """

    def __init__(self, app: ASGIApp, *, models: Models, objects: Objects) -> None:
        self.app = app
        self.models = models
        self.objects = objects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        call, caller = exchange.call, exchange.caller
        assert call is not None
        asked = call.ask.object
        assert asked is not None
        found = await self.objects.find(asked.type.kind, asked.id, caller) if asked.id is not None else None
        files = {name: await self.objects.find(ObjectKind.FILE, id_, caller) for name, id_ in asked.files.items()}
        target = self._target(call, asked, caller, [*([found] if found else []), *files.values()])
        model = self._model(asked, caller, target.account)
        exchange.account_object = found
        exchange.choice = Choice(standing_for(target, asked.api))
        call = with_provider_ids(
            call,
            object_id=found.provider_id if found is not None else None,
            files={name: file.provider_id for name, file in files.items()},
            model=model,
        )
        exchange.call = msgspec.structs.replace(call, ask=msgspec.structs.replace(call.ask, account=target.account))
        await self.app(scope, receive, send)

    def _target(self, call: Call, asked: ObjectAsk, caller: Caller | None, known: list[AccountObject]) -> Target:
        accounts = {each.account for each in known}
        if len(accounts) > 1:
            places = ", ".join(f"{each.id[:80]!r} at {each.account}" for each in known)
            raise BadRequest(f"these are at different accounts: {places}; upload the file to one of them, and use that")
        account = next(iter(accounts), None) or call.ask.account
        serving = self.models.serving(asked.api, caller, account)
        if account is None and asked.model is not None and len(serving) > 1:
            named = asked.model.partition("/")[0]
            serving = [target for target in serving if target.account == named] or serving
        if len(serving) == 1:
            return serving[0]
        if accounts:
            what = f"{known[0].kind} {known[0].id[:80]!r}"
            raise NotFound(
                f"{what} is at the account {account}, which you may not use any more, or which has no {asked.api} now",
                code="account_not_found",
            )
        raise self._unclear(asked.api, account, [target.account for target in serving], caller)

    def _unclear(self, api: str, account: str | None, serving: list[str], caller: Caller | None) -> BadRequest:
        serving = serving or [target.account for target in self.models.serving(api, caller)]
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


def standing_for(target: Target, api: str) -> Target:
    """The account of a target, in the place of one of its models; limits know it as `account/files`."""
    return msgspec.structs.replace(target, name=f"{target.account}/{api}", model="", price=FREE)
