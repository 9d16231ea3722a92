"""Rules of the checkup on what a policy was given: observations, masks, books and prints."""

import math

from kalshi_platform.domain.actions import ACTION_NAMES
from kalshi_platform.evaluation.judging.checkup_facts import CheckupConfig, Facts, Finding
from kalshi_platform.evaluation.judging.watch import STAT_BAD, STAT_COUNT, STAT_MAX, STAT_MIN
from kalshi_platform.simulation.replay.observation import PORTFOLIO


def not_a_number(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Find NaN or infinity in the observations or in the training metrics."""
    bad_features = 0
    if facts.stats is not None:
        bad_features = int((facts.stats[:, STAT_BAD] > 0).sum())
    bad_metrics = sorted(
        {
            key
            for row in facts.training_metrics
            for key, value in row.items()
            if isinstance(value, float) and not math.isfinite(value)
        }
    )
    if not bad_features and not bad_metrics:
        return None
    return Finding(
        severity="error",
        rule="not_a_number",
        message=f"NaN or infinity in {bad_features} features and {len(bad_metrics)} training metrics",
        evidence={"features": bad_features, "training_metrics": ", ".join(bad_metrics)},
        remedy="rebuild the dataset with `dataset verify`, lower the learning rate, check the advantages",
    )


def mask_never_binds(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if the mask never forbade a trade, else None.

    It must forbid SELL without a position, so such a mask is not connected.
    """
    t = facts.result.trading
    if t.decisions == 0 or sum(t.masked_counts[1:]) > 0:
        return None
    return Finding(
        severity="error",
        rule="mask_never_binds",
        message=f"the action mask forbade nothing in {t.decisions} decisions",
        evidence={"decisions": t.decisions},
        remedy="check that the environment writes the mask and that the policy's layout reads it",
    )


def action_never_possible(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Find an opening trade that the mask forbade at every decision."""
    t = facts.result.trading
    shut = [ACTION_NAMES[a] for a in (1, 3) if t.decisions > 0 and t.masked_counts[a] >= t.decisions]
    if not shut:
        return None
    return Finding(
        severity="error",
        rule="mask_always_binds",
        message=f"never available: {', '.join(shut)}",
        evidence={"decisions": t.decisions},
        remedy="check capital, position_limit_e2 and order_qty_e2 against the prices",
    )


def dead_features(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Find market features that never change.

    The portfolio's features depend on the policy and are left out.
    """
    if facts.stats is None:
        return None
    flat = (facts.stats[:, STAT_COUNT] > 1) & (facts.stats[:, STAT_MIN] == facts.stats[:, STAT_MAX])
    named = zip(facts.feature_names, flat, strict=True)
    dead = [name for name, is_flat in named if is_flat and name not in PORTFOLIO]
    if not dead:
        return None
    return Finding(
        severity="warning",
        rule="dead_features",
        message=f"{len(dead)} of {len(facts.feature_names)} features never change: {', '.join(dead)}",
        evidence={"dead": len(dead), "features": len(facts.feature_names)},
        remedy="check what feeds them; quotes and trades carry no depth, so their book sizes stay empty",
    )


def makers_without_prints(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if a maker was judged on markets whose data show no trade, else None."""
    n, t = facts.unprinted_markets, facts.result.trading
    if n == 0 or facts.result.order_style != "maker":
        return None
    return Finding(
        severity="info",
        rule="makers_without_prints",
        message=f"{n} of the judged markets show no trade: there a resting order fills only when the "
        "opposite best reaches its price",
        evidence={"markets": n, "fills": t.n_fills, "reached_fills": t.n_reached_fills},
        remedy="record the trade channel beside the book, or import the trades of these markets",
    )


def bad_books(facts: Facts, config: CheckupConfig) -> Finding | None:
    """Return a Finding if many decisions met a crossed book, or one that nobody had looked at for long."""
    books = facts.books
    if books is None or books.decisions == 0:
        return None
    limit = config.bad_book_share
    crossed, polled = books.crossed / books.decisions, books.old_polled / books.decisions
    fed = books.old_fed / books.decisions
    if max(crossed, polled, fed) < limit:
        return None
    age = f"older than {books.old_after_ms / 1_000:g} s"
    return Finding(
        severity="warning" if max(crossed, polled) >= limit else "info",
        rule="bad_books",
        message=f"of {books.decisions:,} decisions {books.crossed:,} met a crossed book, "
        f"{books.old_polled:,} polled prices {age}, {books.old_fed:,} a book of a feed that had not changed "
        "for as long",
        evidence={
            "decisions": books.decisions,
            "crossed": books.crossed,
            "old_polled": books.old_polled,
            "old_fed": books.old_fed,
            "threshold": limit,
        },
        remedy="a fill at such a price is a guess: poll more often or record the order book, and leave out "
        "the recordings whose counters (docs/formats.md) show crossed books",
    )
