"""The ledger: whose report it is, and what contradicts what."""

import dataclasses

import pytest
from made.execution import ASK, A, B, intent
from made.plain_account import HandClock, PlainAccount

from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.reports import ReportedStatus, fill_of_stream, order_of_stream
from kalshi_platform.trading.execution.orders.states import OrderState


class Scene:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.account, self.ledger = PlainAccount(self.clock), OrderLedger()
        self.order = Order(1, "kp-a-1", intent(self.clock), 0, self.clock.wall_ns())
        self.ledger.add(self.order)
        self.theirs = self.account.place("kp-a-1", A, "bid", 4_000, 1_000)

    def report(self, **changes):
        return dataclasses.replace(order_of_stream(self.account.body(self.theirs)), **changes)

    def fill(self, qty_e2, **changes):
        self.account.fill(self.theirs, qty_e2)
        return dataclasses.replace(fill_of_stream(self.account.trades[-1]), **changes)


@pytest.fixture
def scene():
    return Scene()


def test_a_fill_before_the_acknowledgement_finds_its_order_and_repeats_count_once(scene):
    fill = scene.fill(300)
    assert scene.ledger.take_fill(fill) is scene.order
    assert scene.order.state is OrderState.RESTING
    assert scene.order.order_id == "o-1"
    assert scene.ledger.take_fill(fill) is None
    assert scene.order.fills_e2 == 300


def test_a_fill_without_client_id_waits_until_the_order_is_known(scene):
    fill = scene.fill(300, client_order_id=None)
    assert scene.ledger.take_fill(fill) is None
    assert list(scene.ledger.waiting) == [fill.key]
    scene.ledger.learn_id(scene.order, "o-1")
    assert scene.ledger.waiting_of(scene.order) == [fill]
    assert scene.ledger.take_fill(fill) is scene.order
    assert not scene.ledger.waiting


def test_a_late_report_of_an_earlier_state_changes_nothing(scene):
    resting = scene.report()
    scene.fill(1_000)
    scene.ledger.take_report(scene.report())
    assert scene.order.state is OrderState.FILLED
    scene.ledger.take_report(resting)
    assert (scene.order.state, scene.order.filled_e2) == (OrderState.FILLED, 1_000)
    assert not scene.ledger.surprises


def test_an_order_with_missing_fills_stays_live_and_exposed(scene):
    scene.fill(1_000)
    scene.ledger.take_report(scene.report())
    assert scene.order.is_ended
    assert scene.order.exposed_e2 == 1_000
    assert list(scene.ledger.live) == ["kp-a-1"]
    scene.ledger.take_fill(fill_of_stream(scene.account.trades[-1]))
    assert not scene.ledger.live


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"ticker": B}, "report_of_another_order"),
        ({"price_e4": 4_100}, "report_of_another_order"),
        ({"filled_e2": 1_001}, "overfilled"),
    ],
)
def test_a_report_that_cannot_be_of_this_order_is_a_surprise(scene, changes, name):
    scene.ledger.take_report(scene.report(**changes))
    assert scene.ledger.surprises[name] == 1


def test_a_report_of_another_market_says_nothing_of_this_order(scene):
    before = scene.order.state
    scene.ledger.take_report(scene.report(ticker=B, status=ReportedStatus.CANCELED))
    assert scene.order.state is before


@pytest.mark.parametrize("changes", [{"ticker": B}, {"side": ASK}])
def test_a_fill_of_another_market_or_side_is_not_booked(scene, changes):
    fill = scene.fill(200)
    assert scene.ledger.take_fill(dataclasses.replace(fill, **changes)) is None
    assert scene.ledger.surprises["fill_of_another_order"] == 1
    assert scene.ledger.position_e2(A) == scene.ledger.position_e2(B) == 0
    assert scene.ledger.waiting == {}
    assert scene.ledger.take_fill(fill) is scene.order  # the truth, later


def test_a_fill_under_another_id_of_the_exchange_is_a_surprise(scene):
    scene.ledger.take_report(scene.report())
    scene.ledger.take_fill(scene.fill(200, order_id="o-2", client_order_id="kp-a-1"))
    assert scene.ledger.surprises["two_orders_of_one_client_id"] == 1


def test_the_shard_of_a_market_is_known_told_the_only_one_or_nobodys():
    ledger = OrderLedger()
    assert ledger.shard_of(A, None) is None
    assert ledger.shard_of(A, 2) == 2
    ledger.open_cash(3, 0)
    assert ledger.shard_of(A, None) == 3
    ledger.see_shards([3, 1])
    assert ledger.shard_of(A, None) is None
    ledger.market(A, 1)
    assert ledger.shard_of(A, None) == ledger.shard_of(A, 3) == 1


def test_one_client_id_with_two_orders_is_a_surprise(scene):
    scene.ledger.take_report(scene.report())
    scene.ledger.take_report(scene.report(order_id="o-2"))
    assert scene.ledger.surprises["two_orders_of_one_client_id"] == 1


def test_what_is_not_ours_is_kept_apart(scene):
    assert scene.ledger.take_report(scene.report(order_id="o-9", client_order_id="by-hand")) is None
    assert list(scene.ledger.foreign_orders) == ["o-9"]
    foreign = scene.fill(200, order_id="o-9", client_order_id=None)
    assert scene.ledger.take_fill(foreign) is None
    assert scene.ledger.position_e2(A) == 0
    assert scene.ledger.book_foreign(foreign)
    assert not scene.ledger.book_foreign(foreign)
    assert scene.ledger.position_e2(A) == 200


def test_a_market_whose_shard_nobody_told_is_an_error_of_ours(scene):
    with pytest.raises(AssertionError, match="shard"):
        scene.ledger.market("KXNEW")


def test_what_only_lists_told_is_added_up_at_the_marks():
    """By hand: 5 $ paid in; then 10 YES that cost 4 $ are found, and 4 $ of cash are gone: nothing came."""
    ledger = OrderLedger()
    ledger.open_cash(0, 5_000_000)
    assert ledger.unexplained_e6 == 5_000_000
    ledger.correct("M", 0, 1_000, 4_000_000, 1)
    ledger.open_cash(0, -4_000_000)
    assert ledger.unexplained_e6 == 5_000_000
