"""Judges a tier set: the cascade plays beside its champion on blocks that decided nothing about the set.

Owns       the figures of the report and their computation; every interval resamples whole blocks.
Units      latencies milliseconds of the thread's own time, one group, one thread; returns are fractions of an
           episode's capital.
"""

import time
from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple

import numpy as np
from pydantic import BeforeValidator, Field

from kalshi_platform.data.dataset.split import Split
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.saying import Say, silent
from kalshi_platform.domain.timing import time_calls
from kalshi_platform.evaluation.judging.compare import compare
from kalshi_platform.evaluation.judging.sample import Sample
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, Interval, ratio_interval
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.device import torch_threads
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.registry.tiers import FormRecord
from kalshi_platform.serving.distillation import calibration
from kalshi_platform.serving.distillation.calibration import Reliability
from kalshi_platform.serving.distillation.cascade import Theatre, batch_of, cascade_of
from kalshi_platform.serving.distillation.config import ThresholdsConfig
from kalshi_platform.serving.distillation.states import StateReader, choices, collect_states
from kalshi_platform.serving.inference.batch import TIER_NAMES, Tier, present_name
from kalshi_platform.serving.inference.engine import Engine
from kalshi_platform.serving.inference.saving import expected_ms
from kalshi_platform.serving.inference.tiered import ReadyTier, TieredPolicy
from kalshi_platform.simulation.rollout.reservoir import States

#: Points of a tier's exit curve.
_CURVE_POINTS: Final = 40


class Made(NamedTuple):
    """One network of the cascade on its way into a set."""

    number: int
    policy: FrozenPolicy
    engine: Engine
    form: FormRecord  # what the engine runs
    temperature: float
    exit_threshold: float | None

    @property
    def ready(self) -> ReadyTier:
        """The tier as the cascade asks it."""
        return ReadyTier(self.number, self.engine, self.temperature, self.exit_threshold)


class ExitPoint(Config):
    """Result of one threshold of a tier, measured on the states that the champion meets."""

    threshold: float
    share: float  # of groups that would leave
    agreement: float  # of those: every slot's action is the champion's


class TierJudgement(Config):
    """Figures of one network of the cascade on the judging events."""

    number: int
    level: Annotated[str, BeforeValidator(present_name)]
    form: str
    p50_ms: float
    p99_ms: float
    temperature: float
    exit_threshold: float | None
    exit_share: float  # mean over blocks of the share of groups it decided
    alone_return: Interval  # where this tier decides everything
    alone_agreement: float  # share of slots with a choice, on the champion's states
    before: Reliability | None  # at temperature 1; None for the champion, which is always right
    after: Reliability | None
    exits: tuple[ExitPoint, ...]


class Judgement(Config):
    """Figures of the cascade on the judging events."""

    split: Split
    half: bool  # the judging half of the split's blocks; else all of them
    n_events: int
    n_blocks: int = Field(0, description="independent observations; 0 in reports of an earlier version")
    n_episodes: int
    tiers: tuple[TierJudgement, ...]
    without_choice: float  # mean over blocks of the share of groups without a choice
    agreement: float  # mean over blocks, on the states the cascade itself meets
    champion_return: Interval
    cascade_return: Interval
    difference: Interval  # cascade - champion, paired by block
    value_kept: Interval | None  # cascade / champion; None where the champion's is not positive
    p50_ms: float  # of the cascade in process, measured on states of these events
    p99_ms: float
    wall_p99_ms: float
    hop_ms: float | None = None  # that tier 3 costs beside its own time; None in a report of an older release
    expected_ms: float  # the tiers' medians by exit shares, with the hop to tier 3
    champion_expected_ms: float  # the same for the champion alone
    wall_s: float

    @property
    def numbers(self) -> dict[str, float]:
        """The figures that stand in the tier set's record."""
        found = {
            "events": float(self.n_events),
            "without_choice": self.without_choice,
            "agreement": self.agreement,
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
            "expected_ms": self.expected_ms,
            "champion_expected_ms": self.champion_expected_ms,
            **{f"exit_share_{TIER_NAMES[t.number]}": t.exit_share for t in self.tiers},
            **{f"ece_{TIER_NAMES[t.number]}": t.after.ece for t in self.tiers if t.after},
        }
        intervals = {
            "champion_return": self.champion_return,
            "cascade_return": self.cascade_return,
            "difference": self.difference,
            "value_kept": self.value_kept,
        }
        for name, interval in intervals.items():
            values = {"": "estimate", "_low": "low", "_high": "high"}
            for ending, field in values.items():
                value = getattr(interval, field) if interval else None
                if value is not None:
                    found[name + ending] = value
        return found


def judging_states(theatre: Theatre, seed: int) -> States:
    """States that the champion meets on the theatre's events while it plays as it is served."""
    config = theatre.config
    with torch_threads(1):
        found = collect_states(
            theatre.champion.network, theatre.stage(), steps=config.max_steps, kept=config.kept, seed=seed
        )
    if found is None:
        raise DataError(
            f"in none of {theatre.n_events} events has any slot a choice: nothing to calibrate or judge by"
        )
    return found


