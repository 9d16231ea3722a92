"""Every measure against numbers worked by hand, and against a plain loop on random markets."""

import math

import numpy as np
import pytest
from made.realism import (
    RATE_E6,
    START_NS,
    S,
    made_view,
    mids,
    plain_numbers,
    plain_values,
    pooled_side,
    random_view,
)

from kalshi_platform.data.features.rows import CROSSED, INVALID, VALID
from kalshi_platform.data.market_data.schema import DELTA, FLAG_BLOCK, FLAG_FILL, TRADE
from kalshi_platform.domain.fees import model_fee_e6
from kalshi_platform.evaluation.realism.distances import Pooled
from kalshi_platform.evaluation.realism.measures import (
    DISTRIBUTIONS,
    FAMILIES,
    NO_CLOSE,
    NO_DELTAS,
    NO_LEVELS,
    NO_MESSAGES,
    NO_PRICES,
    NUMBERS,
    fee_of_one_e6,
)

OF = {d.name: d for d in DISTRIBUTIONS}
NUMBER_OF = {n.name: n for n in NUMBERS}


def values(name, view):
    seen = OF[name].observe(view)
    return seen if isinstance(seen, str) else seen.values.tolist()


def number(name, *views):
    side = pooled_side(views)
    found = float(NUMBER_OF[name].value(*(side.sums[each].sum() for each in NUMBER_OF[name].sums)))
    return None if math.isnan(found) else found


def test_spread_and_depth_count_every_row_that_has_both_prices():
    books = [
        (0, 40, 43, [1, 2], [5]),
        (1, 41, 41, [1], [1]),  # crossed
        (2, None, 43, [], [5]),  # one side is empty
        (3, 40, 42, [1, 2, 3, 4, 5], [0.5]),
        (4, 40, 49, [9], [9]),  # not proven
    ]
    view = made_view(books, valid=[VALID, CROSSED, VALID, VALID, INVALID])
    assert values("spread", view) == [3, 2]
    assert values("depth of level 1", view) == [1, 1, 5, 0.5]  # bids of both rows, then asks
    assert values("depth of level 2", view) == [2, 2, 0, 0]
    assert values("depth of level 5", view) == [0, 5, 0, 0]


def test_sizes_of_prints_that_met_the_book():
    messages = [
        (0, TRADE, 2.5, 0),
        (0, DELTA, -2.5, FLAG_FILL),
        (1, TRADE, 100, FLAG_BLOCK),
        (2, TRADE, 4, 0),
    ]
    assert values("trade size", made_view(messages=messages)) == [2.5, 4]


def test_gaps_lie_between_messages_of_one_segment():
    books = [(t, 40, 42, [1], [1]) for t in (0, 0.5, 2, 10, 11)]
    view = made_view(books, valid=[VALID, CROSSED, VALID, INVALID, VALID])
    assert values("gap between messages", view) == [0.5, 1.5]


def test_price_by_time_to_close_is_taken_every_minute():
    # 60 s grid from the first row: 0, 60, 120 s; the close is 3,660 s away at first, so 1 h at 60 s
    view = made_view([(0, 39, 41, [1], [1]), (59, 44, 46, [1], [1]), (130, 49, 51, [1], [1])], close_s=3_660)
    assert values("price 1 to 3 h before close", view) == [40, 45]
    assert values("price under 1 h before close", view) == [45]
    assert values("price over 24 h before close", view) == []


def test_shares_of_adds_cancels_and_fills_and_changes_a_second():
    messages = [
        (0, DELTA, 5, 0), (1, DELTA, -2, 0), (2, TRADE, 3, 0), (2, DELTA, -3, FLAG_FILL), (4, DELTA, 1, 0),
    ]  # fmt: skip
    view = made_view(messages=messages)
    assert number("share of adds", view) == 2 / 4
    assert number("share of cancels", view) == (2 - 1) / 4
    assert number("share of fills", view) == 1 / 4
    assert number("deltas a second", view) == 4 / 4
    # a second market of 2 changes in 8 s: 6 changes in 12 s
    other = made_view(messages=[(0, DELTA, 1, 0), (8, DELTA, 1, 0)])
    assert number("deltas a second", view, other) == pytest.approx(6 / 12)


def test_more_prints_than_removals_leave_the_share_of_cancels_unknown():
    view = made_view(messages=[(0, TRADE, 1, 0), (0, TRADE, 1, 0), (1, DELTA, 1, 0), (2, DELTA, -1, 0)])
    assert number("share of cancels", view) is None
    assert number("share of fills", view) == 1.0


def test_rows_that_move_the_mid():
    # moves: 40 -> 40 no, -> 41 yes; the invalid row ends the segment; 50 -> 50 no
    view = made_view(mids(40, 40, 41, 41, 50, 50), valid=[VALID, VALID, VALID, INVALID, VALID, VALID])
    assert number("rows that move the mid", view) == 1 / 3


def test_a_variance_ratio_worked_by_hand():
    # minutes 0..6: changes 1 1 1 1 1 -1; squares of one step: six ones, mean 1
    # five steps: 45 - 40 = 5 and 44 - 41 = 3: mean (25 + 9) / 2 = 17; 17 / (5 x 1) = 3.4
    view = made_view(mids(40, 41, 42, 43, 44, 45, 44, every_s=60))
    assert number("variance ratio, 5 min", view) == pytest.approx(3.4)
    assert number("volatility", view) == pytest.approx(1.0)
    assert number("variance ratio, 15 min", view) is None


def test_a_volatility_worked_by_hand():
    # changes 3, -4 and 0 in three minutes: root of (9 + 16 + 0) / 3
    assert number("volatility", made_view(mids(40, 43, 39, 39, every_s=60))) == pytest.approx((25 / 3) ** 0.5)


