"""Several sources of one market: the richest makes the book, prints of the others are joined into it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made.market_files import (
    BOOK_SCHEMA,
    CORE,
    T0,
    book,
    capture,
    delta,
    load,
    quote,
    simulated,
    snapshot,
    table,
    trade,
    write,
    ws_trade,
)
from made.prints import made_prints

from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.market_data.faults import Origin
from kalshi_platform.data.market_data.importers.merging import after_door
from kalshi_platform.data.market_data.importers.pieces import Piece
from kalshi_platform.data.market_data.importers.types import JoinedPrints
from kalshi_platform.data.market_data.schema import (
    FACTS,
    FLAG_JOINED,
    FLAG_LAST,
    GAP,
    QUOTE,
    SNAPSHOT,
    STATUS,
    TRADE,
    take,
)
from kalshi_platform.domain.errors import DataError


def test_two_recorders_of_one_market_keep_the_longer_record(tmp_path: Path) -> None:
    capture(tmp_path / "a.jsonl", [(1, 1, snapshot("E-A", 1)), (9, 1, delta("E-A", 2))])
    capture(
        tmp_path / "b.jsonl", [(2, 1, snapshot("E-A", 1)), (3, 1, delta("E-A", 2)), (4, 1, delta("E-A", 3))]
    )
    markets, counters = load(tmp_path)
    assert markets["E-A"].source == "b.jsonl"
    assert counters["rows_of_overlapping_source"] == 4


def test_trades_of_a_market_with_quotes_are_joined_into_them(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [trade("E-A", 2, 4_200), trade("E-B", 1, 4_200)])
    write(tmp_path / "q.parquet", [quote("E-A", s, 3_000 + 100 * s, 4_200) for s in (1, 2, 3, 9)])
    markets, counters = load(tmp_path)
    assert {t: m.provenance for t, m in markets.items()} == {"E-A": "quotes", "E-B": "trade_implied"}
    # Joined a second late, and a second may hide in a time that tells whole seconds: just before T0 + 4.
    rows = markets["E-A"].rows
    prints = rows.kind == TRADE
    assert rows.recv_ns[prints].tolist() == [(T0 + 4) * 10**9 - 1]
    assert rows.flags[prints].tolist() == [FLAG_LAST | FLAG_JOINED]
    assert markets["E-A"].source == "q.parquet+t.parquet"
    assert markets["E-A"].joined == JoinedPrints(1, 2 * 10**9 - 1, False)
    assert (counters["prints_joined"], counters["rows_of_poorer_source:trade_implied"]) == (1, 0)
    assert markets["E-B"].joined is None


def test_quotes_beside_a_recording_of_levels_are_left_out_and_counted(tmp_path: Path) -> None:
    write(
        tmp_path / "b.parquet",
        [book("E-A", 1, "start"), book("E-A", 1, "level", "yes", 4_200, 100)],
        BOOK_SCHEMA,
    )
    write(tmp_path / "q.parquet", [quote("E-A", s, 3_000 + 100 * s, 4_200) for s in (1, 2)])
    markets, counters = load(tmp_path)
    assert (markets["E-A"].provenance, markets["E-A"].source) == ("recorded", "b.parquet")
    assert counters["rows_of_poorer_source:quotes"] == 3


def test_trades_after_the_last_row_of_a_book_are_kept_behind_a_gap(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [trade("E-A", s, 4_200) for s in (0, 2, 5, 6)])
    write(tmp_path / "q.parquet", [quote("E-A", s, 3_000 + 100 * s, 4_200) for s in (1, 3)])
    markets, counters = load(tmp_path)
    rows = markets["E-A"].rows
    assert rows.kind.tolist() == [QUOTE] * 2 + [TRADE] + [QUOTE] + [TRADE] + [GAP] + [TRADE] * 2
    assert counters["gaps_where_book_ends"] == 1
    assert rows.recv_ns[5] == rows.recv_ns[6]


def test_trades_before_the_first_row_of_a_book_imply_no_book(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [trade("E-A", 0, 4_200), trade("E-A", 0, 4_100, side="no")])
    write(tmp_path / "q.parquet", [quote("E-A", s, 3_000 + 100 * s, 4_200) for s in (8, 9)])
    markets, _ = load(tmp_path)
    rows = build_rows(markets["E-A"].rows, markets["E-A"].spec)
    assert rows.valid.tolist() == [0, 0, 1, 1]
    assert rows.print_qty_e2[:2].tolist() == [100, 100]


def test_a_trade_that_the_capture_holds_is_not_joined_from_a_file_as_well(tmp_path: Path) -> None:
    messages = [(1, 1, snapshot("E-A", 1)), (3, 1, ws_trade("E-A", "id-1", T0 + 3)), (5, 1, delta("E-A", 2))]
    capture(tmp_path / "c.jsonl", messages)
    rows = [trade("E-A", 3, 4_200, trade_id="id-1"), trade("E-A", 3, 4_200, trade_id="id-2")]
    write(tmp_path / "t.parquet", rows)
    markets, counters = load(tmp_path)
    prints = markets["E-A"].rows.kind == TRADE
    assert markets["E-A"].rows.recv_ns[prints].tolist() == [(T0 + 3) * 10**9, (T0 + 5) * 10**9 - 1]
    assert (counters["prints_already_in_book_source"], counters["prints_joined"]) == (1, 1)


def test_prints_of_a_shorter_recorder_are_joined_into_the_longer_one(tmp_path: Path) -> None:
    capture(
        tmp_path / "a.jsonl", [(s, 1, delta("E-A", s) if s > 1 else snapshot("E-A", 1)) for s in range(1, 9)]
    )
    capture(
        tmp_path / "b.jsonl",
        [(2, 1, snapshot("E-A", 1)), (4, 1, ws_trade("E-A", "id-1", T0 + 3)), (5, 1, delta("E-A", 2))],
    )
    markets, counters = load(tmp_path)
    prints = markets["E-A"].rows.kind == TRADE
    assert markets["E-A"].rows.recv_ns[prints].tolist() == [(T0 + 5) * 10**9 - 1]
    assert (markets["E-A"].source, counters["prints_joined"]) == ("a.jsonl+b.jsonl", 1)


def test_a_recording_of_trades_tells_a_book_of_another_file_when_trading_stopped(tmp_path: Path) -> None:
    write(tmp_path / "q.parquet", [quote("E-A", s, 3_000 + 100 * s, 4_200) for s in (1, 3, 9)])
    paused = {"type": "market_lifecycle_v2", "msg": {"market_ticker": "E-A", "event_type": "deactivated"}}
    capture(tmp_path / "c.jsonl", [(2, 1, ws_trade("E-A", "id-1", T0 + 2)), (5, 1, paused)])
    markets, counters = load(tmp_path)
    rows = markets["E-A"].rows
    assert [kind for kind in rows.kind.tolist() if kind != FACTS] == [QUOTE] * 3 + [TRADE, STATUS, QUOTE]
    assert (counters["states_joined"], counters["prints_joined"]) == (1, 1)


def test_two_trade_files_that_overlap_are_one_and_lose_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [trade("E-A", s, 4_200) for s in (1, 2, 3)])
    write(tmp_path / "b.parquet", [trade("E-A", s, 4_300) for s in (5, 6)])
    write(tmp_path / "c.parquet", [trade("E-A", 2, 4_200), trade("E-A", 2, 9_900), trade("E-A", 3, 4_200)])
    markets, counters = load(tmp_path)
    assert markets["E-A"].rows.price_e4.tolist() == [4_200, 4_200, 9_900, 4_200, 4_300, 4_300]
    assert markets["E-A"].source == "a.parquet+c.parquet+b.parquet"
    assert counters["trades_repeated_between_files"] == 2


def test_files_with_trade_ids_that_share_a_trade_hold_it_once(tmp_path: Path) -> None:
    days = [[trade("E-A", s, 4_200, trade_id=f"id-{s}") for s in range(*day)] for day in ((0, 4), (3, 7))]
    for name, day in zip("ab", days, strict=True):
        write(tmp_path / f"{name}.parquet", day)
    markets, counters = load(tmp_path)
    assert markets["E-A"].rows.recv_ns.tolist() == [(T0 + s) * 10**9 for s in range(7)]
    assert counters["trades_repeated_between_files"] == 1
    assert counters["trades_of_unclear_overlap"] == 0


def test_a_recording_of_trades_alone_takes_those_of_a_file_and_stays_implied(tmp_path: Path) -> None:
    capture(
        tmp_path / "c.jsonl",
        [(4, 1, ws_trade("E-A", "id-3", T0 + 3)), (9, 1, ws_trade("E-A", "id-9", T0 + 9))],
    )
    write(tmp_path / "t.parquet", [trade("E-A", s, 4_200, trade_id=f"id-{s}") for s in (2, 3, 5, 9)])
    market = load(tmp_path)[0]["E-A"]
    assert market.provenance == "trade_implied"
    assert (market.rows.recv_ns - T0 * 10**9).tolist() == [4 * 10**9 - 1, 4 * 10**9, 7 * 10**9 - 1, 9 * 10**9]
    assert not (market.rows.flags & FLAG_JOINED).any()  # here every print implies the book


def test_quote_files_that_overlap_are_one_recording(tmp_path: Path) -> None:
    whole = [quote("E-A", s, 3_000 + 100 * s, 4_200) for s in range(8)]
    write(tmp_path / "a.parquet", whole[:5])
    write(tmp_path / "b.parquet", whole[3:])
    market = load(tmp_path)[0]["E-A"]
    alone = load(write(tmp_path / "w.bin", whole))[0]
    assert market.source == "a.parquet+b.parquet"
    assert table(market, "recv_ns", *CORE) == table(alone["E-A"], "recv_ns", *CORE)


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


def test_a_print_keeps_its_id_where_the_door_drops_the_one_before_it() -> None:
    piece = Piece(
        "E-A", "trade_implied", made_prints([(1, 4_200, 9, 0), (1, 4_300, 9, 0), (2, 4_200, 9, 0)]).rows,
        Origin("f", "row", 0), "f", trade_ids=pa.array(["x", "y", "z"], pa.large_string()),
    )  # fmt: skip
    passed = after_door(piece, take(piece.rows, np.array([1, 2])))
    assert passed.trade_ids is not None
    assert passed.trade_ids.to_pylist() == ["y", "z"]
    same = after_door(piece, piece.rows)
    assert same.trade_ids is piece.trade_ids
