"""Charts draw what they are given, and say so where that is nothing."""

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
