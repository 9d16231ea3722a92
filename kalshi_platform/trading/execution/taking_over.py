"""Taking over of a halt and of limits of time, which are the account's, by a journal in another folder.

Taken    by a new journal: mode, reason and the minute after a cancel of all; the day's orders, contracts and
         cash; results of the window, moved to end at 0 (results.py moves them to where the new journal
         begins); the last prices of positions; markets lost in a row.
Old      a journal that is opened again after another one of the account takes over that one's halt only:
         orders that the other one sent are foreign here, and halt.
Not      orders and fills: the new journal takes positions and cash from the exchange.
Gone     a journal whose file is gone cannot be taken over: the reason of the mode says so.
"""

from contextlib import closing
from pathlib import Path

from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.trading.execution.control import CANCELLED_ALL, MODE, WHY
from kalshi_platform.trading.execution.day_counts import day_counts, set_before
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.journal.journal import OrderJournal, open_held
from kalshi_platform.trading.execution.journal.newest import newest_journal, note_place
from kalshi_platform.trading.execution.journal.recover import checked_rows
from kalshi_platform.trading.execution.results import MARKS, STREAK, STREAK_BEFORE
from kalshi_platform.trading.execution.risk.modes import RiskMode


def take_over(journal: OrderJournal, account: AccountName, wall_ns: int) -> None:
    """Write into a journal what the account's newest one knows, where that is another one.

    ContractError where that one is there and cannot be read: its halt and its losses would be forgotten.
    """
    path = newest_journal(account)
    if path is None or path == journal.path.absolute():
        return
    if not path.exists() and not journal.is_new:
        return
    if not path.exists():
        why = f"started; the account's journal before, {path}, is gone: limits of day and window begin at 0"
        journal.set_meta(WHY, why)
        return
    try:
        with closing(open_held(path, account)) as older:
            _copy_mode(older, journal)
            if journal.is_new:
                _copy_counts(older, journal, wall_ns)
    except (ContractError, DataError, StorageError) as err:
        raise ContractError(
            "the account's journal before this one cannot be taken over; without it a halt and losses would "
            f"be forgotten: {err}. Go on in its folder, or remove {note_place(account)} to begin without it"
        ) from None


def _copy_mode(older: OrderJournal, journal: OrderJournal) -> None:
    """Let ``journal`` begin as halted or reduced as ``older`` was left."""
    mode, place = older.meta(MODE) or RiskMode.ACTIVE.value, _short(older.path)
    if mode != RiskMode.ACTIVE.value:
        journal.set_meta(MODE, mode)
        journal.set_meta(WHY, f"{older.meta(WHY)} (in {place})")
    elif journal.is_new:
        journal.set_meta(WHY, f"started; day, drawdown and streak go on from {place}")
    if (sent := older.meta(CANCELLED_ALL)) is not None:
        journal.set_meta(CANCELLED_ALL, sent)


def _copy_counts(older: OrderJournal, journal: OrderJournal, wall_ns: int) -> None:
    """Let a new journal count on from ``older``."""
    if (marks := older.meta(MARKS)) is not None:
        journal.set_meta(MARKS, marks)
    journal.set_meta(STREAK_BEFORE, str(older.meta_ns(STREAK) or 0))
    set_before(journal, day_counts(older, wall_ns))
    rows = list(checked_rows(older, "results", "minute"))
    for row in rows:
        last_e6 = rows[-1]["last_e6"]
        journal.add_result(row["minute"], row["best_e6"] - last_e6, row["last_e6"] - last_e6)


def _short(path: Path) -> str:
    """Path of a journal's session in at most 120 characters."""
    text = str(path)
    return text if len(text) <= 120 else f"...{text[-117:]}"
