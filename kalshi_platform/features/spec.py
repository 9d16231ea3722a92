# ruff: noqa: E501 -- the table is one line a feature
"""The feature table: what each number an agent sees is, its bounds and where it comes from.

Owns       SPEC (one line a feature), its digest, the groups and the columns they take in ``Rows.features``.
Invariant  every feature lies in [low, high], a subset of [-1, 1], for every valid event stream; none depends
           on a ticker, an event or any other identity. Rows are finite float32, computed in float64.
Adding     a group = its lines here, its name in ROW_GROUPS, one kernel function called by ``kernel.advance``.

Squashes   log(x; c) = min(log1p(x) / log1p(c), 1)     for unbounded times and sizes
           rate(n; w) = r / (1 + r), r = n / w seconds  messages a second, 0.5 at one a second
Neutral    an empty YES bid side counts as price 0, an empty ask side as price 1 (that is what can be traded);
           in a trade-implied book an unseen side is unknown, not empty: mid = the known price, spread = 1.
           An invalid book looks like one with both sides empty; its row has ``valid`` = 0.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from pydantic import field_validator

from kalshi_platform.domain.config import Config, digest_of
from kalshi_platform.domain.errors import ContractError


class Feature(NamedTuple):
    """One column: its name, group, unit, bounds, formula and source."""

    name: str
    group: str
    unit: str
    low: float
    high: float
    formula: str
    source: str


_BOOK, _TIME, _OWN = "orderbook", "temporal", "portfolio"

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
    Feature("log_gap", _TIME, "squashed", 0, 1, "log(dt; 86_400); 0 at the first message", "brief 1"),
    Feature("activity_10s", _TIME, "squashed", 0, 1, "rate(messages before this one in the last 10 s; 10)", "brief 2, exact"),
    Feature("activity_1min", _TIME, "squashed", 0, 1, "rate(the same in 60 s; 60)", "brief 2, exact"),
    Feature("activity_5min", _TIME, "squashed", 0, 1, "rate(the same in 300 s; 300)", "brief 2, exact"),
    Feature("is_burst", _TIME, "flag", 0, 1, "dt < 0.1 s", "brief 3"),
    Feature("is_active", _TIME, "flag", 0, 1, "dt < 5 s", "brief 3"),
    Feature("is_quiet", _TIME, "flag", 0, 1, "dt > 30 s", "brief 3"),
    Feature("acceleration", _TIME, "signed", -1, 1, "tanh((g - h) / max(h, 1 ms)): g mean of the last 10 gaps, h of the 10 before; 0 with fewer", "brief 4"),
    Feature("time_to_close", _TIME, "squashed", 0, 1, "log(hours until close_ns, >= 0; 8_760); 0 if unknown", "brief 5"),
    Feature("final_hour", _TIME, "flag", 0, 1, "under 1 h until close_ns; 0 if unknown", "brief 5"),
    Feature("final_day", _TIME, "flag", 0, 1, "under 24 h until close_ns; 0 if unknown", "brief 5"),
    Feature("hour_sin", _TIME, "signed", -1, 1, "sin(2 pi x minute of day / 1_440), UTC", "brief 6"),
    Feature("hour_cos", _TIME, "signed", -1, 1, "cos(2 pi x minute of day / 1_440), UTC", "brief 6"),
    Feature("weekday_sin", _TIME, "signed", -1, 1, "sin(2 pi x day / 7), Monday = 0, UTC", "brief 6, weekday"),
    Feature("weekday_cos", _TIME, "signed", -1, 1, "cos(2 pi x day / 7), Monday = 0, UTC", "brief 6, weekday"),
    Feature("sequence_gap", _TIME, "squashed", 0, 1, "log(seconds since the last gap or snapshot; 86_400); 1 if there was none", "design 5"),
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

#: Groups stored in ``Rows.features``, in its column order.
ROW_GROUPS: Final = (_BOOK, _TIME)
#: Every group a configuration may switch on.
GROUPS: Final = (*ROW_GROUPS, _OWN)

_ROW_SPEC: Final = tuple(f for g in ROW_GROUPS for f in SPEC if f.group == g)
#: Width of ``Rows.features``.
N_ROW_FEATURES: Final = len(_ROW_SPEC)
#: Width of one slot's portfolio block.
N_PORTFOLIO: Final = sum(f.group == _OWN for f in SPEC)


def _check_known(groups: Sequence[str]) -> None:
    for group in groups:
        if group not in GROUPS:
            raise ContractError(f"feature group {group!r} is unknown; known groups: {', '.join(GROUPS)}")


def features_of(groups: Sequence[str]) -> tuple[Feature, ...]:
    """Lines of the table in ``groups``, table order; ContractError names the known groups."""
    _check_known(groups)
    return tuple(f for g in GROUPS if g in groups for f in SPEC if f.group == g)


def columns(groups: Sequence[str]) -> list[int]:
    """Columns of ``Rows.features`` that ``groups`` take, ascending; ``portfolio`` takes none (it is not stored)."""
    _check_known(groups)
    return [i for i, f in enumerate(_ROW_SPEC) if f.group in groups]


def column_range(group: str) -> range:
    """Columns of one row group: contiguous; ContractError for a group that rows do not store."""
    if group not in ROW_GROUPS:
        raise ContractError(
            f"feature group {group!r} is not stored in rows; those are: {', '.join(ROW_GROUPS)}"
        )
    where = columns([group])
    return range(where[0], where[-1] + 1)


def digest(groups: Sequence[str]) -> str:
    """12 hex digits naming the meaning of ``groups``: changes with any name, bound, unit or formula in them."""
    return digest_of([list(f) for f in features_of(groups)])


#: What shards carry: the digest of all row groups.
FEATURE_DIGEST: Final = digest(ROW_GROUPS)
ORDERBOOK: Final = column_range(_BOOK)
TEMPORAL: Final = column_range(_TIME)


class FeatureConfig(Config):
    """Which groups the policy sees; groups are switched on progressively, the stored rows stay the same."""

    groups: tuple[str, ...] = GROUPS

    @field_validator("groups")
    @classmethod
    def _known(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        _check_known(groups)
        return tuple(g for g in GROUPS if g in groups)

    @property
    def columns(self) -> list[int]:
        """Columns of ``Rows.features`` to show."""
        return columns(self.groups)

    @property
    def has_portfolio(self) -> bool:
        """The agent sees its own account."""
        return _OWN in self.groups

    @property
    def feature_digest(self) -> str:
        """Digest of the groups switched on; models and serving compare it."""
        return digest(self.groups)
