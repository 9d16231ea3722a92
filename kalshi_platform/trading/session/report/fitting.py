"""Settings of the execution model as a session realised them: latency, its spread, the queue.

Latency   from decision to the first frame that names the order: on the clock of what is seen an order meets
          the book then, as in replay, where order leg and feed leg add up (``replay/sending.py``). The two
          cannot be told apart without a common clock: the whole is ``latency_ms``, the feed leg 0.
          Log-normal, as the environment draws it: median exp(mean of logs), sigma their deviation.
Queue     share of what others cancelled at our price that had stood ahead of us: cancelled ahead / cancelled
          in all, over first fills. Orders that never filled are not in it: the share is likely too high. The
          environment lets no cancel advance an order until less is displayed than stands ahead of it, a
          share of 0, and has no setting for another one.
n         markets of one event are one observation: intervals resample events. Fewer than LEAST_EVENTS or
          LEAST_ORDERS give no setting.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.statistics.bootstrap import (
    BootstrapConfig,
    Interval,
    cluster_sums,
    mean_interval,
    ratio_interval,
)
from kalshi_platform.trading.session.report.realised import RealisedOrder

LEAST_EVENTS: Final = 10
LEAST_ORDERS: Final = 30

#: Stages of an order, each between two of its times (``realised.py``).
STAGES: Final = (
    ("decision to request", "decided_ns", "sent_ns"),
    ("request to answer", "sent_ns", "answered_ns"),
    ("request to first frame", "sent_ns", "seen_ns"),
    ("decision to first frame", "decided_ns", "seen_ns"),
)
#: Stage that the environment's latency stands for.
WHOLE: Final = "decision to first frame"


class Estimated(Config):
    """One figure with its interval by event; ``low`` and ``high`` None where too few events give none."""

    value: float | None
    low: float | None
    high: float | None
    n_orders: int
    n_events: int
    lacks: str = Field("", description="why no setting follows; empty: enough")

    @property
    def words(self) -> str:
        """Figure, interval, and n."""
        if self.value is None:
            return f"unknown ({self.lacks})"
        span = "" if self.low is None else f" [{self.low:.4g}, {self.high:.4g}]"
        lacks = f"; {self.lacks}" if self.lacks else ""
        return f"{self.value:.4g}{span} (n = {self.n_orders} orders, {self.n_events} events{lacks})"


class FittedStage(Config):
    """Times of one stage, ms, as a log-normal."""

    stage: str
    median_ms: Estimated
    sigma: Estimated


class FittedExecution(Config):
    """Everything fitted of one session."""

    stages: tuple[FittedStage, ...]
    replacing_ms: Estimated = Field(description="median of the whole, orders that waited for a cancel")
    fresh_ms: Estimated = Field(description="median of the whole, the others")
    cancel_share: Estimated = Field(description="of cancels at our price: share that stood ahead of us")
    order_style: str
    assumed_latency_ms: int
    assumed_sigma: float

    @property
    def whole(self) -> FittedStage:
        """Stage that the environment's latency stands for."""
        return next(stage for stage in self.stages if stage.stage == WHOLE)

    @property
    def toml(self) -> str:
        """Lines for a file of settings (``EnvConfig``): what enough events support, the rest as words."""
        median, sigma, queue = self.whole.median_ms, self.whole.sigma, self.cancel_share
        lines = [f"# decision to first frame, ms: {median.words}; this model was trained with "
                 f"{self.assumed_latency_ms}"]  # fmt: skip
        if median.value is not None and not median.lacks:
            lines += [f"latency_ms = {round(median.value)}", "feed_latency_ms = 0"]
        lines.append(f"# spread of its logarithm: {sigma.words}")
        if sigma.value is not None and not sigma.lacks:
            lines.append(f"latency_sigma = {min(sigma.value, 2.0):.3f}")
        if self.order_style == "maker":
            lines.append(f"# share of cancels at our price that stood ahead: {queue.words}")
            lines.append("# the environment takes 0 and has no setting for another one")
            lines.append("maker_queue = true")
        return "\n".join(lines) + "\n"


def fit_execution(
    orders: Sequence[tuple[str, RealisedOrder]], order_style: str, latency_ms: int, sigma: float
) -> FittedExecution:
    """Fit latency and queue to orders, each with its event."""
    whole = next((since, until) for name, since, until in STAGES if name == WHOLE)
    return FittedExecution(
        stages=tuple(_stage(name, orders, since, until) for name, since, until in STAGES),
        replacing_ms=_median(*_times([each for each in orders if each[1].replaces], *whole)),
        fresh_ms=_median(*_times([each for each in orders if not each[1].replaces], *whole)),
        cancel_share=_share(orders),
        order_style=order_style, assumed_latency_ms=latency_ms, assumed_sigma=sigma,
    )  # fmt: skip


def _stage(name: str, orders: Sequence[tuple[str, RealisedOrder]], since: str, until: str) -> FittedStage:
    """Fit one stage."""
    events, times_ms = _times(orders, since, until)
    return FittedStage(stage=name, median_ms=_median(events, times_ms), sigma=_sigma(events, times_ms))


def _times(
    orders: Sequence[tuple[str, RealisedOrder]], since: str, until: str
) -> tuple[np.ndarray, np.ndarray]:
    """(events, times in ms) of the orders of which both ends of a stage are known and in order."""
    found = [(e, ms) for e, order in orders if (ms := order.waited_ms(since, until)) is not None and ms > 0]
    return np.array([e for e, _ in found], str), np.array([ms for _, ms in found], np.float64)


def _median(events: np.ndarray, times_ms: np.ndarray) -> Estimated:
    """Median of a log-normal."""
    return _estimated(events, mean_interval(events, np.log(times_ms), BootstrapConfig()), math.exp)


def _sigma(events: np.ndarray, times_ms: np.ndarray) -> Estimated:
    """Deviation of the logarithm."""
    logs = np.log(times_ms)
    squares = (logs - logs.mean()) ** 2 if logs.size else logs
    sums, counts = cluster_sums(events, squares)
    return _estimated(events, ratio_interval(sums, counts, BootstrapConfig()), _root)


def _root(value: float) -> float:
    """Root of a variance, whose interval may reach below 0."""
    return math.sqrt(max(value, 0.0))


def _share(orders: Sequence[tuple[str, RealisedOrder]]) -> Estimated:
    """Share of cancels that stood ahead, over the first fills of makers."""
    found = [(e, *order.queue) for e, order in orders if order.queue is not None and order.queue[1] > 0]
    events = np.array([e for e, _, _ in found], str)
    ahead, _ = cluster_sums(events, np.array([a for _, a, _ in found], np.float64))
    whole, _ = cluster_sums(events, np.array([w for _, _, w in found], np.float64))
    return _estimated(events, ratio_interval(ahead, whole, BootstrapConfig()), float)


def _estimated(events: np.ndarray, found: Interval, scale: object) -> Estimated:
    """Figure on the scale that is reported."""
    assert callable(scale)
    values = [None if v is None else float(scale(v)) for v in (found.estimate, found.low, found.high)]
    lacks = ""
    if found.n_clusters < LEAST_EVENTS or events.size < LEAST_ORDERS:
        lacks = (
            f"not enough: n = {events.size} orders of {found.n_clusters} events, at least {LEAST_ORDERS} of "
            f"{LEAST_EVENTS} give a setting"
        )
    return Estimated(
        value=values[0], low=values[1], high=values[2], n_orders=int(events.size), n_events=found.n_clusters,
        lacks=lacks,
    )  # fmt: skip
