"""Orders that are not ours: named once, by whose they are."""

import pytest
from made.execution import A

from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.orders.reports import OrderReport, ReportedStatus
from kalshi_platform.trading.execution.reconcile.foreign import ForeignOrders


def report(client_id, status=ReportedStatus.RESTING, exch_ns=50, order_id="o-1"):
    return OrderReport(order_id, client_id, A, BookSide.BID, 4_000, status, 100, 0, 100, None, exch_ns)


@pytest.fixture
def foreign(bench):
    keeper = bench.executor._keeper
    keeper.set_meta("opened_ns", "100")
    return ForeignOrders(keeper)


@pytest.mark.parametrize(
    ("client_id", "kind"),
    [(None, "foreign_order"), ("mine", "foreign_order"), ("kp-000000000000-00000001", "another_session")],
)
def test_an_order_is_named_once_by_whose_it_is(foreign, client_id, kind):
    assert [each.kind for each in foreign.differences(report(client_id))] == [kind]
    assert foreign.differences(report(client_id)) == []


def test_an_order_of_this_journal_that_it_lacks_says_that_it_is_older(foreign, bench):
    name = bench.executor._keeper.journal.next_client_id
    assert [each.kind for each in foreign.differences(report(name))] == ["older_journal"]


def test_orders_of_others_that_ended_before_are_their_own_affair(foreign):
    assert foreign.differences(report("mine", ReportedStatus.CANCELED)) == []
    assert len(foreign.differences(report("mine", ReportedStatus.CANCELED, 101))) == 1
