"""Whole sessions that are disturbed: a second one, a journal put back, kill -9, a full disk, no names, and
markets that pause, change and close. Afterwards journal and server agree to the last unit, and no id was
used twice.

A sample runs always; ``FAULTS=whole`` plays all of them, as `make faults` does.
"""

import os
from collections import Counter

import httpx
import pytest
from made.raw_exchange import RawKey
from made.session_drills import Desk
from made.sim_server import demo_keys
from made.trading_scene import ThreadedExchange

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.trading.execution.journal.journal import open_journal
from kalshi_platform.trading.simserver.faults.forms import PlantedFault

WHOLE = os.environ.get("FAULTS") == "whole"
whole_only = pytest.mark.skipif(not WHOLE, reason="played by `make faults` (FAULTS=whole)")
pytestmark = [pytest.mark.timeout(1200), pytest.mark.usefixtures("outside_pause")]
#: Three events at a time, of which the session wants some.
MIXED: dict[str, object] = {}


def one_event(n_markets: int) -> dict[str, object]:
    """Options of an exchange with one event at a time, which the session wants, of ``n_markets`` markets."""
    shares = {"single_share": 0.0, "nested_share": 1.0, "min_markets": n_markets, "max_markets": n_markets}
    return {"n_events": 1, "world": shares}


@pytest.fixture
def desks(tmp_path, monkeypatch):
    """Maker of desks, each at an exchange of its own."""
    for name in list(os.environ):
        if name.startswith("KALSHI_") and name not in ("KALSHI_PLATFORM_HOME", "KALSHI_PLATFORM_CACHE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "home"))
    running: list[ThreadedExchange] = []

    def make(style="maker", speed=1.0, exchange_options=MIXED, **trading) -> Desk:
        exchange = ThreadedExchange(speed=speed, tier="prestige", seed=5, **exchange_options)
        running.append(exchange.__enter__())
        return Desk(exchange, tmp_path, style, **trading)

    yield make
    for exchange in running:
        exchange.__exit__()


def plant(desk: Desk, kind: str, **fault) -> None:
    """Plant a fault, in the server's own thread."""
    desk.exchange.call(lambda: desk.exchange.server.acts.plant(PlantedFault.parse({"kind": kind, **fault})))


def never_twice(desk: Desk) -> None:
    """No client id reached the exchange twice."""
    names = Counter(each["client_order_id"] for each in desk.truth()["orders"])
    assert [name for name, n in names.items() if n > 1] == []


def test_a_second_session_is_refused_and_a_restored_journal_too(desks, tmp_path, monkeypatch):
    desk = desks()
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "another home"))
    with (
        open_journal(tmp_path / "elsewhere", desk.account),
        pytest.raises(ContractError, match=rf"process {os.getpid()}.*one process at a time"),
    ):
        desk.trade(lambda: True)
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "home"))
    assert desk.truth()["orders"] == []
    desk.trade(lambda: len(desk.orders()) >= 2)
    kept, before = desk.keep("kept"), len(desk.orders())
    desk.trade(lambda: len(desk.orders()) >= before + 2)
    newest = desk.keep("newest")
    desk.put_back(kept)
    with pytest.raises(ContractError, match="is an older copy: the exchange has") as told:
        desk.trade(lambda: True)
    assert len(str(told.value)) < 500
    desk.put_back(newest)
    desk.trade(desk.is_calm)
    assert desk.disagreements() == []
    never_twice(desk)


def test_orders_of_another_session_on_another_machine_halt_this_one(desks):
    desk = desks()
    placed: list[httpx.Response] = []

    def by_another() -> bool:
        if not placed and desk.orders():
            placed.append(place_by_hand(desk, "kp-0123456789ab-00000001"))
        return bool(placed) and desk.risk()["mode"] == "halted"

    desk.trade(by_another)
    assert placed[0].status_code == 201, placed[0].text
    assert "another_session kp-0123456789ab-00000001" in desk.risk()["why"]
    desk.trade(lambda: bool(desk.risk()["mode"]))
    assert desk.risk()["mode"] == "halted"  # a start makes nothing of it undone
    assert desk.disagreements() == []


