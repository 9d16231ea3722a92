"""The session without input and output: frames in, decisions out, every one of them noted.

Way        frame -> door, book and features (``serving/live``) -> due groups -> policy -> account. The account
           decides what an action becomes: fills of the environment's matcher (paper), or orders.
Due        as in training: when a group got a valid row at least the decision interval after its last
           decision. ``tick`` asks all groups that got news since their last decision, by a clock.
Facts      are those that REST told (``tell``): a market's frames wait for the first answer that names it.
Invariant  the same frames, facts and notes give the same account. A policy that fails holds: HOLD everywhere,
           counted.
Time       of a decision is that of the newest frame, so that no row of its past can still come.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from kalshi_platform.data.market_data.capture import ConnectionEnd, Frame
from kalshi_platform.domain.actions import HOLD
from kalshi_platform.domain.errors import DataError, LimitError
from kalshi_platform.serving.inference.batch import Batch
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.serving.live.group import joined
from kalshi_platform.serving.live.own_orders import OwnOrders
from kalshi_platform.serving.live.places import BookWatcher
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.session import session_notes as notes
from kalshi_platform.trading.session.ledger import LedgerRow
from kalshi_platform.trading.session.repeated_problems import RepeatedProblems

Note = Callable[[str, dict[str, object]], None]


class Chosen(NamedTuple):
    """Actions (N, S) i1 for the groups of a batch, and the model that chose them."""

    actions: np.ndarray
    model: str


class OpenPosition(NamedTuple):
    """Open position of the account in one market, also in one that this session does not trade."""

    ticker: str
    event: str  # empty: nobody told it
    position_e2: int
    cost_e6: int
    value_e6: int | None  # at its mark; None where no price is known
    cash_flow_e6: int  # of the market so far, also before this session
    fees_e6: int


class DecisionMaker(Protocol):
    """Whoever decides: a served model, or the record of an earlier session."""

    def decide(self, batch: Batch, groups: list[int], now_ns: int) -> Chosen:
        """Actions for ``groups``, whose observations are in ``batch``."""


class SessionAccount(BookWatcher, Protocol):
    """Account of a session: it follows the books and makes of actions what its mode allows."""

    def opening(self) -> dict[str, object] | None:
        """Cash and positions that it begins with, as a note has them; None on paper: nothing but capital."""

    def show(self, books: LiveBooks, group: int, now_ns: int) -> None:
        """Bring the account of a group to ``now_ns`` and show it in the group."""

    def act(self, books: LiveBooks, group: int, now_ns: int, actions: np.ndarray) -> np.ndarray:
        """Act (S,) i1 for a group; returns the actions that were really sent."""

    def pay(self, books: LiveBooks, ticker: str, value_e4: int, at_ns: int) -> None:
        """Take the outcome of a market that is about to lose its slot."""

    def hear(self, message: Mapping[str, Any]) -> None:
        """Take one parsed frame of the stream after the books did."""

    def told(self, kind: str, why: str) -> None:
        """Take a note of the stream, such as ``disconnected``."""

    async def stop(self) -> None:
        """End what is under way, while the stream still runs."""

    def finish(self) -> None:
        """Take note that no frame comes any more."""

    def ledger(self, last: int | None = None) -> list[LedgerRow]:
        """Every fill and payment so far in order of time, or the ``last`` ones."""

    def holdings(self, books: LiveBooks, group: int) -> list[dict[str, int]]:
        """Position, cost and working order in each slot of a group, by the names of SLOT_DTYPE's fields."""

    def positions(self) -> list[OpenPosition]:
        """Every open position of the account, with or without a slot; none where each has a slot (paper)."""

    def order_name(self, group: int, slot: int) -> str:
        """Name of the order that works in a slot; empty where none does."""

    def risk(self) -> dict[str, Any] | None:
        """State of the limits; None where there are none."""

    def figures(self) -> dict[str, Any]:
        """cash_e6, equity_e6, fees_e6, n_fills and more, of all groups."""


