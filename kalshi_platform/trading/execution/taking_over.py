"""Taking over of a halt and of limits of time, which are the account's, by a journal in another folder.

First    the older journal is opened once more (opening.py): what became of its orders and positions since is
         counted there, and its leftovers are cancelled.
Taken    by a new journal: mode, reason and the minute after a cancel of all; the day's orders, contracts and
         cash; the last minute's orders; results of the window, moved to end at 0 (results.py moves them to
         where the new journal begins); the last prices of positions; markets lost in a row; event and
         category of each market that the exchange lists a position in by then (opening.py): a market that
         was paid before must not look like one of the new journal's.
New      is a journal of which no order can have gone out: its first opening was cut, or it waits without the
         one before. It takes everything over again.
Back     an older journal is not opened while a newer one is there: fills of that one would be foreign here.
Not      orders and fills: the new journal takes positions and cash from the exchange.
Gone     a journal whose file is gone cannot be taken over: its halt, day and losses are unknown. Trading
         begins HALTED until a person brings that folder back or resumes; at an exchange on this machine no
         money is real: trading begins, and the reason of the mode says what is gone.
"""

from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import ContractError, DataError, ExchangeError, StorageError
from kalshi_platform.trading.execution.control import CANCEL_DUE, CANCELLED_ALL, MODE, WHY
from kalshi_platform.trading.execution.day_counts import day_counts, sent_lately, set_before
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.journal.journal import OrderJournal
from kalshi_platform.trading.execution.journal.newest import newest_journal, note_place
from kalshi_platform.trading.execution.journal.recover import checked_rows
from kalshi_platform.trading.execution.results import MARKS, STREAK, STREAK_BEFORE
from kalshi_platform.trading.execution.risk.exposure import MarketKin
from kalshi_platform.trading.execution.risk.modes import STARTED, RiskMode

#: Note of every opening that came to its end.
OPENED_NOTE: Final = "opened"
#: Value of the journal: it waits, without the account's journal before, for a person. The path of that one;
#: ``_USED`` where this journal was the account's own before, and holds what nobody may empty.
WITHOUT: Final = "begun_without"
_USED: Final = "used"
#: Value of the journal: the reason for which a person halted trading while it waited.
_OWN_HALT: Final = "own_halt"


def journal_before(journal: OrderJournal, account: AccountName) -> Path | None:
    """Path of the account's newest journal where that is another one than ``journal``, and there.

    ContractError where it cannot be looked for, and where ``journal`` is an older one that was opened before.
    """
    try:
        newest = newest_journal(account)
        if newest is None or newest.name == journal.stem:
            return None
        is_there = newest.path.exists() and newest.path != journal.path.resolve()
    except (DataError, OSError, StorageError) as err:
        raise ContractError(cannot_take_over(account, err)) from None
    if not is_there:
        _begin_without(newest.path, journal, account)
        return None
    if not _is_as_new(journal):
        raise ContractError(
            f"{journal.path}: the account went on in {newest.path}, whose day and losses are not known here: "
            "go on there, or in a new folder, which takes them over"
        )
    return newest.path


def _is_as_new(journal: OrderJournal) -> bool:
    """True where no order of a journal can have gone out: it may be begun anew."""
    if journal.last_number:
        return False
    return journal.last_note(OPENED_NOTE) is None or journal.meta(WITHOUT) not in (None, "", _USED)


def _begin_without(path: Path, journal: OrderJournal, account: AccountName) -> None:
    """Let a journal begin without the account's journal before, which was at ``path``."""
    gone, why = _gone_words(path, account), journal.meta(WHY) or STARTED
    if not account.is_here:
        journal.set_meta(MODE, RiskMode.HALTED.value)
        if not journal.meta(WITHOUT):
            journal.set_meta(WITHOUT, str(path) if journal.last_note(OPENED_NOTE) is None else _USED)
    if gone not in why:
        journal.set_meta(WHY, gone if why == STARTED and not account.is_here else f"{why}; {gone}")


