"""Another folder of the same account: a halt, the day and the window go on; nothing of them is forgotten."""

import shutil
from pathlib import Path

import pytest
from made.execution import ACCOUNT, BID, A
from made.plain_account import S

from kalshi_platform.domain.errors import ContractError, ExchangeError
from kalshi_platform.trading.execution.journal.newest import note_place
from kalshi_platform.trading.execution.risk.modes import RiskMode


@pytest.fixture
def two(benches):
    """Two folders of one account at one exchange; the second is not opened yet."""

    def make(limits=None):
        first, second = benches(limits), benches(limits, opened=False)
        second.account, second.clock, second.home = first.account, first.clock, first.home
        return first, second

    return make


def bought(bench, price_e4=5_000):
    bench.account.next_create.append("filled")
    assert bench.submit(BID, price_e4, 1_000, seen={"bid_e4": price_e4 - 100, "ask_e4": price_e4}).order
    bench.deliver()


def moved(first, second):
    """End the session in the first folder and begin one in the second."""
    first.calm(2)
    first.close()
    second.clock.now_ns += 5 * S
    second.open()


def test_a_halt_goes_on_in_another_folder_until_a_person_resumes(two):
    first, second = two()
    first.run(first.executor.halt("a person"))
    first.calm(70)
    moved(first, second)
    snapshot = second.executor.snapshot()
    assert snapshot.mode is RiskMode.HALTED
    assert snapshot.mode_why == f"a person (in {first.folder.resolve() / 'journal.sqlite'})"
    assert [each.limit for each in second.submit().refusals] == ["not_active"]
    second.executor.resume("seen")
    assert second.submit().order is not None


def test_a_loss_of_the_day_goes_on_in_another_folder(two):
    """By hand: 10 YES bought at 0.50 fall to 0.20 in the first folder and to 0.10 in the second."""
    first, second = two({"day_loss_usd": 3.5, "drawdown_usd": 100})
    bought(first)
    first.executor.mark(A, 2_000, 2_100, first.clock.wall_ns())
    moved(first, second)
    losses = second.executor._results.losses
    assert second.executor.snapshot().mode_why.startswith("started; day, drawdown and streak go on from ")
    assert losses.day_loss_e6 == losses.drawdown_e6 == 3_000_200
    second.executor.mark(A, 1_000, 1_100, second.clock.wall_ns())
    assert losses.day_loss_e6 == 4_000_200
    second.calm(2)
    assert second.executor.snapshot().mode_why.startswith("day_loss_usd: 4000200 lost")
    second.close()
    second.open()  # and a restart there forgets nothing of it
    assert second.executor._results.losses.day_loss_e6 == 4_000_200


def test_orders_and_contracts_of_the_day_count_in_every_folder(two, benches):
    first, second = two({"day_orders": 3, "orders_per_minute": 100})
    bought(first)
    moved(first, second)
    bought(second)
    third = benches({"day_orders": 3, "orders_per_minute": 100}, opened=False)
    third.account, third.clock, third.home = first.account, first.clock, first.home
    moved(second, third)
    bought(third)
    assert {each.limit for each in third.submit(qty_e2=100).refusals} == {"day_orders"}
    third.crash()
    third.open()
    assert {each.limit for each in third.submit(qty_e2=100).refusals} == {"day_orders"}


def test_markets_lost_in_a_row_count_in_every_folder(two):
    first, second = two({"losing_streak": 2})
    bought(first)
    first.account.settle(A, 0)
    first.executor.reconnected()
    first.calm(3)
    assert first.executor._results.losses.streak == 1
    moved(first, second)
    assert second.executor._results.losses.streak == 1
    second.executor._results.accept(second.clock.wall_ns())
    assert second.executor._results.losses.streak == 0


def test_a_journal_that_is_gone_is_said_to_be(two):
    first, second = two()
    first.close()
    shutil.rmtree(first.folder)
    second.open()
    assert second.executor.snapshot().mode is RiskMode.ACTIVE
    assert "is gone: its halt, day and losses too" in second.executor.snapshot().mode_why


