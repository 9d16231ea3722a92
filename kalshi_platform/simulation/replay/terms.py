"""Terms of trade in the kernels' records: fees, price grid and the known close, for each stretch of rows.

Owns       the translation of a market's history (``domain/market_history.py``) to TERMS_DTYPE, and the
           place of each row's terms among those of its market.
Used by    replay (``bank.py``), for all rows of a market, and live trading
           (``serving/live/group.py``), for the present one.
"""

from typing import Any, Final

import numpy as np

from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.fee_schedule import FeeTerms, terms_today
from kalshi_platform.domain.fees import ROUNDING_CODE, maker_rate_e6, taker_rate_e6
from kalshi_platform.domain.market_history import KnownFacts, MarketHistory

#: ``close_ns`` of a market whose closing time is not known.
NO_CLOSE: Final = 1 << 62
MAX_BANDS: Final = 8
#: Terms of one market that its rows can name.
MAX_TERMS: Final = 1 << 16

#: Terms of trade of one market over a stretch of its rows, as they were known then.
TERMS_DTYPE: Final = np.dtype(
    [
        ("taker_rate_e6", "i8"),
        ("maker_rate_e6", "i8"),
        ("today_taker_rate_e6", "i8"),  # by the fees of today (setting ``fees``)
        ("today_maker_rate_e6", "i8"),
        ("close_ns", "i8"),  # end of trading as it was known, NO_CLOSE if unknown
        ("bands_e4", "i4", (MAX_BANDS, 3)),  # start, end, step of each price band; zeros after the last
        ("until_ns", "i8"),  # market time from which on the fees of ``after`` hold
        ("after", "i8"),  # place among the market's terms of those that follow; 0 = none do
        ("rounding", "u1"),  # how the exchange rounded fees (domain/fees.py)
    ],
    align=True,
)


def terms_record(ticker: str, known: KnownFacts, fees: FeeTerms, today: FeeTerms) -> np.ndarray:
    """One TERMS_DTYPE record (0-d array) of a market whose ``known`` facts and ``fees`` hold.

    ``today`` are the newest fees known of the market. DataError where it has more than MAX_BANDS price bands.
    """
    record = np.zeros((), TERMS_DTYPE)
    record["taker_rate_e6"], record["today_taker_rate_e6"] = taker_rate_e6(fees), taker_rate_e6(today)
    record["maker_rate_e6"], record["today_maker_rate_e6"] = maker_rate_e6(fees), maker_rate_e6(today)
    record["rounding"] = ROUNDING_CODE[fees.rounding]
    record["close_ns"] = NO_CLOSE if known.close_ns is None else known.close_ns
    record["bands_e4"] = bands_of(ticker, known)
    return record


@kernel
def terms_place(all_terms: np.ndarray, slot: Any, at_ns: int) -> int:
    """Place in ``all_terms`` of the terms that hold at market time ``at_ns``, at or after the slot's row.

    A market's facts change at its rows. Its fees change at any time, also while its book stands still. The
    slot keeps the place as of its row: to find it through the row made every mask wait for the row.
    """
    place = slot.terms
    while all_terms[place].after > 0 and at_ns >= all_terms[place].until_ns:
        place = slot.terms_at + all_terms[place].after
    return place


def _after(both: int, n_fees: int) -> int:
    """Return the first number of the next facts; ``both`` numbers facts and fees as facts x n_fees + fees."""
    return (both // n_fees + 1) * n_fees


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
    ticker: str, history: MarketHistory, steps: np.ndarray, recv_ns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(terms of one market (T,) TERMS_DTYPE, place of each row's terms in them (n,) u2).

    ``steps`` (n,) u2: the step of the history that held at each row; ``recv_ns`` (n,) i8.
    """
    known, fees, today = history.known, history.fees, terms_today(history.fees)
    if steps.size and int(steps.max()) >= len(known):
        raise DataError(
            f"{ticker}: rows point at facts {int(steps.max())}, its history has {len(known)}; "
            "build the dataset again"
        )
    starts = np.array([step.from_ns for step in fees], np.int64)
    fee_step = np.maximum(np.searchsorted(starts, recv_ns, "right") - 1, 0)
    both_of_rows = steps.astype(np.int64) * len(fees) + fee_step
    # with the fees that follow, which may hold before the market's next row
    used = np.array(
        sorted(
            {later for both in set(both_of_rows.tolist()) for later in range(both, _after(both, len(fees)))}
        ),
        np.int64,
    )
    place = np.searchsorted(used, both_of_rows)
    if used.size > MAX_TERMS:
        raise DataError(
            f"{ticker}: its facts and fees change {used.size} times, at most {MAX_TERMS} are supported; "
            "leave the market out"
        )
    records = [
        terms_record(ticker, known[both // len(fees)], fees[both % len(fees)].terms, today)
        for both in used.tolist()
    ]
    for k, both in enumerate(used.tolist()):
        if both + 1 < _after(both, len(fees)):
            records[k]["until_ns"], records[k]["after"] = fees[both % len(fees) + 1].from_ns, k + 1
    return np.array(records, TERMS_DTYPE), place.astype(np.uint16)
