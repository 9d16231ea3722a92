"""Gathers what the checkup looks at from the rollouts of the judged policy.

Owns   the counts that only the checkup needs: features' spread, opened sides, crossed and old books, markets
       without a print.
"""

from typing import Any

import numpy as np

from kalshi_platform.evaluation.judging.checkup_facts import BookLooks, Facts, Openings
from kalshi_platform.evaluation.judging.fee_ladder import FULL_E6
from kalshi_platform.evaluation.judging.sample import Sample
from kalshi_platform.evaluation.judging.summary import PolicyResult
from kalshi_platform.evaluation.judging.watch import LOOKS, LOOKS_CROSSED, LOOKS_OLD, STAT_MAX, STAT_MIN
from kalshi_platform.simulation.replay.bank import FULL_DEPTH, Bank


def unprinted_markets(bank: Bank) -> int:
    """Number of markets with rows to step over whose rows show no trade."""
    segments = bank.arrays.segments
    by_market = np.bincount(segments["market"], segments["printed"], minlength=len(bank.markets))
    return int((by_market[np.unique(segments["market"])] == 0).sum())


def opened_sides(sample: Sample) -> Openings | None:
    """Trips by the side they opened on; None where no trip was kept."""
    sides = np.concatenate([r.trips["side"] for r in sample.rollouts])
    if sides.size == 0:
        return None
    return Openings(yes=int((sides > 0).sum()), no=int((sides < 0).sum()), unknown=int((sides == 0).sum()))


def book_looks(sample: Sample) -> BookLooks:
    """Decisions of all rollouts by the state of the book that they met."""
    looks = np.sum([r.tallies.looks for r in sample.rollouts], axis=0)
    fed = sample.bank.arrays.markets["source"] == FULL_DEPTH
    return BookLooks(
        decisions=int(looks[:, LOOKS].sum()),
        crossed=int(looks[:, LOOKS_CROSSED].sum()),
        old_polled=int(looks[~fed, LOOKS_OLD].sum()),
        old_fed=int(looks[fed, LOOKS_OLD].sum()),
        old_after_ms=sample.rollouts[0].old_book_ms,
    )


def gather_facts(sample: Sample, result: PolicyResult, *, oracle_pnl_e6: int | None, **known: Any) -> Facts:
    """Facts about the judged policy; ``known`` are those of :class:`Facts` that no rollout tells."""
    parts = [r.tallies.stats for r in sample.rollouts]
    stats = np.sum(parts, axis=0)
    stats[:, STAT_MIN] = np.min([p[:, STAT_MIN] for p in parts], axis=0)
    stats[:, STAT_MAX] = np.max([p[:, STAT_MAX] for p in parts], axis=0)
    full_fees = sample.config.fee_scale_e6 == FULL_E6
    return Facts(
        result=result,
        stats=stats,
        feature_names=sample.rollouts[0].feature_names,
        oracle_pnl_e6=oracle_pnl_e6 if full_fees else None,
        unprinted_markets=unprinted_markets(sample.bank),
        openings=opened_sides(sample),
        books=book_looks(sample),
        **known,
    )
