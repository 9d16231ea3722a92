"""Bench of the recorder's faults: a witnessed exchange, a recorder that a test spoils, and one row a fault.

Row        a fault played ``times`` times against one recorder: frames acknowledged, lost, doubled, holes
           made, rows of holes, certified share, and time certified though the book was not true.
Processes  every child is killed when its context ends.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from kalshi_platform.trading.simserver.keys import make_keys
from made.fault_child import PATIENCE_S, Child, Recording, is_proven, is_whole
from made.recording_verdict import Verdict, judge
from made.witness_log import WitnessLog, read_log

#: The exchange of the bench; at eight times the speed its books change many times a second.
EXCHANGE: dict[str, Any] = {
    "n_events": 6, "speed": 8.0, "determine_s": 1.0, "settle_s": 2, "lead_s": 1.0, "seed": 5,
    "buffer_bytes": 1 << 30,  # a recorder that does not run for a while loses no subscription
}  # fmt: skip
#: A pong and an answer are never missed because a process does not run; an act lets the wait for a pong end
#: by naming its length, which no other wait has.
PONG_TIMEOUT_S = 599.0
#: The recorder's patience, so that what takes seconds takes tenths.
QUICK_STREAM = {
    "first_pause_s": 0.1, "longest_pause_s": 0.5, "snapshot_timeout_s": 1.0, "resync_pause_s": 0.1,
    "ping_every_s": 1.0, "pong_timeout_s": PONG_TIMEOUT_S, "command_timeout_s": 600.0, "stable_s": 0.5,
    "gaps_before_reconnect": 1_000_000,
}  # fmt: skip
QUICK_RECORD: dict[str, Any] = {
    "journal": {"commit_s": 0.2, "segment_s": 2.0},
    "disk": {"alarm_bytes": 0, "stop_bytes": 0},
    "checks": {"every_s": 0.5, "settle_s": 0.5},
    "backfill_every_s": 1.0, "outcome_every_s": 1.0,
}  # fmt: skip
#: Series of the world that is served.
SERIES = ("WORLDONE", "WORLDTOP")
QUICK_REST = {"first_pause_s": 0.05, "longest_pause_s": 0.2, "attempts": 3, "read_timeout_s": 5.0}


@dataclass
class Row:
    """One fault of the table."""

    fault: str
    times: int
    acknowledged: int
    verdict: Verdict
    holes: int  # that the fault made
    took_s: float
    remarks: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    HEAD = (
        "fault", "times", "acknowledged", "lost", "doubled", "holes", "hole rows", "certified", "false s",
        "late ms", "took s", "verdict", "remarks",
    )  # fmt: skip

    def cells(self) -> tuple[str, ...]:
        """Cells of the table."""
        v = self.verdict
        return (
            self.fault, str(self.times), str(self.acknowledged), str(max(v.lost - v.told_lost, 0)),
            str(v.doubled), str(self.holes), str(len(v.holes)), f"{v.share:.2%}", f"{v.false_ns / 1e9:.3f}",
            f"{v.late_ns / 1e6:.0f}", f"{self.took_s:.0f}", "; ".join(self.misses) or "ok",
            "; ".join(self.remarks),
        )  # fmt: skip


class Bench:
    """A witnessed exchange, and recordings made of it."""

    def __init__(self, place: Path, **config: Any) -> None:
        self.place, self._keys = place, place / "keys"
        ids = {path.stem: key_id for key_id, path in make_keys(self._keys).items()}
        self._log, self._n = place / "log-0", 0
        self.exchange = Child(
            "made.witness_exchange", str(self._keys), str(self._log), json.dumps({**EXCHANGE, **config})
        )
        served = self.exchange.hear("served", 5 * PATIENCE_S)  # kernels may have to be compiled first
        key = {"key_id": ids["reader"], "key_file": str(self._keys / "reader.pem")}
        self.addresses = {"url": served["url"], "ws_url": served["ws_url"], **key}
        self._admin = httpx.Client(
            base_url=served["admin_url"],
            timeout=60,
            headers={"Authorization": f"Bearer {served['admin_token']}"},
        )

    def close(self) -> None:
        """End the exchange."""
        self._admin.close()
        self.exchange.kill()

    # The exchange

    def plant(self, kind: str, **fault: Any) -> None:
        """Plant a fault."""
        self._admin.post("/faults", json={"kind": kind, **fault}).raise_for_status()

    def struck(self, kind: str) -> int:
        """How often faults of a kind have struck."""
        counts: dict[str, int] = self._admin.get("/faults").json()["counts"]
        return counts.get(kind, 0)

    def strikes(self, kind: str) -> list[dict[str, Any]]:
        """Strikes of a kind."""
        return [each for each in self._admin.get("/faults").json()["struck"] if each["kind"] == kind]

    def truth(self) -> dict[str, Any]:
        """Markets as they are now."""
        markets: dict[str, Any] = self._admin.get("/truth").json()["markets"]
        return markets

    def status(self) -> dict[str, Any]:
        """State of the exchange."""
        found: dict[str, Any] = self._admin.get("/status").json()
        return found

    def until_struck(self, kind: str, n: int) -> None:
        """Wait until faults of a kind have struck ``n`` times in all."""
        deadline = time.monotonic() + PATIENCE_S
        while self.struck(kind) < n:
            assert time.monotonic() < deadline, f"{kind} did not strike"
            time.sleep(0.05)

    def _cut_log(self) -> Path:
        """Begin another log; the one before is whole."""
        self._n += 1
        before, self._log = self._log, self.place / f"log-{self._n}"
        self.exchange.ask("marked", mark=self._n, log=str(self._log))
        return before

    # Recordings

    @contextmanager
    def recorder(self, out: Path, host: str | None = None, **settings: Any) -> Iterator[Recording]:
        """A recorder of this exchange, killed at the end of the block; ``host``: its name for loopback."""
        addresses = {
            name: value.replace("127.0.0.1", host or "127.0.0.1") for name, value in self.addresses.items()
        }
        record = {
            "wanted": {"series": list(SERIES), "rediscover_s": 2.0},
            **QUICK_RECORD,
            **settings.pop("record", {}),
        }
        stream = {**QUICK_STREAM, **settings.pop("stream", {})}
        rest = {**QUICK_REST, **settings.pop("rest", {})}
        told = {"record": record, "stream": stream, "rest": rest, **settings}
        with Recording("made.fault_recorder", str(out), json.dumps(addresses), json.dumps(told)) as child:
            yield child

    def play(
        self, fault: str, act: "Act", out: Path | None = None, *, fills: bool = False, **settings: Any
    ) -> Row:
        """Let a fault strike one recorder that has every book, and judge what it recorded.

        ``fills``: every trade of every open market must be there in the end, streamed or back-filled.
        """
        self._cut_log()
        begun = time.monotonic()
        out = out or self.place / f"recording-{self._n}"
        with self.recorder(out, **settings) as recorder:
            recorder.until_whole(5 * PATIENCE_S)  # the last event may have ended, the next one not begun
            done = act(self, recorder)
            if recorder.is_running:
                recorder.until(is_proven if done.may_be_last else is_whole)
                self._compare_truth(done)
                if fills:
                    self._until_filled(recorder, done)
                recorder.end()
                if fills:
                    done.traded.append(self._traded())
            done.acknowledged.append(recorder.ack)
        return self.judged(fault, out, done, time.monotonic() - begun)

    def judged(self, fault: str, out: Path, done: "Done", took_s: float) -> Row:
        """Row of a fault that was played."""
        log = read_log(self._cut_log())
        verdict = judge(out, log, done.shifts)
        made = verdict.lost_stretches if done.holes_are_stretches else done.holes
        holes = max(verdict.runs - 1, 0) + made
        row = Row(fault, done.times, sum(done.acknowledged), verdict, holes, took_s, done.remarks)
        row.misses += done.misses
        row.misses += _misses(row, done)
        row.misses += _truth_misses(done, log)
        row.misses += _trade_misses(out, done, verdict, row.remarks)
        row.misses += _outcome_misses(out, done)
        return row

    def _traded(self) -> dict[str, int]:
        """Open market of a recorded series -> number of its trades."""
        return {
            ticker: market["n_trades"]
            for ticker, market in self.truth().items()
            if market["status"] in ("active", "inactive") and ticker.startswith(SERIES)
        }

    def _until_filled(self, recorder: Recording, done: "Done") -> None:
        """Stop all trading for a while, and wait until nothing more is back-filled."""
        self.plant("pause", full=True, seconds=12)
        time.sleep(0.3)
        done.traded.append(self._traded())
        known, since = -1, time.monotonic()
        while time.monotonic() - since < 2.5:
            figures = recorder.figures()
            state = figures["backfilled_trades"]
            if state != known or figures["backfill_open"]:
                known, since = state, time.monotonic()
            time.sleep(0.2)

    def _compare_truth(self, done: "Done") -> None:
        """Ask for the exchange's own books; they are held against the witness later."""
        before_ns = time.monotonic_ns()
        truth = self.truth()
        done.truths.append((before_ns, time.monotonic_ns(), truth))


