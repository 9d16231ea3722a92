"""Verdict on a recording: its frames against those that the exchange sent, its proofs against the true books.

Frames     of each connection, recorded ones must be those that were sent, in order, each once; frames sent
           after the last recorded one were under way when the connection or the recorder ended.
Proofs     while a book is certified as proven, it must be the true book of its market, and no older than the
           slowest frame was under way (``late_ns``): time in which it is not is *false* proof. A proof that a
           later note takes back is none. Ages are measured by the monotonic clock, which both processes
           share; a wall clock may be set.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.recorder.follow.coverage import total_share
from kalshi_platform.trading.recorder.follow.follower import Follower, HoleRow
from kalshi_platform.trading.recorder.follow.live_book import LiveBook
from kalshi_platform.trading.recorder.segments.blocks import iter_lines
from kalshi_platform.trading.recorder.segments.restart import take_over
from kalshi_platform.trading.recorder.segments.seals import FRAMES, read_seals, verify
from made.witness_log import Levels, WitnessLog

#: A frame is never taken to be under way for less, ns: two processes, one of which may not run.
_LEAST_LATE_NS = 50_000_000


@dataclass
class Verdict:
    """Counts of one recording."""

    runs: int = 0
    frames: int = 0
    lost: int = 0  # sent before the last recorded frame of its connection, and not recorded
    doubled: int = 0  # recorded more often than sent, or never sent
    under_way: int = 0  # sent after the last recorded frame of its connection
    told_lost: int = 0  # lines lost that a note tells with their number: overflow, disk_overflow, damaged
    lost_stretches: int = 0  # holes in the frames as sent
    holes: list[HoleRow] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    share: float = 0.0  # certified
    proven_ns: int = 0
    false_ns: int = 0  # of certified time
    wrong_books: int = 0  # frames after which a book held as proven differed from the true one
    books_checked: int = 0
    late_ns: int = 0  # the slowest frame was under way so long
    witness_disagrees: int = 0  # true books that do not agree with themselves: a fault of the exchange
    goes_back: int = 0  # lines whose time lies before the line before
    false_markets: Counter[str] = field(default_factory=Counter)
    trades: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # market -> ids in frames
    run_frames: dict[str, int] = field(default_factory=dict)


def lines_of(out: Path) -> list[dict[str, Any]]:
    """Every line of a recording in order; every segment is checked against its seal."""
    lines = []
    for seal in read_seals(out):
        verify(out, seal)
        lines += [from_json(line) for line in iter_lines(out / FRAMES / seal.segment)]
    return lines


def judge(out: Path, log: WitnessLog, shifts: Iterable[tuple[int, int]] = ()) -> Verdict:
    """Judge a recording that nobody writes any more.

    ``shifts``: (monotonic time from which on the recorder's clock was ahead of the machine's, by how much).
    """
    take_over(out)
    lines = lines_of(out)
    for since_ns, shift_ns in shifts:
        for line in lines:
            if line["mono_ns"] >= since_ns:
                line["mono_ns"] -= shift_ns
    verdict = Verdict()
    connections = _match(lines, log)
    _count_frames(lines, log, connections, verdict)
    _follow(lines, log, connections, verdict)
    return verdict


def _match(lines: list[dict[str, Any]], log: WitnessLog) -> dict[int, int]:
    """Recorded connection -> the exchange's connection, found by a frame that no other one was sent."""
    senders: dict[str, set[int]] = defaultdict(set)
    for conn, texts in log.sent.items():
        for text in texts:
            senders[text].add(conn)
    found: dict[int, int] = {}
    for line in lines:
        if "raw" in line and line["conn"] not in found:
            conns = senders.get(line["raw"], set())
            if len(conns) == 1:
                found[line["conn"]] = next(iter(conns))
    return found


