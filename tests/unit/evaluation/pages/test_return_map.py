"""The map of returns: colour by sign, strength by size, names of columns where asked for."""

from kalshi_platform.evaluation.pages.return_map import return_map


def test_the_map_colours_gain_and_loss_and_nothing():
    drawn = str(return_map([[0.01, -0.04, 0.0]], ["t"], ["a", "b", "c"], "l", "three"))
    # shares of the largest: sqrt(0.01 / 0.04) = 0.5 and 1
    assert 'class="bar good"' in drawn
    assert 'fill-opacity="0.50"' in drawn
    assert 'fill-opacity="1.00"' in drawn
    assert 'class="cell-empty"' in drawn
    assert "t, b: -4.0 %" in drawn
    assert "no data" in str(return_map([], [], [], "l", "none"))


def test_names_of_columns_are_written_only_where_asked_for():
    values, names = [[0.01, 0.02]], ["1-5 min", "unknown"]
    assert ">unknown</text>" not in str(return_map(values, ["t"], names, "l", "axis"))
    drawn = str(return_map(values, ["t"], names, "l", "axis", name_columns=True))
    assert ">unknown</text>" in drawn
    assert ">axis</text>" in drawn