@dataclass
class Done:
    """What an act did to a recorder."""

    times: int = 1
    holes: int = 0  # made, without those between runs
    remarks: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)  # by each run
    shifts: list[tuple[int, int]] = field(default_factory=list)
    truths: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    traded: list[dict[str, int]] = field(default_factory=list)  # trades of open markets while nobody traded
    outcomes: dict[str, int] = field(default_factory=dict)  # settled market -> settlement, 1e-4 dollar
    may_be_last: bool = False  # no market may be open any more
    holes_are_stretches: bool = False  # as many as there are stretches of lost frames


#: Does something to a running recorder.
Act = Callable[[Bench, Recording], Done]


def _misses(row: Row, done: Done) -> list[str]:
    """What a recording should not have."""
    v = row.verdict
    frames = list(v.run_frames.values())
    least = [ack for ack in done.acknowledged if ack]
    found = {
        f"{v.lost} frames lost, {v.told_lost} told": v.lost > v.told_lost,
        f"{v.doubled} frames doubled": v.doubled,
        f"{row.holes} holes in {len(v.holes)} rows {[hole.kind for hole in v.holes]}": row.holes
        != len(v.holes),
        f"certified {v.false_ns / 1e9:.3f} s too much {dict(v.false_markets)}": v.false_ns,
        f"the exchange's books disagree {v.witness_disagrees} times with its changes": v.witness_disagrees,
        f"time goes back in {v.goes_back} lines": v.goes_back,
        f"{sum(frames)} frames of {sum(least)} acknowledged": sum(frames) < sum(least),
        "no frame was recorded": not v.frames,
    }
    return [words for words, is_so in found.items() if is_so]


