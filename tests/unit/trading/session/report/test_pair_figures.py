"""Figures of live minus replay by hand, and the file of orders read back."""

import pyarrow.csv as pa_csv
import pytest

from kalshi_platform.trading.session.report.explaining import (
    HELD_BACK,
    POSITION,
    QUEUE_THERE,
    SAME,
    UNEXPLAINED,
)
from kalshi_platform.trading.session.report.order_pairs import OrderPair, OrderSide
from kalshi_platform.trading.session.report.pair_figures import CauseFigures, figures_of, write_orders


def side(filled_e2: int, price_e4: int = 4_000) -> OrderSide:
    return OrderSide(price_e4, 1_000, filled_e2, -filled_e2 * price_e4, 0)


PAIRS = [
    ("A", OrderPair(1, "A-1", "BUY_YES", side(1_000, 4_100), side(1_000), QUEUE_THERE, "+3 ms", 1, 1)),
    ("A", OrderPair(2, "A-1", "BUY_YES", side(0), side(0), SAME, number=2)),
    ("B", OrderPair(3, "B-1", "BUY_YES", side(500), None, UNEXPLAINED, number=3, cause=3)),
    ("B", OrderPair(4, "B-1", "BUY_YES", OrderSide(4_000, 0, 0, 0, 0, "limit"), None, HELD_BACK, number=4)),
    ("A", OrderPair(5, "A-1", "BUY_YES", None, side(0), POSITION, number=5, cause=1)),
    ("A", OrderPair(6, "A-1", "BUY_YES", None, side(100), POSITION, number=6, cause=1)),
]


def test_the_figures_are_those_of_both_sides():
    found = figures_of(PAIRS)
    assert (found.orders, found.both, found.fills_live, found.fills_replay) == (6, 2, 2, 2)
    assert found.fill_rate_live.estimate == pytest.approx(
        1_500 / 3_000
    )  # what a limit held back asks nothing
    assert found.fill_rate_replay.estimate == pytest.approx(1_100 / 4_000)
    assert found.fill_rate_live.n_clusters == 2
    assert found.fill_rate_live.low is None  # two events give no interval
    assert (found.slippage_e4.estimate, found.n_slippage) == (100.0, 1)
    assert found.unexplained == 1
    assert found.by_market["B-1"]["filled_live_e2"] == 500


def test_causes_are_counted_apart_from_what_follows_from_them():
    found = figures_of(PAIRS)
    # cash: 0.10 $ more were paid here for 10 contracts, and 0.40 $ there for one more
    assert found.causes == {
        QUEUE_THERE: CauseFigures(orders=1, followed=2, cash_e6=-100_000 + 400_000),
        UNEXPLAINED: CauseFigures(orders=1, followed=0, cash_e6=-2_000_000),
    }
    assert list(found.causes) == [QUEUE_THERE, UNEXPLAINED]
    assert found.differing == (2, 2)
    assert found.words.startswith(
        "live minus replay: of 6 orders 1 are equal, 1 were held back, 2 differ by themselves and 2 because "
        "of those, 1 unexplained; filled 50.0% of the contracts live"
    )


def test_no_order_has_no_figures():
    found = figures_of([])
    assert found.fill_rate_live.estimate is None
    assert "slippage unknown" in found.words
    assert found.causes == {}


def test_the_file_of_orders_holds_both_sides_and_the_cause(tmp_path):
    rows = pa_csv.read_csv(write_orders(PAIRS, tmp_path)).to_pylist()
    assert [row["why"] for row in rows] == [pair.why for _, pair in PAIRS]
    assert (rows[0]["live_cash_e6"], rows[0]["replay_cash_e6"]) == (-4_100_000, -4_000_000)
    assert rows[2]["replay_qty_e2"] is None
    assert [(row["number"], row["cause"]) for row in rows] == [
        (1, 1), (2, None), (3, 3), (4, None), (5, 1), (6, 1),
    ]  # fmt: skip
