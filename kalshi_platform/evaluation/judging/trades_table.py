"""The trades: every fill of the judged policy as one row, to download as CSV and Parquet.

Owns       the columns of trades.csv; docs/ledger.md explains each.
Units      the columns': cash 1e-6 dollar, price 1e-4 dollar, contracts 1e-2, times ns; integers throughout.
Invariant  ``fees_e6``, ``contracts_e2``, ``value_e6`` and ``n_fills`` add up to the report's totals.
"""

from typing import Final

import numpy as np
import pyarrow as pa

from kalshi_platform.domain.actions import ACTION_NAMES
from kalshi_platform.evaluation.judging.fills import MIXED, VALUED_AT_END
from kalshi_platform.evaluation.judging.sample import Sample
from kalshi_platform.evaluation.judging.table_files import name_markets, pick_names

#: Names of a fill's ``action``, by its number.
DEEDS: Final = (*(name.lower() for name in ACTION_NAMES), "mixed", "valued")
assert (DEEDS[MIXED], DEEDS[VALUED_AT_END]) == ("mixed", "valued")


def trades_of(sample: Sample) -> pa.Table:
    """Table of the kept fills of all rollouts in ``sample``, by seed and time."""
    fills = np.concatenate([r.fills for r in sample.rollouts])
    seed = np.repeat(np.array(sample.seeds, np.int64), [r.fills.size for r in sample.rollouts])
    order = np.lexsort((fills["slot"], fills["episode"], fills["at_ns"], seed))
    fills, seed = fills[order], seed[order]
    value, size = fills["value_e6"], fills["contracts_e2"]
    price = (2 * value + size) // np.maximum(2 * size, 1)
    unpriced = (size == 0) | (fills["action"] == MIXED)
    unqueued = fills["n_queued"] == 0
    style = ["taker" if deed == "valued" else sample.config.order_style for deed in DEEDS]
    return pa.table(
        {
            "seed": seed,
            "episode": fills["episode"],
            "slot": fills["slot"],
            **name_markets(sample.bank, fills["market"]),
            "at_ns": fills["at_ns"],
            "action": pick_names(DEEDS, fills["action"]),
            "liquidity": pick_names(style, fills["action"]),
            "contracts_e2": size,
            "price_e4": pa.array(price, pa.int64(), mask=unpriced),
            "value_e6": value,
            "fees_e6": fills["fees_e6"],
            "n_fills": fills["n_fills"],
            "position_e2": fills["position_e2"],
            "ahead_e2": pa.array(fills["ahead_e2"], pa.int64(), mask=unqueued),
            "passed_ahead_e2": pa.array(fills["passed_ahead_e2"], pa.int64(), mask=unqueued),
        }
    )
