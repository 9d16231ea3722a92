"""Does a tapered order size pay? A policy and the rules on the same validation events, with both settings.

    python benchmarks/order_size.py RUN DATASET

RUN is a training run (``runs/quickstart/run``), DATASET a dataset with train and validation events. Prints
one line of JSON a player: the mean return a block with orders of full and of tapered size (setting
``sizing``), the paired difference with its 95 % interval by block, standard deviation over blocks and worst
drawdown of each, in percent of the capital. Nothing is trained again; the test split stays shut.
"""

import json
import sys

import numpy as np

from kalshi_platform.evaluation.judging.evaluate import evaluate, trained
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.evaluation.judging.rivals import choose_on_train
from kalshi_platform.evaluation.judging.summary import PolicyResult
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, block_mean_interval
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.simulation.envs.settings import read_environment
from kalshi_platform.simulation.replay.open import open_bank


def main(run: str, dataset: str) -> None:
    env = read_environment(run)
    bank = open_bank(dataset, "validation", env.groups)
    config = EvalConfig.for_rows(bank.n_rows).replace(split="validation", what_if=False)
    rules = choose_on_train(dataset, env)
    judged = {}
    for sizing in ("full", "taper"):
        found = evaluate(
            trained(FrozenPolicy.load(run)), bank, env.replace(sizing=sizing), config, rules=rules
        )
        judged[sizing] = {result.name: result for result in (found.policy, *found.baselines)}
    for name, full in judged["full"].items():
        print(json.dumps({"player": name, **compared(full, judged["taper"][name])}))


def compared(full: PolicyResult, taper: PolicyResult) -> dict[str, object]:
    """Figures of one player with both settings, in percent of the capital a block."""
    ours, theirs = (100 * np.array(list(r.block_returns.values())) for r in (taper, full))
    assert list(full.block_returns) == list(taper.block_returns)
    gap = block_mean_interval(ours - theirs, BootstrapConfig())
    return {
        "full": round(float(theirs.mean()), 4),
        "taper": round(float(ours.mean()), 4),
        "difference": [round(x, 4) for x in (gap.estimate, gap.low, gap.high)],
        "sd_full": round(float(theirs.std(ddof=1)), 4),
        "sd_taper": round(float(ours.std(ddof=1)), 4),
        "drawdown_full": round(100 * full.max_drawdown, 3),
        "drawdown_taper": round(100 * taper.max_drawdown, 3),
        "fees_usd": [round(r.trading.fees_e6 / 1e6, 2) for r in (full, taper)],
        "blocks": full.n_blocks,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
