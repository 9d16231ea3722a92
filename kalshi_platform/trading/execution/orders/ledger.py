"""All orders of one journal, the positions they made, and the cash of each shard.

Owns        which report belongs to which order, which fill was taken already, what contradicts what.
Invariant   every fill is booked once, whatever the order and the number of its reports; cash of a shard is
            its opening plus what every market there brought (``MarketPosition.cash_e6``).
Forgotten   ended orders of which nothing is missing, when there are many: the journal has them, and ``of``
            reads one there that a late report names (``find_forgotten``).
Foreign     orders and fills of this account that the journal does not know: kept apart and named, fills are
            booked only once whole lists prove that they are foreign (``book_foreign``).
Not here    disk (journal), sending (executor), comparison (reconcile).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.execution.orders.order import Order, event_of_fill, event_of_report
from kalshi_platform.trading.execution.orders.positions import MarketPosition
from kalshi_platform.trading.execution.orders.reports import FillReport, OrderReport
from kalshi_platform.trading.execution.orders.states import OrderEvent

#: Finds an order by our id or by the exchange's; None where there is none.
FindOrder: TypeAlias = Callable[[str | None, str | None], Order | None]
_CLOCKS_DIFFER_NS: Final = 2 * NS_PER_SECOND


class OrderLedger:
    """Orders, positions and cash of one account, in whole numbers."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}  # by client id
        self.by_order_id: dict[str, Order] = {}
        self.live: dict[str, Order] = {}  # by client id: not ended, or fills are missing
        self.markets: dict[str, MarketPosition] = {}
        self.opening_e6: dict[int, int] = {}  # shard -> cash of the opening and of corrections
        self.cash_e6: dict[int, int] = {}  # shard -> cash, resting orders not taken off
        self.unexplained_e6 = 0  # cash and, at their marks, positions that only the exchange's lists told
        self.waiting: dict[tuple[str, str], FillReport] = {}  # fills whose order nobody knows yet
        self.foreign_keys: set[tuple[str, str]] = set()  # fills booked that are not of our orders
        self.foreign_orders: dict[str, OrderReport] = {}  # by the exchange's id
        self.surprises: Counter[str] = Counter()  # contradictions, by their names
        self.version = 0  # grows with every change of an order or a position
        self.dirty: set[str] = set()  # markets that changed; whoever sums over markets empties it
        self.n_forgotten = 0
        self.find_forgotten: FindOrder = lambda _client_order_id, _order_id: None
        self.newest_ns = 0  # the exchange's time of the newest fill, or of an order's end (``saw``)

    # Orders

    def add(self, order: Order) -> None:
        """Take in an order that is in the journal."""
        self.market(order.intent.ticker, order.exchange_index)
        self.orders[order.client_order_id] = order
        if order.order_id is not None:
            self.by_order_id[order.order_id] = order
        self._changed(order)

    def of(self, client_order_id: str | None, order_id: str | None) -> Order | None:
        """Order that a report names, by our id or by the exchange's; None where it is not ours."""
        found = self.orders.get(client_order_id) if client_order_id else None
        found = found or (self.by_order_id.get(order_id) if order_id else None)
        if found is None and self.n_forgotten:
            found = self.find_forgotten(client_order_id, order_id)
            if found is not None:
                self.n_forgotten -= 1
                self.add(found)
        return found

    def forget_ended(self, most: int) -> None:
        """Forget the oldest ended orders where there are over twice ``most``; the journal must have them."""
        if len(self.orders) - len(self.live) <= 2 * most:
            return
        ended = [
            o for o in self.orders.values() if o.client_order_id not in self.live and not o.written_off_e2
        ]
        for order in ended[: max(len(ended) - most, 0)]:
            del self.orders[order.client_order_id]
            if order.order_id is not None:
                self.by_order_id.pop(order.order_id, None)
            self.n_forgotten += 1

    def step(self, order: Order, event: OrderEvent) -> None:
        """Move an order by an event; a contradiction is counted by its name."""
        before = order.state
        if order.step(event):
            self.surprises[f"{before}:{event}"] += 1
        self._changed(order)

    def learn_id(self, order: Order, order_id: str) -> None:
        """Note the exchange's id of an order; the fills that waited for it are ``waiting_of`` it now."""
        if order.order_id is not None and order.order_id != order_id:
            self.surprises["two_orders_of_one_client_id"] += 1
            return
        order.order_id = order_id
        self.by_order_id[order_id] = order
        self.foreign_orders.pop(order_id, None)

    def waiting_of(self, order: Order) -> list[FillReport]:
        """Fills that came before their order was known to be this one."""
        return [fill for fill in self.waiting.values() if fill.order_id == order.order_id]

    def count_filled(self, order: Order, filled_e2: int) -> None:
        """Take the count of a report; a smaller one than known is stale."""
        if filled_e2 > order.intent.qty_e2:
            self.surprises["overfilled"] += 1
        order.told_filled_e2 = max(order.told_filled_e2, filled_e2)
        self._changed(order)

    def bound_fees(self, order: Order, bound_e6: int) -> None:
        """Hold the fees of an order to be ``bound_e6`` at most."""
        order.fee_bound_e6 = bound_e6
        self._changed(order)

    def write_off(self, order: Order, size_e2: int) -> None:
        """Wait no longer for fills of ``size_e2`` that reports counted and no list has."""
        order.written_off_e2 += size_e2
        self._changed(order)

    # Reports

    def take_report(self, report: OrderReport) -> Order | None:
        """Take one report of an order's stand; None where the order is not ours."""
        order = self.of(report.client_order_id, report.order_id)
        if order is None:
            self.foreign_orders[report.order_id] = report
            return None
        intent = order.intent
        if (report.ticker, report.side) != (intent.ticker, intent.side):
            self.surprises["report_of_another_order"] += 1  # says nothing of this one
            return order
        is_size = report.initial_e2 == intent.qty_e2
        if intent.reduce_only:  # the exchange cuts such an order to the position
            is_size = report.initial_e2 <= intent.qty_e2
        if report.price_e4 != intent.price_e4 or not is_size:  # changed by hand
            self.surprises["report_of_another_order"] += 1
        if report.exchange_index not in (None, order.exchange_index):
            self.surprises["order_on_another_shard"] += 1
        self.learn_id(order, report.order_id)
        self.count_filled(order, report.filled_e2)
        if report.reason:
            order.reason = report.reason
        self.step(order, event_of_report(report))
        return order

    def take_fill(self, fill: FillReport) -> Order | None:
        """Book one fill; None where it was booked before, or waits for its order to be known."""
        order = self.of(fill.client_order_id, fill.order_id)
        if order is None:
            if fill.key not in self.foreign_keys:
                self.waiting[fill.key] = fill
            return None
        if fill.key in order.fill_keys:
            return None
        if fill.ticker != order.intent.ticker or fill.side is not order.intent.side:
            self.surprises["fill_of_another_order"] += 1  # not booked: the lists tell what was filled
            self.waiting.pop(fill.key, None)
            return None
        self.learn_id(order, fill.order_id)
        self.waiting.pop(fill.key, None)
        event = event_of_fill(order, fill)
        order.fill_keys.add(fill.key)
        order.fills_e2 += fill.qty_e2
        order.fees_e6 += fill.fee_e6
        if order.fills_e2 > order.intent.qty_e2:
            self.surprises["overfilled"] += 1
        if fill.exchange_index not in (None, order.exchange_index):
            self.surprises["fill_on_another_shard"] += 1
        self._book(fill, order.exchange_index)
        self.step(order, event)
        return order

    def book_foreign(self, fill: FillReport) -> bool:
        """Book a fill that is proven not to be of our orders; False where it was booked before."""
        self.waiting.pop(fill.key, None)
        if fill.key in self.foreign_keys:
            return False
        self.foreign_keys.add(fill.key)
        shard = self.shard_of(fill.ticker, fill.exchange_index)
        if shard is None:
            raise AssertionError(f"{fill.ticker}: a fill without a shard waits until it has one")
        self._book(fill, shard)
        return True

    def saw(self, exch_ns: int, wall_ns: int) -> None:
        """Note the time of a fill or of an order's end: older lists say nothing of positions and cash.

        A time ahead of our clock by more than clocks may differ is taken for wrong: no list would ever be
        young enough.
        """
        self.newest_ns = max(self.newest_ns, min(exch_ns, wall_ns + _CLOCKS_DIFFER_NS))

    def settle(self, ticker: str, value_e4: int, at_ns: int) -> int:
        """Book what a market paid; returns the change of cash. Told again with another value, that holds."""
        market = self.market(ticker)
        before = market.cash_e6
        market.value_e4, market.settled_ns = value_e4, at_ns
        self._move_cash(market, before)
        return market.cash_e6 - before

    # Corrections, in which the exchange wins

    def open_cash(self, shard: int, change_e6: int) -> None:
        """Add cash that no fill explains: the opening, a payment in or out, a correction."""
        self.opening_e6[shard] = self.opening_e6.get(shard, 0) + change_e6
        self.cash_e6[shard] = self.cash_e6.get(shard, 0) + change_e6
        self.unexplained_e6 += change_e6
        self.version += 1

    def see_shards(self, shards: Iterable[int]) -> None:
        """Take note of shards that the account has, also of those without cash."""
        for shard in shards:
            self.cash_e6.setdefault(shard, 0)

    def correct(self, ticker: str, shard: int, position_e2: int, cost_e6: int, at_ns: int) -> None:
        """Add a change of position that no fill explains; cash is corrected apart."""
        market = self.market(ticker, shard)
        before_e6 = market.worth_e6
        market.correct(position_e2, cost_e6, at_ns)
        self.unexplained_e6 += market.worth_e6 - before_e6
        self.dirty.add(ticker)
        self.version += 1

    # Reading

    def market(self, ticker: str, shard: int | None = None) -> MarketPosition:
        """The account's stand in a market; ``shard`` is needed where it is new, and never guessed."""
        found = self.markets.get(ticker)
        if found is None:
            if shard is None:
                raise AssertionError(f"{ticker}: its cash lies on a shard that nobody told")
            found = self.markets[ticker] = MarketPosition(ticker, shard)
        return found

    def shard_of(self, ticker: str, told: int | None) -> int | None:
        """Shard of a market: as it is known here, else as ``told``, else the only one of the account.

        None where nobody knows: cash lies on several shards, and a guess would book it on the wrong one.
        """
        known = self.markets.get(ticker)
        if known is not None:
            return known.exchange_index
        if told is not None:
            return told
        return next(iter(self.cash_e6)) if len(self.cash_e6) == 1 else None

    def position_e2(self, ticker: str) -> int:
        """Open position in a market by its fills, 1e-2 contract."""
        found = self.markets.get(ticker)
        return 0 if found is None else found.held_e2

    def undecided(self) -> Iterable[Order]:
        """Orders about which the outcome of a write is unknown."""
        return [order for order in self.live.values() if order.is_undecided]

    def live_in(self, ticker: str) -> list[Order]:
        """Orders of a market that are not ended, or of which fills are missing."""
        return [order for order in self.live.values() if order.intent.ticker == ticker]

    # Within

    def _book(self, fill: FillReport, shard: int) -> None:
        market = self.market(fill.ticker, shard)
        before = market.cash_e6
        market.fill(fill.side, fill.price_e4, fill.qty_e2, fill.fee_e6, fill.exch_ns)
        self._move_cash(market, before)

    def _move_cash(self, market: MarketPosition, before_e6: int) -> None:
        shard = market.exchange_index
        self.cash_e6[shard] = self.cash_e6.get(shard, 0) + market.cash_e6 - before_e6
        self.dirty.add(market.ticker)
        self.version += 1

    def _changed(self, order: Order) -> None:
        if order.is_ended and not order.exposed_e2:
            self.live.pop(order.client_order_id, None)
        else:
            self.live[order.client_order_id] = order
        self.dirty.add(order.intent.ticker)
        self.version += 1
