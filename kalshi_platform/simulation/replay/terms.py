"""Terms of trade in the kernels' records: fees, price grid and the known close, for each stretch of rows.

Owns       the translation of a market's history (``domain/market_history.py``) to TERMS_DTYPE, and the
           place of each row's terms among those of its market.
Used by    replay (``bank.py``), for all rows of a market, and live trading
           (``serving/live/group.py``), for the present one.
"""

from typing import Final

import numpy as np

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.fees import maker_rate_e6, taker_rate_e6
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts

#: ``close_ns`` of a market whose closing time is not known.
NO_CLOSE: Final = 1 << 62
MAX_BANDS: Final = 8

#: Terms of trade of one market over a stretch of its rows, as they were known then.
TERMS_DTYPE: Final = np.dtype(
    [
        ("taker_rate_e6", "i8"),
        ("maker_rate_e6", "i8"),
        ("today_taker_rate_e6", "i8"),  # by the fees of today (setting ``fees``)
        ("today_maker_rate_e6", "i8"),
        ("close_ns", "i8"),  # end of trading as it was known, NO_CLOSE if unknown
        ("bands_e4", "i4", (MAX_BANDS, 3)),  # start, end, step of each price band; zeros after the last
        ("rounding", "u1"),  # how the exchange rounded fees (domain/fees.py)
    ],
    align=True,
)


def terms_record(spec: MarketSpec, known: KnownFacts) -> np.ndarray:
    """One TERMS_DTYPE record (0-d array) of a market whose ``known`` facts hold.

    DataError where the market has more than MAX_BANDS price bands.
    """
    record = np.zeros((), TERMS_DTYPE)
    record["taker_rate_e6"] = record["today_taker_rate_e6"] = taker_rate_e6(spec)
    record["maker_rate_e6"] = record["today_maker_rate_e6"] = maker_rate_e6(spec)
    record["close_ns"] = NO_CLOSE if known.close_ns is None else known.close_ns
    record["bands_e4"] = bands_of(spec.ticker, known)
    return record


def bands_of(ticker: str, known: KnownFacts) -> np.ndarray:
    """Price bands (MAX_BANDS, 3) i4: start, end, step; DataError where there are more."""
    if len(known.price_ranges) > MAX_BANDS:
        raise DataError(
            f"{ticker} has {len(known.price_ranges)} price bands; at most {MAX_BANDS} are supported"
        )
    bands = np.zeros((MAX_BANDS, 3), np.int32)
    for i, band in enumerate(known.price_ranges):
        bands[i] = band.start_e4, band.end_e4, band.step_e4
    return bands


def terms_of_rows(
    spec: MarketSpec, known: tuple[KnownFacts, ...], steps: np.ndarray, recv_ns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(terms of one market (T,) TERMS_DTYPE, place of each row's terms in them (n,) u2).

    ``steps`` (n,) u2: the step of the history that held at each row; ``recv_ns`` (n,) i8.
    """
    used, place = np.unique(steps, return_inverse=True)
    if used.size and int(used[-1]) >= len(known):
        raise DataError(
            f"{spec.ticker}: rows point at facts {int(used[-1])}, its history has {len(known)}; "
            "build the dataset again"
        )
    records = np.array([terms_record(spec, known[int(step)]) for step in used], TERMS_DTYPE)
    return records, place.astype(np.uint16)
