"""Paper accounts of all groups of a session: one account a group, as every environment has one in training.

Each group begins with the model's own capital, so that a decision sees cash as it did in training. The cash
of the session is the sum over its groups.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from kalshi_platform.data.features.rows import Rows
from kalshi_platform.domain.actions import ACTION_NAMES
from kalshi_platform.domain.fee_schedule import FeeStep
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.serving.live.places import LivePlace
from kalshi_platform.simulation.replay.execution import IDLE
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.session.core import OpenPosition
from kalshi_platform.trading.session.ledger import LedgerRow, yes_price_e4
from kalshi_platform.trading.session.paper.paper_account import PaperAccount
from kalshi_platform.trading.session.restraint import restrained, working_actions

#: Fields of a slot that a snapshot shows.
_SHOWN: Final = (
    "position_e2", "cost_e6", "slot_cash_e6", "fees_e6", "mark2_e4", "order_state", "order_action",
    "order_price_e4", "order_qty_e2", "sent_action", "queue_e2",
)  # fmt: skip


class PaperBook:
    """BookWatcher (``serving/live/books.py``) that hands every row to the account of its group."""

    def __init__(self, config: TradingConfig, seed: int = 0) -> None:
        """Begin without groups; ``seed`` names drawn latencies."""
        self._config, self._seed = config, seed
        self.accounts: list[PaperAccount] = []
        self._held: dict[
            tuple[int, int], list[tuple[int, int, str]]
        ] = {}  # slot -> (first line, since, market)
        self._events: dict[str, str] = {}
        self.state = RiskMode.ACTIVE  # by it every decision's actions are restrained

    def account(self, group: int) -> PaperAccount:
        """Account of a group, opened where it has none yet."""
        while len(self.accounts) <= group:
            self.accounts.append(PaperAccount(self._config, self._seed))
        return self.accounts[group]

    def opening(self) -> None:
        """Nothing: paper begins with the model's capital in every group, and with no position."""

    def placed(self, place: LivePlace, ticker: str) -> None:
        """Give the slot to a market of which no row is known yet."""
        account = self.account(place.group)
        account.place(place.slot)
        self._held.setdefault((place.group, place.slot), []).append(
            (len(account.fills), account.now_ns, ticker)
        )

    def described(
        self, place: LivePlace, spec: MarketSpec, known: KnownFacts, fees: tuple[FeeStep, ...], at_ns: int
    ) -> None:
        """Let the facts hold for the rows that come."""
        self._events[spec.ticker] = spec.event
        self.account(place.group).learn(place.slot, spec.ticker, known, fees, at_ns)

    def row(self, place: LivePlace, row: Rows, exch_ns: int) -> None:
        """Hand a row on."""
        self.account(place.group).push(place.slot, row, exch_ns)

    def show(self, books: LiveBooks, group: int, now_ns: int) -> None:
        """Bring a group's account to ``now_ns`` and show it in the group."""
        account = self.account(group)
        account.advance(now_ns)
        books.groups[group].take_account(account.envs, account.slots)

    def act(self, books: LiveBooks, group: int, now_ns: int, actions: np.ndarray) -> np.ndarray:
        """Send actions (S,) i1, as far as the state lets them out; returns what was sent."""
        account = self.account(group)
        return account.act(restrained(self.state, actions, working_actions(account.slots)))

    def order_name(self, group: int, slot: int) -> str:
        """Name of the order that works in a slot, as in the ledger; empty where none does."""
        account = self.account(group)
        is_idle = account.slots["order_state"][0, slot] == IDLE
        return "" if is_idle else f"{group}/{slot}/{account.order_number(slot)}"

    def pay(self, books: LiveBooks, ticker: str, value_e4: int, at_ns: int) -> None:
        """Pay the outcome of a market."""
        place = books.places[ticker]
        self.account(place.group).settle(place.slot, value_e4, at_ns)

    def figures(self) -> dict[str, Any]:
        """Cash, equity and fees of all groups, 1e-6 dollar, and counts."""
        accounts = self.accounts
        return {
            "cash_e6": sum(a.cash_e6 for a in accounts),
            "reserved_e6": sum(a.reserved_e6 for a in accounts),
            "equity_e6": sum(a.equity_e6 for a in accounts),
            "capital_e6": len(accounts) * self._config.capital_e6,
            "fees_e6": sum(a.fees_e6 for a in accounts),
            "fills": sum(int((a.fills["settlement"] == 0).sum()) for a in accounts),
            "orders": sum(len(a.orders) for a in accounts),
            "forbidden": sum(a.n_forbidden for a in accounts),
            "played_again": sum(a.n_replayed for a in accounts),
            "bursts_assumed": sum(a.n_assumed for a in accounts),
        }

    def hear(self, message: Mapping[str, Any]) -> None:
        """Nothing: no exchange knows of a paper account."""

    def told(self, kind: str, why: str) -> None:
        """Nothing: rows say themselves that a book is lost."""

    async def stop(self) -> None:
        """Nothing: no order is under way."""

    def risk(self) -> None:
        """Nothing: paper money has no limits but the model's own."""

    def holdings(self, books: LiveBooks, group: int) -> list[dict[str, int]]:
        """Position, cost and working order of each slot, as fields of its record."""
        slots = self.account(group).slots[0]
        columns = [slots[name].tolist() for name in _SHOWN]
        return [dict(zip(_SHOWN, values, strict=True)) for values in zip(*columns, strict=True)]

    def positions(self) -> list[OpenPosition]:
        """Nothing: a paper position is paid before its market loses the slot."""
        return []

    def ledger(self, last: int | None = None) -> list[LedgerRow]:
        """Every fill and payment so far in order of time, or the ``last`` ones."""
        found: list[tuple[int, int, int]] = []  # (time, group, line): a row is made of those shown only
        for group, account in enumerate(self.accounts):
            begin = 0 if last is None else max(len(account.fills) - last, 0)
            times = account.fills["at_ns"][begin:].tolist()
            found += [(at_ns, group, begin + k) for k, at_ns in enumerate(times)]
        found.sort(key=lambda each: each[0])
        shown = found if last is None else found[-last:]
        return [self._row(group, (k, self.accounts[group].fills[k])) for _, group, k in shown]

    def event_of(self, ticker: str) -> str:
        """Event of a market that had a slot; empty where none had."""
        return self._events.get(ticker, "")

    def ticker_at(self, group: int, s: int, at_ns: int) -> str:
        """Market that had slot ``s`` at ``at_ns``."""
        held = self._held[group, s]
        return next((t for _, since_ns, t in reversed(held) if since_ns <= at_ns), held[0][2])

    def finish(self) -> None:
        """Take every burst for over: nothing comes any more."""
        for account in self.accounts:
            account.finish()

    def _row(self, group: int, numbered: tuple[int, Any]) -> LedgerRow:
        """One line of an account with names."""
        at, line = numbered
        s = int(line["slot"])
        ticker = next(t for first, _, t in reversed(self._held[group, s]) if first <= at)
        is_payment = bool(line["settlement"])
        action = "" if is_payment else ACTION_NAMES[int(line["action"])]
        qty_e2 = int(line["qty_e2"])
        return LedgerRow(
            at_ns=int(line["at_ns"]), ticker=ticker, event=self._events.get(ticker, ""),
            order="" if is_payment else f"{group}/{s}/{int(line['order'])}",
            kind="settlement" if is_payment else "maker" if line["maker"] else "taker",
            action=action, qty_e2=qty_e2,
            yes_price_e4=None if is_payment else yes_price_e4(action, int(line["turnover_e6"]), qty_e2),
            cash_e6=int(line["cash_e6"]), fee_e6=int(line["fee_e6"]), position_e2=int(line["position_e2"]),
        )  # fmt: skip
