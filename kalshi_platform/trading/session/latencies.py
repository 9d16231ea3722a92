"""Latencies of a session by stage: the newest of each stage, and counts of ticks kept and missed."""

from typing import Final

import numpy as np

from kalshi_platform.domain.units import NS_PER_MS

#: Stages, each from the moment a frame left the socket: in the queue, to features, to decision, to order.
STAGES: Final = ("queue", "features", "decision", "order")
_KEPT: Final = 16_384


class StageTimes:
    """Ring of the newest times of one stage, ns."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._ring = np.zeros(kept, np.int64)
        self.n = 0

    def add(self, taken_ns: int) -> None:
        """Add one time."""
        self._ring[self.n % self._ring.size] = taken_ns
        self.n += 1

    @property
    def times_ns(self) -> np.ndarray:
        """The newest times, in no order."""
        return self._ring[: min(self.n, self._ring.size)]

    def figures(self) -> dict[str, float | int]:
        """Count, and p50, p99 and most in ms; only the count where there is none."""
        times = self.times_ns
        if not times.size:
            return {"n": 0}
        p50, p99, most = np.percentile(times, [50, 99, 100]) / NS_PER_MS
        return {"n": self.n, "p50_ms": round(p50, 4), "p99_ms": round(p99, 4), "most_ms": round(most, 4)}


class Latencies:
    """Times of all stages, and how the clock of the decisions was kept."""

    def __init__(self) -> None:
        self.stages = {stage: StageTimes() for stage in STAGES}
        self.ticks = 0  # periods of the clock
        self.ticks_late = 0  # by whose end not every group that was due had its decision

    def figures(self) -> dict[str, object]:
        """Figures for a snapshot and a report."""
        kept = 1.0 if not self.ticks else 1.0 - self.ticks_late / self.ticks
        stages = {name: times.figures() for name, times in self.stages.items()}
        return {"stages": stages, "ticks": self.ticks, "ticks_late": self.ticks_late, "kept": round(kept, 6)}
