"""Planted faults of frames and requests: they wait for what fits; each strike is counted and listed.

Not here   faults of connections and of the world (acts.py), which strike at once.
"""

from collections import Counter, deque
from collections.abc import Iterable
from time import time_ns
from typing import Any, Final

from kalshi_platform.trading.simserver.clock import SimClock
from kalshi_platform.trading.simserver.faults.forms import FRAME_KINDS, REST_KINDS, PlantedFault
from kalshi_platform.trading.simserver.stream.connection import ServedConnection, ServedSubscription

#: Strikes that are listed; all are counted.
_MOST_LISTED: Final = 100_000


class Faults:
    """Faults of one server."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self.is_armed = False  # a frame may be struck
        self.drift_e2: dict[str, int] = {}  # market -> added to the best bid of its REST book
        self.counts: Counter[str] = Counter()
        self.struck: deque[dict[str, Any]] = deque(maxlen=_MOST_LISTED)
        self._frames: list[tuple[PlantedFault, list[int]]] = []  # with how often it still strikes
        self._requests: list[tuple[PlantedFault, list[int]]] = []
        #: (connection, sid) -> frame that comes after the next one.
        self._held: dict[tuple[int, int], str] = {}

    @property
    def armed(self) -> list[dict[str, Any]]:
        """Faults that wait, and how often each still strikes."""
        return [{"fault": f.model_dump(), "left": left[0]} for f, left in (*self._frames, *self._requests)]

    def arm(self, fault: PlantedFault) -> None:
        """Let a fault of frames or requests wait for what it fits."""
        if fault.kind in FRAME_KINDS:
            self._frames.append((fault, [1 if fault.kind == "skip_seq" else fault.count]))
        elif fault.kind in REST_KINDS:
            self._requests.append((fault, [fault.count]))
        else:
            raise AssertionError(f"{fault.kind} strikes at once")
        self._note_armed()

    def disarm(self) -> None:
        """Forget every fault that waits for what it fits."""
        self._frames.clear()
        self._requests.clear()
        self._note_armed()

    def strike(self, kind: str, **what: Any) -> None:
        """Count and list one strike."""
        self.counts[kind] += 1
        now = {"time_ns": self._clock.now_ns, "wall_ns": time_ns()}
        self.struck.append({"number": self.counts.total(), "kind": kind, **now, **what})

    def forget(self, connection: int) -> None:
        """Forget the frames held back for a connection that ended."""
        self._held = {place: frame for place, frame in self._held.items() if place[0] != connection}
        self._note_armed()

    def _note_armed(self) -> None:
        self.is_armed = bool(self._frames or self._held)

    # Frames

    def pass_frame(
        self, connection: ServedConnection, sub: ServedSubscription, ticker: str, frame: str
    ) -> Iterable[str]:
        """Return the frames to send instead of ``frame``."""
        place = (connection.number, sub.sid)
        held = self._held.pop(place, None)
        if held is not None:
            self._note_armed()
            return (frame, held)
        fault = self._take_frame(sub, ticker)
        if fault is None:
            return (frame,)
        self.strike(
            fault.kind,
            connection=connection.number,
            sid=sub.sid,
            seq=sub.seq,
            channel=sub.channel,
            ticker=ticker,
        )
        if fault.kind == "drop_frame":
            return ()
        if fault.kind == "reorder_frame":
            self._held[place] = frame
            self._note_armed()
            return ()
        if fault.kind == "skip_seq":
            sub.seq += fault.count
            return (frame,)
        return (frame, frame)

    def _take_frame(self, sub: ServedSubscription, ticker: str) -> PlantedFault | None:
        for at, (fault, left) in enumerate(self._frames):
            fits = fault.wanted_channel in (None, sub.channel) and fault.ticker in (None, ticker)
            if fits:
                left[0] -= 1
                if left[0] == 0:
                    del self._frames[at]
                    self._note_armed()
                return fault
        return None

    # Requests

    def request_faults(self, method: str, path: str) -> list[PlantedFault]:
        """Return the armed faults that a request fits, in the order of planting, without using them up."""
        return [
            fault
            for fault, _ in self._requests
            if (fault.method or method) == method and (fault.path or "") in path
        ]

    def use(self, fault: PlantedFault, method: str, path: str, **what: Any) -> None:
        """Use up one strike of a fault of requests."""
        for at, (each, left) in enumerate(self._requests):
            if each is fault:
                left[0] -= 1
                if left[0] == 0:
                    del self._requests[at]
                break
        self.strike(fault.kind, method=method, path=path, **what)

    def drift_of(self, ticker: str) -> int:
        """Return what is planted on the best bid of a market's REST book, 1e-2 contract; counts each use."""
        found = self.drift_e2.get(ticker, 0)
        if found:
            self.counts["drift_shown"] += 1
        return found
