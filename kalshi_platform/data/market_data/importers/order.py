"""Order of trades whose source keeps them in none: the exchange's time is their only clock."""

import numpy as np


def in_order_of_time(market: np.ndarray, time_ns: np.ndarray) -> np.ndarray:
    """Order (n,) of rows by market, then time; rows of one time stay as the source has them.

    ``market`` (n,) numbers the market of each row, ``time_ns`` (n,) i8 are the times. A market that the
    source has from its newest trade to its oldest, as the exchange's REST answers do, is turned round as a
    whole.
    """
    n_markets = int(market.max(initial=-1)) + 1
    by_market = np.argsort(market, kind="stable")
    same = np.diff(market[by_market]) == 0
    step = np.diff(time_ns[by_market])
    rises, falls = np.zeros(n_markets, np.bool_), np.zeros(n_markets, np.bool_)
    rises[market[by_market][1:][same & (step > 0)]] = True
    falls[market[by_market][1:][same & (step < 0)]] = True
    place = np.arange(len(market))
    return np.lexsort((np.where((falls & ~rises)[market], -place, place), time_ns, market))
