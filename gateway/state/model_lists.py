"""Which models the vendors of accounts with `account/*` have: asked in the background, so that no request waits."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from time import monotonic

import msgspec
import structlog

from gateway.contract import Target, Upstream, UpstreamRequest
from gateway.contract.part import Part
from gateway.contract.provider import ListsModels
from gateway.errors import BrokeOff, GatewayError, UpstreamError
from gateway.logs import traceback_text
from gateway.state.background import background

LOOK_S = 2.0
"""So soon a new account is seen."""
EVERY_S = 300.0
WAIT_S = 10.0
"""For one vendor's answer."""
MAX_BYTES = 8 * 1024 * 1024
MAX_NAMES = 2000
MAX_NAME_CHARS = 200

log = structlog.get_logger(__name__)


class Kept(msgspec.Struct):
    """What is known of one account. `request`: what was asked, key included; who changes it changes the account."""

    request: UpstreamRequest
    due_at: float
    names: Sequence[str] = ()
    is_failing: bool = False


class ModelLists(Part):
    """What a vendor said last is kept for as long as it says nothing else.

    Args:
        network: asks those vendors that have none of their own.
        targets: those in force, by name.
        clock: monotonic seconds.
    """

    name = "model lists"

    def __init__(
        self, network: Upstream, *, targets: Callable[[], Mapping[str, Target]], clock: Callable[[], float] = monotonic
    ) -> None:
        self._network = network
        self._targets = targets
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self._seen: Mapping[str, Target] | None = None
        self._found: Sequence[Target] = ()

    def running(self) -> AbstractAsyncContextManager[object]:
        return background(self._run())

    def names(self, any_model: str) -> Sequence[str]:
        """All of `account/*` that its vendor has, each as `account/model`."""
        kept = self._kept.get(any_model)
        return kept.names if kept is not None else ()

    async def refresh(self) -> None:
        """Asks for each list that is not known yet, or was asked for some time ago."""
        asked = {target.name: (target, request) for target in self._any_models() if (request := _listing(target))}
        self._kept = {name: kept for name, kept in self._kept.items() if name in asked}
        for name, (target, request) in asked.items():
            kept = self._kept.get(name)
            if kept is None or kept.request.endpoint.head != request.endpoint.head:
                kept = self._kept[name] = Kept(request, self._clock())
            if self._clock() >= kept.due_at:
                kept.due_at = self._clock() + EVERY_S
                await self._ask(target, kept)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self.refresh()

    def _any_models(self) -> Sequence[Target]:
        """There may be very many others, so they are looked for once in each configuration."""
        targets = self._targets()
        if targets is not self._seen:
            self._seen = targets
            self._found = [target for name, target in targets.items() if name.endswith("/*")]
        return self._found

    async def _ask(self, target: Target, kept: Kept) -> None:
        assert isinstance(target.provider, ListsModels)
        try:
            async with asyncio.timeout(WAIT_S):
                body = await _answer(kept.request, target, target.upstream or self._network)
            found = dict.fromkeys(filter(_is_name, target.provider.listed(target, body)))
        except Exception as error:  # of a plugin, too: the other lists are none the worse for it
            if not kept.is_failing:
                known = isinstance(error, GatewayError | TimeoutError | ValueError)
                trouble = {"reason": str(error) or "no answer in time"} if known else {"traceback": traceback_text()}
                log.warning("models not listed", account=target.account, **trouble)
            kept.is_failing = True
        else:
            kept.names = [f"{target.account}/{name}" for name in list(found)[:MAX_NAMES]]
            kept.is_failing = False


def _listing(target: Target) -> UpstreamRequest | None:
    provider = target.provider
    if not isinstance(provider, ListsModels):
        return None
    try:
        return provider.listing(target)
    except Exception:
        log.error("models not listed", account=target.account, traceback=traceback_text())
        return None


def _is_name(name: object) -> bool:
    """What could be asked for."""
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME_CHARS and name.isprintable() and " " not in name


async def _answer(request: UpstreamRequest, target: Target, network: Upstream) -> bytes:
    """Raises UpstreamError: there is no list."""
    if target.signer is not None:
        request = await target.signer.sign(request, network)
    reply = await network.call(request)
    try:
        if reply.status != 200:
            raise UpstreamError(f"the provider answered with status {reply.status}")
        pieces: list[bytes] = []
        size = 0
        while piece := await reply.read():
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BYTES:
                raise BrokeOff("the provider's list of models is too large")
    finally:
        reply.close()
    return b"".join(pieces)
