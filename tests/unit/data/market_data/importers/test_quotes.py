"""Quote Parquet to messages of the sides that changed; empty, crossed and locked quotes."""

from pathlib import Path

import pyarrow.parquet as pq
from made.market_files import CORE, load, quote, table, write

from kalshi_platform.data.market_data.importers.periods import PERIOD_KEY
from kalshi_platform.data.market_data.schema import (
    FLAG_LAST,
    GAP,
    NO,
    NO_SIDE,
    QUOTE,
    YES,
)
from kalshi_platform.domain.units import NO_PRICE, UNKNOWN_QTY


def test_quotes_emit_only_the_sides_that_changed(tmp_path: Path) -> None:
    path = write(
        tmp_path / "q",
        [
            quote("E-A", 1, 4_000, 4_200),
            quote("E-A", 2, 4_000, 4_300),
            quote("E-A", 3, 4_000, 4_300),
            quote("E-A", 4, None, 4_300),
            quote("E-A", 5, 4_100, None),
        ],
    )
    markets, counters = load(path)
    assert table(markets["E-A"], *CORE) == [
        (QUOTE, YES, 4_000, UNKNOWN_QTY, 0),
        (QUOTE, NO, 5_800, UNKNOWN_QTY, FLAG_LAST),
        (QUOTE, NO, 5_700, UNKNOWN_QTY, FLAG_LAST),
        (QUOTE, YES, NO_PRICE, 0, FLAG_LAST),
        (QUOTE, YES, 4_100, UNKNOWN_QTY, 0),
        (QUOTE, NO, NO_PRICE, 0, FLAG_LAST),
    ]
    assert counters["quotes_unchanged"] == 1
    assert markets["E-A"].provenance == "quotes"


def test_a_crossed_or_locked_quote_that_stays_is_a_gap_until_a_quote_that_is_not(tmp_path: Path) -> None:
    rows = [quote("E-A", 1, 4_000, 4_200), quote("E-A", 2, 4_300, 4_200), quote("E-A", 3, 4_200, 4_200)]
    markets, counters = load(write(tmp_path / "q", [*rows, quote("E-A", 4, 4_100, 4_200)]))
    assert table(markets["E-A"], "kind", "price_e4") == [
        (QUOTE, 4_000), (QUOTE, 5_800),
        (QUOTE, 4_300), (QUOTE, 5_800),  # crossed: nobody acts on it
        (GAP, NO_PRICE),  # a second later it is still crossed; the locked quote proves nothing
        (QUOTE, 4_100), (QUOTE, 5_800),
    ]  # fmt: skip
    assert counters["quotes_crossed"] == counters["quotes_locked"] == counters["books_ended:crossed"] == 1
    assert counters["quotes_quarantined"] == 2


def test_a_crossed_quote_of_a_moment_cuts_nothing(tmp_path: Path) -> None:
    path = write(
        tmp_path / "q",
        [quote("E-A", 1, 4_000, 4_200), quote("E-A", 1, 4_200, 4_200), quote("E-A", 1, 4_200, 4_300)],
    )
    markets, counters = load(path)
    assert GAP not in markets["E-A"].rows.kind
    assert counters["crossed_transient"] == 1


def test_a_hole_of_a_declared_period_is_a_gap_and_the_next_record_its_proof(tmp_path: Path) -> None:
    rows = [quote("E-A", second, 4_000, 4_200) for second in (1, 2, 3, 9, 10)]
    path = write(tmp_path / "q.parquet", rows)
    changes, counted = load(path)
    assert GAP not in changes["E-A"].rows.kind
    assert counted["periodic_sources"] == 0
    table_ = pq.read_table(path)
    pq.write_table(table_.replace_schema_metadata({PERIOD_KEY: "1000"}), path)
    markets, counters = load(path)
    assert table(markets["E-A"], "kind", "side") == [
        (QUOTE, YES), (QUOTE, NO), (GAP, NO_SIDE), (QUOTE, YES), (QUOTE, NO),
    ]  # fmt: skip
    assert counters["gaps_in_periodic_source"] == counters["periodic_sources"] == 1


def test_a_bid_of_zero_and_an_ask_of_zero_or_one_are_empty_sides(tmp_path: Path) -> None:
    markets, _ = load(write(tmp_path / "q", [quote("E-A", 1, 0, 10_000), quote("E-B", 1, 4_000, 0)]))
    assert table(markets["E-A"], "price_e4", "qty_e2") == [(NO_PRICE, 0), (NO_PRICE, 0)]
    assert table(markets["E-B"], "price_e4", "qty_e2") == [(4_000, UNKNOWN_QTY), (NO_PRICE, 0)]


def test_recorded_quote_sizes_are_kept_and_their_changes_are_messages(tmp_path: Path) -> None:
    rows = [
        quote("E-A", i, 4_000, 4_200, yes_bid_size_e2=size, yes_ask_size_e2=None)
        for i, size in enumerate([500, 500, 700], 1)
    ]
    markets, _ = load(write(tmp_path / "q", rows))
    assert table(markets["E-A"], "side", "qty_e2") == [(YES, 500), (NO, UNKNOWN_QTY), (YES, 700)]


def test_a_bid_of_a_dollar_is_an_empty_side_and_counted(tmp_path: Path) -> None:
    rows = [quote("E-A", 1, 9_700, 9_800), quote("E-A", 2, 10_000, None), quote("E-A", 3, 10_000, 9_900)]
    markets, counters = load(write(tmp_path / "q", rows))
    assert table(markets["E-A"], "price_e4", "qty_e2")[2:4] == [(NO_PRICE, 0), (NO_PRICE, 0)]
    assert counters["quotes_outside_0_1"] == 1
    assert counters["quotes_crossed"] == 1  # beside an ask it is crossed
