"""Every hook hears of every result, in the order they were added, and may add to it."""

from kalshi_platform.learning.training.callbacks import TrainingCallbacks


def test_hooks_see_what_earlier_hooks_added():
    callbacks = TrainingCallbacks()
    callbacks.hooks += [
        lambda algorithm, result: result.update(score=algorithm),
        lambda algorithm, result: result.update(twice=2 * result["score"]),
    ]
    result = {}
    callbacks.on_train_result(algorithm=3, result=result, metrics_logger=None)
    assert result == {"score": 3, "twice": 6}
    assert TrainingCallbacks().hooks == []  # each process has its own
