"""Group microstructure: every formula against numbers worked by hand, and a clean start after a break."""

import math

import pytest
from made.feature_rows import SNAP, SPEC, at, build_in_python, feature, quote

from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.market_data.schema import DELTA, GAP, NO, NO_SIDE, SNAPSHOT, TRADE, YES
from kalshi_platform.domain.units import NO_PRICE, UNKNOWN_QTY

E = math.exp(-1)  # what 60 s leave of the past
SCALE = math.log(86_401)
BOOK = [SNAP, (SNAPSHOT, YES, 4_000, 30_000), (SNAPSHOT, YES, 3_900, 10_000), (SNAPSHOT, NO, 5_600, 10_000)]
pytestmark = pytest.mark.parametrize("build", [build_rows, build_in_python], ids=["numba", "python"])


def test_pressure_weighs_levels_by_their_distance_and_concentration_is_the_best_level_s_share(build) -> None:
    rows = build(at((0, BOOK), (1, [(DELTA, NO, 5_300, 40_000)])), SPEC)
    # B = 300 + 100 / (1 + 1); A = 100, then 100 + 400 / (1 + 3)
    assert feature(rows, "depth_pressure") == pytest.approx([250 / 450, 150 / 550])
    assert feature(rows, "bid_concentration") == pytest.approx([0.75, 0.75])
    assert feature(rows, "ask_concentration") == pytest.approx([1.0, 0.2])


def test_what_is_not_known_of_the_depth_is_neutral(build) -> None:
    sized = build(at((0, quote(4_000, 5_000, 300, 100))), SPEC)
    assert feature(sized, "depth_pressure") == [0.5]  # the tops are known: (300 - 100) / 400
    assert feature(sized, "bid_concentration") == [0.0]
    for recorded in (at((0, quote(4_000, 5_000, 300, UNKNOWN_QTY))), at((0, [(TRADE, YES, 4_000, 100)]))):
        rows = build(recorded, SPEC)
        for name in ("depth_pressure", "bid_concentration", "ask_concentration"):
            assert feature(rows, name) == [0.0]
    assert feature(build(at((0, [SNAP])), SPEC), "depth_pressure") == [0.0]


def test_ages_run_from_the_last_change_of_the_best_price(build) -> None:
    rows = build(
        at(
            (0, BOOK),
            (10, [(DELTA, YES, 4_000, 100)]),  # more at the same price
            (20, [(DELTA, YES, 4_100, 100)]),  # a new best bid
            (25, [(DELTA, NO, 5_600, -10_000)]),  # the only ask goes
            (26, [(DELTA, NO, 5_500, 100)]),
            (30, [(DELTA, YES, 4_100, 100)]),
        ),
        SPEC,
    )
    expected = [math.log(1 + s) / SCALE for s in (0, 10, 0, 5, 6, 10)]
    assert feature(rows, "bid_age") == pytest.approx(expected, rel=1e-6)
    expected = [math.log(1 + s) / SCALE for s in (0, 10, 20, 0, 0, 4)]
    assert feature(rows, "ask_age") == pytest.approx(expected, rel=1e-6)


def test_the_spread_is_compared_with_its_average_over_time(build) -> None:
    # spreads 0.1, 0.3, 0.3 a minute apart; what held until the row is averaged, the row's own not yet
    rows = build(at((0, quote(4_000, 5_000)), (60, quote(4_000, 7_000)), (120, quote(4_000, 7_000))), SPEC)
    mean = 0.3 + E * (0.1 - 0.3)
    assert feature(rows, "spread_ratio") == pytest.approx([0.5, 0.3 / 0.4, 0.3 / (0.3 + mean)])
    locked = build(at((0, quote(4_000, 4_000))), SPEC)
    assert feature(locked, "spread_ratio") == [0.5]


def test_moves_of_the_mid_decay_with_time(build) -> None:
    # mids 0.45, 0.55, 0.50, 0.50, a minute apart
    rows = build(
        at(
            (0, quote(4_000, 5_000)),
            (60, quote(5_000, 6_000)),
            (120, quote(4_500, 5_500)),
            (180, quote(4_500, 5_500)),
        ),
        SPEC,
    )
    moves = [0, 0.1, 0.1 * E - 0.05]
    moves.append(moves[-1] * E)
    assert feature(rows, "mid_velocity") == pytest.approx([m / (abs(m) + 0.05) for m in moves], rel=1e-5)
    squares = [0, 0.01, 0.01 * E + 0.0025]
    squares.append(squares[-1] * E)
    volatility = [math.sqrt(s) / (math.sqrt(s) + 0.05) for s in squares]
    assert feature(rows, "mid_volatility") == pytest.approx(volatility, rel=1e-5)
    seen = [1, 1 + E, 1 + E + E**2, 1 + E + E**2 + E**3]
    moved = [0, 1, 1 + E, E + E**2]
    expected = [m / s for m, s in zip(moved, seen, strict=True)]
    assert feature(rows, "moving_share") == pytest.approx(expected, rel=1e-6)


def test_the_imbalance_is_compared_with_its_average_over_time(build) -> None:
    even, heavy = quote(4_000, 5_000), quote(4_000, 5_000, 300, 100)  # imbalance 0 and 0.5
    rows = build(at((0, even), (60, heavy), (120, heavy)), SPEC)
    mean = 0.5 + E * (0 - 0.5)
    assert feature(rows, "imbalance_change") == pytest.approx([0, 0.25, (0.5 - mean) / 2])


def test_a_burst_counts_its_messages_and_knows_where_it_came_from(build) -> None:
    # mids 0.45, 0.46, 0.47, 0.46, 0.48; the last after a pause
    bids = {0: 4_000, 0.05: 4_100, 0.1: 4_200, 0.199: 4_100, 0.299: 4_300}
    rows = build(at(*((s, quote(bid, bid + 1_000)) for s, bid in bids.items())), SPEC)
    assert feature(rows, "burst_position") == pytest.approx([0, 1 / 8, 2 / 9, 3 / 10, 0])
    # moves since the first: 0, 1, 2, 1 cents, each x / (x + 1)
    assert feature(rows, "burst_direction") == pytest.approx([0, 1 / 2, 2 / 3, 1 / 2, 0], rel=1e-5)


def test_after_a_broken_row_the_past_begins_anew(build) -> None:
    rows = build(
        at(
            (0, quote(1_000, 2_000)),
            (60, quote(3_000, 6_000)),
            (61, [(GAP, NO_SIDE, NO_PRICE, 1)]),
            (62, quote(8_000, 9_000, 300, 100)),
            (62.05, quote(8_100, 9_100, 300, 100)),
        ),
        SPEC,
    )
    assert rows.valid.tolist() == [1, 1, 0, 1, 1]
    neutral = {"spread_ratio": 0.5, "mid_velocity": 0, "mid_volatility": 0, "imbalance_change": 0}
    for name, value in (neutral | {"burst_direction": 0, "moving_share": 0}).items():
        assert feature(rows, name)[2:4] == [value, value], name
    assert feature(rows, "burst_direction")[4] == pytest.approx(0.5, rel=1e-5)
    kept = math.exp(-0.05 / 60)
    assert feature(rows, "moving_share")[4] == pytest.approx(1 / (1 + kept))
