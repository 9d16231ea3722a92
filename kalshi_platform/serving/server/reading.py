"""From a request's named columns to the arrays a policy reads, and back to names.

Owns       the columns that a request must have, their bounds, and filling in values sent shortly before.
Way        kernels check and place all numbers at once. Only where one of them finds a wrong number does
           problems.py look at the markets one by one, for the words of the refusal. Where a kernel returns an
           index, a number is wrong and everything written by it is thrown away.
Shapes     M markets of a request over all its groups, C columns it names, A active markets, N groups, S
           slots, F + P features, W x H history; ``slots`` (A,) i8: g * S + s of each active market.
Invariant  every number of a batch lies within its bounds in the feature table; a market that is not active is
           no slot of the batch and is answered HOLD.
Not        deciding (inference/tiered.py), nor the form of a request (api/requests.py).
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.spec import features_of
from kalshi_platform.domain.actions import ACTION_NAMES, ACTIONS, BUY_NO, HOLD, N_ACTIONS, by_action
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import NS_PER_MS
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.rules.trading_filter import (
    UNSAID,
    allocate_inputs,
    forced_slots,
    plan_client_orders,
    said,
)
from kalshi_platform.serving.api.packed import unpack_alike
from kalshi_platform.serving.api.requests import (
    DecideRequest,
    MarketRow,
)
from kalshi_platform.serving.inference.batch import NOTES_OF, TIER_NAMES, Batch, Decisions
from kalshi_platform.serving.inference.tiered import free
from kalshi_platform.serving.server.feature_cache import FeatureCache
from kalshi_platform.serving.server.problems import (
    FEATURE,
    FieldPlace,
    Problem,
    bounds_of,
    history_one_by_one,
    of_problems,
    refusal,
    repeated_markets,
    rows_one_by_one,
    too_many_markets,
    wrong_columns,
    wrong_history,
    wrong_number,
    wrong_row,
)
from kalshi_platform.simulation.replay.layout import Layout
from kalshi_platform.simulation.replay.trading import TradingConfig

_BIT: Final = {name: 1 << action for name, action in ACTIONS.items()}
_N_ORDERS: Final = 64


@kernel
def first_outside(rows: np.ndarray, low: np.ndarray, high: np.ndarray) -> int:
    """Return index m * C + c of the first of ``rows`` (M, C) outside [low, high] (C,) or NaN; else -1."""
    for m in range(rows.shape[0]):
        for c in range(rows.shape[1]):
            if not (rows[m, c] >= low[c] and rows[m, c] <= high[c]):
                return m * rows.shape[1] + c
    return -1


@kernel
def place_rows(
    rows: np.ndarray, slots: np.ndarray, bits: np.ndarray, layout: Layout, flat: np.ndarray
) -> None:
    """Write ``rows`` (A, F + P) f4 and the action masks into ``flat`` (N, width) f4, all zeros before.

    ``bits`` (A,) i8: bit a set where action a is allowed.
    """
    n_slots, n_market, n_portfolio = layout.n_slots, layout.n_market, layout.n_portfolio
    for n in range(flat.shape[0]):
        for s in range(n_slots):
            flat[n, layout.action_mask_at + s * N_ACTIONS + HOLD] = 1.0
    for m in range(rows.shape[0]):
        n, s = slots[m] // n_slots, slots[m] % n_slots
        for c in range(n_market):
            flat[n, s * n_market + c] = rows[m, c]
        for c in range(n_portfolio):
            flat[n, layout.portfolio_at + s * n_portfolio + c] = rows[m, n_market + c]
        flat[n, layout.slot_mask_at + s] = 1.0
        for a in range(N_ACTIONS):
            if bits[m] >> a & 1:
                flat[n, layout.action_mask_at + s * N_ACTIONS + a] = 1.0


@kernel
def place_windows(
    rows: np.ndarray, slots: np.ndarray, low: np.ndarray, high: np.ndarray, windows: np.ndarray
) -> int:
    """Write ``rows`` (A, K, H) to the end of each market's window in ``windows`` (N * S, W, H) f4, K <= W.

    Returns -1, or the index of the first market with a number outside [low, high] (H,).
    """
    first = windows.shape[1] - rows.shape[1]
    for m in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            for c in range(rows.shape[2]):
                if not (rows[m, k, c] >= low[c] and rows[m, k, c] <= high[c]):
                    return m
                windows[slots[m], first + k, c] = rows[m, k, c]
    return -1


class _Order(NamedTuple):
    """Columns of a request in its order, and the bounds of each."""

    columns: tuple[str, ...]
    low: np.ndarray  # (C,)
    high: np.ndarray


class _Markets(NamedTuple):
    """Markets of a request in its order."""

    all: list[MarketRow]
    slots: list[int]  # of all
    active: list[int]  # positions in ``all``

    def place(self, m: int, n_slots: int) -> FieldPlace:
        """Market ``m`` and where it stands."""
        return FieldPlace(*divmod(self.slots[m], n_slots), self.all[m])


class Asked(NamedTuple):
    """A request as a policy reads it."""

    batch: Batch
    occupied: np.ndarray  # (N, S) bool: slots with an active market
    reasons: np.ndarray  # (N, S) u1: of the rules, as models/rules/trading_filter.py numbers them
    stale_ns: int  # age of the oldest value that was filled in; 0 where everything was sent


class Reader:
    """Reads requests for one model; ``window`` is the longest any of its tiers looks back.

    ``trading`` says which orders the model's actions mean; ``cache`` completes rows of the model's market and
    portfolio features, in this order.
    """

    def __init__(
        self, spec: PolicySpec, window: int, trading: TradingConfig, cache: FeatureCache, max_groups: int
    ) -> None:
        self.spec, self.window = spec, window
        self._execution = trading.execution
        self.columns = columns_of(spec)
        self._cache, self._max_groups = cache, max_groups
        self._known = frozenset(self.columns)
        self._orders: dict[tuple[str, ...], _Order] = {}
        self.history = features_of(["temporal"])[: spec.n_history]
        self._history_bounds = bounds_of(self.history)
        self._layout = spec.layout

    def read(self, request: DecideRequest, client: str, now_ns: int) -> Asked:
        """Read the request's groups into a batch; Problem names the fields that are wrong."""
        try:
            return self._read(request, client, now_ns)
        except Problem as first:
            if first.wrong is None or first.kind == "missing-feature":
                raise
            raise of_problems([first, *self._problems(request)]) from None

    def _problems(self, request: DecideRequest) -> Iterator[Problem]:
        """Everything that is wrong with a request that the schema allows, in its order."""
        columns = tuple(request.columns)
        yield from wrong_columns(columns, self._known)
        for g, group in enumerate(request.groups):
            if len(group.markets) > self.spec.n_slots:
                yield too_many_markets(g, group, self.spec.n_slots)
            yield from repeated_markets(g, group)
            for s, market in enumerate(group.markets):
                place = FieldPlace(g, s, market)
                yield from wrong_row(place, columns)
                if self.window and market.state == "active":
                    yield from wrong_history(place, self.window, self.history, self._history_bounds)

    def _read(self, request: DecideRequest, client: str, now_ns: int) -> Asked:
        n = len(request.groups)
        if n > self._max_groups:
            detail = f"{n} groups; a request may have {self._max_groups}: send several requests"
            raise Problem(413, "too-many-groups", detail, "groups")
        markets = self._markets(request)
        order = self._order(tuple(request.columns))
        rows = self._rows(markets, order)
        who = [markets.all[m] for m in markets.active]
        if len(who) < len(rows):
            rows = rows[markets.active]
        try:
            filled = self._cache.fill(client, order.columns, np.asarray(rows, np.float32),
                                      [market.id for market in who], now_ns)  # fmt: skip
        except ContractError as error:
            raise refusal("missing-feature", str(error), "columns") from None
        flat = np.zeros((n, self._layout.width), np.float32)
        slots, bits = self._slots_and_bits(markets)
        place_rows(filled.rows, slots, bits, self._layout, flat)
        windows = self._windows(n, markets, slots) if self.window else None
        is_whole = len(order.columns) == len(self.columns)
        forced, reasons = self._ruled(n, markets, flat)
        return Asked(
            Batch(flat, windows, forced),
            reasons=reasons,
            occupied=self._layout.slot_mask(flat) > 0,
            stale_ns=0 if is_whole else int(filled.age_ns.max(initial=0)),
        )

    def _markets(self, request: DecideRequest) -> _Markets:
        """All markets of a request; checks their number and names."""
        n_slots = self.spec.n_slots
        found = _Markets([], [], [])
        for g, group in enumerate(request.groups):
            if (n := len(group.markets)) > n_slots:
                raise too_many_markets(g, group, n_slots)
            if len({market.id for market in group.markets}) < n:
                raise next(repeated_markets(g, group))
            for s, market in enumerate(group.markets):
                if market.state == "active":
                    found.active.append(len(found.all))
                found.all.append(market)
                found.slots.append(g * n_slots + s)
        return found

    def _order(self, columns: tuple[str, ...]) -> _Order:
        """Bounds of ``columns``; Problem where one is unknown to the model or stands twice."""
        known = self._orders.get(columns)
        if known is not None:
            return known
        for problem in wrong_columns(columns, self._known):
            raise problem
        found = _Order(columns, *bounds_of([FEATURE[name] for name in columns]))
        if len(self._orders) >= _N_ORDERS:  # orders of columns are few; who sends many gets no memory
            self._orders.clear()
        self._orders[columns] = found
        return found

    def _rows(self, markets: _Markets, order: _Order) -> np.ndarray:
        """Rows (M, C) as sent, f4 where all are packed, else f8; Problem where a number is out of bounds."""
        shown = [market.row for market in markets.all]
        shape = len(shown), len(order.columns)
        rows = _alike(shown)
        if rows is None or rows.shape != shape:
            places = [markets.place(m, self.spec.n_slots) for m in range(len(shown))]
            rows = rows_one_by_one(places, shape[1])
        wrong = first_outside(rows, order.low, order.high)
        if wrong >= 0:
            m, c = divmod(wrong, shape[1])
            place = markets.place(m, self.spec.n_slots)
            raise wrong_number(order.columns[c], rows[m, c], place, f"row.{c}")
        return rows

    def _slots_and_bits(self, markets: _Markets) -> np.ndarray:
        """Slots of the active markets and their allowed actions as bits, (2, A) i8."""
        bits = []
        for m in markets.active:
            allowed = 0
            for name in markets.all[m].allowed:
                allowed |= _BIT[name]
            bits.append(allowed)
        return np.array([[markets.slots[m] for m in markets.active], bits], np.int64)

    def _ruled(self, n: int, markets: _Markets, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Actions (N, S) i1 that the rules demand where prices were sent, else FREE; reasons (N, S) u1."""
        shape = n, self.spec.n_slots
        priced = [m for m in markets.active if _is_priced(markets.all[m])]
        if not priced:
            return free(*shape), np.full(shape, UNSAID, np.uint8)
        inputs = allocate_inputs(*shape)
        numbers: dict[str, int] = {}
        for m in priced:
            at, market = divmod(markets.slots[m], shape[1]), markets.all[m]
            inputs.taker_rate_e6[at] = market.taker_rate_e6
            if market.bid_e4 is not None:
                inputs.bid_e4[at] = market.bid_e4
            if market.ask_e4 is not None:
                inputs.ask_e4[at] = market.ask_e4
            if market.bid_size_e2 is not None:
                inputs.bid_size_e2[at] = market.bid_size_e2
            if market.age_ms is not None:
                inputs.age_ns[at] = market.age_ms * NS_PER_MS
            if market.exclusive_set is not None:
                inputs.exclusive_set[at] = numbers.setdefault(market.exclusive_set, len(numbers))
        inputs.may_buy_no[...] = self._layout.action_mask(flat)[..., BUY_NO] > 0.5
        plan_client_orders(self._positions_e2(flat), self._execution, inputs)
        return forced_slots(inputs, is_taker=not self._execution.maker)

    def _positions_e2(self, flat: np.ndarray) -> np.ndarray:
        """Positions (N, S) i8 that the rows tell, zero where the model reads none."""
        if "position" not in self.spec.portfolio:
            return np.zeros((len(flat), self.spec.n_slots), np.int64)
        share = self._layout.split(flat).portfolio[:, :, self.spec.portfolio.index("position")]
        return np.rint(share.astype(np.float64) * self._execution.position_limit_e2).astype(np.int64)

    def _windows(self, n: int, markets: _Markets, slots: np.ndarray) -> np.ndarray:
        """Windows (N, S, W, H) f4, the present row last, zeros before the first."""
        out = np.zeros((n * self.spec.n_slots, self.window, len(self.history)), np.float32)
        if markets.active and not self._placed_together(markets, slots, out):
            for m in markets.active:
                place = markets.place(m, self.spec.n_slots)
                rows = history_one_by_one(place, self.window, self.history, self._history_bounds)
                out[markets.slots[m], self.window - len(rows) :] = rows
        return out.reshape(n, self.spec.n_slots, *out.shape[1:])

    def _placed_together(self, markets: _Markets, slots: np.ndarray, out: np.ndarray) -> bool:
        """Write all histories into ``out`` at once; False where their lengths differ or a number is wrong.

        Nearly always they are alike, and one array of everything costs a third of one array a market.
        """
        n_history = len(self.history)
        shown: list[Any] = [markets.all[m].history for m in markets.active]
        if isinstance(shown[0], list):
            shown = [rows[-self.window :] if isinstance(rows, list) else rows for rows in shown]
        rows = _alike(shown)
        if rows is None or not rows.size or rows.size % (len(shown) * n_history):
            return False
        if rows.ndim == 3 and rows.shape[2] != n_history:
            return False
        rows = rows.reshape(len(shown), -1, n_history)
        if rows.shape[1] > self.window:
            rows = np.ascontiguousarray(rows[:, -self.window :])
        return place_windows(rows, slots, *self._history_bounds, out) < 0


def _is_priced(market: MarketRow) -> bool:
    """Return True where the rules may have something to say about ``market``."""
    told = market.bid_e4, market.ask_e4, market.exclusive_set
    return any(value is not None for value in told)


def columns_of(spec: PolicySpec) -> tuple[str, ...]:
    """Columns of a request's rows, in the model's own order."""
    return (*spec.market, *spec.portfolio)


def answer_of(request: DecideRequest, decisions: Decisions, reasons: np.ndarray) -> list[dict[str, object]]:
    """Value of ``groups`` in the answer: the decisions, with the names of markets, actions and tiers.

    ``reasons`` (N, S) u1: of the rules, as :class:`Asked` holds them.
    """
    actions, probabilities = decisions.actions.tolist(), decisions.probabilities.tolist()
    confidence, tiers = decisions.confidence.tolist(), decisions.tier.tolist()
    notes, codes = decisions.notes.tolist(), reasons.tolist()
    return [
        {
            "actions": {m.id: ACTION_NAMES[actions[g][s]] for s, m in enumerate(group.markets)},
            "probabilities": {m.id: by_action(probabilities[g][s]) for s, m in enumerate(group.markets)},
            "confidence": confidence[g],
            "tier": TIER_NAMES[tiers[g]],
            "notes": NOTES_OF[notes[g]],
            "reasons": said([m.id for m in group.markets], codes[g]),
        }
        for g, group in enumerate(request.groups)
    ]


def _alike(shown: Sequence[Any]) -> np.ndarray | None:
    """One array of the rows of all markets: f4 if packed, f8 if lists; None where forms or lengths differ."""
    try:
        return unpack_alike(shown) if isinstance(shown[0], str) else np.array(shown, np.float64)
    except (ValueError, TypeError):
        return None
