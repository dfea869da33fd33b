"""A provider for callers of an API that it does not have, where it has another that says the same."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.contract import Call, Dialect, Head, JsonBody, Provider, Reading, Target, Translator, UpstreamRequest
from gateway.contract.provider import ServesAccounts
from gateway.errors import Refused
from gateway.translators.joined import JoinedReading


class Translated:
    """A `Provider`, for one attempt.

    Args:
        provider: who is asked: in the caller's own API if it says that it serves that, else in the other.
        through: from the caller's API to the other.
        dialect: the other.
    """

    def __init__(self, provider: Provider, *, through: Translator, dialect: Dialect) -> None:
        self.accounts: Mapping[str, Any] = provider.accounts
        self._provider = provider
        self._through = through
        self._dialect = dialect
        self._inner: Call | None = None
        """The call in the other API, once it is made; None: it is not put into that."""

    def targets(self, account: Any) -> Iterable[Target]:
        return self._provider.targets(account)

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        provider = self._provider
        if isinstance(provider, ServesAccounts) and provider.serves(call.dialect.name, target):
            return provider.request(call, target)
        body = self._through.request(call, target.model)
        self._inner = msgspec.structs.replace(
            call, dialect=self._dialect, request=msgspec.structs.replace(call.request, body=body)
        )
        request = provider.request(self._inner, target)
        if not isinstance(body, JsonBody) or not body.dropped_params:
            return request
        return msgspec.structs.replace(request, dropped_params=(*body.dropped_params, *request.dropped_params))

    def reading(self, call: Call, target: Target, head: Head) -> Reading | None:
        inner = self._inner
        if inner is None:
            return self._provider.reading(call, target, head)
        between = self._provider.reading(inner, target, head) or inner.dialect.reading(inner, head)
        return JoinedReading(between, self._through.reading(call, head))

    def refusal(self, call: Call, target: Target, head: Head, body: bytes) -> Refused:
        if self._inner is None:
            return self._provider.refusal(call, target, head, body)
        refused = self._provider.refusal(self._inner, target, head, body)
        refused.body = None  # in another API's words
        return refused
