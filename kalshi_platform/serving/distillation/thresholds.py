"""Where a group may leave the cascade: pairs of thresholds played in closed loop, and which of them is taken.

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
    exit_shares: dict[int, float]  # Tier -> mean over events of the share of groups it decided
    agreement: float  # mean over events of the share of actions that are the champion's
    mean_return: float
    expected_ms: float


class Choice(Config):
    """Which pair was taken on the calibration events, and why."""

    n_events: int
    champion_return: float
    rule: str
    pairs: tuple[Pair, ...]
    chosen: int  # index into pairs
    not_played: int = 0  # pairs the time limit left out, the most daring ones
    reason: str

    @property
    def pair(self) -> Pair:
        """The pair that was taken."""
        return self.pairs[self.chosen]


def candidates(confidence: np.ndarray, leaving: Sequence[float]) -> tuple[float, ...]:
    """Thresholds, descending, each reached by at least one of the shares ``leaving`` of (K,) confidences."""
    found = {float(np.quantile(confidence, 1 - share, method="lower")) for share in leaving}
    return tuple(sorted(found, reverse=True))


def pairs_of(
    first: Sequence[float], second: Sequence[float], lowest_confidence: float
) -> list[tuple[float | None, float | None]]:
    """Every pair of candidates and "never"; where all states leave at tier 1, tier 2 makes no difference."""
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

    On the champion's own states: an estimate to order pairs by, not what they do in closed loop.
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
    full_overhead_ms: float,
) -> float:
    """Mean over groups of the medians of the tiers each was asked; a group without a choice costs nothing.

    A group that leaves at tier k was asked every tier up to k that may exit; tier 3 costs
    ``full_overhead_ms`` more.
    """
    at_1 = p50_ms[1] if first is not None else 0.0
    at_2 = at_1 + (p50_ms[2] if second is not None else 0.0)
    at_3 = at_2 + p50_ms[3] + full_overhead_ms
    cost = {int(Tier.MLP): at_1, int(Tier.LSTM): at_2, int(Tier.FULL): at_3}
    return sum(exit_shares.get(tier, 0.0) * ms for tier, ms in cost.items())


def choose(pairs: Sequence[Pair], champion_return: float, n_events: int, config: ThresholdsConfig) -> Choice:
    """The pair with the least expected latency of those that are good enough; the champion alone always is.

    Good enough: a mean return of at least (1 - max_value_loss) of the champion's, and its actions in
    agreement_floor of the slots: few events can flatter a policy that acts otherwise. Where the champion's
    return is not positive a share of it means nothing, and the actions must agree in min_agreement instead.
    Equal latencies: the higher return.
    """
    alone = next(k for k, p in enumerate(pairs) if p.first is None and p.second is None)
    words = f"{champion_return:+.3%} over {n_events} events"
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
        n_events=n_events,
        champion_return=champion_return,
        rule=rule,
        pairs=tuple(pairs),
        chosen=best,
        reason=reason,
    )
