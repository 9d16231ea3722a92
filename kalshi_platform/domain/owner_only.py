"""Files that hold a secret: made for their owner alone, whole or not at all; and who else is let at them.

Invariant  :func:`make_secret` leaves a whole file of mode 0600 or none, also where it is killed.
Not        what the secrets are (ray_token.py; serve_deployments/local.py).
"""

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import ContractError

#: Bits by which the group or all others may do something with a file, and put another into its folder.
_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o022


def make_secret(path: Path, text: str) -> bool:
    """Write ``text`` to a new file that only this user may read; return False where a file is there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # of mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(partial)
    return True


def exposures(path: Path) -> list[str]:
    """Return what lets others read or replace the file ``path``, in words; nothing is changed."""
    found = []
    for place, bits in _bits(path):
        try:
            state = place.stat()
        except OSError:  # not there, or closed to this user
            continue
        if _is_open(state.st_mode, bits):
            found.append(f"{place} has mode {stat.S_IMODE(state.st_mode):04o}")
        if not _is_trusted(state.st_uid):
            found.append(f"{place} belongs to user {state.st_uid}")
    return found


def narrow(path: Path, advice: str) -> list[Path]:
    """Take access of others from the file ``path`` and its folder; return which of them had some.

    ContractError with ``advice`` where one belongs to somebody else, who could put another there.
    """
    narrowed = []
    for place, bits in _bits(path):
        state = place.stat()
        is_open = _is_open(state.st_mode, bits)
        if not _is_trusted(state.st_uid) or (is_open and state.st_uid != os.getuid()):
            raise ContractError(f"{place} belongs to user {state.st_uid}, {advice}")
        if is_open:
            place.chmod(stat.S_IMODE(state.st_mode) & ~bits)
            narrowed.append(place)
    return narrowed


def _bits(path: Path) -> tuple[tuple[Path, int], tuple[Path, int]]:
    return (path, _OTHERS), (path.parent, _OTHERS_WRITE)


def _is_open(mode: int, bits: int) -> bool:
    """Return True where ``bits`` let others in; in a folder such as /tmp they cannot replace a file."""
    return bool(mode & bits) and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX)


def _is_trusted(user: int) -> bool:
    """Return True for this user and for root, from whom nothing can be kept."""
    return user in (os.getuid(), 0)
