"""The session without input and output: what is decided when, noted, paid, and handed to the next market."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made.live_capture import in_order, simulated
from made.recorder import EVENT, SERIES, A, market
from pydantic_core import from_json

from kalshi_platform.data.market_data.capture import Frame, read_frames
from kalshi_platform.domain.errors import DataError
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.session import session_notes as notes
from kalshi_platform.trading.session.core import SessionCore
from kalshi_platform.trading.session.paper.paper_book import PaperBook
from kalshi_platform.trading.session.repeated_problems import QUIET_NS

BUY_YES = 1
OPEN = "2025-01-01T00:00:00Z"  # before the frames
EVENT_ANSWER = {"event_ticker": EVENT, "series_ticker": SERIES, "category": "Weather"}


class Buyer:
    """Buys YES everywhere; fails where it is told to."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.is_broken = False

    def decide(self, batch, groups, now_ns):
        self.asked.append(groups)
        if self.is_broken:
            raise RuntimeError("no engine")
        return SimpleNamespace(actions=np.full((batch.n, 2), BUY_YES, np.int8), model="m-1")


def core_of(*frames_to_come, **trading):
    told: list[tuple[str, dict]] = []
    config = TradingConfig(n_slots=2, **trading)
    buyer, book = Buyer(), PaperBook(config)
    core = SessionCore(
        config, 0, book, buyer, lambda kind, detail: told.append((kind, detail)), use_yes_price=False
    )
    for frames in frames_to_come:
        introduce(core, tickers_in(frames), frames[0].recv_ns - 1)
    return core, buyer, book, told


def introduce(core: SessionCore, tickers: set[str], known_ns: int) -> None:
    """Let REST name markets, on a grid of tenths of a cent."""
    fine = [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}]
    for ticker in sorted(tickers):
        core.tell({"known_ns": known_ns, "market": market(ticker, price_ranges=fine, open_time=OPEN)})


def tickers_in(frames: list[Frame]) -> set[str]:
    named = (from_json(frame.raw).get("msg") for frame in frames)
    return {msg["market_ticker"] for msg in named if isinstance(msg, dict) and "market_ticker" in msg}


def feed(core: SessionCore, frames: list[Frame]) -> list[int]:
    due: dict[int, None] = {}
    for number, frame in enumerate(frames, start=1):
        for group in core.frame(number, frame.recv_ns, frame.conn, frame.raw, from_json(frame.raw)):
            due[group] = None
    return list(due)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Frame]:
    capture: Path = simulated(tmp_path_factory.mktemp("frames"), n_events=2, seed=7)
    return in_order(read_frames(capture))


def test_decisions_are_noted_with_what_was_sent(frames):
    core, _, book, told = core_of(frames)
    due = feed(core, frames[:40])
    core.decide(due)
    kind, detail = told[-1]
    assert kind == notes.SESSION_ACTS
    assert (detail["now_ns"], detail["model"]) == (frames[39].recv_ns, "m-1")
    assert set("".join(detail["acts"].values())) <= {"0", "1"}
    assert sum(text.count("1") for text in detail["acts"].values()) == book.figures()["orders"]
    json.dumps(told)


def test_a_policy_that_fails_holds_and_says_so(frames):
    core, buyer, book, _ = core_of(frames)
    buyer.is_broken = True
    core.decide(feed(core, frames[:40]))
    assert book.figures()["orders"] == 0
    assert core.counters["policy_failures"] == 1
    assert "no engine" in core.problems["the policy failed"]
    buyer.is_broken = False
    core.decide(feed(core, frames[40:80]))
    assert core.problems == {}


def test_the_interval_of_training_decides_when_a_group_is_due(frames):
    core, buyer, _, _ = core_of(frames, decision_interval_ms=3_600_000)
    core.decide(feed(core, frames[:40]))
    assert core.tick() == []
    n = len(buyer.asked)
    feed(core, frames[40:60])
    assert core.tick() == []
    assert frames[-1].recv_ns > frames[39].recv_ns + 3_600 * 10**9
    assert feed(core, frames[60:])
    assert core.tick()
    assert len(buyer.asked) == n


