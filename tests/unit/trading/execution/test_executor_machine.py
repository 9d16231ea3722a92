"""Orders driven at random: writes that are lost, messages that come late, twice or never, crashes, lists.

A hypothesis state machine drives an executor over a plain account (made/plain_account.py), which shares no
code with it and is the truth. After every step: no order went out while an outcome was unknown, none twice,
no limit is passed however the unknown orders end. At the end, once everything is calm: every order, position
and every cent equal the account's.
"""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from made.execution import ASK, BID, A, B, Bench
from made.plain_account import S

from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.execution.risk.modes import RiskMode

#: Contracts (1e-2) and dollars (1e-6) that one market may come to in these runs.
MOST_E2, MOST_LOSS_E6 = 3_000, 15_000_000
CREATES = [
    "accepted", "accepted", "accepted", "refused", "limited", "lost", "lost_accepted", "not_sent",
    "fill_first",
    "filled",
]  # fmt: skip
CANCELS = ["accepted", "accepted", "refused", "lost", "lost_accepted", "not_sent", "not_found"]
TICKERS = st.sampled_from([A, B])


class Orders(RuleBasedStateMachine):
    """One account, traded by one executor at a time."""

    @initialize()
    def begin(self):
        limits = {"market_contracts": MOST_E2 / 100, "market_loss_usd": MOST_LOSS_E6 / 1e6}
        self.folder = Path(tempfile.mkdtemp(prefix="orders-"))
        self.patch = pytest.MonkeyPatch()
        self.patch.setenv("KALSHI_PLATFORM_HOME", str(self.folder / "home"))
        self.bench = Bench(self.folder / "account", limits, grace_s=5)
        self.account = self.bench.account
        self.sent_by_us = set()
        self.bench.open()

    @rule(
        ticker=TICKERS, side=st.sampled_from([BID, ASK]), price=st.integers(1, 9_999),
        qty=st.integers(1, 2_500),
        how=st.sampled_from(CREATES), tif=st.sampled_from(["good_till_canceled", "immediate_or_cancel"]),
    )  # fmt: skip
    def submit(self, ticker, side, price, qty, how, tif):
        from kalshi_platform.trading.exchange.new_orders import TimeInForce

        ledger = self.bench.executor.ledger
        unknown = [
            o for o in ledger.live.values() if o.state in (OrderState.UNKNOWN, OrderState.CANCEL_UNKNOWN)
        ]
        before = len(self.account.creates)
        self.account.next_create.append(how)
        done = self.bench.submit(
            side, price, qty, ticker, time_in_force=TimeInForce(tif), seen={"bid_e4": price, "ask_e4": None}
        )
        self.account.next_create.clear()
        self.bench.clock.now_ns += S // 10
        if unknown:
            assert done.order is None
            assert len(self.account.creates) == before
        if done.order is not None:
            self.sent_by_us.add(done.order.client_order_id)

    @rule(pick=st.integers(0, 30), how=st.sampled_from(CANCELS))
    def cancel(self, pick, how):
        live = list(self.bench.executor.ledger.live.values())
        if live:
            self.account.next_cancel.append(how)
            self.bench.run(self.bench.executor.cancel(live[pick % len(live)].client_order_id))
            self.account.next_cancel.clear()

    @rule(pick=st.integers(0, 30), qty=st.integers(1, 1_500), better=st.integers(0, 300))
    def fill(self, pick, qty, better):
        resting = [o for o in self.account.orders.values() if o.status == "resting"]
        if resting:
            order = resting[pick % len(resting)]
            price = order.price_e4 - better if order.side == "bid" else order.price_e4 + better
            self.account.fill(order, qty, min(max(price, 1), 9_999))

    @rule(pick=st.integers(0, 30))
    def end_at_the_exchange(self, pick):
        resting = [o for o in self.account.orders.values() if o.status == "resting"]
        if resting:
            self.account.end(resting[pick % len(resting)], "ExpiryCancel")

    @rule(ticker=TICKERS, value=st.sampled_from([0, 10_000]))
    def settle(self, ticker, value):
        if len(self.account.trades) > 6:
            self.account.settle(ticker, value)

    @rule(pick=st.integers(0, 50), repeat=st.booleans())
    def deliver_any(self, pick, repeat):
        if self.account.sent:
            at = pick % len(self.account.sent)
            message = self.account.sent[at] if repeat else self.account.sent.pop(at)
            self.bench.executor.take_message(message)

    @rule()
    def lose_messages(self):
        self.account.sent.clear()
        self.bench.executor.reconnected()

    @rule(cut=st.sampled_from([None, "orders", "fills", "positions", "settlements"]), away=st.booleans())
    def upkeep(self, cut, away):
        self.account.cut = {cut} if cut else set()
        self.account.away = away
        self.bench.run(self.bench.executor.maintain())
        self.account.cut, self.account.away = set(), False
        self.bench.clock.now_ns += S

    @rule(how=st.sampled_from(CANCELS))
    def halt(self, how):
        self.account.next_cancel.append(how)
        self.bench.run(self.bench.executor.halt("a person"))
        self.account.next_cancel.clear()

    @precondition(lambda self: self.bench.executor.snapshot().mode is not RiskMode.ACTIVE)
    @rule()
    def resume(self):
        self.bench.calm(70)
        self.bench.executor.resume("a person")
        assert not [o for o in self.account.orders.values() if o.status == "resting"]

    @rule()
    def crash(self):
        self.bench.crash()
        self.bench.open()

    # What holds after every step

    @invariant()
    def nothing_is_doubled(self):
        if not hasattr(self, "bench"):
            return
        ids = [order.client_order_id for order in self.account.orders.values()]
        assert len(ids) == len(set(ids))
        assert len(self.account.creates) == len(set(self.account.creates))
        assert set(ids) <= self.bench.executor.ledger.orders.keys()

    @invariant()
    def limits_hold_at_the_exchange_whatever_happens_next(self):
        if not hasattr(self, "bench"):
            return
        for ticker in (A, B):
            resting = [
                o for o in self.account.orders.values() if o.ticker == ticker and o.status == "resting"
            ]
            held = self.account.position_e2(ticker)
            bids = sum(o.left_e2 for o in resting if o.side == "bid")
            asks = sum(o.left_e2 for o in resting if o.side == "ask")
            assert max(held + bids, asks - held) <= MOST_E2

    @invariant()
    def sums_of_the_gate_equal_a_plain_recount(self):
        if not hasattr(self, "bench"):
            return
        executor = self.bench.executor
        executor._exposures.refresh()
        worst, ledger = 0, executor.ledger
        for ticker, market in ledger.markets.items():
            if market.value_e4 is None:
                live = [
                    o
                    for o in ledger.orders.values()
                    if o.intent.ticker == ticker and (not o.is_ended or o.exposed_e2)
                ]
                bids = sum(o.intent.price_e4 * o.exposed_e2 for o in live if o.intent.side is BID)
                asks = sum((10_000 - o.intent.price_e4) * o.exposed_e2 for o in live if o.intent.side is ASK)
                fees = sum(o.fee_bound_e6 for o in live)
                worst += max(0, bids - market.if_no_e6 + fees, asks - market.if_yes_e6 + fees)
        assert executor._exposures.account_e6 == worst

    def teardown(self):
        if not hasattr(self, "bench"):
            return
        try:
            self.bench.calm(40)
            self.equals_the_account()
            self.bench.crash()
            self.bench.open()
            self.bench.calm(3)
            self.equals_the_account()
        finally:
            self.bench.end()
            self.patch.undo()
            shutil.rmtree(self.folder)

    def equals_the_account(self):
        executor, account = self.bench.executor, self.account
        assert not executor.snapshot().undecided
        assert not executor.ledger.surprises
        theirs = {o.client_order_id: o for o in account.orders.values()}
        words = {"executed": {"filled"}, "canceled": {"cancelled"}, "resting": {"resting", "cancelling"}}
        for client_id, order in executor.ledger.orders.items():
            if client_id in theirs:
                assert order.state.value in words[theirs[client_id].status]
                assert order.filled_e2 == order.fills_e2 == theirs[client_id].filled_e2
            else:
                assert order.state in (OrderState.REFUSED, OrderState.ABSENT)
        assert executor.ledger.cash_e6 == account.cash_e6
        for ticker in (A, B):
            assert executor.ledger.position_e2(ticker) == account.position_e2(ticker)


Orders.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestOrders = Orders.TestCase