def _count_frames(
    lines: list[dict[str, Any]], log: WitnessLog, connections: dict[int, int], verdict: Verdict
) -> None:
    """Compare recorded frames with sent ones."""
    recorded: dict[int, list[tuple[str, int]]] = defaultdict(list)
    run, before_ns = "", 0
    for line in lines:
        verdict.goes_back += line["recv_ns"] < before_ns
        before_ns = line["recv_ns"]
        if line.get("note") == "run_started":
            run = line["detail"]["run"]
            verdict.run_frames[run] = 0
        if "raw" in line:
            recorded[line["conn"]].append((line["raw"], line["mono_ns"]))
            # A run whose first commit was damaged has no name.
            verdict.run_frames[run] = verdict.run_frames.get(run, 0) + 1
        elif line["note"] in ("disk_overflow", "overflow"):
            verdict.told_lost += line["detail"]["frames"]
        elif line["note"] == "damaged":
            verdict.told_lost += line["detail"]["lines"] or 0
    verdict.runs = len(verdict.run_frames)
    for conn, texts in recorded.items():
        verdict.frames += len(texts)
        if conn not in connections:  # answers to commands alone: every connection is sent the same
            continue
        sent, sent_ns, at = log.sent[connections[conn]], log.sent_ns[connections[conn]], 0
        for text, mono_ns in texts:
            try:
                place = sent.index(text, at)
            except ValueError:
                verdict.doubled += 1
                continue
            verdict.late_ns = max(verdict.late_ns, mono_ns - sent_ns[place])
            verdict.lost += place - at
            verdict.lost_stretches += place > at
            at = place + 1
        verdict.under_way += len(sent) - at
    for line in lines:
        if "raw" in line and '"type":"trade"' in line["raw"]:
            msg = from_json(line["raw"])["msg"]
            verdict.trades[msg["market_ticker"]].add(msg["trade_id"])


@dataclass
class _Proof:
    """A stretch of time in which the recording certifies a book."""

    ticker: str
    begin_ns: int  # recv_ns
    end_ns: int


class _Watched(Follower):
    """Follower that keeps every stretch of proof."""

    def __init__(self) -> None:
        super().__init__()
        self.proofs: list[_Proof] = []
        self._before: dict[str, tuple[int, int]] = {}  # market -> (proven since, proven until then)

    def look(self) -> None:
        """Keep the proofs that ended since the last look."""
        for ticker, span in self.coverage._spans.items():
            before = self._before.get(ticker)
            if before is not None and span.proven_since_ns != before[0]:
                self.proofs.append(_Proof(ticker, before[0], before[0] + span.proven_ns - before[1]))
                before = None
            if span.proven_since_ns is None or not span.wanted:
                self._before.pop(ticker, None)
            elif before is None:
                self._before[ticker] = (span.proven_since_ns, span.proven_ns)

    def end(self) -> None:
        """Keep the proofs that stand at the end."""
        for ticker, (since_ns, _) in self._before.items():
            self.proofs.append(_Proof(ticker, since_ns, self.last_ns))


