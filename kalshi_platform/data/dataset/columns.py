"""Columns of a manifest: markets (M rows) and events (E rows), as arrays that a table on the disk holds.

Owns       the codes of parts, provenances and gap detections; the checks of one column against another.
Invariant  events ascend by name, so an event's code is its rank; ``MarketColumns.event`` holds codes. Nothing
           here is a Python object a market: a dataset of a million markets opens without making one.
Unknown    -1 stands where an earlier version kept nothing (``n_segments``, ``gap_detection``,
           ``grid_declared``), for an event without a file (``n_bytes``), a market or a block (``part``).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalshi_platform.data.dataset.blocks import PARTS, Part
from kalshi_platform.data.dataset.entry import JoinedFiles
from kalshi_platform.data.dataset.tables import first_not_ascending, strings
from kalshi_platform.data.market_data.gaps import GapDetection
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.market import Provenance

PROVENANCES: Final[tuple[Provenance, ...]] = get_args(Provenance)
GAP_DETECTIONS: Final[tuple[GapDetection, ...]] = get_args(GapDetection)
UNKNOWN: Final = -1

#: Columns of numbers of the table of markets, beside the ticker.
MARKET_NUMBERS: Final[dict[str, np.dtype]] = {
    name: np.dtype(kind)
    for name, kind in {
        "event": "i8", "provenance": "i1", "n_events": "i8", "n_rows": "i8", "n_gaps": "i8",
        "first_ns": "i8", "last_ns": "i8", "batch": "i8", "volatility": "f8", "settled": "i1",
        "gap_detection": "i1", "n_segments": "i8", "grid_declared": "i1", "older_outcomes": "i1",
    }.items()
}  # fmt: skip
#: Lowest and highest value of the columns that are bounded; None: not bounded above.
_BOUNDS: Final[dict[str, tuple[int, int | None]]] = {
    "provenance": (0, len(PROVENANCES) - 1), "n_events": (0, None), "n_rows": (0, None), "n_gaps": (0, None),
    "batch": (0, None), "volatility": (0, None), "settled": (0, 1), "n_segments": (-1, None),
    "gap_detection": (-1, len(GAP_DETECTIONS) - 1), "grid_declared": (-1, 1), "older_outcomes": (0, 1),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class MarketColumns:
    """Columns of M markets; ``order`` (M,) i8 sorts the tickers, None where they ascend by themselves."""

    ticker: pa.Array
    event: np.ndarray
    provenance: np.ndarray
    n_events: np.ndarray
    n_rows: np.ndarray
    n_gaps: np.ndarray
    first_ns: np.ndarray
    last_ns: np.ndarray
    batch: np.ndarray
    volatility: np.ndarray
    settled: np.ndarray
    gap_detection: np.ndarray
    n_segments: np.ndarray
    grid_declared: np.ndarray
    older_outcomes: np.ndarray
    order: np.ndarray | None

    @property
    def n_markets(self) -> int:
        """Number of markets."""
        return len(self.ticker)

    def check(self, part: np.ndarray) -> None:
        """ContractError names the first market that is listed twice, or the column and the value it refuses.

        ``part`` (E,) is that of the events, which the codes name.
        """
        for name, (low, high) in (_BOUNDS | {"event": (0, part.size - 1)}).items():
            values = getattr(self, name)
            wrong = ~(values >= low) if high is None else ~((values >= low) & (values <= high))
            if wrong.any():
                at = int(np.flatnonzero(wrong)[0])
                raise ContractError(f"markets.{at}.{name}: {values[at]} is not allowed")
        if (homeless := part[self.event] < 0).any():
            raise ContractError(
                f"market {self.ticker[int(homeless.argmax())].as_py()} is of an event in no part"
            )
        self._check_tickers()

    def _check_tickers(self) -> None:
        if self.order is None:
            texts = self.ticker
        else:
            size = self.order.size
            if size != self.n_markets or (size and not 0 <= self.order.min() <= self.order.max() < size):
                raise ContractError(
                    f"the table order holds {size} places, and not each of the {self.n_markets} markets once"
                )
            texts = self.ticker.take(pa.array(self.order))
        if (at := first_not_ascending(texts)) is not None:
            raise ContractError(
                f"market {texts[at].as_py()} is listed twice, or the tickers are not in order"
            )


def order_of(tickers: pa.Array) -> np.ndarray | None:
    """Places that sort ``tickers``; None where they ascend by themselves."""
    if first_not_ascending(tickers) is None:
        return None
    return pc.sort_indices(tickers).to_numpy().astype(np.int64)


@dataclass(frozen=True, eq=False)
class EventColumns:
    """Columns of E events: name, part, block, and sha256 and size of each of their two files.

    ``block`` holds codes of ``blocks``. ``sha256`` has an array (E, 32) u1 and ``n_bytes`` one (E,) i8 for
    each of ``FILES``: the recorded rows, then the feature rows.
    """

    name: pa.Array
    part: np.ndarray
    block: np.ndarray
    blocks: pa.Array
    sha256: tuple[np.ndarray, ...]
    n_bytes: tuple[np.ndarray, ...]

    @property
    def n_events(self) -> int:
        """Number of events, with markets or without."""
        return len(self.name)

    def block_names(self, codes: np.ndarray) -> list[str | None]:
        """Name of the block of each code (K,); None for -1."""
        used = {code: self.blocks[code].as_py() for code in np.unique(codes[codes >= 0]).tolist()}
        return [used.get(code) for code in codes.tolist()]

    def check(self) -> None:
        """ContractError names the event or the block that contradicts itself."""
        if (at := first_not_ascending(self.name)) is not None:
            raise ContractError(
                f"event {self.name[at].as_py()} is listed twice, or the events are not in order"
            )
        for name, values, size in (("part", self.part, len(PARTS)), ("block", self.block, len(self.blocks))):
            if values.size and not -1 <= values.min() <= values.max() < size:
                raise ContractError(
                    f"events: {name} is a code from {values.min()} to {values.max()}, of {size}"
                )
        listed = self.part >= 0
        for file, n_bytes in zip(FILES, self.n_bytes, strict=True):
            if (lost := listed & (n_bytes < 0)).any():
                raise ContractError(f"event {self.name[int(lost.argmax())].as_py()} has no {file} shard")
        self._check_blocks(listed & (self.block >= 0))

    def _check_blocks(self, is_in_block: np.ndarray) -> None:
        block, part = self.block[is_in_block], self.part[is_in_block]
        first = np.full(len(self.blocks), -1, np.int8)
        first[block[::-1]] = part[::-1]
        if (other := first[block] != part).any():
            at = int(other.argmax())
            told = PARTS[first[block[at]]], PARTS[part[at]]
            name = self.blocks[int(block[at])].as_py()
            raise ContractError(f"block {name} is in {told[0]} and {told[1]}")


@dataclass(frozen=True, eq=False)
class JoinedColumns:
    """Columns of J joinings of trades to books, by ``market`` (J,) i8, the place of a market; -1: a sum."""

    market: np.ndarray
    files: pa.Array
    markets: np.ndarray
    prints: np.ndarray
    delay_ns: np.ndarray
    measured: np.ndarray

    @classmethod
    def of(cls, found: Iterable[tuple[int, JoinedFiles]]) -> "JoinedColumns":
        """Columns of (place, what was joined), in order of the place."""
        rows = sorted(found, key=lambda at: at[0])
        numbers = {
            name: [getattr(told, name) for _, told in rows] for name in JOINED_NUMBERS if name != "market"
        }
        numbers["market"] = [place for place, _ in rows]
        columns = {name: np.array(values, JOINED_NUMBERS[name]) for name, values in numbers.items()}
        return cls(files=strings([told.files for _, told in rows]), **columns)

    def get(self, place: int) -> JoinedFiles | None:
        """Trades that were put beside the market at ``place``; None where none were."""
        at = int(np.searchsorted(self.market, place))
        return self._made(at) if at < self.market.size and self.market[at] == place else None

    def sums(self) -> tuple[JoinedFiles, ...]:
        """Sums over the markets of equal files."""
        return tuple(map(self._made, range(int(np.searchsorted(self.market, 0)))))

    def items(self) -> Iterator[tuple[int, JoinedFiles]]:
        """(place, what was joined) of every market that has any."""
        for at in range(int(np.searchsorted(self.market, 0)), self.market.size):
            yield int(self.market[at]), self._made(at)

    def _made(self, at: int) -> JoinedFiles:
        return JoinedFiles(
            files=self.files[at].as_py(),
            markets=int(self.markets[at]),
            prints=int(self.prints[at]),
            delay_ns=int(self.delay_ns[at]),
            measured=bool(self.measured[at]),
        )


#: Columns of numbers of :class:`JoinedColumns`.
JOINED_NUMBERS: Final[dict[str, np.dtype]] = {
    "market": np.dtype("i8"), "markets": np.dtype("i8"), "prints": np.dtype("i8"), "delay_ns": np.dtype("i8"),
    "measured": np.dtype("i1"),
}  # fmt: skip
#: Files of an event, in the order of ``EventColumns.sha256``.
FILES: Final[tuple[Literal["events"], Literal["features"]]] = ("events", "features")


def part_code(split: Part) -> int:
    """Code of a part in ``EventColumns.part``."""
    return PARTS.index(split)
