"""Sink of a running recorder: the journal first, then everybody who follows what it accepted."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from kalshi_platform.trading.recorder.follow.follower import Follower, NoteRow
from kalshi_platform.trading.recorder.follow.meters import Meters
from kalshi_platform.trading.recorder.segments.journal import RecordingJournal
from kalshi_platform.trading.recorder.segments.lines import parsed

_LOG: Final = logging.getLogger(__name__)

#: Takes the parsed message of a frame.
Listener = Callable[[Mapping[str, Any]], None]


#: Takes (recv_ns and conn as written, mono_ns when it left the socket, its text, the parsed message).
FrameHook = Callable[[int, int, int, str, Any], None]


class RecorderSink:
    """FrameSink and MessageSink of the exchange's stream; see ``trading/exchange/sink.py``.

    A follower that fails is a bug here: it is counted and told, and the recording goes on, because the
    journal needs nobody who understands frames.
    """

    def __init__(self, journal: RecordingJournal, follower: Follower, meters: Meters) -> None:
        self._journal, self._follower, self._meters = journal, follower, meters
        self.listeners: dict[str, list[Listener]] = {}  # message type -> those who hear it
        self.note_hooks: list[Callable[[NoteRow], None]] = []
        self.first_hooks: list[FrameHook] = []  # hear every frame before followers; their errors are raised
        self.failures = 0
        self.failure: str | None = None
        self.connected: dict[int, str] = {}  # connection, as written -> address
        self.why_unreachable: str | None = None  # of the last attempt; None once one succeeded

    def frame(self, conn: int, recv_ns: int, mono_ns: int, raw: bytes) -> None:
        """Take one frame; StorageError once the disk failed."""
        self.message(conn, recv_ns, mono_ns, raw, parsed(raw))

    def message(self, conn: int, recv_ns: int, mono_ns: int, raw: bytes, message: Any) -> None:
        """Take one frame, parsed to ``message``: None where it is no JSON; errors as :meth:`frame`."""
        taken = self._journal.frame(conn, recv_ns, mono_ns, raw, message)
        if taken is None:
            return
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return  # a note holds it; the numbers of later frames show that it is missing
        for hear in self.first_hooks:
            hear(taken.recv_ns, taken.conn, mono_ns, text, message)
        try:
            self._meters.frame(recv_ns, message)
            self._follower.frame(taken.recv_ns, taken.conn, text, message)
            if isinstance(message, Mapping):
                kind = message.get("type")
                for listen in self.listeners.get(kind, ()) if isinstance(kind, str) else ():
                    listen(message)
        except Exception as err:
            self._fail(err)

    def note(self, conn: int, recv_ns: int, mono_ns: int, kind: str, detail: dict[str, object]) -> None:
        """Take one note; StorageError once the disk failed."""
        written_ns, written_conn = self._journal.note(conn, recv_ns, mono_ns, kind, detail)
        row = NoteRow(written_ns, written_conn, kind, detail)
        if kind == "connected":
            self.connected[written_conn] = str(detail.get("url", ""))
            self.why_unreachable = None
        elif kind == "unreachable":
            self.why_unreachable = str(detail.get("why", ""))
        elif kind == "disconnected":
            self.connected.pop(written_conn, None)
        try:
            self._follower.note(row)
            for hook in self.note_hooks:
                hook(row)
        except Exception as err:
            self._fail(err)

    def _fail(self, err: Exception) -> None:
        """Count a follower's error; the first is logged whole."""
        self.failures += 1
        if self.failure is None:
            _LOG.exception("a follower of the recording failed; frames are recorded all the same")
        self.failure = repr(err)
