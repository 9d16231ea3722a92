"""Marks of the charts: scales, texts that never shrink, names of axes, room on a telephone."""

import re

import pytest

from kalshi_platform.evaluation.pages.drawing import (
    Scale,
    draw_legend,
    draw_name,
    draw_path,
    draw_rect,
    draw_x_ticks,
    nice_ticks,
    nothing,
    padded,
    svg,
)


def test_ticks_are_round_and_inside():
    assert nice_ticks(0.0, 1.0) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert nice_ticks(-13, 27) == pytest.approx([-10, 0, 10, 20])
    assert nice_ticks(3.0, 3.0) == [3.0]


def test_an_axis_has_room_round_its_values_and_shows_zero_where_asked():
    assert padded([1.0, 2.0]) == pytest.approx((-0.12, 2.12))
    assert padded([1.0, 2.0], with_zero=False) == pytest.approx((0.94, 2.06))
    assert padded([5.0], with_zero=False) == pytest.approx((4.5, 5.5))
    assert padded([0.0]) == (-0.001, 0.001)


def test_why_there_is_no_chart_is_escaped():
    assert nothing("<b>") == '<p class="none">&lt;b&gt;</p>'


def test_a_scale_maps_its_ends_to_percent_of_the_field():
    x = Scale(10, 30)
    assert [x(v) for v in (10, 15, 30)] == [0, 25, 100]
    assert Scale(5, 5)(5) == 0  # no spread: no division by zero


def test_only_lines_stand_in_a_view_box_so_no_text_is_ever_scaled():
    path = draw_path([(0, 5), (50, 10)], 200, "s0", "<b>")
    # a box of 1000: 50 % of the field is 500
    assert 'points="0.0,5.0 500.0,10.0"' in path
    assert "&lt;b&gt;" in path
    chart = str(svg(200, [path, draw_name(0, 5, "a", 3)], "what", "it rose"))
    assert re.findall(r"<svg[^>]*viewBox", chart) == ['<svg class="path" width="100%" height="200" viewBox']
    assert not re.search(r"viewBox[^>]*>(?:(?!</svg>).)*<text", chart)
    assert 'aria-label="what: it rose"' in chart
    assert "<figcaption>it rose.</figcaption>" in chart


def test_a_long_name_is_cut_in_its_middle_and_whole_in_its_tooltip():
    assert ">ab…yz<title>abcdefxyz</title></text>" in draw_name(0, 0, "abcdefxyz", 5)
    assert "<title>" not in draw_name(0, 0, "abcde", 5)


def test_a_rectangle_stays_visible_and_says_what_it_is():
    assert 'width="0.05%" height="0.5"' in draw_rect(1, 2, 0, 0, "k", "t")
    assert "<title>&lt;t&gt;</title>" in draw_rect(1, 2, 3, 4, "k", "<t>")


def test_numbers_that_have_no_room_on_a_telephone_are_shown_on_a_desk_only():
    # 300 pixels, 7 a character, 2 characters between: three dates of 16 take 126 each, so the middle one goes
    dates = draw_x_ticks([(0, "2026-11-24 06:00"), (50, "2026-11-25 06:00"), (100, "2026-11-26 06:00")], 9)
    assert ["roomy" in mark for mark in dates] == [False, True, False]
    assert ["roomy" in mark for mark in draw_x_ticks([(0, "1"), (50, "2"), (100, "3")], 9)] == [False] * 3


def test_a_legend_shows_each_lines_own_dashes():
    assert 'class="line s3"' in draw_legend([(3, "x<y")])
    assert "x&lt;y" in draw_legend([(3, "x<y")])
