"""Ray Tune's ``Stopper`` that ends a trial which no longer gets better on the validation events.

Invariant  the decision is a function of one report, in which the trial counts its own validations and those
           without a gain: it is the same after a resume, and nothing of a trial's history is kept here.
           The best checkpoint is the run's: it was kept when its score was measured.
"""

from collections.abc import Mapping
from typing import Any

from ray.tune import Stopper

from kalshi_platform.evaluation.pages.formats import percent, signed_percent

#: Keys of a trial's report (``learning/tuning/trial.py``) the stopper reads.
VALIDATIONS, WITHOUT_GAIN = "validations", "without_gain"
BEST_SCORE, BEST_ITERATION = "best_score", "best_iteration"


class HeldOutMarketStopper(Stopper):
    """A stopper that ends a trial after ``patience`` validations without a gain of ``min_gain``.

    0 = never.
    """

    def __init__(self, patience: int, min_gain: float, grace: int) -> None:
        self.patience, self.min_gain, self.grace = patience, min_gain, grace
        #: Ray's trial id -> why it was stopped.
        self.reasons: dict[str, str] = {}
        self._over = False

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """True where the trial should end; Ray Tune asks after each report."""
        reason = self.reason(result)
        if reason is not None:
            self.reasons[trial_id] = reason
        return reason is not None

    def end_all(self) -> None:
        """End every trial of the stage: something is wrong that no trial can mend."""
        self._over = True

    def stop_all(self) -> bool:
        """True after :meth:`end_all`; every trial is judged by itself."""
        return self._over

    def reason(self, result: Mapping[str, Any]) -> str | None:
        """Reason why a trial with this report should end; None where it should go on."""
        since = int(result[WITHOUT_GAIN])
        if not self.patience or result[VALIDATIONS] < self.grace or since < self.patience:
            return None
        return (
            f"no gain of {percent(self.min_gain)} of capital on the validation events in {since} "
            f"validations; best {signed_percent(result[BEST_SCORE])} at iteration {result[BEST_ITERATION]}"
        )
