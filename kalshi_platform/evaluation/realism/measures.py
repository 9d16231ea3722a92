"""The measures of a market, each defined so that it can be computed by hand; ``view.py`` defines its words.

A **distribution** pools the values of all markets of a side: every value counts once. It is compared by the
Wasserstein-1 distance on the stated scale, and by the Kolmogorov-Smirnov distance beside it:
    W1 = integral |F(x) - G(x)| dx,   KS = max |F(x) - G(x)|,   F and G the shares of values at or below x.
    On a logarithmic scale W1 is in decades: 0.301 means that quantiles differ by a factor of two on average.
    A trimmed W1 cuts F and G to [low, high] and divides by high - low: the mean distance of their quantiles
    between low and high.
A **number** is a ratio of sums over all markets of a side, and is compared by the absolute difference.

Outcomes, not features: some measures look at later rows. None of them reaches a model.

Units    prices in cents, sizes in contracts, times in seconds, unless a measure says otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.rows import INVALID, LEVELS
from kalshi_platform.data.market_data.schema import DELTA, FLAG_BLOCK, TRADE
from kalshi_platform.domain.units import CONTRACT_E2, NS_PER_SECOND, UNKNOWN_QTY
from kalshi_platform.evaluation.realism.view import (
    BEST_PRICES,
    FULL_BOOK,
    MarketView,
    grid_of,
    rows_ahead,
    segments_of,
    time_ahead,
)

#: Base steps of one variance ratio: minutes.
VARIANCE_MINUTES: Final = (5, 15, 30)
ROWS_AHEAD: Final = (64, 256)
#: A book leans where more than three quarters of the size of both sides stands on one.
LEANING: Final = 0.5
TAKER_NS: Final = 300 * NS_PER_SECOND
#: Bounds of the times to close in hours; the last interval has no end.
CLOSE_HOURS: Final = (0, 1, 3, 6, 24)
#: Least value that a logarithm sees, in seconds: recordings are no finer.
_LEAST_GAP_S: Final = 1e-6
#: Scale -> values as distances take them.
SCALES: Final[Mapping[str, Callable[[np.ndarray], np.ndarray]]] = {
    "linear": lambda values: values,
    "log10(1 + x)": lambda values: np.log10(1.0 + values),
    "log10": lambda values: np.log10(np.maximum(values, _LEAST_GAP_S)),
}

#: Reasons why a market has no value of a measure.
NO_LEVELS: Final = "price levels are not recorded"
NO_PRICES: Final = "best prices are not recorded"
NO_MESSAGES: Final = "its rows are not all messages of a book: a share of rows means another thing"
NO_DELTAS: Final = "changes of the book are not recorded"
NO_CLOSE: Final = "the time of its close is not known"
NO_ROWS: Final = "no row shows it"
#: Reasons why sums that are there give no value.
MORE_PRINTS: Final = "together they have more prints than changes that remove size"
NO_MOVES: Final = "no segment is that long, or the mid does not move in a minute"
NO_VARIATION: Final = "no segment has that many rows, or imbalance or mid does not vary"


class Observed(NamedTuple):
    """Values (n,) f8 of one market with the time (n,) i8 of each; the time decides on the time block."""

    values: np.ndarray
    at_ns: np.ndarray


class Sums(NamedTuple):
    """Terms of sums of one market, by name: values (n,) f8 and the time (n,) i8 of each."""

    terms: Mapping[str, np.ndarray]
    at_ns: np.ndarray


class Distribution(NamedTuple):
    """One distribution; ``observe`` returns the values of a market, or the reason why it has none."""

    name: str
    group: str
    unit: str
    scale: str  # a key of SCALES
    definition: str
    observe: Callable[[MarketView], Observed | str]
    low: float = 0.0
    high: float = 1.0

    @property
    def distance_unit(self) -> str:
        """Unit of its Wasserstein-1 distance."""
        return self.unit if self.scale == "linear" else "decades"

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """``values`` on the scale on which distances are measured."""
        return SCALES[self.scale](values)


class Number(NamedTuple):
    """One number; ``sums`` names the sums that ``value`` takes, each (...,) f8, NaN where undefined."""

    name: str
    group: str
    unit: str
    definition: str
    sums: tuple[str, ...]
    value: Callable[..., np.ndarray]
    undefined: str = NO_ROWS  # the reason of NaN


class SumFamily(NamedTuple):
    """Sums that are made together; ``observe`` returns them, or the reason why a market has none."""

    names: tuple[str, ...]
    observe: Callable[[MarketView], Sequence[Sums] | str]


# Distributions


def observe_spread(view: MarketView) -> Observed | str:
    """Ask - bid in cents at every quoted row."""
    if view.provenance not in FULL_BOOK:
        return NO_MESSAGES
    return Observed((view.quoted.ask_e4 - view.quoted.bid_e4) / 100.0, view.quoted.recv_ns)


def observe_depth(view: MarketView, level: int) -> Observed | str:
    """Contracts at price level ``level`` (0: the best) of both sides at every quoted row; 0 where absent."""
    if view.provenance not in FULL_BOOK:
        return NO_LEVELS
    rows, at = view.rows, view.quoted.at
    sizes = np.concatenate([rows.bid_qty_e2[at, level], rows.ask_qty_e2[at, level]])
    known = sizes != UNKNOWN_QTY
    return Observed(sizes[known] / CONTRACT_E2, np.tile(view.quoted.recv_ns, 2)[known])


def observe_trades(view: MarketView) -> Observed | str:
    """Contracts of every print that met the book."""
    prints = _prints(view)
    return Observed(view.messages.qty_e2[prints] / CONTRACT_E2, view.messages.recv_ns[prints])


def observe_gaps(view: MarketView) -> Observed | str:
    """Seconds from the message before, of every row that has one in its segment."""
    if view.provenance not in FULL_BOOK:
        return NO_MESSAGES
    valid, recv_ns = view.rows.valid, view.rows.recv_ns
    here = 1 + np.flatnonzero((valid[1:] != INVALID) & (valid[:-1] != INVALID))
    return Observed((recv_ns[here] - recv_ns[here - 1]) / NS_PER_SECOND, recv_ns[here])


def observe_price(view: MarketView, begin_h: float, end_h: float) -> Observed | str:
    """Mid in cents at every grid point that is ``begin_h`` to ``end_h`` hours before the close."""
    if view.provenance not in BEST_PRICES:
        return NO_PRICES
    if view.close_ns is None:
        return NO_CLOSE
    grids = [grid_of(view.quoted, segment) for segment in segments_of(view.quoted)]
    at_ns = np.concatenate([np.zeros(0, np.int64), *(grid.at_ns for grid in grids)])
    mid2_e4 = np.concatenate([np.zeros(0, np.int64), *(grid.mid2_e4 for grid in grids)])
    left_h = (view.close_ns - at_ns) / (3_600 * NS_PER_SECOND)
    inside = (left_h >= begin_h) & (left_h < end_h)
    return Observed(mid2_e4[inside] / 200.0, at_ns[inside])


def _prints(view: MarketView) -> np.ndarray:
    """Places of the trades that met the book among the messages' rows."""
    messages = view.messages
    return np.flatnonzero((messages.kind == TRADE) & (messages.flags & FLAG_BLOCK == 0))


