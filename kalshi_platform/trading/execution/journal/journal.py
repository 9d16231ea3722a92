"""The journal of one account: SQLite, write-ahead log, a commit is on disk before it returns.

Order    ``add_order``, then ``on_disk``, then the request leaves. All else is written into the transaction
         that the next commit ends (the next order, or upkeep, about every second): what a crash takes of it,
         the exchange's reports bring again.
Refused  a damaged file, one of a newer form, one of another account, one that another process holds. A
         restored older copy is found by reconciliation: the exchange shows orders that it lacks.
Not here what the rows mean together (recover.py), when a sync is made and by whom (journal_disk.py).
"""

import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.trading.execution.journal.account_lock import holding
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.journal.journal_disk import JournalDisk
from kalshi_platform.trading.execution.journal.schema import (
    INDEXES,
    ROW_TABLES,
    TABLES,
    VERSION,
    table_words,
)
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.reports import FillReport

Result = TypeVar("Result")
_NAME: Final = re.compile("[0-9a-f]{12}")  # of a journal: part of the client ids of its orders
FILE: Final = "journal.sqlite"
_ROWS: Final = 1_000
#: Errors of the place of a journal, by the beginnings of their names: its bytes may be well.
_NOT_DAMAGED: Final = (
    "SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_LOCKED", "SQLITE_PERM",
    "SQLITE_READONLY",
)  # fmt: skip
#: Values of the journal that say whose it is.
_OWN: Final = ("version", "journal", "key_id", "host")
#: Beginning of every client id of this program; a journal's own part follows.
PREFIX: Final = "kp"


