"""The one loop that steps environments with a policy, and the records of its steps.

Not here   policies (models/) and judging a result (evaluation/). Begin reading at stepper.py.
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
