"""Differences between the journal and the exchange: each has a name, is counted, and the exchange wins."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.reports import FillReport


class DifferenceKind(StrEnum):
    """Kinds of differences."""

    MISSED_REPORT = "missed_report"  # the exchange knew more of an order of ours: its stand is taken over
    MISSED_FILL = "missed_fill"  # a fill of an order of ours that no report had brought: booked
    ABSENT_ORDER = "absent_order"  # an order of unknown outcome that the exchange never had: given up
    STILL_RESTS = "still_rests"  # a cancel of unknown outcome did nothing: the order rests
    RESTS_AFTER_END = "rests_after_end"  # an order that had ended here goes on resting there
    MISSED_SETTLEMENT = "missed_settlement"  # a market paid: booked
    MISSING_ORDER = "missing_order"  # an order that the exchange had is in none of its lists
    MISSING_FILL = "missing_fill"  # reports count more as filled than the whole list of fills has
    FOREIGN_ORDER = "foreign_order"  # an order of this account that this program did not make
    ANOTHER_SESSION = "another_session"  # an order of another journal of this program: two sessions trade
    OLDER_JOURNAL = "older_journal"  # an order of this journal that it does not hold: a restored copy
    FOREIGN_FILL = "foreign_fill"  # a fill of such an order: booked, since the position is the account's
    POSITION = "position"  # a position that no fill explains: taken over
    SETTLED_POSITION = "settled_position"  # a market paid for another position than ours: taken over
    CASH = "cash"  # cash that nothing explains (a payment in or out): taken over


#: Kinds that say that somebody else trades the account, or that the journal is not the account's whole story.
GRAVE: Final = frozenset({
    DifferenceKind.MISSING_ORDER, DifferenceKind.MISSING_FILL, DifferenceKind.FOREIGN_ORDER,
    DifferenceKind.ANOTHER_SESSION, DifferenceKind.RESTS_AFTER_END,
    DifferenceKind.OLDER_JOURNAL, DifferenceKind.FOREIGN_FILL, DifferenceKind.POSITION,
    DifferenceKind.SETTLED_POSITION,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: what the journal had, what the exchange says; numbers in the units of their names."""

    kind: DifferenceKind
    what: str  # ticker, client id, exchange's order id, or shard
    ours: str
    theirs: str

    @property
    def is_grave(self) -> bool:
        """True where trading must not go on without a person."""
        return self.kind in GRAVE

    @property
    def words(self) -> str:
        """One line for people."""
        return f"{self.kind} {self.what}: here {self.ours}, at the exchange {self.theirs}"


def fill_difference(kind: DifferenceKind, fill: FillReport) -> Difference:
    """Difference that is a fill which was not booked."""
    words = f"{fill.qty_e2} at {fill.price_e4} of order {fill.order_id}"
    return Difference(kind, fill.ticker, "not booked", words)


def order_difference(kind: DifferenceKind, order: Order, theirs: str) -> Difference:
    """Difference about one order of the journal."""
    return Difference(kind, order.client_order_id, order.state.value, theirs)


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """One comparison: ``why`` says what kept it from being whole (None: nothing)."""

    at_ns: int
    as_of_ns: int | None  # time of the exchange up to which its lists were whole
    why: str | None
    differences: tuple[Difference, ...]
    undecided: tuple[str, ...] = ()  # client ids whose outcome is still unknown
    doubts: tuple[str, ...] = ()  # cash that resting orders may explain and should not, in words
    is_passing: bool = False  # a list could not be read: asking later may help

    @property
    def is_whole(self) -> bool:
        """True where every list was whole and everything was compared."""
        return self.why is None
