"""Recovery: the ledger that the rows add up to."""

import sqlite3

import pytest
from made.execution import ASK, A, B
from made.plain_account import S

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.execution.journal.recover import recover


def stand(executor):
    ledger = executor.ledger
    orders = {
        c: (o.state, o.order_id, o.filled_e2, o.fills_e2, o.fees_e6, o.cancel_wanted, o.reason, o.intent)
        for c, o in ledger.orders.items()
    }
    markets = {
        t: (
            m.exchange_index,
            m.position_e2,
            m.cost_e6,
            m.opened_ns,
            m.if_yes_e6,
            m.if_no_e6,
            m.flow_e6,
            m.value_e4,
        )
        for t, m in ledger.markets.items()
    }
    return orders, markets, ledger.cash_e6, set(ledger.live), executor._exposures.facts


def test_a_closed_journal_gives_the_same_ledger_again(bench):
    account = bench.account
    account.next_create.extend(["filled", "fill_first", "refused", "accepted"])
    for ticker in (A, B):
        bench.submit(ticker=ticker)
    bench.submit()
    bench.submit(ASK, price_e4=4_500)
    bench.deliver()
    bench.clock.now_ns += S
    account.fill(account.place("by-hand", B, "bid", 3_000, 100), 100)
    account.settle(A, 10_000)
    account.cash_e6[0] += 5_000_000
    bench.calm(45)
    before = stand(bench.executor)
    bench.close()
    bench.open()
    assert stand(bench.executor) == before
    assert bench.executor.ledger.cash_e6 == account.cash_e6


def test_a_correction_after_fills_gives_the_same_cash_again(bench):
    """The fills before it closed nothing that it made."""
    bench.account.next_create.append("filled")
    bench.submit()
    bench.deliver()
    bench.clock.now_ns += S
    keeper = bench.executor._keeper
    keeper.correct(bench.clock.wall_ns(), "position", A, 0, -1_500, 600_000)
    keeper.commit()
    was, again = keeper.ledger.markets[A], recover(keeper.journal)
    assert again.markets[A] == was
    assert again.cash_e6 == keeper.ledger.cash_e6
    assert (was.position_e2, was.cost_e6) == (-500, 200_000)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE orders SET price_e4 = 'abc'",
        "UPDATE orders SET state = 'asleep'",
        "UPDATE orders SET side = 'yes'",
        "UPDATE fills SET client_order_id = 'nobody', order_id = 'nowhere'",
        "UPDATE fills SET qty_e2 = 1.5",
        "UPDATE fills SET fee_e6 = 'a'",
        "UPDATE orders SET expires_s = x'01'",
        "UPDATE orders SET ticker = x'4b58'",
        "UPDATE fills SET ticker = x'4b58'",
    ],
)
def test_a_row_that_cannot_be_is_refused(bench, change):
    bench.account.next_create.append("filled")
    bench.submit()
    bench.deliver()
    bench.close()
    with sqlite3.connect(bench.folder / "journal.sqlite") as database:
        database.executescript(change)
    with pytest.raises(DataError, match="the journal is damaged"):
        bench.open()
    bench._executor = None