class OrderJournal:
    """Journal of one account, held by one process: ``open_journal``, then ``close``."""

    def __init__(self, path: Path, database: sqlite3.Connection, locks: ExitStack) -> None:
        self.path = path
        self._db, self._locks = database, locks
        # Kept here too: a read would wait for a sync that is under way, and miss what waits for its end.
        self._meta: dict[str, str] = dict(database.execute("SELECT name, value FROM meta"))
        self.stem = f"{PREFIX}-{self._meta['journal']}"
        # A restored copy counts on from an older number: this part keeps its ids from being used again.
        self._opening = secrets.token_hex(3)
        self.is_new = "opened_ns" not in self._meta
        self._last = int(database.execute("SELECT coalesce(max(number), 0) FROM orders").fetchone()[0])
        self._disk = JournalDisk(database, self._run)

    @property
    def last_number(self) -> int:
        """Number of the last order; 0 before the first."""
        return self._last

    @property
    def next_client_id(self) -> str:
        """Client id of the next order: journal, number, opening; never used before, by no copy either."""
        return f"{self.stem}-{self._last + 1:08d}-{self._opening}"

    def number_of(self, client_order_id: str | None) -> int | None:
        """Number of an order of this journal by its client id; None where the id is of no such order."""
        prefix, _, rest = (client_order_id or "").partition(f"{self.stem}-")
        number = rest.partition("-")[0]
        return int(number) if not prefix and number.isdecimal() else None

    # Writes

    def add_order(self, order: Order) -> None:
        """Write a new order; it is on disk after ``on_disk`` or ``commit``. StorageError where it fails."""
        intent = order.intent
        row = (
            order.number, order.client_order_id, intent.ticker, intent.side.value, intent.price_e4,
            intent.qty_e2, intent.time_in_force.value, intent.post_only, intent.reduce_only, intent.expires_s,
            intent.decided_ns, intent.model, intent.decision, order.exchange_index, order.created_ns,
            order.fee_bound_e6, order.state.value, order.order_id, order.told_filled_e2, order.cancel_wanted,
            order.reason,
        )  # fmt: skip
        marks = ",".join("?" * len(row))
        self._write(f"INSERT INTO orders VALUES ({marks})", row)
        self._last = order.number

    def update_order(self, order: Order) -> None:
        """Write the stand of an order."""
        row = (
            order.state.value, order.order_id, order.told_filled_e2, order.cancel_wanted, order.reason,
            order.fee_bound_e6, order.number,
        )  # fmt: skip
        self._write(
            "UPDATE orders SET state=?, order_id=?, told_filled_e2=?, cancel_wanted=?, reason=?, "
            "fee_bound_e6=? WHERE number=?",
            row,
        )

    def add_fill(self, fill: FillReport, client_order_id: str | None) -> None:
        """Write one fill; ``client_order_id`` None: of an order that is not ours."""
        row = (
            fill.trade_id, fill.order_id, client_order_id, fill.ticker, fill.side.value, fill.price_e4,
            fill.qty_e2, fill.fee_e6, fill.is_taker, fill.exchange_index, fill.exch_ns,
        )  # fmt: skip
        self._write(f"INSERT OR IGNORE INTO fills VALUES ({','.join('?' * len(row))})", row)

    def add_settlement(self, ticker: str, value_e4: int, at_ns: int) -> None:
        """Write what a market paid; told again with another value, that holds."""
        self._write("INSERT OR REPLACE INTO settlements VALUES (?,?,?)", (ticker, value_e4, at_ns))

    def add_correction(
        self, at_ns: int, kind: str, ticker: str | None, shard: int, position_e2: int, amount_e6: int
    ) -> None:
        """Write a change that no fill explains: cash (no ticker), or a position and its cost."""
        self._write(
            "INSERT INTO corrections VALUES (NULL,?,?,?,?,?,?)",
            (at_ns, kind, ticker, shard, position_e2, amount_e6),
        )

    def add_facts(self, ticker: str, event: str, category: str, shard: int) -> None:
        """Write which event, category and shard a market belongs to."""
        self._write("INSERT OR REPLACE INTO facts VALUES (?,?,?,?)", (ticker, event, category, shard))

    def add_result(self, minute: int, best_e6: int, last_e6: int) -> None:
        """Write the best and the last result of one minute (since 1970)."""
        self._write("INSERT OR REPLACE INTO results VALUES (?,?,?)", (minute, best_e6, last_e6))

    def shift_results(self, change_e6: int) -> None:
        """Move the results of every minute so far by ``change_e6``."""
        self._write("UPDATE results SET best_e6 = best_e6 + ?, last_e6 = last_e6 + ?", (change_e6, change_e6))

    def begin_anew(self) -> None:
        """Drop everything but whose journal it is: no order of it ever went out."""
        for table in ROW_TABLES:
            self._write(f"DELETE FROM {table}", ())
        self._write(f"DELETE FROM meta WHERE name NOT IN ({','.join('?' * len(_OWN))})", _OWN)
        self._meta = {name: self._meta[name] for name in _OWN}
        self.is_new, self._last = True, 0

    def forget_results(self) -> None:
        """Drop the minutes so far: their losses were accepted."""
        self._write("DELETE FROM results", ())

    def note(self, at_ns: int, kind: str, detail: Mapping[str, object]) -> None:
        """Write one event of the session: a change of mode, a difference, a start."""
        self._write("INSERT INTO notes VALUES (NULL,?,?,?)", (at_ns, kind, json_text(detail, tight=True)))

    def set_meta(self, name: str, value: str) -> None:
        """Write one value about the journal itself."""
        self._meta[name] = value
        self._write("INSERT OR REPLACE INTO meta VALUES (?,?)", (name, value))

    def commit(self) -> None:
        """Bring everything written to disk; StorageError where that fails."""
        self._disk.commit()

    async def on_disk(self) -> None:
        """Wait until everything written so far is on disk, as :meth:`commit`; one sync for all who wait."""
        await self._disk.synced()

    # Reads

    def rows(
        self, table: str, order_by: str, where: str = "1", values: tuple[Any, ...] = ()
    ) -> Iterator[dict[str, Any]]:
        """Rows of one table, each by the names of its columns; ``where`` in SQL, ``values`` for its marks."""
        words = f"SELECT * FROM {table} WHERE {where} ORDER BY {order_by}"
        cursor = self._run(lambda: self._db.execute(words, values))
        names = [column[0] for column in cursor.description]
        while True:
            try:
                found = cursor.fetchmany(_ROWS)
            except (sqlite3.Error, UnicodeDecodeError) as err:
                raise DataError(f"{self.path}: {damaged(str(err))}") from None
            if not found:
                return
            yield from (dict(zip(names, row, strict=True)) for row in found)

    def meta(self, name: str) -> str | None:
        """One value about the journal itself; None where it is not set."""
        return self._meta.get(name)

    def meta_ns(self, name: str) -> int | None:
        """One time about the journal itself, ns; None where it is not set."""
        text = self.meta(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal()):
            raise DataError(f"{self.path}: {damaged(f'{name} is {text!r}')}")
        return int(text)

    def last_note(self, kind: str) -> dict[str, Any] | None:
        """Detail of the last note of a kind, as JSON text in ``detail`` and its time; None where none is."""
        found = self._run(
            lambda: self._db.execute(
                "SELECT at_ns, detail FROM notes WHERE kind=? ORDER BY number DESC LIMIT 1", (kind,)
            ).fetchone()
        )
        return None if found is None else {"at_ns": found[0], "detail": found[1]}

    def notes(self, kind: str) -> Iterator[dict[str, Any]]:
        """Details of all notes of a kind, oldest first; DataError where one cannot be read."""
        for row in self.rows("notes", "number", "kind=?", (kind,)):
            number = row["number"]
            try:
                detail = json_value(row["detail"])
            except (ValueError, TypeError):
                detail = None
            if not isinstance(detail, dict):
                raise DataError(f"{self.path}: {damaged(f'note {number} cannot be read')}")
            yield detail

    def close(self) -> None:
        """Commit, close, and let the account go."""
        try:
            self._disk.close()
        finally:
            self._db.close()
            self._locks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _write(self, statement: str, row: tuple[Any, ...]) -> None:
        """Write one row, in the order of the calls; StorageError where that fails at once."""
        self._disk.write(statement, row)

    def _run(self, work: Callable[[], Result]) -> Result:
        """Result of one piece of work; StorageError where the disk or the file failed."""
        try:
            return work()
        except (sqlite3.Error, OverflowError) as err:
            raise StorageError(
                f"{self.path}: the journal cannot be written or read ({err}); no order goes out without it: "
                "look for free space and for the disk's health"
            ) from None


