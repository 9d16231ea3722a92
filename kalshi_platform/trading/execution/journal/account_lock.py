"""Lock of one account: one process of this machine trades it, whatever the folder, the user and the home.

Name     an abstract socket (Linux) named after key and exchange: the machine's, gone with its process.
Folder   locks in the home and in the journal's folder, for systems without such names.
Not here another machine, a container with a network of its own, another key of the account: the orders of
         that session are found by the comparison, and both sessions halt (reconcile/foreign.py). Nor does one
       key know the halt, the day and the losses of another's journal (taking_over.py).
"""

import errno
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import ContractError, StorageError
from kalshi_platform.domain.places import home
from kalshi_platform.storage.locks import writing
from kalshi_platform.trading.execution.journal.account_name import AccountName

_CREDENTIALS: Final = struct.Struct("3i")  # process, user, group


@contextmanager
def holding(account: AccountName, folder: Path) -> Iterator[None]:
    """Hold the account and its journal's folder; ContractError where another process does."""
    with ExitStack() as locks:
        if sys.platform == "linux":
            locks.enter_context(_named(account))
        for place in (home() / "trading" / account.digest, folder):
            locks.enter_context(_folder(place, account))
        yield


@contextmanager
def _named(account: AccountName) -> Iterator[None]:
    """Hold the machine's name of the account."""
    name = f"\0kalshi-platform-trading-{account.digest}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as place:
        try:
            place.bind(name)
        except OSError as err:
            if err.errno != errno.EADDRINUSE:
                raise StorageError(f"{account}: cannot be locked ({err.strerror or err})") from None
            raise _refusal(account, f"is traded by process {_holder(name)}") from None
        place.listen()
        yield


def _holder(name: str) -> str:
    """Number of the process that holds a name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(name)
            told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return "unknown"
    return str(_CREDENTIALS.unpack(told)[0])


@contextmanager
def _folder(place: Path, account: AccountName) -> Iterator[None]:
    """Hold a folder alone."""
    stack = ExitStack()
    try:
        stack.enter_context(writing(place, patience_s=0.0, name="the account's journal"))
    except ContractError as err:
        raise _refusal(account, str(err).partition(":")[0]) from None
    except OSError as err:
        raise StorageError(f"{place}: cannot be locked ({err.strerror or err})") from None
    with stack:
        yield


def _refusal(account: AccountName, why: str) -> ContractError:
    """Words about a second session."""
    return ContractError(
        f"{account}: {why}; one account is traded by one process at a time: end that one first"
    )
