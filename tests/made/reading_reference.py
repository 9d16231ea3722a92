"""The reader as it was before its loops were compiled: one Python object a market, numpy a step.

What kalshi_platform/serving/server/reading.py reads must be equal to this bit for bit.
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.spec import SPEC, Feature, features_of
from kalshi_platform.domain.actions import ACTIONS, HOLD, N_ACTIONS
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NO_PRICE
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.serving.api.requests import DecideRequest, MarketRow
from kalshi_platform.serving.inference.answering import forced_actions
from kalshi_platform.serving.inference.batch import Batch
from kalshi_platform.serving.inference.tiered import free
from kalshi_platform.serving.server.feature_cache import FeatureCache
from kalshi_platform.serving.server.problems import Problem
from kalshi_platform.serving.server.reading import Asked, columns_of

_FEATURE: Final[dict[str, Feature]] = {feature.name: feature for feature in SPEC}
_N_ORDERS: Final = 64


class _Bounds(NamedTuple):
    """What an order of columns may hold."""

    low: np.ndarray  # (C,)
    high: np.ndarray


class _Place(NamedTuple):
    """One market of a request and where it stands."""

    group: int
    slot: int
    market: MarketRow

    def field(self, name: str = "") -> str:
        """Path of the market, or of one of its fields, in the request."""
        return f"groups.{self.group}.markets.{self.slot}" + (f".{name}" if name else "")


class Reader:
    """Reads requests for one model; ``window`` is the longest any of its tiers looks back.

    ``cache`` completes rows of the model's market and portfolio features, in this order.
    """

    def __init__(self, spec: PolicySpec, window: int, cache: FeatureCache, max_groups: int) -> None:
        self.spec, self.window = spec, window
        self.columns = columns_of(spec)
        self._cache, self._max_groups = cache, max_groups
        self._known = frozenset(self.columns)
        self._bounds_of: dict[tuple[str, ...], _Bounds] = {}
        self.history = features_of(["temporal"])[: spec.n_history]
        self._history_bounds = (
            np.array([f.low for f in self.history]), np.array([f.high for f in self.history])
        )  # fmt: skip

    def read(self, request: DecideRequest, client: str, now_ns: int) -> Asked:
        """The request's groups as a batch; Problem names the first field that is wrong."""
        n = len(request.groups)
        if n > self._max_groups:
            detail = f"{n} groups; at most {self._max_groups}: send several requests"
            raise Problem(413, "too-many-groups", detail, "groups")
        places = self._places(request)
        values, stale_ns = self._values(request, client, places, now_ns)
        slots, allowed = self._masks(n, places)
        batch = Batch(
            flat=self._flat(places, values, slots, allowed),
            windows=self._windows(n, places) if self.window else None,
            forced=self._forced(places, allowed),
        )
        return Asked(batch, slots > 0, stale_ns)

    def _places(self, request: DecideRequest) -> list[_Place]:
        """Every market, their number and names checked."""
        found = []
        for g, group in enumerate(request.groups):
            if (n := len(group.markets)) > self.spec.n_slots:
                raise _refusal(
                    "too-many-markets",
                    f"group {g} has {n} markets; the model decides {self.spec.n_slots} at once",
                    f"groups.{g}.markets",
                )
            places = [_Place(g, s, market) for s, market in enumerate(group.markets)]
            if len({market.id for market in group.markets}) < n:
                ids = [market.id for market in group.markets]
                twice = next(place for place in places if place.market.id in ids[: place.slot])
                detail = f"market {twice.market.id!r} stands twice in group {g}"
                raise _refusal("repeated-market", detail, twice.field("id"))
            found += places
        return found

    def _values(
        self, request: DecideRequest, client: str, places: list[_Place], now_ns: int
    ) -> tuple[np.ndarray, int]:
        """(M, F + P) f4 in the model's order, within bounds, what was left out filled in; its oldest age, ns.

        Markets that are not active keep zeros: no slot is made of them, and nothing of them is remembered.
        """
        columns = tuple(request.columns)
        bounds = self._bounds(columns)
        for place in places:
            if (n := len(place.market.row)) != len(columns):
                detail = f"market {place.market.id!r} has {n} numbers, columns names {len(columns)}"
                raise _refusal("wrong-shape", detail, place.field("row"))
        rows = np.array([place.market.row for place in places], np.float64)
        wrong = (rows < bounds.low) | (rows > bounds.high)
        if wrong.any():
            m, c = (int(i[0]) for i in np.nonzero(wrong))
            raise _out_of_bounds(columns[c], rows[m, c], places[m], f"row.{c}")
        active = [m for m, place in enumerate(places) if place.market.state == "active"]
        markets = [places[m].market.id for m in active]
        try:
            filled = self._cache.fill(client, columns, rows[active].astype(np.float32), markets, now_ns)
        except ContractError as error:
            raise _refusal("missing-feature", str(error), "columns") from None
        values = np.zeros((len(places), len(self.columns)), np.float32)
        values[active] = filled.rows
        return values, int(filled.age_ns.max(initial=0))

    def _bounds(self, columns: tuple[str, ...]) -> _Bounds:
        """Bounds of ``columns``; Problem where one is unknown to the model or stands twice."""
        known = self._bounds_of.get(columns)
        if known is not None:
            return known
        for i, name in enumerate(columns):
            if name not in self._known:
                detail = f"the model does not read {name!r}: GET /v1/model lists what it reads"
                raise _refusal("unknown-feature", detail, f"columns.{i}")
            if name in columns[:i]:
                raise _refusal("repeated-feature", f"{name!r} stands twice in columns", f"columns.{i}")
        features = [_FEATURE[name] for name in columns]
        found = _Bounds(np.array([f.low for f in features]), np.array([f.high for f in features]))
        if len(self._bounds_of) >= _N_ORDERS:  # orders of columns are few; who sends many gets no memory
            self._bounds_of.clear()
        self._bounds_of[columns] = found
        return found

    def _masks(self, n: int, places: list[_Place]) -> tuple[np.ndarray, np.ndarray]:
        """Slots with an active market (N, S) f4 and their allowed actions (N, S, A) f4."""
        slots = np.zeros((n, self.spec.n_slots), np.float32)
        allowed = np.zeros((n, self.spec.n_slots, N_ACTIONS), np.float32)
        allowed[..., HOLD] = 1.0
        for g, s, market in places:
            if market.state == "active":
                slots[g, s] = 1.0
                for name in market.allowed:
                    allowed[g, s, ACTIONS[name]] = 1.0
        return slots, allowed

    def _flat(
        self, places: list[_Place], values: np.ndarray, slots: np.ndarray, allowed: np.ndarray
    ) -> np.ndarray:
        """(N, width) f4 as PolicySpec lays it out; ``values`` (M, F + P) a market."""
        n, n_market = len(slots), len(self.spec.market)
        features = np.zeros((n, self.spec.n_slots, len(self.columns)), np.float32)
        for m, (g, s, _) in enumerate(places):
            features[g, s] = values[m]
        parts = (features[..., :n_market], features[..., n_market:], slots, allowed)
        return np.concatenate([part.reshape(n, -1) for part in parts], axis=1)

    def _forced(self, places: list[_Place], allowed: np.ndarray) -> np.ndarray:
        """(N, S) i1: what the rules demand where prices were sent, else FREE."""
        shape = allowed.shape[:2]
        priced = [
            place
            for place in places
            if place.market.state == "active"
            and (place.market.bid_e4 is not None or place.market.ask_e4 is not None)
        ]
        if not priced:
            return free(*shape)
        bid, ask = np.full(shape, NO_PRICE, np.int32), np.full(shape, NO_PRICE, np.int32)
        sets, rate = np.full(shape, -1, np.int32), np.zeros(shape, np.int64)
        numbers: dict[str, int] = {}
        for g, s, market in priced:
            bid[g, s] = NO_PRICE if market.bid_e4 is None else market.bid_e4
            ask[g, s] = NO_PRICE if market.ask_e4 is None else market.ask_e4
            rate[g, s] = market.taker_rate_e6
            if market.exclusive_set is not None:
                sets[g, s] = numbers.setdefault(market.exclusive_set, len(numbers))
        return forced_actions(bid, ask, sets, rate, allowed)

    def _windows(self, n: int, places: list[_Place]) -> np.ndarray:
        """(N, S, W, H) f4, the present row last, zeros before the first."""
        out = np.zeros((n, self.spec.n_slots, self.window, len(self.history)), np.float32)
        active = [place for place in places if place.market.state == "active"]
        together = self._histories_together(active)
        if together is not None:
            at = [place.group for place in active], [place.slot for place in active]
            out[:, :, self.window - together.shape[1] :][at] = together
            return out
        for place in active:
            rows = self._history_rows(place)
            out[place.group, place.slot, self.window - len(rows) :] = rows
        return out

    def _histories_together(self, active: list[_Place]) -> np.ndarray | None:
        """(M, n, H) f8 where all histories are as long and right, as they nearly always are; else None.

        One array of everything costs a third of one array a market.
        """
        shown = [(place.market.history or [])[-self.window :] for place in active]
        try:
            rows = np.array(shown, np.float64)
        except ValueError:  # of different lengths: looked at one by one
            return None
        if rows.ndim != 3 or rows.shape[2] != len(self.history):
            return None
        low, high = self._history_bounds
        return rows if bool(((rows >= low) & (rows <= high)).all()) else None

    def _history_rows(self, place: _Place) -> np.ndarray:
        """The last rows of a market's history, at most the window, within bounds; (n, H) f8."""
        history = place.market.history
        if not history:
            detail = (
                f"the model reads {self.window} rows of history and market {place.market.id!r} has none; the "
                "present row is the last of them"
            )
            raise _refusal("missing-history", detail, place.field("history"))
        first = max(len(history) - self.window, 0)
        for i, row in enumerate(history[first:], first):
            if len(row) != len(self.history):
                names = ", ".join(feature.name for feature in self.history)
                detail = f"row {i} of the history has {len(row)} numbers; expected {names}"
                raise _refusal("wrong-shape", detail, place.field(f"history.{i}"))
        rows = np.array(history[first:], np.float64)
        low, high = self._history_bounds
        wrong = (rows < low) | (rows > high)
        if wrong.any():
            i, c = (int(k[0]) for k in np.nonzero(wrong))
            raise _out_of_bounds(self.history[c].name, rows[i, c], place, f"history.{first + i}.{c}")
        return rows


def _refusal(kind: str, detail: str, field: str) -> Problem:
    return Problem(422, kind, detail, field)


def _out_of_bounds(name: str, value: float, place: _Place, field: str) -> Problem:
    feature = _FEATURE[name]
    detail = (
        f"{name} of market {place.market.id!r} is {value:g}; the feature table bounds it to "
        f"[{feature.low:g}, {feature.high:g}]"
    )
    return _refusal("out-of-bounds", detail, place.field(field))
