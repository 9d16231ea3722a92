"""Statements of fees out of documents, market rows and frames."""

from collections import Counter

import pytest

from kalshi_platform.data.market_data.fee_meta import (
    FeeNotes,
    is_fee_document,
    overriding_fees,
    own_fees,
    with_frames,
)
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.fee_history import FeeTable, FeeTelling
from kalshi_platform.domain.units import parse_rfc3339

MAKER = "quadratic_with_maker_fees"
JULY = "2026-07-03T17:00:00Z"


def read(*documents) -> FeeTable:
    notes = FeeNotes(Counter())
    for document in documents:
        assert is_fee_document(document)
        notes.read_document(document, "fees.json")
    return notes.table()


def series(ticker="KXA", **fields):
    return {"ticker": ticker, "title": "A series", **fields}


def told(fee_type=None, multiplier_e6=None, at=None) -> FeeTelling:
    at_ns = None if at is None else parse_rfc3339(at)
    return FeeTelling(fee_type=fee_type, fee_multiplier_e6=multiplier_e6, at_ns=at_ns)


@pytest.mark.parametrize(
    "document",
    [
        {"series": series(fee_type=MAKER, fee_multiplier=0.5)},
        {"series": [series(fee_type=MAKER, fee_multiplier="0.5")]},
        [{"series": series(fee_type=MAKER, fee_multiplier=0.5)}],
        {"captured_at": JULY, "payloads": {"KXA": {"series": series(fee_type=MAKER, fee_multiplier=0.5)}}},
    ],
    ids=["one", "list", "list of answers", "wrapped"],
)
def test_an_answer_about_series_is_read_in_every_form_it_is_kept_in(document) -> None:
    assert read(document) == FeeTable({"KXA": (told(MAKER, 500_000),)}, {})


def test_scheduled_changes_hold_from_their_time_and_an_empty_override_is_cleared() -> None:
    changes = {
        "series_fee_change_arr": [
            {
                "id": "1",
                "series_ticker": "KXA",
                "fee_type": "quadratic",
                "fee_multiplier": 1,
                "scheduled_ts": JULY,
            }
        ]
    }
    overrides = {
        "event_fee_changes": [
            {
                "event_ticker": "KXA-1",
                "fee_type_override": None,
                "fee_multiplier_override": None,
                "scheduled_ts": parse_rfc3339(JULY) // 10**9,
            }
        ],
        "cursor": "",
    }
    table = read(changes, overrides)
    assert table.series == {"KXA": (told("quadratic", 1_000_000, JULY),)}
    assert table.events == {"KXA-1": (told(at=JULY),)}


def test_an_empty_answer_is_an_answer() -> None:
    assert read({"series_fee_change_arr": []}) == FeeTable()


@pytest.mark.parametrize(
    "document",
    [{"markets": [{"ticker": "A", "fee_type": MAKER}]}, {"series": series()}, [], {"series": "KXA"}, 7],
)
def test_a_document_that_says_nothing_of_the_fees_of_series_or_events_is_none(document) -> None:
    assert not is_fee_document(document)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fee_multiplier": -0.5}, r"fees\.json: series 0: fee_multiplier = -0\.5; expected 0\.\.1000"),
        ({"fee_multiplier": 1001}, "expected 0..1000"),
        ({"fee_multiplier": "half"}, "fee_multiplier = 'half' is no number"),
        ({"fee_multiplier": True}, "is no number"),
        ({"fee_multiplier": float("nan")}, "expected 0..1000"),
        ({"fee_multiplier": 0.0000005}, "finer than 1e-6"),
        ({"fee_type": 3}, "fee_type = 3; expected text"),
        ({"fee_type": MAKER, "ticker": None}, "ticker None"),
    ],
)
def test_an_impossible_statement_is_refused_with_its_place(fields, words) -> None:
    with pytest.raises(DataError, match=words):
        FeeNotes(Counter()).read_document({"series": {**series(), **fields}}, "fees.json")


@pytest.mark.parametrize("when", [None, 1_783_098_000_000, "3 July", 0, True, "0001-01-01T00:00:00Z"])
def test_a_change_without_a_readable_time_is_refused(when) -> None:
    change = {"series_ticker": "KXA", "fee_multiplier": 1, "scheduled_ts": when}
    with pytest.raises(DataError, match=r"fees\.json: series_fee_change_arr 0: scheduled_ts"):
        FeeNotes(Counter()).read_document({"series_fee_change_arr": [change]}, "fees.json")


def test_a_market_may_tell_fees_of_its_own_and_the_override_of_its_event() -> None:
    counters: Counter[str] = Counter()
    row = {"fee_type": MAKER, "fee_multiplier": 2, "fee_waiver_expiration_time": JULY}
    assert own_fees(row, "m", counters) == (told(MAKER, 2_000_000),)
    assert own_fees({}, "m", counters) == ()
    event = {"fee_type_override": MAKER, "fee_multiplier_override": 0}
    assert overriding_fees({}, event, "m", counters) == (told(MAKER, 0),)
    nearer = {"fee_type_override": None, "fee_multiplier_override": "0.25"}
    assert overriding_fees(nearer, event, "m", counters) == (told(None, 250_000),)
    assert overriding_fees({"fee_type_override": None}, {}, "m", counters) == ()
    assert +counters == Counter(fee_waivers_ignored=1)


@pytest.mark.parametrize("kind", ["flat", "margin_market_maker_program_fees", "cubic"])
def test_a_type_without_a_readable_table_is_assumed_to_be_quadratic_and_counted(kind) -> None:
    counters: Counter[str] = Counter()
    (found,) = own_fees({"fee_type": kind, "fee_multiplier": 0.1}, "m", counters)
    assert (found.fee_type, found.fee_multiplier_e6, found.readable) == ("quadratic", 1_000_000, False)
    assert +counters == Counter({f"fee_type_unreadable:{kind}": 1})


def test_what_frames_told_comes_after_what_documents_told() -> None:
    counters: Counter[str] = Counter()
    table = FeeTable({"KXA": (told(MAKER),)}, {"KXA-1": (told(MAKER, 0),)})
    frames = {"KXA-1": [(5, MAKER, 500_000), (9, None, None)], "KXA-2": [(7, "flat", 1)]}
    found = with_frames(table, frames, counters)
    assert found.series == table.series
    first, half, cleared = found.events["KXA-1"]
    assert (first, half.at_ns, half.fee_multiplier_e6) == (told(MAKER, 0), 5, 500_000)
    assert (cleared.at_ns, cleared.is_empty) == (9, True)
    assert found.events["KXA-2"] == (
        FeeTelling(at_ns=7, fee_type="quadratic", fee_multiplier_e6=1_000_000, readable=False),
    )
    assert counters == Counter({"fee_type_unreadable:flat": 1})
