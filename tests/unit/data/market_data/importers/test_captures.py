"""Capture files: one recording of files that follow one another, one price scale, one provenance."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made.market_files import (
    T0,
    capture,
    delta,
    load,
    snapshot,
)

from kalshi_platform.data.market_data.capture import CaptureWriter, read_frames
from kalshi_platform.data.market_data.importers import discover, run_job
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


def yes_scale(ticker: str, seq: int) -> dict[str, Any]:
    """Asks at 0.45 and 0.70, as sent with use_yes_price; read as NO bids the book is crossed."""
    message = snapshot(ticker, seq)
    message["msg"]["no_dollars_fp"] = [["0.4500", "3.00"], ["0.7000", "3.00"]]
    return message


def test_the_price_scale_can_be_given_and_is_found_out_where_it_is_not(tmp_path: Path) -> None:
    path = capture(tmp_path / "a.jsonl", [(1, 1, yes_scale("E-A", 1))])
    given, _ = load(path, use_yes_price=True)
    found, counters = load(path)
    for markets in (given, found):
        assert markets["E-A"].rows.price_e4.tolist() == [NO_PRICE, 4_000, 5_500, 3_000]
    assert (counters["use_yes_price_found_out:true"], counters["crossed_snapshots"]) == (1, 0)
    with pytest.raises(DataError, match=r"a\.jsonl: connection 1 is given as use_yes_price=false, and all"):
        load(path, use_yes_price=False)


@pytest.mark.parametrize("conn", [{}, {"conn": 1}])
@pytest.mark.parametrize("noted", [False, True])
def test_a_note_of_the_recorder_tells_the_price_scale(
    tmp_path: Path, conn: dict[str, int], noted: bool
) -> None:
    quiet = snapshot("E-A", 1, no="0.4500")  # neither scale is contradicted
    path = capture(tmp_path / "a.jsonl", [(1, 1, quiet), (2, 1, delta("E-A", 2))])
    note = json.dumps({**conn, "use_yes_price": noted})
    path.write_text(f"{note}\n\n{path.read_text()}{note}\n")
    markets, counters = load(path, use_yes_price=not noted)
    assert markets["E-A"].rows.price_e4.tolist()[2] == (5_500 if noted else 4_500)
    assert not [name for name in counters if name.startswith("use_yes_price")]


def test_a_file_of_notes_only_holds_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"conn": 1, "use_yes_price": true}\n')
    with pytest.raises(DataError, match=r"a\.jsonl: holds no frame"):
        load(path)


def notes(folder: Path) -> list[str]:
    return [note for job in discover([folder]).jobs() for event in run_job(job) for note in event.notes]


def test_a_frame_that_cannot_be_read_is_put_aside_and_its_book_spoilt_until_the_next_snapshot(
    tmp_path: Path,
) -> None:
    frames = [
        (1, 1, snapshot("E-A", 1)),
        (2, 1, delta("E-A", 2, price="0.40001")),
        (3, 1, delta("E-A", 3)),
        (4, 1, snapshot("E-A", 4)),
        (5, 1, delta("E-A", 5)),
    ]
    markets, counters = load(capture(tmp_path / "a.jsonl", frames))
    kinds = [SNAPSHOT] * 3 + [GAP] + [SNAPSHOT] * 3 + [DELTA]
    assert markets["E-A"].rows.kind.tolist() == kinds
    assert (counters["refused_frames"], counters["deltas_quarantined"]) == (1, 1)
    assert len(notes(tmp_path)) == 1
    assert notes(tmp_path)[0].startswith("put aside: a.jsonl: line 2: price '0.40001' is finer than 1/10000")


@pytest.mark.parametrize(("good", "fits"), [(90, True), (89, False)])
def test_a_file_that_is_mostly_garbage_is_refused_with_its_first_reason(
    tmp_path: Path, good: int, fits: bool
) -> None:
    frames = [(1, 1, snapshot("E-A", 1))] + [(2, 1, delta("E-A", n)) for n in range(2, good + 1)]
    frames += [(3, 1, delta("E-A", good + n, qty="many")) for n in range(1, 11)]
    path = capture(tmp_path / "a.jsonl", frames)
    if fits:
        _, counters = load(path)
        assert counters["refused_frames"] == 10
        return
    with pytest.raises(DataError, match=r"a\.jsonl: 10 of 99 frames cannot be read, the first: .* line 90:"):
        load(path)


def test_only_the_first_refused_frames_are_named(tmp_path: Path) -> None:
    frames = [(1, 1, snapshot("E-A", 1))] + [(2, 1, delta("E-A", n)) for n in range(2, 400)]
    frames += [(3, 1, delta("E-A", n, qty="many")) for n in range(400, 430)]
    _, counters = load(capture(tmp_path / "a.jsonl", frames))
    assert counters["refused_frames"] == 30
    assert len(notes(tmp_path)) == 20


@pytest.mark.parametrize("numbered", [True, False])
def test_a_market_says_how_its_lost_messages_show(tmp_path: Path, numbered: bool) -> None:
    frames = [(1, 1, snapshot("E-A", 1)), (2, 1, delta("E-A", 2))]
    if not numbered:
        for _, _, message in frames:
            del message["sid"], message["seq"]
    markets, counters = load(capture(tmp_path / "a.jsonl", frames))
    assert markets["E-A"].gap_detection == ("sequence" if numbered else "none")
    assert counters["book_frames_without_seq"] == (0 if numbered else 2)
    assert counters["markets_without_gap_detection"] == (0 if numbered else 1)


def no_prices_mirrored(source: Path, path: Path) -> Path:
    """The recording as it would be had the book channel been subscribed with use_yes_price."""

    def mirror(price: str) -> str:
        return f"{1 - Decimal(price):.4f}"

    with CaptureWriter(path) as writer:
        for frame in read_frames(source):
            message = json.loads(frame.raw)
            msg = message.get("msg", {})
            if message.get("type") == "orderbook_snapshot" and "no_dollars_fp" in msg:
                msg["no_dollars_fp"] = [[mirror(price), qty] for price, qty in msg["no_dollars_fp"]]
            if message.get("type") == "orderbook_delta" and msg["side"] == "no":
                msg["price_dollars"] = mirror(msg["price_dollars"])
            writer.append(frame.recv_ns, frame.conn, json.dumps(message))
    return path


@pytest.mark.recorded
def test_the_price_scale_of_real_recordings_is_found_out_either_way(
    recorded_data: Path, tmp_path: Path
) -> None:
    sources = sorted((recorded_data / "captures").glob("*.gz"))
    assert sources
    for source in sources:
        plain, of_plain = load(source)
        turned, of_turned = load(no_prices_mirrored(source, tmp_path / f"{source.name}.jsonl"))
        assert of_plain["use_yes_price_found_out:false"] == of_turned["use_yes_price_found_out:true"] == 1
        assert plain.keys() == turned.keys()
        for ticker, market in plain.items():
            for name, column in market.rows._asdict().items():
                np.testing.assert_array_equal(column, getattr(turned[ticker].rows, name), err_msg=ticker)


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
