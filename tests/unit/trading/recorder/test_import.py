"""Importers read what the recorder writes: the same rows, the holes as gaps, facts beside frames."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from made import both_doors
from made.recorder import ScriptedReads, trade_raw
from made.recorder_runs import BOOK, DAY, DELTA_MSG, T0, A, S, record

from kalshi_platform.data.market_data.decode import Decoder
from kalshi_platform.data.market_data.frame_files import read_frames
from kalshi_platform.data.market_data.importers.captures import feed_files
from kalshi_platform.data.market_data.importers.plan import discover
from kalshi_platform.data.market_data.importers.run import run_job
from kalshi_platform.data.market_data.schema import DELTA, GAP, SNAPSHOT
from kalshi_platform.trading.exchange import sink
from kalshi_platform.trading.recorder.facts.backfill import Backfill
from kalshi_platform.trading.recorder.facts.facts_file import FactsFile
from kalshi_platform.trading.recorder.segments.journal import JournalConfig, RecordingJournal
from kalshi_platform.trading.recorder.segments.restart import take_over
from kalshi_platform.trading.recorder.segments.seals import FRAMES
from kalshi_platform.trading.recorder.status import read_state

CAPTURES = Path(__file__).parents[5] / "shared" / "data" / "captures"


def imported(out: Path):
    plan = discover([out])
    assert plan.skipped == {}
    (job,) = plan.jobs()
    (event,) = run_job(job)
    return event


def test_a_recording_of_two_runs_is_one_market_with_every_hole_as_a_gap(tmp_path):
    record(tmp_path, 1, DAY)
    record(tmp_path, 2, DAY)
    facts = FactsFile(tmp_path, "run2")
    facts.tell(T0, "market", A, {"ticker": A, "event_ticker": "KXDEMO-26DEC01", "title": "x"})
    facts.file.close()
    event = imported(tmp_path)
    (market,) = event.markets
    kinds = Counter(market.rows.kind.tolist())
    # a gap in each run, and one between them; deltas between a gap and its snapshot are dropped
    assert kinds[GAP] == 3
    assert kinds[DELTA] == 4
    assert kinds[SNAPSHOT] == 4 * 3  # a marker and two levels each
    assert market.provenance == "recorded"
    assert event.counters["deltas_quarantined"] == 2
    # nothing came after the first run's last line: its book is stale from then on, not from the second run on
    assert event.counters["books_of_ended_connections"] == 1
    assert event.counters["reconnections"] == 0
    gaps = market.rows.recv_ns[market.rows.kind == GAP].tolist()
    assert gaps == [T0 + 1_005 * S, T0 + 1_009 * S, T0 + 2_005 * S]
    # the scale of NO comes from the note: 0.45 is a YES ask, so the NO bid lies at 0.55
    assert 5_500 in market.rows.price_e4.tolist()
    (covered,) = read_state(tmp_path).markets
    assert covered.holes == 3


def test_a_connection_that_ends_makes_its_books_stale_from_then_on_in_replay_as_live(tmp_path):
    params = {"channels": ["orderbook_delta"], "market_tickers": [A], "use_yes_price": True}
    take_over(tmp_path)
    journal = RecordingJournal(tmp_path, "run", JournalConfig())
    for conn, begin in ((1, 0), (2, 1_800)):
        at = T0 + begin * S
        journal.note(
            conn, at, begin, sink.SUBSCRIBED, {"sid": 1, "channel": "orderbook_delta", "params": params}
        )
        for number, kind, msg in ((1, "orderbook_snapshot", BOOK), (2, "orderbook_delta", DELTA_MSG)):
            raw = json.dumps({"type": kind, "sid": 1, "seq": number, "msg": {"market_ticker": A, **msg}})
            journal.frame(conn, at + number * S, begin, raw.encode())
        journal.note(conn, at + 9 * S, begin, sink.DISCONNECTED, {"why": "half-open", "frames": 2})
    journal.close()
    (path,) = (tmp_path / FRAMES).glob("*.zst")
    replay, live = both_doors.imported(path), both_doors.lived(path)
    both_doors.assert_same_rows(live.rows[A], replay.rows[A], A)
    rows = replay.rows[A]
    assert [(t - T0) // S for t in rows.recv_ns.tolist()] == [1, 2, 9, 1_801, 1_802, 1_809]
    assert rows.valid.tolist() == [1, 1, 0, 1, 1, 0]
    for counters in (replay.counters, live.counters):
        assert (counters["books_of_ended_connections"], counters["reconnections"]) == (2, 0)


def test_backfilled_trades_and_candles_lie_beside_the_frames_and_a_trade_of_the_stream_counts_once(tmp_path):
    reads = ScriptedReads()
    at = "2026-11-23T02:30:03.5Z"  # T0 + 1,000 s is 02:30:00
    reads.trades_by_ticker[A] = [{**trade_raw(name, A), "created_time": at} for name in ("late", "seen")]
    trade = {
        "trade_id": "seen", "yes_price_dollars": "0.4200", "count_fp": "1.00", "taker_outcome_side": "no",
        "is_block_trade": False,
    }  # fmt: skip
    record(tmp_path, 1, [*DAY[:2], (3, "trade", 3, trade), *DAY[2:]])
    backfill = Backfill(reads, tmp_path, "run1")
    asyncio.run(backfill.fill_trades(A, T0, T0 + 2_000 * S, T0 + 2_000 * S))
    candle = {
        "end_period_ts": (T0 // S) + 1_020, "yes_bid": {"close_dollars": "0.4200"},
        "yes_ask": {"close_dollars": "0.4500"}, "price": {}, "volume_fp": "1.00", "open_interest_fp": "1.00",
    }  # fmt: skip
    backfill.files[1].append([{"known_ns": T0, "ticker": A, "candlesticks": [candle]}])
    for file in backfill.files:
        file.close()
    plan = discover([tmp_path])
    assert sorted(file.kind for file in plan.files) == ["capture", "quotes", "trades"]
    (event,) = run_job(plan.jobs()[0])
    assert event.counters["prints_already_in_book_source"] == 1
    assert event.counters["prints_joined"] == 1
    assert event.markets[0].provenance == "recorded"


def test_a_simulated_recording_is_imported_as_simulated(tmp_path):
    record(tmp_path, 1, DAY, world="calibrated")
    assert imported(tmp_path).markets[0].provenance == "simulated"


def test_a_segment_of_notes_only_is_passed_over_with_the_reason(tmp_path):
    record(tmp_path, 1, DAY)
    record(tmp_path, 2, [])
    plan = discover([tmp_path])
    ((name, why),) = plan.skipped.items()
    assert "run2" in name
    assert "nothing was received" in why
    assert len(plan.files) == 1


@pytest.mark.recorded
@pytest.mark.parametrize("name", ["kxbtc-2026-04-18", "mlb-wnba-2026-08-07", "demo-exchange-2026-07-01"])
def test_real_frames_pass_the_recorder_unchanged_and_decode_to_the_same_rows(tmp_path, name):
    capture = CAPTURES / f"{name}.jsonl.gz"
    if not capture.exists():
        pytest.skip(f"{capture} is not on this machine")
    frames = list(read_frames(capture))
    take_over(tmp_path)
    journal = RecordingJournal(tmp_path, "run", JournalConfig(segment_bytes=1, commit_bytes=4_000))
    for frame in frames:
        journal.frame(frame.conn, frame.recv_ns, frame.recv_ns, frame.raw.encode())
    journal.close()
    segments = sorted((tmp_path / FRAMES).glob("*.zst"))
    kept = [frame for path in segments for frame in read_frames(path)]
    assert [(f.recv_ns, f.conn, f.raw) for f in kept] == [(f.recv_ns, f.conn, f.raw) for f in frames]
    ours, theirs = Decoder(), Decoder()
    feed_files(ours, segments)
    feed_files(theirs, [capture])
    assert ours.markets.keys() == theirs.markets.keys()
    for ticker in theirs.markets:
        mine, given = ours.markets[ticker].rows()[0], theirs.markets[ticker].rows()[0]
        for column, other in zip(mine, given, strict=True):
            assert column.tolist() == other.tolist()
