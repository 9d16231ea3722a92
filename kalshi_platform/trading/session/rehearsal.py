"""A rehearsal before a session: made-up frames and decisions go the whole way; no real one is the first.

Way        the session's own core, books, account kind, settings and engines meet the messages that an
           exchange sends: books, changes, prints, holes, outcomes. Kernels are compiled or loaded here.
Sizes      the policy is asked about every number of groups up to a few, then doubled: an engine may prepare
           itself anew for a larger batch.
Invariant  no trace: account, books, caches and notes are the rehearsal's own; nothing reaches a journal, a
           recording or an exchange. Only the compiled kernels and the model's engines are shared.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from pydantic_core import from_json, to_json

from kalshi_platform.data.market_data.capture import Frame
from kalshi_platform.domain.actions import ACTIONS, HOLD
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import DOLLAR_E4, NS_PER_MS, NS_PER_SECOND
from kalshi_platform.serving.guard.served import ServedModel
from kalshi_platform.serving.inference.batch import Batch
from kalshi_platform.serving.inference.tiered import TieredPolicy
from kalshi_platform.simulation.replay.account import position_value_e6
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.exchange.new_orders import NewOrder
from kalshi_platform.trading.execution.orders.intents import Intent
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.reports import FillReport
from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.execution.risk.exposure import ExposureBook
from kalshi_platform.trading.execution.risk.gate import RiskGate, RiskState
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.execution.risk.market_at_order import MarketAtOrder
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.session.at_exchange.exchange_book import ExchangeBook
from kalshi_platform.trading.session.core import Chosen, SessionCore
from kalshi_platform.trading.session.paper.paper_book import PaperBook
from kalshi_platform.trading.session.session_config import TradingSessionConfig

_EVENT: Final = "REHEARSAL-1"
_BEGIN_NS: Final = 1_767_225_600 * NS_PER_SECOND  # 2026-01-01
#: Between two messages of a burst, and after a decision: the latencies of training pass meanwhile.
_BURST_NS, _STEP_NS = NS_PER_MS, 120 * NS_PER_SECOND
#: Every action is tried on every kind of holding; the masks turn those that cannot be into HOLD.
_PLAYS: Final = ("BUY_YES", "BUY_YES", "SELL_YES", "BUY_NO", "HOLD", "SELL_NO")
#: Numbers of groups in one batch that are asked one by one; larger ones by doubling.
_EACH_SIZE: Final = 8


class _RehearsedPolicy:
    """The session's engines behind caches of their own; plays the actions that the scene asks for."""

    def __init__(self, served: ServedModel) -> None:
        self.policy = TieredPolicy(served.policy.spec, served.policy.tiers, served.policy.config)
        self.play = HOLD
        self.seen: Batch | None = None

    def decide(self, batch: Batch, groups: list[int], now_ns: int) -> Chosen:
        """Ask the engines, and play the scene's action."""
        self.seen = batch
        decisions = self.policy.decide(batch, now_ns)
        return Chosen(np.full_like(decisions.actions, self.play), "rehearsal")

    def meet_sizes(self, most: int) -> None:
        """Ask about every number of groups that one decision can hold, twice each."""
        assert self.seen is not None  # the scene decided before
        sizes = {n for n in range(1, _EACH_SIZE + 1) if n <= most} | {most}
        sizes |= {1 << k for k in range(most.bit_length())}
        for n in sorted(sizes):
            which = np.zeros(n, np.int64)
            for _ in range(2):
                self.policy.forget()
                self.policy.decide(self.seen.take(which), _BEGIN_NS)


class _TakenIntent(NamedTuple):
    """Answer of an executor to an intent."""

    order: Order
    refusals: tuple[()] = ()


