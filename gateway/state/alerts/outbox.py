"""Sends the alerts that the ledger has noted, until they have arrived or nobody would care any more."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
import structlog

from gateway.contract.part import Part, Status
from gateway.contract.windows import utc_now
from gateway.errors import GatewayError
from gateway.logs import traceback_text
from gateway.manifests.notifications import NotificationTarget, ToSlackBot
from gateway.state.alerts.delivery import Undelivered
from gateway.state.background import background
from gateway.state.database.ledger_rows import Alert, DueAlert

POLL_S = 5.0
LEASE_S = 120.0
"""Longer than sending takes. One that died meanwhile is replaced after this."""
AT_ONCE = 20
FIRST_RETRY_S = 10.0
LAST_RETRY_S = 4 * 3600.0
MAX_ATTEMPTS = 18
"""Over about a day."""

log = structlog.get_logger(__name__)


class Store(Protocol):
    """What `gateway.state.database.ledger.LedgerStore` does for this."""

    async def claim_alerts(self, at: datetime, *, lease_s: float, limit: int) -> Sequence[DueAlert]: ...

    async def note_alert(
        self, due: DueAlert, *, state: str, targets: Sequence[Any], due_at: datetime | None, problem: str | None
    ) -> None: ...


class Outbox(Part):
    """Each alert is sent by one replica. Should that die after it was sent and before it could say so, another sends it
    once more: twice is better than never.

    Args:
        send: see `gateway.state.alerts.delivery.Delivery.send`.
        random: from 0 to 1.
    """

    name = "alerts"

    def __init__(
        self,
        store: Store,
        send: Callable[[Alert, NotificationTarget], Awaitable[None]],
        *,
        clock: Callable[[], datetime] = utc_now,
        random: Callable[[], float] = random.random,
        poll_s: float = POLL_S,
    ) -> None:
        self._store = store
        self._send = send
        self._clock = clock
        self._random = random
        self._poll_s = poll_s
        self.problem: str | None = None
        """Why alerts cannot be looked for just now."""

    @property
    def status(self) -> Status:
        return Status(self.problem)

    def running(self) -> AbstractAsyncContextManager[object]:
        return background(self.run())

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.send_due()
                self.problem = None
            except GatewayError as error:
                self.problem = error.message  # the ledger, which writes to the same database, has logged it
            except Exception:
                self.problem = "alerts are not sent; the log has more"
                log.error("alerts not sent", traceback=traceback_text())
            await asyncio.sleep(self._poll_s)

    async def send_due(self) -> int:
        """Tries all that are due.

        Returns:
            How many have gone to all their targets.

        Raises:
            Unavailable: the database cannot be reached.
        """
        sent = 0
        while due := await self._store.claim_alerts(self._clock(), lease_s=LEASE_S, limit=AT_ONCE):
            sent += sum(await asyncio.gather(*map(self._try, due)))
        return sent

    async def _try(self, due: DueAlert) -> bool:
        """Whether it has gone to all."""
        targets = [single for target in due.targets for single in _singles(target)]
        problems = await asyncio.gather(*[self._problem_with(due.alert, target) for target in targets])
        left = [target for target, problem in zip(targets, problems, strict=True) if problem is not None]
        problem = "; ".join(sorted({problem for problem in problems if problem is not None})) or None
        about = {"rule": due.alert.rule, "threshold": due.alert.threshold, "attempt": due.attempts}
        if not left:
            state, due_at = "sent", None
            log.info("alert sent", **about)
        elif due.attempts >= MAX_ATTEMPTS:
            state, due_at = "failed", None
            channels = [target.notification_channel for target in left]
            log.error("alert given up", problem=problem, channels=channels, **about)
        else:
            delay_s = retry_delay_s(due.attempts, self._random())
            state, due_at = "due", self._clock() + timedelta(seconds=delay_s)
            log.warning("alert not sent yet", problem=problem, retry_s=round(delay_s), **about)
        await self._store.note_alert(
            due, state=state, targets=msgspec.to_builtins(left), due_at=due_at, problem=problem
        )
        return not left

    async def _problem_with(self, alert: Alert, target: NotificationTarget) -> str | None:
        try:
            await self._send(alert, target)
        except Undelivered as error:
            return str(error)
        except Exception:
            log.error("alert not sent", traceback=traceback_text())
            return "a fault of the gateway; its log has more"
        return None


def retry_delay_s(attempts: int, chance: float) -> float:
    """`attempts`: those that failed, from 1. `chance`: from 0 to 1; with 0 it is half as long as with 1."""
    return min(FIRST_RETRY_S * 2.0 ** min(attempts - 1, 30), LAST_RETRY_S) * (0.5 + chance / 2)


def _singles(target: object) -> list[NotificationTarget]:
    """One for each channel of Slack: when the second fails, the first must not get it again."""
    known = msgspec.convert(target, NotificationTarget)
    if isinstance(known, ToSlackBot):
        return [msgspec.structs.replace(known, channels=(channel,)) for channel in known.channels]
    return [known]
