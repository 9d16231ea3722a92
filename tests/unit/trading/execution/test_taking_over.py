"""Another folder of the same account: a halt, the day and the window go on; nothing of them is forgotten."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from made.execution import ACCOUNT, BID, A
from made.plain_account import S

from kalshi_platform.domain.errors import (
    ContractError,
    DataError,
    ExchangeError,
    LimitError,
    StorageError,
)
from kalshi_platform.trading.execution import opening
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.journal.newest import newest_journal, note_place
from kalshi_platform.trading.execution.reconcile.reconciler import Reconciler
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.execution.taking_over import cannot_take_over


@pytest.fixture
def two(benches):
    """Two folders of one account at one exchange; the second is not opened yet."""

    def make(limits=None):
        first, second = benches(limits), benches(limits, opened=False)
        second.account, second.clock, second.home = first.account, first.clock, first.home
        return first, second

    return make


def bought(bench, price_e4=5_000, qty_e2=1_000):
    bench.account.next_create.append("filled")
    assert bench.submit(BID, price_e4, qty_e2, seen={"bid_e4": price_e4 - 100, "ask_e4": price_e4}).order
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
    snapshot = second.executor.snapshot()
    assert snapshot.mode is RiskMode.HALTED
    where = first.folder.resolve() / "journal.sqlite"
    assert snapshot.mode_why == (
        f"the account's journal before, {where}, is gone: its halt, day and losses are not known; bring its "
        "folder back and go on there, or resume: they are not counted then"
    )
    second.close()
    second.open()  # and nobody has seen it yet
    assert second.executor.snapshot().mode_why == snapshot.mode_why
    second.executor.resume("its losses were small")
    assert second.submit().order is not None
    second.crash()
    second.open()  # only once
    assert second.executor.mode is RiskMode.ACTIVE


@pytest.mark.parametrize("traded_before", [False, True])
def test_a_journal_that_is_brought_back_before_a_person_resumed_goes_on(two, traded_before):
    first, second = two()
    if traded_before:
        first.close()
        shutil.rmtree(first.folder)
        second.open()
        second.executor.resume("seen")
        bought(second)
        second.close()
        first.folder = first.folder.parent / "newer"
        second.clock.now_ns += 5 * S
        first.open()
    first.run(first.executor.halt("a person"))
    first.calm(70)
    first.close()
    away = first.folder.parent / "away"
    first.folder.rename(away)
    second.open()
    assert "is gone" in second.executor.mode_why
    second.calm(2)
    second.close()
    away.rename(first.folder)
    if traded_before:  # orders of it went out once: it is an older journal
        with pytest.raises(ContractError, match=f"went on in {first.folder}"):
            second.open()
    else:
        second.open()
        assert second.executor.mode_why.startswith("a person (in ")
        second.close()


def test_a_reduction_goes_on_without_the_journal_that_is_gone_as_a_resume_does(two):
    first, second = two()
    first.close()
    shutil.rmtree(first.folder)
    second.open()
    second.executor.reduce("only exits")
    second.close()
    second.open()
    assert (second.executor.mode, second.executor.mode_why) == (RiskMode.REDUCING, "only exits")
    assert newest_journal(ACCOUNT).path == second.folder.resolve() / "journal.sqlite"


def test_a_halt_does_not_end_where_the_newest_journal_cannot_be_named(two, monkeypatch):
    first, second = two()
    first.close()
    shutil.rmtree(first.folder)
    second.open()

    def full(*_asked):
        raise StorageError("no space left")

    monkeypatch.setattr(opening, "note_newest", full)
    with pytest.raises(LimitError, match="trading stays HALTED: no space left"):
        second.executor.resume("seen")
    assert second.executor.mode is RiskMode.HALTED


def test_at_an_exchange_on_this_machine_a_journal_that_is_gone_is_told_and_halts_nothing(two):
    first, second = two()
    first.close()
    for bench in (first, second):
        bench.name = AccountName(ACCOUNT.key_id, f"http://localhost:{os.getpid()}/trade-api/v2")
    first.folder = first.folder.parent / "here"
    first.open()
    first.close()
    shutil.rmtree(first.folder)
    second.open()
    assert second.executor.mode is RiskMode.ACTIVE
    assert second.executor.mode_why.startswith("started; the account's journal before, ")
    assert second.executor.mode_why.endswith("is gone: its halt, day and losses are not known")


def test_one_exchange_by_two_spellings_is_one_account(two):
    first, second = two()
    first.close()
    first.name, second.name = (
        AccountName(ACCOUNT.key_id, f"http://{host}:{os.getpid()}/trade-api/v2")
        for host in ("localhost", "127.0.0.1")
    )
    first.folder = first.folder.parent / "here"
    first.open()
    first.run(first.executor.halt("a person"))
    first.calm(70)
    moved(first, second)
    assert second.executor.mode_why.startswith("a person (in ")


def test_events_and_categories_of_held_markets_count_in_every_folder(two):
    """By hand: 100 YES at 0.45 of one market of the event may lose 45 $; 100 of another one 45 $ more."""
    first, second = two({"event_loss_usd": 50, "category_loss_usd": 50})
    bought(first, 4_500, 10_000)
    moved(first, second)
    other = A.replace("T50", "T60")
    refusals = second.submit(
        BID, 4_500, 10_000, ticker=other, seen={"bid_e4": 4_400, "ask_e4": 4_500}
    ).refusals
    assert {each.limit for each in refusals} == {"event_loss_usd", "category_loss_usd"}
    assert second.executor.event_of(A) == A.rpartition("-")[0]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_market_that_was_paid_before_a_new_folder_is_none_of_its_own(two, is_known):
    first, second = two()
    bought(first)
    first.account.settle(A, 10_000)
    if is_known:
        first.executor.reconnected()
        first.calm(3)
    moved(first, second)
    second.calm(3)
    assert (second.executor.mode, second.executor.event_of(A)) == (RiskMode.ACTIVE, "")
    assert second.executor.ledger.cash_e6 == second.account.cash_e6


def test_a_market_that_is_paid_between_the_two_looks_at_the_exchange_is_none_of_the_new_ones(
    two, monkeypatch
):
    first, second = two()
    bought(first)
    real = opening.take_over

    def paid(*asked):
        real(*asked)
        first.account.settle(A, 10_000)

    monkeypatch.setattr(opening, "take_over", paid)
    moved(first, second)
    second.calm(3)
    assert second.executor.mode is RiskMode.ACTIVE
    assert second.executor.ledger.cash_e6 == second.account.cash_e6


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
    with pytest.raises(ExchangeError, match="cannot be taken over") as told:
        second.open()
    assert "remove" not in str(told.value)  # the file that keeps the halt, for a line that is cut
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
    with pytest.raises(ContractError, match=r"cannot be taken over.*Permission denied") as told:
        second.open()
    assert "remove" not in str(told.value)


def test_a_journal_that_another_program_holds_is_refused_without_the_advice_to_forget_it(two):
    first, second = two()
    first.close()
    with closing(sqlite3.connect(first.folder / "journal.sqlite")) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match=r"cannot be taken over.*database is locked") as told:
            second.open()
    assert "remove" not in str(told.value)
    second.open()


@pytest.mark.parametrize(("url", "is_told"), [("http://127.0.0.1/v2", True), ("https://a.test/v2", False)])
def test_an_exchange_that_was_begun_anew_is_thought_of_on_this_machine_alone(
    tmp_path, monkeypatch, url, is_told
):
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path))
    words = cannot_take_over(AccountName("k", url), ExchangeError("it lists no position any more"))
    assert ("remove" in words) is is_told
    assert "remove" not in cannot_take_over(AccountName("k", url), ExchangeError("away", is_passing=True))
    assert "remove" in cannot_take_over(AccountName("k", url), DataError("damaged"))
    assert "remove" not in cannot_take_over(AccountName("k", url), StorageError("full"))


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
    assert "is gone: its halt, day and losses are not known" in second.executor.snapshot().mode_why
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
    with pytest.raises(ExchangeError, match="1 orders that it left are not decided yet, first kp-") as told:
        second.open()
    assert told.value.is_passing
    assert "remove" not in str(told.value)
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


class _Cut(BaseException):
    """End of the process in the middle of an opening."""


def _cut_opening(bench, place, is_after, how):
    """Open a bench, and end that ``how`` before or after ``place``, in what concerns its own journal."""
    opened = []
    owner = Reconciler if hasattr(Reconciler, place) else opening
    real, real_open = getattr(owner, place), opening.open_journal

    def kept(*asked):
        opened.append(real_open(*asked))
        return opened[-1]

    def is_own(first):
        if place == "note_newest":
            return True
        keeper = first._keeper if owner is Reconciler else getattr(first, "keeper", None)
        return (keeper.journal if keeper else first) is opened[-1]

    def cut():
        if how == "kill":  # what is not on disk is gone
            journal = opened[-1]
            journal._db.rollback()
            journal._db.close()
            journal._locks.close()
            journal.close = lambda: None
        raise _Cut if how == "kill" else asyncio.CancelledError

    async def awaited(*asked):
        if is_own(asked[0]) and not is_after:
            cut()
        result = await real(*asked)
        if is_own(asked[0]):
            cut()
        return result

    def called(*asked):
        if is_own(asked[0]) and not is_after:
            cut()
        result = real(*asked)
        if is_own(asked[0]):
            cut()
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "open_journal", kept)
        patch.setattr(owner, place, awaited if asyncio.iscoroutinefunction(real) else called)
        with pytest.raises((_Cut, asyncio.CancelledError)):
            bench.open()


#: Points of an opening in their order; before the newest journal is named, the older one still is that.
BEFORE, AFTER = False, True
UNNAMED = [
    ("open_account", BEFORE), ("open_account", AFTER), ("compare", BEFORE), ("compare", AFTER),
    ("note_told", AFTER), ("_compared", AFTER), ("_name_newest", BEFORE), ("note_newest", BEFORE),
]  # fmt: skip
NAMED = [("note_newest", AFTER), ("_name_newest", AFTER), ("_begin", BEFORE), ("_begin", AFTER)]


@pytest.mark.parametrize("how", ["kill", "Ctrl-C"])
@pytest.mark.parametrize(("place", "is_after"), [*UNNAMED, *NAMED])
def test_an_opening_that_was_cut_is_done_again_and_forgets_nothing(two, place, is_after, how):
    first, second = two({"day_contracts": 1_000})
    bought(first)
    first.run(first.executor.halt("a person"))
    first.calm(70)
    first.close()
    second.clock.now_ns += 5 * S
    _cut_opening(second, place, is_after, how)
    second.clock.now_ns += 5 * S
    second.open()
    assert second.executor.mode_why.startswith("a person (in ")
    assert second.executor._gate.day.contracts_e2 == 1_000
    assert second.executor.event_of(A)
    assert second.executor.ledger.position_e2(A) == 1_000
    assert second.executor.ledger.cash_e6 == second.account.cash_e6


@pytest.mark.parametrize("how", ["kill", "Ctrl-C"])
@pytest.mark.parametrize(("place", "is_after"), UNNAMED)
def test_what_the_older_folder_did_after_an_opening_was_cut_is_taken_over(two, place, is_after, how):
    first, second = two()
    bought(first)
    first.run(first.executor.halt("a person"))
    first.calm(70)
    first.close()
    second.clock.now_ns += 5 * S
    _cut_opening(second, place, is_after, how)
    first.open()
    first.executor.resume("seen")
    bought(first)
    moved(first, second)
    assert second.executor.mode is RiskMode.ACTIVE
    assert second.executor._gate.day.contracts_e2 == 2_000
    assert second.executor.ledger.position_e2(A) == 2_000
    assert second.executor.ledger.cash_e6 == second.account.cash_e6


@pytest.mark.parametrize("how", ["kill", "Ctrl-C"])
@pytest.mark.parametrize(("place", "is_after"), NAMED)
def test_an_opening_that_was_cut_once_it_was_named_is_the_accounts_newest(two, benches, place, is_after, how):
    first, second = two()
    first.run(first.executor.halt("a person"))
    first.calm(70)
    first.close()
    second.clock.now_ns += 5 * S
    _cut_opening(second, place, is_after, how)
    with pytest.raises(ContractError, match=f"went on in {second.folder}"):
        first.open()
    third = benches(opened=False)
    third.account, third.clock, third.home = first.account, first.clock, first.home
    third.open()
    assert third.executor.mode_why.startswith("a person (in ")


def test_a_disk_that_takes_nothing_more_names_no_journal_that_lacks_what_it_took_over(two, monkeypatch):
    first, second = two()
    first.run(first.executor.halt("a person"))
    first.calm(70)
    first.close()

    commit = opening.OrderJournal.commit

    def full(self):
        if self.path.parent in folders:
            raise StorageError("no space left")
        commit(self)

    monkeypatch.setattr(opening.OrderJournal, "commit", full)
    for full_ones in ({first.folder}, {second.folder}, {first.folder, second.folder}):
        folders = full_ones
        with pytest.raises(StorageError, match="no space left") as told:
            second.open()
        assert "remove" not in str(told.value)
        assert newest_journal(ACCOUNT).path == first.folder.resolve() / "journal.sqlite"
    folders = set()
    second.open()
    assert second.executor.mode is RiskMode.HALTED


def test_an_order_that_no_list_shows_is_named_with_the_way_out_and_that_way_works(two):
    first, second = two()
    left = first.submit(BID, 4_000, 1_000).order
    first.deliver()
    first.calm(2)
    first.crash()
    first.clock.now_ns += 15 * 86_400 * S
    del first.account.orders[left.order_id]  # it left the exchange's lists long ago
    for _ in range(2):
        with pytest.raises(ExchangeError, match=f"first {left.client_order_id} in {A}.*--resume WHY") as told:
            second.open()
        assert f"begin the session of {first.folder / 'journal.sqlite'} once more" in str(told.value)
        assert not told.value.is_passing
        assert "remove" not in str(told.value)
        second.clock.now_ns += 3_600 * S
    first.open()
    first.executor.resume("it is on no page")  # at once, as --resume does
    first.calm(2)
    moved(first, second)
    assert second.executor.mode is RiskMode.ACTIVE
    assert second.submit().order is not None


def test_an_order_that_lists_show_again_is_cancelled_and_stands_against_no_folder(two):
    first, second = two()
    left = first.submit(BID, 4_000, 1_000).order
    first.deliver()
    first.calm(2)
    first.crash()
    hidden = first.account.orders.pop(left.order_id)
    first.clock.now_ns += 60 * S
    with pytest.raises(ExchangeError, match="none of the exchange's lists"):
        second.open()
    first.account.orders[left.order_id] = hidden
    second.clock.now_ns += 60 * S
    second.open()
    assert hidden.status == "canceled"
    assert "missing_order" in second.executor.mode_why


@pytest.mark.parametrize("status", ["expired", "filled"])
def test_the_end_of_an_order_that_only_lists_told_is_waited_for_by_a_new_folder(two, status):
    """Lists of before that end would show the order as another session's."""
    first, second = two()
    left = first.submit(BID, 4_000, 1_000).order
    first.deliver()
    first.calm(5)
    first.crash()
    first.clock.now_ns += 100 * S
    order = first.account.orders[left.order_id]
    first.account.end(order, "ExpiryCancel") if status == "expired" else first.account.fill(order, 1_000)
    first.account.sent.clear()
    first.account.lag_ns = 3 * S
    first.clock.now_ns += S
    with suppress(ExchangeError):  # lists that lag are waited for, and are said to lag
        second.open()
    if second._executor is None:
        second.clock.now_ns += 5 * S
        second.open()
    second.calm(20)
    assert second.executor.mode is RiskMode.ACTIVE
