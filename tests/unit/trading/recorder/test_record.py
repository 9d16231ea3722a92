"""One recording from start to stop against a scripted exchange."""

import asyncio
import json
from pathlib import Path

import pytest
from made.pace import Within
from made.recorder import AGREEING, SERIES, A, B, ScriptedReads, ScriptedStream, market, trade_raw

from kalshi_platform.domain.errors import ContractError, ExchangeError, StorageError
from kalshi_platform.trading.exchange import sink as kinds
from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.recorder import tasks
from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.recorder.disk_guard import DiskState, DiskView
from kalshi_platform.trading.recorder.page.view import figures
from kalshi_platform.trading.recorder.record import Recorder
from kalshi_platform.trading.recorder.segments.blocks import iter_lines
from kalshi_platform.trading.recorder.segments.seals import FRAMES, read_seals
from kalshi_platform.trading.recorder.settings import RecordConfig

QUICK = {
    "wanted": {"series": [SERIES], "rediscover_s": 0.2},
    "journal": {"commit_s": 0.05},
    "checks": {"every_s": 0.1, "settle_s": 0.01},
    "backfill_every_s": 0.1,
    "outcome_every_s": 0.1,
}


class Run:
    """A recorder, its scripted exchange, and the alerts it sent."""

    def __init__(self, out: Path, **options) -> None:
        self.reads = options.pop("reads", None) or ScriptedReads()
        self.alerts: list[str] = []
        config = RecordConfig.parse({**QUICK, **options.pop("config", {})})
        self.recorder = Recorder(
            out, config, ScriptedStream, self.reads, options.pop("clock", None) or SystemClock(),
            Alarms(self._tell, asyncio.get_running_loop().time),
            simulated=True, **options,
        )  # fmt: skip
        self.stream: ScriptedStream = self.recorder.stream

    async def _tell(self, title: str, body: str) -> None:
        self.alerts.append(f"{title}: {body}")

    async def until(self, condition, seconds: float = 60.0) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, "did not happen in time"
            await asyncio.sleep(0.01)

    async def proven(self) -> None:
        books = self.recorder.follower.books
        await self.until(lambda: len(books) == 2 and all(b.proven for b in books.values()))


def recorded(out: Path) -> list[dict]:
    return [json.loads(line) for path in sorted((out / FRAMES).glob("*.zst")) for line in iter_lines(path)]


def scripted(out: Path, script, **options) -> Run:
    """Run ``script(run)`` beside a recorder, then stop it."""

    async def both() -> Run:
        run = Run(out, **options)
        work = asyncio.create_task(run.recorder.run())
        try:
            await script(run)
            run.recorder.stop("the script ended")
            await asyncio.wait_for(work, 60)
        finally:
            if not work.done():
                run.recorder.stop("the script failed")
                await asyncio.gather(work, return_exceptions=True)
        return run

    return asyncio.run(both())


def test_markets_of_the_filter_are_recorded_with_their_facts_and_the_run_is_sealed(tmp_path):
    async def script(run: Run) -> None:
        await run.proven()
        run.stream.delta(A)

    run = scripted(tmp_path, script)
    lines = recorded(tmp_path)
    assert lines[0]["note"] == "run_started"
    assert lines[-1]["note"] == "run_stopped"
    assert lines[-1]["detail"]["why"] == "the script ended"
    raws = [json.loads(line["raw"]) for line in lines if "raw" in line]
    assert [(r["type"], r["seq"]) for r in raws] == [
        ("orderbook_snapshot", 1), ("orderbook_snapshot", 2), ("orderbook_delta", 3),
    ]  # fmt: skip
    assert all(line["provenance"] == "simulated" for line in lines if "raw" in line)
    facts = [json.loads(line) for line in next((tmp_path / "facts").iterdir()).read_text().splitlines()]
    assert {key for fact in facts for key in fact} == {"known_ns", "series", "event", "event_fee_changes"}
    fees = [change["event_ticker"] for fact in facts for change in fact.get("event_fee_changes", ())]
    assert fees == ["KXDEMO-26DEC01"]
    assert {m["ticker"] for fact in facts if "event" in fact for m in fact["event"]["markets"]} == {A, B}
    assert sum(seal.n_frames for seal in read_seals(tmp_path)) == 3
    assert run.recorder.journal.counts.frames_acknowledged == 3


