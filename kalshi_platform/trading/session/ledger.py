"""Ledger of a session: one row a fill or payment, with names in place of numbers.

Units    price 1e-4 dollar on the YES scale (the mean of the levels that one order took at one moment, as a
         float), size 1e-2 contract, cash and fees 1e-6 dollar, time ns UTC.
Order    by time, then by group and order.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from kalshi_platform.domain.units import DOLLAR_E4, NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One fill, or the payment of an outcome (``kind`` settlement)."""

    at_ns: int
    ticker: str
    event: str
    order: str  # of paper: group/slot/number; of an exchange: the client id
    kind: str  # taker, maker, settlement
    action: str  # BUY_YES, SELL_YES, BUY_NO, SELL_NO; of a settlement empty
    qty_e2: int
    yes_price_e4: float | None
    cash_e6: int  # change of cash, fees included
    fee_e6: int
    position_e2: int | None  # in the market after it; None where the exchange did not tell


COLUMNS: Final = tuple(LedgerRow.__dataclass_fields__)
_KINDS: Final = {
    "at_ns": pa.int64(), "qty_e2": pa.int64(), "yes_price_e4": pa.float64(), "cash_e6": pa.int64(),
    "fee_e6": pa.int64(), "position_e2": pa.int64(),
}  # fmt: skip


def yes_price_e4(action: str, turnover_e6: int, qty_e2: int) -> float | None:
    """Mean YES price of a fill whose own outcome turned over ``turnover_e6``."""
    if qty_e2 == 0:
        return None
    own = turnover_e6 / qty_e2
    return own if action.endswith("YES") else DOLLAR_E4 - own


def ledger_table(rows: Sequence[LedgerRow]) -> pa.Table:
    """Rows as a table of the columns above."""
    schema = pa.schema([(name, _KINDS.get(name, pa.string())) for name in COLUMNS])
    return pa.Table.from_pylist([asdict(row) for row in rows], schema=schema)


def write_ledger(rows: Sequence[LedgerRow], folder: Path) -> tuple[Path, Path]:
    """Write ``ledger.csv`` and ``ledger.parquet`` into ``folder``; returns their paths."""
    table = ledger_table(rows)
    csv, parquet = folder / "ledger.csv", folder / "ledger.parquet"
    pa_csv.write_csv(table, csv)
    pq.write_table(table, parquet)
    return csv, parquet


def sums_by(rows: Sequence[LedgerRow], key: str) -> dict[str, dict[str, Any]]:
    """Fills, contracts, fees and cash flow by ticker, event, or UTC day (``key`` day)."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = _day(row.at_ns // NS_PER_SECOND) if key == "day" else str(getattr(row, key))
        entry = found.setdefault(name, {"fills": 0, "qty_e2": 0, "fee_e6": 0, "cash_e6": 0})
        entry["fills"] += row.kind != "settlement"
        entry["qty_e2"] += row.qty_e2 if row.kind != "settlement" else 0
        entry["fee_e6"] += row.fee_e6
        entry["cash_e6"] += row.cash_e6
    return found


def _day(seconds: int) -> str:
    """UTC date of a Unix time."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