class SessionCore:
    """Books, decisions and account of one session; one thread."""

    def __init__(
        self,
        trading: TradingConfig,
        window: int,
        account: SessionAccount,
        decide: DecisionMaker,
        note: Note,
        *,
        max_markets: int = 500,
        accepts_missing: bool = True,
        use_yes_price: bool = True,
        own: OwnOrders | None = None,
    ) -> None:
        """Begin without markets; ``note`` takes what must stand in the recording.

        ``own``: orders of the account, which the books leave out.
        ``use_yes_price``: how the book channel was subscribed (``trading/exchange`` asks for it).
        """
        self.trading, self.account, self._decide, self._note = trading, account, decide, note
        self.own = own
        self.books = LiveBooks(
            trading, window, use_yes_price=use_yes_price, max_markets=max_markets,
            accept_missing_inputs=accepts_missing, watcher=account, hears_rest=True, own=own,
        )  # fmt: skip
        self.counters: Counter[str] = Counter()
        self.problems: dict[str, str] = {}
        self.repeated = RepeatedProblems(self.problems)
        self.paid: dict[str, int] = {}  # market -> settlement, 1e-4 dollar
        self.paid_ns: dict[str, int] = {}
        self.model = ""
        self._decided_ns: dict[int, int] = {}
        self._news: dict[int, None] = {}  # groups with a row since their last decision, in order

    @property
    def now_ns(self) -> int:
        """Time of the newest frame."""
        return self.books.now_ns

    def tell(self, answer: Mapping[str, Any]) -> None:
        """Take an answer of REST, as a line of a recorder's facts: ``{"known_ns": ..., "market": {...}}``.

        One that cannot be is counted, and nothing of it is taken.
        """
        self._note(notes.SESSION_TOLD, {"answer": answer})
        try:
            self.books.tell(answer)
        except DataError as err:
            self.counters["answers_refused"] += 1
            self.repeated.add("an answer of REST was refused", str(err), answer["known_ns"])

    def tell_left(self, client_id: str, left_e2: int) -> None:
        """Take what is left of an order of the account, whoever told it: the books leave that much out."""
        self._note(notes.SESSION_LEFT, {"client_id": client_id, "left_e2": left_e2})
        if self.own is not None:
            self.own.tell_left(client_id, left_e2)

    def end_connection(self, conn: int, recv_ns: int) -> None:
        """Make the books of a connection that ended invalid: nothing more comes of it."""
        for group in self.books.end_connection(ConnectionEnd(conn, recv_ns, 0)):
            self._news[group] = None

    def frame(self, number: int, recv_ns: int, conn: int, raw: str, message: Mapping[str, Any]) -> list[int]:
        """Take one frame; returns the groups that are due by the rule of training.

        A frame that cannot be applied is counted, and what it may have changed is invalid until its next
        snapshot, as in the recording.
        """
        self.counters["frames"] += 1
        ticker = _ticker_of(message)
        if ticker is not None and ticker in self.paid:
            self.counters["frames_after_payment"] += 1
            return []
        try:
            touched = self.books.feed(Frame(number, recv_ns, conn, raw), dict(message))
        except DataError as err:
            self.counters["frames_refused"] += 1
            self.repeated.add("a frame was refused", str(err), recv_ns)
            touched = []
        except LimitError as err:
            self.counters["markets_refused"] += 1
            self.repeated.add("too many markets", str(err), recv_ns)
            touched = []
        for group in touched:
            self._news[group] = None
        return [group for group in touched if self.is_due(group)]

    def is_due(self, group: int) -> bool:
        """True where the interval since the last decision of ``group`` is over."""
        last_ns = self._decided_ns.get(group)
        return last_ns is None or self.now_ns == last_ns or self.now_ns >= last_ns + self.trading.interval_ns

    def tick(self) -> list[int]:
        """Groups that got news since their last decision, for a loop that decides by a clock."""
        return [group for group in self._news if self.is_due(group)]

    def decide(self, groups: list[int]) -> None:
        """Decide for ``groups`` now, act, and note what was done."""
        if not groups:
            return
        now_ns = self.now_ns
        batches = []
        for group in groups:
            self.account.show(self.books, group, now_ns)
            batches.append(self.books.groups[group].observe(now_ns))
        self.act(groups, self._chosen(joined(batches), groups, now_ns))

    def repeat(self, now_ns: int, acts: Mapping[int, np.ndarray]) -> None:
        """Act again as a recording says, without asking a policy; DataError where its time is another."""
        self.require_time(now_ns)
        for group in acts:
            self.account.show(self.books, group, now_ns)
        self.act(list(acts), np.array(list(acts.values())))

    def require_time(self, now_ns: int) -> None:
        """DataError where a recording acts at another time than its frames stand at."""
        if now_ns != self.now_ns:
            raise DataError(
                f"the recording acts at {now_ns} ns, its frames stand at {self.now_ns}: frames or notes are "
                "missing; copy the recording again"
            )

    def act(self, groups: list[int], chosen: np.ndarray) -> None:
        """Send actions (N, S) for groups whose account was brought to now, and note them."""
        now_ns, acts = self.now_ns, {}
        for n, group in enumerate(groups):
            self._decided_ns[group] = now_ns
            self._news.pop(group, None)
            sent = self.account.act(self.books, group, now_ns, chosen[n])
            acts[str(group)] = notes.acts_text(sent)
        self.counters["decisions"] += len(groups)
        self._note(notes.SESSION_ACTS, {"now_ns": now_ns, "model": self.model, "acts": acts})

    def _chosen(self, batch: Batch, groups: list[int], now_ns: int) -> np.ndarray:
        """Actions (N, S); HOLD where the policy fails: a session must go on watching its positions."""
        try:
            chosen = self._decide.decide(batch, groups, now_ns)
        except Exception as err:
            self.counters["policy_failures"] += 1
            self.problems["the policy failed"] = f"{type(err).__name__}: {err}"[:200]
            return np.full((len(groups), self.trading.n_slots), HOLD, np.int8)
        self.problems.pop("the policy failed", None)
        self.model = chosen.model
        return chosen.actions

    def pay(self, ticker: str, value_e4: int, at_ns: int) -> None:
        """Pay the outcome of a market and let its slot go to the next one."""
        if ticker in self.paid or ticker not in self.books.places:
            return
        self._note(notes.SESSION_PAID, {"ticker": ticker, "value_e4": value_e4, "at_ns": at_ns})
        self.account.pay(self.books, ticker, value_e4, at_ns)
        self.books.release(ticker)
        self.paid[ticker], self.paid_ns[ticker] = value_e4, at_ns

    def finish(self) -> None:
        """Bring every account to the newest frame, and show every problem: nothing comes any more."""
        for group in range(len(self.books.groups)):
            self.account.show(self.books, group, self.now_ns)
        self.account.finish()
        self.repeated.show_all()

    def known_outcomes(self, outcomes: Mapping[str, int | None]) -> list[tuple[str, int]]:
        """Markets with a slot here whose outcome is among ``outcomes`` and not paid yet."""
        here = [t for t in self.books.places if t not in self.paid]
        return [(t, value) for t in here if (value := outcomes.get(t)) is not None]


def _ticker_of(message: Mapping[str, Any]) -> str | None:
    """Market that a frame names; None where it names none."""
    msg = message.get("msg")
    ticker = msg.get("market_ticker") if isinstance(msg, Mapping) else None
    return ticker if isinstance(ticker, str) else None
