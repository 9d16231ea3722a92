"""One group of live markets as a policy sees it: a bank of a single row a slot.

Owns       the rows, features, history windows and records of S slots, in the shapes that replay has.
Invariant  the kernels of replay (``simulation/replay/observation.py``) write the observation, so that the
           same messages show a policy the same bits live and in replay; a window never reaches over an
           invalid row.
Slots      a slot whose book is invalid looks empty until the book is valid again, and its window then starts
           anew; the account's holding there stays.
Not        the slot that a message concerns (``books.py``), nor any order: the client owns its account.
"""

from typing import Any, Final

import numpy as np

from kalshi_platform.data.features.rows import CROSSED, INVALID, VALID, Rows
from kalshi_platform.data.features.spec import TEMPORAL, columns
from kalshi_platform.domain.actions import ACTIONS, HOLD
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.fee_schedule import FeeStep, terms_at, terms_today
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts
from kalshi_platform.models.rules.filter_inputs import filter_slots
from kalshi_platform.models.rules.trading_filter import FilterInputs, allocate_inputs
from kalshi_platform.serving.api.messages import Holding
from kalshi_platform.serving.inference.batch import Batch
from kalshi_platform.simulation.replay.account import clear_position, open_account, update_mark
from kalshi_platform.simulation.replay.bank import (
    MARKET_DTYPE,
    ROW_CROSSED,
    ROW_DTYPE,
    SEGMENT_DTYPE,
    BankArrays,
    market_record,
    read_only,
)
from kalshi_platform.simulation.replay.execution import IDLE, RESTING, clear_order
from kalshi_platform.simulation.replay.layout import layout_of
from kalshi_platform.simulation.replay.observation import N_PORTFOLIO, update_mask, write_observation
from kalshi_platform.simulation.replay.planning import ExecutionParams
from kalshi_platform.simulation.replay.state import EMPTY, LIVE, allocate
from kalshi_platform.simulation.replay.terms import TERMS_DTYPE, terms_record
from kalshi_platform.simulation.replay.trading import TradingConfig

#: Fields of an account that an observation shows, of the environment and of a slot.
_CASH_FIELDS: Final = ("cash_e6", "reserved_e6")
_HOLDING_FIELDS: Final = (
    "position_e2", "cost_e6", "opened_ns", "order_state", "order_action", "order_price_e4", "order_qty_e2",
    "placed_qty_e2", "sent_action",
)  # fmt: skip


@kernel
def copy_row(row: Rows, kept: Any) -> None:
    """Copy time, book and print of ``row`` (length 1) into ``kept``, a record of ROW_DTYPE."""
    kept.recv_ns = row.recv_ns[0]
    for k in range(row.bid_px_e4.shape[1]):
        kept.bid_px_e4[k] = row.bid_px_e4[0, k]
        kept.ask_px_e4[k] = row.ask_px_e4[0, k]
        kept.bid_qty_e2[k] = row.bid_qty_e2[0, k]
        kept.ask_qty_e2[k] = row.ask_qty_e2[0, k]
    kept.print_qty_e2 = row.print_qty_e2[0]
    kept.print_px_e4 = row.print_px_e4[0]
    kept.print_side = row.print_side[0]


@kernel
def place_row(
    row: Rows,
    feature_columns: np.ndarray,
    temporal_columns: np.ndarray,
    rows: np.ndarray,
    features: np.ndarray,
    windows: np.ndarray,
    slots: np.ndarray,
    s: int,
) -> None:
    """Let slot ``s`` stand at ``row``, one valid row of a market, and push its window on by one.

    rows (S,) ROW_DTYPE, features (S, F) f4, windows (S, W, H) f4, slots (1, S) SLOT_DTYPE; a slot that was
    empty begins a segment: its mark and its window start anew.
    """
    slot, kept = slots[0, s], rows[s]
    n_window, n_temporal = windows.shape[1], windows.shape[2]
    if slot.state != LIVE:
        slot.state = LIVE
        slot.mark2_e4 = 0
        for w in range(n_window):
            for c in range(n_temporal):
                windows[s, w, c] = 0.0
    copy_row(row, kept)
    kept.state = ROW_CROSSED if row.valid[0] == CROSSED else 0
    for f in range(feature_columns.size):
        features[s, f] = row.features[0, feature_columns[f]]
    for w in range(n_window - 1):
        for c in range(n_temporal):
            windows[s, w, c] = windows[s, w + 1, c]
    if n_window > 0:
        for c in range(n_temporal):
            windows[s, n_window - 1, c] = row.features[0, temporal_columns[c]]
    update_mark(kept, slot)


