"""Defaults of fees by series and date, against the figures of docs/exchange.md."""

import pytest

from kalshi_platform.domain.fee_schedule import (
    BEGINNING_NS,
    FeeStep,
    FeeTerms,
    constant_fees,
    default_fees,
    rounding_at,
    series_of,
    terms_at,
    terms_today,
    weakest_source,
)
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import parse_rfc3339


def day(text: str) -> int:
    return parse_rfc3339(text + "T12:00:00Z")


def default_at(series: str, text: str) -> tuple[str, int]:
    found = [d for d in default_fees(series) if d.from_ns <= day(text)][-1]
    return found.fee_type, found.fee_multiplier_e6


@pytest.mark.parametrize(
    ("series", "at", "fee_type", "multiplier_e6"),
    [
        ("KXHIGHNY", "2026-10-10", "quadratic", 1_000_000),
        ("KXFED", "2026-10-10", "quadratic_with_maker_fees", 1_000_000),
        ("KXFEDMENTION", "2026-10-10", "quadratic", 1_000_000),  # a longer name is another series
        ("KXBTCY", "2026-07-06", "quadratic", 1_000_000),
        ("KXBTCY", "2026-07-07", "quadratic", 0),
        ("KXMLBGAME", "2026-07-31", "quadratic_with_maker_fees", 1_000_000),
        ("KXMLBGAME", "2026-08-01", "quadratic_with_maker_fees", 500_000),
        ("KXMLBGAME", "2026-09-30", "quadratic_with_maker_fees", 500_000),
        ("KXMLBGAME", "2026-10-01", "quadratic_with_maker_fees", 1_000_000),
        ("INXD", "2025-12-31", "quadratic", 500_000),
        ("KXINXU", "2025-03-01", "quadratic", 500_000),
        ("KXNASDAQ100", "2025-03-01", "quadratic", 500_000),
        ("INXD", "2026-01-01", "quadratic", 1_000_000),
        ("KXINXY", "2025-12-31", "quadratic_with_maker_fees", 1_000_000),  # yearly: no daily or hourly family
        ("KXMVESPORTSMULTIGAMEEXTENDED", "2026-10-10", "quadratic_with_combo_maker_fees", 1_000_000),
    ],
)
def test_the_default_of_a_series_goes_by_its_name_and_the_date(series, at, fee_type, multiplier_e6):
    assert default_at(series, at) == (fee_type, multiplier_e6)


def test_every_default_begins_at_the_beginning_and_is_in_order():
    for series in ("KXHIGHNY", "KXBTCY", "KXMLBGAME", "INXD", "KXMVEX"):
        starts = [d.from_ns for d in default_fees(series)]
        assert starts[0] == BEGINNING_NS
        assert starts == sorted(set(starts))


@pytest.mark.parametrize(
    ("at", "rounding"),
    [
        ("2025-12-31", "cent_per_order"),
        ("2026-01-01", "centicent"),
        ("2026-09-22", "centicent"),
        ("2026-09-23", "micro"),
    ],
)
def test_the_rounding_rule_goes_by_the_date(at, rounding):
    assert rounding_at(day(at)) == rounding


def test_an_event_names_its_series():
    assert series_of("KXMLBGAME-26NOV23AAABBB") == "KXMLBGAME"
    assert series_of("ALONE") == "ALONE"


def test_terms_hold_from_their_step_to_the_next():
    cheap, dear = FeeTerms(fee_multiplier_e6=0, rounding="centicent"), FeeTerms(rounding="centicent")
    steps = (FeeStep(from_ns=BEGINNING_NS, terms=cheap), FeeStep(from_ns=100, terms=dear))
    assert [terms_at(steps, at_ns) for at_ns in (-1, 99, 100, 10**18)] == [cheap, cheap, dear, dear]


def test_terms_of_today_are_the_newest_at_the_rounding_of_today():
    old = FeeTerms(fee_multiplier_e6=500_000, rounding="cent_per_order", source="known")
    steps = (FeeStep(from_ns=BEGINNING_NS, terms=FeeTerms()), FeeStep(from_ns=5, terms=old))
    assert terms_today(steps) == old.replace(rounding="micro")


def test_a_stretch_of_time_is_known_as_well_as_its_least_known_terms():
    steps = (
        FeeStep(from_ns=BEGINNING_NS, terms=FeeTerms(source="assumed")),
        FeeStep(from_ns=100, terms=FeeTerms(source="known")),
        FeeStep(from_ns=200, terms=FeeTerms(source="assumed_since_open")),
    )
    spans = [(0, 99), (99, 100), (100, 199), (100, 200), (500, 600)]
    assert [weakest_source(steps, first, last) for first, last in spans] == [
        "assumed",
        "assumed",
        "known",
        "assumed_since_open",
        "assumed_since_open",
    ]


def test_fees_of_a_specification_hold_all_the_time():
    spec = MarketSpec(ticker="KXA-1-A", event="KXA-1", fee_multiplier_e6=500_000)
    (step,) = constant_fees(spec)
    assert (step.from_ns, step.terms.fee_multiplier_e6, step.terms.rounding) == (0, 500_000, "micro")
    assert step.terms.source == "assumed_since_open"
