"""Does a curriculum over markets help: three phases, a schedule of difficulty, or neither?

Run       python -m tune_experiments.curriculum_sweep [--local] [--dataset s3://bucket/prefix]
          ray job submit --working-dir . -- python -m tune_experiments.curriculum_sweep
          python cluster/submit.py curriculum_sweep -- --dataset ... --storage ... --registry ...
Smoke     --smoke: simulated markets, 24 iterations a trial, about two minutes on two cores
Expect    with one advantage a slot none is needed on simulated markets (ADR-0003): the three within their
          intervals of each other, the curricula slower at first. About 40 minutes on two cores.
"""

from typing import Final

from kalshi_platform.cli.experiment import main
from kalshi_platform.learning.tuning.experiment import Experiment
from tune_experiments.base import BASE, SMOKE_BASE, SMOKE_SWEEP

EXPERIMENT: Final = Experiment(
    name="curriculum",
    question="Does a curriculum over markets help: three phases, a schedule of difficulty, or neither?",
    expectation="None is better than the others on simulated markets; the curricula start slower.",
    space={"curriculum.name": ["none", "phases", "difficulty"]},
    base=BASE,
    smoke_base={**SMOKE_BASE, "curriculum.scale": 0.005},
    smoke_sweep=SMOKE_SWEEP,
)

if __name__ == "__main__":
    main(EXPERIMENT)
