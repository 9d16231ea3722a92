"""The result of a load test, computed from the times of its requests.

Owns       LoadConfig, Timings, LoadResult and ``summarise``; when figures are believed, and what they lack.
Units      time ms from the time a request was MEANT to be sent, unless it says otherwise; rates a second.
Invariant  every intended request counts: one that failed, or was never sent, is not answered in time.
Not        sending (``run.py``, ``open_loop.py``, ``stream.py``); the page (``page.py``).

Coordinated omission (G. Tene, "How NOT to Measure Latency"): a tester that waits for an answer before it
sends the next request sends nothing while the server stalls, so the stall counts once. Here the schedule is
fixed before the first request; a request due during a stall waited, and is counted with that wait.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import numpy as np
from pydantic import BeforeValidator, Field, field_validator, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.units import NS_PER_MS, NS_PER_SECOND
from kalshi_platform.evaluation.statistics.exact import needed_for, percentile_places, share_bounds
from kalshi_platform.serving.inference.batch import present_name

#: Outcome of a request that was answered; any other outcome names the kind of failure.
ANSWERED: Final = "answered"
#: Outcome of a request never sent, because ``max_in_flight`` others were waiting.
NOT_SENT: Final = "not_sent"
#: A request sent later than this after its time was delayed by the generator itself.
LATE_MS: Final = 1.0
#: The generator is to be believed until it is shown that more than this share of requests left late.
TRUSTED_LATE_SHARE: Final = 0.01
#: The same of a test too short for a p99: fewer late ones leave its p50 as it is.
TRUSTED_LATE_SHARE_OF_FEW: Final = 0.1
#: Requests that bound a p99 on both sides; as many without a late one show that the share above is kept.
P99_NEEDS: Final = needed_for(0.99)
#: Edges of the histogram, ms: eight a factor of ten, from 0.1 ms to 10 s.
EDGES_MS: Final = tuple(round(0.1 * 10 ** (k / 8), 4) for k in range(41))
_MOMENTS: Final = 60


class LoadConfig(Config):
    """Settings of one load test."""

    url: str = Field("http://127.0.0.1:8000", description="where the server listens, http://host:port")
    rate_per_s: float = Field(50.0, gt=0, le=100_000, description="requests, or frames, meant a second")
    duration_s: float = Field(30.0, gt=0, le=86_400, description="measured seconds, after the warm-up")
    warm_up_s: float = Field(3.0, ge=0, le=600, description="seconds sent before, left out of every figure")
    arrivals: Literal["poisson", "constant"] = Field("poisson", description="how requests are spread")
    seed: int = Field(0, ge=0, description="seed for request times and contents")
    timeout_s: float = Field(5.0, gt=0, le=300, description="a later answer is a failure")
    max_in_flight: int = Field(2_000, ge=1, le=100_000, description="waiting requests; more are not sent")
    connections: int = Field(
        0, ge=0, le=20_000, description="open all the time, asked in turn; 0 = as many as are needed"
    )
    target_ms: float = Field(
        50.0, gt=0, description="report the share of requests answered within this many ms"
    )
    token_file: Path | None = Field(
        None, description="file of the client token; without it KALSHI_PLATFORM_TOKEN, else none is sent"
    )
    bodies_file: Path | None = Field(
        None, description="request bodies, one JSON object a line; without it GET /v1/example is varied"
    )
    dataset: str | None = Field(
        None,
        description="a built dataset: a folder or s3://bucket/prefix; its groups of markets are sent, in "
        "order of time; without it ./runs/quickstart/dataset if the served model was trained on it, else "
        "made-up (synthetic) rows",
    )
    split: Literal["train", "validation"] = Field(
        "validation", description="the part of the dataset whose groups are sent"
    )
    vary: float = Field(0.2, ge=0, le=1, description="largest change of a feature of the server's example")
    stream: Path | None = Field(
        None, description="capture sent through /v1/stream, instead of POST /v1/decide"
    )
    allow_simulated: bool = Field(
        False, description="with --stream: accept a model that was judged on simulated data only"
    )
    accept_missing_inputs: bool = Field(
        False,
        description="with --stream: accept a model some of whose inputs a capture does not hold",
    )
    bodies: int = Field(4_096, ge=1, le=100_000, description="different bodies at most, repeated in turn")

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", url):
            raise ValueError("needs http://host:port, such as http://127.0.0.1:8000")
        return url

    @model_validator(mode="after")
    def _is_bounded(self) -> "LoadConfig":
        if self.n_requests_about > 20_000_000:
            raise ValueError(
                f"rate_per_s={self.rate_per_s:g} for {self.warm_up_s + self.duration_s:g} s is "
                f"{self.n_requests_about:,} requests; at most 20,000,000 are kept in memory"
            )
        return self

    @model_validator(mode="after")
    def _has_one_source(self) -> "LoadConfig":
        given = [n for n in ("dataset", "bodies_file", "stream") if getattr(self, n) is not None]
        if len(given) > 1:
            words = " and ".join(f"--{n.removesuffix('_file')}" for n in given)
            raise ValueError(f"{words} both say what is sent: give one of them")
        if self.connections and self.stream is not None:
            raise ValueError("a stream is one connection: leave --connections or --stream away")
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
    p50_low_ms: float | None = Field(None, description="95 % bounds of the p50, as exact.py finds them")
    p50_high_ms: float | None = Field(None, description="null: too few values to bound it")
    p99_low_ms: float | None = None
    p99_high_ms: float | None = Field(None, description=f"null for fewer than {P99_NEEDS} values")

    @classmethod
    def of(cls, values_ms: np.ndarray) -> "Percentiles | None":
        """Percentiles of ``values_ms`` (N,); None for no values."""
        if values_ms.size == 0:
            return None
        found = np.percentile(values_ms, (50, 90, 99, 99.9, 100), method="inverted_cdf")
        p50, p90, p99, p999, most = (round(float(v), 4) for v in found)
        bounds = _bounds(np.sort(values_ms))
        return cls(n=values_ms.size, p50_ms=p50, p90_ms=p90, p99_ms=p99, p999_ms=p999, max_ms=most, **bounds)


def _bounds(ascending_ms: np.ndarray) -> dict[str, float | None]:
    """Bounds of p50 and p99 as fields of Percentiles, from the values in order."""
    found: dict[str, float | None] = {}
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        places = percentile_places(ascending_ms.size, share)
        for end, place in zip(("low", "high"), places, strict=True):
            found[f"{name}_{end}_ms"] = None if place is None else round(float(ascending_ms[place - 1]), 4)
    return found


class SentRows(Config):
    """The rows that the requests carried, and whether shares of tiers say anything about real traffic."""

    kind: Literal["dataset", "synthetic", "file", "capture"]
    words: str  # where they are from
    groups: int = Field(0, description="different groups of markets; 0: not counted")
    dataset: str | None = None
    dataset_digest: str | None = None
    split: str | None = None
    data: str = Field("unknown", description="events and blocks by provenance, in words")


class AskedModel(Config):
    """The model that answered, as ``GET /v1/model`` described it before the test."""

    model: str
    tier_set: str | None = None
    tier_3_asked: str = "unknown"
    simulated: bool = True
    cautions: tuple[str, ...] = ()
    judged_on: str = "unknown"
    dataset_digest: str | None = None


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
    rows: SentRows | None = None
    model: AskedModel | None = None  # None: the server does not say
    intended: int
    answered: int
    errors: dict[str, int]
    throughput_per_s: float  # answered, over the time from the first meant to the last done
    within_target: float  # share of the intended that were answered within config.target_ms
    latency: Percentiles | None  # from when it was meant
    service: Percentiles | None  # from when it was sent: what a tester that waits would see
    lag: Percentiles | None  # from meant to sent: the generator's own lateness
    late_share: float  # of the sent, later than LATE_MS
    late: int = 0  # requests, of lag.n that were sent
    late_low: float = 0.0  # bounds of the share, if one request were late independently of the next
    late_high: float = 1.0
    tiers: tuple[TierLoad, ...]
    notes: dict[str, int]
    reopened: int = 0  # of config.connections, those that were ended in between and opened anew
    quiet: int = 0  # frames of a stream that asked for no decision; counted nowhere else
    stages: dict[str, Percentiles]  # what the server says it spent, by stage
    histogram: tuple[int, ...]  # of latency over EDGES_MS: below the first, between, above the last
    moments: tuple[Moment, ...]

    @property
    def is_trusted(self) -> bool:
        """True unless it is shown that the generator missed its schedule: its lag is part of the figures."""
        return self.answered > 0 and self.late_low <= self._late_allowed

    @property
    def _late_allowed(self) -> float:
        is_long = self.lag is not None and self.lag.n >= P99_NEEDS
        return TRUSTED_LATE_SHARE if is_long else TRUSTED_LATE_SHARE_OF_FEW

    @property
    def problem(self) -> str | None:
        """Reason not to believe the figures; None where there is none."""
        if not self.answered:
            return "no request was answered"
        if self.is_trusted:
            return None
        return (
            f"{self.late_words}, and more than {self._late_allowed:.0%} is shown: the load generator, not "
            "the server, was too slow; lower the rate or give the generator a core of its own"
        )

    @property
    def late_words(self) -> str:
        """Words for the share of requests that the generator itself sent late, with its interval."""
        n = self.lag.n if self.lag else 0
        return (
            f"{self.late:,} of {n:,} requests ({self.late_share:.1%}, 95 % interval {self.late_low:.1%} to "
            f"{self.late_high:.1%}) left more than {LATE_MS:g} ms late"
        )

    @property
    def cautions(self) -> tuple[str, ...]:
        """Sentences on what believed figures leave open; empty where the test failed or says all."""
        if self.problem is not None:
            return ()
        return tuple(filter(None, (self._few, self._lateness, self._made_up)))

    @property
    def _few(self) -> str:
        if self.answered >= P99_NEEDS:
            return ""
        return (
            f"too few requests to judge p99: {self.answered:,} of {P99_NEEDS} needed; "
            "test longer or at a higher rate"
        )

    @property
    def _lateness(self) -> str:
        n = self.lag.n if self.lag else 0
        if n < P99_NEEDS or self.late_high <= TRUSTED_LATE_SHARE:
            return ""
        return (
            f"{self.late_words}: whether more than {TRUSTED_LATE_SHARE:.0%} do is not settled, and those "
            "count in p99; a longer test settles it"
        )

    @property
    def _made_up(self) -> str:
        if self.rows is None or self.rows.kind != "synthetic":
            return ""
        return (
            "synthetic rows: times are real, but which tier decided how many says nothing about real "
            "traffic; give --dataset for rows of a dataset"
        )

    @property
    def mark(self) -> str:
        """Sentence on the model that answered where it was not judged on real data; else empty."""
        if self.model is None:
            return "" if self.config.stream else "the server does not say which model answered"
        return "; ".join(self.model.cautions) if self.model.simulated else ""


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
    late, low, high = _lateness_of(lag_ms)
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
        late_share=late / lag_ms.size if lag_ms.size else 0.0,
        late=late,
        late_low=low,
        late_high=high,
        tiers=_by_tier(tier, latency_ms, ok),
        notes=dict(sorted(Counter(note for each in notes for note in each).items())),
        stages=_stages([timings.stages_ms[k] for k, answered in zip(kept, ok, strict=True) if answered]),
        histogram=_histogram(latency_ms[ok]),
        moments=_moments((due - first_ns) / NS_PER_SECOND, latency_ms, ok, config.duration_s),
    )


def _lateness_of(lag_ms: np.ndarray) -> tuple[int, float, float]:
    """(requests that left late, low, high bound of their share)."""
    late = int((lag_ms > LATE_MS).sum())
    return late, *share_bounds(late, int(lag_ms.size))


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
