"""The whole ledger of an evaluation: round trips, fills and markets as tables, and the plays of the page.

Owns    the bundle that an evaluation hands to its report, and the names of the files.
Not     what a column means: ledger.py, trades_table.py, markets_table.py and docs/ledger.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from kalshi_platform.evaluation.judging.markets_table import markets_of
from kalshi_platform.evaluation.judging.plays import Play, choose_plays
from kalshi_platform.evaluation.judging.sample import Sample
from kalshi_platform.evaluation.judging.summary import PolicyResult
from kalshi_platform.evaluation.judging.table_files import write_table
from kalshi_platform.evaluation.judging.trades_table import trades_of

#: Stems of the files; each lies there as .csv and as .parquet.
STEMS: Final = ("ledger", "trades", "markets")


@dataclass(frozen=True)
class LedgerTables:
    """The tables of one evaluation and the plays that its page shows."""

    trips: pa.Table  # round trips, ledger.csv
    trades: pa.Table  # fills
    markets: pa.Table
    plays: tuple[Play, ...]
    n_plays: int  # of which ``plays`` are some

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files."""
        return tuple(f"{stem}{suffix}" for stem in STEMS for suffix in (".csv", ".parquet"))


def tables_of(
    sample: Sample,
    trips: pa.Table,
    result: PolicyResult,
    baselines: Sequence[PolicyResult],
    best_rule: str | None,
) -> LedgerTables:
    """Tables of the judged policy, whose rollouts ``sample`` holds and whose round trips are ``trips``."""
    return LedgerTables(
        trips=trips,
        trades=trades_of(sample),
        markets=markets_of(sample, result, baselines, best_rule),
        plays=choose_plays(sample),
        n_plays=int(sample.plays()[0].size),
    )


def write_ledger(ledger: LedgerTables, out: Path) -> None:
    """Write every table into ``out``, each file whole or not at all; StorageError where one cannot be."""
    for stem, table in zip(STEMS, (ledger.trips, ledger.trades, ledger.markets), strict=True):
        write_table(table, stem, out)
