"""The one way into limits and budgets, and out of them again.

Before a request is sent, what it may use is reserved; when it has ended, however it ended, that is replaced by what it
did use, and written into the ledger: one bill for each request.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from copy import copy
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from gateway.contract import Ask, Caller, Choice, Outcome, Target
from gateway.contract.entry import Charge, Entry
from gateway.contract.limits import Amounts, Counters, Hold, Level, Mode, Ticket, Unit, Verdict
from gateway.contract.price import Bill
from gateway.contract.usage import Usage
from gateway.errors import RateLimited
from gateway.proxy.exchange import Attempt, Exchange, outcome_of
from gateway.rules.limits import Policies
from gateway.rules.limits.estimates import Estimates
from gateway.rules.limits.refusals import limit_headers, refusal, rule_header
from gateway.rules.limits.verdict import refusing

NOTHING = Amounts()
_USED_UP = frozenset({Unit.TOKENS, Unit.COST})


class Ledger(Protocol):
    def add(self, entry: Entry) -> None:
        """Never waits and never raises."""


class Admission:
    """Lets requests in as long as there is room for them.

    Args:
        policies: those in force.
        ledger: where bills are kept; None: nowhere.
    """

    def __init__(
        self,
        *,
        counters: Counters,
        policies: Callable[[], Policies] = Policies,
        estimates: Estimates | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.counters = counters
        self.policies = policies
        self.estimates = estimates or Estimates()
        self.ledger = ledger
        self.refused: Counter[str] = Counter()
        """Rule -> requests it has refused."""
        self.audited: Counter[str] = Counter()
        """Rule -> requests it would have refused, if it were enforced."""

        self.nominated: Counter[tuple[str, bool]] = Counter()
        """(rule, whether it is a budget) -> requests it was about."""
        self.applied: Counter[tuple[str, bool]] = Counter()
        """The same -> those it has refused."""
        self.budgets: dict[str, Level] = {}
        """Key of a counter that all share -> how full that budget was when it was last asked for."""
        self.unpriced = 0
        """Requests that used something whose cost nobody knows."""

    def holds(self, exchange: Exchange) -> Sequence[Hold]:
        """What a request draws on, as far as its rules can tell before its target is chosen."""
        choice = exchange.choice
        policies = self.policies()
        if choice is None or exchange.caller is None or policies.is_empty:
            return ()
        names = (choice.target.name,)
        return policies.holds(exchange.caller, names, exchange.metadata, is_final=_is_final(choice))

    async def enter(self, exchange: Exchange) -> None:
        """Takes from all of `exchange.holds`, or nothing. Of a route's targets those are passed over for which there is
        no room, if there is some for others that need less.

        Raises:
            RateLimited: there is no room.
        """
        targets = exchange.choice.targets if exchange.choice is not None else ()
        need = self._need(exchange, targets)
        verdict = await self.counters.reserve(exchange.holds, need)
        while verdict.refused is not None and (fewer := self._fewer(exchange, targets, need, verdict.refused)):
            exchange.affordable = frozenset(target.name for target in fewer)
            exchange.too_dear = self._error(exchange, verdict, need)
            targets = fewer
            need = self._need(exchange, targets)
            verdict = await self.counters.reserve(exchange.holds, need)
        exchange.ticket = self._taken(exchange, verdict, need)

    def enter_target(self, exchange: Exchange, target: Target) -> Awaitable[None] | None:
        """What a request draws on besides, because it goes to this target; asked before each attempt. None: nothing, as
        no rule looks at models.

        Raises:
            RateLimited: there is no room for it there. Another target may have some.
        """
        if exchange.too_dear is not None and target.name not in exchange.affordable:
            raise exchange.too_dear
        return self._enter_target(exchange, target) if self.policies().looks_at_models else None

    async def _enter_target(self, exchange: Exchange, target: Target) -> None:
        choice = exchange.choice
        if exchange.target_ticket is not None:  # of the attempt before, which used nothing
            self.counters.settle(exchange.target_ticket, NOTHING)
            exchange.target_ticket = None
        if choice is None or exchange.caller is None or _is_final(choice):
            return
        asked, metadata = choice.target.name, exchange.metadata
        more = self.policies().more_holds(exchange.caller, asked, target.name, metadata, exchange.holds)
        if more:
            need = self._need(exchange, (target,))
            exchange.target_ticket = self._taken(exchange, await self.counters.reserve(more, need), need)

    async def count(self, exchange: Exchange) -> None:
        """Counts what a session has used so far, while it goes on.

        Raises:
            RateLimited: a limit or budget is used up, so it has to end. What was used then counts at its end.
        """
        call, attempt = exchange.call, exchange.attempt
        tickets = [ticket for ticket in (exchange.ticket, exchange.target_ticket) if ticket is not None]
        holds = [hold for ticket in tickets for hold in ticket.holds if hold.unit in _USED_UP]
        if not holds or call is None or attempt is None:
            return
        used = self._charge(exchange, call.ask, attempt, Outcome.COMPLETE)
        more = _beyond(used, exchange.counted or NOTHING)
        verdict = await self.counters.reserve(holds, more)
        if verdict.ticket is None:
            assert verdict.refused is not None
            self.refused[verdict.refused.hold.rule] += 1
            raise self._error(exchange, verdict, more)
        exchange.counted = used
        self.counters.settle(verdict.ticket, more)

    async def check(self, exchange: Exchange) -> None:
        """Whether a session may go on, whoever has used what there was. What it has reserved itself is its own.

        Raises:
            RateLimited: a budget is used up.
            Unavailable: nobody can say just now.
        """
        budgets = [hold for hold in self.holds(exchange) if hold.is_budget and hold.unit in _USED_UP]
        if not budgets:
            return
        own: Counter[str] = Counter()
        for ticket in filter(None, (exchange.ticket, exchange.target_ticket)):
            for hold in ticket.holds:
                own[hold.key] += ticket.need.of(hold.unit)
        levels = await self.counters.levels(budgets)
        fits = [level.used - own[level.hold.key] < level.hold.limit for level in levels]
        if (place := refusing(budgets, fits)) is not None:
            verdict = Verdict(None, levels, levels[place], levels[place].resets_s)
            self.refused[budgets[place].rule] += 1
            raise self._error(exchange, verdict, NOTHING)

    def leave(self, exchange: Exchange, error: BaseException | None) -> None:
        """Settles, and writes down what it costs. Waits for nothing, so that no end of a request can keep it from that.

        Args:
            error: how the request ended; None: well.
        """
        error = error or exchange.error
        outcome = outcome_of(error) if error is not None else Outcome.COMPLETE
        used: Amounts | None = None
        call, attempt = exchange.call, exchange.attempt
        if call is not None and (exchange.side_calls or _was_asked(exchange)):
            used = self._charge(exchange, call.ask, attempt, outcome)
            if attempt is not None and attempt.usage is not None:
                self.estimates.learn(call.ask, attempt.target, attempt.usage)
                self.unpriced += exchange.cost is None
        tickets = [ticket for ticket in (exchange.ticket, exchange.target_ticket) if ticket is not None]
        rest = used if used is None or exchange.counted is None else _beyond(used, exchange.counted)
        for ticket in tickets:
            self.counters.settle(ticket, rest)
        if self.ledger is not None and used is not None:
            for entry in _entries(exchange, tickets, used, outcome):
                self.ledger.add(entry)

    def beside(
        self, caller: Caller, model: str, usage: Usage | None, bill: Bill | None, *, id_: str, at: datetime
    ) -> Entry:
        """What the ledger keeps of what was used beside all requests, and so was not reserved: it draws on budgets, and
        on limits of whole days and longer, also beyond their end.

        Args:
            id_: of its bill; with the ledger there is one of each.
        """
        tokens = usage.input_tokens + usage.output_tokens if usage is not None else 0
        used = Amounts(tokens, bill.cost if bill is not None else 0)
        holds = self.policies().holds(caller, (model,), {})
        drawn_on = [hold for hold in holds if hold.window.is_calendar and hold.unit in _USED_UP]
        return Entry(
            request_id=id_,
            at=at,
            subject=caller.subject,
            teams=caller.teams,
            model=model,
            resolved_model=model,
            outcome=Outcome.COMPLETE,
            usage=usage,
            bill=bill,
            charges=tuple([Charge(hold, used.of(hold.unit)) for hold in drawn_on]),
        )

    async def draw(self, entry: Entry) -> None:
        """Counts what `beside` has made. Once: nobody here knows whether it was counted before."""
        usage, bill = entry.usage, entry.bill
        self.unpriced += bill is None
        tokens = usage.input_tokens + usage.output_tokens if usage is not None else 0
        verdict = await self.counters.reserve([charge.hold for charge in entry.charges], NOTHING)
        if verdict.ticket is not None:
            self.counters.settle(verdict.ticket, Amounts(tokens, bill.cost if bill is not None else 0))

    def so_far(self, exchange: Exchange) -> Sequence[Entry]:
        """The bills of a request under way, if the gateway stopped now; none when no provider was asked yet."""
        call, attempt = exchange.call, copy(exchange.attempt)
        if call is None or attempt is None or attempt.sent_at is None:
            return ()
        stopped, reading = copy(exchange), attempt.reading
        stopped.attempt = attempt
        if attempt.usage is None and reading is not None and stopped.answered_at is not None:
            attempt.usage = reading.usage() or call.ask.so_far(reading.events)
        used = self._charge(stopped, call.ask, attempt, Outcome.STOPPED)
        tickets = [ticket for ticket in (exchange.ticket, exchange.target_ticket) if ticket is not None]
        return _entries(stopped, tickets, used, Outcome.STOPPED)

    def _charge(self, exchange: Exchange, ask: Ask, attempt: Attempt | None, outcome: Outcome) -> Amounts:
        """What all of it comes to: the answer, and what was asked to find out who should answer."""
        tokens = cost = 0
        if attempt is not None and attempt.sent_at is not None and (attempt.usage is None or attempt.usage.estimated):
            attempt.usage = self._usage(ask, attempt, outcome)
        elif attempt is not None and attempt.usage is not None and attempt.usage.untold is not None:
            attempt.usage = attempt.usage.completed(self._probable(ask, attempt))
        if attempt is not None and (usage := attempt.usage) is not None:
            if usage.images and ask.expected:
                attempt.usage = usage = usage.as_asked(ask.expected[-1])
            price = exchange.price = attempt.target.price
            if price is not None and attempt.service_tier is not None:
                price = exchange.price = price.for_variant(f"service_tier={attempt.service_tier}")
            at_s = _counts_at(exchange)
            exchange.cost = price.cost(usage, at_s) if price is not None else None
            if exchange.cost == 0 and price is not None and not price.knows(usage):
                # It tells of it in another unit than the price does.
                told = next((usage.beside(each) for each in ask.expected if price.knows(each)), None)
                if told is not None:
                    attempt.usage = usage = told
                exchange.cost = price.cost(usage, at_s) if told is not None else None
                exchange.price = price if told is not None else None
            if usage.stated_cost is not None and attempt.target.states_cost:
                exchange.price, exchange.cost = None, usage.stated_cost
                exchange.bill = Bill.stated(attempt.target.name, usage.stated_cost)
            tokens, cost = usage.input_tokens + usage.output_tokens, exchange.cost or 0
        for judge, its_usage in exchange.side_calls:
            tokens += its_usage.input_tokens + its_usage.output_tokens
            cost += judge.cost(its_usage, exchange.at) or 0
        return Amounts(tokens, cost)

    def _usage(self, ask: Ask, attempt: Attempt, outcome: Outcome) -> Usage | None:
        """What the provider said, or what it probably was; None when it gave no answer."""
        usage, target = attempt.usage, attempt.target
        if usage is not None:
            return self.estimates.usage(ask, target) if ask.expected else self.estimates.corrected(usage, target)
        match outcome:
            case Outcome.COMPLETE | Outcome.BLOCKED:
                return self.estimates.usage(ask, target)
            case Outcome.CLIENT_LEFT | Outcome.STOPPED if (attempt.status or 200) < 300:
                # It reads what it was sent, whether anybody waits for the answer or not.
                return msgspec.structs.replace(self.estimates.usage(ask, target), output=0)
        return None

    def _probable(self, ask: Ask, attempt: Attempt) -> Usage:
        """What it would be taken for if the provider had said nothing."""
        reading, target = attempt.reading, attempt.target
        if reading is None or not reading.is_stream or ask.expected:
            return self.estimates.usage(ask, target)
        return self.estimates.corrected(ask.so_far(reading.events), target)

    def _need(self, exchange: Exchange, targets: Iterable[Target]) -> Amounts:
        """For the most expensive of the targets."""
        call = exchange.call
        return self.estimates.need(call.ask, targets, exchange.at) if call is not None else NOTHING

    def _taken(self, exchange: Exchange, verdict: Verdict, need: Amounts) -> Ticket:
        exchange.limit_headers = limit_headers(verdict.levels)
        if verdict.ticket is None:
            assert verdict.refused is not None
            hold = verdict.refused.hold
            self.refused[hold.rule] += 1
            self.nominated[hold.rule, hold.is_budget] += 1
            self.applied[hold.rule, hold.is_budget] += 1
            exchange.limit_headers.append(rule_header(verdict.refused))
            raise self._error(exchange, verdict, need)
        for level in verdict.levels:
            hold = level.hold
            self.nominated[hold.rule, hold.is_budget] += 1
            if hold.is_budget and not hold.scope:
                self.budgets[hold.key] = level
            if level.used > hold.limit and hold.mode is Mode.AUDIT and need.of(hold.unit):
                self.audited[hold.rule] += 1
                exchange.audited_rules = (*exchange.audited_rules, hold.rule)
        return verdict.ticket

    def _error(self, exchange: Exchange, verdict: Verdict, need: Amounts) -> RateLimited:
        return refusal(verdict, exchange.call.ask.name if exchange.call is not None else "", need)

    def _fewer(self, exchange: Exchange, targets: Sequence[Target], need: Amounts, refused: Level) -> Sequence[Target]:
        """Those that need less than what was refused, and for which there seems to be room."""
        call, unit = exchange.call, refused.hold.unit
        if call is None or len(targets) == 1:
            return ()
        most = min(need.of(unit) - 1, refused.remaining)
        return [target for target in targets if self.estimates.need(call.ask, (target,), exchange.at).of(unit) <= most]


def _beyond(used: Amounts, counted: Amounts) -> Amounts:
    return Amounts(max(0, used.tokens - counted.tokens), max(0, used.cost - counted.cost))


def _was_asked(exchange: Exchange) -> bool:
    """Some provider was sent the request."""
    attempt = exchange.attempt
    if attempt is None or attempt.sent_at is not None:
        return attempt is not None
    return any(each.sent_at is not None for each in exchange.attempts)


def _is_final(choice: Choice) -> bool:
    """Where the request goes is known without asking any target."""
    return choice.route is None or choice.route.strategy == "only"


def _counts_at(exchange: Exchange) -> float:
    """The moment of which its price and its windows are, in seconds since 1970: when it drew on them, if it did."""
    ticket = exchange.ticket or exchange.target_ticket
    return ticket.at_s if ticket is not None else exchange.at


def _entries(exchange: Exchange, tickets: Sequence[Ticket], used: Amounts, outcome: Outcome) -> list[Entry]:
    charged = [hold for ticket in tickets for hold in ticket.holds if hold.window.is_calendar]
    charges = tuple([Charge(hold, used.of(hold.unit)) for hold in charged])
    entry = _entry(exchange, _counts_at(exchange), charges, outcome)
    if not exchange.side_calls:
        return [entry]
    return [entry, *(_aside_entry(exchange, number, *aside) for number, aside in enumerate(exchange.side_calls))]


def _entry(exchange: Exchange, at_s: float, charges: tuple[Charge, ...], outcome: Outcome) -> Entry:
    caller, call, attempt = exchange.caller, exchange.call, exchange.attempt
    assert call is not None
    return Entry(
        request_id=exchange.id,
        at=_utc(at_s),
        subject=caller.subject if caller is not None else "",
        teams=caller.teams if caller is not None else frozenset(),
        token_id=caller.token_id if caller is not None else None,
        model=call.ask.model or call.ask.name,
        resolved_model=attempt.target.name if attempt is not None else None,
        metadata=exchange.metadata,
        outcome=outcome,
        usage=attempt.usage if attempt is not None else None,
        price=exchange.price,
        bill=exchange.bill,
        charges=charges,
    )


def _aside_entry(exchange: Exchange, number: int, judge: Target, usage: Usage) -> Entry:
    """Its charges are in those of the request."""
    entry = _entry(exchange, exchange.at, (), Outcome.COMPLETE)
    stated_cost = usage.stated_cost if judge.states_cost else None
    return msgspec.structs.replace(
        entry,
        request_id=f"{exchange.id}/{number + 1}",
        resolved_model=judge.name,
        usage=usage,
        price=judge.price if stated_cost is None else None,
        bill=Bill.stated(judge.name, stated_cost) if stated_cost is not None else None,
    )


def _utc(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)