def place_by_hand(desk: Desk, client_id: str) -> httpx.Response:
    """Place an order with the same key, as a session elsewhere would."""
    key, path = RawKey(demo_keys(), "ed25519"), "/trade-api/v2/portfolio/events/orders"
    ticker = desk.orders()[0]["ticker"]
    body = {
        "ticker": ticker, "side": "bid", "price": "0.0100", "count": "1.00", "client_order_id": client_id,
        "time_in_force": "good_till_canceled", "self_trade_prevention_type": "taker_at_cross",
    }  # fmt: skip
    return httpx.post(
        desk.exchange.served.url + "/portfolio/events/orders", json=body, headers=key.headers("POST", path),
        timeout=None,
    )  # fmt: skip


def _of(kind: str, method: str, **more: object) -> dict[str, object]:
    """Fault of the order calls."""
    return {"kind": kind, "method": method, "path": "events/orders", **more}


#: Reports that would tell of an order what its own answer does not: the stream's, and the list of orders.
_SILENCE = (
    {"kind": "drop_frame", "channel": "user_orders", "count": 10_000},
    {"kind": "http_5xx", "method": "GET", "path": "portfolio/orders", "count": 10_000},
)
#: State in which the session is killed, and the faults that bring an order into it.
_STATES: dict[str, tuple[dict[str, object], ...]] = {
    "pending": (*_SILENCE, _of("late_ack", "POST", seconds=4.0, count=2)),
    "unknown": (*_SILENCE, _of("timeout_accepted", "POST", seconds=60.0)),
    "unknown (refused)": (_of("timeout_refused", "POST", seconds=60.0),),
    "resting": (),
    "cancelling": (*_SILENCE, _of("late_ack", "DELETE", seconds=4.0, count=2)),
    "cancel_unknown": (*_SILENCE, _of("timeout_accepted", "DELETE", seconds=60.0)),
    "cancel_unknown (refused)": (_of("timeout_refused", "DELETE", seconds=60.0),),
    "cancelled": (),
    "filled": (),
}


@pytest.mark.parametrize(
    "name", [name if name == "cancelling" else pytest.param(name, marks=whole_only) for name in _STATES]
)
def test_a_session_killed_in_any_state_of_an_order_goes_on_where_it_was(desks, name):
    state, is_there = name.partition(" ")[0], name != "unknown (refused)"
    desk = desks("taker" if state == "filled" else "maker", order_ttl_ms=1_500)
    with desk.child() as child:
        child.until(lambda: desk.orders() and desk.snapshot())
        for fault in _STATES[name]:
            plant(desk, **fault)

        def is_so() -> bool:
            found = {each["client_order_id"] for each in desk.orders(f"state = '{state}'")}
            there = {each["client_order_id"] for each in desk.truth()["orders"]}
            return bool(found & there if is_there else found - there)

        child.until(is_so)
        child.kill()
    desk.exchange.call(desk.exchange.server.faults.disarm)
    count = len(desk.truth()["orders"])
    desk.trade(lambda: desk.is_calm() and len(desk.truth()["orders"]) > count)
    assert desk.disagreements() == []
    never_twice(desk)


@whole_only
def test_an_end_with_answers_that_are_late_leaves_nothing_at_rest(desks):
    desk, planted = desks(), []

    def some_rest_and_one_is_late() -> bool:
        if not planted and desk.truth()["resting"]:
            planted.append(True)
            plant(desk, **_SILENCE[0])
            plant(desk, **_of("late_ack", "POST", seconds=4.0, count=1_000))
        return bool(desk.exchange.server.faults.counts["late_ack"])

    desk.trade(some_rest_and_one_is_late)
    assert desk.disagreements() == []
    never_twice(desk)