def test_a_journal_that_cannot_be_read_is_refused_with_the_ways_on(two):
    first, second = two()
    first.close()
    (first.folder / "journal.sqlite").write_bytes(b"no journal" * 1_000)
    with pytest.raises(ContractError, match=r"cannot be taken over.*To begin without it.*remove"):
        second.open()
    note_place(ACCOUNT).unlink()
    second.open()
    assert second.executor.snapshot().mode is RiskMode.ACTIVE


def test_a_loss_between_two_folders_is_counted(two):
    """By hand: 10 YES bought at 0.50 are paid nothing before the second folder begins."""
    first, second = two({"day_loss_usd": 4, "losing_streak": 1})
    bought(first)
    first.executor.mark(A, 5_000, 5_100, first.clock.wall_ns())
    first.calm(2)
    first.close()
    first.account.settle(A, 0)
    second.clock.now_ns += 5 * S
    second.open()
    losses = second.executor._results.losses
    assert (losses.day_loss_e6, losses.streak) == (5_000_200, 1)
    second.calm(2)
    assert second.executor.mode is RiskMode.HALTED


def test_an_order_that_was_left_and_filled_counts_in_the_day(two):
    first, second = two({"day_contracts": 10})
    first.submit(BID, 4_000, 1_000)
    first.deliver()
    first.calm(2)
    first.close()
    first.account.fill(first.account.orders["o-1"], 1_000)
    first.account.sent.clear()
    second.clock.now_ns += 10 * S
    second.open()
    second.calm(3)
    assert [each.limit for each in second.submit(BID, 4_000, 1_000).refusals] == ["day_contracts"]


def test_an_order_that_was_left_at_rest_is_cancelled_and_halts_nothing(two):
    first, second = two()
    left = first.submit(BID, 4_000, 1_000).order
    first.deliver()
    first.calm(2)
    first.crash()
    second.clock.now_ns += 10 * S
    second.open()
    assert first.account.orders[left.order_id].status == "canceled"
    second.calm(30)
    assert second.executor.mode is RiskMode.ACTIVE


def test_a_first_opening_that_failed_leaves_nothing_of_what_it_took_over(two):
    first, second = two({"day_loss_usd": 4})
    bought(first)
    first.executor.mark(A, 2_000, 2_100, first.clock.wall_ns())
    first.calm(2)
    first.run(first.executor.halt("a person"))
    first.calm(70)
    first.close()
    first.account.away = True
    with pytest.raises(ExchangeError, match="cannot be taken over"):
        second.open()
    first.account.away = False
    first.open()
    first.calm(3)
    first.executor.resume("seen", accept_losses=True)
    first.calm(2)
    moved(first, second)
    assert second.executor.mode is RiskMode.ACTIVE
    losses = second.executor._results.losses
    assert (losses.day_loss_e6, losses.drawdown_e6) == (0, 0)


def test_a_folder_that_may_not_be_entered_is_refused_in_words(two, monkeypatch):
    first, second = two()
    first.close()
    exists = Path.exists

    def denied(self):
        if self.parent == first.folder.resolve():
            raise PermissionError(13, "Permission denied")
        return exists(self)

    monkeypatch.setattr(Path, "exists", denied)
    with pytest.raises(ContractError, match=r"cannot be taken over.*Permission denied"):
        second.open()


def test_one_journal_by_another_path_is_no_other_one(bench):
    bench.calm(2)
    bench.close()
    link = bench.folder.parent / "link"
    link.symlink_to(bench.folder)
    bench.folder = link
    bench.open()
    assert bench.executor.snapshot().mode_why == "started"