# Sums


def observe_flow(view: MarketView) -> Sequence[Sums] | str:
    """Changes that add and that remove size, prints, and the seconds from first to last message."""
    messages = view.messages
    deltas = messages.kind == DELTA
    if view.provenance not in FULL_BOOK or not deltas.any():
        return NO_DELTAS
    at, prints = np.flatnonzero(deltas), _prints(view)
    qty = messages.qty_e2[at]
    changes = {"adds": (qty > 0).astype(float), "removals": (qty < 0).astype(float)}
    # Each message ends the time since the one before; the first ends none.
    steps_s = np.diff(messages.recv_ns, prepend=messages.recv_ns[:1]) / NS_PER_SECOND
    return (
        Sums(changes, messages.recv_ns[at]),
        Sums({"fills": np.ones(prints.size)}, messages.recv_ns[prints]),
        Sums({"seconds": steps_s}, messages.recv_ns),
    )


def observe_moves(view: MarketView) -> Sequence[Sums] | str:
    """Quoted rows with one before in their segment, and those of them whose mid differs from it."""
    if view.provenance not in FULL_BOOK:
        return NO_MESSAGES
    quoted = view.quoted
    before = rows_ahead(quoted, 1)
    moved = quoted.mid2_e4[before + 1] != quoted.mid2_e4[before]
    at_ns = quoted.recv_ns[before + 1]
    return (Sums({"moved": moved.astype(float), "could_move": np.ones(before.size)}, at_ns),)


