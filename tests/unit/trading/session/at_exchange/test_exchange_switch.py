"""Controls of an account at an exchange are the executor's; a reduction takes growing orders away."""

import asyncio
from types import SimpleNamespace

import pytest

from kalshi_platform.trading.exchange.new_orders import BookSide
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.session.at_exchange.exchange_switch import ExchangeSwitch


def order(ticker: str, side: BookSide, size_e2: int = 500, *, is_ended: bool = False):
    intent = SimpleNamespace(ticker=ticker, side=side)
    exposed_e2 = 0 if is_ended else size_e2
    return SimpleNamespace(intent=intent, is_ended=is_ended, exposed_e2=exposed_e2, cancel_wanted=False)


class PlainExecutor:
    """Executor with a long position in A, short ones in B and D, and none in C."""

    def __init__(self) -> None:
        self.mode, self.mode_why, self.cancelled, self.error = RiskMode.ACTIVE, "started", [], None
        held = {"A": 500, "B": -500, "D": -500}
        self.ledger = SimpleNamespace(
            position_e2=lambda ticker: held.get(ticker, 0),
            live_in=lambda ticker: [o for o in self.ledger.live.values() if o.intent.ticker == ticker],
            live={
                "grows-a": order("A", BookSide.BID), "exits-a": order("A", BookSide.ASK),
                "grows-b": order("B", BookSide.ASK), "exits-b": order("B", BookSide.BID),
                "opens-c": order("C", BookSide.BID), "gone": order("C", BookSide.BID, is_ended=True),
                "turns-d": order("D", BookSide.BID, 501),
            },
        )  # fmt: skip

    def reduce(self, why: str) -> None:
        self.mode, self.mode_why = RiskMode.REDUCING, why

    async def cancel(self, name: str):
        if self.error is not None:
            raise self.error
        self.cancelled.append(name)
        self.ledger.live[name].cancel_wanted = True


def test_a_reduction_cancels_what_grows_a_position():
    async def run() -> None:
        executor = PlainExecutor()
        switch = ExchangeSwitch(executor, lambda error: None, lambda: None)
        assert switch.working() == {
            "grows-a": "A", "exits-a": "A", "grows-b": "B", "exits-b": "B", "opens-c": "C",
            "turns-d": "D",
        }  # fmt: skip
        switch.reduce("a person")
        assert (switch.state, switch.why) == (RiskMode.REDUCING, "a person")
        await asyncio.gather(*switch._tasks)
        assert sorted(executor.cancelled) == ["grows-a", "grows-b", "opens-c", "turns-d"]

    asyncio.run(run())


def test_a_reduction_by_a_limit_cancels_what_grows_at_the_next_look_and_once():
    async def run() -> None:
        executor = PlainExecutor()
        switch = ExchangeSwitch(executor, lambda error: None, lambda: None)
        switch.look()
        assert switch._tasks == set()
        executor.reduce("losing_streak: 5 markets lost in a row")  # by the executor's own watch
        switch.look()
        await asyncio.gather(*switch._tasks)
        switch.look()
        assert switch._tasks == set()
        assert sorted(executor.cancelled) == ["grows-a", "grows-b", "opens-c", "turns-d"]

    asyncio.run(run())


def test_each_look_ends_orders_of_old_age():
    looks: list[int] = []
    switch = ExchangeSwitch(PlainExecutor(), lambda error: None, lambda: looks.append(1))
    switch.look()
    switch.look()
    assert looks == [1, 1]


def test_an_error_of_a_cancel_ends_the_session():
    async def run() -> None:
        executor, failed = PlainExecutor(), []
        executor.error = KeyError("gone")
        switch = ExchangeSwitch(executor, failed.append, lambda: None)
        switch.cancel(["exits-a"])
        with pytest.raises(KeyError):
            await asyncio.gather(*switch._tasks)
        await asyncio.sleep(0)
        assert failed == [executor.error]

    asyncio.run(run())
