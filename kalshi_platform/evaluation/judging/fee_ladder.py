"""The same policy under none, half, full and double fees: how much of its edge the fees decide.

Only the account's fees change; episodes, book and policy stay the same. An edge that lives at no fees and
dies at full ones is turnover, one that survives double fees has room for a worse fill.
"""

from collections.abc import Callable, Sequence
from typing import Final

from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.judging.sample import Sample
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, Interval
from kalshi_platform.simulation.envs.config import EnvConfig

FULL_E6: Final = 1_000_000
LADDER: Final = (("none", 0), ("half", 500_000), ("full", FULL_E6), ("double", 2_000_000))


class FeeRung(Config):
    """Result at one scale of the exchange's fees."""

    label: str
    fee_scale_e6: int
    mean_return: Interval
    pnl_e6: int
    fees_e6: int
    n_fills: int


def climb(
    play: Callable[[EnvConfig], Sample],
    config: EnvConfig,
    bootstrap: BootstrapConfig,
    known: Sequence[Sample] = (),
) -> tuple[FeeRung, ...]:
    """One rung a scale of the fees; ``play`` rolls the policy out, ``known`` holds samples already played."""
    at_hand = {sample.config.digest: sample for sample in known}
    rungs = []
    for label, scale in LADDER:
        wanted = config.replace(fee_scale_e6=scale)
        sample = at_hand.get(wanted.digest) or play(wanted)
        records = sample.records
        rungs.append(
            FeeRung(
                label=label,
                fee_scale_e6=scale,
                mean_return=sample.mean_interval(bootstrap),
                pnl_e6=int(records.pnl_e6.sum()),
                fees_e6=int(records.fees_e6.sum()),
                n_fills=int(records.n_fills.sum()),
            )
        )
    return tuple(rungs)