def test_an_older_folder_is_refused_while_a_newer_one_is_there(two):
    first, second = two()
    moved(first, second)
    second.close()
    with pytest.raises(ContractError, match=f"went on in {second.folder}.*go on there, or in a new folder"):
        first.open()
    shutil.rmtree(second.folder)
    first.open()
    assert f"{second.folder.resolve() / 'journal.sqlite'}, is gone" in first.executor.snapshot().mode_why


def test_a_folder_that_is_moved_keeps_its_journal_and_the_name_that_is_free_begins_anew(two):
    first, second = two()
    first.run(first.executor.halt("a person"))
    first.calm(70)
    first.close()
    place = first.folder
    first.folder = place.parent / "monday"
    place.rename(first.folder)
    first.open()  # the same journal
    assert first.executor.snapshot().mode_why == "a person"
    first.close()
    first.folder.rename(place)
    first.folder = place
    first.open()
    first.close()
    place.rename(place.parent / "tuesday")
    second.folder = place
    second.open()  # another journal where the noted one was
    assert "is gone: its halt, day and losses too" in second.executor.snapshot().mode_why
    shutil.rmtree(place.parent / "tuesday")


def test_an_empty_file_in_place_of_the_newest_journal_is_refused(two):
    first, second = two()
    first.close()
    for path in first.folder.glob("journal.sqlite*"):
        path.write_bytes(b"")
    with pytest.raises(ContractError, match=r"cannot be taken over.*it is empty"):
        second.open()


@pytest.mark.parametrize("how", ["lost", "refused"])
def test_an_order_whose_cancel_goes_wrong_is_waited_for(two, how):
    first, second = two()
    left = first.submit(BID, 4_000, 1_000).order
    first.deliver()
    first.calm(2)
    first.crash()
    second.clock.now_ns += 10 * S
    first.account.next_cancel.append(how)
    second.open()
    assert first.account.orders[left.order_id].status == "canceled"
    assert second.executor.mode is RiskMode.ACTIVE


def test_an_order_that_is_never_decided_is_said_and_tried_again(two):
    first, second = two()
    first.submit(BID, 4_000, 1_000)
    first.deliver()
    first.calm(2)
    first.crash()
    second.clock.now_ns += 10 * S
    first.account.next_cancel.extend(["lost"] * 100)
    with pytest.raises(ExchangeError, match="1 orders that it left are not decided yet, first kp-"):
        second.open()
    first.account.next_cancel.clear()
    second.open()
    assert second.executor.mode is RiskMode.ACTIVE


def test_fills_at_the_moment_of_the_cancel_count_in_the_day(two):
    first, second = two()
    first.submit(BID, 4_000, 1_000)
    first.deliver()
    first.calm(2)
    first.crash()
    order, cancel = first.account.orders["o-1"], first.account.cancel

    async def filled_first(*asked):
        first.account.fill(order, 900)
        return await cancel(*asked)

    first.account.cancel = filled_first
    second.clock.now_ns += 10 * S
    second.open()
    assert second.executor._gate.day.contracts_e2 == 900
    assert second.executor.ledger.position_e2(A) == 900
    assert second.executor.mode is RiskMode.ACTIVE


def test_lists_that_lag_behind_the_last_fill_show_no_order_of_somebody_else(two):
    first, second = two()
    bought(first)
    first.close()
    first.account.lag_ns = 5 * S
    second.clock.now_ns += S
    with pytest.raises(ExchangeError, match="older than the last fill"):
        second.open()
    second.clock.now_ns += 10 * S
    second.open()
    assert second.executor.mode is RiskMode.ACTIVE


def test_orders_of_the_last_minute_count_in_every_folder(two):
    first, second = two({"orders_per_minute": 3})
    for _ in range(3):
        bought(first)
    first.close()
    second.clock.now_ns += S
    second.open()
    for _ in range(2):
        assert [each.limit for each in second.submit(qty_e2=100).refusals] == ["orders_per_minute"]
        second.crash()
        second.open()
    second.calm(61)
    assert second.submit(qty_e2=100).order is not None
