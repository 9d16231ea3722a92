"""The gate against a plain reference that tries every set of fills and both outcomes (plain_limits.py)."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from made.execution import BID, WIDE, intent, view
from made.plain_account import HandClock
from made.plain_limits import Kin, Trade, fees_of, is_exit, worst_by

from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.reports import FillReport
from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.execution.risk.exposure import ExposureBook, MarketKin, fee_bound_e6
from kalshi_platform.trading.execution.risk.gate import RiskGate, RiskState
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.execution.risk.modes import RiskMode

KIN = {
    "M1": Kin("E1", "Economics"), "M2": Kin("E1", "Economics"), "M3": Kin("E2", "Economics"),
    "M4": Kin("E3", "Crypto"),
}  # fmt: skip
RATE_E6 = 70_000
SUMS = {
    "market_loss_usd": "market", "event_loss_usd": "event", "category_loss_usd": "category",
    "account_loss_usd": "account",
}  # fmt: skip
trades = st.tuples(
    st.sampled_from(sorted(KIN)), st.sampled_from(list(BookSide)), st.integers(1, 9_999), st.integers(1, 900)
)
limits_e2 = st.integers(0, 2_000)


def plain(market, side, price_e4, qty_e2, fees_e6):
    return Trade(
        market, side is BID, Fraction(price_e4, 10_000), Fraction(qty_e2, 100), Fraction(fees_e6, 10**6)
    )


@settings(max_examples=150, deadline=None)
@given(
    held=st.lists(st.tuples(trades, st.integers(0, 5_000)), max_size=5),
    resting=st.lists(trades, max_size=4),
    wanted=trades,
    most=st.fixed_dictionaries(dict.fromkeys(SUMS, limits_e2)),
)
def test_sums_refuse_exactly_what_the_reference_says(held, resting, wanted, most):
    clock, ledger = HandClock(), OrderLedger()
    ledger.open_cash(0, 10**12)
    exposures = ExposureBook(ledger)
    for market, kin in KIN.items():
        exposures.know(market, MarketKin(kin.event, kin.category, 0))
    fills, orders = [], []
    for number, ((market, side, price, qty), fee) in enumerate(held):
        ledger.book_foreign(
            FillReport(f"t{number}", f"f{number}", None, market, side, price, qty, fee, True, 0, 0)
        )
        fills.append(plain(market, side, price, qty, fee))
    for number, (market, side, price, qty) in enumerate(resting):
        asked = intent(clock, market, side, price, qty)
        bound = fee_bound_e6(asked, RATE_E6)
        state = OrderState.UNKNOWN if number == 3 else OrderState.RESTING
        ledger.add(Order(number + 1, f"kp-a-{number}", asked, 0, 0, fee_bound_e6=bound, state=state))
        orders.append(plain(market, side, price, qty, bound))
    limits = RiskLimits.parse(WIDE | {name: Fraction(value, 100).__float__() for name, value in most.items()})
    state = RiskState(RiskMode.ACTIVE, "a test", is_reconciled=True)
    market, side, price, qty = wanted
    asked = intent(clock, market, side, price, qty)
    order = plain(market, side, price, qty, fee_bound_e6(asked, RATE_E6))
    kin = KIN[market]
    shown = view(clock, market, event=kin.event, category=kin.category, exchange_index=0)
    gate = RiskGate(limits, ledger, exposures, state, lambda: 0)
    refused = {each.limit for each in gate.check(asked, shown, clock.wall_ns(), clock.mono_ns())}
    expected = set()
    names = {"market": market, "event": kin.event, "category": kin.category, "account": ""}
    rises = worst_by(fills, [*orders, order], KIN, "market", market) > worst_by(
        fills, orders, KIN, "market", market
    )
    for limit, group in SUMS.items():
        after = worst_by(fills, [*orders, order], KIN, group, names[group])
        if rises and not is_exit(fills, orders, order) and after > Fraction(most[limit], 100):
            expected.add(limit)
    assert refused & SUMS.keys() == expected


@settings(max_examples=300, deadline=None)
@given(
    side=st.sampled_from(list(BookSide)),
    limit_e4=st.integers(1, 9_999),
    parts=st.lists(st.tuples(st.integers(1, 300), st.integers(0, 3_000)), min_size=1, max_size=12),
    rate_e6=st.sampled_from([0, 17_500, 35_000, 70_000, 140_000]),
)
def test_an_orders_cost_with_its_fees_never_passes_its_bound_however_it_fills(side, limit_e4, parts, rate_e6):
    """At its limit or better, in one piece or in many: cash out is at most cost and fee bound."""
    qty_e2 = sum(qty for qty, _ in parts)
    asked = intent(HandClock(), side=side, price_e4=limit_e4, qty_e2=qty_e2)
    fills = []
    for qty, better in parts:
        price = max(limit_e4 - better, 1) if side is BID else min(limit_e4 + better, 9_999)
        fills.append((Fraction(price, 10_000), Fraction(qty, 100)))
    spent = sum((price if side is BID else 1 - price) * contracts for price, contracts in fills)
    paid = spent + fees_of(fills, is_bid=side is BID, rate=Fraction(rate_e6, 10**6))
    assert paid <= Fraction(asked.cost_e6 + fee_bound_e6(asked, rate_e6), 10**6)


def test_an_order_that_fills_in_crumbs_pays_a_step_for_each():
    """Worked by hand: 0.0001 $ x 0.01 is 1e-6 $, and each crumb takes a whole step of 1e-4 $."""
    crumbs = [(Fraction(1, 10_000), Fraction(1, 100))] * 50
    assert fees_of(crumbs, is_bid=True, rate=Fraction(0)) == 50 * Fraction(99, 10**6)
    assert fee_bound_e6(intent(HandClock(), price_e4=1, qty_e2=50), 0) == 50 * 100 + 100
