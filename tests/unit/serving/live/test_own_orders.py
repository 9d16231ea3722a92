"""Own orders in the books of a stream: by hand, and against streams that never held any."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.market_data.capture import Frame
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.serving.live.own_orders import OwnOrders
from kalshi_platform.simulation.replay.trading import TradingConfig

TICKER, MINE = "KXDEMO-26DEC01-T50", "kp-a-1"
START_MS = 1_795_400_000_000


class Watched:
    """Books of one market whose rows are kept; a step is a millisecond."""

    def __init__(self, own: OwnOrders | None = None) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.own, self.n, self.seq, self.ms = own, 0, 0, 0
        self.books = LiveBooks(TradingConfig(n_slots=1), 0, use_yes_price=True, watcher=self, own=own)

    def placed(self, place, ticker) -> None:
        """Nothing."""

    def described(self, *given) -> None:
        """Nothing."""

    def row(self, place, row: Rows, exch_ns: int) -> None:
        self.rows.append((*(column[0].tolist() for column in row), exch_ns))

    def send(self, kind: str, sid: int = 1, **msg: Any) -> None:
        self.n += 1
        message = {"type": kind, "sid": sid, "msg": msg}
        if sid == 1:
            self.seq += 1
            message["seq"] = self.seq
        recv_ns = (START_MS + self.ms) * NS_PER_MS
        self.books.feed(Frame(self.n, recv_ns, 1, f"{kind} {self.n}"), message)

    def snapshot(self, yes: dict[int, int], no: dict[int, int]) -> None:
        sides = {
            f"{n}_dollars_fp": [text(*level) for level in s.items()] for n, s in (("yes", yes), ("no", no))
        }
        self.send("orderbook_snapshot", market_ticker=TICKER, **sides)

    def delta(self, price_e4: int, qty_e2: int, side: str = "yes", cause: str | None = None) -> None:
        price, qty = text(price_e4, qty_e2)
        more = {} if cause is None else {"client_order_id": cause}
        self.send(
            "orderbook_delta", market_ticker=TICKER, price_dollars=price, delta_fp=qty, side=side,
            ts_ms=START_MS + self.ms, **more,
        )  # fmt: skip

    def report(
        self,
        left_e2: int,
        price_e4: int = 4_000,
        side: str = "yes",
        name: str = MINE,
        status: str = "resting",
    ) -> None:
        price, left = text(price_e4, left_e2)
        self.send(
            "user_order", 5, ticker=TICKER, client_order_id=name, outcome_side=side, yes_price_dollars=price,
            remaining_count_fp=left, status=status, last_updated_ts_ms=START_MS + self.ms,
            last_update_reason="" if status == "canceled" else "Trade",
        )  # fmt: skip

    def best(self) -> list[tuple[int, int]]:
        """(price, size) of the bids of the last row that hold something."""
        row = dict(zip((*Rows._fields, "exch_ns"), self.rows[-1], strict=True))
        return [(p, q) for p, q in zip(row["bid_px_e4"], row["bid_qty_e2"], strict=True) if p >= 0]


def text(price_e4: int, qty_e2: int) -> list[str]:
    sign = "-" if qty_e2 < 0 else ""
    return [f"{price_e4 / 10_000:.4f}", f"{sign}{abs(qty_e2) // 100}.{abs(qty_e2) % 100:02d}"]


@pytest.fixture
def scene() -> Watched:
    """0.40 x 50 and 0.39 x 20 bid, 0.45 x 30 asked, all others'."""
    scene = Watched(OwnOrders())
    scene.snapshot({4_000: 5_000, 3_900: 2_000}, {4_500: 3_000})
    return scene


def test_an_order_that_comes_and_goes_makes_no_row(scene):
    scene.report(1_000)
    scene.delta(4_000, 1_000, cause=MINE)
    assert scene.own.shown_e2(TICKER, 0, 4_000) == 1_000
    scene.delta(4_000, -1_000, cause=MINE)
    assert len(scene.rows) == 1
    assert scene.own.shown_e2(TICKER, 0, 4_000) == 0
    assert scene.own.counts == {"rows_of_ours": 2}


def test_others_that_move_at_our_price_make_rows_of_their_own_size(scene):
    scene.delta(4_100, 1_000, cause=MINE)  # alone at 0.41
    scene.delta(4_100, 300)
    assert scene.best()[0] == (4_100, 300)
    scene.delta(4_100, -300)
    assert scene.best()[0] == (4_000, 5_000)


def test_a_fill_that_was_told_takes_ours_and_leaves_others_their_size(scene):
    scene.delta(4_000, 1_000, cause=MINE)
    scene.ms += 1
    scene.report(400)  # 6 of ours and the 50 before us were sold to
    scene.delta(4_000, -5_600)
    assert scene.best()[0] == (3_900, 2_000)
    assert scene.own.shown_e2(TICKER, 0, 4_000) == 400
    assert scene.own.counts["own_told"] == 1


