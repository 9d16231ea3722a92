"""Figures of a served model over its latest requests, and the rule by which they take it back.

Units      latencies ns in, ms out; rates are fractions; time ns of a clock that does not run backwards.
Invariant  figures rest on the requests of the last ``window_s`` seconds, at most ``max_requests`` of them.
Not        errors of the caller (4xx): a request counts as failed only where the model should have answered.
Threads    any: the answering path adds, anyone reads.
"""

import threading
from typing import NamedTuple

import numpy as np
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND


class WatchConfig(Config):
    """Bounds beyond which the guard takes back a model that was swapped in."""

    watch_s: float = Field(300.0, gt=0, description="a new model is watched for so long, then it stands")
    window_s: float = Field(60.0, gt=0, description="figures are of the last so many seconds")
    max_requests: int = Field(4_096, ge=200, description="and of at most so many requests")
    min_requests: int = Field(200, ge=100, description="latency is judged from here: two lie beyond the p99")
    min_errors: int = Field(5, ge=1, description="errors are judged from here")
    max_error_rate: float = Field(0.05, ge=0, le=1)
    worse_error_rate: float = Field(0.02, ge=0, le=1, description="above the model before")
    max_p99_ms: float = Field(75.0, gt=0, description="the brief's bound for slow inference")
    worse_p99_factor: float = Field(3.0, ge=1, description="times the p99 of the model before ...")
    worse_p99_ms: float = Field(10.0, ge=0, description="... and at least so much above it")


class Figures(NamedTuple):
    """Figures of one model within its window."""

    requests: int
    errors: int
    p99_ms: float  # of the requests answered; 0 where there are none

    @property
    def error_rate(self) -> float:
        """Share of requests that failed; 0 before the first."""
        return self.errors / self.requests if self.requests else 0.0


class Watch:
    """The latest requests of one served model."""

    def __init__(self, config: WatchConfig) -> None:
        self.config = config
        self._lock = threading.Lock()
        self._at_ns = np.empty(config.max_requests, np.int64)
        self._latency_ns = np.empty(config.max_requests, np.int64)
        self._failed = np.empty(config.max_requests, np.bool_)
        self._n = 0  # since the start
        self.tier_failures = 0  # the policy's count at the latest request; any more belong to the next

    @property
    def total(self) -> int:
        """Number of requests since the start."""
        return self._n

    def add(self, now_ns: int, latency_ns: int, failed: bool) -> None:
        """Count one request that ended at ``now_ns`` after ``latency_ns``."""
        with self._lock:
            at = self._n % self.config.max_requests
            self._at_ns[at], self._latency_ns[at], self._failed[at] = now_ns, latency_ns, failed
            self._n += 1

    def figures(self, now_ns: int) -> Figures:
        """Figures of the window that ends at ``now_ns``."""
        with self._lock:
            n = min(self._n, self.config.max_requests)
            recent = self._at_ns[:n] >= now_ns - round(self.config.window_s * NS_PER_SECOND)
            failed = self._failed[:n][recent]
            answered_ns = self._latency_ns[:n][recent][~failed]
        p99_ms = float(np.percentile(answered_ns, 99)) / NS_PER_MS if answered_ns.size else 0.0
        return Figures(len(failed), int(failed.sum()), p99_ms)


def crossing(found: Figures, before: Figures, config: WatchConfig) -> str:
    """Reason to take back a model with the figures ``found``, in words; empty where it may stay.

    ``before`` are the last figures of the model that it replaced. A crossed bound is no reason where the
    model before did no better: going back would not help.
    """
    rate, rate_before = found.error_rate, before.error_rate
    if found.errors >= config.min_errors:
        share = f"{found.errors} of {found.requests} requests failed ({rate:.1%})"
        if rate > config.max_error_rate and rate > rate_before:
            return f"{share}, allowed {config.max_error_rate:.1%}; {rate_before:.1%} before"
        if rate > rate_before + config.worse_error_rate:
            return f"{share}, {rate_before:.1%} before and {config.worse_error_rate:.1%} more allowed"
    if found.requests - found.errors < config.min_requests:
        return ""
    slow = f"p99 of {found.requests} requests is {found.p99_ms:.1f} ms"
    if found.p99_ms > config.max_p99_ms and found.p99_ms > before.p99_ms:
        return f"{slow}, allowed {config.max_p99_ms:g} ms; {before.p99_ms:.1f} ms before"
    allowed_ms = max(config.worse_p99_factor * before.p99_ms, before.p99_ms + config.worse_p99_ms)
    if before.requests - before.errors >= config.min_requests and found.p99_ms > allowed_ms:
        return f"{slow}, allowed {allowed_ms:.1f} ms after {before.p99_ms:.1f} ms before"
    return ""
