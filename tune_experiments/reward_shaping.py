"""Does the reward need shaping: a holding cost, another horizon, a stronger push to explore?

Run       python -m tune_experiments.reward_shaping [--local] [--sweep samples=16]
Smoke     --smoke: four draws, 24 iterations each, about two minutes on two cores
Expect    a holding cost shortens holding times and costs return where markets settle soon; the discount
          matters most. About 3 hours on two cores for 16 draws of each holding cost.
"""

from typing import Final

from ray import tune

from kalshi_platform.cli.experiment import main
from kalshi_platform.learning.tuning.experiment import Experiment, SweepConfig
from tune_experiments.base import BASE, SMOKE_BASE, SMOKE_SWEEP

EXPERIMENT: Final = Experiment(
    name="reward-shaping",
    question="Does the reward need shaping: a holding cost, another horizon, a stronger push to explore?",
    expectation="The discount matters most; a holding cost costs return where markets settle soon.",
    space={
        "env.holding_cost_per_day": [0.0, 0.01],
        "train.gamma": tune.choice([0.95, 0.98, 0.99, 0.995]),
        "train.entropy_coeff": tune.loguniform(1e-3, 2e-2),
    },
    base=BASE,
    sweep=SweepConfig(samples=8),
    smoke_base=SMOKE_BASE,
    smoke_sweep={**SMOKE_SWEEP, "samples": 2},
)

if __name__ == "__main__":
    main(EXPERIMENT)
