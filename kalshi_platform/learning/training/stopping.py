"""Early stopping: when has a run stopped getting better? Pure functions of its validation scores.

The same rule serves a single run (``TrainConfig.patience``) and a sweep (``learning/tuning/stopper.py``). It
depends on nothing but the scores, so a run that was interrupted and resumed stops where an unbroken one does.
"""

from collections.abc import Sequence


def without_gain(scores: Sequence[float], min_gain: float) -> int:
    """Number of validations since the score last rose by ``min_gain`` over the best that counted.

    Oldest first.

    The best moves only with a rise that counts, so that small gains add up to one.
    """
    best, since = -float("inf"), 0
    for score in scores:
        if score > best and score >= best + min_gain:
            best, since = score, 0
        else:
            since += 1
    return since
