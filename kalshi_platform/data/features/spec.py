# ruff: noqa: E501 -- the table is one line a feature
"""The feature table: every number an agent sees, with its bounds, its formula and its source.

Owns       SPEC (one line a feature), its digest, the feature sets and their columns in ``Rows.features``.
Invariant  every feature lies in [low, high], a subset of [-1, 1], for every valid stream of rows; none
           depends on a ticker, an event or any other identity. Features are finite float32, computed in
           float64 (logarithms and exponentials in float32: ``squash``).
Left out   lead and lag between markets: a row knows its own market only; attention over slots sees the
           others.
Adding     a feature set = its lines here, its name in ROW_FEATURE_SETS, one kernel function called by
           ``kernel.advance``.
Source     is part of the digest and so never reworded. "brief" and "design" are the two papers this platform
           began from, the number is a place in them; docs/architecture.md ("Origins") has what they say.

Squashes   log(x; c) = min(log1p(x) / log1p(c), 1)     for unbounded times and sizes
           rate(n; w) = r / (1 + r), r = n / w seconds  messages a second, 0.5 at one a second
           soft(x; c) = x / (|x| + c)                   for unbounded changes, 0.5 at c
Past       decayed(x; w): x_1, x_2, ... of the rows so far, each weighted exp(-age / w)
           mean(x; w): average of x over the time until this row, weighted the same way
           Both begin anew at the first valid row after an invalid one and stand still at invalid rows.
Neutral    an empty YES bid side counts as price 0, an empty ask side as price 1 (that is what can be traded);
           in a trade-implied book an unseen side is unknown, not empty: mid = the known price, spread = 1.
           An invalid book looks like one with both sides empty; its row has ``valid`` = 0.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from kalshi_platform.domain.config import digest_of
from kalshi_platform.domain.errors import ContractError


class Feature(NamedTuple):
    """One column: its name, feature set, unit, bounds, formula and source."""

    name: str
    feature_set: str
    unit: str
    low: float
    high: float
    formula: str
    source: str


_BOOK, _TIME, _OWN = "orderbook", "temporal", "portfolio"
_FLOW, _META, _CLOSE, _PAST, _MICRO = (
    "trade_flow",
    "market_meta",
    "temporal_adv",
    "resolution",
    "microstructure",
)

SPEC: Final[tuple[Feature, ...]] = (
    # b, a: best YES bid and ask in dollars; mid = (b + a) / 2
    Feature("yes_mid", _BOOK, "probability", 0, 1, "mid", "brief 1"),
    Feature("no_mid", _BOOK, "probability", 0, 1, "1 - mid", "brief 1"),
    Feature("yes_deviation", _BOOK, "signed", -1, 1, "2 mid - 1", "brief 2"),
    Feature("no_deviation", _BOOK, "signed", -1, 1, "1 - 2 mid", "brief 2"),
    Feature("yes_spread", _BOOK, "relative", 0, 1, "min(max(a - b, 0) / max(mid, 0.01), 1)", "brief 3"),
    Feature("no_spread", _BOOK, "relative", 0, 1, "min(max(a - b, 0) / max(1 - mid, 0.01), 1)", "brief 3"),
    Feature("yes_imbalance", _BOOK, "signed", -1, 1, "(B - A) / (B + A), sizes of the 5 best levels a side; 0 if both empty or a size is unknown", "brief 4"),
    Feature("no_imbalance", _BOOK, "signed", -1, 1, "-yes_imbalance: one book, seen from NO", "brief 4"),
    Feature("yes_extremity", _BOOK, "fraction", 0, 1, "2 min(mid, 1 - mid): 0 at certainty", "brief 5"),
    Feature("no_extremity", _BOOK, "fraction", 0, 1, "2 min(mid, 1 - mid): the same from NO", "brief 5"),
    Feature("arbitrage", _BOOK, "dollar", 0, 1, "max(b - a, 0): what a crossed book pays; the brief's |mid + no mid - 1| is 0 in one book", "brief 6, one book"),
    Feature("total_volume", _BOOK, "squashed", 0, 1, "log(displayed contracts, both sides; 1_000_000); 0 if sizes are unknown", "brief 7, log"),
    # dt: seconds since the market's previous message; the first message has no dt
    # h: hours, >= 0, until the close, or until the expected expiration of a market that may close early, both
    # as known at the row (domain/market_history.py)
    Feature("log_gap", _TIME, "squashed", 0, 1, "log(dt; 86_400); 0 at the first message", "brief 1"),
    Feature("activity_10s", _TIME, "squashed", 0, 1, "rate(messages before this one in the last 10 s; 10)", "brief 2, exact"),
    Feature("activity_1min", _TIME, "squashed", 0, 1, "rate(the same in 60 s; 60)", "brief 2, exact"),
    Feature("activity_5min", _TIME, "squashed", 0, 1, "rate(the same in 300 s; 300)", "brief 2, exact"),
    Feature("is_burst", _TIME, "flag", 0, 1, "dt < 0.1 s", "brief 3"),
    Feature("is_active", _TIME, "flag", 0, 1, "dt < 5 s", "brief 3"),
    Feature("is_quiet", _TIME, "flag", 0, 1, "dt > 30 s", "brief 3"),
    Feature("acceleration", _TIME, "signed", -1, 1, "tanh((g - h) / max(h, 1 ms)): g mean of the last 10 gaps, h of the 10 before; 0 with fewer", "brief 4"),
    Feature("time_to_close", _TIME, "squashed", -1, 1, "log(h; 8_760); -1 if unknown", "brief 5"),
    Feature("final_hour", _TIME, "flag", 0, 1, "h < 1; 0 if unknown", "brief 5"),
    Feature("final_day", _TIME, "flag", 0, 1, "h < 24; 0 if unknown", "brief 5"),
    Feature("hour_sin", _TIME, "signed", -1, 1, "sin(2 pi x minute of day / 1_440), UTC", "brief 6"),
    Feature("hour_cos", _TIME, "signed", -1, 1, "cos(2 pi x minute of day / 1_440), UTC", "brief 6"),
    Feature("weekday_sin", _TIME, "signed", -1, 1, "sin(2 pi x day / 7), Monday = 0, UTC", "brief 6, weekday"),
    Feature("weekday_cos", _TIME, "signed", -1, 1, "cos(2 pi x day / 7), Monday = 0, UTC", "brief 6, weekday"),
    Feature("sequence_gap", _TIME, "squashed", 0, 1, "log(seconds since the last gap or snapshot; 86_400); 1 if there was none", "design 5"),
    # trades: those of the last 300 s, this message's included, without block trades; Y, N: contracts bought by
    # takers of YES and of NO
    Feature("yes_net_flow", _FLOW, "signed", -1, 1, "(Y - N) / (Y + N); 0 without trades", "brief phase 2, 1"),
    Feature("no_net_flow", _FLOW, "signed", -1, 1, "-yes_net_flow: one flow, seen from NO", "brief phase 2, 1"),
    Feature("large_yes_share", _FLOW, "fraction", 0, 1, "trades of at least 100 contracts that took YES / trades; 0 without trades", "brief phase 2, 2"),
    Feature("large_no_share", _FLOW, "fraction", 0, 1, "trades of at least 100 contracts that took NO / trades; 0 without trades", "brief phase 2, 2"),
    Feature("trade_acceleration", _FLOW, "signed", -1, 1, "tanh((g - h) / max(h, 1)): g contracts of the last 10 trades, h of the 10 before, whatever their age; 0 with fewer", "brief phase 2, 3"),
    Feature("trade_divergence", _FLOW, "dollar", -1, 1, "average price of the trades by contracts - mid; 0 without trades", "brief phase 2, 4, a difference"),
    Feature("is_sports", _META, "flag", 0, 1, "category Sports", "brief phase 3, 1"),
    Feature("is_politics", _META, "flag", 0, 1, "category Politics or Elections", "brief phase 3, 1"),
    Feature("is_economics", _META, "flag", 0, 1, "category Economics or Financials", "brief phase 3, 1"),
    Feature("is_other", _META, "flag", 0, 1, "any other category, or none known", "brief phase 3, 1"),
    Feature("lifecycle", _META, "fraction", -1, 1, "(now - open_ns) / (open_ns until h = 0), clipped to 0..1; -1 if either is unknown", "brief phase 3, 2"),
    Feature("capacity_used", _META, "squashed", 0, 1, "log(contracts traded in the recording so far; 1_000_000), without block trades; no cap is published", "brief phase 3, 3"),
    Feature("category_rate", _META, "probability", 0, 1, "mean value of a YES in the markets of this category whose outcome is known now, none of this event; 0.5 without", "brief phase 3, 4"),
    # The flags of 1 h and 24 h equal those of temporal: the set stands alone
    Feature("close_log_hours", _CLOSE, "squashed", -1, 1, "log(h; 48); -1 if unknown: temporal's time_to_close spreads over a year, this over two days", "brief phase 4, 1"),
    Feature("closes_in_1h", _CLOSE, "flag", 0, 1, "h < 1; 0 if unknown", "brief phase 4, 1"),
    Feature("closes_in_6h", _CLOSE, "flag", 0, 1, "h < 6; 0 if unknown", "brief phase 4, 1"),
    Feature("closes_in_24h", _CLOSE, "flag", 0, 1, "h < 24; 0 if unknown", "brief phase 4, 1"),
    Feature("information_urgency", _CLOSE, "fraction", 0, 1, "sports: exp(-h / 2); economics: 1 if h < 0.5; else 0. The close stands for the game or release, whose times are not published", "brief phase 4, 2"),
    Feature("closing_volatility", _CLOSE, "fraction", 0, 1, "exp(-h / 12), what the brief's multiplier adds to 1; 0 if unknown", "brief phase 4, 3"),
    # similar: markets of other events of the same recurring kind whose outcome is known now
    Feature("similar_rate", _PAST, "probability", 0, 1, "mean value of a YES in the n similar markets; 0.5 without", "brief phase 5, 1"),
    Feature("similar_confidence", _PAST, "fraction", 0, 1, "n / (n + 20)", "brief phase 5, 1"),
    Feature("category_calibration", _PAST, "fraction", 0, 1, "max(1 - 4 mean (last price - value)^2, 0) over category_rate's markets whose last price is known; 0.5 without", "brief phase 5, 2"),
    # of the rows so far; q_k, d_k: size and distance in cents to the side's best price of its level k
    Feature("depth_pressure", _MICRO, "signed", -1, 1, "(B - A) / (B + A), B = sum q_k / (1 + d_k) over the 5 best bids, A of the asks; 0 if both empty or a size is unknown", "brief tier 3, 5"),
    Feature("bid_concentration", _MICRO, "fraction", 0, 1, "q_0 / sum q_k over the 5 best bids; 0 if empty or only the top is known", "brief tier 3, 5"),
    Feature("ask_concentration", _MICRO, "fraction", 0, 1, "the same of the asks", "brief tier 3, 5"),
    Feature("bid_age", _MICRO, "squashed", 0, 1, "log(seconds since the best bid price last changed, came or went; 86_400)", "brief tier 3, 5"),
    Feature("ask_age", _MICRO, "squashed", 0, 1, "the same of the best ask", "brief tier 3, 5"),
    Feature("spread_ratio", _MICRO, "fraction", 0, 1, "s / (s + mean(s; 60 s)), s the spread in dollars: 0.5 at its average, and if both are 0", "brief tier 2, 3"),
    Feature("mid_velocity", _MICRO, "signed", -1, 1, "soft(sum decayed(change of mid; 60 s); 0.05)", "brief tier 4, 10"),
    Feature("mid_volatility", _MICRO, "fraction", 0, 1, "soft(sqrt(sum decayed((change of mid)^2; 60 s)); 0.05)", "brief tier 4, 10"),
    Feature("burst_position", _MICRO, "fraction", 0, 1, "n / (n + 7), n messages in a row each under 0.1 s after the one before", "brief tier 3, 6"),
    Feature("burst_direction", _MICRO, "signed", -1, 1, "soft(mid - mid at the message before those n; 0.01); 0 if n = 0", "brief tier 3, 6"),
    Feature("imbalance_change", _MICRO, "signed", -1, 1, "(i - mean(i; 60 s)) / 2, i = yes_imbalance", "brief tier 2, 4"),
    Feature("moving_share", _MICRO, "fraction", 0, 1, "share of messages that changed the mid, sum decayed(1 if it did; 60 s) / sum decayed(1; 60 s)", "brief tier 4, 10"),
    # computed by the environment from the agent's account, never stored in rows
    Feature("position", _OWN, "signed", -1, 1, "position / position limit, + = YES", "design 5"),
    Feature("unrealised", _OWN, "signed", -1, 1, "(value at mid - cost) / capital, clipped", "design 5"),
    Feature("entry_distance", _OWN, "signed", -1, 1, "mid - average entry price on the YES scale; 0 if flat", "design 5"),
    Feature("holding_time", _OWN, "squashed", 0, 1, "log(seconds since the position was opened; 86_400); 0 if flat", "design 5"),
    Feature("resting_side", _OWN, "signed", -1, 1, "+1 an own order buys YES, -1 buys NO, 0 none rests", "design 5"),
    Feature("resting_distance", _OWN, "signed", -1, 1, "mid - resting price on the YES scale; 0 if none", "design 5"),
    Feature("in_flight", _OWN, "flag", 0, 1, "an own order has not reached the exchange yet", "design 5"),
    Feature("cash", _OWN, "fraction", 0, 1, "free cash / capital, clipped", "design 5"),
    Feature("staleness", _OWN, "squashed", 0, 1, "log(seconds since the slot's own last message; 86_400)", "design 6"),
)  # fmt: skip

#: Feature sets stored in ``Rows.features``, in its column order.
ROW_FEATURE_SETS: Final = (_BOOK, _TIME, _FLOW, _META, _CLOSE, _PAST, _MICRO)
#: Every feature set a configuration may switch on.
FEATURE_SETS: Final = (*ROW_FEATURE_SETS, _OWN)

_ROW_SPEC: Final = tuple(f for g in ROW_FEATURE_SETS for f in SPEC if f.feature_set == g)
#: Width of ``Rows.features``.
N_ROW_FEATURES: Final = len(_ROW_SPEC)
#: Width of one slot's portfolio block.
N_PORTFOLIO: Final = sum(f.feature_set == _OWN for f in SPEC)


def _check_known(feature_sets: Sequence[str]) -> None:
    for name in feature_sets:
        if name not in FEATURE_SETS:
            raise ContractError(f"feature set {name!r} is unknown; known sets: {', '.join(FEATURE_SETS)}")


def features_of(feature_sets: Sequence[str]) -> tuple[Feature, ...]:
    """Lines of the table that belong to ``feature_sets``, in table order.

    ContractError lists the known feature sets.
    """
    _check_known(feature_sets)
    return tuple(f for g in FEATURE_SETS if g in feature_sets for f in SPEC if f.feature_set == g)


def columns(feature_sets: Sequence[str]) -> list[int]:
    """Columns of ``Rows.features`` that ``feature_sets`` take, ascending.

    ``portfolio`` takes none, rows do not store it.
    """
    _check_known(feature_sets)
    return [i for i, f in enumerate(_ROW_SPEC) if f.feature_set in feature_sets]


def column_range(feature_set: str) -> range:
    """Columns of one stored feature set, which are contiguous.

    ContractError for a set that rows do not store.
    """
    if feature_set not in ROW_FEATURE_SETS:
        raise ContractError(
            f"feature set {feature_set!r} is not stored in rows; those are: {', '.join(ROW_FEATURE_SETS)}"
        )
    where = columns([feature_set])
    return range(where[0], where[-1] + 1)


def digest(feature_sets: Sequence[str]) -> str:
    """12 hex digits that name the meaning of ``feature_sets``.

    Any change of a line of theirs changes the digits.
    """
    return digest_of([list(f) for f in features_of(feature_sets)])


#: Digest of all stored feature sets; every shard carries it.
FEATURE_DIGEST: Final = digest(ROW_FEATURE_SETS)
ORDERBOOK: Final = column_range(_BOOK)
TEMPORAL: Final = column_range(_TIME)
TRADE_FLOW: Final = column_range(_FLOW)
MARKET_META: Final = column_range(_META)
TEMPORAL_ADV: Final = column_range(_CLOSE)
RESOLUTION: Final = column_range(_PAST)
MICROSTRUCTURE: Final = column_range(_MICRO)
