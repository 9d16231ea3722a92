"""Quote Parquet to messages of the sides that changed; empty, crossed and locked quotes."""

from pathlib import Path

from made.market_files import CORE, load, quote, table, write

from kalshi_platform.data.market_data.schema import (
    FLAG_LAST,
    NO,
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


def test_crossed_and_locked_quotes_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [quote("E-A", 1, 4_000, 4_200), quote("E-A", 2, 4_300, 4_200), quote("E-A", 3, 4_200, 4_200)]
    markets, counters = load(write(tmp_path / "q", [*rows, quote("E-A", 4, 4_100, 4_200)]))
    assert markets["E-A"].rows.price_e4.tolist() == [4_000, 5_800, 4_100]
    assert counters["quotes_crossed"] == counters["quotes_locked"] == 1


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