def observe_variances(view: MarketView) -> Sequence[Sums] | str:
    """Squared changes of the mid, cents, over 1 and over q grid steps, overlapping."""
    if view.provenance not in BEST_PRICES:
        return NO_PRICES
    found = []
    for segment in segments_of(view.quoted):
        grid = grid_of(view.quoted, segment)
        for q in (1, *VARIANCE_MINUTES):
            if grid.at_ns.size > q:
                change = (grid.mid2_e4[q:] - grid.mid2_e4[:-q]) / 200.0
                terms = {f"square_{q}": change**2, f"changes_{q}": np.ones(change.size)}
                found.append(Sums(terms, grid.at_ns[:-q]))
    return found


def observe_imbalance(view: MarketView, n_ahead: int) -> Sequence[Sums] | str:
    """Moments of imbalance x and later change of the mid y, cents, and y towards x where the book leans."""
    if view.provenance not in FULL_BOOK:
        return NO_LEVELS
    quoted, rows = view.quoted, view.rows
    bids, asks = rows.bid_qty_e2[quoted.at], rows.ask_qty_e2[quoted.at]
    known = (bids != UNKNOWN_QTY).all(axis=1) & (asks != UNKNOWN_QTY).all(axis=1)
    bid, ask = bids.sum(axis=1), asks.sum(axis=1)
    here = rows_ahead(quoted, n_ahead)
    here = here[(known & (bid + ask > 0))[here]]
    bid, ask = bid[here], ask[here]
    x = (bid - ask) / (bid + ask)
    y = (quoted.mid2_e4[here + n_ahead] - quoted.mid2_e4[here]) / 200.0
    leans = np.abs(x) > LEANING
    terms = {
        "n": np.ones(x.size), "x": x, "y": y, "xx": x * x, "yy": y * y, "xy": x * y,
        "leans": leans.astype(float), "led": np.where(leans, np.sign(x) * y, 0.0),
    }  # fmt: skip
    return (Sums({f"{name}_{n_ahead}": term for name, term in terms.items()}, quoted.recv_ns[here]),)


def observe_taker(view: MarketView) -> Sequence[Sums] | str:
    """Quoted rows with a mid 5 minutes later, and those at which one contract gained against it."""
    if view.provenance not in FULL_BOOK:
        return NO_MESSAGES
    quoted = view.quoted
    here, later = time_ahead(quoted, TAKER_NS)
    mid_e6 = quoted.mid2_e4[later] * 50
    bid, ask, rate = quoted.bid_e4[here], quoted.ask_e4[here], view.taker_rate_e6[here]
    buys_yes = mid_e6 - ask * 100 - fee_of_one_e6(rate, ask)
    buys_no = bid * 100 - mid_e6 - fee_of_one_e6(rate, bid)
    ahead = np.maximum(buys_yes, buys_no) > 0
    return (Sums({"ahead": ahead.astype(float), "could_take": np.ones(here.size)}, quoted.recv_ns[here]),)


