"""Lost messages: ``seq`` counts per subscription (``sid``) of one connection, over all of its markets.

Every frame that carries ``sid`` and ``seq`` takes a number: book and trade frames, and ``ok``,
``unsubscribed`` and ``error`` answers too. Feed all of them, or the tracker reports gaps that never were.
A number at or below the last one is a repeat. A hole spoils every book of the subscription.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

Stream = tuple[int, int]
"""(connection, sid)."""

#: In place of a count: messages were lost, nobody knows how many.
UNCOUNTABLE: Final = -1


class Arrival(Enum):
    """Meaning of a sequence number for its frame."""

    NEXT = "next"
    REPEAT = "repeat"  # already seen: ignore the frame
    GAP = "gap"  # frames before it were lost


@dataclass(slots=True)
class StreamState:
    """One subscription: its last number and the markets it carries."""

    last_seq: int
    tickers: set[str] = field(default_factory=set)
    resuming: bool = False  # a new file began; the stream may have restarted in between


class SequenceTracker:
    """Last numbers of every stream of one recording, across its files."""

    def __init__(self) -> None:
        self._streams: dict[Stream, StreamState] = {}

    def __len__(self) -> int:
        """Number of streams seen and not ended."""
        return len(self._streams)

    def start_file(self) -> None:
        """Begin a further file of the same recording.

        A lower number is then a restart of its stream, not a repeat.
        """
        for state in self._streams.values():
            state.resuming = True

    def observe(self, stream: Stream, seq: int) -> tuple[Arrival, int]:
        """Take one number; returns its meaning and the number of messages missing before it.

        The first number of a stream is always NEXT: a recording may begin in the middle, and books are
        invalid until their snapshot anyway.
        """
        state = self._streams.get(stream)
        if state is None:
            self._streams[stream] = StreamState(seq)
            return Arrival.NEXT, 0
        expected = state.last_seq + 1
        resuming, state.resuming = state.resuming, False
        if seq == expected:
            state.last_seq = seq
            return Arrival.NEXT, 0
        if seq < expected:
            if not resuming:
                return Arrival.REPEAT, 0
            state.last_seq = seq
            return Arrival.GAP, UNCOUNTABLE
        state.last_seq = seq
        return Arrival.GAP, seq - expected

    def carry(self, stream: Stream, ticker: str) -> None:
        """Note that the stream carries the book of ``ticker``: it sent its snapshot or a delta."""
        state = self._streams.get(stream)
        if state is not None:
            state.tickers.add(ticker)

    def tickers(self, stream: Stream) -> set[str]:
        """Markets whose books the stream is known to carry."""
        state = self._streams.get(stream)
        return state.tickers if state is not None else set()

    def end(self, stream: Stream) -> set[str]:
        """Forget a subscription that ended, and return the markets it carried."""
        state = self._streams.pop(stream, None)
        return state.tickers if state is not None else set()
