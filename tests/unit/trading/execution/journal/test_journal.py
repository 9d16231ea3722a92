"""The journal: what is on disk when, and the files that it refuses."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import deque
from contextlib import closing

import pytest
from made.execution import ACCOUNT, A, intent
from made.plain_account import HandClock

from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.journal.journal import FILE, open_journal
from kalshi_platform.trading.execution.journal.recover import recover
from kalshi_platform.trading.execution.journal.schema import ROW_TABLES, table_words
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.states import OrderState


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "home"))


def opened(folder, account=ACCOUNT):
    return open_journal(folder, account)


def order(number=1, client="kp-x-00000001"):
    return Order(number, client, intent(HandClock(), A), 0, 5, fee_bound_e6=7)


def test_an_order_is_on_disk_once_it_was_waited_for_and_other_rows_after_the_next_commit(tmp_path):
    with opened(tmp_path / "j") as journal:
        journal.note(1, "test", {})
        journal.add_order(order(1, journal.next_client_id))
        asyncio.run(journal.on_disk())
        other = order(1, "kp-x-00000001")
        other.state = OrderState.RESTING
        journal.update_order(other)
        seen = sqlite3.connect(f"file:{journal.path}?mode=ro", uri=True)
        assert seen.execute("SELECT state FROM orders").fetchall() == [("pending",)]
        assert seen.execute("SELECT count(*) FROM notes").fetchone() == (1,)
        journal.commit()
        assert seen.execute("SELECT state FROM orders").fetchall() == [("resting",)]
        assert seen.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        seen.close()
        assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_ids_are_never_used_twice_by_one_journal_and_differ_between_two(tmp_path):
    with opened(tmp_path / "j") as journal:
        first = journal.next_client_id
        journal.add_order(order(1, first))
    with opened(tmp_path / "j") as journal:
        assert journal.next_client_id != first
        second = journal.next_client_id
    with opened(tmp_path / "j") as journal:  # as a restored copy would
        assert journal.next_client_id != second
        assert journal.number_of(second) == 2
        assert journal.number_of(f"x{second}") is None
        assert journal.number_of(first) == 1
        assert journal.number_of("kp-another-00000001") is None
        assert journal.number_of(None) is None
    with open_journal(tmp_path / "other", ACCOUNT) as other:
        assert other.number_of(first) is None


def test_what_was_on_its_way_is_unknown_to_the_next_process(tmp_path):
    with opened(tmp_path / "j") as journal:
        journal.add_order(order(1, journal.next_client_id))
    with opened(tmp_path / "j") as journal:
        (found,) = recover(journal).orders.values()
        assert found.state is OrderState.UNKNOWN
        assert (found.intent, found.fee_bound_e6) == (order().intent, 7)


def test_a_second_process_is_refused_wherever_its_journal_lies(tmp_path):
    code = (
        "import sys; from pathlib import Path;"
        "from kalshi_platform.trading.execution.journal.account_name import AccountName;"
        "from kalshi_platform.trading.execution.journal.journal import open_journal;"
        "open_journal(Path(sys.argv[1]), AccountName(*sys.argv[2:]))"
    )
    with opened(tmp_path / "j"):
        run = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "elsewhere"), ACCOUNT.key_id, ACCOUNT.url],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))},
        )
    assert run.returncode == 1
    assert "one account is traded by one process at a time" in run.stderr


def test_another_accounts_journal_is_refused(tmp_path):
    opened(tmp_path / "j").close()
    with pytest.raises(ContractError, match="belongs to key"):
        opened(tmp_path / "j", AccountName("other", ACCOUNT.url))
    with pytest.raises(ContractError, match="belongs to key"):
        opened(tmp_path / "j", AccountName(ACCOUNT.key_id, "https://demo.test/v2"))
    opened(tmp_path / "j").close()  # a refusal keeps no lock


def test_another_key_of_one_exchange_is_told_that_no_folder_knows_this_journals_halt(tmp_path):
    opened(tmp_path / "j").close()
    with pytest.raises(
        ContractError, match=r"choose the folder.*a halt, the day and the losses .* not known"
    ):
        opened(tmp_path / "j", AccountName("other", ACCOUNT.url))
    with pytest.raises(ContractError, match=r"choose the folder of that account$"):
        opened(tmp_path / "j", AccountName(ACCOUNT.key_id, "https://demo.test/v2"))


@pytest.mark.parametrize(
    ("spelt", "url"),
    [
        ("localhost:8080", "http://127.0.0.1:8080/v2"),
        ("127.0.0.1:8080", "http://localhost:8080/v2"),
        ("::1:8080", "http://[::1]:8080/v2"),
        ("demo-api.kalshi.co", "https://external-api.demo.kalshi.co/v2"),
        ("demo-api.kalshi.co", "https://demo-api.kalshi.co/v2"),
    ],
)
def test_a_journal_under_a_former_spelling_of_its_exchange_is_opened(tmp_path, spelt, url):
    account = AccountName("k", url)
    open_journal(tmp_path / "session", account).close()
    with closing(sqlite3.connect(tmp_path / "session" / "journal.sqlite")) as database, database:
        database.execute("UPDATE meta SET value = ? WHERE name = 'host'", (spelt,))
    open_journal(tmp_path / "session", account).close()
    with pytest.raises(ContractError, match="belongs to key"):
        open_journal(tmp_path / "session", AccountName("k", "http://localhost:8081/v2"))


def test_a_journal_that_is_begun_anew_keeps_its_name_alone(tmp_path):
    with opened(tmp_path / "j") as journal:
        stem = journal.stem
        journal.add_facts("A", "E", "C", 0)
        journal.add_result(1, 2, 3)
        journal.add_settlement("A", 10_000, 5)
        journal.add_correction(1, "opening", None, 0, 0, 7)
        journal.note(1, "opened", {})
        journal.set_meta("opened_ns", "5")
    with opened(tmp_path / "j") as journal:
        assert not journal.is_new
        journal.begin_anew()
        assert journal.is_new
    with opened(tmp_path / "j") as journal:
        assert (journal.is_new, journal.stem, journal.meta("opened_ns")) == (True, stem, None)
        for table in ROW_TABLES:
            assert list(journal.rows(table, "1")) == []
    assert {*ROW_TABLES, "meta"} == set(table_words(None))


def test_a_newer_journal_is_refused(tmp_path):
    opened(tmp_path / "j").close()
    with sqlite3.connect(tmp_path / "j" / FILE) as database:
        database.execute("UPDATE meta SET value='99' WHERE name='version'")
    with pytest.raises(ContractError, match="newer program"):
        opened(tmp_path / "j")


@pytest.mark.parametrize("at", [0, 20, 4_096, 8_192])
def test_a_damaged_journal_is_refused(tmp_path, at):
    with opened(tmp_path / "j") as journal:
        for number in range(1, 200):
            journal.add_order(order(number, f"kp-x-{number:08d}"))
    path = tmp_path / "j" / FILE
    data = bytearray(path.read_bytes())
    data[at : at + 64] = b"\xff" * 64
    path.write_bytes(data)
    with pytest.raises((DataError, ContractError), match=r"damaged|cannot be read|belongs"):
        recover(opened(tmp_path / "j"))


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    (tmp_path / "j").mkdir()
    (tmp_path / "j" / FILE).write_text("no database at all" * 100)
    with pytest.raises(DataError, match="damaged"):
        opened(tmp_path / "j")
    shutil.rmtree(tmp_path / "j")
    (tmp_path / "j").mkdir()
    sqlite3.connect(tmp_path / "j" / FILE).executescript("CREATE TABLE t (a)")
    with pytest.raises(DataError, match="damaged"):
        opened(tmp_path / "j")


def test_a_disk_that_takes_nothing_more_is_an_error_before_anything_is_sent(tmp_path):
    with opened(tmp_path / "j") as journal:
        journal._db.execute("PRAGMA max_page_count=14")
        orders = (order(number, f"kp-x-{number:08d}") for number in range(1, 5_000))
        with pytest.raises(StorageError, match="no order goes out without it"):
            deque(map(journal.add_order, orders), maxlen=0)
        journal._db.execute("PRAGMA max_page_count=100000")


def test_a_journal_of_before_has_its_exchange_as_it_was_spelt(tmp_path):
    account = AccountName("k", "https://external-api.kalshi.com/trade-api/v2")
    open_journal(tmp_path / "session", account).close()
    with closing(sqlite3.connect(tmp_path / "session" / "journal.sqlite")) as database, database:
        database.execute("UPDATE meta SET value = 'External-api.kalshi.com:443' WHERE name = 'host'")
    open_journal(tmp_path / "session", account).close()
    with pytest.raises(ContractError, match="belongs to key"):
        open_journal(tmp_path / "session", AccountName("k", "https://other.test/trade-api/v2"))
    for odd in ("[", "a:b:c", "", "[::1"):
        with closing(sqlite3.connect(tmp_path / "session" / "journal.sqlite")) as database, database:
            database.execute("UPDATE meta SET value = ? WHERE name = 'host'", (odd,))
        with pytest.raises(ContractError, match="belongs to key"):
            open_journal(tmp_path / "session", account)
