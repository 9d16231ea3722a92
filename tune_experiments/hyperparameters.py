"""Do PPO's settings matter, and does a population that changes them as it goes find better ones?

Run       python -m tune_experiments.hyperparameters [--local] [--sweep scheduler=asha]
Smoke     --smoke: a population of two, 24 iterations each, about two minutes on two cores
Expect    the learning rate matters most; on budgets of a million steps the population ends near the best
          fixed settings, not above them. About 3 hours on two cores for a population of 8.
"""

from typing import Final

from ray import tune

from kalshi_platform.cli.experiment import main
from kalshi_platform.learning.tuning.experiment import Experiment, SweepConfig
from tune_experiments.base import BASE, SMOKE_BASE, SMOKE_SWEEP

EXPERIMENT: Final = Experiment(
    name="hyperparameters",
    question="Do PPO's settings matter, and does a population that changes them as it goes find better ones?",
    expectation="The learning rate matters most; a population ends near the best fixed settings.",
    space={
        "train.learning_rate": tune.loguniform(1e-4, 3e-3),
        "train.entropy_coeff": tune.loguniform(1e-3, 2e-2),
        "train.clip": tune.uniform(0.1, 0.3),
    },
    base=BASE.with_values({"train.anneal_steps": 0}),  # the population does the annealing
    sweep=SweepConfig(samples=8, scheduler="pbt"),
    smoke_base={**SMOKE_BASE, "train.anneal_steps": 0},
    smoke_sweep={**SMOKE_SWEEP, "samples": 2},
)

if __name__ == "__main__":
    main(EXPERIMENT)
