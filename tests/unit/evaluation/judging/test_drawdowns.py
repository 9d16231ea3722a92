"""The deepest falls of a curve, against curves whose falls are read off by hand."""

import pytest

from kalshi_platform.evaluation.judging.drawdowns import deepest_drawdowns


def falls(*equity, most=5):
    found = deepest_drawdowns(range(1, len(equity) + 1), equity, start_ns=0, most=most)
    return [(f.peak_ns, f.trough_ns, f.recovery_ns, round(f.depth, 9)) for f in found]


def test_falls_are_listed_deepest_first_with_their_recovery():
    # up to .3 at 2, down to .1 at 4, back to .3 at 5; down to .2 at 6, .5 at 7; falls to .1 at 8 for good
    assert falls(0.1, 0.3, 0.2, 0.1, 0.3, 0.2, 0.5, 0.1) == [
        (7, 8, None, 0.4),
        (2, 4, 5, 0.2),
        (5, 6, 7, 0.1),
    ]


def test_a_curve_that_only_falls_falls_from_its_start():
    assert falls(-0.1, -0.3, -0.2) == [(0, 2, None, 0.3)]


def test_a_curve_that_never_falls_has_none():
    assert falls(0.0, 0.1, 0.1, 0.2) == []


def test_only_the_deepest_are_kept():
    zigzag = [x for k in range(1, 9) for x in (float(k * k), k * k - 0.1 * k)]
    assert [depth for *_, depth in falls(*zigzag, most=3)] == pytest.approx([0.8, 0.7, 0.6])
