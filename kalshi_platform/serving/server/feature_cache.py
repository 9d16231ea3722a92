"""Fills in slowly changing columns that a client left out of a request, with the values it sent last.

Owns       the class of every feature set, and the values last sent of the slow and static columns.
Units      time ns of one clock that does not run backwards; values as the feature table has them.
Invariant  a filled value is exactly the one that the same owner sent last for the same market and column, at
           most the class's bound before ``now_ns``; a fast column is never filled.
Not        history windows and the account (``portfolio``): both are sent whole with every request.
Threads    one: the event loop that serves.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from pydantic import Field

from kalshi_platform.data.features.spec import SPEC
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.serving.inference.caches import CacheStats


class FeatureClass(StrEnum):
    """How long a value may stand in for the present one."""

    FAST = "fast"  # never
    SLOW = "slow"
    STATIC = "static"


#: Prices, sizes, trades and the account move with every message. The time to the close moves, but by no more
#: than the bound. Of the metadata only ``lifecycle`` and ``capacity_used`` move at all: the one by the bound
#: over the market's life, the other by the contracts traded within the bound, on a logarithmic scale.
CLASS_OF_GROUP: Final[Mapping[str, FeatureClass]] = MappingProxyType(
    {
        "orderbook": FeatureClass.FAST,
        "temporal": FeatureClass.FAST,
        "trade_flow": FeatureClass.FAST,
        "microstructure": FeatureClass.FAST,
        "portfolio": FeatureClass.FAST,
        "temporal_adv": FeatureClass.SLOW,
        "market_meta": FeatureClass.STATIC,
        "resolution": FeatureClass.STATIC,
    }
)
CLASS_OF_COLUMN: Final[Mapping[str, FeatureClass]] = MappingProxyType(
    {feature.name: CLASS_OF_GROUP[feature.feature_set] for feature in SPEC}
)

#: Column lists remembered; clients use a few, an endless variety of them must not fill the memory.
_MAX_PLANS: Final = 64
#: Markets named in a refusal.
_NAMED: Final = 5


_NO_LINES: Final = np.empty(0, np.int64)


@kernel
def _first_not_finite(values: np.ndarray) -> int:
    """Return index m * C + c of the first number in ``values`` (M, C) not finite; -1 where all are."""
    for m in range(values.shape[0]):
        for c in range(values.shape[1]):
            if not np.isfinite(values[m, c]):
                return m * values.shape[1] + c
    return -1


@kernel
def _take_in(
    values: np.ndarray,
    sent: np.ndarray,
    kept: np.ndarray,
    kept_at: np.ndarray,
    lines: np.ndarray,
    now_ns: int,
    rows: np.ndarray,
    memory: np.ndarray,
    sent_ns: np.ndarray,
) -> None:
    """Write ``values`` (M, C) to their columns of ``rows`` (M, F), and the slow ones to ``memory`` too.

    sent, kept, kept_at: indices as in _Plan; lines (M,) i8: the line of each market in ``memory`` and
    ``sent_ns``, both (lines, slow and static columns).
    """
    for m in range(values.shape[0]):
        for c in range(sent.size):
            rows[m, sent[c]] = values[m, c]
        for k in range(kept.size):
            memory[lines[m], kept_at[k]] = values[m, kept[k]]
            sent_ns[lines[m], kept_at[k]] = now_ns


class FeatureCacheConfig(Config):
    """Ages up to which a value is used again, and the number of markets remembered."""

    slow_ms: int = Field(500, ge=0, description="0 = never")
    static_ms: int = Field(5_000, ge=0, description="0 = never")
    max_markets: int = Field(
        10_000, gt=0, description="markets of all owners; the least recently sent leaves"
    )


class MissingColumnsError(ContractError):
    """Columns were left out that are fast, were never sent for the market, or were sent too long ago."""


class Filled(NamedTuple):
    """Complete rows, and how old the values are that were filled into them."""

    rows: np.ndarray  # (M, F) f4 in the model's order
    age_ns: np.ndarray  # (M,) i8: age of the oldest value filled into a row; 0 where none was


class _Plan(NamedTuple):
    """Indices for one list of columns: into rows, into the request's columns, and into the memory."""

    sent: np.ndarray  # (C,) where each sent column goes in a row
    kept: np.ndarray  # which of the sent columns are remembered ...
    kept_at: np.ndarray  # ... and where
    absent: np.ndarray  # columns of a row to be filled ...
    absent_at: np.ndarray  # ... and where they are remembered
    bounds_ns: np.ndarray  # of the absent ones
    classes: tuple[tuple[FeatureClass, np.ndarray], ...]  # the absent ones a class, positions in ``absent``


