"""Opening of an executor: journal, recovery, the first comparison. It opens whole, or not at all.

Refused   another process trades the account; the journal is damaged, newer, of another account, or an older
          copy; the exchange cannot be asked, or its lists are not whole.
Halted    it opens HALTED where the process before was, or where the comparison found that somebody else
          trades the account: a person looks, and resumes.
Folder    limits of a day or a window, and a halt, are the account's: a new journal takes them over from the
          account's newest one on this machine, whatever folder that is in (taking_over.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kalshi_platform.domain.errors import ContractError, DataError, ExchangeError, StorageError
from kalshi_platform.domain.units import NS_PER_DAY, NS_PER_SECOND
from kalshi_platform.trading.exchange.clock import ExchangeClock
from kalshi_platform.trading.execution.control import OrderPort, TradingControl
from kalshi_platform.trading.execution.day_counts import day_counts, sent_lately
from kalshi_platform.trading.execution.executor import Executor
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.journal.journal import OrderJournal, open_held, open_journal
from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.journal.newest import NewestJournal, note_newest
from kalshi_platform.trading.execution.journal.recover import checked_rows, find_order, recover
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.reconcile.differences import DifferenceKind, ReconcileReport
from kalshi_platform.trading.execution.reconcile.lists import ReportPort
from kalshi_platform.trading.execution.reconcile.reconciler import Reconciler
from kalshi_platform.trading.execution.results import Results
from kalshi_platform.trading.execution.risk.exposure import ExposureBook, MarketKin
from kalshi_platform.trading.execution.risk.gate import RiskGate, RiskState
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.execution.risk.losses import MINUTE_NS, LossWatch
from kalshi_platform.trading.execution.settings import ExecutionSettings
from kalshi_platform.trading.execution.taking_over import cannot_take_over, journal_before, take_over
from kalshi_platform.trading.execution.upkeep import Upkeep

_HOUR_NS = NS_PER_DAY // 24


@dataclass(frozen=True, slots=True)
class ExecutionPorts:
    """Requests, reports and clocks that execution needs of the world."""

    orders: OrderPort
    reports: ReportPort
    clock: ExchangeClock
    skew_ns: Callable[[], int | None]  # this machine's clock less the exchange's; None: not told yet


async def open_executor(
    folder: Path,
    account: AccountName,
    limits: RiskLimits,
    ports: ExecutionPorts,
    settings: ExecutionSettings | None = None,
) -> Executor:
    """Open the account's journal in ``folder`` and compare it with the exchange.

    ContractError, DataError, StorageError or ExchangeError where it is refused (see the module); nothing is
    held then.
    """
    journal = open_journal(folder, account)
    try:
        wanted = settings or ExecutionSettings()
        newest_ns = 0
        if (before := journal_before(journal, account)) is not None:
            newest_ns = await _take_over(before, journal, account, limits, ports, wanted)
        executor = await _open(journal, limits, ports, wanted, newest_ns)
        note_newest(account, NewestJournal(journal.path.resolve(), journal.stem))
    except BaseException:
        journal.close()
        raise
    return executor


async def _take_over(
    path: Path,
    journal: OrderJournal,
    account: AccountName,
    limits: RiskLimits,
    ports: ExecutionPorts,
    settings: ExecutionSettings,
) -> int:
    """Open the account's newest journal once more, end what it left, and take over what it knows then.

    Returns the time of the last fill that it knows.
    """
    try:
        older = open_held(path, account)
        try:
            executor = await _open(older, limits, ports, settings)
            await _end_leftovers(executor, ports.clock, settings)
            executor.save()
            take_over(older, journal, ports.clock.wall_ns())
            return executor.ledger.newest_ns
        finally:
            older.close()
    except ExchangeError as err:
        raise ExchangeError(cannot_take_over(account, err)) from None
    except (ContractError, DataError, OSError, StorageError) as err:
        raise ContractError(cannot_take_over(account, err)) from None


async def _end_leftovers(executor: Executor, clock: ExchangeClock, settings: ExecutionSettings) -> None:
    """Cancel every order that a journal left, and wait until lists tell what became of each.

    ExchangeError where they do not: a new journal would take the order for somebody else's.
    """
    executor.end_leftovers()
    until_ns = clock.mono_ns() + round(2 * settings.grace_s * NS_PER_SECOND)
    while True:
        await executor.maintain()
        left = list(executor.ledger.live)
        if not left:
            return
        if clock.mono_ns() > until_ns:
            raise ExchangeError(
                f"{len(left)} orders that it left are not decided yet, first {left[0]}: try again"
            )
        await clock.sleep(settings.look_every_s)


async def _open(
    journal: OrderJournal,
    limits: RiskLimits,
    ports: ExecutionPorts,
    settings: ExecutionSettings,
    newest_ns: int = 0,
) -> Executor:
    """Put the parts together over an open journal; ``newest_ns``: of the last fill that another one knows."""
    clock, ledger, state = ports.clock, recover(journal), RiskState()
    ledger.find_forgotten = partial(find_order, journal)
    keeper, exposures = LedgerKeeper(ledger, journal), ExposureBook(ledger)
    for row in checked_rows(journal, "facts", "ticker"):
        exposures.know(row["ticker"], MarketKin(row["event"], row["category"], row["exchange_index"]))
    gate = RiskGate(limits, ledger, exposures, state, ports.skew_ns)
    _restore_day(gate, ledger, journal, clock)
    control = TradingControl(keeper, state, ports.orders, clock, settings.cancel_all_holds_s)
    reconciler = Reconciler(
        keeper, ports.reports, clock,
        grace_s=settings.grace_s, looks=settings.looks, pause_s=settings.look_pause_s,
    )  # fmt: skip
    control.restore(reconciler.missing)
    reconciler.halt = control.halt  # before anything is compared: a halt stands before what it is for is told
    first: ReconcileReport | None = await reconciler.open_account(newest_ns) if journal.is_new else None
    results = Results(keeper, _losses(keeper, limits, clock), limits)
    upkeep = Upkeep(keeper, control, reconciler, results, ports.reports, clock, settings)
    executor = Executor(keeper, gate, exposures, control, results, upkeep, ports.orders, clock)
    report = await executor.reconcile() if first is None or first.is_whole else first
    found = [*(first.differences if first is not None and first is not report else ()), *report.differences]
    if not report.is_whole:
        raise ExchangeError(
            f"not opened: {report.why}; nothing is traded on lists that are not whole: try again"
        )
    older = [each for each in found if each.kind is DifferenceKind.OLDER_JOURNAL]
    if older:
        raise ContractError(
            f"{journal.path} is an older copy: the exchange has {len(older)} orders of this journal that it "
            f"lacks, first {older[0].what}. Bring back the newest journal; where it is lost, cancel what "
            "rests on the exchange's own page and begin in an empty folder"
        )
    keeper.note(clock.wall_ns(), "opened", {"mode": state.mode.value, "limits": limits.digest})
    keeper.commit()
    await executor.maintain()
    return executor


def _losses(keeper: LedgerKeeper, limits: RiskLimits, clock: ExchangeClock) -> LossWatch:
    """Losses of the last days, from the journal."""
    window_ns = round(limits.drawdown_window_h * _HOUR_NS)
    losses = LossWatch(window_ns, keeper.add_result)
    first = (clock.wall_ns() - window_ns - 2 * NS_PER_DAY) // MINUTE_NS
    for row in checked_rows(keeper.journal, "results", "minute"):
        if row["minute"] >= first:
            losses.restore(row["minute"], row["best_e6"], row["last_e6"])
    return losses


def _restore_day(gate: RiskGate, ledger: OrderLedger, journal: OrderJournal, clock: ExchangeClock) -> None:
    """Count orders and fills of today and of the last minute again."""
    wall_ns, mono_ns = clock.wall_ns(), clock.mono_ns()
    gate.day = day_counts(journal, wall_ns)
    for at_ns in sent_lately(journal, wall_ns):
        gate.pace.sent(mono_ns - (wall_ns - at_ns))
    since = (min(gate.day.day * NS_PER_DAY, wall_ns - MINUTE_NS),)
    for row in checked_rows(journal, "fills", "exch_ns", "exch_ns >= ?", since):
        ledger.saw(row["exch_ns"], wall_ns)
