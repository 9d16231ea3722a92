"""The result of a load test, computed from the times of its requests.

Owns       LoadConfig, Timings, LoadResult and ``summarise``.
Units      time ms from the time a request was MEANT to be sent, unless it says otherwise; rates a second.
Invariant  every intended request counts: one that failed, or was never sent, is not answered in time.
Not        sending (``run.py``, ``open_loop.py``, ``stream.py``); the page (``page.py``).

Coordinated omission (G. Tene, "How NOT to Measure Latency"): a tester that waits for an answer before it
sends the next request sends nothing while the server stalls, so the stall counts once. Here the schedule is
fixed before the first request; a request due during a stall waited, and is counted with that wait.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND
from kalshi_platform.serving.inference.batch import present_name

#: Outcome of a request that was answered; any other outcome names the kind of failure.
ANSWERED: Final = "answered"
#: Outcome of a request never sent, because ``max_in_flight`` others were waiting.
NOT_SENT: Final = "not_sent"
#: A request sent later than this after its time was delayed by the generator itself.
LATE_MS: Final = 1.0
#: The generator is to be believed while at most this share of requests left late.
TRUSTED_LATE_SHARE: Final = 0.01
#: Edges of the histogram, ms: eight a factor of ten, from 0.1 ms to 10 s.
EDGES_MS: Final = tuple(round(0.1 * 10 ** (k / 8), 4) for k in range(41))
_MOMENTS: Final = 60


class LoadConfig(Config):
    """Settings of one load test."""

    url: str = Field(
        "http://127.0.0.1:8000", pattern=r"^https?://[^/\s]+(/.*)?$", description="where the server listens"
    )
    rate_per_s: float = Field(50.0, gt=0, le=100_000, description="requests, or frames, meant a second")
    duration_s: float = Field(30.0, gt=0, le=86_400, description="measured seconds, after the warm-up")
    warm_up_s: float = Field(3.0, ge=0, le=600, description="seconds sent before, left out of every figure")
    arrivals: Literal["poisson", "constant"] = Field("poisson", description="how requests are spread")
    seed: int = Field(0, ge=0, description="seed for request times and contents")
    timeout_s: float = Field(5.0, gt=0, le=300, description="a later answer is a failure")
    max_in_flight: int = Field(2_000, ge=1, le=100_000, description="waiting requests; more are not sent")
    target_ms: float = Field(
        50.0, gt=0, description="report the share of requests answered within this many ms"
    )
    token_file: Path | None = Field(
        None, description="file of the client token; without it KALSHI_PLATFORM_TOKEN, else none is sent"
    )
    bodies_file: Path | None = Field(
        None, description="request bodies, one JSON object a line; without it GET /v1/example is varied"
    )
    vary: float = Field(0.2, ge=0, le=1, description="largest change of a feature of the server's example")
    stream: Path | None = Field(
        None, description="capture sent through /v1/stream, instead of POST /v1/decide"
    )
    allow_simulated: bool = Field(
        False, description="let a model answer the stream that was judged on simulated data"
    )
    accept_missing_inputs: bool = Field(
        False, description="let a model answer the stream that reads inputs which a capture does not tell"
    )
    bodies: int = Field(4_096, ge=1, le=100_000, description="different bodies at most, repeated in turn")

    @model_validator(mode="after")
    def _is_bounded(self) -> "LoadConfig":
        if self.n_requests_about > 20_000_000:
            raise ValueError(
                f"rate_per_s={self.rate_per_s:g} for {self.warm_up_s + self.duration_s:g} s is "
                f"{self.n_requests_about:,} requests; at most 20,000,000 are kept in memory"
            )
        return self

    @property
    def n_requests_about(self) -> int:
        """Number of requests, warm-up included, about: a Poisson count differs by its root."""
        return round(self.rate_per_s * (self.warm_up_s + self.duration_s))


class Timings(NamedTuple):
    """Times and outcomes of N intended requests; times in ns of one monotonic clock."""

    due_ns: np.ndarray  # (N,) i8, when it was meant to be sent, ascending
    sent_ns: np.ndarray  # (N,) i8, when it was; 0 where it never was
    done_ns: np.ndarray  # (N,) i8, when its answer was read; 0 where none came
    outcome: list[str]  # N, ANSWERED or the kind of failure
    tier: list[str]  # N, who decided; "" where nobody or unknown
    notes: list[tuple[str, ...]]  # N
    stages_ms: list[Mapping[str, float]]  # N, the server's own timings, empty where it told none


class Percentiles(Config):
    """Percentiles of ``n`` latencies; each is a seen latency, the least not exceeded by that share."""

    n: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float

    @classmethod
    def of(cls, values_ms: np.ndarray) -> "Percentiles | None":
        """Percentiles of ``values_ms`` (N,); None for no values."""
        if values_ms.size == 0:
            return None
        found = np.percentile(values_ms, (50, 90, 99, 99.9, 100), method="inverted_cdf")
        p50, p90, p99, p999, most = (round(float(v), 4) for v in found)
        return cls(n=values_ms.size, p50_ms=p50, p90_ms=p90, p99_ms=p99, p999_ms=p999, max_ms=most)


class TierLoad(Config):
    """Requests that one tier decided: their share and latency."""

    tier: Annotated[str, BeforeValidator(present_name)]
    share: float  # of the answered
    latency: Percentiles


class Moment(Config):
    """Requests that were due in one stretch of the test."""

    at_s: float  # its middle, since the end of the warm-up
    answered: int
    failed: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class LoadResult(Config):
    """Figures of a load test; the warm-up is in none of them."""

    config: LoadConfig
    started: str = ""
    commit: str = ""
    intended: int
    answered: int
    errors: dict[str, int]
    throughput_per_s: float  # answered, over the time from the first meant to the last done
    within_target: float  # share of the intended that were answered within config.target_ms
    latency: Percentiles | None  # from when it was meant
    service: Percentiles | None  # from when it was sent: what a tester that waits would see
    lag: Percentiles | None  # from meant to sent: the generator's own lateness
    late_share: float  # of the sent, later than LATE_MS
    tiers: tuple[TierLoad, ...]
    notes: dict[str, int]
    quiet: int = 0  # frames of a stream that asked for no decision; counted nowhere else
    stages: dict[str, Percentiles]  # what the server says it spent, by stage
    histogram: tuple[int, ...]  # of latency over EDGES_MS: below the first, between, above the last
    moments: tuple[Moment, ...]

    @property
    def is_trusted(self) -> bool:
        """True if the generator kept its schedule; else its own lag is part of what it measured."""
        return self.answered > 0 and self.late_share <= TRUSTED_LATE_SHARE

    @property
    def problem(self) -> str | None:
        """Reason not to believe the figures; None where there is none."""
        if not self.answered:
            return "no request was answered"
        if self.is_trusted:
            return None
        return (
            f"{self.late_share:.1%} of the requests left more than {LATE_MS:g} ms late: the generator, not "
            "the server, was too slow; lower the rate or give it a core of its own"
        )


def summarise(config: LoadConfig, start_ns: int, timings: Timings) -> LoadResult:
    """Figures of ``timings``; requests due before ``start_ns`` + warm-up are left out.

    ``start_ns`` is the earliest time at which a request could be due, on the clock of the timings.
    """
    first_ns = start_ns + round(config.warm_up_s * NS_PER_SECOND)
    kept = np.flatnonzero(timings.due_ns >= first_ns)
    due, sent, done = timings.due_ns[kept], timings.sent_ns[kept], timings.done_ns[kept]
    outcome = [timings.outcome[k] for k in kept]
    tier, notes = [timings.tier[k] for k in kept], [timings.notes[k] for k in kept]
    ok = np.array([o == ANSWERED for o in outcome], bool)
    latency_ms = (done - due) / NS_PER_MS
    lag_ms = ((sent - due) / NS_PER_MS)[sent > 0]
    took_s = (done[ok].max() - due[0]) / NS_PER_SECOND if ok.any() else 0.0
    return LoadResult(
        config=config,
        intended=len(kept),
        answered=int(ok.sum()),
        errors=dict(sorted(Counter(o for o in outcome if o != ANSWERED).items())),
        throughput_per_s=round(float(ok.sum() / took_s), 2) if took_s > 0 else 0.0,
        within_target=float((ok & (latency_ms <= config.target_ms)).mean()) if len(kept) else 0.0,
        latency=Percentiles.of(latency_ms[ok]),
        service=Percentiles.of(((done - sent) / NS_PER_MS)[ok]),
        lag=Percentiles.of(lag_ms),
        late_share=float((lag_ms > LATE_MS).mean()) if lag_ms.size else 0.0,
        tiers=_by_tier(tier, latency_ms, ok),
        notes=dict(sorted(Counter(note for each in notes for note in each).items())),
        stages=_stages([timings.stages_ms[k] for k, answered in zip(kept, ok, strict=True) if answered]),
        histogram=_histogram(latency_ms[ok]),
        moments=_moments((due - first_ns) / NS_PER_SECOND, latency_ms, ok, config.duration_s),
    )


def _by_tier(tier: Sequence[str], latency_ms: np.ndarray, ok: np.ndarray) -> tuple[TierLoad, ...]:
    names = np.array([present_name(name) for name in tier], object)
    found = []
    for name in sorted({t for t, answered in zip(names, ok, strict=True) if answered and t}):
        mine = latency_ms[ok & (names == name)]
        percentiles = Percentiles.of(mine)
        if percentiles is not None:
            found.append(TierLoad(tier=name, share=mine.size / int(ok.sum()), latency=percentiles))
    return tuple(found)


def _stages(told: Sequence[Mapping[str, float]]) -> dict[str, Percentiles]:
    values: dict[str, list[float]] = {}
    for each in told:
        for stage, ms in each.items():
            values.setdefault(stage, []).append(ms)
    found = {stage: Percentiles.of(np.array(ms)) for stage, ms in values.items()}
    return {stage: percentiles for stage, percentiles in found.items() if percentiles is not None}


def _histogram(latency_ms: np.ndarray) -> tuple[int, ...]:
    places = np.searchsorted(np.array(EDGES_MS), latency_ms, side="left")
    return tuple(int(n) for n in np.bincount(places, minlength=len(EDGES_MS) + 1))


def _moments(
    at_s: np.ndarray, latency_ms: np.ndarray, ok: np.ndarray, duration_s: float
) -> tuple[Moment, ...]:
    width_s = duration_s / _MOMENTS
    where = np.minimum((at_s / width_s).astype(int), _MOMENTS - 1)
    found = []
    for k in np.unique(where):
        mine = where == k
        some = Percentiles.of(latency_ms[mine & ok])
        found.append(
            Moment(
                at_s=round((float(k) + 0.5) * width_s, 3),
                answered=int((mine & ok).sum()),
                failed=int((mine & ~ok).sum()),
                p50_ms=some and some.p50_ms,
                p99_ms=some and some.p99_ms,
                max_ms=some and some.max_ms,
            )
        )
    return tuple(found)
