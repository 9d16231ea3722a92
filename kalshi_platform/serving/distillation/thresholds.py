"""Chooses the thresholds at which groups leave the cascade: candidate pairs are played in closed loop.

Owns       the candidates, the latency a pair is expected to have, and the choice with its reason.
Units      latencies milliseconds; returns are fractions of an episode's capital, means over events.
Closed loop: a tier's mistake moves the portfolio that every later decision sees, so a pair is played, not
estimated from the champion's states.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from kalshi_platform.domain.config import Config
from kalshi_platform.serving.distillation.config import ThresholdsConfig


class Pair(Config):
    """One pair of thresholds on the calibration events; None: the tier never exits and is not asked."""

    first: float | None  # of tier 1
    second: float | None  # of tier 2
    exit_shares: dict[int, float]  # Tier -> mean over blocks of the share of groups it decided
    agreement: float  # mean over blocks of the share of actions that are the champion's
    mean_return: float
    expected_ms: float


class Choice(Config):
    """The pair that was taken on the calibration blocks, and the reason."""

    n_events: int  # of blocks; the name is older than they are
    champion_return: float
    rule: str
    pairs: tuple[Pair, ...]
    chosen: int  # index into pairs
    not_played: int = 0  # pairs the time limit left out, the most daring ones
    reason: str

    @property
    def pair(self) -> Pair:
        """The pair of thresholds that was taken."""
        return self.pairs[self.chosen]


def candidates(confidence: np.ndarray, leaving: Sequence[float]) -> tuple[float, ...]:
    """Thresholds, descending: for each of ``leaving``, one that this share of (K,) confidences reaches."""
    found = {float(np.quantile(confidence, 1 - share, method="lower")) for share in leaving}
    return tuple(sorted(found, reverse=True))


def pairs_of(
    first: Sequence[float], second: Sequence[float], lowest_confidence: float
) -> list[tuple[float | None, float | None]]:
    """Every pair of candidates and None ("never").

    Where all states leave at tier 1, tier 2 makes no difference, and only None stands for it.
    """
    out: list[tuple[float | None, float | None]] = [(None, None)]
    out += [(None, b) for b in second]
    for a in first:
        out.append((a, None))
        if a > lowest_confidence:
            out += [(a, b) for b in second]
    return out


def shares_of(
    confidence: Mapping[int, np.ndarray], first: float | None, second: float | None
) -> dict[int, float]:
    """Share of states that each tier would decide; ``confidence`` of tiers 1 and 2, (K,) each.

    The states are the champion's own: the shares serve to order pairs, in closed loop they may differ.
    """
    nobody = np.zeros(confidence[1].size, bool)
    at_1 = nobody if first is None else confidence[1] >= first
    at_2 = nobody if second is None else ~at_1 & (confidence[2] >= second)
    return {1: float(at_1.mean()), 2: float(at_2.mean()), 3: float((~at_1 & ~at_2).mean())}


def good_enough(pairs: Sequence[Pair], champion_return: float, config: ThresholdsConfig) -> list[Pair]:
    """Pairs that may be chosen; the champion alone, if it is among ``pairs``, always is.

    Good enough: a mean return of at least (1 - max_value_loss) of the champion's, and the champion's actions
    in agreement_floor of the slots, because few blocks can flatter a policy that acts otherwise. Where the
    champion's return is not positive a share of it means nothing, and the actions must agree in min_agreement
    instead.
    """
    if champion_return > 0:
        bound, least = (1 - config.max_value_loss) * champion_return, config.agreement_floor
        kept = [p for p in pairs if p.mean_return >= bound and p.agreement >= least]
    else:
        kept = [p for p in pairs if p.agreement >= config.min_agreement]
    return [p for p in pairs if p in kept or (p.first is None and p.second is None)]


def choose(pairs: Sequence[Pair], champion_return: float, n_blocks: int, config: ThresholdsConfig) -> Choice:
    """Choose the pair with the least expected latency of those that are good enough.

    Where that saves less than ``least_saving_ms`` over the champion alone, the champion alone is chosen.
    Between equal latencies the higher return decides.
    """
    alone = next(p for p in pairs if p.first is None and p.second is None)
    good = good_enough(pairs, champion_return, config)
    best = min(good, key=lambda p: (p.expected_ms, -p.mean_return))
    saved_ms = alone.expected_ms - best.expected_ms
    taken = best if saved_ms >= config.least_saving_ms else alone
    rule = _rule(champion_return, n_blocks, config)
    if taken is alone:
        reason = (
            f"tier 3 for every group, {alone.expected_ms:.3f} ms: no pair of exits is both good enough and "
            f"{config.least_saving_ms:g} ms quicker"
        )
        if best is not alone:
            reason += (
                f" (the quickest of the {len(good) - 1} that are good enough, {_exits(best)}, takes "
                f"{best.expected_ms:.3f} ms and returned {best.mean_return:+.3%}; good enough is {rule})"
            )
        else:
            reason += f" (good enough is {rule})"
    else:
        reason = (
            f"the least expected latency, {taken.expected_ms:.3f} ms (tier 3 alone: "
            f"{alone.expected_ms:.3f}), of the {len(good)} of {len(pairs)} pairs with {rule}; it returned "
            f"{taken.mean_return:+.3%} and "
            f"agreed in {taken.agreement:.1%}"
        )
    return Choice(
        n_events=n_blocks,
        champion_return=champion_return,
        rule=rule,
        pairs=tuple(pairs),
        chosen=next(k for k, p in enumerate(pairs) if p is taken),
        reason=reason,
    )


def _exits(pair: Pair) -> str:
    at = ((1, pair.first), (2, pair.second))
    return " and ".join(f"tier {n} from {exit_at:.3f}" for n, exit_at in at if exit_at is not None)


def _rule(champion_return: float, n_blocks: int, config: ThresholdsConfig) -> str:
    """Words for what is good enough on the calibrating blocks."""
    words = f"{champion_return:+.3%} over {n_blocks} calibrating blocks"
    if champion_return > 0:
        return (
            f"a mean return of at least {1 - config.max_value_loss:.1%} of the model's {words} and its "
            f"action in at least {config.agreement_floor:.1%} of the slots with a choice"
        )
    return (
        f"the model's action in at least {config.min_agreement:.1%} of the slots with a choice (its mean "
        f"return of {words} is not positive: no share of it can be kept)"
    )
