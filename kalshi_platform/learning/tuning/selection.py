"""The choice of a winner: the settings whose seeds do best together, not the trial that was luckiest.

Rule   the best trials by validation return are trained again with further seeds. The settings with the
       highest interquartile mean over those win (Agarwal et al. 2021), and the seed of median score is the
       run to use. A finalist's first run does not count: it was chosen for its score. Ties go to the trial
       that scored higher in the sweep.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kalshi_platform.domain.errors import TrainingError
from kalshi_platform.evaluation.pages.formats import signed_percent
from kalshi_platform.evaluation.statistics.metrics import interquartile_mean
from kalshi_platform.learning.tuning.experiment import Variant
from kalshi_platform.learning.tuning.sweep_record import TrialRecord


class WinnerChoice(NamedTuple):
    """The settings that won, the run to use and the reason in words."""

    winner: str
    run: str
    why: str


def best_trials(records: Mapping[str, TrialRecord], most: int) -> list[TrialRecord]:
    """At most ``most`` trials by score, best first; TrainingError where none has one."""
    scored = [r for r in records.values() if r.is_ranked]
    if not scored:
        reasons = "; ".join(f"{r.id}: {r.reason}" for r in records.values()) or "no trial ended"
        raise TrainingError(f"no trial reached a validation score ({reasons})")
    return sorted(scored, key=lambda r: (-float(r.score or 0.0), r.id))[:most]


def further_seeds(chosen: Sequence[TrialRecord], planned: Sequence[Variant], seeds: int) -> list[Variant]:
    """Further runs of the finalists, ``seeds`` each."""
    by_id = {v.id: v for v in planned}
    out = []
    for record in chosen:
        variant = by_id[record.id]
        for k in range(1, seeds + 1):
            seed = record.seed + k
            settings = variant.settings.with_values({"train.seed": seed})
            out.append(Variant(id=f"{record.id}-s{seed}", values=variant.values, settings=settings))
    return out


def choose(chosen: Sequence[TrialRecord], further: Mapping[str, TrialRecord]) -> WinnerChoice:
    """The winner among ``chosen`` by its ``further`` seeds; TrainingError where none of them has a score."""
    ranked = []
    failed: dict[str, int] = {}
    for place, record in enumerate(chosen):
        runs = [r for r in further.values() if r.id.startswith(f"{record.id}-s")]
        scored = [r for r in runs if r.is_ranked]
        if not scored:
            continue
        iqm = interquartile_mean(np.array([r.score for r in scored]))
        ranked.append((-iqm, place, record, scored))
        failed[record.id] = sum(1 for r in runs if r.status == "failed")
    if not ranked:
        reasons = "; ".join(f"{r.id}: {r.reason}" for r in further.values())
        raise TrainingError(f"no further seed of any finalist reached a validation score ({reasons})")
    ranked.sort(key=lambda entry: entry[:2])
    best = ranked[0]
    middle = sorted(best[3], key=lambda r: (float(r.score or 0.0), r.id))[(len(best[3]) - 1) // 2]
    shown = ", ".join(
        f"{record.id} {signed_percent(-score)} ({_seeds(len(scored))}{_lost(failed[record.id])})"
        for score, _, record, scored in ranked
    )
    why = f"highest interquartile mean of the validation return (% of capital) over seeds: {shown}"
    if len(ranked) > 1 and ranked[1][0] == best[0]:
        why = f"tie, so the one that did better in the sweep is taken; {why}"
    return WinnerChoice(best[2].id, middle.run, why)


def _seeds(n: int) -> str:
    return f"{n} seed{'' if n == 1 else 's'}"


def _lost(failed: int) -> str:
    return f", {failed} failed" if failed else ""
