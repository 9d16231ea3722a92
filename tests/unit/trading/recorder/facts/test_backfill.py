"""Back-fill: each trade once, whether the stream, an earlier run or REST brought it."""

import asyncio
import json

from made.recorder import A, ScriptedReads, trade_raw

from kalshi_platform.trading.recorder.facts.backfill import Backfill

NOW = 1_795_400_000_000_000_000


def fill(backfill: Backfill) -> int:
    found = asyncio.run(backfill.fill_trades(A, NOW - 10**10, NOW, NOW))
    for file in backfill.files:
        file.flush()
    return found


def ids(folder) -> list[str]:
    return [
        trade["trade_id"]
        for path in sorted((folder / "trades").glob("*.jsonl"))
        for line in path.read_text().splitlines()
        for trade in json.loads(line)["trades"]
    ]


def test_a_trade_is_written_once_over_calls_and_runs_and_not_where_the_stream_brought_it(tmp_path):
    reads = ScriptedReads()
    reads.trades_by_ticker[A] = [trade_raw(name) for name in ("c", "b", "a")]  # newest first
    backfill = Backfill(reads, tmp_path, "run1")
    backfill.saw({"type": "trade", "msg": {"trade_id": "b", "market_ticker": A}})
    assert fill(backfill) == 2
    assert fill(backfill) == 0
    assert ids(tmp_path) == ["a", "c"]  # oldest first
    second = Backfill(reads, tmp_path, "run2")
    reads.trades_by_ticker[A].insert(0, trade_raw("d"))
    assert fill(second) == 2  # b, which only the stream of the first run brought, and d
    assert ids(tmp_path) == ["a", "c", "b", "d"]
    assert second.repeated == 2


def test_an_incomplete_answer_stays_open_until_a_whole_one_came(tmp_path):
    reads = ScriptedReads()
    reads.trades_by_ticker[A] = [trade_raw("a")]
    reads.complete = False
    backfill = Backfill(reads, tmp_path, "run")
    fill(backfill)
    assert "page 2 failed" in backfill.open[A]
    reads.failing = {"trades"}
    fill(backfill)
    assert "503" in backfill.open[A]
    reads.failing, reads.complete = set(), True
    fill(backfill)
    assert backfill.open == {}
    assert ids(tmp_path) == ["a"]


def test_candles_that_are_not_told_hold_up_nothing_and_are_asked_for_again(tmp_path):
    reads = ScriptedReads()
    reads.failing = {"candles"}
    backfill = Backfill(reads, tmp_path, "run")
    ask = lambda: asyncio.run(backfill.fill_candles("KXDEMO", A, NOW - 10**12, NOW, NOW))  # noqa: E731
    assert ask() == 0
    assert "503" in backfill.open_candles[A]
    reads.failing = set()
    ask()
    assert backfill.open_candles == {}


def test_a_torn_line_of_a_killed_run_is_cut_off(tmp_path):
    reads = ScriptedReads()
    reads.trades_by_ticker[A] = [trade_raw("a")]
    fill(Backfill(reads, tmp_path, "run"))
    (path,) = (tmp_path / "trades").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"known_ns": 1, "trad')
    assert fill(Backfill(reads, tmp_path, "run")) == 0
    assert path.read_bytes() == whole


def test_a_start_reads_the_newest_trades_and_no_more_than_it_remembers(tmp_path, monkeypatch):
    monkeypatch.setattr("kalshi_platform.trading.recorder.facts.backfill._REMEMBERED", 3)
    (tmp_path / "trades").mkdir()
    for run, names in (("run1", "ab"), ("run2", "cd"), ("run3", "ef")):
        lines = [json.dumps({"trades": [{"trade_id": name}]}) + "\n" for name in names]
        (tmp_path / "trades" / f"{run}.jsonl").write_text("".join(lines))
    (tmp_path / "trades" / "run0.jsonl").write_text("never read: no JSON\n")
    reads = ScriptedReads()
    reads.trades_by_ticker[A] = [trade_raw(name) for name in ("f", "e", "d")]
    backfill = Backfill(reads, tmp_path, "run4")
    assert fill(backfill) == 0
    reads.trades_by_ticker[A] = [trade_raw("c")]
    assert fill(backfill) == 1  # it lies beyond the memory
