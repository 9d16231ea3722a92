"""The one door to the ledger: what changes it is written to the journal in the same call.

Failing   a journal that cannot be written any more (a full disk) is told once and counted; reports are still
          taken into the ledger, so that cancels and exits are watched, and no new order goes out.
Slow      a disk that does not answer holds no cancel up: it waits for PATIENCE_S and leaves all the same.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.trading.execution.journal.journal import OrderJournal
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.reports import FillReport, OrderReport
from kalshi_platform.trading.execution.orders.states import OrderEvent

_LOG = logging.getLogger(__name__)
#: Longest that anything but a new order waits for the disk.
PATIENCE_S: Final = 1.0
#: Note of an order whose missing fills are waited for no longer.
WRITTEN_OFF: Final = "written_off"


class LedgerKeeper:
    """Ledger and journal of one account, changed together."""

    def __init__(self, ledger: OrderLedger, journal: OrderJournal) -> None:
        self.ledger, self.journal = ledger, journal
        self.failed: str | None = None  # why the journal cannot be written
        self.on_fill: Callable[[Order | None, FillReport], None] = lambda _order, _fill: None
        self.on_order: Callable[[Order], None] = lambda _order: None

    def add_order(self, order: Order) -> None:
        """Take in a new order, to be sent after ``on_disk``; StorageError where it cannot be written: the
        order is nowhere then."""
        try:
            self.journal.add_order(order)
        except StorageError as err:
            self._fail(err)
            raise
        self.ledger.add(order)

    def step(self, order: Order, event: OrderEvent, reason: str = "") -> None:
        """Move an order by an event."""
        before = order.state
        self.ledger.step(order, event)
        if reason:
            order.reason = reason
        self._update(order, told=order.state is not before)

    def bound_fees(self, order: Order, bound_e6: int) -> None:
        """Hold the fees of a live order to be ``bound_e6`` at most."""
        self.ledger.bound_fees(order, bound_e6)
        self._update(order, told=False)

    def accepted(self, order: Order, order_id: str, filled_e2: int | None, event: OrderEvent) -> None:
        """Take the acknowledgement of a new order."""
        before = order.state
        self.ledger.learn_id(order, order_id)
        if filled_e2 is not None:
            self.ledger.count_filled(order, filled_e2)
        self.ledger.step(order, event)
        self._take_waiting(order)
        self._update(order, told=order.state is not before)

    def cancelled(self, order: Order, reduced_e2: int) -> None:
        """Take the acknowledgement of a cancel that took ``reduced_e2`` off: all else was filled."""
        self.ledger.count_filled(order, order.intent.qty_e2 - reduced_e2)
        self.step(order, OrderEvent.ENDED)

    def take_report(self, report: OrderReport) -> Order | None:
        """Take one report of an order's stand; None where the order is not ours."""
        known = self.ledger.of(report.client_order_id, report.order_id)
        before = None if known is None else (known.state, known.filled_e2)
        order = self.ledger.take_report(report)
        if order is None:
            return None
        self._take_waiting(order)
        self._update(order, told=before != (order.state, order.filled_e2))
        return order

    def take_fill(self, fill: FillReport) -> Order | None:
        """Book one fill; None where it was booked before, or its order is not known (yet)."""
        order = self.ledger.take_fill(fill)
        if order is not None:
            self._write(lambda: self.journal.add_fill(fill, order.client_order_id))
            self._update(order, told=True)
            self.on_fill(order, fill)
            self._take_waiting(order)
        return order

    def book_foreign(self, fill: FillReport) -> bool:
        """Book a fill that is proven not to be of our orders; False where it was booked before."""
        is_new = self.ledger.book_foreign(fill)
        if is_new:
            # Its shard may be known from elsewhere: the journal must not ask again.
            kept = replace(fill, exchange_index=self.ledger.market(fill.ticker).exchange_index)
            self._write(lambda: self.journal.add_fill(kept, None))
            self.on_fill(None, fill)
        return is_new

    def settle(self, ticker: str, value_e4: int, at_ns: int) -> bool:
        """Book what a market paid; False where that was known."""
        if self.ledger.market(ticker).value_e4 == value_e4:
            return False
        self.ledger.settle(ticker, value_e4, at_ns)
        self._write(lambda: self.journal.add_settlement(ticker, value_e4, at_ns))
        return True

    def open_cash(self, at_ns: int, kind: str, shard: int, change_e6: int) -> None:
        """Add cash that nothing else explains."""
        self.ledger.open_cash(shard, change_e6)
        self._write(lambda: self.journal.add_correction(at_ns, kind, None, shard, 0, change_e6))

    def correct(self, at_ns: int, kind: str, ticker: str, shard: int, position_e2: int, cost_e6: int) -> None:
        """Add a change of position that no fill explains."""
        self.ledger.correct(ticker, shard, position_e2, cost_e6, at_ns)
        self._write(lambda: self.journal.add_correction(at_ns, kind, ticker, shard, position_e2, cost_e6))

    def note_written_off(self, order: Order, size_e2: int, at_ns: int) -> None:
        """Write that fills of ``size_e2`` are waited for no longer, also after a restart."""
        self.note(at_ns, WRITTEN_OFF, {"client_order_id": order.client_order_id, "size_e2": size_e2})

    def add_facts(self, ticker: str, event: str, category: str, shard: int) -> None:
        """Write which event, category and shard a market belongs to."""
        self._write(lambda: self.journal.add_facts(ticker, event, category, shard))

    def add_result(self, minute: int, best_e6: int, last_e6: int) -> None:
        """Write the results of one minute."""
        self._write(lambda: self.journal.add_result(minute, best_e6, last_e6))

    def shift_results(self, change_e6: int) -> None:
        """Move the results of every minute so far."""
        self._write(lambda: self.journal.shift_results(change_e6))

    def accept_losses(self, at_ns: int) -> None:
        """Drop the results so far."""
        self._write(self.journal.forget_results)
        self.note(at_ns, "losses_accepted", {})

    def note(self, at_ns: int, kind: str, detail: Mapping[str, object]) -> None:
        """Write one event of the session."""
        self._write(lambda: self.journal.note(at_ns, kind, detail))

    def set_meta(self, name: str, value: str) -> None:
        """Write one value about the journal itself."""
        self._write(lambda: self.journal.set_meta(name, value))

    def commit(self) -> None:
        """Bring what was written to disk."""
        self._write(self.journal.commit)

    async def on_disk(self) -> None:
        """Wait until what was written is on disk; StorageError where it is not."""
        try:
            await self.journal.on_disk()
        except StorageError as err:
            self._fail(err)
            raise

    async def on_disk_or_late(self) -> bool:
        """Wait until what was written is on disk, for PATIENCE_S at most: for all but new orders.

        False where it is not: failures are told by :meth:`on_disk`, a late disk by a line of the log.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.on_disk()
        except StorageError:
            return False  # told
        except TimeoutError:
            _LOG.warning("the journal's disk has not answered for %g s; cancels do not wait", PATIENCE_S)
            return False
        return self.failed is None

    def _take_waiting(self, order: Order) -> None:
        """Book the fills that waited for this order."""
        for fill in self.ledger.waiting_of(order):
            self.take_fill(fill)

    def _update(self, order: Order, *, told: bool) -> None:
        self._write(lambda: self.journal.update_order(order))
        if told:
            self.on_order(order)

    def _write(self, work: Callable[[], None]) -> None:
        """Do one piece of writing; a failure is kept and logged once."""
        try:
            work()
        except StorageError as err:
            self._fail(err)

    def _fail(self, error: StorageError) -> None:
        if self.failed is None:
            _LOG.error("%s", error)
        self.failed = str(error)