def _follow(
    lines: list[dict[str, Any]], log: WitnessLog, connections: dict[int, int], verdict: Verdict
) -> None:
    """Follow a recording as ``record status`` does, beside the true books."""
    follower = _Watched()
    times: list[tuple[int, int]] = []  # (recv_ns, mono_ns) of the lines
    applied: dict[str, list[tuple[int, int]]] = defaultdict(list)  # market -> (mono_ns, version)
    wrong: list[_Proof] = []  # stretches in which a book that was held as proven differed from the true one
    wrong_since: dict[str, int] = {}
    for line in lines:
        follower.line(line)
        follower.drain()
        follower.look()
        times.append((line["recv_ns"], line["mono_ns"]))
        if "raw" in line and (told := _told(line, log, connections)) is not None:
            ticker, version, is_new = told
            applied[ticker].append((line["mono_ns"], version))
            changed_ns = log.book(ticker).changed_ns(version)
            if is_new and changed_ns is not None:
                verdict.late_ns = max(verdict.late_ns, line["mono_ns"] - changed_ns)
            book = follower.books.get(ticker)
            is_wrong = False
            if book is not None and book.proven:
                verdict.books_checked += 1
                is_wrong = _levels(book) != log.book(ticker).book(version)
                verdict.wrong_books += is_wrong
            if is_wrong:
                wrong_since.setdefault(ticker, line["recv_ns"])
            elif ticker in wrong_since:
                wrong.append(_Proof(ticker, wrong_since.pop(ticker), line["recv_ns"]))
    follower.end()
    wrong += [_Proof(ticker, since_ns, follower.last_ns) for ticker, since_ns in wrong_since.items()]
    markets = follower.coverage.markets(follower.last_ns)
    verdict.share = total_share(markets)
    verdict.proven_ns = sum(market.proven_ns for market in markets)
    verdict.holes, verdict.kinds = list(follower.hole_rows), follower.kinds
    verdict.late_ns = max(verdict.late_ns, _LEAST_LATE_NS)
    verdict.witness_disagrees = sum(book.disagreements for book in log.books.values())
    for proof in follower.proofs:
        false_ns = _false_ns(proof, times, applied[proof.ticker], log, verdict.late_ns) + sum(
            max(0, min(proof.end_ns, each.end_ns) - max(proof.begin_ns, each.begin_ns))
            for each in wrong
            if each.ticker == proof.ticker
        )
        if false_ns:
            verdict.false_ns += false_ns
            verdict.false_markets[proof.ticker] += false_ns


def _told(line: dict[str, Any], log: WitnessLog, connections: dict[int, int]) -> tuple[str, int, bool] | None:
    """(market, version of its book that a frame tells, is it a change) of a frame of the book channel."""
    conn = connections.get(line["conn"])
    told = None if conn is None else log.told.get((conn, line.get("sid", -1), line.get("seq", -1)))
    return None if told is None else (*told, '"type":"orderbook_delta"' in line["raw"])


def _levels(book: LiveBook) -> Levels:
    """Levels of a recorded book as the witness writes them."""
    yes, no = book.levels
    return {(0, p): q for p, q in yes.items()} | {(1, DOLLAR_E4 - p): q for p, q in no.items()}


def _false_ns(
    proof: _Proof, times: list[tuple[int, int]], applied: list[tuple[int, int]], log: WitnessLog, late_ns: int
) -> int:
    """Time within a proof in which the book was older than a frame can be under way."""
    begin_ns, end_ns = _mono(times, proof.begin_ns, first=True), _mono(times, proof.end_ns, first=False)
    book = log.book(proof.ticker)
    return sum(
        max(0, min(until_ns, end_ns) - max(since_ns, begin_ns, stale_ns + late_ns))
        for since_ns, until_ns, version in _stretches(applied, begin_ns, end_ns)
        if (stale_ns := book.since_ns(version)) is not None
    )


def _stretches(applied: list[tuple[int, int]], begin_ns: int, end_ns: int) -> Iterator[tuple[int, int, int]]:
    """(from, to, version) of the recorded book between two times."""
    first = max(bisect_right(applied, begin_ns, key=lambda each: each[0]) - 1, 0)
    for place in range(first, len(applied)):
        since_ns, version = applied[place]
        if since_ns > end_ns:
            return
        yield since_ns, applied[place + 1][0] if place + 1 < len(applied) else end_ns, version


def _mono(times: list[tuple[int, int]], recv_ns: int, *, first: bool) -> int:
    """Monotonic time of the first, or last, line received at ``recv_ns``; between two lines the earlier."""
    at = bisect_left(times, recv_ns, key=lambda t: t[0])
    if at < len(times) and times[at][0] == recv_ns:
        if not first:
            at = bisect_right(times, recv_ns, key=lambda t: t[0]) - 1
        return times[at][1]
    return times[max(at - 1, 0)][1]
