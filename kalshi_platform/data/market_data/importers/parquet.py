"""Row-wise market data in Parquet: the rows that belong to each market, as numpy columns.

The ticker column alone makes the index of a file. A part is read row group by row group, each filtered
before the next one is opened, so memory follows the part, not the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalshi_platform.data.market_data.importers.types import DataKind, Part
from kalshi_platform.data.market_data.market_meta import check_ticker
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NS_PER_MS

TICKER: Final = "market_ticker"
#: Schema metadata by which a file says where its rows come from; the simulator writes SIMULATED.
PROVENANCE_KEY: Final = "kalshi_platform.provenance"
SIMULATED: Final = "simulated"


@dataclass(frozen=True, slots=True)
class ColumnLayout:
    """Columns by which a kind of file is recognised, and those read where present."""

    kind: DataKind
    required: frozenset[str]
    forbidden: frozenset[str]
    optional: frozenset[str]
    times: Mapping[str, int]  # time column -> its unit in ns, finest first; one must be present

    def matches(self, columns: set[str]) -> bool:
        """True for a file with these columns."""
        return (
            self.required <= columns
            and not self.forbidden & columns
            and any(t in columns for t in self.times)
        )


_RECV: Final = {"recv_ns": 1, "recv_ts_us": 1_000, "recv_ts_ms": NS_PER_MS}

LAYOUTS: Final[dict[DataKind, ColumnLayout]] = {
    "level2": ColumnLayout(
        "level2",
        frozenset({TICKER, "type", "snap_start", "side", "price_e4", "size_e2"}),
        frozenset(),
        frozenset({"exch_ts_ms", "sid", "seq", "session", "is_fill", "taker_side"}),
        _RECV,
    ),
    "quotes": ColumnLayout(
        "quotes",
        frozenset({TICKER, "yes_bid_e4", "yes_ask_e4"}),
        frozenset({"type"}),
        frozenset({"yes_bid_size_e2", "yes_ask_size_e2"}),
        _RECV,
    ),
    "trades": ColumnLayout(
        "trades",
        frozenset({TICKER, "yes_price_e4", "count_e2", "taker_side"}),
        frozenset({"type"}),
        frozenset({"trade_id", "is_block_trade"}),
        {"ts_ns": 1, "ts_us": 1_000, "ts_ms": NS_PER_MS, **_RECV},
    ),
}


class TickerRows(NamedTuple):
    """Row groups that hold the rows of one market, and the number of those rows."""

    ticker: str
    n_rows: int
    row_groups: tuple[int, ...]


def index_tickers(path: Path) -> list[TickerRows]:
    """Markets of a Parquet file in order of first appearance, with their row counts and row groups."""
    counts: dict[str, int] = {}
    groups: dict[str, list[int]] = {}
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            column = _read(file, path, group, [TICKER]).column(0)
            for entry in pc.value_counts(column.combine_chunks()).to_pylist():
                ticker = check_ticker(entry["values"], f"{path}: row group {group}")
                counts[ticker] = counts.get(ticker, 0) + entry["counts"]
                groups.setdefault(ticker, []).append(group)
    return [TickerRows(ticker, n, tuple(groups[ticker])) for ticker, n in counts.items()]


class PartRows:
    """Rows of a part, grouped by market, file order kept within each."""

    def __init__(self, path: Path, table: pa.Table, numbers: np.ndarray) -> None:
        """Group ``table``, whose ticker column is dictionary-encoded, by market.

        ``numbers`` (n,) are the 0-based rows of the file.
        """
        tickers = table.column(TICKER).combine_chunks()
        codes = tickers.indices.to_numpy()
        names = tickers.dictionary.to_pylist()
        order = np.argsort(codes, kind="stable")
        if not np.array_equal(order, np.arange(order.size)):
            table, numbers, codes = table.take(pa.array(order)), numbers[order], codes[order]
        self.path = path
        self.numbers = numbers
        self.starts = np.flatnonzero(np.diff(codes, prepend=-1))
        self.tickers = [names[c] for c in codes[self.starts]]
        self._table = table

    def __len__(self) -> int:
        return len(self.numbers)

    def __contains__(self, column: str) -> bool:
        return column in self._table.column_names

    def market_of(self, at: np.ndarray) -> np.ndarray:
        """Number of the market in ``tickers`` that each position belongs to."""
        return np.searchsorted(self.starts, at, side="right") - 1

    def ints(self, column: str, null: int | None = None) -> np.ndarray:
        """Column as (n,) i8; ``null`` stands for a null, which is refused where ``null`` is None."""
        try:
            values = self._table.column(column).combine_chunks().cast(pa.int64())
        except pa.ArrowInvalid as err:
            raise DataError(f"{self.path}: column {column} does not hold whole numbers ({err})") from None
        if values.null_count:
            if null is None:
                missing = values.is_null().to_numpy(zero_copy_only=False)
                self.refuse(int(np.argmax(missing)), f"{column} is null")
            values = pc.fill_null(values, null)
        whole: np.ndarray = values.to_numpy(zero_copy_only=False)
        return whole

    def bools(self, column: str) -> np.ndarray:
        """Column as (n,) bool; null counts as false."""
        values = pc.fill_null(self._table.column(column).combine_chunks().cast(pa.bool_()), False)
        flags: np.ndarray = values.to_numpy(zero_copy_only=False)
        return flags

    def codes(self, column: str, values: Mapping[str, int], null: int | None = None) -> np.ndarray:
        """Code of each string of a column, (n,) i8.

        Any other string, and null unless ``null`` is its code, is refused.
        """
        encoded = self._table.column(column).combine_chunks().cast(pa.string()).dictionary_encode()
        known = np.array([values.get(name, -2) for name in encoded.dictionary.to_pylist()] + [-1], np.int64)
        found = known[pc.fill_null(encoded.indices.cast(pa.int64()), len(known) - 1).to_numpy()]
        if null is not None:
            found = np.where(found == -1, null, found)
        if (bad := np.flatnonzero(found < 0) if null is None else np.flatnonzero(found == -2)).size:
            value = self._table.column(column)[int(bad[0])].as_py()
            self.refuse(int(bad[0]), f"{column} = {value!r}, expected {' or '.join(map(repr, values))}")
        result: np.ndarray = found
        return result

    def distinct_codes(self, column: str) -> np.ndarray:
        """Codes (n,) i8: equal values have equal codes; null is -1."""
        indices = self._table.column(column).combine_chunks().dictionary_encode().indices
        codes: np.ndarray = pc.fill_null(indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
        return codes

    def time_ns(self, kind: DataKind) -> np.ndarray:
        """Times (n,) i8, ns, from the finest time column present."""
        name, unit_ns = next((t, u) for t, u in LAYOUTS[kind].times.items() if t in self)
        stamps = self.ints(name)
        if (bad := np.flatnonzero((stamps <= 0) | (stamps > _LAST_NS // unit_ns))).size:
            self.refuse(int(bad[0]), f"{name} = {stamps[bad[0]]} is no time between 1970 and 2200")
        times: np.ndarray = stamps * unit_ns
        return times

    def refuse(self, at: int, what: str) -> NoReturn:
        """Raise a DataError about the row at position ``at`` of this part."""
        ticker = self.tickers[int(self.market_of(np.array([at]))[0])]
        raise DataError(
            f"{self.path}: row {self.numbers[at]}, market {ticker}: {what}; "
            "correct or remove the row in the file"
        )


_LAST_NS: Final = 7_258_118_400 * 10**9  # 2200-01-01


def read_part(part: Part) -> PartRows:
    """Rows of ``part``; DataError where the file is damaged."""
    path, layout = Path(part.path), LAYOUTS[part.kind]
    wanted = pa.array(part.tickers)
    tables, numbers = [], []
    with _opened(path) as file:
        names = set(file.schema_arrow.names)
        time = next(t for t in layout.times if t in names)
        columns = [*layout.required, *sorted(layout.optional & names), time]
        starts = np.cumsum([0] + [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)])
        for group in part.row_groups:
            table = _read(file, path, group, columns)
            keep = np.flatnonzero(pc.is_in(table.column(TICKER), wanted).to_numpy())
            numbers.append(keep + starts[group])
            tables.append(table if keep.size == table.num_rows else table.take(pa.array(keep)))
    table = pa.concat_tables(tables).combine_chunks()
    encoded = table.column(TICKER).combine_chunks().dictionary_encode()
    at = table.column_names.index(TICKER)
    return PartRows(path, table.set_column(at, TICKER, encoded), np.concatenate(numbers))


def read_all(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Whole table of a (small) Parquet file; DataError where the file is damaged."""
    with _opened(path) as file:
        try:
            return file.read(columns=columns)
        except (pa.ArrowException, OSError) as err:
            _damaged(path, err)


