"""One order and what events do to it; the numbers are kept apart from the state.

Filled  is told twice: by fills (each with its price and fee) and by counts in reports. The larger one counts
        for every limit; ``fills_missing_e2`` says what the fills lack of it.
"""

from dataclasses import dataclass, field

from kalshi_platform.trading.exchange.account_answers import PlacedOrder
from kalshi_platform.trading.execution.orders.intents import Intent
from kalshi_platform.trading.execution.orders.reports import FillReport, OrderReport, ReportedStatus
from kalshi_platform.trading.execution.orders.states import (
    ENDED,
    MAYBE_THERE,
    STEPS,
    UNDECIDED,
    OrderEvent,
    OrderState,
)


@dataclass(slots=True)
class Order:
    """One order of this account's journal; only the ledger changes it."""

    number: int  # in the journal, from 1
    client_order_id: str
    intent: Intent
    exchange_index: int
    created_ns: int  # wall clock, before the request left
    fee_bound_e6: int = 0  # fees of the whole order at most
    state: OrderState = OrderState.PENDING
    order_id: str | None = None
    told_filled_e2: int = 0  # the most that any report counted
    fills_e2: int = 0  # sum of the fills that came
    fees_e6: int = 0  # of those fills
    writes: int = 1  # requests about it that this process made
    written_off_e2: int = (
        0  # counted by reports, in no whole list of fills: the position is taken over instead
    )
    was_refused: bool = False  # its create: nothing of it can fill
    refused_and_filled: bool = False  # told once as a contradiction
    cancel_wanted: bool = False  # by us, so that its end is no news
    is_let_out: bool = False  # its create left, or was about to: only this process knows, a restart cannot
    reason: str = ""  # of its end, in the exchange's words or ours
    fill_keys: set[tuple[str, str]] = field(default_factory=set)

    @property
    def filled_e2(self) -> int:
        """Size filled, as far as anything told it, 1e-2 contract."""
        return max(self.told_filled_e2, self.fills_e2)

    @property
    def fills_missing_e2(self) -> int:
        """Size that reports counted as filled and of which no fill came yet, 1e-2 contract."""
        return max(self.filled_e2 - self.fills_e2 - self.written_off_e2, 0)

    @property
    def left_e2(self) -> int:
        """Size that may still fill, 1e-2 contract: of an order that may be there, all of it."""
        return 0 if self.is_ended else max(self.intent.qty_e2 - self.filled_e2, 0)

    @property
    def exposed_e2(self) -> int:
        """Size that is not in the positions yet and counts against every limit, 1e-2 contract."""
        return self.left_e2 + self.fills_missing_e2

    @property
    def is_ended(self) -> bool:
        """True where nothing but late reports can come."""
        return self.state in ENDED

    @property
    def is_undecided(self) -> bool:
        """True where the outcome of a write about it is unknown."""
        return self.state in UNDECIDED

    @property
    def may_be_there(self) -> bool:
        """True where nobody knows yet whether the exchange has it: it counts as filled."""
        return self.state in MAYBE_THERE

    @property
    def may_have_filled(self) -> bool:
        """True where it may be there and nothing tells what filled of it: its loss counts as made.

        UNKNOWN, and PENDING once its create was let out: before, no exchange can have filled it. The exchange
        has told of all others: their fills come one by one, each with its price.
        """
        return self.state is OrderState.UNKNOWN or (self.state is OrderState.PENDING and self.is_let_out)

    def step(self, event: OrderEvent) -> bool:
        """Move by one event; True where it contradicts what the exchange said before."""
        step = STEPS[self.state][event]
        self.state = step.state
        self.was_refused |= event is OrderEvent.REFUSED
        filled = self.filled_e2 > 0 or event in (OrderEvent.PART_FILLED, OrderEvent.EXECUTED)
        before, self.refused_and_filled = self.refused_and_filled, self.was_refused and filled
        return step.surprise or (self.refused_and_filled and not before)


def event_of_answer(order: Order, placed: PlacedOrder) -> OrderEvent:
    """Return the event that an acknowledgement is; without both counts it says that the order is there.

    An end without a count of fills would free its slot while the position may be old.
    """
    if placed.remaining_e2 is None or placed.filled_e2 is None or placed.remaining_e2 > 0:
        return OrderEvent.RESTS
    return OrderEvent.EXECUTED if placed.filled_e2 >= order.intent.qty_e2 else OrderEvent.ENDED


def event_of_report(report: OrderReport) -> OrderEvent:
    """Return the event that a report of an order's stand is."""
    if report.status is ReportedStatus.RESTING:
        return OrderEvent.RESTS
    if report.status is ReportedStatus.EXECUTED or report.filled_e2 >= report.initial_e2 > 0:
        return OrderEvent.EXECUTED
    return OrderEvent.ENDED


def event_of_fill(order: Order, fill: FillReport) -> OrderEvent:
    """Return the event that a fill is, once it is added to the order's fills."""
    whole = order.fills_e2 + fill.qty_e2 >= order.intent.qty_e2
    return OrderEvent.EXECUTED if whole else OrderEvent.PART_FILLED
