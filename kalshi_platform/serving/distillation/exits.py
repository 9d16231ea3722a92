"""Calibrates students and chooses where groups leave, on the calibrating half of the blocks."""

import time
from collections.abc import Sequence

import numpy as np

from kalshi_platform.domain.saying import Say, Throttle, silent
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.device import torch_threads
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.serving.distillation import calibration
from kalshi_platform.serving.distillation.cascade import Theatre, cascade_of
from kalshi_platform.serving.distillation.config import ThresholdsConfig
from kalshi_platform.serving.distillation.judge import Made
from kalshi_platform.serving.distillation.states import StateReader, choices
from kalshi_platform.serving.distillation.thresholds import (
    Choice,
    Pair,
    candidates,
    choose,
    pairs_of,
    shares_of,
)
from kalshi_platform.serving.inference.batch import Tier
from kalshi_platform.serving.inference.saving import expected_ms
from kalshi_platform.simulation.rollout.reservoir import States

#: Thresholds of tiers 1 and 2; None = never.
Exits = tuple[float | None, float | None]


def calibrated_temperature(policy: FrozenPolicy, theatre: Theatre, states: States) -> float:
    """The temperature at which a student's probabilities best foresee the champion's action."""
    mask, counted = choices(policy.spec.layout, states.flat)
    wanted = calibration.best_of(states.logits, mask)
    logits = _logits(policy, theatre, states)
    return calibration.fit_temperature(logits[counted], mask[counted], wanted[counted])


def choose_exits(
    made: Sequence[Made],
    theatre: Theatre,
    states: States,
    config: ThresholdsConfig,
    say: Say = silent,
) -> Choice:
    """Play every pair of candidate thresholds on the theatre's events and choose one (thresholds.py)."""
    champion = theatre.play(NetworkPolicy(theatre.champion.network, theatre.bank.arrays), "champion")
    _, returns = champion.block_means()
    wanted = _cautious_first(made, theatre, states, config)
    pairs: list[Pair] = []
    started, throttle = time.perf_counter(), Throttle(wait_first=True)
    for pair in wanted:
        if pairs and time.perf_counter() - started > config.limit_s:
            break
        pairs.append(_play(pair, made, theatre, config))
        if throttle.is_due():
            left = (time.perf_counter() - started) / len(pairs) * (len(wanted) - len(pairs))
            say(f"exits: {len(pairs)} of {len(wanted)} pairs of thresholds played, {left:.0f} s left")
    choice = choose(pairs, float(returns.mean()), returns.size, config)
    if left_out := len(wanted) - len(pairs):
        words = f"the time limit of {config.limit_s:g} s left out the {left_out} most daring pairs"
        choice = choice.replace(reason=f"{choice.reason}; {words}", not_played=left_out)
    say(f"exits: {choice.reason} ({time.perf_counter() - started:.0f} s)")
    return choice


def _cautious_first(
    made: Sequence[Made], theatre: Theatre, states: States, config: ThresholdsConfig
) -> list[Exits]:
    """Pairs in the order to play them: the champion alone, then from slow to quick.

    A time limit then leaves out the most daring pairs.
    """
    confidence = {m.number: _confidence(m, theatre, states) for m in made if m.number != Tier.TIER_3}
    first, second = (candidates(confidence[n], config.leaving) for n in (Tier.TIER_1, Tier.TIER_2))
    p50 = {m.number: m.form.p50_ms for m in made}

    def daring(pair: Exits) -> tuple[bool, float]:
        shares = shares_of(confidence, *pair)
        return pair != (None, None), -expected_ms(shares, *pair, p50, config.hop_ms(p50[3]))

    return sorted(pairs_of(first, second, float(confidence[Tier.TIER_1].min())), key=daring)


def with_exits(made: Sequence[Made], first: float | None, second: float | None) -> list[Made]:
    """Copies of ``made`` that let groups leave at these thresholds; the champion decides those left."""
    exits = {int(Tier.TIER_1): first, int(Tier.TIER_2): second}
    return [m._replace(exit_threshold=exits.get(m.number)) for m in made]


def _play(pair: Exits, made: Sequence[Made], theatre: Theatre, config: ThresholdsConfig) -> Pair:
    ready = [m.ready for m in with_exits(made, *pair)]
    played = theatre.play_cascade(cascade_of(theatre.champion.spec, ready))
    assert played.tally is not None
    shares = {int(t): float(played.tally.exit_shares[t]) for t in Tier}
    p50 = {m.number: m.form.p50_ms for m in made}
    return Pair(
        first=pair[0],
        second=pair[1],
        exit_shares=shares,
        agreement=played.tally.agreement,
        mean_return=played.mean_return,
        expected_ms=expected_ms(shares, *pair, p50, config.hop_ms(p50[3])),
    )


def _confidence(made: Made, theatre: Theatre, states: States) -> np.ndarray:
    mask, counted = choices(made.policy.spec.layout, states.flat)
    logits = _logits(made.policy, theatre, states)
    slots = calibration.confidence_of(logits, mask, made.temperature)
    return calibration.group_confidence(slots, counted)


def _logits(policy: FrozenPolicy, theatre: Theatre, states: States) -> np.ndarray:
    with torch_threads(1):
        return StateReader(policy.network, theatre.bank.arrays).logits(states)