def _truth_misses(done: Done, log: WitnessLog) -> list[str]:
    """Where the exchange's own books are not those that the witness saw."""
    differing = []
    for before_ns, after_ns, truth in done.truths:
        for ticker, market in truth.items():
            book = log.books.get(ticker)
            if book is None or book.first < 0 or market["status"] != "active":
                continue
            version = book.version_at(before_ns)
            if version == book.version_at(after_ns) and version >= book.first:
                shown = {(0, p): q for p, q in market["bids"]} | {(1, p): q for p, q in market["asks"]}
                if shown != book.book(version):
                    differing.append(ticker)
    return [f"the witness and /admin/truth differ about {sorted(set(differing))}"] if differing else []


def _trade_misses(out: Path, done: Done, verdict: Verdict, remarks: list[str]) -> list[str]:
    """Trades that are missing, or written though they are known."""
    if not done.traded:
        return []
    if any(each != done.traded[0] for each in done.traded):
        return ["the pause was too short to count trades"]
    filled: dict[str, list[str]] = defaultdict(list)
    for path in sorted((out / ".simulated" / "trades").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            for trade in json.loads(line)["trades"]:
                filled[trade["ticker"]].append(trade["trade_id"])
    missing = doubled = 0
    for ticker, n in done.traded[0].items():
        streamed, ids = verdict.trades.get(ticker, set()), filled[ticker]
        missing += n - len(streamed | set(ids))
        doubled += len(ids) - len(set(ids) - (streamed if verdict.runs == 1 else set()))
    total, n_filled = sum(done.traded[0].values()), sum(map(len, filled.values()))
    remarks.append(f"{total} trades, {n_filled} of them back-filled")
    return [f"{missing} trades missing, {doubled} twice"] if missing or doubled else []


def _outcome_misses(out: Path, done: Done) -> list[str]:
    """Outcomes that the facts do not tell as the exchange set them last."""
    told: dict[str, str] = {}
    for path in sorted((out / "facts").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            market = json.loads(line).get("market")
            if market is not None:
                told[market["ticker"]] = market.get("settlement_value_dollars", "")
    wrong = {
        ticker: told.get(ticker)
        for ticker, value_e4 in done.outcomes.items()
        if not told.get(ticker) or round(float(told[ticker]) * 10_000) != value_e4
    }
    return [f"outcomes in the facts differ: {wrong}, {done.outcomes}"] if wrong else []


def table(rows: list[Row]) -> str:
    """Rows as text in columns."""
    cells = [Row.HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(Row.HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )
