"""Opening: positions and cash from the exchange, and the accounts that it refuses or opens halted."""

import asyncio
import shutil
import sqlite3
from contextlib import nullcontext
from dataclasses import replace

import pytest
from made.execution import A, B
from made.plain_account import S

from kalshi_platform.domain.errors import ContractError, DataError, ExchangeError
from kalshi_platform.trading.execution.journal import account_lock
from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.reconcile.reconciler import Reconciler
from kalshi_platform.trading.execution.risk.modes import RiskMode


def refused(bench, kind, words):
    with pytest.raises(kind, match=words):
        bench.open()
    bench._executor = None


def test_a_new_journal_takes_positions_and_cash_and_no_old_fill(benches):
    bench = benches(opened=False)
    bench.account.fill(bench.account.place("by-hand", A, "ask", 6_000, 300), 300)
    bench.clock.now_ns += S
    executor = bench.open()
    assert executor.ledger.position_e2(A) == -300
    assert executor.ledger.cash_e6 == bench.account.cash_e6
    assert executor.snapshot().mode is RiskMode.ACTIVE
    bench.calm(40)
    assert executor.ledger.position_e2(A) == -300
    assert executor.snapshot().counts.keys() & {"difference:foreign_fill", "difference:cash"} == set()
    bench.crash()
    assert bench.open().ledger.position_e2(A) == -300
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6


@pytest.mark.parametrize("name", ["orders", "fills", "positions", "settlements"])
def test_a_list_that_is_not_whole_refuses_trading(benches, name):
    bench = benches(opened=False)
    bench.account.fill(bench.account.place("by-hand", A, "ask", 6_000, 300), 100)
    bench.account.cut = {name}
    refused(bench, DataError, "incomplete")
    bench.account.cut = set()
    bench.open()  # nothing was held, nothing half written
    bench.account.cut = {name}
    bench.crash()
    refused(bench, ExchangeError, "not whole")


def test_an_exchange_that_is_away_refuses_trading(benches):
    bench = benches(opened=False)
    bench.account.away = True
    refused(bench, ExchangeError, "no address")


def test_a_restored_older_journal_is_refused_by_the_exchanges_orders(bench):
    bench.submit()
    bench.close()
    kept = bench.folder.parent / "kept"
    shutil.copytree(bench.folder, kept)
    bench.open()
    bench.clock.now_ns += S
    newest = bench.submit(qty_e2=700).order.client_order_id
    bench.close()
    shutil.rmtree(bench.folder)
    shutil.copytree(kept, bench.folder)
    refused(bench, ContractError, f"older copy.*{newest}")
    refused(bench, ContractError, "older copy")  # also the second time
    assert len(bench.account.creates) == 2


def test_a_restored_older_journal_is_refused_though_its_lost_orders_have_ended(bench):
    bench.close()
    kept = bench.folder.parent / "kept"
    shutil.copytree(bench.folder, kept)
    bench.open()
    bench.clock.now_ns += S
    bench.account.next_create.append("filled")
    bench.submit(qty_e2=700)
    bench.close()
    shutil.rmtree(bench.folder)
    shutil.copytree(kept, bench.folder)
    refused(bench, ContractError, "older copy")


def test_orders_by_hand_open_it_halted_and_a_person_resumes(benches):
    bench = benches(opened=False)
    by_hand = bench.account.place("by-hand", A, "bid", 3_000, 100)
    bench.open()
    assert bench.executor.snapshot().mode is RiskMode.HALTED
    assert "foreign_order by-hand" in bench.executor.snapshot().mode_why
    bench.calm(70)
    assert by_hand.status == "canceled"  # a cancel of all is one
    bench.executor.resume("seen")
    assert bench.submit().order is not None


def test_a_restored_older_journal_is_refused_where_its_lost_order_ended_unfilled(bench):
    bench.close()
    kept = bench.folder.parent / "kept"
    shutil.copytree(bench.folder, kept)
    bench.open()
    bench.clock.now_ns += S
    lost = bench.submit().order
    bench.run(bench.executor.cancel(lost.client_order_id))
    bench.close()
    shutil.rmtree(bench.folder)
    shutil.copytree(kept, bench.folder)
    refused(bench, ContractError, f"older copy.*{lost.client_order_id}")


def test_two_sessions_on_one_account_halt_each_other(benches, monkeypatch):
    first = benches()
    second = benches(opened=False)
    second.account, second.clock = first.account, first.clock
    second.folder.mkdir()
    first.submit()
    second.home = second.folder / "home of another machine"
    monkeypatch.setattr(account_lock, "_named", lambda account: nullcontext())
    second.open()
    assert "another_session" in second.executor.snapshot().mode_why
    second.crash()


