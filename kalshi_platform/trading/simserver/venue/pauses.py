"""Pauses of shards: of trading or of the whole exchange, planned every week or planted as faults.

Invariant  a shard is as paused as the strictest of its pauses that have not ended: pauses may overlap.
Weekly     Thursday 03:00 to 05:00 in New York trading pauses on all shards; connections are cut as it
           begins, which the exchange tells its clients to expect. Markets close and are paid on time.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from kalshi_platform.domain.trading_hours import PAUSE_NS, pause_start_ns
from kalshi_platform.trading.simserver.config import N_SHARDS
from kalshi_platform.trading.simserver.venue.venue import LiveVenue

#: Status of a shard, from the mildest to the strictest.
STATUSES: Final = ("RUNNING", "TRADING_PAUSE", "FULL_PAUSE")
ALL_SHARDS: Final = tuple(range(N_SHARDS))


class _Pause(NamedTuple):
    """One pause that has begun."""

    shards: tuple[int, ...]
    status: str
    until_ns: int


class ShardPauses:
    """Pauses of one venue."""

    def __init__(self, venue: LiveVenue) -> None:
        self._venue = venue
        self._running: list[_Pause] = []
        self.on_weekly: Callable[[], None] = _nothing  # done as the weekly pause begins

    def begin(self, shards: Sequence[int], status: str, until_ns: int) -> None:
        """Pause shards until a simulated time."""
        pause = _Pause(tuple(shards), status, until_ns)
        self._running.append(pause)
        self._apply(pause.shards)
        self._venue.at(until_ns, partial(self._end, pause))

    def _end(self, pause: _Pause) -> None:
        self._running.remove(pause)
        self._apply(pause.shards)

    def _apply(self, shards: Sequence[int]) -> None:
        """Tell the venue the status and the expected end that its shards have now."""
        self._venue.resume_ns = max((pause.until_ns for pause in self._running), default=None)
        for shard in shards:
            held = [pause.status for pause in self._running if shard in pause.shards]
            status = max(held, key=STATUSES.index, default="RUNNING")
            if status != self._venue.shard_status[shard]:
                self._venue.set_shard(shard, status)

    def plan_weekly(self) -> None:
        """Let the weekly pause come, now where the server starts within one, and every week after."""
        start_ns = int(pause_start_ns(self._venue.clock.now_ns))
        self._venue.at(max(start_ns, self._venue.clock.now_ns), partial(self._begin_weekly, start_ns))

    def _begin_weekly(self, start_ns: int) -> None:
        end_ns = start_ns + PAUSE_NS
        self.begin(ALL_SHARDS, "TRADING_PAUSE", end_ns)
        self.on_weekly()
        self._venue.at(end_ns, self.plan_weekly)


def _nothing() -> None:
    """Do nothing: nobody listens."""
