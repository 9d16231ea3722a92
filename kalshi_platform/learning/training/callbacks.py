"""Hooks round an iteration: the curriculum moves on, the policy is validated, the result is completed.

RLlib makes the callbacks object itself, one a process; the run sets ``hooks`` on the trainer's own.
"""

from collections.abc import Callable
from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback

#: Called after every iteration with the algorithm and its result, which it may add to.
Hook = Callable[[Any, dict[str, Any]], None]


class TrainingCallbacks(RLlibCallback):
    """RLlib's callbacks, which call every hook with each result."""

    def __init__(self) -> None:
        super().__init__()
        self.hooks: list[Hook] = []

    def on_train_result(self, *, algorithm: Any, result: dict[str, Any], **kwargs: Any) -> None:
        """Call the hooks after an iteration; Tune reads the entries that hooks put into ``result``."""
        for hook in self.hooks:
            hook(algorithm, result)