@kernel
def observe_group(
    bank: BankArrays,
    envs: np.ndarray,
    slots: np.ndarray,
    now_ns: int,
    params: ExecutionParams,
    capital_e6: int,
    sets: np.ndarray,
    inputs: FilterInputs,
    flat: np.ndarray,
    at_rows: np.ndarray,
    forced: np.ndarray,
    reasons: np.ndarray,
) -> None:
    """Write the observation at ``now_ns`` of the one environment in ``envs``, and the rules' demands.

    sets (S,) i4: the exclusive set of each slot's market; flat (1, width) f4, at_rows (1, S) i8, forced
    (1, S) i1, reasons (1, S) u1, all written, and the filter's ``inputs``.
    """
    envs[0].now_ns = now_ns
    update_mask(bank.rows, bank.terms, envs[0], slots, 0, params)
    write_observation(
        bank.rows, bank.features, envs[0], slots, 0, params.position_limit_e2, capital_e6, flat, at_rows
    )
    filter_slots(bank, envs, slots, params, sets, inputs, forced, reasons)


class LiveGroup:
    """S slots of live markets and the account that trades them.

    Attributes callers may read: ``bank`` (its arrays are write-protected), ``envs`` (1,) ENV_DTYPE and
    ``slots`` (1, S) SLOT_DTYPE.
    """

    def __init__(self, config: TradingConfig, window: int) -> None:
        """Make an empty group; ``window``: rows of history a slot, 0 if no tier reads any."""
        shown = [group for group in config.groups if group != "portfolio"]
        s = config.n_slots
        self._columns = np.array(columns(shown), np.int64)
        self._temporal_columns = np.array(TEMPORAL, np.int64)
        self._rows = np.zeros(s, ROW_DTYPE)
        self._features = np.zeros((s, self._columns.size), np.float32)
        self._markets = np.zeros(s, MARKET_DTYPE)
        self._markets["terms_at"] = np.arange(s)
        self._terms = np.zeros(s, TERMS_DTYPE)
        self._windows = np.zeros((s, window, self._temporal_columns.size), np.float32)
        self._sets = np.full(s, -1, np.int32)
        self._inputs = allocate_inputs(1, s)
        self._reasons = np.zeros((1, s), np.uint8)
        self._event_sets: dict[str, int] = {}
        self._params = config.execution
        self._capital_e6 = config.capital_e6
        self.n_slots = s
        self.width = layout_of(s, self._columns.size, N_PORTFOLIO).width
        self.bank = read_only(
            BankArrays(
                rows=self._rows,
                features=self._features,
                temporal=np.zeros((s, self._temporal_columns.size), np.float32),
                age=np.zeros(s, np.int32),
                segments=np.zeros(0, SEGMENT_DTYPE),
                markets=self._markets,
                terms=self._terms,
            )
        )
        self.envs, self.slots = allocate(1, s)
        # numba looks twice as long at a recarray as at the plain array of the same records
        self._kernel_envs, self._kernel_slots = np.asarray(self.envs), np.asarray(self.slots)
        self._kernel_bank = BankArrays(*(np.asarray(array) for array in self.bank))
        open_account(self.envs[0], config.capital_e6)
        self._at_rows = np.full((1, s), -1, np.int64)
        for i in range(s):
            slot = self.slots[0, i]
            clear_position(slot)
            clear_order(slot)
            slot.state, slot.market, slot.cursor, slot.stop = EMPTY, i, i, i + 1
            slot.terms_at = slot.terms = i

    @property
    def now_ns(self) -> int:
        """Time of the last observation."""
        return int(self.envs["now_ns"][0])

    def describe(
        self, s: int, spec: MarketSpec, known: KnownFacts, fees: tuple[FeeStep, ...], at_ns: int
    ) -> None:
        """Set fees, grid, close and event of the market in slot ``s`` as they are at ``at_ns``.

        DataError for too many price bands.
        """
        self._markets[s] = market_record("recorded", s)
        self._terms[s] = terms_record(spec.ticker, known, terms_at(fees, at_ns), terms_today(fees))
        if spec.mutually_exclusive:
            number = self._event_sets.setdefault(spec.event, len(self._event_sets))
            self._sets[s] = number

    def put(self, s: int, row: Rows) -> bool:
        """Let slot ``s`` stand at ``row`` (length 1), or empty it; True where ``row`` calls for a decision.

        A crossed row is shown and calls for none.
        """
        if row.valid[0] == INVALID:
            self._kernel_slots["state"][0, s] = EMPTY
            return False
        place_row(
            row,
            self._columns,
            self._temporal_columns,
            self._rows,
            self._features,
            self._windows,
            self._kernel_slots,
            s,
        )
        return bool(row.valid[0] == VALID)

    def set_cash(self, cash_e6: int, reserved_e6: int) -> None:
        """Set the cash of the account, and the part of it that orders reserve, as the client tells."""
        self.envs["cash_e6"][0], self.envs["reserved_e6"][0] = cash_e6, reserved_e6

    def set_holding(self, s: int, holding: Holding) -> None:
        """Set the client's position and orders in slot ``s``."""
        slot = self.slots[0, s]
        slot.position_e2, slot.cost_e6 = holding.position_e2, holding.cost_e6
        slot.opened_ns = holding.opened_ns
        slot.sent_action = ACTIONS[holding.in_flight] if holding.in_flight else HOLD
        order = holding.resting
        slot.order_state = IDLE if order is None else RESTING
        if order is not None:
            slot.order_action, slot.order_price_e4 = ACTIONS[order.action], order.price_e4
            slot.order_qty_e2 = order.qty_e2
            slot.placed_qty_e2 = order.placed_qty_e2 or order.qty_e2

    def take_account(self, envs: np.ndarray, slots: np.ndarray) -> None:
        """Show the account of ``envs`` (1,) ENV_DTYPE and ``slots`` (1, S) SLOT_DTYPE from here on."""
        for name in _CASH_FIELDS:
            self._kernel_envs[name] = envs[name]
        for name in _HOLDING_FIELDS:
            self._kernel_slots[name] = slots[name]

    def clear(self, s: int) -> None:
        """Empty slot ``s`` for another market: its window, position and orders are forgotten."""
        slot = self.slots[0, s]
        clear_position(slot)
        clear_order(slot)
        slot.state = EMPTY
        self._windows[s] = 0.0
        self._sets[s] = -1

    def observe(self, now_ns: int) -> Batch:
        """Observation of the group at ``now_ns``; the arrays are the caller's own."""
        flat = np.empty((1, self.width), np.float32)
        forced = np.empty((1, self.n_slots), np.int8)
        observe_group(
            self._kernel_bank,
            self._kernel_envs,
            self._kernel_slots,
            now_ns,
            self._params,
            self._capital_e6,
            self._sets,
            self._inputs,
            flat,
            self._at_rows,
            forced,
            self._reasons,
        )
        if not self._windows.shape[1]:
            return Batch(flat, None, forced)
        windows = self._windows[np.newaxis].copy()
        windows[0, self._at_rows[0] < 0] = 0.0
        return Batch(flat, windows, forced)

    @property
    def live(self) -> np.ndarray:
        """Slots (S,) bool in which a market stood at the last observation."""
        return self._at_rows[0] >= 0

    @property
    def reasons(self) -> np.ndarray:
        """Reasons (S,) u1 of the rules at the last observation, as ``models/rules`` numbers them."""
        return self._reasons[0].copy()

    @property
    def oldest_row_age_ns(self) -> int:
        """Age of the oldest row that the last observation showed; 0 where it showed none."""
        shown_ns = self._rows["recv_ns"][self.live]
        return self.now_ns - int(shown_ns.min()) if shown_ns.size else 0


def joined(batches: list[Batch]) -> Batch:
    """One batch of all rows of several."""
    if len(batches) == 1:
        return batches[0]
    windows = [batch.windows for batch in batches if batch.windows is not None]
    return Batch(
        np.concatenate([batch.flat for batch in batches]),
        np.concatenate(windows) if windows else None,
        np.concatenate([batch.forced for batch in batches]),
    )
