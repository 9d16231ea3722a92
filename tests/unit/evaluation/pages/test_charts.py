"""Charts draw what they are given, and say so where that is nothing."""

import re
from itertools import pairwise

from kalshi_platform.evaluation.pages import charts
from kalshi_platform.evaluation.pages.charts import Series
from kalshi_platform.evaluation.statistics.bootstrap import Interval


def test_an_interval_is_drawn_between_its_bounds():
    wide = Interval(estimate=0.0, low=-0.1, high=0.1, confidence=0.95, n_clusters=9)
    lone = Interval(
        estimate=0.05, low=None, high=None, confidence=0.95, n_clusters=2, note="n = 2, decides nothing"
    )
    chart = str(charts.forest_plot([("a", wide), ("b", lone)], "x", "y"))
    assert chart.count("whisker") == 1
    assert chart.count("<circle") == 2
    assert "n = 2, decides nothing" in chart


def test_charts_without_data_say_so():
    assert "no data" in charts.line_chart(
        [Series("a", [0, 1], [None, None])], "x", [], x_axis="x", y_axis="y"
    )
    assert "no data" in charts.heat_map([[0, 0]], ["r"], ["a", "b"], "x", x_axis="x", y_axis="y")
    assert "no data" in charts.bar_chart([], "x", y_axis="y")


def lines(n):
    return [Series(f"line{k}", [0, 1, 2], [0.0, 0.01 * k, 0.02 * k], k % 7) for k in range(n)]


def drawn(series):
    return str(charts.line_chart(series, "what", [(0, "0"), (2, "2")], x_axis="steps", y_axis="% of capital"))


def test_lines_differ_by_dashes_and_carry_their_names_at_their_ends():
    chart = drawn(lines(3))
    for k in range(3):
        assert f'class="line s{k}"' in chart
        assert f">line{k}</text>" in chart
    assert chart.count('class="sample"') == 3  # the legend
    assert ">steps</text>" in chart
    assert ">% of capital</text>" in chart


def test_the_finding_says_where_the_lines_end():
    # ends: line0 0, line1 0.02, line2 0.04
    chart = drawn(lines(3))
    said = "line0 ends at 0 %; line2, the highest of the others, at 4.0 %; line1, the lowest, at 2.0 %"
    assert f'aria-label="what: {said}"' in chart
    assert f"<figcaption>{said}.</figcaption>" in chart
    assert "line0 ends at 0 %; line1 at 2.0 %" in drawn(lines(2))


def test_pointing_at_a_place_tells_every_value_there():
    chart = drawn(lines(2))
    assert chart.count('class="strip"') == 3
    assert "<title>1\nline0 0 %\nline1 1.0 %</title>" in chart


def test_a_line_that_ended_tells_no_value_beyond_its_end():
    short = Series("short", [0, 1], [0.01, 0.02])
    assert "<title>2\nline0 0 %</title>" in drawn([*lines(1), short])


def test_many_lines_are_named_when_pointed_at_and_not_at_their_ends():
    chart = drawn(lines(20))
    assert 'class="strip"' not in chart
    assert "<title>line13</title>" in chart
    assert ">line13</text>" not in chart


def test_names_at_the_ends_of_lines_never_lie_on_each_other():
    same = [Series(f"line{k}", [0, 1], [0.0, 0.01], k) for k in range(7)]
    places = [float(y) for y in re.findall(r'class="name roomy" x="100.00%" y="([\d.]+)"', drawn(same))]
    assert len(places) == 7
    assert min(b - a for a, b in pairwise(sorted(places))) >= 13.9


def test_cells_of_a_map_say_how_often_in_plain_words():
    chart = str(charts.heat_map([[1, 3]], ["flat"], ["0-10c", "10-20c"], "x", x_axis="cents", y_axis="limit"))
    assert "flat, 10-20c: 3 times (75.0 % of all times looked)" in chart
    assert "most often flat at 10-20c, 75.0 %" in chart
    assert ">cents</text>" in chart


def test_bars_and_intervals_say_how_many_gain():
    bars = str(charts.bar_chart([("a", -0.02), ("b", 0.01)], "x", y_axis="return"))
    assert "1 of 2 gain; from -2.0 % to 1.0 %" in bars
    up = Interval(estimate=0.05, low=0.01, high=0.1, confidence=0.95, n_clusters=9)
    plot = str(charts.forest_plot([("a", up), ("b", up.replace(low=-0.01))], "x", "return"))
    assert "of 2 intervals 1 lies wholly above zero, 0 wholly below; the highest is a" in plot


def test_lines_that_end_alike_share_the_words_on_their_ends():
    def caption(*ends):
        lines = [Series(f"l{k}", (0.0, 1.0), (0.0, end), k) for k, end in enumerate(ends)]
        page = charts.line_chart(lines, "x", [(0.0, "0")], x_axis="x", y_axis="y")
        return str(page).partition("<figcaption>")[2].partition("</figcaption>")[0]

    assert caption(0.0, 0.0, 0.0) == "l0 ends at 0 %; all the others at 0 %."
    assert caption(0.5, 0.02, -0.01, 0.02) == (
        "l0 ends at 50 %; l1 and l3, the highest of the others, at 2.0 %; l2, the lowest, at -1.0 %."
    )
    assert caption(0.5, 0.02) == "l0 ends at 50 %; l1 at 2.0 %."


def test_a_bar_of_zero_is_neither_a_gain_nor_a_loss_and_dots_alone_are_no_intervals():
    page = str(charts.bar_chart([("a", -0.1), ("b", 0.0), ("c", 0.1)], "x", y_axis="y"))
    assert [page.count(f'class="bar {kind}"') for kind in ("bad", "flat", "good")] == [1, 1, 1]
    lone = Interval(estimate=0.1, low=None, high=None, confidence=0.95, n_clusters=1, note="few")
    assert "none of 2 estimates has an interval" in str(
        charts.forest_plot([("a", lone), ("b", lone)], "x", "y")
    )
