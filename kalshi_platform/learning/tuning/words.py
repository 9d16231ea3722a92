"""The findings in words: one sentence a figure, and one for all of them.

Owns   the meaning of a deflated figure, the strength of the evidence, and when it speaks for the winner.
Not    any figure: those lie in Findings.
"""

import math
from typing import Any, Final, Literal

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.evaluation.pages.formats import interval_text, percent, plain, probability
from kalshi_platform.learning.tuning.findings import Findings

#: A probability or p-value decides at this significance: the usual one in twenty.
SIGNIFICANCE: Final = 0.05
#: A choice that is no better than the median this often is not better than drawing lots.
LOTS: Final = 0.5
#: Names of equal trials in one sentence.
_MOST_NAMED: Final = 4

Tone = Literal["good", "bad", "flat"]


class Figure(Config):
    """One corrected figure in the form in which the page shows it."""

    name: str
    value: str
    meaning: str
    behind: str  # how many trials and blocks it rests on
    tone: Tone


def figures(found: Findings) -> tuple[Figure, ...]:
    """All corrected figures, in the order of the argument."""
    return (_effective(found), *_deflated(found), _overfitting(found), *_superiority(found), *_seeds(found))


def verdict(found: Findings) -> str:
    """One sentence that says whether the winner's lead survives."""
    if found.winner is None:
        return f"No winner: {found.why}."
    weak = _weaknesses(found)
    if others := _equal_to_the_winner(found):
        named = ", ".join(others[:_MOST_NAMED]) + (" and others" if len(others) > _MOST_NAMED else "")
        first = f"Tie: {found.winner} earns as much as {named}; none of them is better."
        return f"{first} Not shown to be more than luck: {'; '.join(weak)}." if weak else first
    if not weak:
        return f"{found.winner} survives the corrections for having tried {_count(found)}."
    return (
        f"No difference shown: {found.winner} has the highest score, but it is not shown to be more than "
        f"luck: {'; '.join(weak)}."
    )


def _equal_to_the_winner(found: Findings) -> list[str]:
    """Names of the trials with the winner's mean return over the shared blocks."""
    mean = {name: sum(row) / len(row) for name, row in zip(found.trials, found.returns, strict=True) if row}
    if found.winner not in mean:
        return []
    highest = mean.pop(found.winner)
    return [name for name, value in mean.items() if math.isclose(value, highest, rel_tol=0.0, abs_tol=1e-12)]


def survives(found: Findings) -> bool:
    """True where the deflated Sharpe ratio and every test against a benchmark speak for the winner."""
    return found.winner is not None and not _weaknesses(found)


def _weaknesses(found: Findings) -> list[str]:
    d = found.deflated
    weak = [finding.message for finding in found.warnings]
    if d is None or d.probability is None:
        weak.append(f"no deflated Sharpe ratio ({d.note if d else found.why})")
    elif d.probability < 1 - SIGNIFICANCE:
        weak.append(
            f"the deflated Sharpe ratio gives it {probability(d.probability)}, "
            f"below {percent(1 - SIGNIFICANCE)}"
        )
    for s in found.superiority:
        if s.judged_p is None:
            weak.append(f"no test against {s.benchmark} ({s.note})")
        elif s.judged_p >= SIGNIFICANCE:
            weak.append(f"no trial is shown to beat {s.benchmark} ({_p(s.judged_p, s.resamples)})")
    return weak


def _count(found: Findings) -> str:
    return several(len(found.trials), "trial")


def _behind(trials: int, blocks: int) -> str:
    return f"{several(trials, 'trial')}, {several(blocks, 'block')}"


def _p(value: float, resamples: int) -> str:
    """Text of a p-value; no draw at all means below one in so many, not zero."""
    return f"p < {plain(1 / resamples)}" if value == 0 else f"p = {plain(value)}"


def _effective(found: Findings) -> Figure:
    e = found.effective
    behind = _behind(e.n_trials, e.n_events)
    name = "effective number of trials"
    if e.effective is None or e.mean_correlation is None:
        return Figure(name=name, value="-", meaning=f"{e.note}.", behind=behind, tone="flat")
    meaning = (
        f"The returns of two trials correlate by {e.mean_correlation:.2f} on average, so {e.n_trials} trials "
        f"are as many chances to be lucky as about {e.effective:.1f} independent ones."
    )
    return Figure(name=name, value=f"{e.effective:.1f}", meaning=meaning, behind=behind, tone="flat")