def test_on_a_full_disk_no_order_leaves_that_is_not_in_the_journal(desks):
    desk = desks(order_ttl_ms=1_500)
    with desk.child(full_after=3) as child:
        child.until(lambda: "the disk is full" in child.words())
        child.until_ended_or(lambda: desk.risk()["mode"] == "halted")
        code = child.stop()
        words = child.words()
    assert code in (0, 3), words
    assert "Traceback" not in words
    assert "journal" in words or "cannot be written" in words
    journaled = {each["client_order_id"] for each in desk.orders()}
    assert {each["client_order_id"] for each in desk.truth()["orders"]} <= journaled
    desk.trade(desk.is_calm, resume="there is room again" if desk.risk()["mode"] == "halted" else "")
    assert desk.disagreements() == []
    never_twice(desk)


@whole_only
def test_half_an_hour_without_names_with_six_orders_resting(desks, tmp_path):
    names = tmp_path / "no-names"
    desk = desks(speed=30.0, exchange_options=one_event(12), order_ttl_ms=3_600_000)
    with desk.child(names=str(names)) as child:
        child.until(lambda: len(desk.truth()["resting"]) >= 6)
        began_ns = desk.exchange.server.venue.clock.now_ns
        names.touch()
        plant(desk, "disconnect", count=10)
        child.until(lambda: desk.exchange.server.venue.clock.now_ns - began_ns >= 1_800 * 10**9)
        sent = len(desk.orders())
        names.unlink()
        child.until(lambda: desk.is_calm() and len(desk.orders()) > sent)
        assert child.stop() == 0, child.words()
    assert desk.disagreements() == []
    never_twice(desk)


def event_of(ticker: str) -> str:
    """Event of a market."""
    return ticker.rpartition("-")[0]


@pytest.mark.parametrize(
    "kinds",
    [
        ["market_pause", "tick_change"],
        *(pytest.param([kind], marks=whole_only) for kind in ("pause", "maintenance", "fee_change")),
    ],
    ids="+".join,
)
def test_markets_that_change_while_orders_rest_leave_nothing_unlike_the_exchange(desks, kinds):
    desk, planted = desks(), []

    def changed() -> bool:
        if not planted and (resting := desk.truth()["resting"]):
            planted.append(len(desk.orders()))
            for kind in kinds:
                plant(desk, kind, seconds=3, ticker=event_of(resting[0]["ticker"]))
        return bool(planted) and len(desk.orders()) >= planted[0] + 2 and desk.is_calm()

    desk.trade(changed)
    struck = desk.exchange.server.faults.counts
    assert [kind for kind in kinds if not struck[kind]] == []
    assert desk.disagreements() == []
    never_twice(desk)


@whole_only
@pytest.mark.parametrize("kinds", [["early_close"], ["redetermine", "early_close"]], ids="+".join)
def test_a_position_and_an_order_meet_an_early_close_and_the_next_event_is_traded(desks, kinds):
    desk, closed = desks(speed=20, exchange_options=one_event(4)), []

    def is_paid_and_goes_on() -> bool:
        truth = desk.truth()
        held = {event_of(ticker) for ticker in truth["positions_e2"]}
        if not closed and (both := held & {event_of(each["ticker"]) for each in truth["resting"]}):
            closed.extend(both)
            for kind in kinds:
                plant(desk, kind, seconds=20, ticker=closed[0])
        if not closed or closed[0] not in {event_of(each["ticker"]) for each in desk.settlements()}:
            return False
        return desk.is_calm() and any(event_of(each["ticker"]) != closed[0] for each in desk.orders())

    desk.trade(is_paid_and_goes_on)
    struck = desk.exchange.server.faults.counts
    assert [kind for kind in kinds if not struck[kind]] == []
    assert [each for each in desk.truth()["settlements"] if event_of(each["ticker"]) == closed[0]]
    assert desk.disagreements() == []
    never_twice(desk)