class FeatureCache:
    """Completes the rows of requests for one model's market columns."""

    def __init__(self, names: Sequence[str], config: FeatureCacheConfig | None = None) -> None:
        """Begin empty; ``names``: the model's market and portfolio columns, F names in its order."""
        self.names, self.config = tuple(names), config or FeatureCacheConfig()
        if unknown := [name for name in self.names if name not in CLASS_OF_COLUMN]:
            raise ContractError(
                f"columns {unknown} are not in the feature table: use a model of this release"
            )
        self._place = {name: k for k, name in enumerate(self.names)}
        slow = [name for name in self.names if CLASS_OF_COLUMN[name] is not FeatureClass.FAST]
        self._memory_place = {name: k for k, name in enumerate(slow)}
        bounds = {FeatureClass.SLOW: self.config.slow_ms, FeatureClass.STATIC: self.config.static_ms}
        self._bounds_ns = np.array([bounds[CLASS_OF_COLUMN[n]] * NS_PER_MS for n in slow], np.int64)
        self._values = np.zeros((self.config.max_markets, len(slow)), np.float32)
        self._sent_ns = np.zeros((self.config.max_markets, len(slow)), np.int64)
        self._line_of: OrderedDict[tuple[str, str], int] = OrderedDict()  # least recently sent first
        self._plans: OrderedDict[tuple[str, ...], _Plan] = OrderedDict()
        self.stats = {FeatureClass.SLOW: CacheStats(), FeatureClass.STATIC: CacheStats()}

    def __len__(self) -> int:
        return len(self._line_of)

    def fill(
        self, owner: str, columns: Sequence[str], values: np.ndarray, markets: Sequence[str], now_ns: int
    ) -> Filled:
        """Complete the rows of M markets whose ``columns`` (C names) a client sent as ``values`` (M, C) f4.

        ``owner`` names the client: nobody is shown values that another client sent. The slow and static
        values sent are remembered for the next request. ContractError (MissingColumnsError where columns are
        missing or too old) names columns and markets; nothing is then remembered. The statistics count one
        look for each row and class of which something was left out.
        """
        plan = self._plan(tuple(columns))
        self._require_rows(columns, values, markets)
        rows = np.empty((len(markets), len(self.names)), np.float32)
        age_ns = np.zeros(len(markets), np.int64)
        if plan.absent.size and len(markets):
            known = np.array([self._line_of.get((owner, market), -1) for market in markets])
            age_ns = self._recall(plan, known, rows, markets, now_ns)
        lines = self._lines(owner, markets) if plan.kept.size else _NO_LINES
        _take_in(values, plan.sent, plan.kept, plan.kept_at, lines, now_ns, rows, self._values, self._sent_ns)
        return Filled(rows, age_ns)

    def _recall(
        self, plan: _Plan, lines: np.ndarray, rows: np.ndarray, markets: Sequence[str], now_ns: int
    ) -> np.ndarray:
        """Fill the absent columns of ``rows``; returns the age (M,) i8 of the oldest value in each row."""
        known = lines >= 0
        ages_ns = now_ns - self._sent_ns[lines[:, None], plan.absent_at]
        # A clock that was set back makes an age negative: then nothing is known of the true one.
        stale = (ages_ns < 0) | (ages_ns > plan.bounds_ns)
        for kind, which in plan.classes:
            expired, stats = int(stale[known][:, which].any(1).sum()), self.stats[kind]
            stats.misses += int((~known).sum())
            stats.expired += expired
            stats.hits += int(known.sum()) - expired
        if not known.all() or stale.any():
            self._refuse(plan, known, ages_ns, stale, markets)
        rows[:, plan.absent] = self._values[lines[:, None], plan.absent_at]
        return ages_ns.max(1)

    def _lines(self, owner: str, markets: Sequence[str]) -> np.ndarray:
        """Line (M,) i8 of each market, newly given where it has none: then its row has every column."""
        lines = np.empty(len(markets), np.int64)
        for k, market in enumerate(markets):
            key = (owner, market)
            line = self._line_of.get(key)
            if line is None:
                line = self._new_line()
                self._line_of[key] = line
            else:
                self._line_of.move_to_end(key)
            lines[k] = line
        return lines

    def _new_line(self) -> int:
        if len(self._line_of) < self.config.max_markets:
            line = len(self._line_of)
        else:
            _, line = self._line_of.popitem(last=False)
        return line

    def _plan(self, columns: tuple[str, ...]) -> _Plan:
        plan = self._plans.get(columns)
        if plan is None:
            plan = self._new_plan(columns)
            self._plans[columns] = plan
            if len(self._plans) > _MAX_PLANS:
                self._plans.popitem(last=False)
        return plan

    def _new_plan(self, columns: tuple[str, ...]) -> _Plan:
        if unknown := [name for name in columns if name not in self._place]:
            raise ContractError(
                f"columns {unknown[:_NAMED]} are not the model's; it reads {list(self.names)}"
            )
        if len(set(columns)) < len(columns):
            twice = sorted({name for name in columns if columns.count(name) > 1})
            raise ContractError(f"columns {twice} come more than once: send each once")
        absent = [name for name in self.names if name not in set(columns)]
        if fast := [name for name in absent if CLASS_OF_COLUMN[name] is FeatureClass.FAST]:
            raise MissingColumnsError(
                f"columns {fast} are missing: they change with every message, send them"
            )
        kept = [k for k, name in enumerate(columns) if name in self._memory_place]
        by_class = [
            (kind, [k for k, name in enumerate(absent) if CLASS_OF_COLUMN[name] is kind])
            for kind in self.stats
        ]
        absent_at = np.array([self._memory_place[name] for name in absent], np.int64)
        return _Plan(
            sent=np.array([self._place[name] for name in columns], np.int64),
            kept=np.array(kept, np.int64),
            kept_at=np.array([self._memory_place[columns[k]] for k in kept], np.int64),
            absent=np.array([self._place[name] for name in absent], np.int64),
            absent_at=absent_at,
            bounds_ns=self._bounds_ns[absent_at],
            classes=tuple((kind, np.array(which)) for kind, which in by_class if which),
        )

    def _require_rows(self, columns: Sequence[str], values: np.ndarray, markets: Sequence[str]) -> None:
        if values.shape != (len(markets), len(columns)) or values.dtype != np.float32:
            raise ContractError(
                f"values are {values.dtype} {values.shape}, expected float32 "
                f"({len(markets)}, {len(columns)}): a row a market, a number a column"
            )
        wrong = _first_not_finite(values)
        if wrong >= 0:  # refused here, before it could be remembered
            row, column = divmod(wrong, len(columns))
            raise ContractError(
                f"{columns[column]} of {markets[row]} is {values[row, column]}: send a finite one"
            )

    def _refuse(
        self, plan: _Plan, known: np.ndarray, ages_ns: np.ndarray, stale: np.ndarray, markets: Sequence[str]
    ) -> None:
        """Raise MissingColumnsError: it names columns never sent, else too old, and their markets."""
        if not known.all():
            what, columns, rows = "were never sent for", plan.absent, np.flatnonzero(~known)
        else:
            row, k = np.argwhere(stale)[0]
            what = (
                f"are too old (the first {ages_ns[row, k] / NS_PER_MS:.0f} ms, "
                f"allowed {plan.bounds_ns[k] // NS_PER_MS} ms) for"
            )
            columns, rows = plan.absent[stale.any(0)], np.flatnonzero(stale.any(1))
        which = [markets[row] for row in rows]
        more = f" and {len(which) - _NAMED} more" if len(which) > _NAMED else ""
        raise MissingColumnsError(
            f"columns {[self.names[c] for c in columns]} were left out and {what} "
            f"{', '.join(which[:_NAMED])}{more}: send them"
        )