def test_fills_by_hand_while_it_runs_are_booked_and_halt(bench):
    bench.clock.now_ns += S
    bench.account.fill(bench.account.place("by-hand", B, "bid", 3_000, 100), 100)
    bench.deliver()
    bench.calm(5)
    assert bench.executor.ledger.position_e2(B) == 100
    assert bench.executor.ledger.cash_e6 == bench.account.cash_e6
    snapshot = bench.executor.snapshot()
    assert snapshot.mode is RiskMode.HALTED
    assert snapshot.counts["difference:foreign_fill"] == 1
    bench.crash()
    assert bench.open().ledger.position_e2(B) == 100
    assert bench.executor.snapshot().mode is RiskMode.HALTED  # a restart is no person


def test_a_digit_that_changed_within_the_journal_is_found_by_the_comparison(bench):
    bench.account.next_create.append("filled")
    bench.submit(qty_e2=700)
    bench.deliver()
    bench.close()
    with sqlite3.connect(bench.folder / "journal.sqlite") as database:
        database.execute("UPDATE fills SET qty_e2 = 600")
    bench.open()
    bench.calm(40)
    assert bench.executor.ledger.position_e2(A) == 700
    assert bench.executor.snapshot().mode is RiskMode.HALTED
    assert bench.executor.snapshot().counts["difference:missing_fill"] == 1


def test_limits_of_pace_and_day_survive_a_restart(benches):
    bench = benches({"day_orders": 3, "orders_per_minute": 100})
    for _ in range(3):
        assert bench.submit(qty_e2=100).order is not None
    bench.crash()
    bench.open()
    assert {r.limit for r in bench.submit(qty_e2=100).refusals} == {"day_orders"}


def test_what_a_person_resumed_over_halts_no_second_time_after_a_restart(bench):
    bench.clock.now_ns += S
    bench.account.end(bench.account.place("by-hand", A, "bid", 3_000, 100))
    bench.deliver()
    bench.account.next_create.append("lost_accepted")
    bench.submit()  # the market's ended orders are looked at
    bench.calm(80)
    assert "foreign_order by-hand" in bench.executor.snapshot().mode_why
    bench.executor.resume("mine")
    bench.close()
    bench.open()
    bench.account.next_create.append("lost_accepted")
    bench.submit()
    bench.calm(80)
    assert bench.executor.snapshot().mode is RiskMode.ACTIVE


def test_fills_that_were_given_up_are_not_waited_for_after_a_restart(bench):
    bench.account.next_create.append("fill_first")
    order = bench.submit(qty_e2=1_000).order
    bench.deliver()
    bench.account.orders[order.order_id].filled_e2 = 700  # 200 more than any fill tells
    bench.account.tell(bench.account.orders[order.order_id])
    bench.deliver()
    bench.calm(140)
    assert "missing_fill" in bench.executor.snapshot().mode_why
    bench.executor.resume("seen")
    bench.calm(2)
    bench.crash()
    found = bench.open().ledger.of(order.client_order_id, None)
    assert (found.written_off_e2, found.fills_missing_e2) == (200, 0)
    bench.calm(80)
    assert bench.executor.snapshot().mode is RiskMode.ACTIVE


def test_a_first_comparison_that_is_not_whole_forgets_no_foreign_order(benches):
    bench = benches(opened=False)
    bench.account.place("by-hand", A, "bid", 3_000, 100)
    real = Reconciler.compare

    async def broken(self):
        return replace(await real(self), why="cut")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reconciler, "compare", broken)
        refused(bench, ExchangeError, "not whole")
    bench.open()
    assert bench.executor.snapshot().mode is RiskMode.HALTED
    assert "by-hand" in bench.executor.snapshot().mode_why


@pytest.mark.parametrize("how", ["kill", "Ctrl-C"])
def test_the_halt_for_an_order_by_hand_is_on_disk_before_it_was_told(benches, how):
    """An end of the process in the first comparison's sync, before the opening is done."""
    bench = benches(opened=False)
    by_hand = bench.account.place("by-hand", A, "bid", 3_000, 500)
    bench.clock.now_ns += S
    real = LedgerKeeper.on_disk_or_late

    class Killed(BaseException):
        pass

    async def ended(self):
        journal = self.journal
        if not list(journal.notes("foreign_told")):
            return await real(self)
        if how == "Ctrl-C":
            raise asyncio.CancelledError
        await real(self)
        journal._db.rollback()
        journal._db.close()
        journal._locks.close()
        journal.close = lambda: None
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LedgerKeeper, "on_disk_or_late", ended)
        with pytest.raises((Killed, asyncio.CancelledError)):
            bench.open()
    bench.clock.now_ns += S
    bench.open()
    assert bench.executor.mode is RiskMode.HALTED
    assert "by-hand" in bench.executor.mode_why
    assert bench.submit().order is None
    assert by_hand.status == "canceled"  # the cancel of all was still due
