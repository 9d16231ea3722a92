"""Opening of an executor: journal, recovery, the first comparison. It opens whole, or not at all.

Refused   another process trades the account; the journal is damaged, newer, of another account, or an older
          copy; the exchange cannot be asked, or its lists are not whole.
Halted    it opens HALTED where the process before was, or where the comparison found that somebody else
          trades the account: a person looks, and resumes.
Folder    limits of a day or a window, and a halt, are the account's: a new journal takes them over from the
          account's newest one on this machine, whatever folder that is in (taking_over.py).
Crash     lists -> halt for what is grave -> all of it on disk -> the journal is named the account's newest ->
          ``opened`` is noted. Cut before it is named, the older journal still is, and the next opening takes
          everything over again; cut later, the journal is whole and goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from kalshi_platform.domain.errors import ContractError, DataError, ExchangeError, StorageError
from kalshi_platform.domain.units import NS_PER_DAY, NS_PER_SECOND
from kalshi_platform.trading.exchange.clock import ExchangeClock
from kalshi_platform.trading.execution.control import OrderPort, TradingControl
from kalshi_platform.trading.execution.day_counts import day_counts, sent_lately
from kalshi_platform.trading.execution.executor import Executor
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.journal.journal import OrderJournal, open_held, open_journal
from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.journal.newest import NewestJournal, newest_journal, note_newest
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
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.execution.settings import ExecutionSettings
from kalshi_platform.trading.execution.taking_over import (
    OPENED_NOTE,
    WITHOUT,
    cannot_take_over,
    journal_before,
    kin_of,
    take_over,
)
from kalshi_platform.trading.execution.upkeep import Upkeep

_HOUR_NS = NS_PER_DAY // 24


@dataclass(frozen=True, slots=True)
class ExecutionPorts:
    """Requests, reports and clocks that execution needs of the world."""

    orders: OrderPort
    reports: ReportPort
    clock: ExchangeClock
    skew_ns: Callable[[], int | None]  # this machine's clock less the exchange's; None: not told yet


class _Before(NamedTuple):
    """Facts of the journal before that a new one's first look at the exchange needs."""

    newest_ns: int = 0  # the exchange's time of the last fill or end that it knows
    kin: Mapping[str, MarketKin] = MappingProxyType({})  # by market


class _Parts(NamedTuple):
    """Parts of an executor whose journal was compared with the exchange."""

    executor: Executor
    keeper: LedgerKeeper
    control: TradingControl
    upkeep: Upkeep


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
        before = _Before()
        if (path := journal_before(journal, account)) is not None:
            before = await _take_over(path, journal, account, limits, ports, wanted)
        parts = await _compared(journal, limits, ports, wanted, before)
        _name_newest(parts, account)
        await _begin(parts, limits, ports.clock)
    except BaseException:
        journal.close()
        raise
    return parts.executor


async def _take_over(
    path: Path,
    journal: OrderJournal,
    account: AccountName,
    limits: RiskLimits,
    ports: ExecutionPorts,
    settings: ExecutionSettings,
) -> _Before:
    """Open the account's newest journal once more, end what it left, and take over what it knows then."""
    try:
        older = open_held(path, account)
        try:
            parts = await _compared(older, limits, ports, settings, _Before())
            await _begin(parts, limits, ports.clock)
            await _end_leftovers(parts, ports.clock, settings)
            parts.executor.save()
            _commit(parts.keeper)
            take_over(older, journal, account, ports.clock.wall_ns())
            return _Before(parts.executor.ledger.newest_ns, kin_of(older))
        finally:
            older.close()
    except ExchangeError as err:
        raise ExchangeError(cannot_take_over(account, err), is_passing=err.is_passing) from None
    except StorageError as err:
        raise StorageError(cannot_take_over(account, err)) from None
    except (ContractError, DataError, OSError) as err:
        raise ContractError(cannot_take_over(account, err)) from None


async def _end_leftovers(parts: _Parts, clock: ExchangeClock, settings: ExecutionSettings) -> None:
    """Cancel every order that a journal left, and wait until lists tell what became of each.

    ExchangeError where they do not: a new journal would take the order for somebody else's, and would not
    count it against any limit.
    """
    parts.executor.end_leftovers()
    until_ns = clock.mono_ns() + round(2 * settings.grace_s * NS_PER_SECOND)
    while True:
        await parts.executor.maintain()
        live = parts.executor.ledger.live.values()
        missing = [o for o in live if o.client_order_id in parts.upkeep.missing and not o.is_ended]
        left = [o.client_order_id for o in live if o not in missing]
        if not left:
            break
        if clock.mono_ns() > until_ns:
            words = f"{len(left)} orders that it left are not decided yet, first {left[0]}: try again"
            raise ExchangeError(words, is_passing=True)
        await clock.sleep(settings.look_every_s)
    if missing:
        first = missing[0]
        raise ExchangeError(
            f"{len(missing)} orders that it left are in none of the exchange's lists and may rest all the "
            f"same, first {first.client_order_id} in {first.intent.ticker}: look for them on the exchange's "
            f"own page, then begin the session of {parts.keeper.journal.path} once more with --resume WHY, "
            "which takes them for ended; a new folder goes on after that"
        )


