"""What readers found in takings over, settlements and halts: each is a run that went wrong before."""

import asyncio
import shutil
from contextlib import suppress

import pytest
from made.execution import BID, A, B
from made.plain_account import S

from kalshi_platform.domain.errors import ContractError, LimitError, StorageError
from kalshi_platform.trading.execution import opening
from kalshi_platform.trading.execution.risk.modes import RiskMode

HAND = "KXHAND-26DEC01-T1"


@pytest.fixture
def another(benches):
    """Makes a further folder of a bench's account, not opened yet."""

    def make(bench):
        further = benches(opened=False)
        further.account, further.clock, further.home = bench.account, bench.clock, bench.home
        return further

    return make


def bought(bench, ticker=A, price_e4=4_000, qty_e2=1_000):
    bench.account.next_create.append("filled")
    assert bench.submit(BID, price_e4, qty_e2, ticker).order is not None
    bench.deliver()
    bench.calm(3)


@pytest.mark.parametrize("is_cut", [False, True])
@pytest.mark.parametrize("paid_e4", [0, 10_000])
def test_a_payment_of_a_position_at_its_cost_is_no_result_where_its_comparison_is_cut_either(
    benches, is_cut, paid_e4
):
    """100 YES that cost 40 dollars are paid; cash still differs, so that the comparison looks once more."""
    bench = benches({"day_loss_usd": 30, "drawdown_usd": 30}, opened=False)
    account = bench.account
    account.yes_e2[A], account.cost_e6[A] = 10_000, 40_000_000
    bench.open()
    bench.calm(2)
    account.settle(A, paid_e4)
    account.cash_e6[1] += 5_000_000

    async def cut() -> None:
        sleep, bench.clock.sleep = bench.clock.sleep, lambda _seconds: asyncio.sleep(3_600)
        comparing = asyncio.ensure_future(bench.executor.reconcile())
        await asyncio.sleep(0.05)
        comparing.cancel()
        with suppress(asyncio.CancelledError):
            await comparing
        bench.clock.sleep = sleep
        await bench.executor.close()

    if is_cut:
        bench.run(cut())
        bench._executor = None
        bench.clock.now_ns += S
        bench.open()
    bench.run(bench.executor.reconcile())
    bench.calm(3)
    losses = bench.executor._results.losses
    assert losses.day_loss_e6 == losses.drawdown_e6 == 0
    assert bench.executor.ledger.market(A).value_e4 == paid_e4
    assert "_usd" not in bench.executor.mode_why


def test_a_journal_that_was_the_accounts_own_is_never_emptied(benches, another):
    first = benches()
    bought(first)
    first.run(first.executor.halt("operator: stop"))
    first.calm(70)
    first.close()
    used = another(first)  # sends no order of its own
    used.open()
    used.calm(3)
    used.close()
    gone = another(first)
    gone.open()
    gone.calm(2)
    gone.close()
    shutil.rmtree(gone.folder)
    used.open()
    assert "operator: stop" in used.executor.mode_why
    assert "is gone" in used.executor.mode_why
    used.close()
    other = another(first)
    other.open()
    other.calm(70)
    other.executor.resume("another session")
    other.close()
    with pytest.raises(ContractError, match="the account went on in"):
        used.open()


@pytest.mark.parametrize("is_halted", [True, False])
def test_somebody_elses_order_at_an_opening_is_named_where_people_look(benches, another, is_halted, caplog):
    first = benches()
    first.calm(3)
    first.close()
    shutil.rmtree(first.folder)
    second = another(first)
    if not is_halted:  # the first journal of a machine begins active
        second.home = second.folder.parent / "another-home"
    second.account.place("stranger-1", B, BID, 3_000, 500)
    second.open()
    snapshot = second.executor.snapshot()
    assert snapshot.mode is RiskMode.HALTED
    assert ("is gone" in snapshot.mode_why) == is_halted
    assert "grave differences, first: foreign_order" in snapshot.mode_why
    assert snapshot.counts["difference:foreign_order"] == 1
    assert "foreign_order" in caplog.text
    kinds = [note["kind"] for note in second.executor._keeper.journal.notes("difference")]
    assert kinds.count("foreign_order") == 1


def test_a_persons_halt_in_a_folder_that_waits_outlives_the_return_of_the_one_before(benches, another):
    first = benches()
    first.calm(3)
    first.close()
    away = first.folder.with_name("away")
    shutil.move(first.folder, away)
    waiting = another(first)
    waiting.open()
    waiting.run(waiting.executor.halt("operator: the model is wrong"))
    waiting.calm(5)
    assert "is gone" in waiting.executor.mode_why
    assert "operator: the model is wrong" in waiting.executor.mode_why
    waiting.close()
    shutil.move(away, first.folder)
    waiting.open()
    waiting.calm(70)
    assert waiting.executor.mode_why == "operator: the model is wrong"
    assert [each.limit for each in waiting.submit().refusals] == ["not_active"]


