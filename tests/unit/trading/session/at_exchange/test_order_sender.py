"""The sender of orders: what it remembers of those that ended. Sending: test_exchange_book.py."""

from types import SimpleNamespace

from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.session.at_exchange.order_sender import OrderSender


def test_actions_of_ended_orders_are_forgotten_and_those_of_live_ones_never():
    executor = SimpleNamespace(ledger=SimpleNamespace(live={"kp-0": None}, markets={}))
    sender = OrderSender(
        TradingConfig(n_slots=1),
        executor,
        lambda *_: None,
        lambda _: None,
        lambda: 0,
        lambda: 0,
        expires=True,
    )
    for number in range(10_000):
        sender._remember(SimpleNamespace(client_order_id=f"kp-{number}"), "BUY_YES")
    assert len(sender.actions) < 3_000
    assert {"kp-0", "kp-9999", "kp-9500"} <= sender.actions.keys()
