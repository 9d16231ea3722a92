"""The plot of a play: what was traded is on it, told apart by shape, bounded, readable by a screen reader."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from made.evaluation_bank import START_NS, bank_of, gapped, market
from made.rollouts import Script, env_of

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, SELL_NO, SELL_YES
from kalshi_platform.evaluation.judging.episode_plot import MARKS, MOST_BYTES, MOST_ORDERS, finding, plot_play
from kalshi_platform.evaluation.judging.fills import FILL_DTYPE, MIXED, ORDER_DTYPE
from kalshi_platform.evaluation.judging.plays import BUCKETS, choose_plays
from kalshi_platform.evaluation.judging.rollout import run_policy
from kalshi_platform.evaluation.judging.sample import pool

SECOND = 1_000_000_000


def play_of(mids, actions, settlement_e4=-1, gaps=(), **settings):
    bank = bank_of(gapped(market("A-B", "E", mids, settlement_e4), *gaps))
    env = env_of(bank, 1, **settings)
    rollout = run_policy(Script(env.layout, actions), env, keep_trips=True)
    (play,) = choose_plays(pool(bank, env.config, (0,), [rollout]))
    return play


@pytest.fixture
def traded():
    return play_of([5_000, 5_000, 5_000, 7_000, 7_000, 7_000, 7_000], [1, 1, 0, 2, 2, 0], fee_scale_e6=0)


def fills_of(*rows):
    out = np.zeros(len(rows), FILL_DTYPE)
    for fill, values in zip(out, rows, strict=True):
        for name, value in values.items():
            fill[name] = value
    return out


def test_the_plot_is_one_picture_with_all_its_tags_closed(traded):
    tree = ElementTree.fromstring(str(plot_play(traded)))
    assert tree.tag == "figure"
    assert tree.find("svg").get("role") == "img"
    assert "A-B" in tree.find("svg").get("aria-label")


def test_a_screen_reader_hears_what_the_caption_says(traded):
    tree = ElementTree.fromstring(str(plot_play(traded)))
    said = finding(traded)
    # 20 contracts bought for 10.20 $ and sold for 13.80 $; the capital is 200 $
    assert said.startswith("A-B: profit 3.60 $ (1.8 % of capital) after 0.00 $ of fees, 4 fills")
    assert said in tree.find("svg").get("aria-label")
    assert tree.find("figcaption").text == f"{said}."


@pytest.mark.parametrize(
    ("settlement_e4", "words", "label"),
    [(10_000, "settled YES: a YES contract paid 100 cents", "▲ settled YES: 100 cents"),
     (0, "settled NO: a YES contract paid 0 cents", "▼ settled NO: 0 cents"),
     (4_250, "settled between YES and NO: a YES contract paid 42.5 cents", "▼ settled between YES and NO"),
     (-1, "no outcome ended it", None)],
)  # fmt: skip
def test_the_outcome_is_told_and_drawn(settlement_e4, words, label):
    play = play_of([5_000] * 4, [1, 0], settlement_e4)
    assert words in finding(play)
    drawn = str(plot_play(play))
    assert (label in drawn) if label else ("settled" not in drawn)


def test_a_play_without_a_fill_says_so():
    play = play_of([5_000] * 4, [0], 0)
    assert finding(play).startswith("A-B had no fill, so no profit and no loss")
    assert 'class="fill' not in str(plot_play(play))


def test_fills_have_a_shape_and_a_tooltip_each(traded):
    titles = re.findall(r'class="fill (\w+)"[^>]*><title>([^<]*)', str(plot_play(traded)))
    assert [kind for kind, _ in titles].count("buy_yes") == 2
    assert [kind for kind, _ in titles].count("sell_yes") == 2
    assert titles[0][1].endswith("UTC: buys YES, 10 contracts at 51 cents, 1 fill, fees 0.00 $")
    assert len({outline for _, outline in MARKS.values()}) == len(MARKS) == 5


def test_a_no_fill_stands_at_its_yes_price():
    yes = play_of([3_000, 3_000, 3_000, 3_000], [1, 0], fee_scale_e6=0)
    no = play_of([3_000, 3_000, 3_000, 3_000], [3, 0], fee_scale_e6=0)
    at = [float(re.search(r'mark-at" x="[^"]*" y="([\d.]+)"', str(plot_play(p))).group(1)) for p in (yes, no)]
    assert at[0] < at[1]  # bought YES at the ask, .31; bought NO for .71, the bid of .29
    assert "buys NO, 10 contracts at 71 cents" in str(plot_play(no))


def test_fills_close_to_each_other_are_one_mark_with_their_sums(traded):
    one = {"action": BUY_YES, "contracts_e2": 100, "value_e6": 100 * 5_100, "n_fills": 1, "at_ns": START_NS}
    drawn = str(plot_play(replace(traded, fills=fills_of(one, one, {**one, "action": SELL_NO}))))
    assert drawn.count("mark-at") == 2
    assert "buys YES, 2 contracts at 51 cents, 2 fills" in drawn
    mixed = replace(traded, fills=fills_of({**one, "action": MIXED}))
    assert "buys and sells, 1 contracts at several prices" in str(plot_play(mixed))


def test_the_position_returns_to_zero_at_a_gap_and_the_gap_is_grey():
    play = play_of([5_000] * 4 + [6_000] * 400 + [5_000] * 4, [1, 0], gaps=range(4, 404))
    drawn = str(plot_play(play))
    assert drawn.count('class="gap"') == 1
    assert "across 1 gap (grey)" in finding(play)
    path = re.search(r'class="line held" d="([^"]*)"', drawn).group(1)
    heights = re.findall(r"(?:V|M[\d.]+ )([\d.]+)", path)
    assert heights[0] == heights[-1] == heights[2]  # zero, held, zero again, ...


def test_a_resting_order_is_a_bar_at_its_price():
    play = play_of([5_000] * 6, [1, 0], order_style="maker")
    drawn = str(plot_play(play))
    assert 'class="line resting"' in drawn
    assert "resting order<" in drawn
    assert "resting" not in str(plot_play(play_of([5_000] * 6, [1, 0])))


def test_a_plot_stays_small_whatever_it_shows(traded):
    rng = np.random.default_rng(1)
    end, n = traded.start_ns + 80_000 * SECOND, 20_000
    times = np.sort(rng.integers(traded.start_ns, end, n))
    fills, orders = np.zeros(n, FILL_DTYPE), np.zeros(n, ORDER_DTYPE)
    fills["at_ns"] = orders["from_ns"] = times
    orders["to_ns"] = times + SECOND
    orders["price_e4"], orders["action"] = rng.integers(4_000, 6_000, n), BUY_YES
    fills["action"] = rng.choice([BUY_YES, SELL_YES, BUY_NO, SELL_NO], n)
    fills["contracts_e2"], fills["n_fills"] = 100, 1
    fills["value_e6"], fills["position_e2"] = 100 * 5_000, rng.integers(-5_000, 5_000, n)
    kept = np.sort(rng.choice(n, 600, replace=False))
    bid = rng.integers(4_000, 6_000, 600)
    big = replace(
        traded, end_ns=end, spans=((0, traded.start_ns, end),), at_ns=times[kept], bid_e4=bid,
        ask_e4=bid + 100, part=np.zeros(600, np.int64), fills=fills, orders=orders, n_fills=n,
    )  # fmt: skip
    drawn = str(plot_play(big))
    assert len(drawn) < MOST_BYTES
    assert f"the longest {MOST_ORDERS} of 20,000" in drawn
    ElementTree.fromstring(drawn)


def test_no_text_stands_in_a_view_box_that_would_scale_it(traded):
    tree = ElementTree.fromstring(str(plot_play(traded)))
    for box in tree.iter("svg"):
        if box.get("viewBox"):
            assert not list(box.iter("text"))


def test_a_market_with_a_thousand_gaps_has_a_small_plot_that_says_how_many():
    rng = np.random.default_rng(2)
    mids = rng.integers(20, 80, 4_000) * 100
    play = play_of(mids.tolist(), [1, 2] * 5_000, gaps=range(3, 4_000, 4))
    assert play.at_ns.size <= 5 * BUCKETS + 1
    drawn = str(plot_play(play))
    assert len(drawn) < MOST_BYTES
    assert drawn.count('class="gap"') == 100
    assert "across 999 gaps (grey)" in drawn
