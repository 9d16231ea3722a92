"""Small message streams and their feature rows, for the tests of the feature sets."""

from collections.abc import Callable

import numpy as np

from kalshi_platform.data.features import kernel
from kalshi_platform.data.features import rows as rows_module
from kalshi_platform.data.features.kernel import build_rows
from kalshi_platform.data.features.resolution import Resolutions
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.features.spec import N_ROW_FEATURES, ROW_FEATURE_SETS, features_of
from kalshi_platform.data.market_data import schema
from kalshi_platform.data.market_data.schema import (
    FLAG_LAST,
    FLAG_START,
    NO,
    NO_SIDE,
    QUOTE,
    SNAPSHOT,
    YES,
    MarketRows,
)
from kalshi_platform.domain.market import MarketSpec, PriceBand
from kalshi_platform.domain.units import NO_PRICE, NS_PER_DAY, NS_PER_SECOND
from made.strategies import START_NS

SPEC = MarketSpec(
    ticker="KX-T",
    event="KX",
    category="Sports",
    open_ns=START_NS - NS_PER_DAY,
    close_ns=START_NS + NS_PER_DAY,
    can_close_early=False,
)
#: Outcomes of other markets that become known one, three and 100 seconds after the start.
KNOWN = Resolutions(
    START_NS + np.array([1, 3, 100]) * NS_PER_SECOND,
    np.array([[0.5, 0.5, 0.0, 0.5], [1.0, 0.5, 0.1, 0.7], [0.5, 1.0, 0.2, 0.8], [0.25, 0.0, 0.3, 1.0]]),
)
COLUMN = {f.name: i for i, f in enumerate(features_of(ROW_FEATURE_SETS))}
SNAP = (SNAPSHOT, NO_SIDE, NO_PRICE, 0, FLAG_START)
MS = 1_000_000

Row = tuple[int, ...]
Build = Callable[..., Rows]


def messages(*parts: tuple[int, list[Row]]) -> MarketRows:
    """Messages (recv_ns, rows of (kind, side, price_e4, qty_e2[, flags]))."""
    columns = [(ns, *row[:4], row[4] if len(row) > 4 else 0) for ns, rows in parts for row in rows]
    recorded = schema.empty(len(columns))
    names = ("recv_ns", "kind", "side", "price_e4", "qty_e2", "flags")
    for name, values in zip(names, zip(*columns, strict=True), strict=True):
        getattr(recorded, name)[:] = values
    recorded.flags[np.cumsum([len(rows) for _, rows in parts]) - 1] |= FLAG_LAST
    return recorded


def at(*parts: tuple[float, list[Row]]) -> MarketRows:
    """Messages at seconds after START_NS."""
    return messages(*((START_NS + round(s * NS_PER_SECOND), rows) for s, rows in parts))


def quote(bid_e4: int, ask_e4: int, bid_e2: int = 100, ask_e2: int = 100) -> list[Row]:
    """A best bid and ask on the YES scale."""
    return [(QUOTE, YES, bid_e4, bid_e2), (QUOTE, NO, 10_000 - ask_e4, ask_e2)]


def feature(rows: Rows, name: str) -> list[float]:
    return [float(x) for x in rows.features[:, COLUMN[name]]]


def build_in_python(recorded: MarketRows, spec: MarketSpec, resolutions: Resolutions | None = None) -> Rows:
    """``build_rows`` by the kernel's plain Python."""
    rows = rows_module.empty(int(np.count_nonzero(recorded.flags & FLAG_LAST)), N_ROW_FEATURES)
    columns = (
        recorded.recv_ns,
        recorded.kind,
        recorded.side,
        recorded.price_e4,
        recorded.qty_e2,
        recorded.flags,
    )
    result = kernel.advance.py_func(kernel.new_state(spec, resolutions), *columns, 0, rows, 0)
    assert result == (recorded.kind.size, rows.valid.size, 0)
    return rows


def assert_same_bits(a: Rows, b: Rows) -> None:
    """Equal in every column but ``burst_end``, which tells of the message after: a stream cannot know it."""
    for name, x, y in zip(Rows._fields, a, b, strict=True):
        if name == "burst_end":
            continue
        assert (x.dtype, x.shape) == (y.dtype, y.shape), name
        assert x.tobytes() == y.tobytes(), name


TENTHS = SPEC.replace(price_ranges=(PriceBand(start_e4=0, end_e4=10_000, step_e4=10),))


def book_features(*levels: tuple[int, int, int], spec: MarketSpec = SPEC) -> dict[str, float]:
    """Features after one snapshot of (side, price_e4, qty_e2)."""
    rows = build_rows(messages((START_NS, [SNAP, *((SNAPSHOT, *level) for level in levels)])), spec)
    return {name: float(rows.features[0, i]) for name, i in COLUMN.items()}
