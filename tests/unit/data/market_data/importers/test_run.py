"""An import job: lifecycle frames, grids declared and inferred."""

import json
from pathlib import Path

import pytest
from made.market_files import (
    T0,
    capture,
    load,
    rest,
    snapshot,
    trade,
    write,
)

from kalshi_platform.domain.errors import DataError


def test_lifecycle_frames_settle_a_market_without_metadata(tmp_path: Path) -> None:
    end = {
        "market_ticker": "E-A",
        "event_type": "determined",
        "determination_ts": T0 + 9,
        "result": "no",
        "settlement_value": "0.0000",
    }
    path = capture(
        tmp_path / "a.jsonl",
        [(1, 1, snapshot("E-A", 1)), (9, 1, {"type": "market_lifecycle_v2", "sid": 3, "seq": 1, "msg": end})],
    )
    markets, counters = load(path)
    settlement = markets["E-A"].settlement
    assert settlement is not None
    assert (settlement.value_e4, settlement.determined_ns) == (0, (T0 + 9) * 10**9)
    assert counters["metadata_missing"] == counters["event_inferred"] == 1


def test_a_price_off_a_declared_grid_is_refused(tmp_path: Path) -> None:
    bands = [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}]
    (tmp_path / "m.json").write_text(json.dumps({"markets": [rest("A-1", "EV", price_ranges=bands)]}))
    write(tmp_path / "t.parquet", [trade("A-1", 1, 4_200), trade("A-1", 2, 4_210)])
    with pytest.raises(
        DataError, match=r"t\.parquet: row 1, market A-1: trade has a price off the market's grid .*: 4210"
    ):
        load(tmp_path)


def test_an_undeclared_grid_is_inferred_but_never_finer_than_a_tenth_of_a_cent(tmp_path: Path) -> None:
    markets, counters = load(write(tmp_path / "t.parquet", [trade("A-1", 1, 4_210), trade("B-1", 1, 4_200)]))
    assert (markets["A-1"].spec.tick_e4, markets["B-1"].spec.tick_e4) == (10, 100)
    assert counters["grid_inferred"] == 1
    with pytest.raises(DataError, match="off the market's grid"):
        load(write(tmp_path / "u.parquet", [trade("A-1", 1, 4_211)]))
