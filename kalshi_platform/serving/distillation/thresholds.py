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
from kalshi_platform.serving.inference.batch import Tier


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


def expected_ms(
    exit_shares: Mapping[int, float],
    first: float | None,
    second: float | None,
    p50_ms: Mapping[int, float],
    hop_ms: float,
) -> float:
    """Expected ms of a group: the medians of the tiers asked about it, averaged by ``exit_shares``.

    About a group that leaves at tier k the cascade asks every tier up to k that may exit; tier 3 costs
    ``hop_ms`` more. A group without a choice costs nothing.
    """
    at_1 = p50_ms[1] if first is not None else 0.0
    at_2 = at_1 + (p50_ms[2] if second is not None else 0.0)
    at_3 = at_2 + p50_ms[3] + hop_ms
    cost = {int(Tier.TIER_1): at_1, int(Tier.TIER_2): at_2, int(Tier.TIER_3): at_3}
    return sum(exit_shares.get(tier, 0.0) * ms for tier, ms in cost.items())


def choose(pairs: Sequence[Pair], champion_return: float, n_blocks: int, config: ThresholdsConfig) -> Choice:
    """Choose the pair with the least expected latency of those that are good enough.

    Good enough: a mean return of at least (1 - max_value_loss) of the champion's, and the champion's actions
    in agreement_floor of the slots, because few blocks can flatter a policy that acts otherwise. Where the
    champion's return is not positive a share of it means nothing, and the actions must agree in min_agreement
    instead. The champion alone is always good enough. Between equal latencies the higher return decides.
    """
    alone = next(k for k, p in enumerate(pairs) if p.first is None and p.second is None)
    words = f"{champion_return:+.3%} over {n_blocks} blocks"
    if champion_return > 0:
        bound, least = (1 - config.max_value_loss) * champion_return, config.agreement_floor
        rule = (
            f"a mean return of at least {1 - config.max_value_loss:.1%} of the champion's {words} and its "
            f"action in at least {least:.1%} of the slots with a choice"
        )
        good = [k for k, p in enumerate(pairs) if p.mean_return >= bound and p.agreement >= least]
    else:
        rule = (
            f"the champion's action in at least {config.min_agreement:.1%} of the slots with a choice (its "
            f"mean return of {words} is not positive: no share of it can be kept)"
        )
        good = [k for k, p in enumerate(pairs) if p.agreement >= config.min_agreement]
    best = min({*good, alone}, key=lambda k: (pairs[k].expected_ms, -pairs[k].mean_return))
    taken = pairs[best]
    reason = (
        f"the least expected latency, {taken.expected_ms:.3f} ms (the champion alone: "
        f"{pairs[alone].expected_ms:.3f}), of the {len({*good, alone})} of {len(pairs)} pairs with {rule}; "
        f"it returned {taken.mean_return:+.3%} and agreed in {taken.agreement:.1%}"
    )
    if best == alone:
        reason += ". No pair of exits is both good enough and quicker: every group is decided by the champion"
    return Choice(
        n_events=n_blocks,
        champion_return=champion_return,
        rule=rule,
        pairs=tuple(pairs),
        chosen=best,
        reason=reason,
    )
