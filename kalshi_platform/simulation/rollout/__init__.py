"""The one loop: environments stepped with a policy, and what is kept of the steps.

Not here   policies (models/) and what a result is worth (evaluation/). Begin reading at stepper.py.
"""

from kalshi_platform.simulation.rollout.fragment import Fragment, allocate, estimate_advantages, play
from kalshi_platform.simulation.rollout.policy import ActorCritic, Policy
from kalshi_platform.simulation.rollout.reservoir import Reservoir, States
from kalshi_platform.simulation.rollout.stepper import Stepper

__all__ = [
    "ActorCritic",
    "Fragment",
    "Policy",
    "Reservoir",
    "States",
    "Stepper",
    "allocate",
    "estimate_advantages",
    "play",
]
