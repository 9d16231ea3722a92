"""Taking over of a halt and of limits of time, which are the account's, by a journal in another folder.

First    the older journal is opened once more (opening.py): what became of its orders and positions since is
         counted there, and its leftovers are cancelled.
Taken    by a new journal: mode, reason and the minute after a cancel of all; the day's orders, contracts and
         cash; the last minute's orders; results of the window, moved to end at 0 (results.py moves them to
         where the new journal begins); the last prices of positions; markets lost in a row.
Back     an older journal is not opened while a newer one is there: fills of that one would be foreign here.
Not      orders and fills: the new journal takes positions and cash from the exchange.
Gone     a journal whose file is gone cannot be taken over: the reason of the mode says so.
"""

from pathlib import Path

from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.trading.execution.control import CANCELLED_ALL, MODE, WHY
from kalshi_platform.trading.execution.day_counts import day_counts, sent_lately, set_before
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.journal.journal import OrderJournal
from kalshi_platform.trading.execution.journal.newest import newest_journal, note_place
from kalshi_platform.trading.execution.journal.recover import checked_rows
from kalshi_platform.trading.execution.results import MARKS, STREAK, STREAK_BEFORE
from kalshi_platform.trading.execution.risk.modes import RiskMode


def journal_before(journal: OrderJournal, account: AccountName) -> Path | None:
    """Path of the account's newest journal where that is another one than ``journal``, and there.

    ContractError where it cannot be looked for, and where ``journal`` is an older one that was opened before.
    """
    try:
        newest = newest_journal(account)
        if newest is None or newest.name == journal.stem:
            return None
        is_there = newest.path.exists() and newest.path != journal.path.resolve()
    except (OSError, StorageError) as err:
        raise ContractError(cannot_take_over(account, err)) from None
    if not is_there:
        gone = f"the account's journal before, {_short(newest.path)}, is gone: its halt, day and losses too"
        why = journal.meta(WHY) or "started"
        journal.set_meta(WHY, why if gone in why else f"{why}; {gone}")
        return None
    if not journal.is_new:
        raise ContractError(
            f"{journal.path}: the account went on in {newest.path}, whose day and losses are not known here: "
            "go on there, or in a new folder, which takes them over"
        )
    return newest.path


def take_over(older: OrderJournal, journal: OrderJournal, wall_ns: int) -> None:
    """Write into a new journal what ``older``, the account's newest one, knows.

    Everything, also what it has not: an opening that failed may have taken over before.
    """
    mode, place = older.meta(MODE) or RiskMode.ACTIVE.value, _short(older.path)
    go_on = f"started; day, drawdown and streak go on from {place}"
    journal.set_meta(MODE, mode)
    journal.set_meta(WHY, go_on if mode == RiskMode.ACTIVE.value else f"{older.meta(WHY)} (in {place})")
    journal.set_meta(CANCELLED_ALL, older.meta(CANCELLED_ALL) or "0")
    journal.set_meta(MARKS, older.meta(MARKS) or "{}")
    journal.set_meta(STREAK_BEFORE, str(older.meta_ns(STREAK) or 0))
    set_before(journal, day_counts(older, wall_ns), sent_lately(older, wall_ns))
    journal.forget_results()
    rows = list(checked_rows(older, "results", "minute"))
    for row in rows:
        last_e6 = rows[-1]["last_e6"]
        journal.add_result(row["minute"], row["best_e6"] - last_e6, row["last_e6"] - last_e6)


def cannot_take_over(account: AccountName, error: Exception) -> str:
    """Words about a session that would forget a halt and losses."""
    return (
        "the account's journal before this one cannot be taken over; without it a halt and losses would "
        f"be forgotten: {error}. To begin without it, as at an exchange that was itself begun anew: remove "
        f"{note_place(account)}"
    )


def _short(path: Path) -> str:
    """Path of a journal's session in at most 120 characters."""
    text = str(path)
    return text if len(text) <= 120 else f"...{text[-117:]}"
