"""Facts beyond a market's own frames that columns of the feature table need, and the columns that lack them.

Neutral    without its fact a column shows a value that means something else too: 0.5 as a rate, "other" as a
           category. A policy cannot see that nothing is known, so nobody may show it such a column unasked.
Stated     without its fact a column shows -1, or stands in one feature set with a column that does: the
           policy can see that nothing is known. The times of a market are of this kind.
Not        the formulas (``spec.py``) nor the facts themselves (``market_facts.py``, ``resolution.py``).
"""

from collections.abc import Collection, Mapping
from typing import Final, Literal

from kalshi_platform.data.features.spec import SPEC
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts

Need = Literal["outcomes", "category", "open_ns", "close_ns"]

_OUTCOMES: Final = ("category_rate", "similar_rate", "similar_confidence", "category_calibration")
_CATEGORY: Final = ("is_sports", "is_politics", "is_economics", "is_other", "information_urgency")
_OPEN: Final = ("lifecycle",)
_CLOSE: Final = (
    "time_to_close", "final_hour", "final_day", "lifecycle", "close_log_hours", "closes_in_1h",
    "closes_in_6h", "closes_in_24h", "information_urgency", "closing_volatility",
)  # fmt: skip
#: Columns that need each fact.
COLUMNS_OF: Final[Mapping[Need, tuple[str, ...]]] = {
    "outcomes": _OUTCOMES,
    "category": _CATEGORY,
    "open_ns": _OPEN,
    "close_ns": _CLOSE,
}
#: Facts without which a column shows a neutral value.
NEUTRAL: Final[tuple[Need, ...]] = ("outcomes", "category")
#: Words for who can give each fact.
GIVEN_BY: Final[Mapping[Need, str]] = {
    "outcomes": "outcomes of other events, which a stream does not carry: ask POST /v1/decide with rows of "
    "your own, or serve a model without these feature sets",
    "category": "the market's category: name it in `markets` of the open message",
    "open_ns": "the market's opening: `markets` of the open message, or a market_lifecycle_v2 frame",
    "close_ns": "the market's close, of one that can close early its expected expiration: `markets` of the "
    "open message, or a market_lifecycle_v2 frame",
}


def lacking(
    columns: Collection[str], spec: MarketSpec | None, known: KnownFacts | None, *, outcomes: bool
) -> dict[Need, tuple[str, ...]]:
    """Columns among ``columns`` that lack a fact, by the fact.

    ``spec`` and ``known`` tell the market's facts, None where nothing is known of it; ``outcomes`` says
    whether outcomes of other events are there.
    """
    category = None if spec is None else (spec.category or "").strip()
    has: dict[Need, bool] = {
        "outcomes": outcomes,
        "category": bool(category),
        "open_ns": known is not None and known.open_ns is not None,
        "close_ns": known is not None and known.clock_ns is not None,
    }
    found = {need: tuple(c for c in COLUMNS_OF[need] if c in columns) for need in COLUMNS_OF if not has[need]}
    return {need: names for need, names in found.items() if names}


def in_table_order(columns: Collection[str]) -> list[str]:
    """The columns, each once, in the order of the feature table."""
    return [feature.name for feature in SPEC if feature.name in columns]
