"""Orders and fills of one day as a journal has them, with those of the account's journal before it."""

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.domain.units import NS_PER_DAY
from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.journal.journal import OrderJournal, damaged
from kalshi_platform.trading.execution.journal.recover import checked_rows
from kalshi_platform.trading.execution.orders.positions import fill_cash_out_e6
from kalshi_platform.trading.execution.risk.pace import DayCounts

_BEFORE = "day_before"


def day_counts(journal: OrderJournal, wall_ns: int) -> DayCounts:
    """Counts of the day of ``wall_ns``; DataError where a row cannot be read."""
    day = _before(journal).at(wall_ns)
    begun = (day.day * NS_PER_DAY,)
    for row in checked_rows(journal, "orders", "created_ns", "created_ns >= ?", begun):
        day.orders += row["created_ns"] // NS_PER_DAY == day.day
    for row in checked_rows(journal, "fills", "exch_ns", "exch_ns >= ?", begun):
        if row["exch_ns"] // NS_PER_DAY == day.day:
            day.contracts_e2 += row["qty_e2"]
            day.spend_e6 += fill_cash_out_e6(
                BookSide(row["side"]), row["price_e4"], row["qty_e2"], row["fee_e6"]
            )
    return day


def set_before(journal: OrderJournal, counts: DayCounts) -> None:
    """Let a new journal count on from ``counts``."""
    values = [counts.day, counts.orders, counts.contracts_e2, counts.spend_e6]
    journal.set_meta(_BEFORE, json_text(values, tight=True))


def _before(journal: OrderJournal) -> DayCounts:
    """Counts that a journal began with; none of any day where it took none over."""
    text = journal.meta(_BEFORE)
    if text is None:
        return DayCounts()
    try:
        values = json_value(text)
    except ValueError:
        values = None
    if not isinstance(values, list) or len(values) != 4 or not all(type(each) is int for each in values):
        raise DataError(f"{journal.path}: {damaged(f'the counts of its day are {text[:60]!r}')}")
    return DayCounts(*values)
