"""Accounts of a replay that note what a comparison needs: state at each decision, end of each order.

Decision  a slot that orders is noted just before it does.
Ends      an account is looked at whenever it is shown and acted on: an order that worked then and does not
          now has ended, and the state before says why. Times are exact but for a book that was lost.
Controls  orders obey the state that the session was in (``restraint.py``), as they do on paper.
Opening   positions with which the session began are there from when their markets get a slot, beside the
          model's capital; the account's result counts from the first price that it gives them (``figures``).
Own run   orders that a limit held back stay here, too; a taker at an exchange left its mark in the frames.
Units     size 1e-2 contract, time ns UTC.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from kalshi_platform.data.features.rows import INVALID, Rows
from kalshi_platform.domain.actions import HOLD, N_ACTIONS
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.serving.live.places import LivePlace
from kalshi_platform.simulation.replay.account import position_value_e6
from kalshi_platform.simulation.replay.execution import CANCEL, RESTING
from kalshi_platform.simulation.replay.impact import forget_impact
from kalshi_platform.simulation.replay.queue import QUEUE_UNKNOWN
from kalshi_platform.simulation.replay.state import LIVE
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.orders.positions import MarketPosition
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.session.opening_positions import OpeningPositions, price_or_none
from kalshi_platform.trading.session.paper.paper_account import PaperAccount
from kalshi_platform.trading.session.paper.paper_book import PaperBook
from kalshi_platform.trading.session.report.explaining import Key, ReplayState
from kalshi_platform.trading.session.report.realised import RealisedOrders
from kalshi_platform.trading.session.restraint import restrained, working_actions

REPLACED: Final = "another order took its place"
CANCELLED: Final = "it was cancelled"
EXPIRED: Final = "its life was over"
LOST: Final = "its book was lost, or its market had closed"
NEVER_RESTED: Final = "it could not rest: it would have crossed the book, or nothing was left to trade"

#: Group, slot, and number in the slot: an order of the replay.
OrderName = tuple[int, int, int]


class ReplayEnd(NamedTuple):
    """End of an order of the replay."""

    at_ns: int | None  # None: as it came to the book
    why: str


class Rested(NamedTuple):
    """Order of the replay as it came to rest."""

    qty_e2: int
    ahead_e2: int | None


class _Look(NamedTuple):
    """Orders of one slot as they were at the last look."""

    working: int  # number of the order that rests; 0: none
    latest: int  # number of the latest that came to the book
    expiry_ns: int
    cancel_ns: int | None  # arrival of a cancel on its way


class WatchedBook(PaperBook):
    """Paper accounts of a replay; the exchange's orders see their rows, too."""

    def __init__(self, config: TradingConfig, seed: int, opening: OpeningPositions | None = None) -> None:
        """Begin without groups and orders; ``opening``: of the session, None where nothing tells it."""
        super().__init__(config, seed)
        self.began_with = opening
        held = {} if opening is None else opening.held
        self.realised = RealisedOrders(
            None if opening is None else {t: each.position_e2 for t, each in held.items()}
        )
        self.groups: dict[str, int] = {}  # market -> group
        self.placed_line: dict[str, int] = {}  # market -> line of the recording at which it got its slot
        self._before = {  # market -> position before it has a slot
            ticker: MarketPosition(
                ticker, 0, each.position_e2, each.cost_e6, each.opened_ns, mark_e4=each.price_e4
            )
            for ticker, each in held.items()
        }
        self._begun_e6: dict[str, int] = {}  # market -> worth of such a position at the start
        self._unpriced: dict[tuple[int, int], str] = {}  # slot -> market with such a position, not yet priced
        self.states: dict[Key, ReplayState] = {}
        self.ends: dict[OrderName, ReplayEnd] = {}
        self.rested: dict[OrderName, Rested] = {}
        self.unsent: frozenset[Key] = frozenset()  # orders that a limit held back
        self.is_taker_at_exchange = False
        self.line = 0  # of the recording that is played now
        self._tickers: dict[LivePlace, str] = {}
        self._looks: dict[tuple[int, int], _Look] = {}

    def placed(self, place: LivePlace, ticker: str) -> None:
        """Give a slot to a market."""
        super().placed(place, ticker)
        self._tickers[place] = ticker
        self.groups[ticker], self.placed_line[ticker] = place.group, self.line
        self._unpriced.pop((place.group, place.slot), None)  # of a market that was paid
        held = self._before.get(ticker)
        if held is not None and held.position_e2:
            size_e2, price_e4 = held.position_e2, held.mark_e4 or 0
            self.account(place.group).hold(place.slot, size_e2, price_e4, held.cost_e6, held.opened_ns)
            self._begun_e6[ticker] = int(position_value_e6(size_e2, 2 * price_e4))
            self._unpriced[place.group, place.slot] = ticker

    def filled_elsewhere(self, ticker: str, signed_e2: int, price_e4: int, at_ns: int) -> None:
        """Take a fill at the exchange; in a market without a slot the replay has no order to fill."""
        if ticker not in self.placed_line:
            held = self._before.setdefault(ticker, MarketPosition(ticker, 0))
            side = BookSide.BID if signed_e2 > 0 else BookSide.ASK
            held.fill(side, price_e4, abs(signed_e2), 0, at_ns)

    def figures(self) -> dict[str, Any]:
        """Figures of all groups; their capital counts the positions with which they began."""
        found = super().figures()
        return found | {"capital_e6": found["capital_e6"] + sum(self._begun_e6.values())}

    def show(self, books: LiveBooks, group: int, now_ns: int) -> None:
        """Bring a group's account to ``now_ns``; a taker at an exchange has left its mark in the frames."""
        super().show(books, group, now_ns)
        if self._unpriced:
            self._price(group)
        if self.is_taker_at_exchange:
            slots = self.account(group).slots.view(np.recarray)
            for s in range(slots.shape[1]):
                forget_impact(slots[0, s])
        self._look(group)

    def act(self, books: LiveBooks, group: int, now_ns: int, actions: np.ndarray) -> np.ndarray:
        """Note the slots that order, and let all act, as far as the state of trading lets them."""
        account = self.account(group)
        for s in np.flatnonzero((actions != HOLD) & (actions < N_ACTIONS)).tolist():
            self.states[group, s, now_ns] = self._state(group, s, int(actions[s]))
        if self.state is not RiskMode.ACTIVE:
            actions = restrained(self.state, actions, working_actions(account.slots))
        unsent = [s for s in range(actions.size) if (group, s, now_ns) in self.unsent]
        sent = account.act(actions, unsent)
        self._look(group)
        return sent

    def row(self, place: LivePlace, row: Rows, exch_ns: int) -> None:
        """Hand a row on."""
        super().row(place, row, exch_ns)
        ticker = self._tickers[place]
        self.realised.row(ticker, row, exch_ns)
        if self.began_with is not None and ticker in self.began_with.unseen and row.valid[0] != INVALID:
            bid_e4, ask_e4 = int(row.bid_px_e4[0, 0]), int(row.ask_px_e4[0, 0])
            self.began_with.see(ticker, price_or_none(bid_e4), price_or_none(ask_e4))

    def _price(self, group: int) -> None:
        """Value positions of before at the first price of the account's own, ahead of any order there."""
        for (of, s), ticker in list(self._unpriced.items()):
            slot = self.account(group).slots[0, s] if of == group else None
            if slot is not None and slot["state"] == LIVE:
                self._begun_e6[ticker] = int(position_value_e6(slot["position_e2"], slot["mark2_e4"]))
                del self._unpriced[of, s]

    def _state(self, group: int, s: int, action: int) -> ReplayState:
        """State of a slot that is about to order."""
        account = self.account(group)
        slot = account.slots[0][s]
        is_resting = bool(slot["order_state"] == RESTING)
        number = account.order_number(s)
        sent_ns = next((o.sent_ns for o in reversed(account.orders) if (o.s, o.number) == (s, number)), None)
        return ReplayState(
            int(slot["position_e2"]), bool(slot["state"] == LIVE), bool(slot["mask"][action]), is_resting,
            int(slot["order_action"]), int(slot["sent_action"]), account.cash_e6,
            order=(group, s, sent_ns) if is_resting and sent_ns is not None else None, line=self.line,
        )  # fmt: skip

    def _look(self, group: int) -> None:
        """Note which orders of a group came to rest and which ended since the last look."""
        account = self.account(group)
        for s in range(account.n_slots):
            slot, latest = account.slots[0][s], account.order_number(s)
            working = latest if slot["order_state"] == RESTING else 0
            was = self._looks.get((group, s), _Look(0, 0, 0, None))
            is_cancel = slot["sent_action"] == CANCEL
            self._looks[group, s] = _Look(
                working, latest, int(slot["expiry_ns"]), int(slot["arrival_ns"]) if is_cancel else None
            )
            if working:  # also where a burst that went on took its end back
                ahead_e2 = int(slot["placed_ahead_e2"])
                known = None if ahead_e2 == QUEUE_UNKNOWN else ahead_e2
                self.rested[group, s, working] = Rested(int(slot["placed_qty_e2"]), known)
                self.ends.pop((group, s, working), None)
            if was.working and was.working != working:
                self.ends[group, s, was.working] = _end(account, s, was, latest)
            for number in range(was.latest + 1, latest + 1):
                if number != working:
                    self.ends[group, s, number] = ReplayEnd(None, NEVER_RESTED)


def _end(account: PaperAccount, s: int, was: _Look, latest: int) -> ReplayEnd:
    """End of the order that worked at the last look; one that filled whole has it from its fills."""
    if latest > was.working:
        came = (o.arrival_ns for o in account.orders if o.s == s and o.number > was.working)
        return ReplayEnd(next(came, account.now_ns), REPLACED)
    if account.slots["state"][0, s] != LIVE:
        return ReplayEnd(account.now_ns, LOST)
    if was.cancel_ns is not None and was.cancel_ns <= account.now_ns:
        return ReplayEnd(was.cancel_ns, CANCELLED)
    if was.expiry_ns <= account.now_ns:
        return ReplayEnd(was.expiry_ns, EXPIRED)
    return ReplayEnd(account.now_ns, "")
