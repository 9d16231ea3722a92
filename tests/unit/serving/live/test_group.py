"""A group's slots: what a row changes, when a window starts anew, and that plain Python does the same."""

import numpy as np
import pytest
from made.live import row_of

from kalshi_platform.data.features.spec import TEMPORAL
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import constant_history
from kalshi_platform.serving.api.messages import Holding
from kalshi_platform.serving.live import group as live_group
from kalshi_platform.serving.live.group import LiveGroup
from kalshi_platform.simulation.replay.state import EMPTY, LIVE
from kalshi_platform.simulation.replay.trading import TradingConfig

CONFIG = TradingConfig(n_slots=2, groups=("orderbook", "temporal", "portfolio"))


def group(window: int = 3) -> LiveGroup:
    made = LiveGroup(CONFIG, window)
    for s in range(2):
        spec = MarketSpec(ticker=f"M-{s}", event="M")
        told = constant_history(spec)
        made.describe(s, spec, told.known[0], told.fees, 1)
    return made


def shown(made: LiveGroup, s: int = 0) -> list[float]:
    """The first temporal feature in the window of slot ``s``, oldest first."""
    return made.observe(1_000).windows[0, s, :, 0].tolist()


def test_a_window_holds_the_last_rows_padded_on_the_left() -> None:
    made, seen = group(), []
    for k in range(1, 5):
        made.put(0, row_of(k, temporal=k / 10))
        seen.append(shown(made))
    f = [float(np.float32(k / 10)) for k in range(5)]
    assert seen == [[0, 0, f[1]], [0, f[1], f[2]], [f[1], f[2], f[3]], [f[2], f[3], f[4]]]


def test_a_slot_without_a_valid_book_looks_empty_and_its_window_starts_anew() -> None:
    made = group()
    made.put(0, row_of(1, temporal=0.1))
    assert made.put(0, row_of(2, valid=0)) is False
    batch = made.observe(1_000)
    empty = LiveGroup(CONFIG, 3).observe(1_000)
    for mine, other in zip(batch, empty, strict=True):
        np.testing.assert_array_equal(mine, other)
    made.put(0, row_of(3, temporal=0.3))
    assert shown(made) == [0, 0, float(np.float32(0.3))]


def test_a_crossed_book_is_shown_and_calls_for_no_decision_and_allows_none() -> None:
    made = group()
    assert made.put(0, row_of(1, bid=4_000, ask=4_200)) is True
    made.set_cash(10**9, 0)
    made.observe(1_000)
    assert made.slots["mask"][0, 0].tolist() == [1, 1, 0, 1, 0]
    assert made.put(0, row_of(2, bid=4_300, ask=4_200, valid=2)) is False
    made.observe(1_000)
    assert made.live.tolist() == [True, False]
    assert made.slots["mask"][0, 0].tolist() == [1, 0, 0, 0, 0]
    assert made.put(0, row_of(3, bid=4_000, ask=4_200)) is True
    made.observe(1_000)
    assert made.slots["mask"][0, 0].tolist() == [1, 1, 0, 1, 0]


def test_the_order_that_rests_may_be_kept_where_the_cash_pays_no_second_one() -> None:
    made = LiveGroup(CONFIG.replace(order_style="maker"), 3)
    spec = MarketSpec(ticker="M-0", event="M")
    told = constant_history(spec)
    made.describe(0, spec, told.known[0], told.fees, 1)
    made.put(0, row_of(1, bid=4_000, ask=4_200))
    made.set_cash(4_010_000, 4_010_000)
    order = {"action": "BUY_YES", "price_e4": 4_000, "qty_e2": 400}
    held = []
    for placed in (1_000, 400):  # of 10 contracts wanted, 4 are left of an order of 10, or of 4
        made.set_holding(0, Holding.parse({"resting": {**order, "placed_qty_e2": placed}}))
        made.observe(1_000)
        held.append(made.slots["mask"][0, 0].tolist())
    assert held == [[1, 1, 0, 0, 0], [1, 0, 0, 0, 0]]


def test_a_mark_of_before_a_gap_is_not_kept() -> None:
    made = group()
    made.put(0, row_of(1, bid=6_000, ask=6_200))
    assert made.slots["mark2_e4"][0, 0] == 12_200
    made.put(0, row_of(2, valid=0))
    made.put(0, row_of(3, bid=-1, ask=9_000))
    assert made.slots["mark2_e4"][0, 0] == 18_000


def test_what_the_account_holds_outlives_an_invalid_book() -> None:
    made = group()
    made.put(0, row_of(1))
    made.set_holding(0, Holding(position_e2=500, cost_e6=2_000_000, opened_ns=1_700_000_000 * 10**9))
    made.put(0, row_of(2, valid=0))
    made.put(0, row_of(3))
    assert made.slots["position_e2"][0, 0] == 500


def test_a_batch_is_the_callers_own() -> None:
    made = group()
    made.put(0, row_of(1, temporal=0.1))
    batch = made.observe(1_000)
    kept = [column.copy() for column in batch]
    made.put(0, row_of(2, temporal=0.9, bid=100))
    made.observe(2_000)
    for mine, before in zip(batch, kept, strict=True):
        np.testing.assert_array_equal(mine, before)


def test_a_model_without_history_is_shown_no_windows() -> None:
    assert group(window=0).observe(1).windows is None


def test_the_bank_of_a_group_cannot_be_written_from_outside() -> None:
    with pytest.raises(ValueError, match="read-only"):
        group().bank.rows["recv_ns"][0] = 5


def test_plain_python_does_what_the_kernels_do(rng, monkeypatch) -> None:
    compiled, plain = group(), group()
    plain._kernel_envs, plain._kernel_slots, plain._kernel_bank = plain.envs, plain.slots, plain.bank
    plain._rows = plain._rows.view(np.recarray)
    for k in range(40):
        s, valid = int(rng.integers(2)), int(rng.random() > 0.2)
        bid, ask = int(rng.integers(-1, 60)), int(rng.integers(40, 100))
        args = {
            "valid": valid,
            "bid": max(bid, 0) * 100 - (bid < 0),
            "ask": ask * 100,
            "temporal": float(rng.random()),
        }
        compiled.put(s, row_of(k, **args))
        with monkeypatch.context() as patch:
            patch.setattr(live_group, "place_row", live_group.place_row.py_func)
            patch.setattr(live_group, "observe_group", live_group.observe_group.py_func)
            plain.put(s, row_of(k, **args))
            by_hand = plain.observe(k)
        for a, b in zip(compiled.observe(k), by_hand, strict=True):
            np.testing.assert_array_equal(a, b)
    assert set(compiled.slots["state"][0].tolist()) <= {EMPTY, LIVE}
    assert len(TEMPORAL) == 16
