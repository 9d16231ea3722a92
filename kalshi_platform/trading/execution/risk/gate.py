"""The gate: every limit, asked before every order; the answer names each one that the order would pass.

Exits     an order that only makes a position smaller is held to the limits of one order (size, price), to
          freshness and pace; limits on sums and days do not stop it: they would keep a loss open.
Unknown   while the outcome of a write is unknown nothing passes.
Numbers   whole ones only: ``Intent`` and ``MarketAtOrder`` refuse all else before anything is compared.
Not here  what is sent (executor.py), the losses that halt (executor.py asks losses.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND
from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.orders.intents import Intent
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.risk.exposure import (
    ExposureBook,
    Working,
    fee_bound_e6,
    reserve_e6,
    working_of,
    worst_loss_e6,
)
from kalshi_platform.trading.execution.risk.limits import RiskLimits, contracts_e2, usd_e4, usd_e6
from kalshi_platform.trading.execution.risk.market_at_order import MarketAtOrder
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.execution.risk.pace import DayCounts, Pace
from kalshi_platform.trading.execution.risk.refusals import RiskRefusal

#: Categories in which a key without an attested location may not trade.
REGION_CATEGORIES: Final = frozenset({"Sports", "Elections", "Entertainment", ""})
_HOUR_NS: Final = 3_600 * NS_PER_SECOND


@dataclass(slots=True)
class RiskState:
    """State of the gate beside the ledger; the executor keeps it."""

    mode: RiskMode = RiskMode.HALTED
    mode_why: str = "not started"
    is_reconciled: bool = False
    reconciled_why: str = "no comparison with the exchange yet"
    write_unknown: int = 0  # writes of unknown outcome that are no order's: a cancel of all
    is_region_known: bool = False  # the exchange has told until when the location is attested
    region_expires_ns: int | None = None  # None: for ever


class RiskGate:
    """Limits of one account over its ledger."""

    def __init__(
        self,
        limits: RiskLimits,
        ledger: OrderLedger,
        exposures: ExposureBook,
        state: RiskState,
        skew_ns: Callable[[], int | None],
    ) -> None:
        """``skew_ns``: this machine's clock less the exchange's; None where no answer has told it."""
        self.limits = limits
        self._ledger, self._exposures, self._state, self._skew_ns = ledger, exposures, state, skew_ns
        self.pace, self.day = Pace(), DayCounts()

    def check(
        self, intent: Intent, view: MarketAtOrder, wall_ns: int, mono_ns: int
    ) -> tuple[RiskRefusal, ...]:
        """Return a refusal for every limit that the order would pass; none lets it out."""
        self._exposures.refresh()
        is_exit = self.makes_smaller(intent)
        found = [*self._states(view, is_exit=is_exit), *self._order(intent, view)]
        found += [*self._freshness(intent, view, wall_ns), *self._paces(mono_ns)]
        if not is_exit:
            found += [*self._sums(intent, view), *self._days(intent, view, wall_ns)]
            found += self._region(view, wall_ns)
        return tuple(found)

    def check_again(self, intent: Intent, view: MarketAtOrder, wall_ns: int) -> tuple[RiskRefusal, ...]:
        """Return what has come up since :meth:`check` that lets no order out: mode, unknown outcomes, age.

        The order itself is in the ledger by now. Sums were asked with every order that was written before it.
        """
        is_exit = self._is_exit_among(intent)
        return (*self._states(view, is_exit=is_exit), *self._freshness(intent, view, wall_ns))

    def _is_exit_among(self, intent: Intent) -> bool:
        """True where the order, which is among the working ones, can only make the position smaller."""
        held_e2 = self._ledger.position_e2(intent.ticker)
        working = working_of(self._ledger.live_in(intent.ticker))
        if intent.side is BookSide.BID:
            return working.bid_e2 <= -held_e2
        return working.ask_e2 <= held_e2

    def makes_smaller(self, intent: Intent) -> bool:
        """True where the order, with all others of its side, can only make the position smaller."""
        return self._closes_e2(intent) == intent.qty_e2

    def _closes_e2(self, intent: Intent) -> int:
        """Part of the order that closes what is held and what no working order closes, 1e-2 contract."""
        held_e2 = self._ledger.position_e2(intent.ticker)
        working = working_of(self._ledger.live_in(intent.ticker))
        open_e2 = -held_e2 - working.bid_e2 if intent.side is BookSide.BID else held_e2 - working.ask_e2
        return min(max(open_e2, 0), intent.qty_e2)

    # What may go out at all

    def _states(self, view: MarketAtOrder, *, is_exit: bool) -> Iterator[RiskRefusal]:
        state = self._state
        if state.mode is RiskMode.HALTED or (state.mode is RiskMode.REDUCING and not is_exit):
            yield _no("not_active", f"trading is {state.mode.upper()}: {state.mode_why}")
        unknown = [order.client_order_id for order in self._ledger.undecided()]
        if unknown or state.write_unknown:
            names = ", ".join(unknown[:3]) or "a cancel of all orders"
            yield _no("write_unknown", f"the outcome of {names} is unknown; no order until reports decide it")
        if not state.is_reconciled:
            yield _no("not_reconciled", state.reconciled_why)
        if not view.is_open:
            yield _no("market_closed", f"{view.ticker} takes no orders now")
        if not view.is_valid:
            yield _no("book_invalid", f"the book of {view.ticker} has a gap since its last whole one")

    # One order

    def _order(self, intent: Intent, view: MarketAtOrder) -> Iterator[RiskRefusal]:
        limits = self.limits
        yield from _above(
            "order_contracts", intent.qty_e2, contracts_e2(limits.order_contracts), "1e-2 contract"
        )
        # A pair of YES and NO pays a dollar at once: what closes a position brings cash, whatever its price.
        opens_e2 = intent.qty_e2 - self._closes_e2(intent)
        cost_e6 = intent.own_e4 * opens_e2 + self.fees_e6(intent, view)
        yield from _above("order_cost_usd", cost_e6, usd_e6(limits.order_cost_usd), "1e-6 dollar")
        yield from self._price(intent, view)
        if view.bid_e4 is not None and view.ask_e4 is not None:
            spread_e4 = view.ask_e4 - view.bid_e4
            yield from _above("spread_usd", spread_e4, usd_e4(limits.spread_usd), "1e-4 dollar")
            if spread_e4 <= 0:
                yield _no(
                    "book_invalid", f"the book of {view.ticker} is crossed: {view.bid_e4}, {view.ask_e4}"
                )

    def _price(self, intent: Intent, view: MarketAtOrder) -> Iterator[RiskRefusal]:
        """Refuse a price far through the best one that it meets, or where there is none to compare with."""
        is_bid = intent.side is BookSide.BID
        met, own = (view.ask_e4, view.bid_e4) if is_bid else (view.bid_e4, view.ask_e4)
        best = met if met is not None else own
        if best is None:
            yield _no("price_distance_usd", f"{view.ticker} shows no price to compare {intent.price_e4} with")
            return
        through_e4 = intent.price_e4 - best if is_bid else best - intent.price_e4
        most_e4 = usd_e4(self.limits.price_distance_usd)
        yield from _above("price_distance_usd", through_e4, most_e4, "1e-4 dollar")

    def fees_e6(self, intent: Intent, view: MarketAtOrder) -> int:
        """Fees of the whole order at most, 1e-6 dollar, by the highest rates of its life."""
        return fee_bound_e6(intent, max(view.taker_rate_e6, view.maker_rate_e6))

    # Sums

    def _sums(self, intent: Intent, view: MarketAtOrder) -> Iterator[RiskRefusal]:
        limits, exposures = self.limits, self._exposures
        market = self._ledger.market(view.ticker, view.exchange_index)
        working = working_of(self._ledger.live_in(view.ticker))
        after = working.plus(intent.side, intent.own_e4, intent.qty_e2, self.fees_e6(intent, view))
        yield from _above("market_orders", after.orders, limits.market_orders, "orders")
        size_e2 = max(market.held_e2 + after.bid_e2, -(market.held_e2 - after.ask_e2))
        yield from _above("market_contracts", size_e2, contracts_e2(limits.market_contracts), "1e-2 contract")
        before_e6, after_e6 = exposures.market(view.ticker).worst_e6, worst_loss_e6(market, after)
        change_e6 = after_e6 - before_e6
        for name, value_e6, most_e6 in (
            ("market_loss_usd", after_e6, usd_e6(limits.market_loss_usd)),
            ("event_loss_usd", exposures.event_e6(view.event) + change_e6, usd_e6(limits.event_loss_usd)),
            (
                "category_loss_usd",
                exposures.category_e6(view.category) + change_e6,
                limits.category_loss_e6(view.category),
            ),
            ("account_loss_usd", exposures.account_e6 + change_e6, usd_e6(limits.account_loss_usd)),
        ):
            if change_e6 > 0:  # an order that lowers the worst loss is never refused for it
                yield from _above(name, value_e6, most_e6, "1e-6 dollar")
        yield from self._cash(view, market.held_e2, working, after)

    def _cash(
        self, view: MarketAtOrder, held_e2: int, before: Working, after: Working
    ) -> Iterator[RiskRefusal]:
        """Refuse where the market's own shard has too little: that of other shards stays there."""
        needed_e6 = reserve_e6(held_e2, after) - reserve_e6(held_e2, before)
        left_e6 = self._exposures.free_e6(view.exchange_index) - needed_e6
        least_e6 = usd_e6(self.limits.shard_cash_usd)
        if left_e6 < least_e6:
            words = (
                f"shard {view.exchange_index} would have {left_e6} left, at least {least_e6} (1e-6 dollar)"
            )
            yield RiskRefusal("shard_cash_usd", left_e6, least_e6, "1e-6 dollar", words)

    # Days

    def _days(self, intent: Intent, view: MarketAtOrder, wall_ns: int) -> Iterator[RiskRefusal]:
        limits, day = self.limits, self.day.at(wall_ns)
        live = self._ledger.live.values()
        on_way_e2 = sum(order.exposed_e2 for order in live)
        on_way_e6 = sum(order.intent.own_e4 * order.exposed_e2 + order.fee_bound_e6 for order in live)
        yield from _above("day_orders", day.orders + 1, limits.day_orders, "orders")
        contracts = day.contracts_e2 + on_way_e2 + intent.qty_e2
        yield from _above("day_contracts", contracts, contracts_e2(limits.day_contracts), "1e-2 contract")
        spend_e6 = day.spend_e6 + on_way_e6 + intent.cost_e6 + self.fees_e6(intent, view)
        yield from _above("day_spend_usd", spend_e6, usd_e6(limits.day_spend_usd), "1e-6 dollar")

    # Freshness and pace

    def _freshness(self, intent: Intent, view: MarketAtOrder, wall_ns: int) -> Iterator[RiskRefusal]:
        limits = self.limits
        for name, at_ns, most_ms in (
            ("book_age_ms", view.book_ns, limits.book_age_ms),
            ("model_age_ms", view.model_ns, limits.model_age_ms),
            ("decision_age_ms", intent.decided_ns, limits.decision_age_ms),
        ):
            age_ms = -(-(wall_ns - at_ns) // NS_PER_MS)
            # A time far ahead is no fresh one: a clock was set, or the unit is wrong.
            yield from _above(name, abs(age_ms) if age_ms < -most_ms else age_ms, most_ms, "ms")
        skew_ns = self._skew_ns()
        if skew_ns is None:
            yield _no("clock_skew_ms", "no answer of the exchange has told its clock yet")
        else:
            yield from _above("clock_skew_ms", abs(skew_ns) // NS_PER_MS, limits.clock_skew_ms, "ms")

    def _paces(self, mono_ns: int) -> Iterator[RiskRefusal]:
        second, minute = self.pace.within(mono_ns)
        yield from _above("orders_per_second", second + 1, self.limits.orders_per_second, "orders")
        yield from _above("orders_per_minute", minute + 1, self.limits.orders_per_minute, "orders")

    def _region(self, view: MarketAtOrder, wall_ns: int) -> Iterator[RiskRefusal]:
        expires_ns = self._state.region_expires_ns
        if view.category not in REGION_CATEGORIES:
            return
        if not self._state.is_region_known:
            yield _no("region_margin_h", "the exchange has not told yet until when the location is attested")
        if expires_ns is None:
            return
        left_ns, margin_ns = expires_ns - wall_ns, round(self.limits.region_margin_h * _HOUR_NS)
        if left_ns < margin_ns:
            words = (
                f"the key's attested location expires in {left_ns / _HOUR_NS:.1f} h; "
                f"{self.limits.region_margin_h:g} h are kept in {view.category or 'an unknown category'}: "
                "attest it again on the exchange's page"
            )
            yield RiskRefusal("region_margin_h", left_ns, margin_ns, "ns", words)


def _above(limit: str, value: int, most: int, unit: str) -> Iterator[RiskRefusal]:
    """Refuse a value above its limit."""
    if value > most:
        yield RiskRefusal(limit, value, most, unit, f"{limit} would be {value}, at most {most} ({unit})")


def _no(limit: str, words: str) -> RiskRefusal:
    """Refusal without a number."""
    return RiskRefusal(limit, 1, 0, "", words)
