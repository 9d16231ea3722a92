"""Guards of one training step: its batch, losses, gradients and weights are finite, or the run stops.

A NaN spreads: one in an observation reaches every weight in the same step, and a policy of NaN still answers.
Each guard raises a TrainingError that names the iteration and the quantity, before anything is written.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from torch import nn

from kalshi_platform.domain.errors import TrainingError

#: Columns of a batch in the words of a message, causes before effects: the first that is wrong is named.
_COLUMNS: Final = {
    "obs": "observations",
    "rewards": "rewards",
    "vf_preds": "the policy's value estimates",
    "action_logp": "log-probabilities of the actions",
    "value_targets": "value targets",
    "advantages": "advantages",
}
_WORDS: Final = {"grad_gnorm": "gradient norm"}
_ADVICE: Final = {
    "data": "verify the dataset (kalshi-platform dataset verify); the last checkpoint is from before it",
    "learning": "lower train.learning_rate or train.grad_clip; the last checkpoint is from before it",
}


def require_finite_batch(batch: Mapping[str, Any], iteration: int) -> None:
    """Refuse a sampled batch with a NaN or an infinity in a column that is learned from."""
    for name, words in _COLUMNS.items():
        column = np.asarray(batch[name])
        finite = np.isfinite(column)
        if not finite.all():
            kind = "data" if name in ("obs", "rewards") else "learning"
            wrong = np.argwhere(~finite)
            place = ", ".join(str(k) for k in wrong[0])
            raise _stop(
                iteration,
                f"{len(wrong):,} of {column.size:,} {words} are not finite (first at [{place}])",
                kind,
            )


def require_finite_numbers(numbers: Mapping[str, Any], iteration: int) -> None:
    """Refuse the statistics of a gradient step where a loss or the gradient's norm is not finite."""
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise _stop(iteration, f"{_WORDS.get(name, name)} is {float(value)}", "learning")


def require_finite_weights(network: nn.Module, iteration: int) -> None:
    """Refuse a network one of whose weights became NaN or infinite."""
    for name, weights in network.state_dict().items():
        if weights.is_floating_point() and not bool(weights.isfinite().all()):
            raise _stop(iteration, f"weights {name} are not finite", "learning")


def require_finite_scores(numbers: Mapping[str, float], iteration: int) -> None:
    """Refuse a validation one of whose numbers is not finite: such a score would be ranked or compared."""
    wrong: Sequence[str] = [name for name, value in numbers.items() if not math.isfinite(value)]
    if wrong:
        raise _stop(iteration, f"the validation's {', '.join(wrong)} is not finite", "learning")


def _stop(iteration: int, found: str, kind: str) -> TrainingError:
    return TrainingError(f"iteration {iteration}: {found}; the run stopped: {_ADVICE[kind]}")
