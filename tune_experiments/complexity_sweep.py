"""How large a network pays: simple, moderate, advanced or complex?

Run       python -m tune_experiments.complexity_sweep [--local] [--dataset s3://bucket/prefix]
Smoke     --smoke: tiny against simple, 24 iterations a trial, about two minutes on two cores
Expect    simple and moderate within each other's intervals after a million steps; advanced and complex need
          more steps than that and cost 2 and 7 times as much a step. About 6 hours on two cores.
"""

from typing import Final

from kalshi_platform.cli.experiment import main
from kalshi_platform.learning.tuning.experiment import Experiment
from tune_experiments.base import BASE, SMOKE_BASE, SMOKE_SWEEP

EXPERIMENT: Final = Experiment(
    name="complexity",
    question="How large a network pays: simple, moderate, advanced or complex?",
    expectation="Simple and moderate are alike after a million steps; the larger ones need more than that.",
    space={"train.level": ["simple", "moderate", "advanced", "complex"]},
    base=BASE,
    smoke_space={"train.level": ["tiny", "simple"]},
    smoke_base={k: v for k, v in SMOKE_BASE.items() if k != "train.level"},
    smoke_sweep=SMOKE_SWEEP,
)

if __name__ == "__main__":
    main(EXPERIMENT)
