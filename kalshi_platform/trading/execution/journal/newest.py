"""The account's newest journal on this machine, by the account and not by a session's folder.

Place  the file ``journal`` in the account's folder below the home: its path and, in the last line, its
       name, by which a journal whose folder was moved is known. Whoever holds the account (account_lock.py)
       may read the journal that it names: no other process writes it.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.domain.places import home
from kalshi_platform.storage.whole_file import write_whole
from kalshi_platform.trading.execution.journal.account_name import AccountName

_FILE: Final = "journal"


def note_place(account: AccountName) -> Path:
    """File that names the account's newest journal."""
    return home() / "trading" / account.digest / _FILE


class NewestJournal(NamedTuple):
    """The account's newest journal, whether or not it is there."""

    path: Path
    name: str


def newest_journal(account: AccountName) -> NewestJournal | None:
    """Return the account's newest journal, None where none was ever opened; StorageError where unreadable."""
    place = note_place(account)
    try:
        path, is_whole, name = place.read_bytes().rpartition(b"\n")
    except FileNotFoundError:
        return None
    except OSError as err:
        raise StorageError(
            f"{place} names the account's newest journal, and cannot be read ({err})"
        ) from None
    if not is_whole:
        raise StorageError(f"{place}: names the newest journal, and is damaged")
    return NewestJournal(Path(os.fsdecode(path)), name.decode("ascii", "replace"))


def note_newest(account: AccountName, newest: NewestJournal) -> None:
    """Name the account's newest journal; StorageError where that cannot be written."""
    place = note_place(account)
    if newest_journal(account) == newest:
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, pa.py_buffer(os.fsencode(newest.path) + b"\n" + newest.name.encode()))
    except OSError as err:
        raise StorageError(f"{place}: the account's newest journal cannot be named there ({err})") from None
