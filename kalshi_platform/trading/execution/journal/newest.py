"""The account's newest journal on this machine, by the account and not by a session's folder.

Place  the file ``journal`` in the account's folder below the home: its path and, in the last line, its
       name, by which a journal whose folder was moved is known. Whoever holds the account (account_lock.py)
       may read the journal that it names: no other process writes it.
Names  an account had one such file for each spelling of its exchange once (account_name.py): the file that
       was written last counts.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from kalshi_platform.domain.errors import DataError, StorageError
from kalshi_platform.domain.places import home
from kalshi_platform.storage.whole_file import write_whole
from kalshi_platform.trading.execution.journal.account_name import AccountName

_FILE: Final = "journal"


def note_place(account: AccountName) -> Path:
    """File that names the account's newest journal; OSError where it cannot be looked for."""
    place = _place(account.digest)
    times = [(each, _written_ns(each)) for each in (place, *map(_place, account.former_digests))]
    there = {each: written_ns for each, written_ns in times if written_ns is not None}
    return max(there, key=there.__getitem__, default=place)


def _place(digest: str) -> Path:
    """File of one name of an account."""
    return home() / "trading" / digest / _FILE


def _written_ns(place: Path) -> int | None:
    """Time at which a file was written; None where it is not there."""
    try:
        return place.stat().st_mtime_ns
    except FileNotFoundError:
        return None


class NewestJournal(NamedTuple):
    """The account's newest journal, whether or not it is there."""

    path: Path
    name: str


def newest_journal(account: AccountName) -> NewestJournal | None:
    """Return the account's newest journal, None where none was ever opened.

    StorageError where its file cannot be read, DataError where that is damaged.
    """
    place = _place(account.digest)
    try:
        place = note_place(account)
        path, is_whole, name = place.read_bytes().rpartition(b"\n")
    except FileNotFoundError:
        return None
    except OSError as err:
        raise StorageError(
            f"{place} names the account's newest journal, and cannot be read ({err})"
        ) from None
    if not is_whole:
        raise DataError(f"{place}: names the newest journal, and is damaged")
    return NewestJournal(Path(os.fsdecode(path)), name.decode("ascii", "replace"))


def note_newest(account: AccountName, newest: NewestJournal) -> None:
    """Name the account's newest journal; StorageError where that cannot be written."""
    place = _place(account.digest)
    if newest_journal(account) == newest:
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, pa.py_buffer(os.fsencode(newest.path) + b"\n" + newest.name.encode()))
        for former in map(_place, account.former_digests):
            former.unlink(missing_ok=True)
    except OSError as err:
        raise StorageError(f"{place}: the account's newest journal cannot be named there ({err})") from None
