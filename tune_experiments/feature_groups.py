"""Which feature sets earn their place beside the order book: one is added at a time, then all.

Run       python -m tune_experiments.feature_groups [--local] [--dataset s3://bucket/prefix]
Smoke     --smoke: the order book alone against everything, about two minutes on two cores
Expect    trade_flow and microstructure help on simulated markets, where informed traders leave a trace in
          both; resolution cannot help there, since simulated events share no history. About 2 hours.
"""

from typing import Final

from kalshi_platform.cli.experiment import main
from kalshi_platform.data.features.spec import ROW_FEATURE_SETS
from kalshi_platform.learning.tuning.experiment import Experiment
from tune_experiments.base import BASE, SMOKE_BASE, SMOKE_SWEEP

_BOOK: Final = ("orderbook",)
#: Sets of every arm: the book, and the clock, of which history windows are made.
_ALWAYS: Final = (*_BOOK, "temporal")

EXPERIMENT: Final = Experiment(
    name="feature-groups",
    question="Which feature sets earn their place beside the order book?",
    expectation="Trade flow and microstructure help on simulated markets, resolution history cannot.",
    space={
        "env.groups": [
            _BOOK,
            _ALWAYS,
            *((*_ALWAYS, group) for group in ROW_FEATURE_SETS if group not in _ALWAYS),
            ROW_FEATURE_SETS,
        ]
    },
    base=BASE,
    smoke_space={"env.groups": [_BOOK, ROW_FEATURE_SETS]},
    smoke_base=SMOKE_BASE,
    smoke_sweep=SMOKE_SWEEP,
)

if __name__ == "__main__":
    main(EXPERIMENT)