def test_a_market_created_while_recording_is_added_and_one_that_settled_is_let_go_with_its_outcome(tmp_path):
    new = f"{A[:-2]}70"

    async def script(run: Run) -> None:
        await run.proven()
        run.reads.markets_by_ticker[new] = market(new)
        run.stream.lifecycle(new, "created", additional_metadata={"event_ticker": new.rpartition("-")[0]})
        await run.until(lambda: new in run.stream.tickers)
        settled = {"status": "finalized", "result": "yes", "settlement_value_dollars": "1.0000"}
        run.reads.markets_by_ticker[A] = market(A, **settled, settlement_ts="2026-11-29T20:00:00Z")
        run.stream.lifecycle(A, "settled", settled_ts=1_796_000_000)
        await run.until(lambda: A not in run.stream.tickers)

    run = scripted(tmp_path, script)
    assert run.recorder.directory.outcomes == {A: 10_000}
    assert B in run.stream.tickers


def test_a_market_of_another_series_is_not_recorded(tmp_path):
    other = "KXOTHER-26DEC01-T1"

    async def script(run: Run) -> None:
        await run.proven()
        run.reads.markets_by_ticker[other] = market(other)
        run.stream.lifecycle(other, "created", additional_metadata={"event_ticker": "KXOTHER-26DEC01"})
        await asyncio.sleep(1.2)
        assert other not in run.stream.tickers

    scripted(tmp_path, script)


def test_a_closed_market_is_asked_for_its_outcome_without_any_frame(tmp_path):
    async def script(run: Run) -> None:
        run.reads.markets_by_ticker[A] = market(A, close_time="2026-11-29T00:00:00Z")
        await run.proven()
        closed = market(A, close_time="2026-11-29T00:00:00Z", status="finalized", result="no")
        run.reads.markets_by_ticker[A] = {**closed, "settlement_value_dollars": "0.0000"}
        await run.until(lambda: run.recorder.directory.outcomes == {A: 0})

    scripted(tmp_path, script)


def test_an_incomplete_search_is_told_and_takes_nothing_away(tmp_path):
    async def script(run: Run) -> None:
        await run.proven()
        run.reads.complete = False
        run.reads.markets_by_ticker.pop(B)
        await run.until(lambda: "REST is incomplete" in run.recorder.alarms.standing)
        assert B in run.recorder.directory.markets

    run = scripted(tmp_path, script)
    assert "page 2 failed" in str(run.recorder.directory.problems)
    assert any("REST is incomplete" in alert for alert in run.alerts)


def test_rest_that_fails_is_told_and_asked_again(tmp_path):
    reads = ScriptedReads()
    reads.failing = {"events", "status"}

    async def script(run: Run) -> None:
        await run.until(lambda: run.recorder.directory.problems)
        reads.failing = set()
        await run.proven()

    run = scripted(tmp_path, script, reads=reads)
    assert any("status fails" in alert for alert in run.alerts)


def test_books_that_agree_with_rest_are_counted_and_a_planted_drift_is_found_named_and_resubscribed(tmp_path):
    async def script(run: Run) -> None:
        run.reads.books_by_ticker = {A: AGREEING, B: AGREEING}
        await run.until(lambda: run.recorder.checks.checks >= 4)
        assert run.recorder.checks.match_rate == 1.0
        wrong = {**AGREEING, "yes_dollars": [["0.4100", "75.00"]]}
        run.reads.books_by_ticker[B] = wrong
        await run.until(lambda: run.recorder.checks.drifts >= 1)
        await run.until(lambda: any("a book drifted" in alert for alert in run.alerts))

    run = scripted(tmp_path, script)
    found = [line["detail"] for line in recorded(tmp_path) if line.get("note") == "mismatch"]
    assert {detail["ticker"] for detail in found} == {B}
    assert found[0]["stream"]["bid_e4"] == 4_200
    assert found[0]["rest"]["bid_e4"] == 4_100
    assert found[0]["age_ns"] > 0
    assert any("4200" in alert and "4100" in alert for alert in run.alerts)