def test_a_fill_told_after_its_delta_gives_others_their_size_back(scene):
    scene.delta(4_000, 1_000, cause=MINE)
    scene.ms += 1
    scene.delta(4_000, -200)
    assert scene.best()[0] == (4_000, 4_800)
    scene.report(800)
    assert scene.best()[0] == (4_000, 5_000)
    assert scene.own.counts["put_back"] == 1
    assert scene.rows[-1][-1] == (START_MS + 1) * NS_PER_MS  # of the burst of the delta


def test_our_own_cancel_gives_nothing_back_before_its_delta(scene):
    scene.delta(4_000, 1_000, cause=MINE)
    scene.ms += 1
    scene.delta(4_000, -200)  # somebody else, in the same millisecond
    scene.report(0, status="canceled")
    scene.delta(4_000, -1_000, cause=MINE)
    assert scene.best()[0] == (4_000, 4_800)
    assert "put_back" not in scene.own.counts


def test_a_report_of_another_moment_gives_nothing_back(scene):
    scene.delta(4_000, 1_000, cause=MINE)
    scene.delta(4_000, -200)  # somebody cancelled
    scene.ms += 7
    scene.report(800)
    assert scene.best()[0] == (4_000, 4_800)
    scene.delta(4_000, -200)
    assert len(scene.rows) == 2
    assert scene.own.shown_e2(TICKER, 0, 4_000) == 800


def test_what_others_cannot_have_lost_was_ours(scene):
    scene.delta(4_100, 1_000, cause=MINE)
    scene.delta(4_100, -1_000)
    assert len(scene.rows) == 1
    assert scene.own.counts["own_inferred"] == 1
    scene.report(0, 4_100, status="executed")
    assert len(scene.rows) == 1


def test_a_snapshot_loses_what_reports_say_is_left(scene):
    scene.delta(4_000, 1_000, cause=MINE)
    scene.delta(4_100, 700, cause="kp-a-2")
    scene.report(600)
    scene.snapshot({4_100: 700, 4_000: 5_600, 3_900: 2_000}, {4_500: 3_000})
    assert scene.best() == [(4_000, 5_000), (3_900, 2_000)]
    scene.delta(4_000, -600, cause=MINE)
    scene.delta(4_100, -700, cause="kp-a-2")
    assert scene.best() == [(4_000, 5_000), (3_900, 2_000)]
    assert len(scene.rows) == 2


def test_a_snapshot_without_our_order_takes_nothing_of_others(scene):
    scene.delta(4_100, 1_000, cause=MINE)
    scene.snapshot({4_000: 5_000}, {4_500: 3_000})
    assert scene.best() == [(4_000, 5_000)]
    assert scene.own.counts["not_in_snapshot"] == 1
    assert scene.own.shown_e2(TICKER, 0, 4_100) == 0


def test_an_order_in_a_snapshot_before_its_delta_counts_once(scene):
    scene.report(1_000)
    scene.snapshot({4_000: 6_000}, {4_500: 3_000})
    assert scene.best() == [(4_000, 5_000)]
    scene.delta(4_000, -1_000, cause=MINE)
    assert scene.best() == [(4_000, 5_000)]


def test_what_rest_tells_of_an_order_counts(scene):
    scene.delta(4_000, 1_000, cause=MINE)
    scene.own.tell_left(MINE, 0)
    assert scene.own.counts["told_by_rest"] == 1
    scene.delta(4_000, -1_000)  # it ended while the private channel was away
    assert scene.best()[0] == (4_000, 5_000)
    assert len(scene.rows) == 1


def test_no_order_leaves_the_rows_alone(scene):
    plain = Watched()
    plain.snapshot({4_000: 5_000, 3_900: 2_000}, {4_500: 3_000})
    for each in (scene, plain):
        each.delta(4_000, -700)
        each.delta(4_500, 100, "no")
    assert scene.rows == plain.rows


def test_a_fill_counts_once_however_often_it_is_told(scene):
    scene.delta(4_000, 1_000, cause=MINE)
    scene.ms += 1
    for _ in range(2):
        scene.send(
            "fill", 4, trade_id="t-1", client_order_id=MINE, market_ticker=TICKER, is_taker=False,
            count_fp="4.00", ts_ms=START_MS + scene.ms,
        )  # fmt: skip
    scene.report(600)
    scene.delta(4_000, -5_400)
    assert scene.best()[0] == (3_900, 2_000)
    assert scene.own.shown_e2(TICKER, 0, 4_000) == 600


def test_a_report_that_cannot_be_read_is_counted(scene):
    scene.send("user_order", 5, ticker=TICKER, client_order_id=MINE)
    assert scene.own.counts["unreadable_reports"] == 1