def column_names(path: Path) -> set[str]:
    """Names of the columns; DataError where the file is no readable Parquet or holds no rows."""
    with _opened(path) as file:
        if file.metadata.num_rows == 0:
            raise DataError(f"{path}: the file is empty (no rows); remove it or export it again")
        return set(file.schema_arrow.names)


def is_simulated(path: Path) -> bool:
    """True for a file that says of itself that its rows come from a simulated exchange."""
    return read_metadata(path, PROVENANCE_KEY) == SIMULATED


def read_metadata(path: Path, key: str) -> str | None:
    """Value of ``key`` in a file's own metadata; None where the file has none."""
    with _opened(path) as file:
        value = (file.schema_arrow.metadata or {}).get(key.encode())
        return None if value is None else value.decode(errors="replace")


def _opened(path: Path) -> Any:
    """Open Parquet file; DataError where the file is damaged."""
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as err:
        _damaged(path, err)


def _read(file: Any, path: Path, group: int, columns: list[str]) -> pa.Table:
    """Columns of one row group, the tickers as strings; DataError where the file is damaged."""
    try:
        table = file.read_row_group(group, columns=columns)
        at = table.column_names.index(TICKER)
        return table.set_column(at, TICKER, table.column(TICKER).cast(pa.string()))
    except (pa.ArrowException, OSError) as err:
        _damaged(path, err)


def _damaged(path: Path, err: Exception) -> NoReturn:
    """Raise the DataError for a file that pyarrow cannot read."""
    raise DataError(f"{path}: cannot be read as Parquet ({err}); copy the file again") from None