def _gone_words(path: Path, account: AccountName) -> str:
    """Words about a journal that is not at ``path`` any more."""
    words = f"the account's journal before, {_short(path)}, is gone: its halt, day and losses are not known"
    if account.is_here:
        return words
    return f"{words}; bring its folder back and go on there, or resume: they are not counted then"


def _own_halt(journal: OrderJournal, account: AccountName) -> str:
    """Reason for which trading was halted while a journal waited for the one before; empty where for none."""
    before = journal.meta(WITHOUT)
    if not before or journal.meta(MODE) != RiskMode.HALTED.value:
        return ""
    words = (journal.meta(WHY) or "").split(_gone_words(Path(before), account))
    reasons = (each.strip("; ") for each in words)
    return "; ".join(each for each in reasons if each and not each.startswith(STARTED))


def take_over(older: OrderJournal, journal: OrderJournal, account: AccountName, wall_ns: int) -> None:
    """Write into a new journal what ``older``, the account's newest one, knows.

    Nothing else stays in it, but for a halt while it waited: an opening that failed may have taken over
    before.
    """
    own = _own_halt(journal, account) or journal.meta(_OWN_HALT) or ""
    cancelled_ns = max(each.meta_ns(CANCELLED_ALL) or 0 for each in (older, journal))
    due = (journal.meta(CANCEL_DUE) if own else "") or older.meta(CANCEL_DUE) or ""
    journal.begin_anew()
    journal.set_meta(_OWN_HALT, own)  # this opening may be cut, too
    mode, place = older.meta(MODE) or RiskMode.ACTIVE.value, _short(older.path)
    why = f"{STARTED}; day, drawdown and streak go on from {place}"
    if mode != RiskMode.ACTIVE.value:
        why = f"{older.meta(WHY)} (in {place})"
    if own:
        mode, why = RiskMode.HALTED.value, own if mode == RiskMode.ACTIVE.value else f"{own}; {why}"
    journal.set_meta(MODE, mode)
    journal.set_meta(WHY, why)
    journal.set_meta(CANCELLED_ALL, str(cancelled_ns))
    journal.set_meta(CANCEL_DUE, due)
    journal.set_meta(MARKS, older.meta(MARKS) or "{}")
    journal.set_meta(STREAK_BEFORE, str(older.meta_ns(STREAK) or 0))
    set_before(journal, day_counts(older, wall_ns), sent_lately(older, wall_ns))
    rows = list(checked_rows(older, "results", "minute"))
    for row in rows:
        last_e6 = rows[-1]["last_e6"]
        journal.add_result(row["minute"], row["best_e6"] - last_e6, row["last_e6"] - last_e6)


def kin_of(journal: OrderJournal) -> dict[str, MarketKin]:
    """Event, category and shard of each market that a journal knows."""
    return {
        row["ticker"]: MarketKin(row["event"], row["category"], row["exchange_index"])
        for row in checked_rows(journal, "facts", "ticker")
    }


def cannot_take_over(account: AccountName, error: Exception) -> str:
    """Words about a session that would forget a halt and losses.

    The way to begin without them is told where nothing else helps: for a journal that is damaged or refused,
    and at an exchange on this machine that may have been begun anew. Not for what passes or can be mended: a
    line that is cut, a disk that is full, a file that another program holds.
    """
    words = (
        "the account's journal before this one cannot be taken over; without it a halt and losses would "
        f"be forgotten: {error}"
    )
    if isinstance(error, ExchangeError):
        is_told = account.is_here and not error.is_passing
    else:
        is_told = isinstance(error, ContractError | DataError)
    if not is_told:
        return words
    return (
        f"{words}. To begin without it, as at an exchange that was itself begun anew: remove "
        f"{note_place(account)}"
    )


def _short(path: Path) -> str:
    """Path of a journal's session in at most 120 characters."""
    text = str(path)
    return text if len(text) <= 120 else f"...{text[-117:]}"
