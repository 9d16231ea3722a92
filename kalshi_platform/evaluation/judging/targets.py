"""The brief's targets, found and passed: cross-market Sharpe, markets in profit, consistency of returns.

Owns   the definition of each target in words and its figure, computed from a PolicyResult.
Units  ratios and shares without a unit.
Not    a gate: promotion asks its own questions (evaluation/promotion).

Two Sharpe ratios are shown. The brief's own formula works on the rewards of single steps, which are small and
dependent, so its figure is low however good a policy is. The one per block is that of independent returns.
"""

from typing import Final, Literal

import numpy as np

from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.judging.summary import PolicyResult
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS, decides_nothing
from kalshi_platform.evaluation.statistics.metrics import NO_SPREAD

MIN_SHARPE: Final = 0.5
MIN_PROFITABLE: Final = 0.6
MAX_SPREAD: Final = 0.5


class Target(Config):
    """One target of the brief: what was asked, what was found, and whether it passed."""

    name: str
    definition: str
    target: str
    found: float | None  # None where nothing can be computed
    form: Literal["ratio", "share"]
    passed: bool | None  # None: too few blocks decide nothing
    note: str = ""


def targets_of(result: PolicyResult) -> tuple[Target, ...]:
    """The brief's three targets, the Sharpe ratio by both definitions; nothing passes below three blocks."""
    few, profitable = decides_nothing(result.n_blocks), result.aggregate.share_profitable
    spread, note = _relative_spread(result)
    return (
        _target(
            "cross-market Sharpe, per step",
            "the brief's formula: mean over markets of mean / max(std, 0.01) of the rewards of single steps",
            f"> {MIN_SHARPE:g}",
            result.aggregate.mean_sharpe,
            result.aggregate.mean_sharpe > MIN_SHARPE,
            few,
        ),
        _target(
            "cross-market Sharpe, per block",
            "mean / std of the returns of independent blocks",
            f"> {MIN_SHARPE:g}",
            result.event_sharpe,
            result.event_sharpe is not None and result.event_sharpe > MIN_SHARPE,
            few or ("" if result.event_sharpe is not None else "the blocks' returns have no spread"),
        ),
        _target(
            "profitable markets",
            "share of the markets whose mean return is above zero",
            f"> {MIN_PROFITABLE:.0%}",
            profitable,
            profitable > MIN_PROFITABLE,
            few,
            form="share",
        ),
        _target(
            "consistency of returns",
            "std of the markets' mean returns over their mean, which must be above zero",
            f"< {MAX_SPREAD:.0%}",
            spread,
            spread is not None and 0.0 <= spread < MAX_SPREAD,
            few or note,
            form="share",
        ),
    )


def _relative_spread(result: PolicyResult) -> tuple[float | None, str]:
    """(std / mean of the markets' returns, why it fails or is unknown)."""
    returns = np.array([market.mean_return for market in result.markets])
    mean = float(returns.mean()) if returns.size else 0.0
    if returns.size < MIN_BLOCKS:
        return None, decides_nothing(returns.size)
    if abs(mean) <= NO_SPREAD:
        return None, "the mean return is 0"
    return float(returns.std() / mean), "" if mean > 0 else "the mean return is negative"


def _target(
    name: str,
    definition: str,
    target: str,
    found: float | None,
    passed: bool,
    note: str,
    form: Literal["ratio", "share"] = "ratio",
) -> Target:
    undecided = note.startswith("n = ")
    return Target(
        name=name, definition=definition, target=target, found=found, form=form,
        passed=None if undecided else passed, note=note,
    )  # fmt: skip


def found_text(target: Target) -> str:
    """Text of the figure found, with the reason where it fails for one."""
    if target.found is None:
        value = "-"
    else:
        value = f"{target.found:.1%}" if target.form == "share" else f"{target.found:.3f}"
    return f"{value} ({target.note})" if target.note else value


def passed_text(target: Target) -> str:
    """Text "yes", "no" or "undecided"."""
    return "undecided" if target.passed is None else "yes" if target.passed else "no"
