"""Ray Tune's schedulers, extended: they say why they ended a trial, and they survive a restart.

Tune keeps no scheduler state when an experiment is restored: its rungs would start empty. Ours are filled
again from the reports of the trials (``remember`` for ended ones, replayed reports for those that go on).
"""

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Final

from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    PopulationBasedTraining,
    TrialScheduler,
)

from kalshi_platform.evaluation.pages.formats import signed_percent
from kalshi_platform.learning.training.folder import MAY_MUTATE
from kalshi_platform.learning.tuning.experiment import Experiment, SweepConfig, mutations

#: Figure that schedulers compare; every report has it, the last validation carried forward.
METRIC: Final = "score"
TIME: Final = "iteration"


class ExplainedASHA(AsyncHyperBandScheduler):
    """Asynchronous successive halving (Li et al. 2020) that keeps the reason of every cut."""

    def __init__(self, max_iterations: int, grace: int, factor: int) -> None:
        super().__init__(
            time_attr=TIME,
            metric=METRIC,
            mode="max",
            max_t=max_iterations,
            grace_period=min(grace, max_iterations),
            reduction_factor=factor,
            stop_last_trials=False,  # a trial ends its own budget itself
        )
        self.factor = factor
        #: Ray's trial id -> why it was stopped.
        self.reasons: dict[str, str] = {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide whether a trial goes on, and keep the reason of a cut; Ray Tune asks after each report."""
        action: str = super().on_trial_result(tune_controller, trial, result)
        if action == TrialScheduler.STOP:
            self.reasons[trial.trial_id] = (
                f"cut at iteration {result[TIME]}: validation return {signed_percent(result[METRIC])} of "
                f"capital is not among the best 1 in {self.factor} of the trials that came this far"
            )
        return action

    def remember(self, trial: str, reports: Iterable[Mapping[str, Any]]) -> None:
        """Enter the scores of a trial that ended before this process began."""
        bracket: Any = self._brackets[0]
        ended = SimpleNamespace(trial_id=trial)
        for report in reports:
            bracket.on_result(ended, report[TIME], report[METRIC])


def build_scheduler(experiment: Experiment, sweep: SweepConfig) -> TrialScheduler:
    """The scheduler ``sweep`` names; a ContractError where the space gives it nothing to do."""
    if sweep.scheduler == "none":
        return FIFOScheduler()  # type: ignore[no-untyped-call]
    if sweep.scheduler == "asha":
        iterations = experiment.base.train.iterations
        return ExplainedASHA(iterations, sweep.grace_iterations, sweep.rung_factor)
    changes = mutations(experiment.space, MAY_MUTATE)
    return PopulationBasedTraining(
        time_attr=TIME,
        metric=METRIC,
        mode="max",
        perturbation_interval=sweep.grace_iterations,
        hyperparam_mutations={"trial": {"task": {"settings": {"train": changes}}}},
        log_config=False,
    )
