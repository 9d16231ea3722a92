"""Row-wise market data in Parquet: the rows that belong to each market, as numpy columns.

The ticker column alone makes the index of a file. A part is read row group by row group, each filtered
before the next one is opened, so memory follows the part, not the file.

Times     A column of whole numbers counts the unit in its name. A column of Parquet timestamps counts the
          unit of its own type, whatever the name says; without a time zone it is read as UTC, and counted.
          Every time must be possible (``clock.py``): a number in another unit is refused.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalshi_platform.data.market_data.clock import (
    EXCHANGE,
    MADE_UP,
    UNITS_NS,
    TimeSpan,
    receive_span,
    strange_time,
)
from kalshi_platform.data.market_data.importers.foreign import Foreign, read_foreign, require_single, sound
from kalshi_platform.data.market_data.importers.types import DataKind, Part
from kalshi_platform.data.market_data.market_meta import check_ticker
from kalshi_platform.domain.bounded import shown_value
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import NO_TIME, NS_PER_MS, NS_PER_SECOND
from kalshi_platform.domain.worlds import world_name

TICKER: Final = "market_ticker"
#: Schema metadata by which a file says where its rows come from; the simulator writes SIMULATED.
PROVENANCE_KEY: Final = "kalshi_platform.provenance"
SIMULATED: Final = "simulated"
WORLD_KEY: Final = "kalshi_platform.world"
_MAGIC: Final = b"PAR1"


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


_RECV: Final = {
    "recv_ns": 1,
    "recv_ts_us": 1_000,
    "recv_ts_ms": NS_PER_MS,
    "recv_ts_s": NS_PER_SECOND,
}

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
        {"ts_ns": 1, "ts_us": 1_000, "ts_ms": NS_PER_MS, "ts_s": NS_PER_SECOND, **_RECV},
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

    def __init__(self, path: Path, table: pa.Table, numbers: np.ndarray, simulated: bool = False) -> None:
        """Group ``table``, whose ticker column is dictionary-encoded, by market.

        ``numbers`` (n,) are the 0-based rows of the file; ``simulated``: the file says that its exchange was.
        """
        tickers = table.column(TICKER).combine_chunks()
        codes = tickers.indices.to_numpy()
        names = tickers.dictionary.to_pylist()
        order = np.argsort(codes, kind="stable")
        if not np.array_equal(order, np.arange(order.size)):
            table, numbers, codes = table.take(pa.array(order)), numbers[order], codes[order]
        self.path, self.simulated = path, simulated
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
        values = self._table.column(column).combine_chunks()
        if pa.types.is_boolean(values.type) or pa.types.is_temporal(values.type):
            self._refuse_type(column, "whole numbers")
        return self._filled(column, self._cast(column, values, pa.int64(), "whole numbers"), null)

    def _filled(self, column: str, values: Any, null: int | None) -> np.ndarray:
        """Whole numbers of a column as (n,) i8; ``null`` stands for a null as in :meth:`ints`."""
        if values.null_count:
            if null is None:
                missing = values.is_null().to_numpy(zero_copy_only=False)
                self.refuse(int(np.argmax(missing)), f"{column} is null")
            values = pc.fill_null(values, null)
        whole: np.ndarray = values.to_numpy(zero_copy_only=False)
        return whole

    def bools(self, column: str) -> np.ndarray:
        """Column as (n,) bool; null counts as false."""
        values = self._table.column(column).combine_chunks()
        values = pc.fill_null(self._cast(column, values, pa.bool_(), "true and false"), False)
        flags: np.ndarray = values.to_numpy(zero_copy_only=False)
        return flags

    def _cast(self, column: str, values: Any, wanted: Any, words: str) -> Any:
        """Values of a column as another type; DataError where one of them cannot be that."""
        try:
            return values.cast(wanted)
        except pa.ArrowException as err:
            self._refuse_type(column, words, f" ({err})")

    def _refuse_type(self, column: str, wanted: str, why: str = "") -> NoReturn:
        """Raise a DataError about the type of a column."""
        kind = self._table.schema.field(column).type
        raise DataError(
            f"{self.path}: column {column} of type {kind} does not hold {wanted}{why}; write it as {wanted}"
        )

    def codes(self, column: str, values: Mapping[str, int], null: int | None = None) -> np.ndarray:
        """Code of each string of a column, (n,) i8.

        Any other string, and null unless ``null`` is its code, is refused.
        """
        texts = self._table.column(column).combine_chunks()
        encoded = self._cast(column, texts, pa.string(), "text").dictionary_encode()
        known = np.array([values.get(name, -2) for name in encoded.dictionary.to_pylist()] + [-1], np.int64)
        found = known[pc.fill_null(encoded.indices.cast(pa.int64()), len(known) - 1).to_numpy()]
        if null is not None:
            found = np.where(found == -1, null, found)
        if (bad := np.flatnonzero(found < 0) if null is None else np.flatnonzero(found == -2)).size:
            value = self._table.column(column)[int(bad[0])].as_py()
            words = " or ".join(map(repr, values))
            self.refuse(int(bad[0]), f"{column} = {shown_value(value)}, expected {words}")
        result: np.ndarray = found
        return result

    def strings(self, column: str) -> pa.Array:
        """Column as (n,) strings; null stays null."""
        return self._cast(column, self._table.column(column).combine_chunks(), pa.large_string(), "text")

    def time_ns(self, kind: DataKind, counters: Counter[str], now_ns: int | None = None) -> np.ndarray:
        """Times (n,) i8, ns, from the finest time column present.

        ``now_ns``: the present time (None: this machine's clock), after which nothing can have happened.
        """
        units = LAYOUTS[kind].times
        name = next(t for t in units if t in self)
        family = name.partition("_")[0]
        names = {unit_ns: t for t, unit_ns in units.items() if t.partition("_")[0] == family}
        span = MADE_UP if self.simulated else receive_span(now_ns)
        return self._times(name, units[name], span, counters, names)

    def exchange_ns(self, column: str, unit_ns: int, counters: Counter[str]) -> np.ndarray:
        """Exchange's own times (n,) i8, ns, from a column of ``unit_ns``; NO_TIME where absent or null."""
        if column not in self:
            return np.full(len(self), NO_TIME)
        return self._times(column, unit_ns, EXCHANGE, counters, {}, null=NO_TIME)

    def _times(
        self,
        column: str,
        unit_ns: int,
        span: TimeSpan,
        counters: Counter[str],
        names: dict[int, str],
        null: int | None = None,
    ) -> np.ndarray:
        """Times (n,) i8, ns; DataError where ``span`` does not hold one.

        ``names``: unit in ns -> name of a column of that unit; ``null`` as in :meth:`ints`.
        """
        values = self._table.column(column).combine_chunks()
        kind = values.type
        shown = column
        if pa.types.is_timestamp(kind):
            shown, names, unit_ns = f"{column} ({kind})", {}, _TYPE_UNITS_NS[kind.unit]
            counters["timestamps_without_zone_read_as_utc"] += len(self) if kind.tz is None else 0
        elif not pa.types.is_integer(kind):
            self._refuse_type(column, f"times: whole {_UNIT_NAMES[unit_ns]}, or Parquet timestamps")
        stamps = self._filled(column, self._cast(column, values, pa.int64(), "times"), null)
        possible = (stamps >= -(-span.earliest_ns // unit_ns)) & (stamps <= span.latest_ns // unit_ns)
        if null is not None:
            possible |= stamps == null
        if not possible.all():
            at = int(np.argmin(possible))
            self.refuse(at, strange_time(shown, int(stamps[at]), unit_ns, span, names), "")
        times: np.ndarray = stamps * unit_ns
        return times if null is None else np.where(stamps == null, null, times)

    def refuse(self, at: int, what: str, remedy: str = "; correct or remove the row in the file") -> NoReturn:
        """Raise a DataError about the row at position ``at`` of this part."""
        ticker = self.tickers[int(self.market_of(np.array([at]))[0])]
        raise DataError(f"{self.path}: row {self.numbers[at]}, market {ticker}: {what}{remedy}")


#: Unit of a Parquet timestamp's type, in ns.
_TYPE_UNITS_NS: Final = {"s": NS_PER_SECOND, "ms": NS_PER_MS, "us": 1_000, "ns": 1}
_UNIT_NAMES: Final = {unit_ns: name for name, unit_ns in UNITS_NS.items()}


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
    return PartRows(path, table.set_column(at, TICKER, encoded), np.concatenate(numbers), part.simulated)


def read_all(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Whole table of a (small) Parquet file; DataError where the file is damaged."""
    with _opened(path) as file:
        try:
            return sound(file.read(columns=columns), path)
        except (pa.ArrowException, OSError) as err:
            _damaged(path, err)


def read_groups(path: Path, columns: list[str]) -> Iterator[pa.Table]:
    """Columns of one row group after the other; DataError where the file is damaged."""
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            try:
                table = sound(file.read_row_group(group, columns=columns), path)
            except (pa.ArrowException, OSError) as err:
                _damaged(path, err)
            yield table


def whole_numbers(column: pa.ChunkedArray, name: str, path: Path) -> np.ndarray:
    """Column without nulls as (n,) i8; DataError where its type holds no whole numbers."""
    kind = column.type
    try:
        if pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
            raise pa.ArrowInvalid("flags and times are no numbers")
        whole: np.ndarray = column.cast(pa.int64()).to_numpy()
    except pa.ArrowException as err:
        raise DataError(
            f"{path}: column {name} of type {shown_value(kind)} does not hold whole numbers ({err}); "
            "write it as whole numbers"
        ) from None
    return whole


def column_names(path: Path) -> set[str]:
    """Names of the columns; DataError where the file is no readable Parquet or holds no rows."""
    with _opened(path) as file:
        if file.metadata.num_rows == 0:
            raise DataError(f"{path}: the file is empty (no rows); remove it or export it again")
        return set(file.schema_arrow.names)


def is_simulated(path: Path) -> bool:
    """True for a file that says of itself that its rows come from a simulated exchange."""
    return read_metadata(path, PROVENANCE_KEY) == SIMULATED


def worlds_named(path: Path) -> frozenset[str]:
    """World that a simulated file says it is of, in a set; an empty set for one that is not simulated."""
    return frozenset([world_name(read_metadata(path, WORLD_KEY))] if is_simulated(path) else [])


def read_metadata(path: Path, key: str) -> str | None:
    """Value of ``key`` in a file's own metadata; None where the file has none."""
    with _opened(path) as file:
        value = (file.schema_arrow.metadata or {}).get(key.encode())
        return None if value is None else value.decode(errors="replace")


def is_foreign(path: Path) -> bool:
    """True for a file that is read through ``foreign.py``."""
    return isinstance(_found(path), Foreign)


def reading_counters(path: Path) -> Counter[str]:
    """Counts of the reading of a file of other people; none for one of the house's own."""
    found = _found(path)
    return found.counters if isinstance(found, Foreign) else Counter()


def _opened(path: Path) -> Any:
    """Open Parquet file, or what stands for one of other people; DataError where the file is damaged."""
    found = _found(path)
    return found.file if isinstance(found, Foreign) else found


def _found(path: Path) -> Any:
    """Open Parquet file, or the reading of a file of other people."""
    file = None
    try:
        with path.open("rb") as head:
            is_parquet = head.read(4) == _MAGIC
        if is_parquet:
            file = pq.ParquetFile(path)
            require_single(file.schema_arrow.names, path)
            if _is_ours(set(file.schema_arrow.names)):
                return file
        found = read_foreign(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as err:  # a name in the footer is no UTF-8
        _damaged(path, err)
    return found if isinstance(found, Foreign) else file


def _is_ours(names: set[str]) -> bool:
    """True for the columns of one of the house's own kinds."""
    layouts = any(layout.matches(names) for layout in LAYOUTS.values())
    return layouts or {TICKER, "event_ticker"} <= names


def _read(file: Any, path: Path, group: int, columns: list[str]) -> pa.Table:
    """Columns of one row group, the tickers as strings; DataError where the file is damaged."""
    try:
        table = sound(file.read_row_group(group, columns=columns), path)
        at = table.column_names.index(TICKER)
        return table.set_column(at, TICKER, table.column(TICKER).cast(pa.string()))
    except (pa.ArrowException, OSError) as err:
        _damaged(path, err)


def _damaged(path: Path, err: Exception) -> NoReturn:
    """Raise the DataError for a file that pyarrow cannot read."""
    raise DataError(f"{path}: cannot be read as Parquet ({err}); copy the file again") from None