@pytest.mark.parametrize("why", ["page: the model is wrong", "operator: the model is wrong"])
def test_that_halt_outlives_an_opening_that_is_cut_and_folders_named_like_it(
    benches, another, why, monkeypatch, tmp_path
):
    first = benches(opened=False)
    first.folder = tmp_path / "page operator"  # both are pieces of the reason that names the folder
    first.open()
    first.calm(3)
    first.close()
    away = first.folder.with_name("away")
    shutil.move(first.folder, away)
    waiting = another(first)
    waiting.open()
    waiting.run(waiting.executor.halt(why))
    waiting.calm(5)
    waiting.close()
    shutil.move(away, first.folder)
    with monkeypatch.context() as patch:
        patch.setattr(opening, "note_newest", lambda *_: (_ for _ in ()).throw(StorageError("no space")))
        with pytest.raises(StorageError, match="no space"):
            waiting.open()
    waiting.open()
    assert waiting.executor.mode_why == why
    with pytest.raises(LimitError, match="a cancel of all orders may hit new ones"):
        waiting.executor.resume("seen")  # the waiting folder's own, some seconds ago
    waiting.calm(70)
    waiting.executor.resume("seen")
    assert waiting.submit().order is not None


def test_a_halt_without_a_reason_halts(bench):
    bench.executor._control.halt("")
    assert bench.executor.snapshot().mode is RiskMode.HALTED


def test_the_return_of_the_journal_before_ends_a_wait_that_nobody_halted(benches, another):
    first = benches()
    first.calm(3)
    first.close()
    away = first.folder.with_name("away")
    shutil.move(first.folder, away)
    waiting = another(first)
    for _ in range(2):
        waiting.open()
        assert waiting.executor.snapshot().mode is RiskMode.HALTED
        waiting.close()
    shutil.move(away, first.folder)
    waiting.open()
    assert waiting.executor.snapshot().mode is RiskMode.ACTIVE


def test_reasons_of_a_halt_stand_beside_each_other_and_no_figure_is_told_twice(bench):
    control = bench.executor._control
    for why in ("operator: stop", "day_loss_usd: 5 lost", "day_loss_usd: 6 lost", "operator: stop"):
        control.halt(why)
    assert bench.executor.mode_why == "operator: stop; day_loss_usd: 5 lost"
    for number in range(500):
        control.halt(f"reason {number}")
    assert len(bench.executor.mode_why) < 1_100


@pytest.mark.parametrize("is_first", [True, False])
def test_a_market_that_was_paid_just_before_an_opening_is_none_of_its_own(benches, another, is_first):
    first = benches()
    bought(first)
    first.close()
    second = another(first)
    if is_first:
        second.home = second.folder.parent / "another-home"
    first.account.settle(A, 10_000)
    second.clock.now_ns += 20 * S
    second.open()
    second.executor.know(A, "KXDEMO-26DEC01", "Economics", 0)  # the session describes its markets
    second.calm(40)
    assert second.executor.snapshot().mode is RiskMode.ACTIVE
    assert second.executor.ledger.cash_e6 == second.account.cash_e6


def test_a_payment_of_nothing_leaves_no_row_that_the_next_start_could_not_read(bench):
    """A position by hand is seen in one look and gone in the next; then its market pays as much YES as NO."""
    account, sleep = bench.account, bench.clock.sleep
    account.yes_e2[HAND] = 500

    async def gone_meanwhile(seconds: float) -> None:
        account.yes_e2.pop(HAND, None)
        await sleep(seconds)

    bench.clock.sleep = gone_meanwhile
    bench.run(bench.executor.reconcile())
    bench.clock.sleep = sleep
    account.settled.append({
        "ticker": HAND, "market_result": "yes", "yes_count_fp": "5.00", "no_count_fp": "5.00", "revenue": 500,
        "fee_cost": "0.000000", "value": 100, "settled_time": "2099-11-23T02:14:00Z",
    })  # fmt: skip
    bench.calm(40)
    bench.close()
    assert bench.open().snapshot().mode is RiskMode.ACTIVE


def test_a_cancel_of_all_that_falls_due_while_one_is_in_the_air_is_sent(bench):
    account, cancel_all = bench.account, bench.account.cancel_all

    async def slow():
        outcome = await cancel_all()  # done at the exchange; then somebody's order comes, and is found
        account.place("by hand", B, BID, 3_000, 500)
        await bench.executor.reconcile()
        return outcome

    account.cancel_all = slow
    bench.run(bench.executor.halt("operator: stop"))
    account.cancel_all = cancel_all
    bench.calm(90)
    assert [order.status for order in account.orders.values()] == ["canceled"]
    assert account.cancel_alls == 2
    assert bench.executor._keeper.journal.meta("cancel_all_due") == ""
