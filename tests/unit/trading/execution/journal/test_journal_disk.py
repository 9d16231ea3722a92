"""The journal's disk: who waits for a sync, who does not, and who hears that it failed."""

import asyncio
import sqlite3
import threading
from contextlib import suppress

import pytest
from made.execution import ACCOUNT, A, intent
from made.plain_account import HandClock

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.trading.execution.journal.journal import open_journal
from kalshi_platform.trading.execution.orders.order import Order


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "home"))


def order(number, client):
    return Order(number, client, intent(HandClock(), A), 0, 5, fee_bound_e6=7)


def test_orders_of_one_decision_wait_for_one_sync_and_the_loop_goes_on_meanwhile(tmp_path, monkeypatch):
    async def work(journal) -> None:
        commits, may_end, turns = [], threading.Event(), 0
        whole = journal._disk._sync

        def slow_sync() -> None:
            commits.append(threading.current_thread() is threading.main_thread())
            with journal._disk._held:
                may_end.wait(60)
            whole()

        async def add(number: int) -> None:
            journal.add_order(order(number, f"kp-x-{number:08d}"))
            await journal.on_disk()

        monkeypatch.setattr(journal._disk, "_sync", slow_sync)
        adding = asyncio.gather(*map(add, (1, 2, 3)))
        while turns < 10 or not commits:  # the disk is waited for, and nobody else waits
            await asyncio.sleep(0.001)
            turns += 1
        assert not adding.done()
        fourth = asyncio.create_task(add(4))  # written during the sync: it waits for the next one
        await asyncio.sleep(0)
        assert len(journal._disk._later) == 1
        may_end.set()
        await adding
        await fourth
        await add(5)
        assert commits == [
            False,
            False,
            False,
        ]  # none of them on the loop, which a disk that hangs would hold
        monkeypatch.undo()

    with open_journal(tmp_path / "j", ACCOUNT) as journal:
        asyncio.run(work(journal))
        with sqlite3.connect(f"file:{journal.path}?mode=ro", uri=True) as seen:
            assert seen.execute("SELECT count(*) FROM orders").fetchone() == (5,)


def test_a_sync_that_fails_is_told_to_all_who_wait_for_it(tmp_path, monkeypatch):
    async def work(journal) -> list:
        def failing() -> None:
            raise StorageError("the disk is gone")

        monkeypatch.setattr(journal._disk, "_sync", failing)
        return await asyncio.gather(journal.on_disk(), journal.on_disk(), return_exceptions=True)

    with open_journal(tmp_path / "j", ACCOUNT) as journal:
        told = asyncio.run(work(journal))
        monkeypatch.undo()
        assert [str(each) for each in told] == ["the disk is gone"] * 2
        asyncio.run(journal.on_disk())  # the next one has a sync of its own


def test_a_row_that_fails_after_a_sync_is_told_to_those_who_wait_for_the_next(tmp_path):
    with open_journal(tmp_path / "j", ACCOUNT) as journal:
        journal._disk._is_syncing = True
        journal.note(1, "test", {})
        journal._write("INSERT INTO no_such_table VALUES (?)", (1,))
        journal._disk._is_syncing = False
        with pytest.raises(StorageError, match="no_such_table"):
            asyncio.run(journal.on_disk())
        asyncio.run(journal.on_disk())
        assert [row["kind"] for row in journal.rows("notes", "number")] == ["test"]


def full(journal) -> None:
    """Let the journal grow no more, as on a full disk."""
    journal._db.execute("PRAGMA max_page_count=1")  # as many as there are


def test_rows_that_a_full_disk_took_back_are_not_told_to_be_on_disk(tmp_path):
    async def work(journal) -> None:
        journal.add_order(order(1, "kp-x-00000001"))
        waiting = asyncio.create_task(journal.on_disk())
        full(journal)
        with pytest.raises(StorageError, match="full"):
            journal.note(1, "long", {"words": "x" * 1_000_000})
        assert list(journal.rows("orders", "number")) == []
        with pytest.raises(StorageError, match="full"):
            await waiting

    with open_journal(tmp_path / "j", ACCOUNT) as journal:
        asyncio.run(work(journal))
        with suppress(StorageError):
            journal.commit()


def test_a_row_that_a_full_disk_refuses_during_a_sync_takes_back_nothing_of_that_sync(tmp_path, monkeypatch):
    async def work(journal) -> None:
        may_begin, whole = threading.Event(), journal._disk._sync

        def held_up() -> None:
            may_begin.wait(60)
            whole()

        monkeypatch.setattr(journal._disk, "_sync", held_up)
        journal.add_order(order(1, "kp-x-00000001"))
        waiting = asyncio.create_task(journal.on_disk())
        while not journal._disk._is_syncing:
            await asyncio.sleep(0)
        full(journal)
        journal.note(1, "long", {"words": "x" * 1_000_000})
        late = asyncio.create_task(journal.on_disk())
        await asyncio.sleep(0)
        may_begin.set()
        await waiting
        with pytest.raises(StorageError, match="full"):
            await late
        monkeypatch.undo()

    with open_journal(tmp_path / "j", ACCOUNT) as journal:
        asyncio.run(work(journal))
        assert [row["number"] for row in journal.rows("orders", "number")] == [1]
        with suppress(StorageError):
            journal.commit()


def on_disk_now(journal) -> dict[str, str]:
    """Values about the journal itself as another process would find them after a kill."""
    with sqlite3.connect(f"file:{journal.path}?mode=ro", uri=True) as seen:
        return dict(seen.execute("SELECT name, value FROM meta"))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rows_without_an_await_between_them_come_to_disk_together(tmp_path, monkeypatch, turns):
    """A sync that was handed to the thread before them commits none of them, or all."""

    async def work(journal) -> None:
        journal.note(1, "before", {})
        may_begin, whole = threading.Event(), journal._disk._sync

        def later() -> None:  # as a thread that gets its processor late
            may_begin.wait(60)
            whole()

        monkeypatch.setattr(journal._disk, "_sync", later)
        waiting = asyncio.create_task(journal.on_disk())
        for _ in range(turns):
            await asyncio.sleep(0)
        journal.set_meta("position", "1")
        may_begin.set()
        journal._disk._thread.submit(lambda: None).result(60)  # behind the sync: the thread has committed
        seen = on_disk_now(journal)
        journal.set_meta("halt", "1")
        assert "position" not in seen
        await waiting
        await journal.on_disk()
        assert {"position", "halt"} <= on_disk_now(journal).keys()
        monkeypatch.undo()

    with open_journal(tmp_path / "j", ACCOUNT) as journal:
        asyncio.run(work(journal))


def test_rows_that_came_during_a_sync_come_to_disk_with_nobody_waiting(tmp_path):
    async def work(journal) -> None:
        waiting = asyncio.create_task(journal.on_disk())
        while not journal._disk._is_syncing:
            await asyncio.sleep(0)
        journal.set_meta("late", "1")
        await waiting
        while "late" not in on_disk_now(journal):
            await asyncio.sleep(0.001)
        assert on_disk_now(journal)["late"] == "1"

    with open_journal(tmp_path / "j", ACCOUNT) as journal:
        asyncio.run(asyncio.wait_for(work(journal), 60))
