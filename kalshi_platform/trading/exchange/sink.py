"""The seam between the client and whoever keeps its frames: every frame as received, every event told.

Owns       the protocol FrameSink and the kinds of its notes, with the keys of each kind's ``detail``.
Order      frames and notes of one connection come in the order in which they happened: a note ``gap`` comes
           after the frame that showed it, a note ``disconnected`` after the last frame.
Thread     all calls come from the event loop's thread, one at a time. A sink returns without blocking: while
           it blocks, nothing is read and no ping is answered. An error that a sink raises ends the stream.
Not here   files (trading/recorder), the meaning of a frame (data/market_data/decode.py).
"""

from typing import Any, Final, Protocol, runtime_checkable

#: The handshake succeeded. detail: url (str), attempt (int, 1 = the first try of this connection).
CONNECTED: Final = "connected"
#: A connection could not be made. detail: why (str), attempt (int), url (str), status (int, of HTTP; absent
#: where none came). No ``connected`` and no ``disconnected`` follow for this number.
UNREACHABLE: Final = "unreachable"
#: The connection ended; its sids, numbers and books mean nothing any more. detail: why (str), code (int, the
#: WebSocket close code; absent where none was received), frames (int, received on it).
DISCONNECTED: Final = "disconnected"
#: The exchange took a subscription. detail: sid (int), channel (str), params (the command's, exactly).
SUBSCRIBED: Final = "subscribed"
#: Markets were added to or deleted from a subscription, or it was given up because none is wanted (action
#: unsubscribe). detail: sid, channel, action, params (as sent); for unsubscribe also market_tickers.
UPDATED: Final = "updated"
#: Messages of a subscription are missing; its books are invalid until their next snapshots.
#: detail: sid (int), expected (int), got (int).
GAP: Final = "gap"
#: No frame came for longer than allowed though the connection answers pings. detail: silent_s (float).
SILENT: Final = "silent"
#: The connection answers no ping: the other end is gone. A ``disconnected`` follows. detail: why (str).
HALF_OPEN: Final = "half_open"
#: The exchange ended a subscription or refused it for good. detail: code (int), message (str), and where
#: known sid, channel. Its books are invalid; where subscribing again can help, ``subscribed`` follows.
TERMINAL: Final = "terminal"
#: Whole books were asked for. detail: sid (int), tickers (list of str).
RESYNC: Final = "resync"
#: Frames were received and thrown away because the queue was full. They went to no ``frame``.
#: detail: frames (int), bytes (int), first_recv_ns (int), last_recv_ns (int).
OVERFLOW: Final = "overflow"
#: A command was refused, or nobody answered it; the subscription goes on. detail: cmd (str), params,
#: code (int, absent where nobody answered), message (str).
REFUSED: Final = "refused"
#: A frame is no JSON object, or its numbers cannot be: it went to ``frame`` as it is and counts as lost.
#: detail: why (str), beginning (str, 80 characters at most).
UNREADABLE: Final = "unreadable"
#: This machine's clock and the exchange's differ too much. detail: skew_ns (int, ours minus the exchange's).
CLOCK_SKEW: Final = "clock_skew"

NOTE_KINDS: Final = frozenset({
    CONNECTED, DISCONNECTED, SUBSCRIBED, UPDATED, GAP, SILENT, HALF_OPEN, TERMINAL, RESYNC, OVERFLOW, REFUSED,
    UNREADABLE, UNREACHABLE, CLOCK_SKEW,
})  # fmt: skip


class FrameSink(Protocol):
    """Taker of frames and notes; see the module for order and thread."""

    def frame(self, conn: int, recv_ns: int, mono_ns: int, raw: bytes) -> None:
        """Take one frame exactly as received.

        conn: number of the connection, never used twice by one process; recv_ns: wall clock, ns since 1970
        UTC; mono_ns: monotonic clock, ns; both read when the frame was taken from the socket.
        """

    def note(self, conn: int, recv_ns: int, mono_ns: int, kind: str, detail: dict[str, object]) -> None:
        """Take one event of a connection; ``kind`` is one of NOTE_KINDS, ``detail`` fits into JSON."""


@runtime_checkable
class MessageSink(Protocol):
    """Sink that decodes: it gets ``message`` in place of ``frame``, so that no frame is parsed twice."""

    def message(
        self, conn: int, recv_ns: int, mono_ns: int, raw: bytes, message: dict[str, Any] | None
    ) -> None:
        """Take one frame and its JSON object; None where it is none."""
