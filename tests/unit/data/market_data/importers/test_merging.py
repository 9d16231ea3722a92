"""Several sources of one market: the richest is kept whole, sources that follow one another are joined."""

from pathlib import Path

import pytest
from made.market_files import (
    BOOK_SCHEMA,
    book,
    capture,
    delta,
    load,
    quote,
    simulated,
    snapshot,
    trade,
    write,
)

from kalshi_platform.data.market_data.schema import GAP, SNAPSHOT
from kalshi_platform.domain.errors import DataError


def test_two_recorders_of_one_market_keep_the_longer_record(tmp_path: Path) -> None:
    capture(tmp_path / "a.jsonl", [(1, 1, snapshot("E-A", 1)), (9, 1, delta("E-A", 2))])
    capture(
        tmp_path / "b.jsonl", [(2, 1, snapshot("E-A", 1)), (3, 1, delta("E-A", 2)), (4, 1, delta("E-A", 3))]
    )
    markets, counters = load(tmp_path)
    assert markets["E-A"].source == "b.jsonl"
    assert counters["rows_of_overlapping_source"] == 4


def test_the_richest_provenance_of_a_market_is_kept_whole(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [trade("E-A", 1, 4_200), trade("E-B", 1, 4_200)])
    write(tmp_path / "q.parquet", [quote("E-A", 1, 4_000, 4_200)])
    markets, counters = load(tmp_path)
    assert {t: m.provenance for t, m in markets.items()} == {"E-A": "quotes", "E-B": "trade_implied"}
    assert counters["rows_of_poorer_source:trade_implied"] == 1


def test_files_that_follow_one_another_are_joined_and_overlapping_ones_not(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [trade("E-A", s, 4_200) for s in (1, 2, 3)])
    write(tmp_path / "b.parquet", [trade("E-A", s, 4_300) for s in (5, 6)])
    write(tmp_path / "c.parquet", [trade("E-A", 2, 9_900)])
    markets, counters = load(tmp_path)
    assert markets["E-A"].rows.price_e4.tolist() == [4_200] * 3 + [4_300] * 2
    assert markets["E-A"].source == "a.parquet+b.parquet"
    assert counters["rows_of_overlapping_source"] == 1


def test_simulated_and_recorded_markets_keep_their_own_provenance(tmp_path: Path) -> None:
    simulated(tmp_path / "s.parquet", ticker="S-A")
    write(tmp_path / "r.parquet", [book("R-A", 1, "start")], BOOK_SCHEMA)
    markets, _ = load(tmp_path)
    assert {t: m.provenance for t, m in markets.items()} == {"S-A": "simulated", "R-A": "recorded"}


def test_simulated_files_that_follow_one_another_are_joined_with_a_gap(tmp_path: Path) -> None:
    simulated(tmp_path / "a.parquet", (1, 2))
    simulated(tmp_path / "b.parquet", (3, 4))
    markets, counters = load(tmp_path)
    assert markets["E-A"].provenance == "simulated"
    assert markets["E-A"].rows.kind.tolist() == [SNAPSHOT, SNAPSHOT, GAP, SNAPSHOT, SNAPSHOT]
    assert counters["gaps_between_sources"] == 1


@pytest.mark.parametrize("real", ["level2", "trades"])
def test_one_market_simulated_in_one_file_and_real_in_another_is_refused(tmp_path: Path, real: str) -> None:
    simulated(tmp_path / "s.parquet")
    if real == "level2":
        write(tmp_path / "r.parquet", [book("E-A", 5, "start")], BOOK_SCHEMA)
    else:
        write(tmp_path / "r.parquet", [trade("E-A", 5, 4_200)])
    with pytest.raises(DataError, match=r"E-A is simulated in s\.parquet and real in r\.parquet"):
        load(tmp_path)
