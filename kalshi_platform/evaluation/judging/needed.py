"""Blocks that a judgement needs before half of the best rule's edge would show four times in five.

Owns   the two questions of the champion gate (more than nothing, more than the best rule), each with the
       spread of its own blocks; the count itself is evaluation/statistics/power.py's.
Units  returns are fractions of the episode's capital.
Edge   of the best rule on training events. Half of it: a policy worth having may be no better than that.
"""

from typing import Final

import numpy as np

from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS
from kalshi_platform.evaluation.statistics.power import blocks_for_power
from kalshi_platform.models.registry.evidence import RuleChoice

POWER: Final = 0.8
_SHARE_OF_EDGE: Final = 0.5


class Needed(Config):
    """Blocks that one question needs, and those that were there."""

    question: str
    n_blocks: int
    edge: float | None  # that should show; None where no rule earned anything
    spread: float | None  # standard deviation of a block; None below three blocks
    needed: int | None
    note: str = ""

    @property
    def enough(self) -> bool | None:
        """True where there were as many blocks as needed; None where the number is not known."""
        return None if self.needed is None else self.n_blocks >= self.needed


def needed_blocks(
    returns: np.ndarray, against_rule: np.ndarray | None, rules: RuleChoice | None, confidence: float
) -> tuple[Needed, ...]:
    """Blocks needed by each question.

    ``returns`` (B,) of the policy, one a block; ``against_rule`` (B,) its paired difference to the best rule,
    None where that was not played.
    """
    best = rules.best if rules else None
    earned = best.train_return.value if best else None
    edge = earned * _SHARE_OF_EDGE if earned is not None and earned > 0 else None
    note = "" if edge is not None else "no rule earned anything on training events: no edge to ask for"
    if best is None:
        note = "no rule was chosen on training events: no edge to ask for"
    rows = [_row("earns more than nothing", returns, edge, confidence, note)]
    if best is not None and edge is not None and against_rule is not None:
        rows.append(_row(f"earns more than {best.words}", against_rule, edge, confidence, note))
    return tuple(rows)


def _row(question: str, values: np.ndarray, edge: float | None, confidence: float, note: str) -> Needed:
    known = values.size >= MIN_BLOCKS
    needed = blocks_for_power(values, edge, POWER, confidence) if edge is not None and known else None
    return Needed(
        question=question,
        n_blocks=values.size,
        edge=edge,
        spread=float(values.std(ddof=1)) if known else None,
        needed=needed,
        note=note or ("" if known else f"fewer than {MIN_BLOCKS} blocks: their spread is not known"),
    )


def needed_words(row: Needed) -> str:
    """One line for a terminal."""
    if row.needed is None:
        judged = f"{row.n_blocks:,} block{'' if row.n_blocks == 1 else 's'} judged"
        return f"{row.question}: {judged}; {row.note or 'more blocks needed than can ever be had'}"
    verdict = "enough" if row.enough else "TOO FEW: an edge of this size would often not show"
    return (
        f"{row.question}: {row.needed:,} blocks needed for {POWER:.0%} power at half of the best rule's "
        f"edge, {row.n_blocks:,} judged, {verdict}"
    )