def test_a_market_past_its_close_is_not_compared_with_rest(tmp_path):
    async def script(run: Run) -> None:
        run.reads.markets_by_ticker[A] = market(A, close_time="2026-11-29T00:00:00Z")
        run.reads.books_by_ticker = {A: {"yes_dollars": [], "no_dollars": []}, B: AGREEING}
        await run.until(lambda: run.recorder.checks.checks >= 3)

    run = scripted(tmp_path, script)
    assert run.recorder.checks.match_rate == 1.0
    assert all(what == (B,) for name, what in run.reads.calls if name == "books")


def test_trades_of_a_new_market_and_of_a_hole_are_filled_once_each(tmp_path):
    async def script(run: Run) -> None:
        run.reads.trades_by_ticker[A] = [trade_raw("before")]
        await run.proven()
        await run.until(lambda: run.recorder.backfill.trades == 1)
        run.reads.trades_by_ticker[A] = [trade_raw("in the hole"), trade_raw("before")]
        await asyncio.sleep(0.3)
        assert run.recorder.backfill.trades == 1  # nobody asks without a reason
        run.stream.note(kinds.DISCONNECTED, why="reset", frames=2)
        run.stream.connect()
        await run.until(lambda: run.recorder.backfill.trades == 2)

    scripted(tmp_path, script)
    (file,) = (tmp_path / ".simulated" / "trades").iterdir()
    told = [t["trade_id"] for line in file.read_text().splitlines() for t in json.loads(line)["trades"]]
    assert told == ["before", "in the hole"]


def test_a_pause_of_the_exchange_is_one_row_for_its_begin_and_one_for_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr("kalshi_platform.trading.recorder.tasks._STATUS_S", 0.05)

    async def script(run: Run) -> None:
        await run.until(lambda: run.recorder.exchange_state)
        run.reads.active = False
        await run.until(lambda: not run.recorder.exchange_state["trading_active"])
        run.reads.active = True
        await run.until(lambda: run.recorder.exchange_state["trading_active"])

    scripted(tmp_path, script)
    rows = [line["detail"]["trading_active"] for line in recorded(tmp_path) if line.get("note") == "pause"]
    assert rows == [False, True]


def test_a_nearly_full_disk_is_an_alarm_and_then_a_clean_stop(tmp_path):
    views = [DiskView(9, DiskState.ENOUGH), DiskView(5, DiskState.ALARM), DiskView(1, DiskState.STOP)]

    def look(place: Path) -> DiskView:
        return views.pop(0) if len(views) > 1 else views[0]

    async def script(run: Run) -> None:
        await run.until(lambda: run.recorder.why_stopped is not None)

    run = scripted(tmp_path, script, look=look)
    assert any("disk low" in alert for alert in run.alerts)
    lines = recorded(tmp_path)
    assert lines[-1]["note"] == "run_stopped"
    assert "disk nearly full" in lines[-1]["detail"]["why"]


def test_a_stream_that_fails_ends_the_recording_with_its_error_and_a_sealed_run(tmp_path):
    async def script(run: Run) -> None:
        await run.proven()
        run.stream.fail(ExchangeError("the key was revoked"))
        await asyncio.sleep(0.2)

    with pytest.raises(ExchangeError, match="revoked"):
        scripted(tmp_path, script)
    assert "revoked" in recorded(tmp_path)[-1]["detail"]["why"]


def test_a_disk_that_fails_ends_the_recording_with_the_reason(tmp_path, monkeypatch):
    from kalshi_platform.trading.recorder.segments import segment

    async def script(run: Run) -> None:
        await run.proven()
        await run.until(lambda: run.recorder.journal.waiting_bytes == 0)

        def full(handle, data):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(segment.os, "write", full)
        run.stream.delta(A)
        await run.until(lambda: run.recorder.why_stopped is not None)

    with pytest.raises(StorageError, match="No space left"):
        scripted(tmp_path, script)


def test_the_second_run_writes_one_hole_from_the_end_of_the_first(tmp_path):
    async def script(run: Run) -> None:
        await run.proven()

    scripted(tmp_path, script)
    last = recorded(tmp_path)[-1]
    scripted(tmp_path, script)
    started = [line for line in recorded(tmp_path) if line.get("note") == "run_started"]
    assert "since_ns" not in started[0]["detail"]
    assert started[1]["detail"]["since_ns"] == last["recv_ns"]
    assert (started[1]["detail"]["clean"], started[1]["detail"]["torn_bytes"]) == (True, 0)
    conns = {line["conn"] for line in recorded(tmp_path) if "raw" in line}
    assert len(conns) == 2


