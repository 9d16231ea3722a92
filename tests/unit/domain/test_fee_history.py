"""Which statement of fees holds when; every case worked by hand."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.fee_history import FeeTable, FeeTelling, fee_steps, told_once
from kalshi_platform.domain.fee_schedule import BEGINNING_NS, terms_at, terms_today
from kalshi_platform.domain.units import parse_rfc3339

MAKER = "quadratic_with_maker_fees"
HALF = 500_000
OCT, NOV = parse_rfc3339("2026-10-10T00:00:00Z"), parse_rfc3339("2026-11-10T00:00:00Z")
DEC = parse_rfc3339("2026-12-10T00:00:00Z")


def told(fee_type=None, multiplier_e6=None, at_ns=None, **more) -> FeeTelling:
    return FeeTelling(fee_type=fee_type, fee_multiplier_e6=multiplier_e6, at_ns=at_ns, **more)


def seen(steps, at_ns) -> tuple[str, int, str]:
    terms = terms_at(steps, at_ns)
    return terms.fee_type, terms.fee_multiplier_e6, terms.source


DEFAULT = ("quadratic", 1_000_000, "assumed")


def test_without_statements_the_default_of_the_series_is_assumed():
    steps = fee_steps("INXD")
    assert [(s.from_ns, s.terms.fee_multiplier_e6, s.terms.rounding) for s in steps] == [
        (BEGINNING_NS, HALF, "cent_per_order"),
        (parse_rfc3339("2026-01-01T00:00:00Z"), 1_000_000, "centicent"),
        (parse_rfc3339("2026-09-23T00:00:00Z"), 1_000_000, "micro"),
    ]
    assert {s.terms.source for s in steps} == {"assumed"}


def test_fields_of_a_market_hold_from_its_opening_on_and_are_said_to_be_assumed_since():
    steps = fee_steps("KXDEMO", own_tellings=[told(MAKER, HALF)])
    assert seen(steps, BEGINNING_NS) == seen(steps, DEC) == (MAKER, HALF, "assumed_since_open")


def test_a_field_that_is_not_told_comes_from_the_next_layer():
    steps = fee_steps("KXFED", own_tellings=[told(None, HALF)])
    assert seen(steps, DEC) == (MAKER, HALF, "assumed")  # the maker fees are the default of KXFED


def test_market_beats_series_and_override_beats_market():
    layers = {"own_tellings": [told("quadratic", 250_000)], "series_tellings": [told(MAKER, HALF)]}
    assert seen(fee_steps("KXDEMO", **layers), DEC) == ("quadratic", 250_000, "assumed_since_open")
    layers["event_tellings"] = [told(MAKER, 2_000_000)]
    assert seen(fee_steps("KXDEMO", **layers), DEC) == (MAKER, 2_000_000, "assumed_since_open")


def test_a_frame_holds_from_its_time_on_and_says_nothing_of_the_time_before():
    steps = fee_steps("KXDEMO", event_tellings=[told(MAKER, HALF, NOV)])
    assert seen(steps, NOV - 1) == DEFAULT
    assert seen(steps, NOV) == (MAKER, HALF, "known")


def test_a_cleared_override_gives_the_series_back():
    frames = [told(MAKER, HALF, NOV), told(at_ns=DEC)]
    steps = fee_steps("KXDEMO", frames, series_tellings=[told(MAKER, 1_000_000)])
    assert seen(steps, NOV) == (MAKER, HALF, "known")
    assert seen(steps, DEC) == (MAKER, 1_000_000, "assumed_since_open")


@pytest.mark.parametrize("layer", ["event_tellings", "own_tellings"])
def test_metadata_that_repeat_a_frame_were_read_later_and_say_nothing_of_before(layer):
    layers = {"event_tellings": [told(MAKER, HALF, NOV)]}
    layers[layer] = [*layers.get(layer, []), told(MAKER, HALF)]
    steps = fee_steps("KXDEMO", **layers)
    assert seen(steps, NOV - 1) == DEFAULT
    assert seen(steps, NOV) == (MAKER, HALF, "known")


def test_metadata_that_no_frame_repeats_were_read_earlier_and_hold_until_the_first_frame():
    steps = fee_steps("KXDEMO", [told("quadratic", 0), told(MAKER, HALF, NOV)])
    assert seen(steps, NOV - 1) == ("quadratic", 0, "assumed_since_open")
    assert seen(steps, NOV) == (MAKER, HALF, "known")


def test_scheduled_changes_of_a_series_hold_from_their_time():
    changes = [told(MAKER, 1_000_000, OCT), told(MAKER, HALF, NOV)]
    steps = fee_steps(
        "KXDEMO", series_tellings=[*changes, told(MAKER, HALF)]
    )  # the answer of /series: of now
    assert seen(steps, OCT - 1) == DEFAULT
    assert seen(steps, OCT) == (MAKER, 1_000_000, "known")
    assert seen(steps, NOV) == (MAKER, HALF, "known")


def test_fields_of_a_market_yield_to_a_later_change_of_its_series_only():
    own, change = [told("quadratic", 250_000)], [told(MAKER, HALF, NOV)]
    opened_before = fee_steps("KXDEMO", (), own, change, open_ns=OCT)
    assert seen(opened_before, NOV - 1) == ("quadratic", 250_000, "assumed_since_open")
    assert seen(opened_before, NOV) == (MAKER, HALF, "known")
    opened_after = fee_steps("KXDEMO", (), own, change, open_ns=NOV)
    assert seen(opened_after, DEC) == ("quadratic", 250_000, "assumed_since_open")


def test_an_unreadable_type_is_assumed_from_its_time_on():
    frame = told("quadratic", 1_000_000, NOV, readable=False)
    steps = fee_steps("KXDEMO", [frame], [told(MAKER, HALF)])
    assert seen(steps, NOV - 1) == (MAKER, HALF, "assumed_since_open")
    assert seen(steps, NOV) == DEFAULT


def test_fees_of_today_are_those_of_the_last_step():
    steps = fee_steps("KXDEMO", [told(MAKER, HALF, OCT), told(at_ns=NOV)])
    assert terms_today(steps).fee_multiplier_e6 == 1_000_000
    assert terms_today(fee_steps("KXBTCY")).fee_multiplier_e6 == 0


def test_a_negative_multiplier_is_refused():
    with pytest.raises(ContractError, match="fee_multiplier_e6"):
        FeeTelling.parse({"fee_multiplier_e6": -1})


TELLINGS = st.lists(
    st.builds(
        told,
        st.sampled_from([None, "quadratic", MAKER]),
        st.sampled_from([None, 0, HALF, 1_000_000]),
        st.sampled_from([None, OCT, NOV, DEC]),
    ),
    max_size=4,
)


@given(TELLINGS, TELLINGS, TELLINGS)
def test_steps_are_ordered_from_the_beginning_and_no_later_frame_changes_an_earlier_time(event, own, series):
    steps = fee_steps("KXDEMO", event, own, series)
    starts = [s.from_ns for s in steps]
    assert starts[0] == BEGINNING_NS
    assert starts == sorted(set(starts))
    assert all(a.terms != b.terms for a, b in pairwise(steps))
    if not any(t.at_ns is None for t in [*event, *own, *series]) and event:
        # No look-ahead: leaving out what was told from November on leaves every earlier time as it was.
        early = [[t for t in layer if t.at_ns < NOV] for layer in (event, own, series)]
        before = fee_steps("KXDEMO", *early)
        assert [terms_at(before, t) for t in (OCT - 1, OCT, NOV - 1)] == [
            terms_at(steps, t) for t in (OCT - 1, OCT, NOV - 1)
        ]


def test_a_part_of_a_table_holds_what_was_said_of_its_series_and_events():
    one, two = (told(MAKER),), (told(None, HALF),)
    table = FeeTable({"A": one, "B": two}, {"A-1": two, "B-1": one})
    assert table.only({"A"}, {"A-1", "A-2"}) == FeeTable({"A": one}, {"A-1": two})


def test_equal_statements_are_kept_once_and_the_last_one_without_a_time_holds():
    one, two, dated = told(multiplier_e6=HALF), told(multiplier_e6=0), told(multiplier_e6=0, at_ns=OCT)
    assert told_once([one, two, dated, one, dated]) == (two, one, dated)
    for tellings in (
        [one, two, dated, one],
        [dated, one, two],
        [two, told(multiplier_e6=7, at_ns=NOV), dated],
    ):
        assert fee_steps("KXA", told_once(tellings)) == fee_steps("KXA", tellings)
