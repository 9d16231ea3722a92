"""Worth of a result in one line, the first of every report: its source, the rule it is set against, and n.

Rule   a pure function of the figures that never says more than they do. Simulated data and training events
       are named so whatever else is said; "better" and "earns" need a whole interval above zero; fewer than 3
       independent observations decide nothing.
Units  returns are fractions of the episode's capital, an observation is a block.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.worlds import worlds_words
from kalshi_platform.evaluation.pages.formats import percent
from kalshi_platform.evaluation.statistics.blocks import MIN_BLOCKS, decides_nothing
from kalshi_platform.evaluation.statistics.bootstrap import Interval
from kalshi_platform.models.registry.evidence import Estimate, Performance, RuleChoice

SIMULATED: Final = "simulated"
#: First words on a policy that earns nothing and loses nothing.
_IDLE: Final = "Does not trade: not one order was filled. "


class WorthFigures(Config):
    """Figures that decide what a result is worth."""

    blocks: dict[str, int] = Field(description="provenance -> independent blocks judged; empty = not known")
    worlds: tuple[str, ...] = Field((), description="worlds of the simulated ones; empty = not known")
    n_blocks: int = Field(description="independent blocks judged in all")
    earned: Estimate = Field(description="mean return a block")
    rule: str | None = Field(description="best rule on training events, in words; None where none was chosen")
    why_no_rule: str = ""
    against_rule: Estimate | None = Field(description="paired difference to it; None where it was not played")
    n_taught: int = Field(default=0, description="judged events that taught the policy, or may have")
    idle: bool = Field(default=False, description="the policy filled no order: it does not trade")
    of_another: bool = Field(
        default=False, description="another dataset taught the policy: what both hold is not known"
    )


def worth_figures(
    by_provenance: Mapping[str, int],
    worlds: tuple[str, ...],
    earned: Interval,
    comparisons: Mapping[str, Interval],
    rules: RuleChoice | None,
    n_taught: int = 0,
    of_another: bool = False,
    idle: bool = False,
) -> WorthFigures:
    """Figures of a policy out of its evaluation.

    ``by_provenance``: independent blocks by provenance; ``worlds``: of the simulated ones;
    ``comparisons``: paired difference to each baseline; ``n_taught``: judged events that taught the policy,
    or may have; ``of_another``: another dataset taught it; ``idle``: it filled no order.
    """
    best = rules.best if rules else None
    gap = comparisons.get(best.name) if best else None
    return WorthFigures(
        blocks=dict(by_provenance),
        worlds=worlds,
        n_blocks=earned.n_clusters,
        earned=_estimate(earned),
        rule=best.words if best else None,
        why_no_rule=rules.why_not if rules else "nobody chose one",
        against_rule=_estimate(gap) if gap else None,
        n_taught=n_taught,
        of_another=of_another,
        idle=idle,
    )


def claims_figures(
    found: Performance, by_provenance: Mapping[str, int], worlds: tuple[str, ...]
) -> WorthFigures:
    """Figures of a registered model out of its record; ``by_provenance``: blocks judged, empty = unknown.

    A record of an earlier version does not tell its blocks: it decides nothing.
    """
    best = found.rules.best if found.rules else None
    return WorthFigures(
        blocks=dict(by_provenance),
        worlds=worlds,
        n_blocks=found.n_blocks or 0,
        earned=found.mean_return,
        rule=best.words if best else None,
        why_no_rule=found.rules.why_not if found.rules else "its record is of an earlier version",
        against_rule=found.baselines.get(best.name) if best else None,
        idle=found.n_orders == 0,
    )


def worth(figures: WorthFigures) -> str:
    """One line on a result: simulated or recorded, better than the best rule or not, on how many blocks."""
    n, few = figures.n_blocks, figures.n_blocks < MIN_BLOCKS
    many = f"{n:,} independent block{'' if n == 1 else 's'}"
    data = f"{_IDLE if figures.idle else ''}{_source(figures)}{_memory(figures)}"
    if few:
        return f"{data} On {many}: {decides_nothing(n)}."
    return f"{data} {_against_rule(figures)} {_earns(figures)} On {many}."


def _memory(figures: WorthFigures) -> str:
    n = figures.n_taught
    if not n and figures.of_another:
        return (
            " NOT KNOWN TO BE HELD OUT: another dataset taught the policy, and whether it holds these events "
            "is not known."
        )
    if not n:
        return ""
    those = "is a training event" if n == 1 else "are training events"
    return (
        f" NOT HELD OUT: {n:,} of the events judged {those}, which taught the policy or may have; "
        "what it earned on them shows what it remembers."
    )


def _source(figures: WorthFigures) -> str:
    counts = {name: n for name, n in figures.blocks.items() if n > 0}
    if not counts:
        return "Source of the data not known: take them for simulated."
    if set(counts) == {SIMULATED}:
        return f"Simulated: {_made(figures)}."
    each = ", ".join(f"{name.replace('_', '-')} {n:,}" for name, n in sorted(counts.items()))
    if SIMULATED in counts:
        return f"Simulated and recorded mixed (blocks: {each}): {_made(figures)}."
    return f"Recorded data (blocks: {each})."


def _made(figures: WorthFigures) -> str:
    return f"a result in {worlds_words(figures.worlds)} says nothing about a market"


def _against_rule(figures: WorthFigures) -> str:
    if figures.rule is None:
        why = f" ({figures.why_no_rule})" if figures.why_no_rule else ""
        return f"Not judged against a rule: none was chosen on training events{why}."
    best = f"the best rule on training events ({figures.rule})"
    gap = figures.against_rule
    if gap is None:
        return f"Not judged against {best}."
    if _above(gap):
        return f"Better than {best} by {_words(gap)}."
    if _below(gap):
        return f"WORSE than {best}: difference {_words(gap)}."
    return f"NOT shown to be better than {best}: difference {_words(gap)}."


def _earns(figures: WorthFigures) -> str:
    earned = figures.earned
    if _above(earned):
        return f"Earns {_words(earned)} of the capital a block."
    if _below(earned):
        return f"LOSES: {_words(earned)} of the capital a block."
    return f"NOT shown to earn anything: {_words(earned)} of the capital a block."


def _above(estimate: Estimate) -> bool:
    return estimate.value is not None and estimate.low is not None and min(estimate.low, estimate.value) > 0.0


def _below(estimate: Estimate) -> bool:
    return (
        estimate.value is not None and estimate.high is not None and max(estimate.high, estimate.value) < 0.0
    )


def _words(estimate: Estimate) -> str:
    if estimate.value is None:
        return "no figure"
    if estimate.low is None or estimate.high is None:
        return f"{percent(estimate.value)} (no interval)"
    return f"{percent(estimate.value)} [{percent(estimate.low)}, {percent(estimate.high)}]"


def _estimate(interval: Interval) -> Estimate:
    return Estimate(value=interval.estimate, low=interval.low, high=interval.high)
