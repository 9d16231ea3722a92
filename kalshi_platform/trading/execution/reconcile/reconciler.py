"""One comparison of journal and exchange, in which the exchange wins.

Steps    read all lists whole -> orders -> fills -> what is proven of unknown outcomes -> settlements ->
         positions -> cash. Reports that the stream brings meanwhile are taken as always; a list that is older
         than they changes nothing (orders/states.py).
Race     positions and cash are read at other moments than fills: a difference counts once ``looks`` reads in
         a row show the same one. Until then the comparison is not whole, and is made again. Lists that are
         as of a time before the last fill, or the last end of an order, prove no difference: reads lag.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange.clock import ExchangeClock
from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.reports import ReportedStatus
from kalshi_platform.trading.execution.orders.states import OrderEvent, OrderState
from kalshi_platform.trading.execution.reconcile.differences import (
    Difference,
    DifferenceKind,
    ReconcileReport,
    fill_difference,
    order_difference,
)
from kalshi_platform.trading.execution.reconcile.ended import EndedOrders
from kalshi_platform.trading.execution.reconcile.foreign import OPENED, ForeignOrders
from kalshi_platform.trading.execution.reconcile.holdings import AccountHoldings
from kalshi_platform.trading.execution.reconcile.lists import AccountLists, ReportPort, read_lists
from kalshi_platform.trading.execution.reconcile.money import cash_doubts
from kalshi_platform.trading.execution.reconcile.shards import learn_shards
from kalshi_platform.trading.execution.reconcile.unexplained import cost_from_nothing_e6
from kalshi_platform.trading.execution.reconcile.unknown import UnknownWrites

#: Fills and settlements are asked for from so long before the last comparison: lists may lag.
OVERLAP_NS = 120 * NS_PER_SECOND
_AS_OF = "reconciled_as_of_ns"
#: Note of an order of ours that no list shows any more.
_MISSING = "missing_order"


class Reconciler:
    """Comparison of one account's journal with the exchange's lists."""

    def __init__(
        self, keeper: LedgerKeeper, reports: ReportPort, clock: ExchangeClock, *, grace_s: float, looks: int,
        pause_s: float,
    ) -> None:  # fmt: skip
        """``grace_s``: risk of requests still on their way (unknown.py); ``looks``: reads that must agree."""
        self._keeper, self._ledger, self._reports, self._clock = keeper, keeper.ledger, reports, clock
        self.unknown = UnknownWrites(round(grace_s * NS_PER_SECOND))
        self._ended = EndedOrders(round(grace_s * NS_PER_SECOND))
        self._looks, self._pause_s = looks, pause_s
        self._foreign, self._holdings = ForeignOrders(keeper), AccountHoldings(keeper, clock)
        # Orders told as missing, also before a restart; a list that shows one takes it out.
        self.halt: Callable[[str], None] = lambda _why: None  # whoever may halt sets it
        self.booked: Callable[[], None] = lambda: None  # whoever keeps results sets it: positions moved
        self._not_noted: list[Callable[[int], None]] = []
        self.missing = {str(detail.get("client_order_id")) for detail in keeper.journal.notes(_MISSING)}

    async def open_account(self, newest_ns: int = 0) -> ReconcileReport:
        """Take positions and cash from the exchange into a new journal; raises where nothing can be read.

        Orders that rest are not this journal's: each is told, and is grave. ``newest_ns``: time of the last
        fill or end that is known elsewhere; older lists would show its order as somebody else's.
        """
        before: tuple[object, ...] | None = None
        why = "positions and cash changed at every look"
        for _ in range(max(self._looks, 2) * 2):
            lists = await read_lists(self._reports, self._ledger, self._clock.wall_ns())
            await learn_shards(self._reports, self._ledger, lists, lists.as_of_ns)
            stand = (
                {t: p.position_e2 for t, p in lists.positions.items()}, lists.balance.by_shard_e6,
                lists.balance.cash_e6, lists.order_ids,
            )  # fmt: skip
            if lists.as_of_ns < newest_ns:
                why = "the exchange's lists are older than the last fill or end"
            elif stand == before:
                return self._opened(lists)
            before = stand
            await self._clock.sleep(self._pause_s)
        return ReconcileReport(self._clock.wall_ns(), None, why, ())

    def _opened(self, lists: AccountLists) -> ReconcileReport:
        """Book the opening of a new journal."""
        keeper, now_ns = self._keeper, self._clock.wall_ns()
        for shard, cash_e6 in lists.balance.by_shard_e6.items():
            keeper.open_cash(now_ns, "opening", shard, cash_e6)
        for ticker, held in lists.positions.items():
            if held.position_e2:
                shard = self._ledger.market(ticker).exchange_index
                cost_e6 = cost_from_nothing_e6(held.position_e2, held.exposure_e6)
                keeper.correct(now_ns, "opening", ticker, shard, held.position_e2, cost_e6)
        keeper.set_meta(OPENED, str(lists.as_of_ns))
        keeper.set_meta(_AS_OF, str(lists.as_of_ns))
        found = [each for report in lists.orders for each in self._foreign.differences(report)]
        self._halt_for(found)
        return self._reported(lists.as_of_ns, None, found, ())

    def note_told(self) -> None:
        """Write which grave differences were named: the halt for them stands in the journal by now.

        Written before it, a crash between the two would leave what nobody ever names again.
        """
        now_ns = self._clock.wall_ns()
        self._foreign.note_told(now_ns)
        for note in self._not_noted:
            note(now_ns)
        self._not_noted.clear()

    def _note_missing(self, order: Order, now_ns: int) -> None:
        """Write that no list shows an order any more."""
        self._keeper.note(now_ns, _MISSING, {"client_order_id": order.client_order_id})

    def end_missing(self) -> None:
        """End orders that whole lists do not show any more: a person who resumed takes them for ended."""
        for order in list(self._ledger.live.values()):
            if order.client_order_id in self.missing and not order.is_ended:
                why = "in none of the exchange's lists: taken for ended by a person who resumed"
                self._keeper.step(order, OrderEvent.ENDED, why)

    async def compare(self) -> ReconcileReport:
        """Compare once, with as many reads as an agreement takes."""
        found: list[Difference] = []
        why: str | None = None
        is_passing = False
        mismatch: dict[str, int] = {}
        doubts: tuple[str, ...] = ()
        agreed = 0
        as_of_ns: int | None = None
        for look in range(self._looks + 3):
            if look:
                await self._clock.sleep(self._pause_s)
            mono_ns = self._clock.mono_ns()
            self.unknown.begin_look(self._ledger.live.values())
            try:
                lists = await read_lists(self._reports, self._ledger, self._since_ns())
                as_of_ns = lists.as_of_ns
                await learn_shards(self._reports, self._ledger, lists, self._opened_ns())
                self._take(lists, mono_ns, found)
            except PlatformError as err:
                why, is_passing = f"the exchange's lists could not be read whole: {err}", True
                break
            if gone := self._holdings.gone(lists):
                why = f"the exchange lists no position any more and no settlement yet: {', '.join(gone)}"
                continue
            now = self._holdings.mismatches(lists)
            if now and lists.as_of_ns < self._ledger.newest_ns:
                agreed, mismatch = 0, {}
                why = f"lists older than the last fill or end differ from it: {', '.join(sorted(now))}"
                continue
            agreed = agreed + 1 if now == mismatch else 1
            mismatch = now
            if not now:
                why, doubts = None, tuple(each.words for each in cash_doubts(self._ledger, lists.balance))
                break
            if agreed >= self._looks:
                found += self._holdings.adopt(lists)
                self._halt_for(found)
                self.booked()
                why = None
                break
            why = f"positions or cash move while they are read: {', '.join(sorted(now))}"
        return replace(self._reported(as_of_ns, why, found, doubts), is_passing=is_passing)

    def _halt_for(self, found: list[Difference]) -> None:
        """Halt for grave differences before anything is awaited: one transaction of the journal has both."""
        grave = [each.words for each in found if each.is_grave]
        if grave:
            self.halt(f"{len(grave)} grave differences, first: {grave[0]}")

    def _reported(
        self, as_of_ns: int | None, why: str | None, found: list[Difference], doubts: tuple[str, ...]
    ) -> ReconcileReport:
        """Report of one comparison, which is written."""
        # A settlement that was held back must be listed again the next time.
        if why is None and as_of_ns is not None and not self._holdings.is_held_back:
            self._keeper.set_meta(_AS_OF, str(as_of_ns))
        left = tuple(order.client_order_id for order in self._ledger.undecided())
        report = ReconcileReport(self._clock.wall_ns(), as_of_ns, why, tuple(found), left, doubts)
        for each in report.differences:
            self._keeper.note(report.at_ns, "difference", {"kind": each.kind.value, "words": each.words})
        return report

    def _since_ns(self) -> int:
        """Time from which fills and settlements are asked for."""
        return max((self._keeper.journal.meta_ns(_AS_OF) or 0) - OVERLAP_NS, 0)

    def _opened_ns(self) -> int:
        """Time of the opening: what was filled before lies in the positions that were taken over."""
        return self._keeper.journal.meta_ns(OPENED) or 0

    # Orders and fills

    def _take(self, lists: AccountLists, mono_ns: int, found: list[Difference]) -> None:
        """Take orders, fills, proofs and settlements of the lists, and halt for what is grave among them.

        Differences go into ``found`` one by one: what was named before an error halts too. Nothing is awaited
        between a booking and the results of it: a cut between the two would make up a result.
        """
        try:
            self._take_orders(lists, found)
            self._take_fills(lists, found)
            self._prove(lists, mono_ns, found)
            self._prove_ended(lists, mono_ns, found)
            self._holdings.take_settlements(lists, found, self._opened_ns())
        finally:
            self._halt_for(found)
            self.booked()

    def _take_orders(self, lists: AccountLists, found: list[Difference]) -> None:
        """Take every order of the lists; those that are not ours are told once."""
        for report in lists.orders:
            order = self._ledger.of(report.client_order_id, report.order_id)
            if order is None:
                found += self._foreign.differences(report)
                continue
            before = (order.state, order.filled_e2)
            self._keeper.take_report(report)
            if order.is_ended and report.exch_ns is not None:
                self._ledger.saw(report.exch_ns, self._clock.wall_ns())
            # While its own request is on the way, a list that is faster is no difference.
            if before != (order.state, order.filled_e2) and before[0] is not OrderState.PENDING:
                theirs = f"{report.status}, filled {report.filled_e2}"
                ours = f"{before[0]}, filled {before[1]}"
                found.append(Difference(DifferenceKind.MISSED_REPORT, order.client_order_id, ours, theirs))

    def _take_fills(self, lists: AccountLists, found: list[Difference]) -> None:
        """Book fills that no report had brought; fills of foreign orders once a list shows the order."""
        opened_ns, ids = self._opened_ns(), lists.order_ids
        for fill in (*lists.fills, *list(self._ledger.waiting.values())):
            if self._ledger.of(fill.client_order_id, fill.order_id) is None:
                self._ledger.waiting.pop(fill.key, None)
                if fill.exch_ns <= opened_ns or fill.key in self._ledger.foreign_keys:
                    continue
                is_known = self._ledger.shard_of(fill.ticker, fill.exchange_index) is not None
                # Its order may be one of ours that no list shows yet.
                if fill.order_id not in ids or not is_known:
                    self._ledger.waiting[fill.key] = fill
                elif self._keeper.book_foreign(fill):
                    found.append(fill_difference(DifferenceKind.FOREIGN_FILL, fill))
            elif self._keeper.take_fill(fill) is not None:
                found.append(fill_difference(DifferenceKind.MISSED_FILL, fill))

    # Unknown outcomes

    def _prove(self, lists: AccountLists, mono_ns: int, found: list[Difference]) -> None:
        """Decide unknown outcomes that these lists prove."""
        resting = {o.order_id for o in lists.orders if o.status is ReportedStatus.RESTING}
        shown = lists.client_ids()
        for order in list(self._ledger.live.values()):
            if order.order_id in lists.order_ids:
                self.missing.discard(order.client_order_id)
            if order.state is OrderState.UNKNOWN and order.intent.ticker in lists.tickers:
                if self._waits_in(order, lists) or order.client_order_id in shown:
                    continue
                if self.unknown.is_late_enough(order, lists, mono_ns):
                    found.append(order_difference(DifferenceKind.ABSENT_ORDER, order, "in no list"))
                    self._decide(order, OrderEvent.PROVEN_ABSENT)
            elif order.state is OrderState.CANCEL_UNKNOWN and order.order_id in resting:
                if self.unknown.is_late_enough(order, lists, mono_ns):
                    found.append(order_difference(DifferenceKind.STILL_RESTS, order, "resting"))
                    self._decide(order, OrderEvent.PROVEN_RESTING)
            elif order.fills_missing_e2 and not order.is_undecided:
                if self.unknown.is_late_enough(order, lists, mono_ns):
                    theirs = f"{order.filled_e2} filled, fills of {order.fills_e2}"
                    found.append(order_difference(DifferenceKind.MISSING_FILL, order, theirs))
                    self._not_noted.append(
                        partial(self._keeper.note_written_off, order, order.fills_missing_e2)
                    )
                    self._ledger.write_off(order, order.fills_missing_e2)
                    self.unknown.forget(order.client_order_id)
            elif self._is_missing(order, lists):
                if self.unknown.is_late_enough(order, lists, mono_ns):
                    self.missing.add(order.client_order_id)
                    self._not_noted.append(partial(self._note_missing, order))
                    found.append(order_difference(DifferenceKind.MISSING_ORDER, order, "in no list"))
            elif not order.is_undecided:
                self.unknown.forget(order.client_order_id)

    def _prove_ended(self, lists: AccountLists, mono_ns: int, found: list[Difference]) -> None:
        """Bring back orders that ended here and go on resting there."""
        told = {o.order_id for o in lists.orders if o.status is ReportedStatus.RESTING}
        ended = [o for i in told if (o := self._ledger.by_order_id.get(i)) is not None and o.is_ended]
        self._ended.forget_all_but({order.client_order_id for order in ended})
        for order in ended:
            if self._ended.still_rests(order, lists, self._clock.wall_ns(), mono_ns):
                found.append(order_difference(DifferenceKind.RESTS_AFTER_END, order, "resting"))
                self._keeper.step(order, OrderEvent.PROVEN_RESTING)

    def _decide(self, order: Order, event: OrderEvent) -> None:
        self._keeper.step(order, event)
        self.unknown.forget(order.client_order_id)

    def _waits_in(self, order: Order, lists: AccountLists) -> bool:
        """True where a fill of the order's market waits for an order that no list shows."""
        fills = self._ledger.waiting.values()
        return any(f.ticker == order.intent.ticker and f.order_id not in lists.order_ids for f in fills)

    def _is_missing(self, order: Order, lists: AccountLists) -> bool:
        """True where an order that the exchange had is in no list of its market, and was not told yet."""
        if order.order_id is None or order.is_ended or order.intent.ticker not in lists.tickers:
            return False
        return order.order_id not in lists.order_ids and order.client_order_id not in self.missing
