"""Orders and fills of one day and orders of the last minute, with those of the account's journal before."""

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.domain.units import NS_PER_DAY
from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.journal.journal import OrderJournal, damaged
from kalshi_platform.trading.execution.journal.recover import checked_rows
from kalshi_platform.trading.execution.orders.positions import fill_cash_out_e6
from kalshi_platform.trading.execution.risk.losses import MINUTE_NS
from kalshi_platform.trading.execution.risk.pace import DayCounts

_BEFORE, _SENT_BEFORE = "day_before", "sent_before"


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


def sent_lately(journal: OrderJournal, wall_ns: int) -> list[int]:
    """Times of the orders of the last minute, oldest first; DataError where a row cannot be read."""
    since_ns = wall_ns - MINUTE_NS
    rows = checked_rows(journal, "orders", "created_ns", "created_ns >= ?", (since_ns,))
    times = [*_numbers_of(journal, _SENT_BEFORE), *(row["created_ns"] for row in rows)]
    return [at_ns for at_ns in times if since_ns < at_ns <= wall_ns]


def set_before(journal: OrderJournal, counts: DayCounts, sent_ns: list[int]) -> None:
    """Let a new journal count on from ``counts``, and from orders of the times ``sent_ns``."""
    values = [counts.day, counts.orders, counts.contracts_e2, counts.spend_e6]
    journal.set_meta(_BEFORE, json_text(values, tight=True))
    journal.set_meta(_SENT_BEFORE, json_text(sent_ns, tight=True))


def _before(journal: OrderJournal) -> DayCounts:
    """Counts that a journal began with; none of any day where it took none over."""
    values = _numbers_of(journal, _BEFORE)
    if len(values) not in (0, 4):
        raise DataError(f"{journal.path}: {damaged(f'{_BEFORE} has {len(values)} numbers')}")
    return DayCounts(*values)


def _numbers_of(journal: OrderJournal, name: str) -> list[int]:
    """Whole numbers that a journal began with; none where it took none over."""
    text = journal.meta(name) or "[]"
    try:
        values = json_value(text)
    except ValueError:
        values = None
    if not isinstance(values, list) or not all(type(each) is int for each in values):
        raise DataError(f"{journal.path}: {damaged(f'{name} is {text[:60]!r}')}")
    return values
