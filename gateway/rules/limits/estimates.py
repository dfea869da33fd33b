"""What a request will probably use, learned from what requests to the same model have used."""

from collections.abc import Iterable

import msgspec

from gateway.contract import Ask, Target
from gateway.contract.limits import Amounts
from gateway.contract.usage import Usage

FIRST_OUTPUT_TOKENS = 500
"""The usual output of a model that nobody has heard yet."""
FIRST_CORRECTION = 1.0
NEWS = 1 / 16
"""How much the latest request counts for what is usual."""
LARGEST_CORRECTION = 8.0
SMALLEST_CORRECTION = 0.25
"""Padding that a provider ignores must not teach that text has no tokens: what others send next would seem small."""
UNKNOWN_COST = 1
"""In nano-dollars: what has no price is not free, so it does not pass where a budget is used up."""
MOST_TOKENS = 10**9
"""No request takes more. So sums of what is reserved fit into 64 bits, whatever callers write."""
MAX_MODELS = 10_000


class Usual:
    """Of one model: the tokens that an input of one estimated token has, and how long an output is."""

    __slots__ = ("correction", "output_tokens")

    def __init__(self) -> None:
        self.correction = FIRST_CORRECTION
        self.output_tokens = float(FIRST_OUTPUT_TOKENS)


class Estimates:
    """For each process its own; a new one learns within some dozen requests."""

    def __init__(self) -> None:
        self._usual: dict[str, Usual] = {}

    def tokens(self, ask: Ask, target: Target) -> tuple[int, int]:
        """Of input, from the size of the text; of output, the caller's limit, else as many as is usual."""
        usual = self._usual.get(target.name)
        most = ask.max_output_tokens or 0
        if most < 1:
            most = 0 if not ask.has_output else FIRST_OUTPUT_TOKENS if usual is None else int(usual.output_tokens)
        correction = FIRST_CORRECTION if usual is None else usual.correction
        return int(ask.input_tokens * correction) + 1, min(most * ask.choices, MOST_TOKENS)

    def usage(self, ask: Ask, target: Target) -> Usage:
        """The same, or what else is expected, in the unit that has a price."""
        if ask.expected:
            price = target.price
            known = (usage for usage in ask.expected if price is not None and price.knows(usage))
            return msgspec.structs.replace(next(known, ask.expected[0]), estimated=True)
        into, out = self.tokens(ask, target)
        return Usage(input=into, output=out, estimated=True)

    def need(self, ask: Ask, targets: Iterable[Target], at_s: float) -> Amounts:
        """What the most expensive of the targets would take."""
        most = dearest = 0
        for target in targets:
            if ask.expected:
                usage = self.usage(ask, target)
                most = max(most, usage.input_tokens + usage.output_tokens)
                price = target.price
                is_known = price is not None and price.knows(usage)
                dearest = max(dearest, price.cost(usage, at_s) if price is not None and is_known else UNKNOWN_COST)
                continue
            into, out = self.tokens(ask, target)
            if into + out > most:
                most = into + out
            cost = target.price.text_cost(into, out, at_s) if target.price is not None else UNKNOWN_COST
            if cost > dearest:
                dearest = cost
        return Amounts(most, dearest)

    def corrected(self, estimated: Usage, target: Target) -> Usage:
        """One that was counted from what passed by, its input as it usually is; what the provider has told of it is
        right."""
        if estimated.untold != "input":
            return estimated
        usual = self._usual.get(target.name)
        correction = usual.correction if usual is not None else FIRST_CORRECTION
        return msgspec.structs.replace(estimated, input=int(estimated.input * correction), untold=None)

    def learn(self, ask: Ask, target: Target, usage: Usage) -> None:
        """From what the provider says; not from estimates, and not from pictures, whose number tells of no tokens."""
        if usage.estimated or usage.images:
            return
        usual = self._usual.get(target.name)
        if usual is None:
            if len(self._usual) >= MAX_MODELS:
                self._usual.clear()
            usual = self._usual[target.name] = Usual()
        if ask.input_tokens > 0:
            ratio = max(SMALLEST_CORRECTION, min(usage.input_tokens / ask.input_tokens, LARGEST_CORRECTION))
            usual.correction += NEWS * (ratio - usual.correction)
        if ask.has_output and ask.max_output_tokens is None and ask.choices == 1:  # else it was the caller's doing
            usual.output_tokens += NEWS * (usage.output_tokens - usual.output_tokens)