def test_the_grid_takes_the_last_mid_before_each_minute():
    # rows at 0 s (40), 50 s (41), 61 s (45), 121 s (42): grid mids 40, 41, 45
    books = [(t, c - 0.5, c + 0.5, [1], [1]) for t, c in ((0, 40), (50, 41), (61, 45), (121, 42))]
    side = pooled_side([made_view(books)])
    assert side.sums["square_1"].sum() == 1 + 16
    assert side.sums["changes_1"].sum() == 2


def test_imbalance_against_the_mid_64_rows_ahead():
    # Four rows lean: x = .8 -.8 .8 -.8 and the mid 64 rows later is 1, 2, 3, 0 cents higher: y = 1 2 3 0.
    sizes = [([9], [1]), ([1], [9])]
    books = [(k, 39.5, 40.5, *sizes[k % 2]) for k in range(64)]
    books += [(64 + k, 39.5 + up, 40.5 + up, [5], [5]) for k, up in enumerate((1, 2, 3, 0))]
    view = made_view(books)
    # towards the imbalance: (1 - 2 + 3 - 0) / 4
    assert number("move towards imbalance, 64 rows ahead", view) == pytest.approx(0.5)
    # correlation: mean x 0, y 1.5; cov = .8 (1 - 2 + 3 - 0) / 4 = .4; sd .8 and sqrt(14/4 - 2.25) = 1.118
    assert number("imbalance R2, 64 rows ahead", view) == pytest.approx((0.4 / (0.8 * math.sqrt(1.25))) ** 2)
    assert number("imbalance R2, 256 rows ahead", view) is None


def test_rows_that_do_not_lean_are_no_evidence_of_direction():
    books = [(k, 39.5, 40.5, [3], [1]) for k in range(65)]  # imbalance exactly 0.5
    assert number("move towards imbalance, 64 rows ahead", made_view(books)) is None


def test_a_taker_is_ahead_where_the_move_pays_half_the_spread_and_the_fee():
    # Fee of one contract at 50.5 c: .07 x .505 x .495 = 1.7498 c. From a mid of 50 c the ask is 50.5: buying
    # pays where the mid 300 s later is above 52.2498 c, selling at 49.5 where it is below 47.7502 c.
    def share(later):
        books = [(0, 49.5, 50.5, [1], [1]), (299, later - 0.5, later + 0.5, [1], [1]), (301, 1, 2, [1], [1])]
        return number("taker ahead after 5 min", made_view(books))

    assert [share(later) for later in (50, 52.2, 52.3, 47.8, 47.7)] == [0, 0, 1, 0, 1]


def test_rows_without_a_mid_five_minutes_later_are_not_counted():
    assert number("taker ahead after 5 min", made_view(mids(40, 50, every_s=299))) is None


def test_the_fee_is_that_of_the_house():
    prices = np.arange(0, 10_001, 37)
    fees = fee_of_one_e6(np.full(prices.size, RATE_E6), prices)
    assert fees.tolist() == [model_fee_e6(RATE_E6, int(p), 100) for p in prices]


@pytest.mark.parametrize(
    ("provenance", "name", "why"),
    [
        ("quotes", "spread", NO_MESSAGES),
        ("quotes", "gap between messages", NO_MESSAGES),
        ("quotes", "depth of level 1", NO_LEVELS),
        ("recorded", "price under 1 h before close", NO_CLOSE),
        ("trade_implied", "price under 1 h before close", NO_PRICES),
    ],
)
def test_a_market_that_cannot_show_a_distribution_says_why(provenance, name, why):
    assert values(name, made_view(mids(40, 41), provenance=provenance)) == why


@pytest.mark.parametrize(
    ("provenance", "variances", "rows", "levels"),
    [
        ("recorded", "", "", ""),
        ("quotes", "", NO_MESSAGES, NO_LEVELS),
        ("trade_implied", NO_PRICES, NO_MESSAGES, NO_LEVELS),
    ],
)
def test_a_market_that_cannot_show_a_number_says_why(provenance, variances, rows, levels):
    view = made_view(mids(40, 41), [(0, TRADE, 1, 0)], provenance=provenance)
    why = [found if isinstance(found := family.observe(view), str) else "" for family in FAMILIES]
    assert why == [NO_DELTAS, rows, variances, levels, levels, rows]


def test_every_sum_that_a_number_needs_is_made_by_a_family():
    made = {name for family in FAMILIES for name in family.names}
    assert {name for n in NUMBERS for name in n.sums} <= made
    names = [each.name for each in (*DISTRIBUTIONS, *NUMBERS)]
    assert len(set(names)) == len(names)


def expanded(pooled: Pooled) -> list[float]:
    return np.repeat(pooled.value, pooled.times.astype(int)).tolist()


def test_random_markets_agree_with_a_plain_loop(rng):
    views = [random_view(rng) for _ in range(3)]
    side = pooled_side(views)
    plain = plain_values(views)
    for d in DISTRIBUTIONS:
        np.testing.assert_allclose(
            expanded(side.pooled[d.name]), sorted(plain[d.name]), rtol=1e-12, err_msg=d.name
        )
    numbers = plain_numbers(views)
    assert set(numbers) == set(NUMBER_OF)
    for name, wanted in numbers.items():
        np.testing.assert_allclose(number(name, *views), wanted, rtol=1e-9, err_msg=name)
    assert sum(map(len, plain.values())) > 30_000
    assert min(side.sums[name].sum() for name in ("changes_30", "n_256", "could_take")) > 0


def test_a_value_falls_into_the_unit_of_its_time():
    seen = OF["spread"].observe(made_view(mids(40, 41, 42)))
    assert seen.at_ns.tolist() == [START_NS, START_NS + S, START_NS + 2 * S]
