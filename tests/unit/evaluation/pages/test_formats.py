"""Figures in words: as many digits as they need, with their unit."""

import pytest

from kalshi_platform.evaluation.pages.formats import (
    dollars,
    interval_text,
    ms,
    percent,
    plain,
    probability,
    share,
    signed_percent,
    utc,
)
from kalshi_platform.evaluation.statistics.bootstrap import Interval


def test_percent_keeps_two_significant_digits():
    assert [percent(v) for v in (0, 0.5, 0.0123, -0.00012, 1e-9)] == [
        "0 %",
        "50 %",
        "1.2 %",
        "-0.012 %",
        "0 %",
    ]


def test_a_return_has_its_sign_and_a_small_one_is_no_zero():
    assert [signed_percent(v) for v in (0.0563, -0.0004, 0.00001, 0.0, -0.05, 1e-9)] == [
        "+5.63 %", "-0.040 %", "+0.0010 %", "0 %", "-5.00 %", "0 %",
    ]  # fmt: skip


def test_a_share_keeps_the_tenth():
    assert [share(v) for v in (0, 0.994, 0.99951, 1)] == ["0.0 %", "99.4 %", "100.0 %", "100.0 %"]


def test_an_estimated_probability_is_never_certain():
    assert [probability(v) for v in (0.0, 0.0009, 0.001, 0.5, 0.999, 0.9991, 1.0)] == [
        "< 0.1 %", "< 0.1 %", "0.1 %", "50.0 %", "99.9 %", "> 99.9 %", "> 99.9 %",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "0.0123 ms"), (0.8, "0.800 ms"), (12.345, "12.3 ms"), (1234.5, "1234 ms"), (0, "0.00 ms"),
        (0.9996, "1.00 ms"), (None, "-"),
    ],
)  # fmt: skip
def test_milliseconds_keep_three_digits(value, text):
    assert ms(value) == text


def test_numbers_money_and_times():
    assert [plain(v) for v in (0.5, 12345.6, 1e-7)] == ["0.5", "1.235e+04", "1e-07"]
    assert [dollars(v) for v in (-1_250_000, 1_234_567_890, 4_999)] == ["-1.25 $", "1,234.57 $", "0.00 $"]
    assert utc(1_795_500_000_000_000_000) == "2026-11-24 06:00"


def test_an_interval_says_why_it_has_no_bounds():
    whole = Interval(estimate=0.05, low=-0.1, high=0.1, confidence=0.95, n_clusters=9)
    assert interval_text(whole) == "5.0 % [-10 %, 10 %]"
    lone = whole.replace(low=None, high=None, n_clusters=2, note="n = 2, decides nothing")
    assert interval_text(lone) == "5.0 % (n = 2, decides nothing)"
    old = lone.replace(n_clusters=1, note="one event only: its spread is unknown")
    assert interval_text(old) == "5.0 % (no interval: one event only: its spread is unknown)"
    assert (
        interval_text(Interval(estimate=None, low=None, high=None, confidence=0.95, n_clusters=0))
        == "no data"
    )
