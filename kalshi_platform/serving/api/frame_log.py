"""Texts that a client of a stream has sent or will send, numbered, and kept for a server that lost some.

Owns       the numbers of frames (1, 2, 3 ... in order), the places of other messages between them, and the
           point up to which the present connection has sent them.
Invariant  the log keeps every frame that the server has not acknowledged. It also keeps the newest ``keep``
           acknowledged frames, from which the client shows the past to a server that lost the session, and
           the newest message of each key.
"""

from bisect import bisect_left
from typing import Final, NamedTuple

from kalshi_platform.domain.errors import LimitError

_FRAME, _MESSAGE = 0, 1
#: Entries to drop before the list is cut: cutting it for every one would cost its length each time.
_SLACK: Final = 1_024


class Entry(NamedTuple):
    """One text: frame ``number``, or a message sent after that frame."""

    number: int
    kind: int
    text: str
    key: str = ""


class FrameLog:
    """Texts in the order in which the client sends them."""

    def __init__(self, keep: int, most_unacknowledged: int) -> None:
        self._keep = keep
        self._most = most_unacknowledged
        self._entries: list[Entry] = []
        self._sent = 0  # entries sent on this connection
        self._number = 0
        self._acknowledged = 0

    @property
    def last_frame(self) -> int:
        """Number of the newest frame; 0 before the first."""
        return self._number

    @property
    def first_frame(self) -> int:
        """Number of the oldest frame kept; where none is kept, the number of the next one."""
        for entry in self._entries:
            if entry.kind == _FRAME:
                return entry.number
        return self._number + 1

    @property
    def sent_frame(self) -> int:
        """Number of the newest frame sent on this connection, or before what it sent."""
        return self._entries[self._sent - 1].number if self._sent else self.first_frame - 1

    @property
    def acknowledged(self) -> int:
        """Number of the last frame that the server has acknowledged: it applied all up to there."""
        return self._acknowledged

    @property
    def n_unacknowledged(self) -> int:
        """Number of frames that the server has not acknowledged."""
        return self._number - self._acknowledged

    def add_frame(self, text: str) -> int:
        """Add a frame and return its number; LimitError where too many wait to be acknowledged."""
        if self.n_unacknowledged >= self._most:
            raise LimitError(
                f"{self._most} frames were not acknowledged: the server is away or too slow; send later, or "
                "raise most_unacknowledged"
            )
        self._number += 1
        self._entries.append(Entry(self._number, _FRAME, text))
        self._cut()
        return self._number

    def add_message(self, text: str, key: str) -> None:
        """Add a message to send after the newest frame; of old ones, the newest of a ``key`` is kept."""
        self._entries.append(Entry(self._number, _MESSAGE, text, key))

    def acknowledge(self, number: int) -> None:
        """Note that the server applied every frame up to ``number``."""
        self._acknowledged = max(self._acknowledged, min(number, self._number))

    def rewind(self, next_frame: int) -> None:
        """Send again, on a new connection to a server that waits for ``next_frame``, all that it lacks."""
        if next_frame <= self.first_frame:
            self._sent = 0
        else:
            self._sent = bisect_left(self._entries, (next_frame - 1, _MESSAGE))

    def take(self) -> str | None:
        """Return the next text to send and count it as sent; None where everything was sent."""
        if self._sent == len(self._entries):
            return None
        self._sent += 1
        return self._entries[self._sent - 1].text

    def _cut(self) -> None:
        """Drop acknowledged frames that are not among the newest ``keep``."""
        first = min(self._number - self._keep + 1, self._acknowledged + 1)
        n = min(bisect_left(self._entries, (first, _FRAME)), self._sent)
        if n <= _SLACK:
            return
        newest = {entry.key: entry for entry in self._entries[:n] if entry.kind == _MESSAGE}
        self._entries[:n] = newest.values()
        self._sent -= n - len(newest)
