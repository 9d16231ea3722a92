"""Types that a folder and a bucket share: the files they list and the two kinds of failure they raise."""

from typing import NamedTuple


class StoredFile(NamedTuple):
    """A file below a storage's root."""

    path: str
    n_bytes: int


class StoreFailedError(Exception):
    """A store or disk failed and would fail again; ``remedy`` says what the user can do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


class StoreAwayError(StoreFailedError):
    """A failure that passes by itself (network, overload, time-out, 5xx): ask again later."""