def open_journal(folder: Path, account: AccountName) -> OrderJournal:
    """Open the journal in ``folder`` for this process, or begin one there.

    ContractError where another process trades the account or the journal is of another account or a newer
    form; DataError where it is damaged.
    """
    path = folder / FILE
    with ExitStack() as locks:
        locks.enter_context(holding(account, folder))
        database = _open_database(path, account)
        return OrderJournal(path, database, locks.pop_all())


def open_held(path: Path, account: AccountName) -> OrderJournal:
    """Open another journal of an account that this process holds; raises as ``open_journal`` does.

    DataError where there is nothing in the file: a new journal is not begun in its place.
    """
    if not path.stat().st_size:
        raise DataError(f"{path}: {damaged('it is empty')}")
    return OrderJournal(path, _open_database(path, account), ExitStack())


def _open_database(path: Path, account: AccountName) -> sqlite3.Connection:
    """Open and check a journal's file; make it where it is absent."""
    is_new = not path.exists() or path.stat().st_size == 0
    database: sqlite3.Connection | None = None
    try:
        database = sqlite3.connect(path, timeout=0.0, isolation_level="DEFERRED", check_same_thread=False)
        if is_new:
            _create(database, account)
        _check(path, database, account)
    except (sqlite3.Error, UnicodeDecodeError) as err:
        if database is not None:
            database.close()
        if getattr(err, "sqlite_errorname", "").startswith(_NOT_DAMAGED):
            raise StorageError(
                f"{path}: the journal cannot be opened ({err}); look whether this user may write the "
                "file and its folder, whether another program holds it, and for free space"
            ) from None
        raise DataError(f"{path}: {damaged(str(err))}") from None
    except BaseException:
        if database is not None:
            database.close()
        raise
    return database


