"""Feature set ``orderbook``: 12 features of the book as it stands, formulas in ``spec.SPEC``."""

import math
from typing import Final

import numpy as np

from kalshi_platform.data.features.spec import ORDERBOOK
from kalshi_platform.data.features.squash import log_of
from kalshi_platform.domain.compiled import inline_kernel
from kalshi_platform.domain.units import CONTRACT_E2, DOLLAR_E4, NO_PRICE, UNKNOWN_QTY

_FIRST: Final = ORDERBOOK.start
_OF_LOG_VOLUME: Final = 1.0 / math.log1p(1_000_000.0)
_MIN_MID: Final = 0.01


@inline_kernel
def quote_of(bid_e4: int, ask_e4: int, implied: bool) -> tuple[float, float]:
    """Mid and spread in dollars of the best YES prices, 1e-4 dollar, NO_PRICE where a side has none.

    An empty side counts as 0 or 1 dollar; ``implied``: a missing side is unknown, not empty.
    """
    no_bid = bid_e4 == NO_PRICE
    no_ask = ask_e4 == NO_PRICE
    bid = 0 if no_bid else bid_e4
    ask = DOLLAR_E4 if no_ask else ask_e4
    spread = max(ask - bid, 0) / DOLLAR_E4
    mid = (bid + ask) / (2 * DOLLAR_E4)
    if implied and no_bid != no_ask:
        mid = (bid if no_ask else ask) / DOLLAR_E4
        spread = 1.0
    return mid, spread


@inline_kernel
def imbalance_of(bid_size_e2: int, ask_size_e2: int) -> float:
    """Imbalance (B - A) / (B + A), -1..1, of both sides' sizes; 0 if both are empty or one is unknown."""
    imbalance = 0.0
    if bid_size_e2 >= 0 and ask_size_e2 >= 0 and bid_size_e2 + ask_size_e2 > 0:
        imbalance = (bid_size_e2 - ask_size_e2) / (bid_size_e2 + ask_size_e2)
    return imbalance


@inline_kernel
def write_orderbook(
    out: np.ndarray,
    row: int,
    bid_e4: int,
    ask_e4: int,
    implied: bool,
    bid_size_e2: int,
    ask_size_e2: int,
    total_e2: int,
) -> tuple[float, float, float]:
    """Write the feature set into its columns of ``out[row]``, out (n, F) f4.

    Returns (mid, spread, imbalance).

    bid, ask: best YES prices, 1e-4 dollar, NO_PRICE where none; implied: a missing side is unknown, not
    empty; sizes: of the best levels a side and displayed in total, 1e-2 contract, UNKNOWN_QTY where unknown.
    """
    no_bid = bid_e4 == NO_PRICE
    no_ask = ask_e4 == NO_PRICE
    bid = 0 if no_bid else bid_e4
    ask = DOLLAR_E4 if no_ask else ask_e4
    mid, spread = quote_of(bid_e4, ask_e4, implied)
    imbalance = imbalance_of(bid_size_e2, ask_size_e2)
    extremity = 2.0 * min(mid, 1.0 - mid)
    out[row, _FIRST] = mid
    out[row, _FIRST + 1] = 1.0 - mid
    out[row, _FIRST + 2] = 2.0 * mid - 1.0
    out[row, _FIRST + 3] = 1.0 - 2.0 * mid
    out[row, _FIRST + 4] = min(spread / max(mid, _MIN_MID), 1.0)
    out[row, _FIRST + 5] = min(spread / max(1.0 - mid, _MIN_MID), 1.0)
    out[row, _FIRST + 6] = imbalance
    out[row, _FIRST + 7] = 0.0 - imbalance  # not -imbalance: no negative zero
    out[row, _FIRST + 8] = extremity
    out[row, _FIRST + 9] = extremity
    out[row, _FIRST + 10] = max(bid - ask, 0) / DOLLAR_E4
    volume = 0.0 if total_e2 == UNKNOWN_QTY else total_e2 / CONTRACT_E2
    out[row, _FIRST + 11] = min(log_of(1.0 + volume) * _OF_LOG_VOLUME, 1.0)
    return mid, spread, imbalance
