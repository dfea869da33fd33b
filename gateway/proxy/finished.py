"""What a provider's own batch has cost: a bill for its owner, when it is first seen finished.

Its requests do not pass the gateway, so what they use cannot be reserved, and nothing tells that it has ended but
somebody who looks. OpenAI says then which model it was, and what was used in all; others may say nothing
there, and their batches are not billed.

Source: openai-python 3.54 (types/batch.py, types/batch_usage.py), read 2026-11.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from gateway.contract import Caller, Target
from gateway.contract.objects import AccountObject
from gateway.contract.usage import Usage
from gateway.contract.windows import utc_now
from gateway.proxy.admission import Admission

VARIANT = "processing=batch"
"""Of prices."""
MAX_REMEMBERED = 1000


class BatchBills:
    """
    Args:
        caller_of: a subject as a caller with what it may do now; None: it is nobody any more.
        target_of: account, the provider's name for a model -> it; None: it is not configured, and has no price.
    """

    def __init__(
        self,
        admission: Admission,
        *,
        caller_of: Callable[[str], Caller | None],
        target_of: Callable[[str, str], Target | None],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.admission = admission
        self.caller_of = caller_of
        self.target_of = target_of
        self.clock = clock
        # The ledger takes each bill once; budgets would count it again for each of those who look at the same moment.
        self._billed: OrderedDict[str, None] = OrderedDict()

    async def finished(self, batch: AccountObject, fields: Mapping[str, msgspec.Raw]) -> None:
        """
        Args:
            batch: which has ended, at its provider.
            fields: what the provider says of it.
        """
        id_ = f"{batch.provider_id}@{batch.account}"
        usage = Usage.from_openai(_read(fields, "usage"))
        if id_ in self._billed or usage is None or not (usage.input_tokens or usage.output_tokens):
            return
        self._billed[id_] = None
        if len(self._billed) > MAX_REMEMBERED:
            self._billed.popitem(last=False)
        model = _read(fields, "model")
        model = model[:200] if isinstance(model, str) and model.isprintable() else ""
        caller = self.caller_of(batch.owner) or Caller(batch.owner)
        target, name = self.target_of(batch.account, model), f"{batch.account}/{model}"
        try:
            await self.admission.bill(caller, name, target, usage, id_=id_, variant=VARIANT, at=self.clock())
        except BaseException:
            self._billed.pop(id_, None)  # whoever looks next has it billed
            raise


def target_of(targets: Mapping[str, Target], account: str, model: str) -> Target | None:
    """Of an account, by the provider's name for it; OpenAI says which release of it answered (`gpt-5-2025-08-07`), and
    the longest name that it begins with is that of the model."""
    own = [each for each in targets.values() if each.account == account and each.model]
    fits = [each for each in own if model == each.model or model.startswith(f"{each.model}-2")]
    return max(fits, key=lambda each: len(each.model), default=None)


def _read(fields: Mapping[str, msgspec.Raw], name: str) -> Any:
    try:
        return msgspec.json.decode(fields[name]) if name in fields else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
