"""Charts draw what they are given, and say so where that is nothing."""

import pytest

from kalshi_platform.evaluation.pages import charts
from kalshi_platform.evaluation.pages.charts import Series, nice_ticks
from kalshi_platform.evaluation.statistics.bootstrap import Interval


def test_ticks_are_round_and_inside():
    assert nice_ticks(0.0, 1.0) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert nice_ticks(-13, 27) == pytest.approx([-10, 0, 10, 20])
    assert nice_ticks(3.0, 3.0) == [3.0]


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
    assert "no data" in charts.line_chart([Series("a", [0, 1], [None, None])], "x", [])
    assert "no data" in charts.heat_map([[0, 0]], ["r"], ["a", "b"], "x")
    assert "no data" in charts.bar_chart([], "x")


def test_an_axis_has_room_round_its_values_and_shows_zero_where_asked():
    assert charts.padded([1.0, 2.0]) == pytest.approx((-0.12, 2.12))
    assert charts.padded([1.0, 2.0], with_zero=False) == pytest.approx((0.94, 2.06))
    assert charts.padded([5.0], with_zero=False) == pytest.approx((4.5, 5.5))
    assert charts.padded([0.0]) == (-0.001, 0.001)


def test_why_there_is_no_chart_is_escaped():
    assert charts.nothing("<b>") == '<p class="none">&lt;b&gt;</p>'
