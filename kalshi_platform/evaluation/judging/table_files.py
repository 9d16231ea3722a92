"""A table beside a report, as CSV and as Parquet: the same rows, each file whole or not at all.

Owns    both files, and the columns that name a row's market.
Formula a text of the CSV that a spreadsheet would run as a formula begins with an apostrophe, as it asks for.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from kalshi_platform.domain.errors import StorageError
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.infos import Trait, numbered, tickers_of
from kalshi_platform.storage.whole_file import write_whole


def write_table(table: pa.Table, stem: str, out: Path) -> None:
    """Write ``table`` as ``stem``.csv and ``stem``.parquet into ``out``.

    StorageError where a file cannot be written.
    """
    text, packed = pa.BufferOutputStream(), pa.BufferOutputStream()
    pyarrow.csv.write_csv(_without_formulas(table), text)
    pyarrow.parquet.write_table(table, packed)
    for suffix, stream in ((".csv", text), (".parquet", packed)):
        place = out / f"{stem}{suffix}"
        try:
            out.mkdir(parents=True, exist_ok=True)
            write_whole(place, stream.getvalue())
        except OSError as err:
            raise StorageError(
                f"{place} could not be written: {err}; free space or choose another --out"
            ) from err


def _without_formulas(table: pa.Table) -> pa.Table:
    """The table, its texts that begin like a formula after an apostrophe."""
    columns = [
        pyarrow.compute.replace_substring_regex(column, r"\A([=+@\-\t\r])", r"'\1")
        if pa.types.is_string(column.type)
        else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def pick_names(names: Sequence[str], index: np.ndarray) -> pa.Array:
    """Column of the name that each entry of ``index`` (K,) stands for."""
    return pa.array(names, pa.string()).take(pa.array(index))


def name_markets(bank: Bank, market: np.ndarray) -> dict[str, pa.Array]:
    """Columns that name the market of each row; ``market`` (K,) are places in ``bank.markets``."""
    traits: tuple[Trait, ...] = ("event", "block", "provenance")
    columns = {trait: numbered(bank.markets, trait) for trait in traits}
    tickers = {"ticker": pick_names(tickers_of(bank.markets), market)}
    return tickers | {name: pick_names(names, place[market]) for name, (names, place) in columns.items()}
