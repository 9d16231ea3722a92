"""Results of load tests whose every figure is known."""

import numpy as np

from kalshi_platform.serving.loadtest.result import ANSWERED, LoadConfig, LoadResult, Timings, summarise

MS = 1_000_000


CONFIG = LoadConfig(
    url="http://127.0.0.1:8000", rate_per_s=100, duration_s=2, warm_up_s=0, arrivals="constant"
)


def measured(n=200, lag_ms=0.0, failed=0) -> LoadResult:
    """``n`` requests 10 ms apart, of 1, 2, ... ms; the first ``failed`` of them timed out."""
    due = np.arange(n, dtype=np.int64) * 10 * MS
    took = (np.arange(n, dtype=np.int64) + 1) * MS
    ends = ["timeout" if k < failed else ANSWERED for k in range(n)]
    tiers = ["" if k < failed else ("tier_1" if k % 4 else "tier_3") for k in range(n)]
    notes = [("deadline",) if tier == "tier_3" else () for tier in tiers]
    timings = Timings(due, due + round(lag_ms * MS), due + took, ends, tiers, notes, [{"total": 0.5}] * n)
    return summarise(CONFIG, 0, timings)