def judge(
    made: Sequence[Made],
    theatre: Theatre,
    thresholds: ThresholdsConfig,
    seed: int,
    split: Split,
    half: bool,
    say: Say = silent,
) -> Judgement:
    """Play champion, cascade and every tier alone on the theatre's events, and time the cascade."""
    started = time.perf_counter()
    champion, config = theatre.champion, theatre.config
    alone = theatre.play(NetworkPolicy(champion.network, theatre.bank.arrays), "champion")
    tiered = cascade_of(champion.spec, [m.ready for m in made])
    played = theatre.play_cascade(tiered)
    assert played.tally is not None
    states = judging_states(theatre, seed)
    say(f"judged on {theatre.n_blocks} blocks; each tier alone follows")
    shares = played.tally.exit_shares
    times = _time(tiered, theatre, states, seed)
    by_tier = {int(t): float(shares[t]) for t in Tier}
    undecided = {int(Tier.TIER_3): 1 - by_tier[Tier.RULES]}
    return Judgement(
        split=split,
        half=half,
        n_events=int(np.unique(alone.event).size),
        n_blocks=int(np.unique(alone.block).size),
        n_episodes=int(alone.rollouts[0].episode.size),
        tiers=tuple(_judge_tier(m, theatre, states, by_tier[m.number], alone) for m in made),
        without_choice=by_tier[Tier.RULES],
        agreement=played.tally.agreement,
        champion_return=alone.mean_interval(config.bootstrap),
        cascade_return=played.sample.mean_interval(config.bootstrap),
        difference=compare(played.sample, alone, "champion", config.bootstrap).difference,
        value_kept=value_kept(played.returns, alone.block_means()[1], config.bootstrap),
        **times,
        hop_ms=thresholds.hop_ms(made[-1].form.p50_ms),
        expected_ms=_expected_ms(made, by_tier, thresholds),
        champion_expected_ms=_expected_ms(made[-1:], undecided, thresholds),
        wall_s=time.perf_counter() - started,
    )


def _expected_ms(made: Sequence[Made], shares: dict[int, float], config: ThresholdsConfig) -> float:
    """Expected ms of a group with the tiers ``made``, of which ``shares`` leave at each; thresholds.py."""
    exits = {m.number: m.exit_threshold for m in made}
    p50 = {m.number: m.form.p50_ms for m in made}
    return expected_ms(
        shares, exits.get(Tier.TIER_1), exits.get(Tier.TIER_2), p50, config.hop_ms(p50[Tier.TIER_3])
    )


def value_kept(cascade: np.ndarray, champion: np.ndarray, config: BootstrapConfig) -> Interval | None:
    """Ratio of the cascade's mean return to the champion's, with its interval; both (B,) of the same blocks.

    The interval draws blocks of both jointly. None where the champion's mean is not positive. Where the
    champion's own interval reaches below zero the ratio has no bounds: draws in which the champion earned
    nothing would send them anywhere.
    """
    if champion.mean() <= 0:
        return None
    kept = ratio_interval(cascade, champion, config)
    if champion.size < MIN_BLOCKS:
        return kept
    if ratio_interval(champion, np.ones_like(champion), config).above_zero:
        return kept
    note = "the champion's own interval reaches below zero on these blocks: read the difference instead"
    return kept.replace(low=None, high=None, note=note)


def _judge_tier(
    made: Made, theatre: Theatre, states: States, exit_share: float, champion: Sample
) -> TierJudgement:
    config = theatre.config
    is_champion = made.number == Tier.TIER_3
    own = NetworkPolicy(made.policy.network, theatre.bank.arrays)
    alone = champion if is_champion else theatre.play(own, "tier")
    mask, counted = choices(made.policy.spec.layout, states.flat)
    logits = states.logits if is_champion else _logits(made, theatre, states)
    right = calibration.best_of(logits, mask) == calibration.best_of(states.logits, mask)
    before, after = (
        None
        if is_champion
        else calibration.reliability(
            calibration.confidence_of(logits, mask, t)[counted], right[counted], config.bins
        )
        for t in (1.0, made.temperature)
    )
    confidence = calibration.group_confidence(
        calibration.confidence_of(logits, mask, made.temperature), counted
    )
    return TierJudgement(
        number=made.number,
        level=made.policy.spec.level.name,
        form=made.form.name,
        p50_ms=made.form.p50_ms,
        p99_ms=made.form.p99_ms,
        temperature=made.temperature,
        exit_threshold=made.exit_threshold,
        exit_share=exit_share,
        alone_return=alone.mean_interval(config.bootstrap),
        alone_agreement=float(right[counted].mean()),
        before=before,
        after=after,
        exits=() if is_champion else exit_curve(confidence, (right | ~counted).all(axis=1)),
    )


def exit_curve(confidence: np.ndarray, right: np.ndarray) -> tuple[ExitPoint, ...]:
    """Share of groups at or above each threshold, and how many of them are right; confidence, right (K,).

    The thresholds are evenly spaced quantiles of the confidence, so that every point stands for groups.
    """
    points = []
    for threshold in np.unique(np.quantile(confidence, np.linspace(0, 1, _CURVE_POINTS), method="lower")):
        leaves = confidence >= threshold
        points.append(
            ExitPoint(
                threshold=float(threshold),
                share=float(leaves.mean()),
                agreement=float(right[leaves].mean()),
            )
        )
    return tuple(points)


def _logits(made: Made, theatre: Theatre, states: States) -> np.ndarray:
    with torch_threads(1):
        return StateReader(made.policy.network, theatre.bank.arrays).logits(states)


def _time(tiered: TieredPolicy, theatre: Theatre, states: States, seed: int) -> dict[str, float]:
    """Time decisions of one group, each of another state, with empty caches; percentiles in ms."""
    calls = theatre.config.latency_calls
    at = np.random.default_rng([seed, states.n]).integers(0, states.n, min(calls, states.n))
    batches = [
        batch_of(theatre.bank, states.flat[k : k + 1], states.rows[k : k + 1], tiered.window) for k in at
    ]

    def decide(k: int) -> None:
        tiered.decide(batches[k % len(batches)], 0)
        tiered.forget()

    times = time_calls(decide, calls, min(calls, 200), min(calls, 50))
    return {"p50_ms": times.p50_ms, "p99_ms": times.p99_ms, "wall_p99_ms": times.wall_p99_ms}
