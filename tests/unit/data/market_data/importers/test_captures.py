"""Capture files: one recording of files that follow one another, one price scale, one provenance."""

import json
from pathlib import Path

import pytest
from made.market_files import (
    T0,
    capture,
    delta,
    load,
    snapshot,
)

from kalshi_platform.data.market_data.schema import DELTA, GAP, SNAPSHOT
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NO_PRICE


def test_capture_files_that_follow_one_another_are_one_recording(tmp_path: Path) -> None:
    capture(tmp_path / "2.jsonl.gz", [(3, 1, delta("E-A", 3)), (4, 1, delta("E-A", 6))])
    capture(tmp_path / "1.jsonl", [(1, 1, snapshot("E-A", 1)), (2, 1, snapshot("F-B", 2))])
    markets, counters = load(tmp_path)
    assert markets["E-A"].rows.kind.tolist() == [SNAPSHOT, SNAPSHOT, SNAPSHOT, DELTA, GAP]
    assert markets["F-B"].rows.kind.tolist() == [
        SNAPSHOT,
        SNAPSHOT,
        SNAPSHOT,
        GAP,
    ]  # its frames stand in file 1 only
    assert counters["deltas_quarantined"] == 1


def test_a_market_with_prints_only_is_trade_implied(tmp_path: Path) -> None:
    msg = {
        "market_ticker": "E-B",
        "yes_price_dollars": "0.4300",
        "count_fp": "1.00",
        "taker_outcome_side": "yes",
    }
    path = capture(
        tmp_path / "a.jsonl",
        [(1, 1, snapshot("E-A", 1)), (2, 1, {"type": "trade", "sid": 2, "seq": 1, "msg": msg})],
    )
    markets, _ = load(path)
    assert {t: m.provenance for t, m in markets.items()} == {"E-A": "recorded", "E-B": "trade_implied"}


def test_the_wrong_price_scale_is_refused_and_the_right_one_named(tmp_path: Path) -> None:
    # NO levels on the YES scale: an ask at 0.45 and one at 0.70, read as NO bids the book is crossed
    message = snapshot("E-A", 1)
    message["msg"]["no_dollars_fp"] = [["0.4500", "3.00"], ["0.7000", "3.00"]]
    path = capture(tmp_path / "a.jsonl", [(1, 1, message)])
    with pytest.raises(
        DataError, match=r"crossed with use_yes_price=False; import it with use_yes_price=True"
    ):
        load(path)
    markets, _ = load(path, use_yes_price=True)
    assert markets["E-A"].rows.price_e4.tolist() == [NO_PRICE, 4_000, 5_500, 3_000]


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
