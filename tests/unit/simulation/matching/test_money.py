"""Settlement floors: the exchange's own worked example, brokers' members, refusals, orders at the floor."""

from made.core_exchange import cash_e6, open_exchange, position_e2, told
from made.core_twins import FINE


def unfeed(x):
    """Take the fees away, which the exchange's example leaves out."""
    x.core.markets["taker_rate_e6"] = 0


def trade(x, buyer, seller, price, contracts):
    assert x.submit(buyer, 0, "bid", price, 100 * contracts).ok
    assert x.submit(seller, 0, "ask", price, 100 * contracts).filled_e2 == 100 * contracts


def changes(x):
    """Cash of the three accounts less what they were given, in cents."""
    return [(cash_e6(x, account)[0] - 10**9) // 10_000 for account in range(3)]


def test_the_exchanges_worked_example():
    x = open_exchange()
    unfeed(x)
    trade(x, 0, 1, 4_000, 100)
    assert changes(x) == [-4_000, -6_000, 0]  # A buys YES at 0.40, B has the NO at 0.60
    assert x.raise_floor(0, 3_000).ok
    assert changes(x) == [-1_000, -6_000, 0]  # A is paid 100 x 0.30
    trade(x, 2, 0, 4_500, 50)
    assert changes(x) == [-250, -6_000, -750]  # 50 x (0.45 - 0.30)
    assert x.settle(0, 5_000).ok
    assert changes(x) == [750, -1_000, 250]  # A -40 + 47.50, B -60 + 50, C -7.50 + 10


def test_members_behind_a_broker_are_paid_all_in_the_end():
    x = open_exchange()
    unfeed(x)
    x.set_balance_unit(0, 10_000)
    trade(x, 0, 1, 4_000, 100)
    x.raise_floor(0, 3_000)
    assert changes(x) == [-4_000, -6_000, 0]
    trade(x, 2, 0, 4_500, 50)  # pays 0.45, gets 0.45 less the floor
    assert changes(x) == [-1_750, -6_000, -750]
    x.settle(0, 5_000)
    assert changes(x) == [750, -1_000, 250]


def test_a_rise_cancels_what_it_reaches_and_frees_the_cash():
    x = open_exchange(bands=FINE)
    kept = x.submit(0, 0, "bid", 3_001, 100).order_id
    for price in (3_000, 2_999, 1):
        x.submit(0, 0, "bid", price, 100)
    told(x)
    x.raise_floor(0, 3_000)
    assert [row[3] for row in told(x) if row[0] == "CANCEL"] == ["FLOOR_CANCEL"] * 3
    assert x.open_orders() == [kept]
    assert cash_e6(x, 0) == (10**9, 100 + 100)  # 0.0001 a contract, and a step for the rounding
    assert x.submit(1, 0, "ask", 3_000, 100).reason == "INVALID_PRICE"
    assert x.amend(0, kept, 0, "bid", 2_000, 100).reason == "INVALID_PRICE"


def test_asks_at_the_floor_go_and_the_rise_pays_for_what_the_others_reserve():
    x = open_exchange(cash_e6=41_000_000)
    unfeed(x)
    x.deposit(1, 20_000_000)
    trade(x, 0, 1, 4_000, 100)
    x.submit(0, 0, "ask", 4_100, 10_000)
    x.submit(0, 0, "ask", 4_200, 100)  # beyond the position: 0.58, less 0 that it closes
    low = x.submit(2, 0, "ask", 2_000, 100).order_id
    x.raise_floor(0, 2_000)
    assert x.order(low) is None
    cash, reserved = cash_e6(x, 0)
    assert cash == 41_000_000 - 40_000_000 + 20_000_000
    # 100 x 0.59 + 0.58 less 100 x (1 - 0.20) that the position gives back: nothing
    assert reserved == 0


def test_a_floor_only_rises_and_a_settlement_is_not_below_it():
    x = open_exchange()
    assert x.raise_floor(0, 3_000).ok
    for floor in (3_000, 2_000, 10_000, -1):
        assert x.raise_floor(0, floor).reason == "INVALID_AMOUNT"
    assert x.settle(0, 2_999).reason == "INVALID_AMOUNT"
    assert x.settle(0, 3_000).ok
    assert x.raise_floor(0, 4_000).reason == "INVALID_STATUS"


def test_a_floor_leaves_nothing_behind():
    x = open_exchange()
    trade(x, 0, 1, 4_000, 100)
    x.raise_floor(0, 3_000)
    trade(x, 1, 0, 6_000, 100)  # both close: A sells at 0.60, B's NO is gone
    assert [position_e2(x, account) for account in range(3)] == [0, 0, 0]
    fees = int(x.core.shards["fees_e6"][0])
    assert sum(cash_e6(x, account)[0] for account in range(3)) + fees == 3 * 10**9
