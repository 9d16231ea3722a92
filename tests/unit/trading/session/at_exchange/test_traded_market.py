"""A slot's market: the fees of its orders' lives, and when its position is known."""

from made.execution import A, intent
from made.plain_account import HandClock

from kalshi_platform.domain.fee_schedule import FeeStep, FeeTerms
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.session.at_exchange.traded_market import TradedMarket


def test_an_order_is_held_to_the_highest_rates_of_its_life():
    half = FeeTerms(fee_multiplier_e6=500_000)
    makers = FeeTerms(fee_type="quadratic_with_maker_fees")
    twice = FeeTerms(fee_multiplier_e6=2_000_000)
    fees = tuple(
        FeeStep(from_ns=at_ns, terms=t) for at_ns, t in ((0, half), (100, makers), (200, half), (300, twice))
    )
    held = TradedMarket(A, "EVENT", fees=fees)
    assert held.rates_e6(50, 99) == (35_000, 0)
    assert held.rates_e6(50, 100) == (70_000, 17_500)
    assert held.rates_e6(100, 150) == (70_000, 17_500)
    assert held.rates_e6(200, 299) == (35_000, 0)
    assert held.rates_e6(50, 1_000) == (140_000, 17_500)


def test_an_order_that_ended_is_let_go_once_every_fill_is_here():
    order = Order(1, "kp-1", intent(HandClock(), A), 0, 0, state=OrderState.FILLED, told_filled_e2=1_000)
    held = TradedMarket(A, "EVENT", order=order, action=1)
    held.let_go()
    assert (held.order, held.working, held.awaits_fills) == (order, None, True)
    order.fills_e2 = 1_000
    held.let_go()
    assert (held.order, held.action, held.awaits_fills) == (None, 0, False)
