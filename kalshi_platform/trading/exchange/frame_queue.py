"""Bounded queue between the task that reads the socket and the one that takes the frames.

Full     a frame that finds the queue full is dropped, so that reading goes on and the exchange does not end
         the connection for a slow reader. The dropped frames are counted, and an Overflow stands in the queue
         where they are missing: nothing is lost without a word.
Bounds   frames and bytes; one frame is taken whatever its size where the queue is empty.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

#: (recv_ns, mono_ns, raw).
Received = tuple[int, int, bytes]


@dataclass(slots=True)
class Overflow:
    """Frames that were dropped in one place."""

    frames: int
    n_bytes: int
    first_recv_ns: int
    last_recv_ns: int


class FrameQueue:
    """Frames in order of arrival, with an Overflow where some are missing."""

    def __init__(self, most_frames: int, most_bytes: int) -> None:
        self._most_frames, self._most_bytes = most_frames, most_bytes
        self._entries: deque[Received | Overflow] = deque()
        self._bytes = 0
        self._overflow: Overflow | None = None  # the last entry, while frames still go into it
        self._news = asyncio.Event()
        self.dropped = 0  # frames, ever

    def __len__(self) -> int:
        """Number of frames and overflows that wait."""
        return len(self._entries)

    @property
    def n_bytes(self) -> int:
        """Bytes of the frames that wait."""
        return self._bytes

    def put(self, recv_ns: int, mono_ns: int, raw: bytes) -> None:
        """Add a frame, or count it as dropped where the queue is full."""
        size = len(raw)
        entries = self._entries
        if entries and (len(entries) >= self._most_frames or self._bytes + size > self._most_bytes):
            self._drop(recv_ns, size)
        else:
            self._overflow = None
            entries.append((recv_ns, mono_ns, raw))
            self._bytes += size
        if not self._news.is_set():
            self._news.set()

    def _drop(self, recv_ns: int, size: int) -> None:
        """Count a frame as dropped at this place."""
        self.dropped += 1
        lost = self._overflow
        if lost is None:
            self._overflow = Overflow(1, size, recv_ns, recv_ns)
            self._entries.append(self._overflow)
            return
        lost.frames += 1
        lost.n_bytes += size
        lost.last_recv_ns = recv_ns

    async def wait(self) -> None:
        """Wait until something is there."""
        while not self._entries:
            self._news.clear()
            await self._news.wait()

    def take(self) -> Received | Overflow:
        """Take out the first entry; IndexError where nothing waits."""
        entry = self._entries.popleft()
        if isinstance(entry, tuple):
            self._bytes -= len(entry[2])
        elif entry is self._overflow:
            self._overflow = None
        return entry

    def drop_all(self) -> Overflow | None:
        """Throw away all that waits; None where nothing did."""
        lost: Overflow | None = None
        while self._entries:
            entry = self.take()
            if isinstance(entry, tuple):
                self.dropped += 1
                entry = Overflow(1, len(entry[2]), entry[0], entry[0])
            if lost is None:
                lost = entry
            else:
                lost.frames += entry.frames
                lost.n_bytes += entry.n_bytes
                lost.last_recv_ns = entry.last_recv_ns
        return lost
