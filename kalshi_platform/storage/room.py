"""Room on the disk, asked for before a long piece of work begins to write."""

from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.domain.machine_room import free_disk_bytes
from kalshi_platform.domain.places import expanded

_GB: Final = 10**9
#: Estimates are this much too small at times: shares of an event's rows differ.
_SLACK: Final = 1.1


def require_room(place: str | Path, need_bytes: int, what: str) -> None:
    """Refuse by StorageError, with both figures, where less than ``need_bytes`` are free at ``place``.

    A bucket has room for anything.
    """
    if "://" in str(place):
        return
    free = free_disk_bytes(expanded(place))
    more = need_bytes * _SLACK
    if more > free:
        raise StorageError(
            f"{place}: {what} needs about {more / _GB:.2f} GB of disk (estimated, docs/scale.md), and "
            f"{free / _GB:.2f} GB are free there: free some space or choose another folder (a bucket has "
            "room); nothing was written"
        )