def test_a_follower_that_fails_is_told_and_the_frames_are_recorded_all_the_same(tmp_path, monkeypatch):
    async def script(run: Run) -> None:
        await run.proven()

        def broken(*given) -> None:
            raise RuntimeError("planted")

        monkeypatch.setattr(run.recorder.follower, "frame", broken)
        run.stream.delta(A)
        await run.until(lambda: any("planted" in alert for alert in run.alerts))

    scripted(tmp_path, script)
    assert sum("raw" in line for line in recorded(tmp_path)) == 3


def test_figures_tell_frames_coverage_and_the_state_lies_on_disk(tmp_path):
    async def script(run: Run) -> None:
        await run.proven()
        await run.until(lambda: run.recorder.journal.counts.frames_acknowledged == 2)
        shown = figures(run.recorder)
        assert (shown["frames"], shown["connections"], shown["markets"], shown["proven_now"]) == (2, 1, 2, 2)
        assert 0.5 < shown["coverage"] <= 1.0
        assert json.loads((tmp_path / ".recorder" / "status.json").read_text())["run"] == shown["run"]

    scripted(tmp_path, script)


def test_a_stream_that_does_not_stop_and_alerts_that_hang_end_within_ten_seconds(tmp_path):
    async def script(run: Run) -> None:
        await run.proven()

        async def hang(*given) -> None:
            await asyncio.sleep(60)

        run.stream.stop = hang
        run.recorder.alarms._send = hang
        run.recorder.alarms.tell_once("x", "y")
        with Within(8):
            run.recorder.stop("asked")
            await run.until(lambda: not list((tmp_path / FRAMES).glob(".*.open")))

    scripted(tmp_path, script)
    assert recorded(tmp_path)[-1]["note"] == "run_stopped"


def test_a_clock_far_behind_the_recording_is_refused(tmp_path, monkeypatch):
    async def script(run: Run) -> None:
        await run.proven()

    scripted(tmp_path, script)
    real = SystemClock.wall_ns
    monkeypatch.setattr(SystemClock, "wall_ns", lambda self: real(self) - 7_200 * 10**9)
    with pytest.raises(ContractError, match="ahead of this machine's clock"):
        scripted(tmp_path, script)


def test_a_lost_connection_is_an_alarm_once_it_lasts(tmp_path):
    async def script(run: Run) -> None:
        await run.proven()
        run.stream.note(kinds.DISCONNECTED, why="reset", frames=2)
        await run.until(lambda: any("not connected" in alert for alert in run.alerts))
        run.stream.connect()
        await run.until(lambda: any("not connected is over" in alert for alert in run.alerts))

    scripted(tmp_path, script, config={"silence_alarm_s": 0.5})


def test_a_book_that_stays_unproven_though_no_number_is_missing_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "_LOST_BOOK_NS", 10_000_000)
    monkeypatch.setattr(tasks, "_TICK_S", 0.05)

    async def script(run: Run) -> None:
        await run.proven()
        run.stream.delta(A, price="0.3000", by="-5.00")  # the stream's client finds nothing wrong with it
        await run.until(lambda: "resync" in run.recorder.follower.kinds)
        await run.proven()

    run = scripted(tmp_path, script)
    notes = [line["detail"]["tickers"] for line in recorded(tmp_path) if line.get("note") == "resync"]
    assert notes[0] == [A]
    assert run.recorder.follower.coverage.markets(run.recorder.known_ns())[0].holes == 1


def test_a_created_market_that_rest_does_not_know_yet_is_asked_for_until_it_does(tmp_path):
    new = f"{A[:-2]}70"

    async def script(run: Run) -> None:
        await run.proven()
        run.stream.lifecycle(new, "created", additional_metadata={"event_ticker": new.rpartition("-")[0]})
        await run.until(lambda: ("markets", (new,)) in run.reads.calls)
        run.reads.markets_by_ticker[new] = market(new)
        await run.until(lambda: new in run.stream.tickers)

    scripted(tmp_path, script, config={"wanted": {"series": [SERIES], "rediscover_s": 1_000}})


