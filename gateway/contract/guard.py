"""What looks at requests and at replies."""

from collections.abc import Sequence
from typing import Protocol

from gateway.contract.call import Call
from gateway.contract.record import Outcome


class Guard(Protocol):
    """Looks at a request before it is sent on, and may attach observers to the reply."""

    async def check(self, call: Call) -> "Sequence[Observer]":
        """Raises Blocked."""


class Observer(Protocol):
    """Looks at a reply while it passes.

    `chunk` sees the very bytes that go to the client; it must not wait or copy, and may raise Blocked. `end` is called
    exactly once, however the reply ends.
    """

    def chunk(self, data: bytes) -> None: ...

    def end(self, outcome: Outcome) -> None: ...
