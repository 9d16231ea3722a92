"""Live books that hear REST: every answer holds from its own time on, and nothing holds before it."""

import json

import pytest
from made.both_doors import delta, lifecycle, snapshot
from made.live_capture import ALL_GROUPS

from kalshi_platform.data.features.spec import features_of
from kalshi_platform.data.market_data.capture import Frame
from kalshi_platform.data.market_data.facts import MarketFacts
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.units import parse_rfc3339
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.serving.live.rest_facts import MarketTold
from kalshi_platform.simulation.envs.config import EnvConfig

S = 10**9
T0 = parse_rfc3339("2026-12-01T12:00:00Z")
MINE, OTHER = "KXDEMO-26DEC01-T50", "KXDEMO-26DEC02-T50"
CONFIG = EnvConfig(n_slots=1, groups=ALL_GROUPS)
NAMES = [feature.name for feature in features_of([g for g in ALL_GROUPS if g != "portfolio"])]


def answer(second: float, ticker: str = MINE, **fields) -> dict:
    market = {
        "ticker": ticker, "event_ticker": ticker.rpartition("-")[0], "status": "active", "result": "",
        "open_time": "2026-12-01T11:00:00Z", "close_time": "2026-12-01T13:00:00Z", "can_close_early": False,
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}], **fields,
    }  # fmt: skip
    event = {
        "event_ticker": market["event_ticker"], "series_ticker": "KXDEMO", "category": "Weather",
        "markets": [market],
    }  # fmt: skip
    return {"known_ns": T0 + round(second * S), "event": event}


class Books:
    """Live books of one market, fed by the second."""

    def __init__(self) -> None:
        self.books, self.line = LiveBooks(CONFIG, 4, hears_rest=True), 0

    def feed(self, second: float, message: dict) -> list[int]:
        self.line += 1
        return self.books.feed(Frame(self.line, T0 + round(second * S), 1, json.dumps(message)), message)

    def column(self, name: str) -> float:
        group = self.books.groups[self.books.places[MINE].group]
        return float(group.bank.features[0, NAMES.index(name)])

    @property
    def terms(self):
        return self.books.groups[self.books.places[MINE].group].bank.terms[0]


def test_rows_wait_for_the_answer_that_names_their_market():
    it = Books()
    it.feed(0, snapshot(1, {"0.4000": "10.00"}))
    assert it.books.places == {}
    it.books.tell(answer(1))
    assert it.books.places == {}  # a frame of before may still be on its way
    assert it.feed(2, delta(2, "0.4100", "5.00")) == [0]
    assert it.books.specification(MINE).category == "Weather"
    assert it.terms["close_ns"] == parse_rfc3339("2026-12-01T13:00:00Z")


def test_a_close_that_rest_tells_holds_from_the_answer_on():
    it = Books()
    it.books.tell(answer(-1))
    it.feed(0, snapshot(1, {"0.4000": "10.00"}))
    it.books.tell(answer(5, close_time="2026-12-01T12:30:00Z"))
    it.feed(4, delta(2, "0.4100", "5.00"))  # received before the answer, fed after it
    assert it.terms["close_ns"] == parse_rfc3339("2026-12-01T13:00:00Z")
    touched = list(it.books.hear(T0 + 6 * S))
    assert touched == [[0]]  # the news are a row of their own
    assert it.books.now_ns == T0 + 5 * S
    assert it.terms["close_ns"] == parse_rfc3339("2026-12-01T12:30:00Z")
    assert it.feed(6, delta(3, "0.4200", "5.00")) == [0]


def test_an_outcome_of_another_event_counts_from_the_answer_on():
    it = Books()
    it.books.tell(answer(-1))
    it.feed(0, snapshot(1, {"0.4000": "10.00"}))
    assert it.column("similar_confidence") == 0
    settled = {"result": "yes", "settlement_value_dollars": "1.0000", "settlement_ts": "2026-12-01T11:59:00Z"}
    it.books.tell(answer(5, OTHER, **settled))
    it.feed(4, delta(2, "0.4100", "5.00"))
    assert it.column("similar_confidence") == 0  # although the exchange says that it was public before
    it.feed(6, delta(3, "0.4200", "5.00"))
    assert it.column("similar_confidence") > 0
    assert it.column("similar_rate") == 1


def test_a_series_fee_that_rest_tells_is_charged():
    it = Books()
    series = {"ticker": "KXDEMO", "fee_type": "quadratic", "fee_multiplier": 2}
    it.books.tell({"known_ns": T0 - S, "series": series})
    it.books.tell(answer(-1))
    it.feed(0, snapshot(1, {"0.4000": "10.00"}))
    assert it.terms["taker_rate_e6"] == 140_000


def test_fees_that_are_known_before_their_time_are_charged_from_the_first_row_at_that_time_on():
    it = Books()
    change = {
        "series_ticker": "KXDEMO",
        "fee_type": "quadratic",
        "fee_multiplier": 2,
        "scheduled_ts": T0 // S + 2,
    }
    it.books.tell({"known_ns": T0 - S, "series_fee_change_arr": [change]})
    it.books.tell(answer(-1))
    it.feed(0, snapshot(1, {"0.4000": "10.00"}))
    it.feed(1.999, delta(2, "0.4100", "5.00"))
    assert it.terms["taker_rate_e6"] == 70_000
    it.feed(2, delta(3, "0.4200", "5.00"))
    assert it.terms["taker_rate_e6"] == 140_000


def test_what_is_no_answer_is_refused():
    books = LiveBooks(CONFIG, 4, hears_rest=True)
    with pytest.raises(DataError, match="no known_ns"):
        books.tell({"market": {"ticker": MINE}})
    with pytest.raises(ContractError, match="hears_rest=True"):
        LiveBooks(CONFIG, 4).tell(answer(0))


def test_frames_and_answers_are_joined_in_the_order_in_which_they_were_heard():
    told = MarketTold(MarketSpec(ticker=MINE, event="E", close_ns=10))
    assert told.answer(MarketFacts(close_ns=10)) is None  # no news
    assert told.frame(MarketFacts(close_ns=8)).close_ns == 8
    assert told.answer(MarketFacts(close_ns=8, can_close_early=True)) == MarketFacts(
        close_ns=8, can_close_early=True
    )
    again = told.frame(MarketFacts(close_ns=8, determined_ns=9))
    assert again == MarketFacts(close_ns=8, can_close_early=True, determined_ns=9)
    assert told.number == 3


def test_a_lifecycle_frame_between_answers_keeps_its_place():
    it = Books()
    it.books.tell(answer(-1))
    it.feed(0, snapshot(1, {"0.4000": "10.00"}))
    it.books.tell(answer(1, close_time="2026-12-01T12:30:00Z"))
    frame = lifecycle("close_date_updated")
    frame["msg"]["close_ts"] = (T0 + 2_000 * S) // S
    it.feed(2, frame)
    it.feed(3, delta(2, "0.4100", "5.00"))
    assert it.terms["close_ns"] == T0 + 2_000 * S
