"""Replay of a session at an exchange: orders that a limit held back, the cancels that made room, controls."""

import json

import numpy as np
import pytest
from made.recorder import A, market

from kalshi_platform.data.market_data.capture import Frame
from kalshi_platform.domain.actions import ACTIONS
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.serving.live.places import LivePlace
from kalshi_platform.simulation.replay.execution import CANCEL, IDLE, RESTING
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.recorder.segments.seals import FRAMES, SUFFIX
from kalshi_platform.trading.session import session_notes as notes
from kalshi_platform.trading.session.paper.paper_book import PaperBook
from kalshi_platform.trading.session.report.live_states import LiveStates
from kalshi_platform.trading.session.report.session_replay import noted_orders, replay_session

TICKER, START_NS = "KXHIGHNY-26NOV24-B45", 1_795_500_000_000_000_000


def test_the_orders_of_one_run_are_read_with_those_that_a_limit_held_back(tmp_path):
    told = [("a", "kp-1"), ("b", ""), ("c", "")]
    lines = [{"note": "session_acts", "detail": {"words": "session_order"}}] + [
        {"note": "session_order", "detail": {"client_id": name, "group": 1, "slot": k, "now_ns": 7}}
        for k, (_, name) in enumerate(told)
    ]
    (tmp_path / FRAMES).mkdir()
    for run in ("one", "two"):
        path = tmp_path / FRAMES / f"{run}-000001{SUFFIX}"
        path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
        lines = lines[:2]
    assert [(o["client_id"], o["slot"]) for o in noted_orders(tmp_path, "one")] == [
        ("kp-1", 0), ("", 1), ("", 2),
    ]  # fmt: skip
    assert [o["client_id"] for o in noted_orders(tmp_path, "two")] == ["kp-1"]


class Scene:
    """One market on paper, a maker with 100 ms of latency."""

    def __init__(self) -> None:
        self.book = PaperBook(TradingConfig(n_slots=1, order_style="maker", latency_ms=100))
        self.books = LiveBooks(TradingConfig(n_slots=1), 0, watcher=self.book)
        self.n = 0

    def act(self, at_ms: int, yes: str, action: str, unsent: tuple[int, ...] = ()) -> None:
        self.n += 1
        msg = {
            "market_ticker": TICKER,
            "yes_dollars_fp": [[yes, "50.00"]],
            "no_dollars_fp": [["0.4500", "9.00"]],
        }
        message = {"type": "orderbook_snapshot", "sid": 1, "seq": self.n, "msg": msg}
        self.books.feed(Frame(self.n, START_NS + at_ms * NS_PER_MS, 1, str(self.n)), message)
        account = self.book.account(0)
        account.advance(self.books.now_ns)
        account.act(np.array([ACTIONS[action]], np.int8), unsent)

    @property
    def slot(self):
        return self.book.account(0).slots[0, 0]


def test_an_order_that_stays_here_still_cancels_the_one_before_it():
    scene = Scene()
    scene.act(0, "0.4000", "BUY_YES")
    scene.act(500, "0.4000", "HOLD")
    account = scene.book.account(0)
    assert (scene.slot["order_state"], len(account.orders)) == (RESTING, 1)
    reserved_e6 = account.reserved_e6
    scene.act(600, "0.4100", "BUY_YES", (0,))
    assert (scene.slot["sent_action"], account.reserved_e6) == (CANCEL, reserved_e6)
    scene.act(900, "0.4100", "HOLD")
    assert (scene.slot["order_state"], account.reserved_e6, len(account.orders)) == (IDLE, 0, 1)
    scene.act(1_000, "0.4200", "BUY_YES")
    assert [order.arrival_ns - order.sent_ns for order in account.orders] == [100 * NS_PER_MS] * 2


