"""Controls of paper accounts: what works goes, nothing new comes, and a replay has the same account."""

from types import SimpleNamespace

import numpy as np
import pytest
from made.live_capture import in_order, simulated
from made.recorder import market
from pydantic_core import from_json

from kalshi_platform.data.market_data.capture import read_frames
from kalshi_platform.domain.actions import BUY_YES, SELL_YES
from kalshi_platform.simulation.replay.execution import IDLE
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.session import session_notes as notes
from kalshi_platform.trading.session.core import SessionCore
from kalshi_platform.trading.session.paper.paper_book import PaperBook
from kalshi_platform.trading.session.paper.paper_switch import PaperSwitch, send_cancels

CONFIG = TradingConfig(n_slots=2, order_style="maker", order_ttl_ms=3_600_000, latency_ms=100)


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    return in_order(read_frames(simulated(tmp_path_factory.mktemp("frames"), n_events=2, seed=7)))


class PaperScene:
    """Paper session over frames, with a policy that always asks for the same action."""

    def __init__(self, frames) -> None:
        self.told: list[tuple] = []
        self.book, self.action, self.at, self.frames = PaperBook(CONFIG), BUY_YES, 0, frames
        self.core = SessionCore(CONFIG, 0, self.book, self, self.note, use_yes_price=False)
        self.switch = PaperSwitch(self.core, self.book, self.note)
        fine = [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}]
        named = (from_json(f.raw).get("msg") for f in frames)
        for ticker in sorted(
            {m["market_ticker"] for m in named if isinstance(m, dict) and "market_ticker" in m}
        ):
            answer = market(ticker, price_ranges=fine, open_time="2025-01-01T00:00:00Z")
            self.core.tell({"known_ns": frames[0].recv_ns - 1, "market": answer})

    def note(self, kind, detail) -> None:
        self.told.append((kind, detail))

    def decide(self, batch, groups, now_ns):
        return SimpleNamespace(actions=np.full((batch.n, 2), self.action, np.int8), model="m")

    def go(self, n: int, *, decides: bool = True) -> None:
        """Take ``n`` frames, and decide after each tenth."""
        for frame in self.frames[self.at : self.at + n]:
            self.at += 1
            self.told.append(("frame", frame))
            self.core.frame(self.at, frame.recv_ns, frame.conn, frame.raw, from_json(frame.raw))
            if decides and self.at % 10 == 0:
                self.core.decide(self.core.tick())

    def until_working(self) -> None:
        while not self.switch.working():
            self.go(10)

    @property
    def n_orders(self) -> int:
        return self.book.figures()["orders"]


def replayed(told) -> PaperBook:
    """Account of a core that frames and notes are played to."""
    book = PaperBook(CONFIG)
    core = SessionCore(CONFIG, 0, book, None, lambda kind, detail: None, use_yes_price=False)
    number = 0
    for kind, detail in told:
        if kind == "frame":
            number += 1
            core.frame(number, detail.recv_ns, detail.conn, detail.raw, from_json(detail.raw))
        elif kind == notes.SESSION_TOLD:
            core.tell(detail["answer"])
        elif kind == notes.SESSION_ACTS:
            core.repeat(detail["now_ns"], notes.acts_of(detail, 2))
        elif kind == notes.SESSION_CANCELS:
            core.require_time(detail["now_ns"])
            send_cancels(core, notes.acts_of(detail, 2))
    core.finish()
    return book


def account_of(book: PaperBook) -> dict:
    """Figures but for the count of actions that became HOLD: notes hold what was sent."""
    return {name: value for name, value in book.figures().items() if name != "forbidden"}


def test_a_halt_takes_every_order_away_and_lets_none_out_and_the_replay_agrees(frames):
    scene = PaperScene(frames)
    scene.until_working()
    scene.switch.halt("a person")
    assert scene.told[-1][0] == notes.SESSION_CANCELS
    n = scene.n_orders
    scene.go(200)
    assert scene.switch.working() == {}
    assert scene.n_orders == n
    assert scene.book.figures()["reserved_e6"] == 0
    scene.switch.resume("calm")
    scene.go(200)
    assert scene.n_orders > n
    scene.core.finish()
    assert account_of(replayed(scene.told)) == account_of(scene.book)


def test_a_halt_works_where_no_decision_comes(frames):
    """Groups without news decide nothing: looks cancel what was in flight, once it works."""
    scene = PaperScene(frames)
    scene.until_working()
    scene.switch.halt("a person")
    for _ in range(50):
        scene.go(10, decides=False)
        scene.switch.look()
    assert scene.switch.working() == {}
    assert all((a.slots["sent_action"] == 0).all() for a in scene.book.accounts)
    told = len(scene.told)
    scene.switch.look()
    assert len(scene.told) == told  # nothing is left to be told
    scene.core.finish()
    assert account_of(replayed(scene.told)) == account_of(scene.book)


def test_a_reduction_takes_buys_away_and_lets_sales_out(frames):
    scene = PaperScene(frames)
    while not any((a.slots["position_e2"] > 0).any() for a in scene.book.accounts):
        scene.go(10)
    scene.switch.reduce("a person")
    scene.go(100)
    assert scene.switch.working() == {}
    n = scene.n_orders
    scene.go(100)
    assert scene.n_orders == n
    scene.action = SELL_YES
    while scene.n_orders == n:
        scene.go(10)
    assert {order.action for order in [o for a in scene.book.accounts for o in a.orders[-1:]]} >= {SELL_YES}
    scene.core.finish()
    assert account_of(replayed(scene.told)) == account_of(scene.book)


def test_one_order_is_cancelled_and_the_others_stay(frames):
    scene = PaperScene(frames)
    while len(scene.switch.working()) < 2:
        scene.go(10)
    first, *others = scene.switch.working()
    scene.switch.cancel([first])
    group, slot, _ = map(int, first.split("/"))
    assert scene.book.accounts[group].slots["sent_action"][0, slot] == 5
    for other in others:
        group, slot, _ = map(int, other.split("/"))
        assert scene.book.accounts[group].slots["sent_action"][0, slot] == 0
        assert scene.book.accounts[group].slots["order_state"][0, slot] != IDLE
    (detail,) = [detail for kind, detail in scene.told if kind == notes.SESSION_CANCELS]
    assert sorted("".join(detail["acts"].values())).count("5") == 1
