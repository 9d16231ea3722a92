"""The time that exits at tiers 1 and 2 save a replica: whether it asks them before tier 3 at all.

Units  ms a group: medians of the thread's own time, one group alone, as the makers of a set measured them.
Rule   tiers 1 and 2 are asked first only where that saves ``LEAST_SAVING_MS`` a group or more. Below it the
       model answers alone: a request costs one to two ms beside the networks, and tiers decide otherwise
       than the model now and then. The rule reads the set's own record (with the least saving that its maker
       asked for), so that all replicas decide alike.
Not    the choice of thresholds (serving/distillation/thresholds.py), nor where tier 3 is asked (hop.py).
"""

from collections.abc import Mapping
from typing import Final

from kalshi_platform.models.registry.tiers import TierRecord, TierSet
from kalshi_platform.serving.inference.hop import HOP_MS, hop_ms

#: A saving below it is not worth deciding otherwise than the model now and then (ADR-0006, November 2026).
LEAST_SAVING_MS: Final = 0.05


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
    cost = {1: at_1, 2: at_2, 3: at_3}
    return sum(exit_shares.get(tier, 0.0) * ms for tier, ms in cost.items())


def saved_ms(tier_set: TierSet, inside_ms: float) -> float | None:
    """Time a group that the set's exits save over tier 3 alone; None where its record does not tell.

    A replica with the setting ``inside_ms`` asks its own tier 3 where that takes less; else tier 3 costs a
    hop. Negative: the exits cost time.
    """
    p50_ms = {tier.number: _fastest_ms(tier) for tier in tier_set.tiers}
    shares = {number: tier_set.report.get(f"exit_share_{number}") for number in p50_ms}
    if set(p50_ms) != {1, 2, 3} or None in p50_ms.values() or None in shares.values():
        return None
    times: dict[int, float] = {number: ms for number, ms in p50_ms.items() if ms is not None}
    parts: dict[int, float] = {number: share for number, share in shares.items() if share is not None}
    first, second = (tier.exit_threshold for tier in tier_set.tiers[:2])
    added_ms = hop_ms(times[3], inside_ms, HOP_MS)
    asked_ms = expected_ms(parts, first, second, times, added_ms)
    return sum(parts.values()) * (times[3] + added_ms) - asked_ms


def is_asked_first(tier_set: TierSet, inside_ms: float) -> bool:
    """True where a replica lets groups leave at tiers 1 and 2; where the record tells nothing, as it says."""
    saved = saved_ms(tier_set, inside_ms)
    return saved is None or saved >= tier_set.report.get("least_saving_ms", LEAST_SAVING_MS)


def first_asked_words(tier_set: TierSet | None, inside_ms: float) -> str:
    """Say who is asked first, and why: for the line that a service starts with, and for its log."""
    if tier_set is None:
        return "no tiers are stored: every decision asks the model itself"
    if all(tier.exit_threshold is None for tier in tier_set.tiers):
        return "every decision asks the model itself (tier 3); tiers 1 and 2 answer where it fails or is late"
    saved = saved_ms(tier_set, inside_ms)
    if saved is None:
        return "tiers 1 and 2 are asked first; the set does not tell what that saves"
    saves = f"{'saves' if saved >= 0 else 'costs'} about {abs(saved):.3f} ms a group"
    if is_asked_first(tier_set, inside_ms):
        return f"tiers 1 and 2 are asked first, which {saves}; kalshi-platform tiers show says what it loses"
    return (
        f"every decision asks the model itself (tier 3): asking tiers 1 and 2 first {saves}, which is not "
        "worth deciding otherwise than the model; they answer where it fails or is late"
    )


def _fastest_ms(tier: TierRecord) -> float | None:
    return min((form.p50_ms for form in tier.forms if form.accepted), default=None)
