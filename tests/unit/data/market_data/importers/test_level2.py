"""Simulated files beside recorded ones: neither is ever taken for the other."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made.market_files import BOOK_SCHEMA, T0, book, capture, load, snapshot, trade, write

from kalshi_platform.data.market_data.schema import GAP, SNAPSHOT
from kalshi_platform.domain.errors import DataError


def simulated(path: Path, seconds: tuple[int, ...] = (1,), ticker: str = "E-A") -> Path:
    rows = [book(ticker, second, "start") for second in seconds]
    schema = pa.schema(list(BOOK_SCHEMA.items()), metadata={"kalshi_platform.provenance": "simulated"})
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path


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


@pytest.mark.parametrize("marked", [0, 1])
def test_a_capture_of_recorded_and_simulated_lines_is_refused(tmp_path: Path, marked: int) -> None:
    frame = json.dumps(snapshot("E-A", 1))
    lines = [{"recv_ns": T0 * 10**9 + i, "conn": 1, "raw": frame} for i in range(2)]
    lines[marked]["provenance"] = "simulated"
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(DataError, match=r"c\.jsonl: line 2 is (recorded|simulated), the lines before it"):
        load(path)


def test_what_a_frame_says_of_itself_makes_no_recording_simulated(tmp_path: Path) -> None:
    frame = {**snapshot("E-A", 1), "provenance": "simulated"}
    markets, _ = load(capture(tmp_path / "c.jsonl", [(1, 1, frame)]))
    assert markets["E-A"].provenance == "recorded"
