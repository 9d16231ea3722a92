"""Taking over of a halt and of limits of time, which are the account's, by a journal in another folder.

First    the older journal is opened once more (opening.py): what became of its orders and positions since is
         counted there, and its leftovers are cancelled.
Taken    by a new journal: mode, reason and the minute after a cancel of all; the day's orders, contracts and
         cash; results of the window, moved to end at 0 (results.py moves them to where the new journal
         begins); the last prices of positions; markets lost in a row.
Old      a journal that is opened again after another one of the account takes over that one's halt only:
         orders that the other one sent are foreign here, and halt.
Not      orders and fills: the new journal takes positions and cash from the exchange.
Gone     a journal whose file is gone cannot be taken over: the reason of the mode says so.
"""

from pathlib import Path

from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.trading.execution.control import CANCELLED_ALL, MODE, WHY
from kalshi_platform.trading.execution.day_counts import day_counts, set_before
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.journal.journal import OrderJournal
from kalshi_platform.trading.execution.journal.newest import newest_journal, note_place
from kalshi_platform.trading.execution.journal.recover import checked_rows
from kalshi_platform.trading.execution.results import MARKS, STREAK, STREAK_BEFORE
from kalshi_platform.trading.execution.risk.modes import RiskMode


def journal_before(journal: OrderJournal, account: AccountName) -> Path | None:
    """Path of the account's newest journal where that is another one than ``journal``, and there.

    ContractError where it cannot be looked for.
    """
    try:
        path = newest_journal(account)
        if path is None or path == journal.path.resolve():
            return None
        if path.exists():
            return path
    except (OSError, StorageError) as err:
        raise ContractError(cannot_take_over(account, err)) from None
    if journal.is_new:
        why = f"started; the account's journal before, {path}, is gone: limits of day and window begin at 0"
        journal.set_meta(WHY, why)
    return None


def take_over(older: OrderJournal, journal: OrderJournal, wall_ns: int) -> None:
    """Write into a journal what ``older``, the account's newest one, knows."""
    mode, place = older.meta(MODE) or RiskMode.ACTIVE.value, _short(older.path)
    go_on = f"started; day, drawdown and streak go on from {place}"
    why = go_on if mode == RiskMode.ACTIVE.value else f"{older.meta(WHY)} (in {place})"
    # A new journal may have taken over before, and its opening failed: nothing of that is left.
    if journal.is_new or _strictness(mode) > _strictness(journal.meta(MODE) or RiskMode.ACTIVE.value):
        journal.set_meta(MODE, mode)
        journal.set_meta(WHY, why)
    sent_ns = older.meta_ns(CANCELLED_ALL) or 0
    journal.set_meta(CANCELLED_ALL, str(max(sent_ns, journal.meta_ns(CANCELLED_ALL) or 0)))
    if journal.is_new:
        _copy_counts(older, journal, wall_ns)


def cannot_take_over(account: AccountName, error: Exception) -> str:
    """Words about a session that would forget a halt and losses."""
    return (
        "the account's journal before this one cannot be taken over; without it a halt and losses would "
        f"be forgotten: {error}. Go on in its folder, or remove {note_place(account)} to begin without it"
    )


def _copy_counts(older: OrderJournal, journal: OrderJournal, wall_ns: int) -> None:
    """Let a new journal count on from ``older``."""
    journal.set_meta(MARKS, older.meta(MARKS) or "{}")
    journal.set_meta(STREAK_BEFORE, str(older.meta_ns(STREAK) or 0))
    set_before(journal, day_counts(older, wall_ns))
    journal.forget_results()
    rows = list(checked_rows(older, "results", "minute"))
    for row in rows:
        last_e6 = rows[-1]["last_e6"]
        journal.add_result(row["minute"], row["best_e6"] - last_e6, row["last_e6"] - last_e6)


def _strictness(mode: str) -> int:
    """Rank of a mode: the higher, the less goes out; a word that is none is refused by control.py."""
    ranks = [RiskMode.ACTIVE.value, RiskMode.REDUCING.value]
    return ranks.index(mode) if mode in ranks else len(ranks)


def _short(path: Path) -> str:
    """Path of a journal's session in at most 120 characters."""
    text = str(path)
    return text if len(text) <= 120 else f"...{text[-117:]}"
