"""Words of figures on a terminal."""

import math

import pytest
from rich.cells import cell_len

from kalshi_platform.trading.session.screen import wording as words


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf])
def test_a_figure_that_nobody_knows_is_never_a_number(nothing):
    for write in (words.dollars, words.price, words.contracts, words.milliseconds):
        assert write(nothing) == "unknown"
    assert words.seconds(None) == "unknown"


def test_figures_are_written_short_and_whole():
    assert words.dollars(1_234_567) == "1.23"
    assert words.dollars(-500_000, signed=True) == "-0.50"
    assert [words.price(p) for p in (4_300, 4_325, 4_321, 10_000)] == ["0.43", "0.4325", "0.4321", "1.00"]
    assert [words.contracts(q) for q in (1_000, 1_250, -300, 0)] == ["10", "12.50", "-3", "0"]
    assert [words.milliseconds(m) for m in (0.0514, 12.34, 140.2)] == ["0.05", "12.3", "140"]
    assert words.elapsed(3_725_900_000_000) == "1:02:05"
    assert [words.seconds(s * 10**9) for s in (-1, 9, 10, 240)] == ["0.0 s", "9.0 s", "10 s", "4 min"]
    assert (
        words.short_order("BUY_YES 10.00 @ 0.4300, cancel on its way")
        == "BUY_YES 10 @ 0.43, cancel on its way"
    )
    assert words.short_order("SELL_NO 2.50 @ 0.4325") == "SELL_NO 2.50 @ 0.4325"


def test_a_figure_that_is_too_long_is_never_cut():
    assert words.fitted("+12.34", 8) == "  +12.34"
    assert words.fitted("-12345.67", 8) == "  -12345"
    assert words.fitted("123456789.00", 8) == "   large"


def test_text_from_outside_moves_no_cursor_and_keeps_its_width():
    assert words.clean("a\x1b[2Jb\n\u202ec") == "a\ufffd[2Jb\ufffd\ufffdc"
    for text in ("KXHIGHNY-26NOV30-T50", "x" * 200, "気温" * 40, "[red]x[/]", ""):
        for width in (1, 7, 12, 30):
            assert cell_len(words.cropped(text, width)) == width
    assert words.cropped("KXHIGHNY-26NOV30-T50", 12) == "KXHIGH…0-T50"


def test_a_time_outside_of_the_calendar_is_unknown():
    assert words.time_of_day(1_796_040_000_000_000_000) == "12:00:00"
    assert words.time_of_day(10**30) == "unknown"


def test_bars_and_sparklines_end_within_their_width():
    assert words.bar(50, 100, 4) == "##.."
    assert words.bar(500, 100, 4) == "####"
    assert words.bar(-5, 100, 4) == "...."
    assert words.bar(0, 0, 4) == "####"  # nothing is allowed: it is used up
    assert words.sparkline([], 5) == ""
    assert words.sparkline([7, 7], 5) == "▄▄"
    assert words.sparkline([0, 7, 14], 5) == "▁▄█"
    long = words.sparkline(list(range(1_000)), 10)
    assert (len(long), long[-1]) == (10, "█")