def _name_newest(parts: _Parts, account: AccountName) -> None:
    """Name a journal the account's newest one, once all that it begins with is on disk; StorageError where
    that fails.

    One that began without the journal before it is named when a person lets it trade: until then that one may
    be brought back.
    """
    keeper = parts.keeper
    journal = keeper.journal
    newest = NewestJournal(journal.path.resolve(), journal.stem)

    def take_leave() -> None:
        """Go on without the journal before."""
        note_newest(account, newest)
        keeper.set_meta(WITHOUT, "")

    if journal.meta(WITHOUT) and parts.control.state.mode is RiskMode.HALTED:
        parts.control.before_leaving = take_leave
    elif newest_journal(account) != newest:
        _commit(keeper)
        note_newest(account, newest)


def _commit(keeper: LedgerKeeper) -> None:
    """Bring a journal to disk; StorageError where it lacks anything: another one would rely on it."""
    keeper.commit()
    if keeper.failed is not None:
        raise StorageError(keeper.failed)


async def _begin(parts: _Parts, limits: RiskLimits, clock: ExchangeClock) -> None:
    """Note that a journal was opened, and do the first round of upkeep."""
    mode = parts.control.state.mode.value
    parts.keeper.note(clock.wall_ns(), OPENED_NOTE, {"mode": mode, "limits": limits.digest})
    parts.keeper.commit()
    await parts.executor.maintain()


async def _compared(
    journal: OrderJournal,
    limits: RiskLimits,
    ports: ExecutionPorts,
    settings: ExecutionSettings,
    before: _Before,
) -> _Parts:
    """Put the parts together over an open journal, and compare it with the exchange.

    The comparison halts for what is grave.
    """
    clock, ledger, state = ports.clock, recover(journal), RiskState()
    ledger.find_forgotten = partial(find_order, journal)
    keeper, exposures = LedgerKeeper(ledger, journal), ExposureBook(ledger)
    for ticker, kin in kin_of(journal).items():
        exposures.know(ticker, kin)
    gate = RiskGate(limits, ledger, exposures, state, ports.skew_ns)
    _restore_day(gate, ledger, journal, clock)
    control = TradingControl(keeper, state, ports.orders, clock, settings.cancel_all_holds_s)
    reconciler = Reconciler(
        keeper, ports.reports, clock,
        grace_s=settings.grace_s, looks=settings.looks, pause_s=settings.look_pause_s,
    )  # fmt: skip
    control.restore(reconciler.missing)
    reconciler.halt = control.halt  # before anything is compared: a halt stands before what it is for is told
    first: ReconcileReport | None = (
        await reconciler.open_account(before.newest_ns) if journal.is_new else None
    )
    results = Results(keeper, _losses(keeper, limits, clock), limits)
    upkeep = Upkeep(keeper, control, reconciler, results, ports.reports, clock, settings)
    executor = Executor(keeper, gate, exposures, control, results, upkeep, ports.orders, clock)
    reconciler.booked = lambda: results.compared(clock.wall_ns())
    if first is not None:
        upkeep.tell(first)
    for ticker in before.kin.keys() & ledger.markets.keys():
        executor.know(ticker, *before.kin[ticker])
    report = await executor.reconcile() if first is None or first.is_whole else first
    if not report.is_whole:
        raise ExchangeError(
            f"not opened: {report.why}; nothing is traded on lists that are not whole: try again",
            is_passing=report.is_passing,
        )
    _refuse_older_copy(journal, report)
    return _Parts(executor, keeper, control, upkeep)


def _refuse_older_copy(journal: OrderJournal, report: ReconcileReport) -> None:
    """ContractError where the exchange has orders of a journal that it lacks."""
    older = [each for each in report.differences if each.kind is DifferenceKind.OLDER_JOURNAL]
    if older:
        raise ContractError(
            f"{journal.path} is an older copy: the exchange has {len(older)} orders of this journal that it "
            f"lacks, first {older[0].what}. Bring back the newest journal; where it is lost, cancel what "
            "rests on the exchange's own page and begin in an empty folder"
        )


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