class _NoExecutor:
    """The part of an executor that a session's account uses; limits are asked, and nothing is sent."""

    def __init__(self, limits: RiskLimits) -> None:
        self.ledger = OrderLedger()
        exposures = ExposureBook(self.ledger)
        self._gate = RiskGate(limits, self.ledger, exposures, RiskState(), lambda: 0)
        self.on_fill: Callable[[Order | None, FillReport], None] = lambda _order, _fill: None
        self.on_order: Callable[[Order], None] = lambda _order: None
        self.mode = RiskMode.ACTIVE
        self.tasks = 0

    def shard_of(self, ticker: str, told: int | None) -> int:
        """Shard of every market."""
        return 0

    def know(self, *facts: object) -> None:
        """Forget facts of a market."""

    def know_rate(self, *rate: object) -> None:
        """Forget a fee rate of a market."""

    def mark(self, *prices: object) -> None:
        """Forget prices of a market."""

    async def submit(
        self, intent: Intent, view: MarketAtOrder, view_now: Callable[[], MarketAtOrder]
    ) -> _TakenIntent:
        """Ask the limits, write the request's body, and take the order for one that rests."""
        self.tasks += 1
        self._gate.check(intent, view, _BEGIN_NS, _BEGIN_NS)
        self._gate.check_again(intent, view_now(), _BEGIN_NS)
        NewOrder.parse({
            "ticker": intent.ticker, "side": intent.side, "price_e4": intent.price_e4,
            "qty_e2": intent.qty_e2, "time_in_force": intent.time_in_force, "post_only": intent.post_only,
            "client_order_id": f"rehearsal-{self.tasks}", "expires_s": intent.expires_s, "exchange_index": 0,
        }).body()  # fmt: skip
        fee_e6 = self._gate.fees_e6(intent, view)
        order = Order(self.tasks, f"rehearsal-{self.tasks}", intent, 0, _BEGIN_NS, fee_e6, OrderState.PENDING)
        self.ledger.add(order)
        return _TakenIntent(order)

    async def cancel(self, client_order_id: str) -> Order:
        """End an order."""
        order = self.ledger.orders[client_order_id]
        order.state = OrderState.CANCELLED
        return order


