"""Upkeep of one account: what must be looked at about every second, whether or not anything is traded.

Orders   journal -> kill file -> losses -> contradictions -> cancels that are due -> journal to disk.
Lists    comparison with the exchange, where one is due or an outcome is unknown. Slow lists take minutes, so
         that the two run beside each other: no cancel waits for a list.
Halted   everything is cancelled, again and again, until nothing rests; comparisons go on.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange.clock import ExchangeClock
from kalshi_platform.trading.execution.control import TradingControl
from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.execution.reconcile.differences import ReconcileReport
from kalshi_platform.trading.execution.reconcile.lists import ReportPort
from kalshi_platform.trading.execution.reconcile.reconciler import Reconciler
from kalshi_platform.trading.execution.results import Results
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.execution.settings import ExecutionSettings

_LOG = logging.getLogger(__name__)


class Upkeep:
    """Upkeep of orders and of lists; ``maintain`` does one round of both, ``run`` both without end."""

    def __init__(
        self,
        keeper: LedgerKeeper,
        control: TradingControl,
        reconciler: Reconciler,
        results: Results,
        reports: ReportPort,
        clock: ExchangeClock,
        settings: ExecutionSettings,
    ) -> None:
        self._keeper, self._control, self._reconciler = keeper, control, reconciler
        self._results, self._reports, self._clock, self._settings = results, reports, clock, settings
        self._orders_turn, self._lists_turn = asyncio.Lock(), asyncio.Lock()
        self._wake = asyncio.Event()
        self._doubts = 0  # times that reports may have been missed
        self._next_ns = 0  # mono; of the next comparison
        self._whole_ns: int | None = None  # mono; of the last whole comparison
        self._keys_ns: int | None = None
        self._surprises = 0  # accepted by a person
        self.counts: Counter[str] = Counter()
        self.last: ReconcileReport | None = None
        control.stops = {
            "losses": results.halts,
            "streak": results.reduces,
            "kill file": self._kill_file,
            "journal": self._journal,
            "contradictions": self._contradictions,
        }

    # Wishes

    def wake(self) -> None:
        """Let ``run`` see to orders now."""
        self._wake.set()

    def look_soon(self) -> None:
        """Compare with the exchange in the next rounds."""
        soon_ns = self._clock.mono_ns() + round(self._settings.look_every_s * NS_PER_SECOND)
        self._next_ns = min(self._next_ns, soon_ns)

    def doubt(self, why: str) -> None:
        """Let no order out until a comparison that begins after now is whole."""
        self._doubts += 1
        self._control.state.is_reconciled, self._control.state.reconciled_why = False, why
        self._whole_ns = None
        self.look_soon()

    def accept_surprises(self) -> None:
        """Let the contradictions so far stop trading no longer: a person has seen them."""
        self._surprises = self._keeper.ledger.surprises.total()

    @property
    def missing(self) -> frozenset[str]:
        """Client ids of orders that no list shows any more."""
        return frozenset(self._reconciler.missing)

    def end_missing(self) -> None:
        """End orders that no list shows any more: a person has looked, and resumed."""
        self._reconciler.end_missing()

    # Rounds

    async def run(self) -> None:
        """Do rounds until cancelled; an error of one ends both."""
        never = asyncio.Event()
        both = [
            asyncio.ensure_future(self._again(self.see_to_orders, self._wake)),
            asyncio.ensure_future(self._again(self.see_to_lists, never)),
        ]
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _again(self, work: Callable[[], Awaitable[None]], wake: asyncio.Event) -> None:
        """Do ``work`` again and again, after a pause or as soon as ``wake`` is set."""
        while True:
            await work()
            pause = asyncio.ensure_future(self._clock.sleep(self._settings.maintain_every_s))
            woken = asyncio.ensure_future(wake.wait())
            try:
                await asyncio.wait([pause, woken], return_when=asyncio.FIRST_COMPLETED)
            finally:
                pause.cancel()
                woken.cancel()
            wake.clear()

    async def maintain(self) -> None:
        """See to orders, then to lists."""
        await self.see_to_orders()
        await self.see_to_lists()

    async def see_to_orders(self) -> None:
        """Halt where something says so, and send the cancels that are due; a second caller waits its turn."""
        async with self._orders_turn:
            self.watch()
            await self._cancel_due()
            self._results.save()
            if await self._keeper.on_disk_or_late():
                self._keeper.ledger.forget_ended(self._settings.kept_orders)

    async def see_to_lists(self) -> None:
        """Compare with the exchange where that is due; a second caller waits for the first."""
        async with self._lists_turn:
            if self._is_due():
                await self._compare()
                self._results.save()
            self._age()
            await self._look_at_keys()
            self.watch()

    async def reconcile(self) -> ReconcileReport:
        """Compare with the exchange now."""
        async with self._lists_turn:
            return await self._compare()

    def watch(self) -> None:
        """Halt or reduce where something says so."""
        state = self._control.state
        for stop in (self._journal, self._kill_file, self._results.halts, self._contradictions):
            why = stop()
            if why is not None and state.mode is not RiskMode.HALTED:
                self._control.halt(why)
        why = self._results.reduces()
        if why is not None and state.mode is RiskMode.ACTIVE:
            self._control.reduce(why)

    def _journal(self) -> str | None:
        """Why the journal halts: what it lacks, nobody would know after a restart. None where it is whole."""
        return None if self._keeper.failed is None else "the journal cannot be written"

    def _kill_file(self) -> str | None:
        """Why the kill file halts; None where there is none. A folder that cannot be read may hold one."""
        path = self._settings.kill_file
        if path is None:
            return None
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as err:
            return f"the kill file {path} cannot be looked for: {err.strerror}"
        return f"the kill file {path} is there"

    def _contradictions(self) -> str | None:
        """Why contradictions halt; None where a person has seen them all."""
        surprises = self._keeper.ledger.surprises
        if surprises.total() <= self._surprises:
            return None
        return f"the exchange contradicts itself: {', '.join(sorted(surprises))}"

    async def _cancel_due(self) -> None:
        """Send the cancels that are due."""
        if self._control.wants_cancel_all:
            await self._control.cancel_everything()
            self.look_soon()
        is_halted = self._control.state.mode is RiskMode.HALTED
        # One that rests after the cancel of all was on its way then; a lost cancel is decided by lists.
        due = [
            order
            for order in self._keeper.ledger.live.values()
            if order.state is OrderState.RESTING and (is_halted or order.cancel_wanted)
        ]
        self.counts["cancels_of_upkeep"] += len(due)
        await asyncio.gather(*map(self._control.cancel, due))

    # Comparison

    def _is_due(self) -> bool:
        """True where a comparison is due."""
        ledger = self._keeper.ledger
        is_doubtful = (
            bool(ledger.undecided())
            or self._control.state.write_unknown > 0
            or bool(ledger.waiting)
            or any(order.is_ended or order.fills_missing_e2 for order in ledger.live.values())
            or not self._control.state.is_reconciled
        )
        if is_doubtful:
            self.look_soon()
        return self._clock.mono_ns() >= self._next_ns

    async def _compare(self) -> ReconcileReport:
        """Compare once, and let the outcome decide whether orders may go out."""
        settings, state = self._settings, self._control.state
        self._next_ns = self._clock.mono_ns() + round(settings.reconcile_every_s * NS_PER_SECOND)
        began_ns, doubts = self._clock.mono_ns(), self._doubts
        self.last = report = await self._reconciler.compare()
        self.counts["comparisons"] += 1
        self.counts["comparisons_in_doubt"] += bool(report.doubts)
        self.tell(report)
        if report.is_whole and doubts == self._doubts:
            self._whole_ns = began_ns
            state.is_reconciled, state.reconciled_why = True, ""
        else:  # not whole, or reports may have been missed since it began
            self.counts["comparisons_not_whole"] += not report.is_whole
            self.look_soon()
        self._reconciler.note_told()
        await self._keeper.on_disk_or_late()
        return report

    def tell(self, report: ReconcileReport) -> None:
        """Count and log the differences of a comparison, or of an opening."""
        self.counts.update(f"difference:{each.kind}" for each in report.differences)
        for each in report.differences:
            _LOG.warning("%s", each.words)

    def _age(self) -> None:
        """Let no order out where the last whole comparison is too old."""
        most_ns = round(self._settings.reconcile_age_s * NS_PER_SECOND)
        if self._whole_ns is None or self._clock.mono_ns() - self._whole_ns > most_ns:
            why = self.last.why if self.last is not None and self.last.why else "it is too old"
            state = self._control.state
            state.is_reconciled = False
            since = "yet" if self._whole_ns is None else "for too long"
            state.reconciled_why = f"no whole comparison with the exchange {since}: {why}"

    async def _look_at_keys(self) -> None:
        """Ask until when the key may trade where a location must be attested."""
        now_ns, state = self._clock.mono_ns(), self._control.state
        every_s = self._settings.keys_every_s if state.is_region_known else self._settings.reconcile_every_s
        if self._keys_ns is not None and now_ns - self._keys_ns < round(every_s * NS_PER_SECOND):
            return
        self._keys_ns = now_ns
        try:
            state.region_expires_ns = (await self._reports.keys()).region_expires_ns
            state.is_region_known = True
        except PlatformError as err:
            self.counts["keys_not_read"] += 1
            _LOG.warning("the key's location could not be asked for: %s", err)