def test_an_incomplete_answer_does_not_settle_the_news_of_a_market_that_it_leaves_out(tmp_path):
    async def script(run: Run) -> None:
        await run.proven()
        settled = run.reads.markets_by_ticker.pop(A) | {"status": "finalized", "result": "yes"}
        run.reads.complete = False
        run.stream.lifecycle(A, "settled", settled_ts=1_796_000_000)
        await run.until(lambda: run.reads.calls.count(("markets", (A,))) >= 2)
        run.reads.complete, run.reads.markets_by_ticker[A] = True, settled
        await run.until(lambda: A not in run.stream.tickers)

    scripted(tmp_path, script, config={"wanted": {"series": [SERIES], "rediscover_s": 1_000}})


def test_the_outcome_of_a_market_that_closed_while_no_recorder_ran_is_asked_for_by_the_next_run(tmp_path):
    async def first(run: Run) -> None:
        await run.proven()

    scripted(tmp_path, first)
    reads = ScriptedReads()
    reads.markets_by_ticker[A] |= {
        "status": "determined",
        "result": "no",
        "settlement_value_dollars": "0.0000",
    }

    async def second(run: Run) -> None:
        await run.until(lambda: run.recorder.directory.outcomes == {A: 0})
        reads.markets_by_ticker[A] |= {"status": "finalized"}
        await run.until(lambda: not run.recorder.directory.unsettled)

    run = scripted(tmp_path, second, reads=reads)
    assert run.stream.tickers == [B]
    told = [
        json.loads(line) for path in (tmp_path / "facts").iterdir() for line in path.read_text().splitlines()
    ]
    assert "finalized" in {fact["market"]["status"] for fact in told if "market" in fact}


def test_a_fact_is_never_dated_before_lines_that_are_written_already(tmp_path):
    class Back(SystemClock):
        """A clock that was set back by an hour less a minute between two runs."""

        def wall_ns(self) -> int:
            return super().wall_ns() - 3_540 * 10**9

    async def script(run: Run) -> None:
        await run.proven()

    scripted(tmp_path, script)
    end_ns = max(line["recv_ns"] for line in recorded(tmp_path))

    async def late() -> None:
        run = Run(tmp_path, clock=Back())
        work = asyncio.create_task(run.recorder.run())
        await run.proven()
        run.recorder.stop("enough")
        await work

    asyncio.run(late())
    facts = sorted((tmp_path / "facts").iterdir())[-1].read_text().splitlines()
    assert min(json.loads(line)["known_ns"] for line in facts) >= end_ns


def test_the_time_between_two_runs_is_filled_however_long_it_was(tmp_path):
    async def script(run: Run) -> None:
        await run.proven()

    scripted(tmp_path, script)
    end_ns = max(line["recv_ns"] for line in recorded(tmp_path))

    async def second(run: Run) -> None:
        await run.until(lambda: any(name == "trades" for name, _ in run.reads.calls))

    run = scripted(tmp_path, second, config={"backfill_s": 0})
    (_, since_ns, _) = next(what for name, what in run.reads.calls if name == "trades")
    assert since_ns <= end_ns - 60 * 10**9


def test_candles_that_failed_are_asked_for_again_from_where_they_are_missing(tmp_path):
    async def script(run: Run) -> None:
        run.reads.failing = {"candles"}
        await run.proven()
        candles = lambda: [what for name, what in run.reads.calls if name == "candles" and what[1] == A]  # noqa: E731
        await run.until(lambda: len(candles()) >= 2)
        assert candles()[1][2] == candles()[0][2]  # the same begin

    scripted(tmp_path, script)


def test_a_disk_that_fails_for_the_facts_alone_ends_the_recording_with_an_error(tmp_path):
    async def script(run: Run) -> None:
        await run.proven()
        real = run.recorder.facts.file.flush

        def once() -> None:
            run.recorder.facts.file.flush = real
            raise OSError(28, "No space left on device")

        run.recorder.facts.file.flush = once
        await run.until(lambda: run.recorder.why_stopped is not None)

    with pytest.raises(StorageError, match="No space left"):  # exit code 0 would end a systemd unit for good
        scripted(tmp_path, script)
    assert recorded(tmp_path)[-1]["note"] == "run_stopped"