def fee_of_one_e6(rate_e6: np.ndarray, price_e4: np.ndarray) -> np.ndarray:
    """Model fee of one contract, 1e-6 dollar, rounded up (``domain/fees.py``, here on arrays)."""
    return -(-rate_e6 * CONTRACT_E2 * price_e4 * (10_000 - price_e4) // 10_000_000_000)


# Numbers


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part / whole; NaN where the whole is 0."""
    whole = np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0)


def share_of_cancels(adds: np.ndarray, removals: np.ndarray, fills: np.ndarray) -> np.ndarray:
    """(removals - fills) / (adds + removals); NaN where more prints than removals make it meaningless."""
    left = np.where(np.asarray(fills) <= removals, removals - fills, np.nan)
    return ratio(left, adds + removals)


def variance_ratio(
    square_q: np.ndarray, n_q: np.ndarray, square_1: np.ndarray, n_1: np.ndarray, q: int
) -> np.ndarray:
    """Mean squared change over q steps, divided by q times that over one step."""
    return ratio(ratio(square_q, n_q), q * ratio(square_1, n_1))


def r_squared(
    n: np.ndarray, x: np.ndarray, y: np.ndarray, xx: np.ndarray, yy: np.ndarray, xy: np.ndarray
) -> np.ndarray:
    """Squared correlation from sums; NaN where either side does not vary."""
    both = (n * xx - x * x) * (n * yy - y * y)
    return ratio((n * xy - x * y) ** 2, np.where(both > 1e-9 * n, both, 0.0))


_FLOW: Final = SumFamily(("adds", "removals", "fills", "seconds"), observe_flow)
_MOVES: Final = SumFamily(("moved", "could_move"), observe_moves)
_VARIANCES: Final = SumFamily(
    tuple(f"{name}_{q}" for q in (1, *VARIANCE_MINUTES) for name in ("square", "changes")), observe_variances
)
_MOMENTS: Final = ("n", "x", "y", "xx", "yy", "xy")
_TAKER: Final = SumFamily(("ahead", "could_take"), observe_taker)
FAMILIES: Final[tuple[SumFamily, ...]] = (
    _FLOW,
    _MOVES,
    _VARIANCES,
    *(
        SumFamily(
            tuple(f"{name}_{n}" for name in (*_MOMENTS, "leans", "led")),
            partial(observe_imbalance, n_ahead=n),
        )
        for n in ROWS_AHEAD
    ),
    _TAKER,
)


def _level_words(level: int) -> str:
    return "the best price" if level == 1 else f"price level {level}, counted from the best one"


def _close_words(begin: int, end: int | None) -> str:
    return f"under {end} h" if begin == 0 else f"over {begin} h" if end is None else f"{begin} to {end} h"


_CLOSE_BINS: Final = tuple(zip(CLOSE_HOURS, (*CLOSE_HOURS[1:], None), strict=True))

DISTRIBUTIONS: Final[tuple[Distribution, ...]] = (
    Distribution(
        "spread", "book", "cents", "linear",
        "Best ask minus best bid, at every quoted row.",
        observe_spread,
    ),
    *(
        Distribution(
            f"depth of level {level}", "book", "contracts", "log10(1 + x)",
            f"Contracts displayed at {_level_words(level)}, of bids and of asks pooled, at every quoted row; "
            "0 where a side has fewer levels. Scale: log10(1 + contracts).",
            partial(observe_depth, level=level - 1),
        )
        for level in range(1, LEVELS + 1)
    ),
    Distribution(
        "trade size", "flow", "contracts", "log10(1 + x)",
        "Contracts of every print that met the book (block trades left out); a taker that meets several "
        "price levels makes several prints. Scale: log10(1 + contracts).",
        observe_trades,
    ),
    Distribution(
        "gap between messages", "flow", "s", "log10",
        "Time from a market's message to its next one, within a segment. Scale: log10 of seconds, gaps below "
        "a microsecond counted as one; W1 trimmed to the quantiles from 5 % to 95 %.",
        observe_gaps, 0.05, 0.95,
    ),
    *(
        Distribution(
            f"price {_close_words(begin, end)} before close", "price", "cents", "linear",
            f"Mid every 60 s (that of the last quoted row of the segment) while the true close is "
            f"{_close_words(begin, end)} away, the lower bound included.",
            partial(observe_price, begin_h=begin, end_h=np.inf if end is None else end),
        )
        for begin, end in _CLOSE_BINS
    ),
)  # fmt: skip

NUMBERS: Final[tuple[Number, ...]] = (
    Number(
        "share of adds", "flow", "fraction",
        "Changes of the book that add size, divided by all changes.",
        ("adds", "removals"), lambda adds, removals: ratio(adds, adds + removals),
    ),
    Number(
        "share of cancels", "flow", "fraction",
        "Changes that remove size minus prints, divided by all changes: each print is taken to be one "
        "removal.",
        ("adds", "removals", "fills"), share_of_cancels, MORE_PRINTS,
    ),
    Number(
        "share of fills", "flow", "fraction",
        "Prints that met the book, divided by all changes.",
        ("adds", "removals", "fills"), lambda adds, removals, fills: ratio(fills, adds + removals),
    ),
    Number(
        "deltas a second", "flow", "1/s of a market",
        "Changes of the book, divided by the time from each market's first message to its last.",
        ("adds", "removals", "seconds"), lambda adds, removals, seconds: ratio(adds + removals, seconds),
    ),
    Number(
        "rows that move the mid", "price", "fraction",
        "Quoted rows whose mid differs from that of the quoted row before in the same segment, divided by "
        "all that have one before.",
        ("moved", "could_move"), ratio,
    ),
    Number(
        "volatility", "price", "cents a minute",
        "Root of the mean squared change of the mid over one minute; the mid is taken as for the variance "
        "ratio.",
        ("square_1", "changes_1"), lambda square, changes: np.sqrt(ratio(square, changes)),
    ),
    *(
        Number(
            f"variance ratio, {q} min", "price", "ratio",
            f"Mean squared change of the mid over {q} minutes, divided by {q} times that over one minute; "
            "the mid is taken every 60 s from a segment's first quoted row, changes overlap, no mean is "
            "subtracted. 1 for a martingale.",
            (f"square_{q}", f"changes_{q}", "square_1", "changes_1"),
            partial(variance_ratio, q=q), NO_MOVES,
        )
        for q in VARIANCE_MINUTES
    ),
    *(
        Number(
            f"imbalance R2, {n} rows ahead", "signal", "fraction",
            f"Squared correlation of the imbalance of the five best levels, (bids - asks) / (bids + asks) in "
            f"contracts, with the change of the mid to the {n}th next quoted row of the segment; every row "
            "counts once.",
            tuple(f"{name}_{n}" for name in _MOMENTS), r_squared, NO_VARIATION,
        )
        for n in ROWS_AHEAD
    ),
    *(
        Number(
            f"move towards imbalance, {n} rows ahead", "signal", "cents",
            f"Mean change of the mid to the {n}th next quoted row in the direction of the imbalance, over "
            f"rows where it is above {LEANING} in size. Its sign is that of the signal.",
            (f"led_{n}", f"leans_{n}"), ratio,
        )
        for n in ROWS_AHEAD
    ),
    Number(
        "taker ahead after 5 min", "signal", "fraction",
        "Quoted rows at which one contract bought at the ask or sold at the bid, whichever is better in "
        "hindsight, is worth more at the mid 300 s later than it cost with the taker's fee; divided by all "
        "quoted rows whose segment lasts as long.",
        ("ahead", "could_take"), ratio,
    ),
)  # fmt: skip
GROUPS: Final = ("book", "flow", "price", "signal")
