"""The gate: each limit refuses at its own number and by its own name, and lets out just below it."""

import dataclasses

import pytest
from made.execution import ASK, BID, WIDE, A, B
from made.plain_account import S

from kalshi_platform.trading.execution.risk.limits import RiskLimits

MS = 1_000_000


def names(submitted):
    return [each.limit for each in submitted.refusals]


def fill(bench, qty_e2, price_e4=4_000, ticker=A, side=BID):
    bench.account.next_create.append("filled")
    assert bench.submit(side, price_e4, qty_e2, ticker).order is not None
    bench.deliver()


# By hand: 10 contracts at 0.40 cost 4.00, and at most ceil(0.07 x 10 x 0.4 x 0.6) = 0.168 + 0.0011 of fees.
@pytest.mark.parametrize(
    ("limits", "passes", "refused", "name"),
    [
        ({"order_contracts": 10}, {"qty_e2": 1_000}, {"qty_e2": 1_001}, "order_contracts"),
        ({"order_cost_usd": 4.1691}, {"qty_e2": 1_000}, {"qty_e2": 1_001}, "order_cost_usd"),
        ({"market_contracts": 10}, {"qty_e2": 1_000}, {"qty_e2": 1_001}, "market_contracts"),
        ({"market_loss_usd": 4.1691}, {"qty_e2": 1_000}, {"qty_e2": 1_001}, "market_loss_usd"),
        ({"event_loss_usd": 4.1691}, {"qty_e2": 1_000}, {"qty_e2": 1_001}, "event_loss_usd"),
        ({"category_loss_usd": 4.1691}, {"qty_e2": 1_000}, {"qty_e2": 1_001}, "category_loss_usd"),
        ({"account_loss_usd": 4.1691}, {"qty_e2": 1_000}, {"qty_e2": 1_001}, "account_loss_usd"),
        ({"day_contracts": 10}, {"qty_e2": 1_000}, {"qty_e2": 1_001}, "day_contracts"),
        ({"day_spend_usd": 4.1691}, {"qty_e2": 1_000}, {"qty_e2": 1_001}, "day_spend_usd"),
        ({"shard_cash_usd": 995.8309}, {"qty_e2": 1_000}, {"qty_e2": 1_001}, "shard_cash_usd"),
        ({"price_distance_usd": 0.01}, {"price_e4": 4_300}, {"price_e4": 4_301}, "price_distance_usd"),
    ],
)
def test_the_limit_itself_passes_and_one_unit_more_does_not(benches, limits, passes, refused, name):
    for wanted, expected in ((passes, []), (refused, [name])):
        bench = benches(limits)
        assert names(bench.submit(**wanted)) == expected
        bench.close()


@pytest.mark.parametrize(
    ("seen", "name"),
    [
        ({"bid_e4": 2_000, "ask_e4": 4_200}, "spread_usd"),
        ({"bid_e4": 4_200, "ask_e4": 4_200}, "book_invalid"),
        ({"bid_e4": None, "ask_e4": None}, "price_distance_usd"),
        ({"is_valid": False}, "book_invalid"),
        ({"is_open": False}, "market_closed"),
        ({"exchange_index": 1}, "another_market"),
    ],
)
def test_what_the_market_shows_can_refuse(benches, seen, name):
    bench = benches({"spread_usd": 0.20, "price_distance_usd": 0.10})
    bench.executor.know(A, "KXDEMO-26DEC01", "Economics", 0)
    assert names(bench.submit(seen=seen)) == [name]


def test_an_ask_is_held_to_the_bid(benches):
    bench = benches({"price_distance_usd": 0.01})
    assert names(bench.submit(ASK, price_e4=3_800)) == []
    assert names(bench.submit(ASK, price_e4=3_799)) == ["price_distance_usd"]
    assert names(bench.submit(ASK, price_e4=9_999)) == []  # far away it rests