class Recording:
    """Recording of a session with one market and one maker's order, kp-1, that rests in the replay."""

    def __init__(self, folder, mode: str = "simulated", **began) -> None:
        self.folder, self.lines, self.n = folder, [], 0
        trading = TradingConfig(n_slots=1, order_style="maker", latency_ms=100)
        self.note(0, notes.SESSION_BEGAN, {
            "trading": trading.model_dump(mode="json"), "window": 0, "mode": mode, "seed": 0, "model": "m",
            "accepts_missing": True, "max_markets": 10, "simulated": True, **began,
        })  # fmt: skip
        answer = market(A, open_time="2025-01-01T00:00:00Z")
        self.note(0, notes.SESSION_TOLD, {"answer": {"known_ns": START_NS - 1, "market": answer}})
        self.frame(1)
        self.acts(1, "1")
        self.note(1, notes.SESSION_ORDER, {
            "group": 0, "slot": 0, "now_ns": START_NS + NS_PER_MS, "ticker": A, "action": "BUY_YES",
            "client_id": "kp-1", "price_e4": 4_000, "qty_e2": 1_000,
        })  # fmt: skip
        self.frame(500)

    def note(self, ms: int, kind: str, detail: dict) -> None:
        self.lines.append({"recv_ns": START_NS + ms * NS_PER_MS, "conn": 0, "note": kind, "detail": detail})

    def control(self, ms: int, control: str, state: str, **more) -> None:
        self.note(ms, notes.SESSION_CONTROL, {"control": control, "why": "a person", "state": state, **more})

    def acts(self, ms: int, text: str) -> None:
        detail = {"now_ns": START_NS + ms * NS_PER_MS, "model": "m", "acts": {"0": text}}
        self.note(ms, notes.SESSION_ACTS, detail)

    def frame(self, ms: int) -> None:
        self.n += 1
        sides = {"yes_dollars_fp": [["0.4000", "50.00"]], "no_dollars_fp": [["0.4500", "9.00"]]}
        message = {
            "type": "orderbook_snapshot", "sid": 1, "seq": self.n, "msg": {"market_ticker": A, **sides},
        }  # fmt: skip
        self.lines.append({"recv_ns": START_NS + ms * NS_PER_MS, "conn": 1, "raw": json.dumps(message)})

    def played(self):
        (self.folder / FRAMES).mkdir()
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in self.lines)
        (self.folder / FRAMES / f"run-000001{SUFFIX}").write_text(text)
        return replay_session(self.folder)


def working(played) -> bool:
    return bool(played.book.account(0).slots["order_state"][0, 0] == RESTING)


def test_without_a_control_the_order_rests_to_the_end(tmp_path):
    scene = Recording(tmp_path)
    scene.frame(900)
    assert working(scene.played())


@pytest.mark.parametrize(
    ("control", "state", "more"),
    [
        ("halt", "halted", {}),
        ("state", "halted", {}),  # a loss limit
        ("reduce", "reducing", {}),
        ("cancel", "active", {"orders": ["kp-1"]}),
        ("cancel all", "active", {"orders": ["kp-0", "kp-1"]}),  # kp-0: of an earlier run
        ("end", "active", {}),
    ],
)
def test_a_control_at_an_exchange_ends_the_replays_order_too(tmp_path, control, state, more):
    scene = Recording(tmp_path)
    scene.control(600, control, state, **more)
    scene.frame(700)
    scene.frame(900)
    played = scene.played()
    assert not working(played)
    assert [c["control"] for c in played.controls] == [control]
    ((name, end),) = played.book.ends.items()
    assert (name, end.at_ns) == ((0, 0, 1), START_NS + 600 * NS_PER_MS)  # newest frame, and the latency


def test_what_was_on_its_way_when_trading_halted_is_cancelled_once_it_rests(tmp_path):
    scene = Recording(tmp_path)
    scene.acts(500, "3")  # BUY_NO takes the place of the order that rests
    scene.control(510, "halt", "halted")
    for ms in (550, 700, 800, 900):
        scene.frame(ms)
    played = scene.played()
    assert (working(played), len(played.book.account(0).orders)) == (False, 2)


