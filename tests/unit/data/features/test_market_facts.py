"""Groups market_meta and temporal_adv: what the metadata says at the time of a row, by hand."""

import math

import pytest
from made.feature_rows import SPEC, at, build_in_python, feature, quote
from made.strategies import START_NS

from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.domain.units import NS_PER_SECOND

HOUR = 3_600
QUOTE = quote(4_000, 5_000)
GROUPS = ("is_sports", "is_politics", "is_economics", "is_other")


def rows_at(*seconds: float, build=build_rows, **changes: object):
    return build(at(*((s, QUOTE) for s in seconds)), SPEC.replace(**changes))


@pytest.mark.parametrize(
    ("category", "group"),
    [
        ("Sports", "is_sports"),
        ("sports", "is_sports"),
        ("Politics", "is_politics"),
        ("Elections", "is_politics"),
        ("Economics", "is_economics"),
        ("Financials", "is_economics"),
        ("Climate and Weather", "is_other"),
        ("Simulated", "is_other"),
        (None, "is_other"),
    ],
)
def test_every_category_belongs_to_one_of_four_groups(category: str | None, group: str) -> None:
    rows = rows_at(0, category=category)
    assert {name: feature(rows, name)[0] for name in GROUPS} == {
        name: float(name == group) for name in GROUPS
    }


@pytest.mark.parametrize("build", [build_rows, build_in_python], ids=["numba", "python"])
def test_lifecycle_runs_from_the_opening_to_the_close(build) -> None:
    s = NS_PER_SECOND
    rows = rows_at(0, 1, 3, 9, build=build, open_ns=START_NS + s, close_ns=START_NS + 5 * s)
    assert feature(rows, "lifecycle") == [0.0, 0.0, 0.5, 1.0]


@pytest.mark.parametrize("unknown", ["open_ns", "close_ns"])
def test_lifecycle_is_unknown_where_a_time_is(unknown: str) -> None:
    assert feature(rows_at(0, **{unknown: None}), "lifecycle") == [-1.0]


@pytest.mark.parametrize("build", [build_rows, build_in_python], ids=["numba", "python"])
def test_hours_to_close_on_several_scales(build) -> None:
    # the close is 24 h after the start: 24, 6, 4, 1, 0.8 and 0 hours are left
    hours = (24, 6, 4, 1, 0.8, 0)
    rows = rows_at(*((24 - h) * HOUR for h in hours), 24 * HOUR + 5, build=build)
    expected = [math.log(1 + h) / math.log(49) for h in (*hours, 0)]
    assert feature(rows, "close_log_hours") == pytest.approx(expected, rel=1e-6)
    assert feature(rows, "closes_in_24h") == [0, 1, 1, 1, 1, 1, 1]
    assert feature(rows, "closes_in_6h") == [0, 0, 1, 1, 1, 1, 1]
    assert feature(rows, "closes_in_1h") == [0, 0, 0, 0, 1, 1, 1]
    volatility = [math.exp(-h / 12) for h in (*hours, 0)]
    assert feature(rows, "closing_volatility") == pytest.approx(volatility, rel=1e-6)
    urgency = [math.exp(-h / 2) for h in (*hours, 0)]  # a sports market
    assert feature(rows, "information_urgency") == pytest.approx(urgency, rel=1e-6)


def test_urgency_of_an_economic_release_is_its_last_half_hour_and_others_have_none() -> None:
    times = [(24 - h) * HOUR for h in (24, 0.5, 0.4)]
    assert feature(rows_at(*times, category="Economics"), "information_urgency") == [0, 0, 1]
    assert feature(rows_at(*times, category="Politics"), "information_urgency") == [0, 0, 0]


def test_more_than_two_days_to_the_close_are_squashed_to_one() -> None:
    rows = rows_at(0, close_ns=START_NS + 100 * HOUR * NS_PER_SECOND)
    assert feature(rows, "close_log_hours") == [1.0]


def test_an_unknown_close_is_unknown_and_never_now() -> None:
    rows = rows_at(0, close_ns=None)
    names = ("close_log_hours", "closes_in_1h", "closes_in_6h", "closes_in_24h")
    assert [feature(rows, name)[0] for name in names] == [-1.0, 0.0, 0.0, 0.0]
    assert feature(rows, "information_urgency") + feature(rows, "closing_volatility") == [0.0, 0.0]