@pytest.mark.parametrize("name", ["book_ns", "model_ns"])
def test_age_and_a_time_that_lies_ahead_refuse(bench, name):
    limit = {"book_ns": "book_age_ms", "model_ns": "model_age_ms"}[name]
    now = bench.clock.wall_ns()
    assert names(bench.submit(seen={name: now - 5_000 * MS})) == []
    assert names(bench.submit(seen={name: now - 5_001 * MS})) == [limit]
    assert names(bench.submit(seen={name: now + 3_600 * S})) == [limit]
    assert names(bench.submit(seen={name: now // 1_000})) == [limit]  # microseconds by mistake


def test_an_old_decision_is_refused(bench):
    from made.execution import intent, view

    old = dataclasses.replace(intent(bench.clock), decided_ns=bench.clock.wall_ns() - 2_001 * MS)
    assert names(bench.run(bench.executor.submit(old, view(bench.clock)))) == ["decision_age_ms"]


def test_a_clock_that_is_off_or_was_never_compared_refuses(bench):
    bench.skew_ns = -2_001 * MS
    assert names(bench.submit()) == ["clock_skew_ms"]
    bench.skew_ns = None
    assert names(bench.submit()) == ["clock_skew_ms"]


def test_pace_goes_by_a_clock_that_nobody_sets_back(benches):
    bench = benches({"orders_per_second": 2, "orders_per_minute": 3})
    assert names(bench.submit(qty_e2=1)) == names(bench.submit(qty_e2=1)) == []
    bench.clock.off_ns = -3_600 * S
    assert names(bench.submit(qty_e2=1)) == ["orders_per_second"]
    bench.clock.now_ns += S
    assert names(bench.submit(qty_e2=1)) == []
    bench.clock.now_ns += S
    assert names(bench.submit(qty_e2=1)) == ["orders_per_minute"]
    bench.clock.now_ns += 60 * S
    assert names(bench.submit(qty_e2=1)) == []


def test_an_attested_location_that_runs_out_stops_the_categories_that_need_one(bench):
    bench.account.region_expires_ns = bench.clock.wall_ns() + 23 * 3_600 * S
    bench.executor._upkeep._keys_ns = None
    bench.calm(1)
    refusals = bench.submit(seen={"category": "Sports"}).refusals
    assert [r.limit for r in refusals] == ["region_margin_h"]
    assert "attest it again" in refusals[0].words
    assert names(bench.submit(ticker=B)) == []


def test_both_sides_of_a_market_are_not_added(benches):
    """Only one outcome happens: 10 bid at 0.40 and 10 asked at 0.60 lose 4.00 and a fee, not 8.00."""
    bench = benches({"market_loss_usd": 4.40})
    assert names(bench.submit(BID, 4_000, 1_000)) == []
    assert names(bench.submit(ASK, 6_000, 1_000)) == []
    assert names(bench.submit(BID, 4_000, 100)) == ["market_loss_usd"]


def test_markets_of_one_event_and_of_one_category_are_added(benches):
    other = "KXDEMO-26DEC01-T51"
    bench = benches({"event_loss_usd": 6, "category_loss_usd": 10})
    assert names(bench.submit(qty_e2=1_000)) == []
    assert names(bench.submit(qty_e2=1_000, ticker=other)) == ["event_loss_usd"]
    assert names(bench.submit(qty_e2=1_000, ticker=B)) == []
    far = "KXFAR-26DEC01-T1"
    assert names(bench.submit(qty_e2=1_000, ticker=far)) == ["category_loss_usd"]
    assert names(bench.submit(qty_e2=1_000, ticker=far, seen={"category": "Crypto"})) == []


def test_an_exit_is_let_out_where_sums_and_days_are_used_up(benches):
    bench = benches({"market_loss_usd": 5, "day_contracts": 10, "day_orders": 1, "day_spend_usd": 5})
    fill(bench, 1_000)
    assert set(names(bench.submit(BID, qty_e2=100))) >= {"day_contracts", "day_orders"}
    assert names(bench.submit(ASK, price_e4=4_100, qty_e2=1_000)) == []
    assert names(bench.submit(ASK, price_e4=4_100, qty_e2=1)) != []  # all of it is on its way out already


def test_cash_on_another_shard_does_not_count(benches):
    bench = benches()
    bench.account.cash_e6[1] = 1_000_000
    bench.calm(40)
    assert names(bench.submit(ticker=B, qty_e2=1_000)) == ["shard_cash_usd"]
    assert names(bench.submit(ticker=A, qty_e2=1_000)) == []


def test_a_position_pays_for_the_order_that_closes_it(benches):
    bench = benches()
    bench.account.cash_e6[0] = 5_000_000
    bench.calm(40)
    fill(bench, 1_000)  # 4.00 of 5.00 spent
    assert names(bench.submit(ASK, price_e4=4_100, qty_e2=1_000)) == []


def test_every_limit_that_would_be_passed_is_named_at_once(benches):
    bench = benches({"order_contracts": 1, "order_cost_usd": 1, "market_contracts": 1})
    assert set(names(bench.submit())) == {"order_contracts", "order_cost_usd", "market_contracts"}
    assert all(r.words and r.limit for r in bench.submit().refusals)


def test_a_losing_position_is_sold_within_the_default_cost_of_one_order(benches):
    """By hand: 10 YES sold at 0.30 would cost 7.00 as 10 NO; as an exit they bring 3.00 and cost a fee."""
    bench = benches({"order_cost_usd": 5, "order_contracts": 100})
    fill(bench, 1_000, price_e4=4_600)
    low = {"bid_e4": 3_000, "ask_e4": 3_100}
    # Ten contracts close what is held; 17 more at 0.70 would cost 11.90.
    assert names(bench.submit(ASK, 3_000, 2_700, seen=low)) == ["order_cost_usd"]
    assert names(bench.submit(ASK, 3_000, 1_000, seen=low)) == []
    # The ten are being sold: ten more are a new position, and cost 7.00.
    assert names(bench.submit(ASK, 3_000, 1_000, seen=low)) == ["order_cost_usd"]


def test_only_what_an_order_opens_costs(benches):
    """By hand: of 15 NO at 0.70 ten close, five cost 3.50; fees of all are 0.07 x 15 x 0.21 = 0.2205."""
    bench = benches({"order_cost_usd": 5})
    fill(bench, 1_000, price_e4=4_600)
    for most, expected in ((3.72, ["order_cost_usd"]), (3.73, [])):
        bench.executor._gate.limits = RiskLimits.parse(WIDE | {"order_cost_usd": most})
        assert names(bench.submit(ASK, 3_000, 1_500, seen={"bid_e4": 3_000, "ask_e4": 3_100})) == expected


def test_what_closes_pays_nothing_of_what_the_same_order_opens(benches):
    """By hand: 100 YES are held; 150 sold at 0.50 bring 50 and open 50 NO for 25.00."""
    bench = benches({"order_cost_usd": 5, "order_contracts": 1_000})
    for _ in range(10):
        fill(bench, 1_000, price_e4=400)
    seen = {"bid_e4": 5_000, "ask_e4": 5_100}
    assert names(bench.submit(ASK, 5_000, 15_000, seen=seen)) == ["order_cost_usd"]
    assert names(bench.submit(ASK, 5_000, 10_000, seen=seen)) == []