# Against streams that never held an order of ours

_PRICES = {"yes": (3_800, 3_900, 4_000), "no": (4_500, 4_600)}
_ACT = st.tuples(
    st.sampled_from(("others", "rest", "cancel", "sell", "sell", "snapshot")),
    st.sampled_from([(side, price) for side, prices in _PRICES.items() for price in prices]),
    st.integers(1, 900),
)


class Doubled:
    """One market told twice: as others alone make it, and with orders of ours among theirs."""

    def __init__(self, fill_is_told_first: bool) -> None:
        self.with_ours, self.without = Watched(OwnOrders()), Watched()
        self.first = fill_is_told_first
        self.others = {("yes", 4_000): 500, ("no", 4_500): 400}
        self.ours: dict[str, tuple[tuple[str, int], int]] = {}  # in order of arrival
        self.n = 0
        self.snapshot()

    def snapshot(self) -> None:
        for each, ours in ((self.with_ours, self.ours), (self.without, {})):
            sizes = dict(self.others)
            for place, left in ours.values():
                sizes[place] = sizes.get(place, 0) + left
            each.snapshot(*({p: q for (s, p), q in sizes.items() if s == side and q} for side in _PRICES))

    def play(self, what: str, place: tuple[str, int], qty_e2: int) -> None:
        self.with_ours.ms += 1
        self.without.ms += 1
        side, price = place
        if what == "others":
            there = self.others.get(place, 0)
            change = qty_e2 if qty_e2 % 2 or not there else -min(qty_e2, there)
            self.others[place] = there + change
            self.tell(place, change, change)
        elif what == "rest":
            self.n += 1
            name = f"kp-a-{self.n}"
            self.ours[name] = (place, qty_e2)
            self.with_ours.report(qty_e2, price, side, name)
            self.with_ours.delta(price, qty_e2, side, name)
        elif what == "cancel" and self.ours:
            name = next(iter(self.ours))
            (side, price), left = self.ours.pop(name)
            self.with_ours.report(0, price, side, name, "canceled")
            self.with_ours.delta(price, -left, side, name)
        elif what == "sell":
            self.sell(place, qty_e2)
        elif what == "snapshot":
            self.snapshot()

    def sell(self, place: tuple[str, int], qty_e2: int) -> None:
        """Let a taker meet the level: what others lose it loses in both worlds."""
        others = min(self.others.get(place, 0), qty_e2)
        self.others[place] = self.others.get(place, 0) - others
        left, reports = qty_e2 - others, []
        for name, (at, size) in list(self.ours.items()):
            part = min(size, left) if at == place else 0
            if part:
                left -= part
                self.ours[name] = (at, size - part)
                reports.append((size - part, at[1], at[0], name, "resting" if size > part else "executed"))
                if size == part:
                    del self.ours[name]
        both = -(qty_e2 - left)
        if self.first:
            for each in reports:
                self.with_ours.report(*each)
        self.tell(place, -others, both)
        if not self.first:
            for each in reports:
                self.with_ours.report(*each)

    def tell(self, place: tuple[str, int], others_e2: int, both_e2: int) -> None:
        if both_e2:
            self.with_ours.delta(place[1], both_e2, place[0])
        if others_e2:
            self.without.delta(place[1], others_e2, place[0])


@settings(max_examples=60, deadline=None)
@given(st.lists(_ACT, max_size=40))
def test_orders_put_in_and_taken_out_leave_the_same_rows(acts):
    both = Doubled(fill_is_told_first=True)
    for act in acts:
        both.play(*act)
        assert both.with_ours.rows == both.without.rows


@settings(max_examples=60, deadline=None)
@given(st.lists(_ACT, max_size=40))
def test_reports_after_their_deltas_leave_the_same_books(acts):
    both = Doubled(fill_is_told_first=False)
    for act in acts:
        both.play(*act)
        if len(both.with_ours.rows) and len(both.without.rows):
            assert book_of(both.with_ours) == book_of(both.without)


def book_of(scene: Watched) -> list[Any]:
    names = (*Rows._fields, "exch_ns")
    row = dict(zip(names, scene.rows[-1], strict=True))
    return [row[name] for name in ("bid_px_e4", "bid_qty_e2", "ask_px_e4", "ask_qty_e2", "valid")]


def test_the_scene_of_the_property_fills_our_orders():
    both = Doubled(fill_is_told_first=True)
    both.play("rest", ("yes", 4_000), 300)
    both.play("sell", ("yes", 4_000), 600)
    assert both.ours == {"kp-a-1": (("yes", 4_000), 200)}
    assert np.sign(both.with_ours.own.counts["own_told"]) == 1
    assert both.with_ours.rows == both.without.rows
