"""Journals with flipped bytes, cut short, held by another program or not to be written: opened whole, or
refused in words; never a traceback, an order twice, or money that the exchange does not have."""

import copy
import random
import shutil
import sqlite3

import pytest
from made.execution import A, B, Bench
from made.plain_account import S

from kalshi_platform.domain.errors import PlatformError, StorageError
from kalshi_platform.trading.execution.journal.journal import FILE
from kalshi_platform.trading.execution.reconcile.money import STEP_E6


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Folder of a journal with orders in several states, fills and a settlement, and its account."""
    place = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KALSHI_PLATFORM_HOME", str(place / "home"))
        bench = Bench(place / "account")
        bench.open()
        bench.account.next_create.extend(["filled", "fill_first", "accepted", "lost_accepted"])
        for number in range(4):
            bench.submit(ticker=(A, B)[number % 2])
            bench.clock.now_ns += S
        bench.deliver()
        bench.calm(40)
        bench.account.settle(A, 10_000)
        bench.deliver()
        bench.calm(40)
        bench.close()
        bench.loop.close()
    return place / "account", bench.account


@pytest.fixture
def reopened(kept, tmp_path, monkeypatch):
    """A copy of that journal and account, not opened yet."""
    folder, account = kept
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "home"))
    shutil.copytree(folder, tmp_path / "account")
    bench = Bench(tmp_path / "account")
    bench.account = copy.deepcopy(account)
    bench.clock = bench.account.clock
    yield bench
    bench.end()


def damage(raw: bytes, draw: random.Random) -> bytes:
    """Bytes with some of those that mean something changed, or with an end that is missing."""
    data = bytearray(raw)
    places = [n for n, byte in enumerate(data) if byte]
    for _ in range(draw.choice([1, 1, 2, 8])):
        data[draw.choice(places)] ^= 1 << draw.randrange(8)
    return bytes(data[: draw.randrange(len(data))]) if draw.random() < 0.1 else bytes(data)


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_journal_is_refused_in_words_or_agrees_with_the_exchange(reopened, seed):
    path = reopened.folder / FILE
    path.write_bytes(damage(path.read_bytes(), random.Random(f"damage {seed}")))
    refusal = ""
    try:
        reopened.open()
    except PlatformError as err:
        refusal = str(err)
    if refusal:
        assert len(refusal) < 500
        return
    reopened.submit(ticker=B)
    reopened.run(reopened.executor.halt("the end"))
    reopened.calm(90)
    snapshot = reopened.executor.snapshot()
    assert snapshot.is_reconciled
    ours, theirs = reopened.executor.ledger.cash_e6, reopened.account.cash_e6
    assert ours.keys() == theirs.keys()
    # A bit of the last digits of a fee changes less than the step in which the exchange tells a balance.
    assert all(abs(ours[shard] - theirs[shard]) < STEP_E6 for shard in ours)
    assert len(set(reopened.account.creates)) == len(reopened.account.creates)
    assert [o for o in reopened.account.orders.values() if o.status == "resting"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("reconciled_as_of_ns", "17x"), ("opened_ns", "-1"), ("mode", "activ"), ("cancel_all_wall_ns", "1.5")],
)
def test_a_value_about_the_journal_that_is_none_is_damage(reopened, name, value):
    with sqlite3.connect(reopened.folder / FILE) as database:
        database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
    with pytest.raises(PlatformError, match=f"damaged.*{name.split('_')[0]}"):
        reopened.open()


def test_a_journal_with_other_columns_is_damaged(reopened):
    with sqlite3.connect(reopened.folder / FILE) as database:
        database.execute("ALTER TABLE fills RENAME COLUMN qty_e2 TO qty_e3")
    with pytest.raises(PlatformError, match="tables are not those of this form"):
        reopened.open()


def test_a_journal_that_another_program_holds_is_not_called_damaged(reopened):
    holder = sqlite3.connect(reopened.folder / FILE, isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match=r"cannot be opened \(database is locked\).*another program"):
        reopened.open()
    holder.close()


def test_a_journal_that_cannot_be_written_is_not_called_damaged(reopened, monkeypatch):
    real = sqlite3.connect

    def read_only(path, **options):
        return real(f"file:{path}?mode=ro", uri=True, **options)

    with real(reopened.folder / FILE) as database:
        database.execute("PRAGMA journal_mode=DELETE")
    monkeypatch.setattr(sqlite3, "connect", read_only)
    with pytest.raises(StorageError, match="whether this user may write"):
        reopened.open()


def test_a_settlement_of_a_market_that_the_journal_does_not_know_is_damage(reopened):
    with sqlite3.connect(reopened.folder / FILE) as database:
        assert database.execute("UPDATE settlements SET ticker = ticker || '-X'").rowcount == 1
    database.close()
    with pytest.raises(PlatformError, match=r"settlement of the unknown market .*-X"):
        reopened.open()


def test_a_name_that_no_journal_was_given_is_damage(reopened):
    with sqlite3.connect(reopened.folder / FILE) as database:
        database.execute("UPDATE meta SET value = substr(value, 1, 11) || ';' WHERE name = 'journal'")
    database.close()
    with pytest.raises(PlatformError, match=r"damaged .its name is '[0-9a-f]{11};'"):
        reopened.open()
