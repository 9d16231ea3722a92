"""Take or make: which order style earns more after fees, the queue and latency?

Run       python -m tune_experiments.execution_style [--local] [--dataset s3://bucket/prefix]
Smoke     --smoke: taker against maker, 24 iterations a trial, about two minutes on two cores
Expect    makers pay less and are filled when they would rather not be (adverse selection): on the recorded
          markets most edges lie with the maker before that and with nobody after it. About 2 hours.
"""

from typing import Final

from kalshi_platform.cli.experiment import main
from kalshi_platform.learning.tuning.experiment import Experiment
from tune_experiments.base import BASE, SMOKE_BASE, SMOKE_SWEEP

EXPERIMENT: Final = Experiment(
    name="execution-style",
    question="Take or make: which order style earns more after fees, the queue and latency?",
    expectation="Adverse selection eats most of what makers save in spread and fees.",
    space={
        "style": [
            {"env.order_style": "taker"},
            {"env.order_style": "maker", "env.improve_ticks": 0},
            {"env.order_style": "maker", "env.improve_ticks": 1},
        ],
        "env.latency_ms": [50, 500],
    },
    base=BASE,
    smoke_space={"env.order_style": ["taker", "maker"]},
    smoke_base=SMOKE_BASE,
    smoke_sweep=SMOKE_SWEEP,
)

if __name__ == "__main__":
    main(EXPERIMENT)
