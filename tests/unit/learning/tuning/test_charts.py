"""Axes and parallel coordinates."""

import re

import pytest

from kalshi_platform.learning.tuning.charts import axis_of, parallel_coordinates


def test_an_axis_of_numbers_far_apart_is_logarithmic():
    # log10: -4 -> 0, -2 -> 1, -3 halfway
    axis = axis_of("lr", [1e-4, None, 1e-2, 1e-3])
    assert axis.places == (pytest.approx(0.0), None, pytest.approx(1.0), pytest.approx(0.5))
    assert axis_of("n", [1, 2, 3]).places == (0.0, 0.5, 1.0)
    assert axis_of("n", [5, 5]).places == (0.5, 0.5)
    assert axis_of("n", [None]).labels == ()


def test_an_axis_of_words_is_in_their_order():
    axis = axis_of("level", ["tiny", "simple", None, ["a", "b"], True])
    assert [word for _, word in axis.labels] == ["a, b", "simple", "tiny", "true"]
    assert axis.places == (pytest.approx(2 / 3), pytest.approx(1 / 3), None, 0.0, 1.0)
    assert axis_of("flag", [True, False, True]).places == (1.0, 0.0, 1.0)


def test_an_axis_of_many_numbers_is_labelled_roundly():
    assert [t for _, t in axis_of("n", list(range(0, 101, 5))).labels] == ["0", "20", "40", "60", "80", "100"]
    rates = [1e-4 * 1.7**k for k in range(12)]
    assert [t for _, t in axis_of("lr", rates).labels] == ["0.0001", "0.001", "0.01"]


def test_a_line_ends_before_an_axis_it_is_unknown_on():
    axes = [axis_of("a", [1, 2]), axis_of("b", [1, 2]), axis_of("score", [None, 0.1])]
    drawn = str(parallel_coordinates(axes, ["x", "y"], [0.2, 1.0], 1, "l"))
    lines = [points.split() for points in re.findall(r'points="([^"]*)"', drawn)]
    assert [len(points) for points in lines] == [2, 3]
    assert "x: a 1, b 1, score unknown" in drawn


def test_labels_without_room_are_numbers_that_a_key_explains():
    arms = [["orderbook"], ["orderbook", "temporal", "trade_flow"]]
    drawn = str(
        parallel_coordinates(
            [axis_of("groups", arms), axis_of("score", [0.1, 0.2])], ["x", "y"], [1.0, 1.0], 1, "l"
        )
    )
    assert "groups: 1 = orderbook; 2 = orderbook, temporal, trade_flow" in drawn
    short = str(
        parallel_coordinates(
            [axis_of("level", ["tiny", "simple"]), axis_of("score", [0.1, 0.2])],
            ["x", "y"],
            [1.0, 1.0],
            1,
            "l",
        )
    )
    assert "1 = " not in short
