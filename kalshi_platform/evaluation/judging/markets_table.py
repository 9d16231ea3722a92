"""The markets: every market of the judged split as one row, those left out too, as CSV and Parquet.

Owns       the columns of markets.csv; docs/ledger.md explains each.
Units      the columns': cash 1e-6 dollar, price 1e-4 dollar, contracts 1e-2; returns in % of capital.
Invariant  sums over the rows of money, contracts, fills and round trips are the ledger's and the report's.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from kalshi_platform.data.dataset.blocks import stratum_of
from kalshi_platform.domain.actions import HOLD
from kalshi_platform.evaluation.judging.sample import Sample
from kalshi_platform.evaluation.judging.summary import PolicyResult
from kalshi_platform.simulation.replay.bank import UNSETTLED
from kalshi_platform.simulation.replay.infos import tickers_of

#: Why a market has no episode.
LEFT_OUT: Final = "no two consecutive rows with a valid book: there is nothing to step over"
NOT_SCHEDULED: Final = "the schedule held no episode of it"
_OUTCOMES: Final = {10_000: "yes", 0: "no", UNSETTLED: None}


def markets_of(
    sample: Sample, result: PolicyResult, baselines: Sequence[PolicyResult], best_rule: str | None
) -> pa.Table:
    """Table of all markets of ``sample``'s bank, in the bank's order.

    ``best_rule`` names the rule among ``baselines`` that stands beside the policy; None: none was chosen.
    """
    infos, settled = sample.bank.markets, sample.bank.arrays.markets["settlement_e4"].tolist()
    strata = [stratum_of(m.block) if "@" in m.block else None for m in infos]
    rule = next((b for b in baselines if b.name == best_rule), None)
    sums = _sums(sample)
    acted = np.divide(
        100.0 * sums["n_actions"],
        sums["n_decisions"],
        out=np.zeros(len(infos)),
        where=sums["n_decisions"] > 0,
    )
    return pa.table(
        {
            "ticker": pa.array([m.ticker for m in infos], pa.string()),
            "event": pa.array([m.event for m in infos], pa.string()),
            "block": pa.array([m.block for m in infos], pa.string()),
            "factor": pa.array([s and s.partition(".")[0] for s in strata], pa.string()),
            "category": pa.array([m.category for m in infos], pa.string()),
            "provenance": pa.array([m.provenance for m in infos], pa.string()),
            "outcome": pa.array([_OUTCOMES.get(value, "between") for value in settled], pa.string()),
            "settlement_e4": pa.array([None if v == UNSETTLED else v for v in settled], pa.int64()),
            "left_out": pa.array(_left_out(sample), pa.string()),
            **sums,
            "return_pct": _returns(sample, result),
            "trade_rate_pct": pa.array(acted, pa.float64(), mask=sums["n_decisions"] == 0),
            "best_rule": pa.array([rule.name if rule else None] * len(infos), pa.string()),
            "best_rule_pnl_e6": pa.array(_by_ticker(sample, rule, "pnl_e6"), pa.int64()),
            "best_rule_return_pct": _returns(sample, rule),
        }
    )


def _left_out(sample: Sample) -> list[str | None]:
    """Reason for each market without an episode; None for those that were played."""
    n = len(sample.bank.markets)
    played = np.bincount(sample.records.market, minlength=n) > 0
    playable = np.bincount(sample.bank.arrays.segments["market"], minlength=n) > 0
    pairs = zip(played.tolist(), playable.tolist(), strict=True)
    return [None if was else NOT_SCHEDULED if could else LEFT_OUT for was, could in pairs]


def _sums(sample: Sample) -> dict[str, np.ndarray]:
    """Counts and sums of every market over its episodes and seeds, exact integers (M,)."""
    records = sample.records
    trips = np.concatenate([r.trips["market"] for r in sample.rollouts])
    decisions = records.action_counts.sum(axis=1)
    return {
        "n_episodes": _sum_up(sample, np.ones(records.market.size, np.int64)),
        "n_decisions": _sum_up(sample, decisions),
        "n_actions": _sum_up(sample, decisions - records.action_counts[:, HOLD]),
        "n_orders": _sum_up(sample, records.n_orders),
        "n_fills": _sum_up(sample, records.n_fills),
        "n_round_trips": np.bincount(trips, minlength=len(sample.bank.markets)).astype(np.int64),
        "contracts_e2": _sum_up(sample, records.traded_e2),
        "turnover_e6": _sum_up(sample, records.turnover_e6),
        "fees_e6": _sum_up(sample, records.fees_e6),
        "pnl_e6": _sum_up(sample, records.pnl_e6),
    }


def _sum_up(sample: Sample, values: np.ndarray) -> np.ndarray:
    found = np.zeros(len(sample.bank.markets), np.int64)
    np.add.at(found, sample.records.market, values)
    return found


def _by_ticker(sample: Sample, result: PolicyResult | None, name: str) -> list[float | None]:
    """Figure ``name`` of each market in ``result``; None where it has none."""
    known = {} if result is None else {m.ticker: getattr(m, name) for m in result.markets}
    return [known.get(ticker) for ticker in tickers_of(sample.bank.markets)]


def _returns(sample: Sample, result: PolicyResult | None) -> pa.Array:
    """Mean return of each market's plays, % of capital; null where ``result`` has none."""
    found = _by_ticker(sample, result, "mean_return")
    return pa.array([None if value is None else 100 * value for value in found], pa.float64())
