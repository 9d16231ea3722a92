"""The account from outside: its subaccounts, its orders, fills and settlements.

Cash       a subaccount has one cash per shard over all events, but every event has an exchange of its own.
           Before anything of the account may happen in one of them, each wallet there is set to the cash of
           the shard less what orders in other events reserve (``lend``); afterwards the change of the wallet
           is the change of the cash (``take_back``).
Numbers    subaccount n trades in an event's exchange as its account ``first_outside + n``.
"""

from collections import deque
from typing import Any, Final

from kalshi_platform.simulation.matching import reasons, tape
from kalshi_platform.trading.simserver import wire
from kalshi_platform.trading.simserver.venue.feed import VenueFeed
from kalshi_platform.trading.simserver.venue.market import ServedEvent, ServedMarket
from kalshi_platform.trading.simserver.venue.orders import (
    AccountFill,
    AccountOrder,
    AccountPosition,
    AccountSettlement,
    OrderGroup,
)
from kalshi_platform.trading.simserver.venue.subaccount import Subaccount

#: Orders, fills and settlements that are kept once they ended; the oldest go first.
MOST_KEPT: Final = 100_000
_REASONS: Final = {int(code): words for code, words in reasons.UPDATE_REASONS.items()}


class OutsideAccount:
    """The one account that trades here by API."""

    def __init__(self, feed: VenueFeed, cash_e6: int) -> None:
        self._feed = feed
        self.user_id = wire.uuid_text(wire.USER_ID, 0, 1)
        self.subs = [Subaccount(0, cash_e6)]
        self.orders: dict[str, AccountOrder] = {}
        self.by_client: dict[str, AccountOrder] = {}
        self._burnt: dict[str, None] = {}  # client ids used by no order that is known any more
        self.by_tag: dict[int, AccountOrder] = {}
        self.by_core: dict[tuple[str, int], AccountOrder] = {}  # resting orders
        self.fills: deque[AccountFill] = deque(maxlen=MOST_KEPT)
        self.settled: deque[AccountSettlement] = deque(maxlen=MOST_KEPT)
        self.groups: dict[str, OrderGroup] = {}
        self.group_of: dict[tuple[str, int], OrderGroup] = {}  # (event, number in its core)
        self.swept_until_ns = 0  # orders placed before are cancelled like those before the last cancel-all
        self.trade_id = ""  # of the print that the next FILL row belongs to
        self.n_fills = 0
        self.n_settled = 0
        self.n_tags = 0
        self.has_triggered: list[OrderGroup] = []  # to be triggered in the other events too
        self._ended: deque[str] = deque()

    # Cash

    @property
    def primary(self) -> Subaccount:
        """Subaccount 0."""
        return self.subs[0]

    def add_sub(self) -> Subaccount:
        """Make the next subaccount, without cash."""
        self.subs.append(Subaccount(len(self.subs), 0))
        return self.subs[-1]

    def lend(self, event: ServedEvent) -> list[int]:
        """Set the wallets in the event's exchange to what the subaccounts may spend there; returns that."""
        assert event.live is not None  # nothing is lent to an event that ended
        shard, exchange, first = event.exchange_index, event.live.exchange, event.live.first_outside
        lent = []
        for sub in self.subs:
            wanted = sub.cash_e6[shard] - sub.reserved_on(shard, event.ticker)
            change = wanted - int(exchange.core.wallets["cash_e6"][first + sub.number, 0])
            if change and not (answer := exchange.deposit(first + sub.number, change)).ok:
                raise AssertionError(f"{event.ticker}: {change} of cash could not be lent: {answer.reason}")
            lent.append(wanted)
        return lent

    def take_back(self, event: ServedEvent, lent_e6: list[int]) -> None:
        """Book the change of the wallets since ``lend`` and note what is reserved there now."""
        assert event.live is not None  # lend has seen it
        shard, first = event.exchange_index, event.live.first_outside
        for sub, lent in zip(self.subs, lent_e6, strict=True):
            wallet = event.live.exchange.core.wallets[first + sub.number, 0]
            sub.cash_e6[shard] += int(wallet["cash_e6"]) - lent
            sub.note_reserved(event.ticker, shard, int(wallet["reserved_e6"]))

    def forget(self, event: ServedEvent) -> None:
        """Forget the wallets of an event that is paid."""
        for sub in self.subs:
            sub.forget(event.ticker)

    def has_used(self, client_order_id: str) -> bool:
        """True where an order of the account had this client id."""
        return client_order_id in self.by_client or client_order_id in self._burnt

    def burn(self, client_order_id: str) -> None:
        """Take a client id for used; the oldest of too many are free again."""
        self.by_client.pop(client_order_id, None)
        self._burnt[client_order_id] = None
        while len(self._burnt) > MOST_KEPT:
            del self._burnt[next(iter(self._burnt))]

    def rests_in(self, event: ServedEvent) -> bool:
        """True where orders of the account rest in the event."""
        live = event.live
        if live is None:
            return False
        first = live.first_outside
        return bool(live.exchange.core.n_resting[first : first + len(self.subs)].any())

    # Rows

    def read_row(self, event: ServedEvent, row: Any, number: int, *, is_owner: bool) -> None:
        """Take in one row that names subaccount ``number``, as its owner or as the maker of a fill."""
        kind = int(row["kind"])
        if kind == tape.FILL:
            self._read_fill(event, row, self.subs[number], is_owner)
        elif kind == tape.SETTLE:
            self._read_settlement(event, row, self.subs[number])
        elif kind == tape.GROUP:
            self._read_group(event, row)
        elif kind in (tape.ACK, tape.CANCEL, tape.CHANGE):
            self._read_order(event, row, kind)

    def _read_order(self, event: ServedEvent, row: Any, kind: int) -> None:
        order, now = self.by_tag[int(row["client"])], event.open_ns + int(row["time_ns"])
        order.core_id, order.updated_ns = int(row["order_id"]), now
        if kind == tape.ACK:
            self.by_core[event.ticker, order.core_id] = order
            self._feed.order(order)
            return
        if kind == tape.CANCEL:
            order.left_e2, order.status = 0, "canceled"
            order.update_reason = _REASONS.get(int(row["reason"]), "")
            self._end(event, order)
        else:
            order.left_e2, order.price_e4 = int(row["left_e2"]), int(row["price_e4"])
            order.update_reason = _REASONS.get(int(row["reason"]), order.update_reason)
        self._feed.order(order)

    def _read_fill(self, event: ServedEvent, row: Any, sub: Subaccount, is_taker: bool) -> None:
        number = int(row["order_id"] if is_taker else row["maker_id"])
        order, now = self.by_core[event.ticker, number], event.open_ns + int(row["time_ns"])
        qty, price = int(row["qty_e2"]), int(row["price_e4"])
        fee = int(row["fee_e6"] if is_taker else row["maker_fee_e6"])
        cost = qty * (price if order.side == "bid" else 10_000 - price)
        order.filled_e2 += qty
        order.left_e2 = int(row["left_e2"] if is_taker else row["maker_left_e2"])
        order.updated_ns, order.update_reason = now, "Trade"
        if is_taker:
            order.taker_cost_e6 += cost
            order.taker_fees_e6 += fee
        else:
            order.maker_cost_e6 += cost
            order.maker_fees_e6 += fee
        if order.left_e2 == 0:
            order.status = "executed"
            self._end(event, order)
        held = sub.positions.setdefault(order.market.ticker, AccountPosition(order.market, sub.number))
        held.take(order.side, price, qty, fee, now)
        self.n_fills += 1
        fill = AccountFill(
            self.trade_id, self.n_fills, order, is_taker, price, qty, fee, held.position_e2, now
        )
        self.fills.append(fill)
        if order.group_id is not None:
            group = self.groups.get(order.group_id)
            if group is not None:  # else it was deleted, and its orders with it
                group.matches.append((now, qty, event.ticker))
        self._feed.fill(fill)
        self._feed.order(order)
        self._feed.position(held)

    def _read_settlement(self, event: ServedEvent, row: Any, sub: Subaccount) -> None:
        market = event.markets[int(row["market"])]
        held = sub.positions[market.ticker]
        now, paid = event.open_ns + int(row["time_ns"]), int(row["cash_e6"])
        self.n_settled += 1
        self.settled.append(
            AccountSettlement(
                self.n_settled, market, sub.number, held.position_e2, held.cost_e6, held.fees_e6, paid,
                int(row["price_e4"]), now,
            )
        )  # fmt: skip
        held.realized_e6 += paid - held.cost_e6
        held.position_e2, held.cost_e6, held.is_settled, held.updated_ns = 0, 0, True, now
        self._feed.position(held)

    def close_position(self, market: ServedMarket, now_ns: int) -> None:
        """Take that a market is paid; one where the account holds nothing any more has no settlement."""
        for sub in self.subs:
            held = sub.positions.get(market.ticker)
            if held is not None and not held.is_settled:
                held.is_settled, held.updated_ns = True, now_ns

    def _read_group(self, event: ServedEvent, row: Any) -> None:
        group = self.group_of.get((event.ticker, int(row["order_id"])))
        if group is not None and row["reason"] == tape.GROUP_TRIGGERED and not group.is_triggered:
            group.is_triggered = True
            self.has_triggered.append(group)
            self._feed.group(group, "triggered", event.open_ns + int(row["time_ns"]))

    def _end(self, event: ServedEvent, order: AccountOrder) -> None:
        """Forget the oldest of too many ended orders."""
        self.by_core.pop((event.ticker, order.core_id), None)
        self._ended.append(order.order_id)
        while len(self._ended) > MOST_KEPT:
            old = self.orders.pop(self._ended.popleft(), None)
            if old is not None:
                self.by_tag.pop(old.tag, None)
                if old.client_order_id:
                    self.burn(old.client_order_id)
