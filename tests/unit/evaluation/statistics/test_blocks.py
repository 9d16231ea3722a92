"""Averages by hand, and the words for too few blocks."""

import numpy as np
import pytest

from kalshi_platform.evaluation.statistics.blocks import (
    decides_nothing,
    group_sums,
    hashed_halves,
    nested_means,
)


def test_means_of_means_count_each_group_once():
    # Markets 5: (1 + 3) / 2 = 2, 6: 10, 7: 4. Event 1: (2 + 10) / 2 = 6, event 2: 4. Block 9: 10 / 2 = 5.
    market, event, block = np.array([5, 5, 6, 7]), np.array([1, 1, 1, 2]), np.array([9, 9, 9, 9])
    ids, means = nested_means(np.array([1.0, 3.0, 10.0, 4.0]), (market, event, block))
    assert (ids.tolist(), means.tolist()) == ([9], [5.0])
    assert nested_means(np.array([1.0, 3.0, 10.0, 4.0]), (market, event))[1].tolist() == [6.0, 4.0]


def test_no_values_have_no_means():
    nothing = np.array([], int)
    assert nested_means(np.array([]), (nothing, nothing))[1].size == 0


def test_sums_keep_the_place_of_a_member():
    first, sums = group_sums(np.array([1.0, 2.0, 4.0]), np.array([8, 3, 8]))
    assert (first.tolist(), sums.tolist()) == ([1, 0], [2.0, 5.0])


@pytest.mark.parametrize(("n", "words"), [(0, "n = 0"), (2, "n = 2, decides nothing"), (3, "")])
def test_fewer_than_three_blocks_decide_nothing(n, words):
    assert decides_nothing(n).startswith(words)
    assert bool(decides_nothing(n)) == bool(words)


def test_halves_depend_on_the_names_alone_and_share_nothing():
    names = [f"E{k}" for k in range(11)]
    first, second = hashed_halves(names)
    assert first | second == set(names)
    assert not first & second
    assert (len(first), len(second)) == (6, 5)
    assert hashed_halves(list(reversed(names + names))) == (first, second)