class _Scene:
    """Messages of an exchange to one core, and decisions between them."""

    def __init__(self, core: SessionCore, policy: _RehearsedPolicy) -> None:
        self._core, self._policy = core, policy
        self._now_ns, self._seq, self._number = _BEGIN_NS, 0, 0
        self.tickers = [f"{_EVENT}-T{n}" for n in range(core.trading.n_slots)]
        nested = [_market(ticker) for ticker in self.tickers]
        event = {
            "event_ticker": _EVENT,
            "series_ticker": "REHEARSAL",
            "category": "Weather",
            "markets": nested,
        }
        core.tell({"known_ns": _BEGIN_NS - 1, "event": event})

    def say(self, kind: str, ticker: str, after_ns: int = _BURST_NS, **fields: Any) -> None:
        """Hand one frame to the core."""
        self._now_ns += after_ns
        self._seq, self._number = self._seq + 1, self._number + 1
        stamps = {"ts_ms": self._now_ns // NS_PER_MS} if kind != "orderbook_snapshot" else {}
        message = {
            "type": kind,
            "sid": 1,
            "seq": self._seq,
            "msg": {"market_ticker": ticker, **stamps, **fields},
        }
        raw = to_json(message)
        frame = Frame(self._number, self._now_ns, 1, raw.decode())
        self._core.frame(frame.line, frame.recv_ns, frame.conn, frame.raw, from_json(raw))

    def whole_books(self) -> None:
        """Send the book of every market."""
        levels: dict[str, Any] = {
            "yes_dollars_fp": [["0.3900", "500.00"], ["0.4000", "500.00"]],
            "no_dollars_fp": [["0.5900", "500.00"], ["0.5800", "500.00"]],
        }
        for ticker in self.tickers:
            self.say("orderbook_snapshot", ticker, **levels)

    def changes(self) -> None:
        """Send changes of both sides, and prints that reach a resting order."""
        for ticker in self.tickers:
            for side, price in (("yes", "0.4000"), ("no", "0.5900")):
                self.say("orderbook_delta", ticker, side=side, price_dollars=price, delta_fp="-1.00")
            for side, price in (("no", "0.3900"), ("yes", "0.4200")):
                self.say(
                    "trade", ticker, trade_id=f"rehearsal-{self._seq}", yes_price_dollars=price,
                    no_price_dollars=f"{1 - float(price):.4f}", count_fp="600.00", taker_side=side,
                )  # fmt: skip
            self.say("ticker", ticker, yes_bid_dollars="0.4000", yes_ask_dollars="0.4100")

    def decide(self, play: str) -> None:
        """Decide once, with one action everywhere; the next message comes when the order has arrived."""
        self._policy.play = ACTIONS[play]
        self._core.decide(list(range(len(self._core.books.groups))))
        self._now_ns += _STEP_NS

    def lose_and_find(self) -> None:
        """Lose a message, so that every book is lost, and send the books again."""
        self._seq += 1
        self.say("orderbook_delta", self.tickers[0], side="yes", price_dollars="0.4000", delta_fp="1.00")
        self.decide("HOLD")
        self.whole_books()


async def rehearse(served: ServedModel, config: TradingSessionConfig, limits: RiskLimits | None) -> None:
    """Play a short scene with what a session by ``served`` will use; ``limits`` None: its account is paper.

    ContractError where the session's own parts refuse something: it would fail in the session too.
    """
    policy, trading = _RehearsedPolicy(served), served.trading
    account = PaperBook(trading, config.seed) if limits is None else _exchange_book(trading, limits)
    core = SessionCore(
        trading, served.window, account, policy, _forget,
        max_markets=max(config.max_markets, trading.n_slots), accepts_missing=True, use_yes_price=False,
    )  # fmt: skip
    scene = _Scene(core, policy)
    scene.whole_books()
    for play in _PLAYS:
        scene.decide(play)
        await _settle_down(account)
        scene.changes()
    scene.lose_and_find()
    scene.decide("BUY_YES")
    await _settle_down(account)
    _refuse_refusals(core)
    policy.meet_sizes(-(-config.max_markets // trading.n_slots))
    core.pay(scene.tickers[0], DOLLAR_E4, core.now_ns)
    core.finish()
    account.figures()
    account.ledger(1)
    for line in account.holdings(core.books, 0):
        position_value_e6(line["position_e2"], line["mark2_e4"])


#: Counters of a core that a rehearsal must leave at 0.
_MUST_NOT: Final = frozenset({"frames_refused", "answers_refused", "policy_failures", "markets_refused"})


def _refuse_refusals(core: SessionCore) -> None:
    """ContractError where the core refused a part of the scene, or its policy failed."""
    refused = {name: n for name, n in core.counters.items() if name in _MUST_NOT}
    if refused:
        raise ContractError(f"the rehearsal of the session failed: {refused}, {core.problems}")


def _market(ticker: str) -> Mapping[str, Any]:
    """REST's answer about a made-up market."""
    return {
        "ticker": ticker, "event_ticker": _EVENT, "status": "active", "market_type": "binary",
        "open_time": "2025-12-01T00:00:00Z", "close_time": "2099-12-01T05:00:00Z", "can_close_early": True,
        "result": "", "exchange_index": 0,
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
    }  # fmt: skip


def _exchange_book(trading: TradingConfig, limits: RiskLimits) -> ExchangeBook:
    """Account of a session with orders, whose orders go nowhere."""
    executor: Any = _NoExecutor(limits)
    return ExchangeBook(
        trading, executor, _forget, lambda _ticker: 0, lambda: _BEGIN_NS, _raise,
        lambda _order, _left_e2: None, lambda: _BEGIN_NS,
    )  # fmt: skip


async def _settle_down(account: PaperBook | ExchangeBook) -> None:
    """Wait for the orders that a decision sent."""
    if isinstance(account, ExchangeBook):
        await account.settle_down()


def _forget(kind: str, detail: Mapping[str, object]) -> None:
    """Forget a note."""


def _raise(error: BaseException) -> None:
    """Raise an error of the sending."""
    raise error