def test_after_a_halt_nothing_goes_out_until_trading_goes_on(tmp_path):
    scene = Recording(tmp_path)
    scene.control(600, "halt", "halted")
    scene.frame(700)
    scene.frame(900)
    scene.acts(900, "1")
    scene.control(950, "resume", "active")
    scene.frame(1_000)
    scene.acts(1_000, "1")
    orders = scene.played().book.account(0).orders
    assert [(o.sent_ns - START_NS) // NS_PER_MS for o in orders] == [1, 1_000]


def test_on_paper_a_control_is_a_note_only(tmp_path):
    """Its cancels stand in the recording themselves."""
    scene = Recording(tmp_path, "paper")
    scene.control(600, "halt", "halted")
    scene.frame(900)
    assert working(scene.played())


def test_a_control_without_a_state_is_damage(tmp_path):
    scene = Recording(tmp_path)
    scene.control(600, "halt", "asleep")
    with pytest.raises(DataError, match="names the state 'asleep'"):
        scene.played()


def opening(position_e2: int, price_e4: int = 3_000) -> dict:
    """Account of 10.00 $ with one position at 0.20 a YES; market B never gets a slot."""
    cost_e6 = abs(position_e2) * (2_000 if position_e2 > 0 else 8_000)
    held = {"position_e2": position_e2, "price_e4": price_e4, "cost_e6": cost_e6, "opened_ns": 5}
    other = {"position_e2": 900, "price_e4": 1_000, "cost_e6": 0, "opened_ns": 0}
    return {"cash_e6": 10_000_000, "positions": {A: held, "B": other}}


def fill(scene: Recording, ms: int, side: str, qty_e2: int, price_e4: int, cash_e6: int) -> None:
    """Fill of an order of an earlier session, as noted."""
    scene.note(ms, notes.SESSION_FILL, {
        "client_id": "kp-0", "ticker": A, "side": side, "action": "SELL_YES", "price_e4": price_e4,
        "qty_e2": qty_e2, "fee_e6": 0, "cash_e6": cash_e6, "is_taker": False, "at_ns": START_NS,
    })  # fmt: skip


def test_the_replay_begins_with_the_positions_of_the_session(tmp_path):
    """5.00 YES; the book is 0.40 to 0.45: the replay marks YES at 0.425, who sold it would get 0.40."""
    scene = Recording(tmp_path, opening=opening(500))
    scene.frame(900)
    played = scene.played()
    slot, account = played.book.account(0).slots[0, 0], played.book.account(0)
    assert (slot["position_e2"], slot["max_position_e2"]) == (500, 500)
    assert (slot["cost_e6"], slot["opened_ns"]) == (500 * 2_000, 5)
    assert account.cash_e6 == 200_000_000  # the position cost the group nothing
    figures = played.book.figures()
    assert figures["capital_e6"] == 200_000_000 + 500 * 4_250
    assert figures["equity_e6"] == figures["capital_e6"]  # nothing was earned
    opened = played.book.began_with
    assert (opened.held[A].price_e4, opened.held["B"].price_e4, opened.unseen) == (4_000, 1_000, {"B"})
    assert opened.capital_e6 == 10_000_000 + 500 * 4_000 + 900 * 1_000


def test_the_replay_may_sell_what_the_session_began_with(tmp_path):
    scene = Recording(tmp_path, opening=opening(500))
    scene.acts(500, "2")  # SELL_YES, in the place of the order that rests
    for ms in (700, 800, 900):
        scene.frame(ms)
    orders = scene.played().book.account(0).orders
    assert [(o.action, o.qty_e2) for o in orders] == [(1, 1_000), (2, 500)]


def test_the_outcome_of_such_a_position_is_paid_in_the_replay(tmp_path):
    scene = Recording(tmp_path, opening=opening(-200, 9_000))  # 2.00 NO
    scene.note(600, notes.SESSION_PAID, {"ticker": A, "value_e4": 0, "at_ns": START_NS + 600 * NS_PER_MS})
    played = scene.played()
    assert played.book.account(0).cash_e6 == 200_000_000 + 2_000_000
    # worth 2 x (1 - 0.425) at the start, 2.00 at the end
    figures = played.book.figures()
    assert figures["equity_e6"] - figures["capital_e6"] == 2_000_000 - 200 * 5_750


def test_a_fill_before_the_market_has_a_slot_is_in_the_position_that_the_replay_begins_with(tmp_path):
    scene = Recording(tmp_path, opening=opening(500))
    scene.lines, later = scene.lines[:2], scene.lines[2:]
    fill(scene, 0, "ask", 300, 4_100, 1_230_000)
    scene.lines += later
    fill(scene, 600, "ask", 100, 4_100, 410_000)  # of an order that the replay does not have
    played = scene.played()
    assert played.book.account(0).slots[0, 0]["position_e2"] == 200
    known = LiveStates(played).at((0, 0, START_NS + 700 * NS_PER_MS), 99, A)
    assert (known.position_e2, known.cash_e6) == (100, 200_410_000)


@pytest.mark.parametrize(
    ("sold_e2", "left", "opened_ns"),
    [(300, (200, 200 * 2_000), 5), (500, (0, 0), 0), (800, (-300, 300 * 5_900), START_NS)],
    ids=["a part is sold", "all of it", "more than it"],
)
def test_such_a_fill_leaves_the_cost_and_age_that_the_account_has(tmp_path, sold_e2, left, opened_ns):
    """5.00 YES that cost 0.20; YES is sold at 0.41, which opens NO at 0.59."""
    scene = Recording(tmp_path, opening=opening(500))
    scene.lines, later = scene.lines[:2], scene.lines[2:]
    fill(scene, 0, "ask", sold_e2, 4_100, 0)
    scene.lines += later
    slot = scene.played().book.account(0).slots[0, 0]
    assert ((slot["position_e2"], slot["cost_e6"]), slot["opened_ns"]) == (left, opened_ns)


def test_a_slot_that_a_market_with_a_position_leaves_is_empty_for_the_next_one(tmp_path):
    scene = Recording(tmp_path, opening=opening(500))
    scene.lines = scene.lines[:2]
    played = scene.played()
    book = played.book
    book.placed(LivePlace(0, 0), A)
    book.placed(LivePlace(0, 0), "C")
    assert (book.account(0).slots[0, 0]["position_e2"], book._unpriced) == (0, {})


def test_a_recording_that_does_not_say_begins_flat(tmp_path):
    played = Recording(tmp_path).played()
    assert (played.book.began_with, played.realised.knows_opening) == (None, False)
    assert played.book.account(0).slots[0, 0]["position_e2"] == 0


def test_a_damaged_opening_is_refused(tmp_path):
    with pytest.raises(DataError, match="account at the session's start"):
        Recording(tmp_path, opening={"cash_e6": 1}).played()
