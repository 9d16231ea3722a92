"""The round trips that a page lists: the worst, the best and those held longest, out of any number.

Units   the ledger's (docs/ledger.md); prices come from it: nothing is computed that it does not hold.
Bound   WORST + BEST + LONGEST rows, each round trip once.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

#: Rows of each kind, at most.
WORST, BEST, LONGEST = 12, 12, 6
#: Largest value of a contract, 1e-4 dollar.
_MOST_E4: Final = 10_000


@dataclass(frozen=True)
class ListedTrip:
    """One round trip as a page shows it; times ns, money 1e-6 dollar, prices 1e-4 dollar of its own side."""

    ticker: str
    seed: int
    entry_ns: int
    exit_ns: int
    side: str
    contracts_e2: int
    entry_e4: int | None
    exit_e4: int | None  # average; None where the ledger does not tell it
    fees_e6: int
    pnl_e6: int
    n_fills: int
    ending: str

    @property
    def held_ns(self) -> int:
        """Time from the first fill to the end."""
        return self.exit_ns - self.entry_ns


@dataclass(frozen=True)
class ListedTrips:
    """Round trips under one heading."""

    title: str
    rows: tuple[ListedTrip, ...]


def list_trips(trips: pa.Table) -> tuple[ListedTrips, ...]:
    """The worst, the best and the longest of the round trips; a heading without rows is left out."""
    pnl, held = _column(trips, "pnl_e6"), _column(trips, "exit_ns") - _column(trips, "entry_ns")
    gains, losses = int((pnl > 0).sum()), int((pnl < 0).sum())
    ranked = (
        ("worst", np.argsort(pnl, kind="stable")[: min(WORST, losses)], WORST),
        ("best", np.argsort(-pnl, kind="stable")[: min(BEST, gains)], BEST),
        ("held longest", np.argsort(-held, kind="stable")[: WORST + BEST + LONGEST], LONGEST),
    )
    shown: set[int] = set()
    out = []
    for title, order, most in ranked:
        fresh = [k for k in order.tolist() if k not in shown][:most]
        shown |= set(fresh)
        rows = trips.take(pa.array(fresh, pa.int64())).to_pylist()
        out.append(ListedTrips(title, tuple(_listed(row) for row in rows)))
    return tuple(part for part in out if part.rows)


def _column(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table.column(name).to_numpy())


def _listed(row: dict[str, Any]) -> ListedTrip:
    return ListedTrip(
        ticker=row["ticker"],
        seed=row["seed"],
        entry_ns=row["entry_ns"],
        exit_ns=row["exit_ns"],
        side=row["side"],
        contracts_e2=row["contracts_e2"],
        entry_e4=row["price_e4"],
        exit_e4=_exit_e4(row),
        fees_e6=row["fees_e6"],
        pnl_e6=row["pnl_e6"],
        n_fills=row["n_fills"],
        ending=row["ending"],
    )


def _exit_e4(row: dict[str, Any]) -> int | None:
    """Average that a contract brought: what was paid, the fees and the profit, over the contracts.

    None where that is no price: purchases and sales between the same two decisions are not in the contracts.
    """
    if not row["contracts_e2"]:
        return None
    brought = row["paid_e6"] + row["fees_e6"] + row["pnl_e6"]
    price = round(brought / row["contracts_e2"])
    return price if 0 <= price <= _MOST_E4 else None
