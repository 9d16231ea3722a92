"""The ledger: every round trip of the judged policy as one row, to download as CSV and Parquet.

Owns       the columns of ledger.csv; docs/ledger.md explains each.
Units      the columns': cash 1e-6 dollar, price 1e-4 dollar, contracts 1e-2, times ns; integers throughout.
Invariant  ``pnl_e6`` and ``fees_e6`` add up to the report's totals, to the last 1e-6 dollar.
"""

from typing import Final

import numpy as np
import pyarrow as pa

from kalshi_platform.domain.config import Config
from kalshi_platform.evaluation.judging.sample import Sample
from kalshi_platform.evaluation.judging.table_files import name_markets
from kalshi_platform.evaluation.judging.trips import SETTLED, SOLD, VALUED

_SIDES: Final = {1: "yes", -1: "no", 0: "unknown"}
_ENDINGS: Final = {SOLD: "sold", SETTLED: "settled", VALUED: "valued"}


class LedgerNote(Config):
    """Size and sums of a ledger, as the report states them."""

    n_rows: int
    pnl_e6: int
    fees_e6: int


def ledger_of(sample: Sample) -> pa.Table:
    """Table of the kept trips of all rollouts in ``sample``, by seed and time of entry."""
    trips = np.concatenate([r.trips for r in sample.rollouts])
    seed = np.repeat(np.array(sample.seeds, np.int64), [r.trips.size for r in sample.rollouts])
    order = np.lexsort((trips["slot"], trips["episode"], trips["entry_ns"], seed))
    trips, seed = trips[order], seed[order]
    paid, bought = trips["paid_e6"], trips["contracts_e2"]
    price = np.where(bought > 0, (2 * paid + bought) // np.maximum(2 * bought, 1), 0)
    return pa.table(
        {
            "seed": seed,
            "episode": trips["episode"],
            "slot": trips["slot"],
            **name_markets(sample.bank, trips["market"]),
            "entry_ns": trips["entry_ns"],
            "exit_ns": trips["exit_ns"],
            "side": pa.array([_SIDES[side] for side in trips["side"].tolist()], pa.string()),
            "contracts_e2": bought,
            "price_e4": pa.array(price, mask=bought == 0),
            "paid_e6": paid,
            "fees_e6": trips["fees_e6"],
            "pnl_e6": trips["pnl_e6"],
            "n_fills": trips["n_fills"],
            "ending": pa.array([_ENDINGS[ending] for ending in trips["ending"].tolist()], pa.string()),
        }
    )


def note_of(ledger: pa.Table) -> LedgerNote:
    """Number of rows and sums of ``ledger``."""
    sums = {name: sum(ledger.column(name).to_pylist()) for name in ("pnl_e6", "fees_e6")}
    return LedgerNote(n_rows=ledger.num_rows, **sums)