def _deflated(found: Findings) -> tuple[Figure, ...]:
    d = found.deflated
    if d is None:
        return ()
    behind, name = _behind(d.n_trials, d.n_events), "deflated Sharpe ratio"
    if d.probability is None or d.luck is None or d.sharpe is None:
        return (Figure(name=name, value="-", meaning=f"{d.note}.", behind=behind, tone="flat"),)
    meaning = (
        f"The best of {d.trials_used} worthless trials would show a Sharpe ratio of {d.luck:.3f} a block by "
        f"luck; the winner shows {d.sharpe:.3f}. This is the probability that the true one exceeds that luck."
    )
    tone: Tone = "good" if d.probability >= 1 - SIGNIFICANCE else "flat" if d.probability >= 0.5 else "bad"
    return (Figure(name=name, value=probability(d.probability), meaning=meaning, behind=behind, tone=tone),)


def _overfitting(found: Findings) -> Figure:
    o = found.overfitting
    behind, name = _behind(o.n_trials, o.n_events), "probability of backtest overfitting"
    if o.probability is None or o.loss_probability is None:
        return Figure(name=name, value="-", meaning=f"{o.note}.", behind=behind, tone="flat")
    slope = "" if o.degradation_slope is None else (
        f" 1 % more on the half chosen by went with {o.degradation_slope:+.2f} % on the other."
    )  # fmt: skip
    meaning = (
        f"Share of {o.n_splits:,} ways to halve the blocks in which the best trial on one half was no better "
        f"than the median on the other (CSCV, {o.n_blocks} parts); it lost money there in "
        f"{percent(o.loss_probability)}."
        f"{slope} Trials that are all alike also come near one half."
    )
    tone: Tone = "good" if o.probability <= SIGNIFICANCE else "bad" if o.probability >= LOTS else "flat"
    return Figure(name=name, value=probability(o.probability), meaning=meaning, behind=behind, tone=tone)


def _superiority(found: Findings) -> tuple[Figure, ...]:
    out = []
    for s in found.superiority:
        behind, name = _behind(s.n_trials, s.n_events), f"Hansen's test against {s.benchmark}"
        if s.judged_p is None or s.best_difference is None:
            out.append(Figure(name=name, value="-", meaning=f"{s.note}.", behind=behind, tone="flat"))
            continue
        meaning = (
            f"If no trial were better than {s.benchmark}, a lead as large as {s.best}'s "
            f"({percent(s.best_difference)} a block) would turn up with this probability, all trials "
            f"considered ({s.resamples:,} draws).{f' {s.note}.' if s.note else ''}"
        )
        tone: Tone = "good" if s.judged_p < SIGNIFICANCE else "flat" if s.judged_p < 0.5 else "bad"
        value = _p(s.judged_p, s.resamples)
        out.append(Figure(name=name, value=value, meaning=meaning, behind=behind, tone=tone))
    return tuple(out)


def _seeds(found: Findings) -> tuple[Figure, ...]:
    out = []
    for finalist in found.finalists:
        s = finalist.spread
        if s.iqm.estimate is None:
            continue  # the runs that were not validated are named among those left out
        bounds = "no interval" if s.iqm.low is None else f"interval {interval_text(s.iqm)}"
        meaning = (
            f"Interquartile mean return a block over further seeds of {setting_text(finalist.values)}: what "
            f"the setting is worth without the luck of the seed that won; {bounds}."
            f"{f' {s.iqm.note}.' if s.iqm.note else ''}"
        )
        tone: Tone = "good" if s.iqm.above_zero else "bad" if s.iqm.excludes_zero else "flat"
        behind = f"{several(s.n_seeds, 'seed')}, {several(s.n_events, 'block')}"
        out.append(
            Figure(
                name=f"mean over seeds of {finalist.trial or setting_text(finalist.values)}",
                value=percent(s.iqm.estimate),
                meaning=meaning,
                behind=behind,
                tone=tone,
            )
        )
    return tuple(out)


def several(n: int, noun: str) -> str:
    """Number and noun: "1 block", "2 blocks"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def arms_text(over: object) -> str:
    """Text of the values that a sweep searched: one line an arm, or all in one line without arms."""
    if isinstance(over, list | tuple) and any(isinstance(arm, list | tuple | dict) for arm in over):
        return "\n".join(setting_text(arm) if isinstance(arm, dict) else value_text(arm) for arm in over)
    return value_text(over)


def setting_text(values: dict[str, Any]) -> str:
    """Text of a setting in one line, without the sections' names."""
    pairs = (f"{name.rpartition('.')[2]} {value_text(value)}" for name, value in values.items())
    return ", ".join(pairs) or "the only setting"


def value_text(value: object) -> str:
    """Text of a setting's value: numbers short, lists without brackets."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else plain(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value))
    return value if isinstance(value, str) else json_text(value)
