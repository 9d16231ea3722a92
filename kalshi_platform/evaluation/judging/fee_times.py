"""The same policy under the fees of each fill's own time and under those of today.

A market that paid half the fee last year says little of what trading it earns now. Evaluation therefore plays
both settings of ``fees`` (``simulation/replay/trading.py``), and promotion judges by today's.
Sources   how many of the played markets had fees that were known with their time, told without one, or
          assumed from their series (``domain/fee_schedule.py``); a market counts by its least known fees.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.fee_schedule import SOURCES, FeeSource, terms_today, weakest_source
from kalshi_platform.domain.fees import MICRO
from kalshi_platform.evaluation.judging.sample import Sample
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, Interval
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.trading import FeeTime

FEE_TIMES: Final[tuple[FeeTime, ...]] = ("as_of", "today")


class DatedFees(Config):
    """Result under the fees of one setting, and how well those fees are known."""

    fees: FeeTime
    mean_return: Interval
    pnl_e6: int
    fees_e6: int
    n_fills: int
    sources: dict[FeeSource, int]


def play_both(
    play: Callable[[EnvConfig], Sample],
    bank: Bank,
    config: EnvConfig,
    bootstrap: BootstrapConfig,
    known: Sequence[Sample] = (),
) -> tuple[DatedFees, ...]:
    """One result a setting of ``fees``; ``play`` rolls the policy out, ``known`` holds samples at hand.

    A bank whose fees are today's all the time is played once.
    """
    at_hand = {sample.config.digest: sample for sample in known}
    found = []
    for fees in FEE_TIMES:
        wanted = config.replace(fees=fees)
        sample = at_hand.get(wanted.digest)
        if sample is None and pays_today(bank):
            other = config.replace(fees=FEE_TIMES[1 - FEE_TIMES.index(fees)])
            sample = at_hand.get(other.digest)
        if sample is None:
            sample = at_hand[wanted.digest] = play(wanted)
        found.append(
            DatedFees(
                fees=fees,
                mean_return=sample.mean_interval(bootstrap),
                pnl_e6=int(sample.records.pnl_e6.sum()),
                fees_e6=int(sample.records.fees_e6.sum()),
                n_fills=int(sample.records.n_fills.sum()),
                sources=dict(fee_sources(bank)[fees]),
            )
        )
    return tuple(found)


def pays_today(bank: Bank) -> bool:
    """True where every row of ``bank`` pays the fees of today."""
    terms = bank.arrays.terms
    same = (terms["taker_rate_e6"] == terms["today_taker_rate_e6"]) & (
        terms["maker_rate_e6"] == terms["today_maker_rate_e6"]
    )
    return bool((same & (terms["rounding"] == MICRO)).all())


def fee_sources(bank: Bank) -> Mapping[FeeTime, Mapping[FeeSource, int]]:
    """Number of the markets of ``bank`` that can be played, by setting of ``fees`` and by source."""
    segments = bank.arrays.segments
    counts: dict[FeeTime, Counter[FeeSource]] = {fees: Counter() for fees in FEE_TIMES}
    first_ns = np.full(len(bank.markets), np.iinfo(np.int64).max)
    last_ns = np.full(len(bank.markets), -1)
    np.minimum.at(first_ns, segments["market"], segments["first_ns"])
    np.maximum.at(last_ns, segments["market"], segments["last_ns"])
    for m in np.flatnonzero(last_ns >= 0).tolist():
        steps = bank.markets[m].history.fees
        counts["as_of"][weakest_source(steps, int(first_ns[m]), int(last_ns[m]))] += 1
        counts["today"][terms_today(steps).source] += 1
    return {
        fees: {source: found[source] for source in SOURCES if found[source]} for fees, found in counts.items()
    }
