"""Lost messages: ``seq`` counts per subscription (``sid``) of one connection, over all of its markets.

Every frame that carries ``sid`` and ``seq`` takes a number: book and trade frames, and ``ok``,
``unsubscribed`` and ``error`` answers too. Feed all of them, or the tracker reports gaps that never were.
A hole spoils every book of the subscription.

Repeat     a number at or below the last one whose frame says what it said before, or that nobody remembers.
Late       a number that was missing: a snapshot or trade that came behind the frame after it. It is no
           restart and no other hole: the hole it fills was told when the later number came.
Restart    a number at or below the last one that begins the count anew: its frame says something else than
           the frame remembered there, or is a snapshot or trade never seen. A recorder that reconnects
           without a new connection number leaves such a trace. When one subscription restarts, the others of
           its connection did too: the next lower number of theirs is a restart.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

Stream = tuple[int, int]
"""(connection, sid)."""

#: In place of a count: messages were lost, nobody knows how many.
UNCOUNTABLE: Final = -1
#: Holes of a subscription in which a late frame is known for one.
HOLES_REMEMBERED: Final = 16
#: Frames of a subscription remembered by content; snapshots, which alone restart a book, for longer.
FRAMES_REMEMBERED: Final = 4_096
SNAPSHOTS_REMEMBERED: Final = 16_384


class Arrival(Enum):
    """Meaning of a sequence number for its frame."""

    NEXT = "next"
    REPEAT = "repeat"  # already seen: ignore the frame
    GAP = "gap"  # frames before it were lost
    LATE = "late"  # it was taken for lost: the books that lost it wait for their snapshots all the same
    RESTART = "restart"  # the count began anew; nobody knows what was lost


class Weight(Enum):
    """Trust in a frame whose number has passed and is not remembered."""

    PLAIN = "plain"  # taken for a repeat
    TRADE = "trade"  # begins the count anew
    SNAPSHOT = "snapshot"  # begins the count anew, and is remembered for longer


_SNAPSHOT: Final = Weight.SNAPSHOT
_PLAIN: Final = Weight.PLAIN
#: Frames held at most between two clearings.
_FRAMES_HELD: Final = 2 * FRAMES_REMEMBERED
_WEIGHTS: Final = {"orderbook_snapshot": Weight.SNAPSHOT, "trade": Weight.TRADE}
_NEXT: Final = (Arrival.NEXT, 0)


def weight_of(kind: str) -> Weight:
    """Return the trust in a message of this type."""
    return _WEIGHTS.get(kind, Weight.PLAIN)


@dataclass(slots=True)
class StreamState:
    """One subscription: its last number, the markets it carries, what its last frames said."""

    last_seq: int | None = None  # None: no number yet
    tickers: set[str] = field(default_factory=set)
    resuming: bool = False  # a new file or a restart beside it: a lower number is a restart
    frames: dict[int, int] = field(default_factory=dict)  # number -> hash of the frame's text
    snapshots: dict[int, int] = field(default_factory=dict)
    holes: list[range] = field(default_factory=list)  # numbers never seen, HOLES_REMEMBERED at most

    def remembered(self, seq: int) -> int | None:
        """Hash of the frame that had this number; None where nobody remembers it."""
        known = self.frames.get(seq)
        return self.snapshots.get(seq) if known is None else known

    def remember(self, seq: int, content: int, weight: Weight) -> None:
        """Take ``seq`` as the last number, and note what its frame said."""
        self.last_seq = seq
        frames = self.frames
        frames[seq] = content
        if len(frames) > _FRAMES_HELD:
            self.frames = {n: known for n, known in frames.items() if n > seq - FRAMES_REMEMBERED}
        if weight is _SNAPSHOT:
            self.snapshots[seq] = content
            if len(self.snapshots) > SNAPSHOTS_REMEMBERED:
                del self.snapshots[next(iter(self.snapshots))]

    def restart(self, seq: int, content: int, weight: Weight) -> None:
        """Begin a new count at ``seq``: what the numbers of the old one said means nothing now."""
        self.frames.clear()
        self.snapshots.clear()
        self.holes.clear()
        self.remember(seq, content, weight)

    def miss(self, numbers: range) -> None:
        """Note numbers that never came."""
        self.holes.append(numbers)
        del self.holes[:-HOLES_REMEMBERED]


class SequenceTracker:
    """Last numbers of every stream of one recording, across its files."""

    def __init__(self) -> None:
        self._streams: dict[Stream, StreamState] = {}

    def __len__(self) -> int:
        """Number of streams seen and not ended."""
        return len(self._streams)

    def start_file(self) -> None:
        """Begin a further file of the same recording.

        A lower number is then a restart of its stream, unless its frame repeats a remembered one.
        """
        for state in self._streams.values():
            state.resuming = True

    def begin(self, stream: Stream) -> set[str]:
        """Begin a subscription whose first number is 1; returns the markets it carried before."""
        ended = self.end(stream)
        self._streams[stream] = StreamState(last_seq=0)
        return ended

    def observe(
        self, stream: Stream, seq: int, content: int = 0, weight: Weight = Weight.PLAIN
    ) -> tuple[Arrival, int]:
        """Take one number; returns its meaning and the number of messages missing before it.

        ``content`` is the hash of the frame's text. The first number of a stream that nobody began is always
        NEXT: a recording may begin in the middle, and books are invalid until their snapshot anyway.
        """
        state = self._streams.get(stream) or self._state(stream)
        last = state.last_seq
        if last is not None and seq <= last:
            return self._pass_again(stream, state, seq, content, weight)
        state.resuming = False
        if (
            weight is _PLAIN and len(state.frames) < _FRAMES_HELD
        ):  # the usual case of remember, without a call
            state.last_seq = seq
            state.frames[seq] = content
        else:
            state.remember(seq, content, weight)
        if last is None or seq == last + 1:
            return _NEXT
        state.miss(range(last + 1, seq))
        return Arrival.GAP, seq - last - 1

    def _pass_again(
        self, stream: Stream, state: StreamState, seq: int, content: int, weight: Weight
    ) -> tuple[Arrival, int]:
        """Meaning of a number that has passed already."""
        known = state.remembered(seq)
        repeated = known == content or (known is None and weight is Weight.PLAIN and not state.resuming)
        if repeated:
            return Arrival.REPEAT, 0
        if known is None and not state.resuming and any(seq in hole for hole in state.holes):
            state.frames[seq] = content
            return Arrival.LATE, 0
        if not state.resuming:  # the others of a connection that began anew did so too
            for other, beside in self._streams.items():
                if other[0] == stream[0] and beside is not state:
                    beside.resuming = True
        state.resuming = False
        state.restart(seq, content, weight)
        return Arrival.RESTART, UNCOUNTABLE

    def _state(self, stream: Stream) -> StreamState:
        """State of a stream, made where there is none."""
        state = self._streams.get(stream)
        if state is None:
            state = self._streams[stream] = StreamState()
        return state

    def carry(self, stream: Stream, ticker: str) -> None:
        """Note that the stream carries the book of ``ticker``: it sent its snapshot or a delta."""
        self._state(stream).tickers.add(ticker)

    def tickers(self, stream: Stream) -> set[str]:
        """Markets whose books the stream is known to carry."""
        state = self._streams.get(stream)
        return state.tickers if state is not None else set()

    def books_of(self, conn: int | None) -> list[Stream]:
        """Subscriptions of a connection (None: of all) that carry books, in order of appearance."""
        carrying = [stream for stream, state in self._streams.items() if state.tickers]
        return [stream for stream in carrying if conn in (None, stream[0])]

    def end(self, stream: Stream) -> set[str]:
        """Forget a subscription that ended, and return the markets it carried."""
        state = self._streams.pop(stream, None)
        return state.tickers if state is not None else set()
