"""Executors over the plain account, intents and views, and a journal that a crash leaves."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

from kalshi_platform.trading.exchange.new_orders import BookSide, TimeInForce
from kalshi_platform.trading.execution.executor import Executor
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.opening import ExecutionPorts, open_executor
from kalshi_platform.trading.execution.orders.intents import Intent
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.execution.risk.market_at_order import MarketAtOrder
from kalshi_platform.trading.execution.settings import ExecutionSettings
from made.plain_account import HandClock, PlainAccount, PlainReports, S

#: One account a process: tests that run side by side would refuse each other.
ACCOUNT = AccountName(
    "11111111-2222-3333-4444-555555555555", f"https://exchange-{os.getpid()}.test/trade-api/v2"
)
A, B = "KXDEMO-26DEC01-T50", "ZXDEMO-26DEC01-T60"
BID, ASK = BookSide.BID, BookSide.ASK
#: Limits that stand in no test's way.
WIDE = {
    "order_contracts": 1_000, "order_cost_usd": 1_000, "price_distance_usd": 1, "spread_usd": 1,
    "market_contracts": 100_000, "market_orders": 1_000, "market_loss_usd": 100_000,
    "event_loss_usd": 100_000, "category_loss_usd": 100_000, "account_loss_usd": 100_000,
    "day_orders": 100_000, "day_contracts": 1_000_000, "day_spend_usd": 1_000_000,
    "day_loss_usd": 100_000, "drawdown_usd": 100_000, "losing_streak": 1_000,
    "orders_per_second": 1_000, "orders_per_minute": 100_000,
}  # fmt: skip


def intent(
    clock: Any, ticker: str = A, side: BookSide = BID, price_e4: int = 4_000, qty_e2: int = 1_000, **more: Any
) -> Intent:
    return Intent(ticker, side, price_e4, qty_e2, clock.wall_ns(), **more)


def view(
    clock: Any, ticker: str = A, bid_e4: int | None = 3_900, ask_e4: int | None = 4_200, **more: Any
) -> MarketAtOrder:
    values = {
        "event": ticker.rpartition("-")[0], "category": "Economics", "exchange_index": int(ticker[0] == "Z"),
        "is_valid": True, "book_ns": clock.wall_ns(), "model_ns": clock.wall_ns(), "taker_rate_e6": 70_000,
        "maker_rate_e6": 0,
    } | more  # fmt: skip
    return MarketAtOrder(ticker=ticker, bid_e4=bid_e4, ask_e4=ask_e4, **values)


class Bench:
    """One executor over one plain account, on a clock that moves by hand; ``run`` waits for a coroutine."""

    def __init__(self, folder: Path, limits: dict[str, Any] | None = None, **settings: Any) -> None:
        self.folder, self.clock = folder, HandClock()
        self.account = PlainAccount(self.clock)
        self.limits = RiskLimits.parse(WIDE | (limits or {}))
        self.settings = ExecutionSettings.parse({"look_pause_s": 0.1, **settings})
        self.reports: Any = None  # None: those of the account
        self.loop = asyncio.new_event_loop()
        self.skew_ns: int | None = 0
        self.home: Path | None = None  # of the program, while this one opens; None: as it is
        self.name: AccountName | None = None  # None: ACCOUNT
        self._executor: Executor | None = None

    @property
    def executor(self) -> Executor:
        assert self._executor is not None
        return self._executor

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def open(self) -> Executor:
        ports = ExecutionPorts(
            self.account, self.reports or PlainReports(self.account), self.clock, lambda: self.skew_ns
        )
        if self.home is not None:
            os.environ["KALSHI_PLATFORM_HOME"] = str(self.home)
        name = self.name or ACCOUNT
        self._executor = self.run(open_executor(self.folder, name, self.limits, ports, self.settings))
        return self._executor

    def submit(
        self,
        side: BookSide = BID,
        price_e4: int = 4_000,
        qty_e2: int = 1_000,
        ticker: str = A,
        *,
        seen: dict[str, Any] | None = None,
        **more: Any,
    ) -> Any:
        wanted = intent(self.clock, ticker, side, price_e4, qty_e2, **more)
        return self.run(self.executor.submit(wanted, view(self.clock, ticker, **(seen or {}))))

    def deliver(self) -> None:
        """Deliver every message that waits."""
        sent, self.account.sent = self.account.sent, []
        for message in sent:
            self.executor.take_message(message)

    def calm(self, seconds: float = 60.0) -> None:
        """Do upkeep for so long."""
        until = self.clock.now_ns + round(seconds * S)
        while self.clock.now_ns < until:
            self.run(self.executor.maintain())
            self.clock.now_ns += S

    def crash(self) -> None:
        """End the process without a word: what was not committed is gone, locks too."""
        journal = self.executor._keeper.journal
        journal._db.rollback()
        journal._db.close()
        journal._locks.close()
        self._executor = None

    def close(self) -> None:
        if self._executor is not None:
            self.run(self._executor.close())
            self._executor = None

    def end(self) -> None:
        self.close()
        self.loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)


__all__ = ["ACCOUNT", "ASK", "BID", "WIDE", "A", "B", "Bench", "TimeInForce", "intent", "view"]