def test_an_outcome_pays_once_and_gives_the_slot_to_the_next_market(frames):
    core, _, book, told = core_of(frames)
    core.decide(feed(core, frames[:200]))
    feed(core, frames[200:400])
    first = next(iter(core.books.places))
    place = core.books.places[first]
    held = book.account(place.group).slots["position_e2"][0, place.slot]
    cash = book.account(place.group).cash_e6
    assert core.known_outcomes({first: 10_000, "unknown": 0}) == [(first, 10_000)]
    core.pay(first, 10_000, core.now_ns)
    core.pay(first, 10_000, core.now_ns)
    assert [kind for kind, _ in told].count(notes.SESSION_PAID) == 1
    if held > 0:
        assert book.account(place.group).cash_e6 >= cash + held * 10_000
    assert first not in core.books.places
    introduce(core, {"NEXT-26DEC01-T1"}, core.now_ns)
    raw = _snapshot("NEXT-26DEC01-T1")
    core.frame(1, core.now_ns + 1, 99, raw, from_json(raw))
    assert core.books.places["NEXT-26DEC01-T1"] == place
    before = core.counters["frames"]
    feed(core, [f._replace(recv_ns=core.now_ns) for f in frames[400:500] if first in f.raw])
    assert first not in core.books.places
    assert core.counters["frames_after_payment"] == core.counters["frames"] - before


def test_a_repeat_at_another_time_than_the_frames_is_refused(frames):
    core, _, _, _ = core_of(frames)
    feed(core, frames[:40])
    with pytest.raises(DataError, match="frames or notes are missing"):
        core.repeat(core.now_ns + 1, {0: np.zeros(2, np.int8)})


def test_frames_of_a_market_wait_for_the_first_answer_that_names_it(frames):
    core, _, _, told = core_of()
    raw = _snapshot(A)
    core.frame(1, frames[0].recv_ns, 1, raw, from_json(raw))
    assert A not in core.books.places
    answer = {"known_ns": frames[0].recv_ns + 1, "event": {**EVENT_ANSWER, "markets": [market(A)]}}
    core.tell(answer)
    again = _snapshot(A, seq=2)
    core.frame(2, frames[0].recv_ns + 2, 1, again, from_json(again))
    assert core.books.specification(A).category == "Weather"
    assert told[0] == (notes.SESSION_TOLD, {"answer": answer})


def test_an_answer_that_cannot_be_is_counted_and_noted(frames):
    core, _, _, told = core_of()
    core.tell({"known_ns": 1, "market": {"ticker": "no ticker\n", "event_ticker": "E"}})
    assert core.counters["answers_refused"] == 1
    assert "refused" in next(iter(core.problems))
    assert len(told) == 1


def test_refused_frames_are_counted_in_words_and_told_again_at_the_end(frames):
    core, _, _, _ = core_of()
    core.frame(1, frames[0].recv_ns, 1, "{}", {"type": "orderbook_delta", "sid": 1, "seq": 1, "msg": {}})
    core.frame(2, frames[0].recv_ns, 1, "{}", {"type": "orderbook_delta", "sid": 1, "seq": 2, "msg": {}})
    assert core.problems["a frame was refused"].startswith("2 so far, the newest at ")
    core.repeated.end_quiet(frames[0].recv_ns + QUIET_NS + 1)
    assert core.problems == {}
    core.finish()
    assert core.problems["a frame was refused"].startswith("2 so far")


def test_a_connection_that_ends_takes_its_books_with_it(frames):
    core, _, _, _ = core_of(frames)
    core.decide(feed(core, frames[:40]))
    group = core.books.groups[0]
    assert group.live.any()
    for conn in {frame.conn for frame in frames[:40]}:
        core.end_connection(conn, core.now_ns)
    group.observe(core.now_ns)
    assert not group.live.any()


def _snapshot(ticker: str, seq: int = 1) -> str:
    sides = {"yes_dollars_fp": [["0.4000", "50.00"]], "no_dollars_fp": [["0.5500", "50.00"]]}
    return json.dumps(
        {"type": "orderbook_snapshot", "sid": 77, "seq": seq, "msg": {"market_ticker": ticker, **sides}}
    )
