"""Paper account of one group of markets: the environment's matcher, fed with live rows.

Owns       its orders, fills, cash and positions; rows lie in paper_rows.py, what was done in paper_log.py.
Invariant  the account is the one that a replay of the same rows with the same actions has, to the unit. The
           kernels of replay make it (``paper_kernel.py``); nothing here prices, fills or charges anything.
Bursts     whether a row is the last of its burst shows only when the next message of the market comes
           (``data/features/bursts.py``), and a resting order may fill at that last row. The account takes
           the latest row for the last. Where the next message proves it wrong, the account goes back to a
           state before it met that row, and plays the rows and actions since then again.
           Fills after that state are *provisional*; an action that the new state forbids becomes HOLD.
Units      cash 1e-6 dollar, sizes 1e-2 contract, prices 1e-4 dollar, time ns.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from kalshi_platform.data.features.rows import Rows
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.fee_schedule import FeeStep
from kalshi_platform.domain.market_history import KnownFacts
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.simulation.replay.account import clear_position, open_account
from kalshi_platform.simulation.replay.execution import CANCEL, clear_order
from kalshi_platform.simulation.replay.state import EMPTY, WAITING, allocate
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.session.paper.paper_kernel import (
    FILL_DTYPE,
    FILLS_A_ROW,
    ORDER_NUMBERS,
    advance_account,
    equity_e6,
    pay_outcome,
    send_allowed,
)
from kalshi_platform.trading.session.paper.paper_log import PaperLog
from kalshi_platform.trading.session.paper.paper_records import (
    AccountState,
    Acted,
    Advanced,
    Done,
    PaperOrder,
)
from kalshi_platform.trading.session.paper.paper_rows import ROW_PLACES, TERMS_PLACES, PaperRows

#: After so long the latest row counts as the last of its burst, whatever exchange time comes later.
_SURE_NS: Final = 5 * NS_PER_SECOND
#: Entries of the log beyond which every burst is taken for over.
_MOST_LOG: Final = 4_096


class PaperAccount:
    """Cash, positions and orders of S slots; one thread at a time."""

    def __init__(self, config: TradingConfig, seed: int = 0) -> None:
        """Begin with the capital of ``config`` and empty slots; ``seed`` names drawn latencies."""
        s = config.n_slots
        self.config, self.n_slots = config, s
        self._params, self._sending = config.execution, config.sending._replace(seed=seed)
        envs, slots = allocate(1, s)
        self.envs, self.slots = np.asarray(envs), np.asarray(slots)
        open_account(envs[0], config.capital_e6)
        self._rows = PaperRows(s)
        self._numbers, self._next_numbers = np.zeros(s, ORDER_NUMBERS), np.zeros(s, np.int64)
        self._unsure = np.zeros(s, np.uint8)
        self._met = np.zeros(s, np.int64)  # stretch of the log in which each slot met its latest row
        self._fills: np.ndarray = np.zeros(256, FILL_DTYPE)
        self._n_fills = 0
        self.orders: list[PaperOrder] = []  # sent so far, in order
        self.n_forbidden = 0
        self.n_replayed = 0  # times that a burst went on and the account was played again
        self.n_assumed = 0  # times that a burst was taken for over
        self._stale: int | None = None  # stretch from which on the account is wrong; None: it is right
        for i in range(s):
            self._empty_slot(i)
        self._log = PaperLog(self._state())
        self._playing = self._log.newest  # stretch that is being written or played again

    # What it holds

    @property
    def now_ns(self) -> int:
        """Time to which the account was brought."""
        return int(self.envs["now_ns"][0])

    @property
    def cash_e6(self) -> int:
        """Cash, reserved or not."""
        return int(self.envs["cash_e6"][0])

    @property
    def reserved_e6(self) -> int:
        """Cash that orders reserve."""
        return int(self.envs["reserved_e6"][0])

    @property
    def equity_e6(self) -> int:
        """Cash and positions, each at its mark."""
        return int(equity_e6(self.envs, self.slots))

    @property
    def fees_e6(self) -> int:
        """Fees paid so far."""
        return int(self._fills["fee_e6"][: self._n_fills].sum())

    @property
    def fills(self) -> np.ndarray:
        """Lines (N,) FILL_DTYPE of all fills and payments so far, a view; see :attr:`n_certain`."""
        return self._fills[: self._n_fills]

    @property
    def n_certain(self) -> int:
        """Number of lines that nothing changes any more."""
        return self._log.certain.n_fills

    def order_number(self, s: int) -> int:
        """Number of the latest order that came to work in slot ``s``; 0 before the first."""
        return int(self._numbers["working"][s])

    # What comes in

    def place(self, s: int) -> None:
        """Give slot ``s`` to a market of which no row is known yet."""
        self.finish()
        self._empty_slot(s)
        slot = self.slots[0, s]
        slot["state"] = WAITING
        self._rows.name_market(s)
        self._log.forget_all(self._state())

    def hold(self, s: int, position_e2: int, price_e4: int, cost_e6: int, opened_ns: int) -> None:
        """Give slot ``s``, just placed, a position; one YES is worth ``price_e4`` until a row comes.

        The position takes nothing of this account's cash: the account has its capital, and the position.
        """
        slot = self.slots[0, s]
        slot["position_e2"], slot["mark2_e4"] = position_e2, 2 * price_e4
        slot["cost_e6"], slot["opened_ns"] = cost_e6, opened_ns
        slot["max_position_e2"] = abs(position_e2)
        self._log.forget_all(self._state())

    def learn(self, s: int, ticker: str, known: KnownFacts, fees: Sequence[FeeStep], at_ns: int) -> None:
        """Let facts and fees hold for the rows of slot ``s`` from here on; DataError for too many bands."""
        self._shift(TERMS_PLACES, self._rows.learn(s, ticker, known, fees, at_ns))

    def push(self, s: int, row: Rows, exch_ns: int) -> None:
        """Take the row (length 1) after a message of the market in slot ``s``; ``exch_ns`` NO_TIME where
        unknown. Rows of a slot without a market, or of one that was paid, are passed over."""
        if self.slots["state"][0, s] == EMPTY:
            return
        if self._rows.is_full(s):
            self._make_room()
        is_wrong = self._rows.joins_burst(s, row, exch_ns) and self._unsure[s]
        if is_wrong and int(self.slots["cursor"][0, s]) == self._rows.end(s) - 1:
            met = int(self._met[s])
            self._stale = met if self._stale is None else min(self._stale, met)
        self._rows.keep(s, row, self.slots)

    def advance(self, now_ns: int) -> None:
        """Bring the account to ``now_ns``; ContractError where that is in its past."""
        if now_ns < self.now_ns:
            raise ContractError(f"the account is at {self.now_ns} ns and cannot go back to {now_ns}")
        self._catch_up()
        if self._log.is_long:
            self._log.begin(self._state())
        self._playing = self._log.newest
        self._advance(now_ns)
        self._log.add(Advanced(now_ns, self._rows.n_seen))
        self._let_old_bursts_go(now_ns)
        self._commit(assume=len(self._log) > _MOST_LOG)

    def act(self, actions: np.ndarray, unsent: Sequence[int] = ()) -> np.ndarray:
        """Send one action (S,) i1 a slot now, or a code of restraint.py; returns those sent.

        HOLD where one was forbidden or no book is; LEAVE where there was nothing to cancel.
        Orders of the slots ``unsent`` stay here, as a limit of a session at an exchange held them back: only
        the cancel goes out that makes room for them.
        """
        asked = np.array(actions, np.int8)
        self._log.add(Acted(asked.copy(), tuple(unsent)))
        self._act(asked, unsent)
        return asked

    def settle(self, s: int, value_e4: int, at_ns: int) -> None:
        """Pay the position of slot ``s`` the outcome of its market, 1e-4 dollar a YES; its orders end."""
        self._catch_up()
        self._settle(s, value_e4, at_ns)
        self._commit(assume=True)

    def finish(self) -> None:
        """Take every burst for over: nothing comes any more."""
        self._catch_up()
        self._commit(assume=True)

    # How it is done

    def _advance(self, now_ns: int) -> None:
        waiting = sum(self._rows.n_rows) + self.n_slots
        self._need_fills(FILLS_A_ROW * (waiting + self.n_slots))
        before = self.slots["cursor"][0].copy()
        self._n_fills = advance_account(
            self._rows.bank, self._rows.lost, self.envs, self.slots, now_ns, self._params, self._unsure,
            self._numbers, self._fills, self._n_fills,
        )  # fmt: skip
        self._met[self.slots["cursor"][0] != before] = self._playing

    def _act(self, actions: np.ndarray, unsent: Sequence[int] = ()) -> None:
        before = self._next_numbers.copy()
        self.n_forbidden += send_allowed(
            self._rows.bank, self.envs, self.slots, self.now_ns, actions, self._params, self._sending,
            self._numbers, self._next_numbers,
        )  # fmt: skip
        for s in np.flatnonzero(self._next_numbers != before).tolist():
            slot = self.slots[0, s]
            if s in unsent:
                self.envs["reserved_e6"][0] -= slot["sent_reserved_e6"]
                slot["sent_reserved_e6"], slot["sent_action"] = 0, CANCEL
                continue
            self.orders.append(
                PaperOrder(
                    s,
                    int(self._next_numbers[s]),
                    self.now_ns,
                    int(slot["arrival_ns"]),
                    int(slot["sent_action"]),
                    int(slot["sent_price_e4"]),
                    int(slot["sent_qty_e2"]),
                )
            )

    def _settle(self, s: int, value_e4: int, at_ns: int) -> None:
        self._need_fills(1)
        self._n_fills = pay_outcome(self.envs, self.slots, s, value_e4, at_ns, self._fills, self._n_fills)

    def _catch_up(self) -> None:
        """Play again what turned out to be wrong: from the stretch on in which the row was met."""
        if self._stale is None:
            return
        from_stretch, self._stale = self._stale, None
        stops = self.slots["stop"].copy()
        for number, stretch in self._log.since(from_stretch):
            if number == from_stretch:
                self._restore(stretch.state)
                self.slots["stop"] = stops
            else:
                stretch.state = self._state()
            self._playing = number
            for done in stretch.done:
                self._do_again(done)
        self.n_replayed += 1

    def _do_again(self, done: Done) -> None:
        """Do one entry of the log again, with what is known now."""
        if isinstance(done, Advanced):
            self._advance_over(done)
        else:
            self._act(done.actions.copy(), done.unsent)

    def _advance_over(self, done: Advanced) -> None:
        """Advance as it was done; rows that came later are in the buffers already."""
        stops = self.slots["stop"].copy()
        for s, n_seen in enumerate(done.n_rows):
            self.slots["stop"][0, s] = self._rows.end(s, n_seen)
        self._advance(done.now_ns)
        for s in range(self.n_slots):  # a row with a later one behind it is no guess any more
            if self.slots["stop"][0, s] < stops[0, s]:
                self._unsure[s] = 0
        self.slots["stop"] = stops

    def _let_old_bursts_go(self, now_ns: int) -> None:
        """Take bursts for over whose latest row is old: no message of the exchange is so late."""
        for s in np.flatnonzero(self._unsure).tolist():
            row = self._rows.rows[int(self.slots["cursor"][0, s])]
            if now_ns - int(row["recv_ns"]) > _SURE_NS:
                self._unsure[s] = 0
                self.n_assumed += 1

    def _commit(self, *, assume: bool) -> None:
        """Forget what nothing can change any more: all where no row is unsure, or ``assume`` says so."""
        unsure = self._unsure != 0
        if unsure.any():
            if not assume:
                self._log.forget_before(int(self._met[unsure].min()))
                return
            self.n_assumed += 1
            self._unsure[:] = 0
        moved = self._rows.forget_before(self.slots["cursor"][0].tolist())
        if moved is not None:  # no state but the present one is left
            for name in ROW_PLACES:
                self.slots[name][0] += moved
        self._log.forget_all(self._state())

    def _make_room(self) -> None:
        """Forget the rows before the oldest stretch; where much is left, double the room."""
        certain = np.frombuffer(self._log.certain.slots, self.slots.dtype)
        self._shift(ROW_PLACES, self._rows.forget_before(certain["cursor"].tolist()))
        if 2 * max(self._rows.n_rows) > self._rows.room:
            self._shift(ROW_PLACES, self._rows.double())

    def _shift(self, names: tuple[str, ...], by: np.ndarray | None) -> None:
        """Follow places that moved, in the slots and in every state of the log."""
        if by is not None:
            for name in names:
                self.slots[name][0] += by
            self._log.shift(self.slots.dtype, names, by)

    def _need_fills(self, n: int) -> None:
        """Make room for ``n`` more lines."""
        while self._n_fills + n > self._fills.size:
            self._fills = np.concatenate([self._fills, np.zeros_like(self._fills)])

    def _empty_slot(self, s: int) -> None:
        """Forget the market of slot ``s``, its orders and its position."""
        slot = self.slots.view(np.recarray)[0, s]
        clear_position(slot)
        clear_order(slot)
        slot.state, slot.market, slot.settled = EMPTY, s, 0
        slot.cursor, slot.stop = s * self._rows.room - 1, s * self._rows.room
        slot.terms_at = slot.terms = s * self._rows.terms_room
        self._rows.empty(s)
        self._unsure[s] = 0

    def _state(self) -> AccountState:
        """Copy of the present state."""
        return AccountState(
            self.envs.tobytes(), self.slots.tobytes(), self._numbers.tobytes(),
            self._next_numbers.tobytes(), self._n_fills, self.n_forbidden, len(self.orders),
            self._unsure.tobytes(), self._met.tobytes(),
        )  # fmt: skip

    def _restore(self, state: AccountState) -> None:
        """Go back to ``state``."""
        for array, kept in (
            (self.envs, state.envs), (self.slots, state.slots), (self._numbers, state.numbers),
            (self._next_numbers, state.next_numbers), (self._unsure, state.unsure), (self._met, state.met),
        ):  # fmt: skip
            array.reshape(-1).view(np.uint8)[:] = np.frombuffer(kept, np.uint8)
        self._n_fills, self.n_forbidden = state.n_fills, state.n_forbidden
        del self.orders[state.n_orders :]
        self._unsure[self._met < self._log.first] = 0  # those were taken for over since