def _create(database: sqlite3.Connection, account: AccountName) -> None:
    """Make the tables of a new journal in one transaction, so that a crash leaves none or all.

    Its name is drawn by the system, from no seed: two journals of one name would use the same client ids.
    """
    _set_safe(database)
    name = secrets.token_hex(6)
    meta = {"version": str(VERSION), "journal": name, "key_id": account.key_id, "host": account.host}
    script = "".join(
        f"INSERT INTO meta VALUES ({_quoted(key)}, {_quoted(value)});" for key, value in meta.items()
    )
    database.executescript(f"BEGIN;{TABLES}{script}COMMIT;")


def _check(path: Path, database: sqlite3.Connection, account: AccountName) -> None:
    """Refuse a journal that is damaged, newer, or another account's."""
    tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    if "meta" not in tables:
        raise DataError(f"{path}: {damaged('it has no table meta')}")
    meta = dict(database.execute("SELECT name, value FROM meta"))
    version = meta.get("version", "")
    if not version.isdigit() or int(version) < 1:
        raise DataError(f"{path}: {damaged(f'its version is {version!r}')}")
    if int(version) > VERSION:
        raise ContractError(
            f"{path}: written by a newer program (form {version}; this one knows {VERSION}): "
            "trade with that program, or begin a journal in another folder once nothing of yours rests"
        )
    _refuse_other_account(path, meta.get("key_id"), meta.get("host"), account)
    if table_words(database) != table_words(None):
        raise DataError(f"{path}: {damaged('its tables are not those of this form')}")
    _set_safe(database)
    database.executescript(INDEXES)
    verdict = [row[0] for row in database.execute("PRAGMA quick_check(3)")]
    if verdict != ["ok"]:
        raise DataError(f"{path}: {damaged('; '.join(map(str, verdict)))}")
    if not _NAME.fullmatch(name := str(meta.get("journal"))):
        raise DataError(f"{path}: {damaged(f'its name is {name!r}')}")


def _refuse_other_account(path: Path, key_id: str | None, host: str | None, account: AccountName) -> None:
    """ContractError where a journal belongs to another key or exchange than ``account``."""
    is_there = account.host in _hosts_of(host)
    if key_id == account.key_id and is_there:
        return
    words = f"{path}: belongs to key {key_id} at {host}; this session is {account}: "
    words += "choose the folder of that account"
    if is_there:
        words += (
            ". If both are keys of one account: a halt, the day and the losses of this journal are not known "
            "to a session with the other key, in no other folder either: look at them before it trades"
        )
    raise ContractError(words)


def _set_safe(database: sqlite3.Connection) -> None:
    """Write ahead, and wait for the disk at every commit."""
    mode = database.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if str(mode).lower() != "wal":
        raise StorageError(
            f"the journal's file system allows no write-ahead log (mode {mode}); use a local disk"
        )
    database.execute("PRAGMA synchronous=FULL")


def damaged(why: str) -> str:
    """Words about a damaged journal and the way on."""
    return (
        f"the journal is damaged ({why[:150]}). Put the file aside, cancel what rests on the exchange's own "
        "page, and begin a journal in an empty folder: it takes positions and cash from the exchange"
    )


def _hosts_of(told: str | None) -> set[str | None]:
    """Names that a journal's host means: one of before 2 December 2026 has it as it was spelt."""
    if told is not None and told.startswith("::1"):
        told = told.replace("::1", "[::1]", 1)
    try:
        return {told, *(AccountName("", f"{scheme}://{told}").host for scheme in ("http", "https"))}
    except ValueError:  # no host at all
        return {told}


def _quoted(text: str) -> str:
    """SQL text in quotes."""
    return "'" + text.replace("'", "''") + "'"
