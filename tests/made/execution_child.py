"""A trader in a process of its own that a test kills: random orders through execution, against a served
exchange.

Protocol  files in the run's folder: ``plan.json`` in; ``result.json`` out, written anew after every calm look
          (whole or not at all); ``stop`` from the test ends it; ``violations`` gets a line for everything
          that must not be, ``sent`` one for every create that was handed to the client.
"""

import asyncio
import contextlib
import json
import logging
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kalshi_platform.domain.errors import LimitError, PlatformError
from kalshi_platform.trading.exchange.account_calls import AccountCalls
from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.exchange.http_pool import AiohttpPool, HttpAnswer, HttpRequest, NotSentError
from kalshi_platform.trading.exchange.new_orders import BookSide, TimeInForce
from kalshi_platform.trading.exchange.order_calls import OrderCalls
from kalshi_platform.trading.exchange.outcomes import Unknown
from kalshi_platform.trading.exchange.public_calls import PublicCalls
from kalshi_platform.trading.exchange.rest import RestSettings, RestTransport
from kalshi_platform.trading.exchange.signing import signer_from_file
from kalshi_platform.trading.exchange.stream_settings import ExchangeStreamSettings
from kalshi_platform.trading.exchange.websocket import ExchangeStream
from kalshi_platform.trading.execution.executor import Executor
from kalshi_platform.trading.execution.journal.account_name import AccountName
from kalshi_platform.trading.execution.opening import ExecutionPorts, open_executor
from kalshi_platform.trading.execution.orders.intents import Intent
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.execution.risk.market_at_order import MarketAtOrder
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.execution.settings import ExecutionSettings
from made.stands import stand_of

MARKET_CONTRACTS, ORDER_CONTRACTS, MARKET_ORDERS = 60, 20, 6
LIMITS = {
    "order_contracts": ORDER_CONTRACTS, "order_cost_usd": 25, "price_distance_usd": 1, "spread_usd": 1,
    "market_contracts": MARKET_CONTRACTS, "market_orders": MARKET_ORDERS, "market_loss_usd": 10_000,
    "event_loss_usd": 10_000, "category_loss_usd": 10_000, "account_loss_usd": 10_000, "day_orders": 100_000,
    "day_contracts": 1_000_000, "day_spend_usd": 1_000_000, "day_loss_usd": 10_000, "drawdown_usd": 10_000,
    "losing_streak": 10_000, "orders_per_second": 60, "orders_per_minute": 3_000, "clock_skew_ms": 60_000,
}  # fmt: skip
SETTINGS = {
    "reconcile_every_s": 1.0, "look_every_s": 0.15, "grace_s": 0.8, "looks": 3, "look_pause_s": 0.1,
    "maintain_every_s": 0.1,
}  # fmt: skip


#: Orders that the lives of one schedule have together at least, and before any halt at random: the cancel of
#: all orders holds new ones back for a minute.
LEAST_ORDERS = 4
#: A trader that does not have them by then hangs.
_HANGS_S = 400.0


class Outages:
    """A line on which names stop resolving for a while."""

    def __init__(self, draw: random.Random, seconds: float) -> None:
        self._line = AiohttpPool(2.0, 2.0, None)
        self._from = time.monotonic() + draw.uniform(0.5, 2.5)
        self._until = self._from + seconds

    async def send(self, request: HttpRequest) -> HttpAnswer:
        if self._from <= time.monotonic() < self._until:
            raise NotSentError("[Errno -3] Temporary failure in name resolution")
        return await self._line.send(request)

    async def close(self) -> None:
        await self._line.close()


class WatchedOrders:
    """Order calls that note what is sent, and whether it should have been."""

    def __init__(self, calls: OrderCalls, folder: Path) -> None:
        self._calls, self._folder = calls, folder
        self.executor: Executor | None = None
        self.lost: set[str] = set()  # client ids of creates whose outcome was lost

    def _write(self, name: str, line: str) -> None:
        with (self._folder / name).open("a") as file:
            file.write(line + "\n")

    async def create(self, order: Any, hindrance: Callable[[], str]) -> Any:
        assert self.executor is not None
        ledger = self.executor.ledger
        undecided = [
            each for each in (*self.lost, *(o.client_order_id for o in ledger.undecided()))
            if ledger.orders[each].state.value in ("unknown", "cancel_unknown")
        ]  # fmt: skip
        if undecided:
            self._write("violations", f"{order.client_order_id} sent while {undecided} is unknown")
        self._write("sent", order.client_order_id)
        outcome = await self._calls.create(order, hindrance)
        if isinstance(outcome, Unknown):
            self.lost.add(order.client_order_id)
        return outcome

    async def cancel(self, order_id: str, ticker: str, shard: int | None) -> Any:
        return await self._calls.cancel(order_id, ticker, shard)

    async def cancel_all(self) -> Any:
        return await self._calls.cancel_all()


class Reports:
    """Sink of the stream that hands everything to the executor."""

    def __init__(self) -> None:
        self.executor: Executor | None = None

    def frame(self, conn: int, recv_ns: int, mono_ns: int, raw: bytes) -> None:
        raise AssertionError("messages come parsed")

    def message(self, conn: int, recv_ns: int, mono_ns: int, raw: bytes, message: Any) -> None:
        if self.executor is not None and message is not None:
            self.executor.take_message(message)

    def note(self, conn: int, recv_ns: int, mono_ns: int, kind: str, detail: dict[str, object]) -> None:
        if self.executor is None:
            return
        if kind in ("disconnected", "half_open", "terminal", "overflow"):
            self.executor.disconnected(kind)
        elif kind == "subscribed":
            self.executor.reconnected()


class Trader:
    """Random orders, then a halt and a calm end."""

    def __init__(self, plan: dict[str, Any], folder: Path, executor: Executor, public: PublicCalls) -> None:
        self.plan, self.folder, self.executor, self.public = plan, folder, executor, public
        self.draw = random.Random(f"{plan['seed']} {plan['life']}")
        self.views: dict[str, MarketAtOrder] = {}

    async def look(self) -> None:
        """Read the best prices of the open markets."""
        try:
            markets = (await self.public.markets(status="open")).items
        except PlatformError:
            return
        now = time.time_ns()
        self.views = {
            m.ticker: MarketAtOrder(
                m.ticker, m.event, "Economics", m.exchange_index,
                m.yes_bid_e4 if m.yes_bid_e2 else None, m.yes_ask_e4 if m.yes_ask_e2 else None, True, now,
                now,
                70_000, 17_500, m.status == "active",
            )
            for m in sorted(markets, key=lambda m: m.ticker)[:4]
            if m.exchange_index is not None
        }  # fmt: skip
        for view in self.views.values():
            self.executor.mark(view.ticker, view.bid_e4, view.ask_e4, now)

    async def act(self) -> None:
        """Do one random thing."""
        draw, live = self.draw, [o for o in self.executor.ledger.live.values() if not o.is_ended]
        kind = draw.random()
        if kind < 0.25 and live:
            await self.executor.cancel(draw.choice(live).client_order_id)
        elif 0.25 <= kind < 0.254 and len(self.executor.ledger.orders) >= LEAST_ORDERS:
            self.executor.request_halt("at random")
        elif self.views:
            view = draw.choice(list(self.views.values()))
            side = draw.choice([BookSide.BID, BookSide.ASK])
            met = view.ask_e4 if side is BookSide.BID else view.bid_e4
            own = view.bid_e4 if side is BookSide.BID else view.ask_e4
            price = draw.choice([met, own, own, 5_000]) or 5_000
            tif = draw.choice([TimeInForce.GOOD_TILL_CANCELED] * 3 + [TimeInForce.IMMEDIATE_OR_CANCEL])
            wanted = Intent(
                view.ticker, side, max(100, min(9_900, price // 100 * 100)), draw.randint(1, 2_100),
                time.time_ns(), tif,
            )  # fmt: skip
            await self.executor.submit(wanted, view)

    async def keep_looking(self) -> None:
        """Look at the markets until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(0.3)

    async def trade(self) -> None:
        """Act as often as the plan says, three at a time; a halt ends as soon as it may.

        Go on until there are LEAST_ORDERS: where most writes time out, most acts are refused.
        """
        looking = asyncio.create_task(self.keep_looking())
        end = time.monotonic() + _HANGS_S
        jobs: set[asyncio.Task[None]] = set()
        acts = 0
        while acts < self.plan["acts"] or len(self.executor.ledger.orders) < LEAST_ORDERS:
            assert time.monotonic() < end, f"{acts} acts, {len(self.executor.ledger.orders)} orders"
            if len(jobs) < 3:
                jobs.add(asyncio.create_task(self.act()))
                acts += 1
            if self.executor.snapshot().mode is not RiskMode.ACTIVE:
                with contextlib.suppress(LimitError):
                    self.executor.resume("the test goes on")
            await asyncio.sleep(self.draw.uniform(0.005, 0.05))
            ended = {job for job in jobs if job.done()}
            jobs -= ended
            for job in ended:
                job.result()
        await asyncio.gather(*jobs)
        looking.cancel()

    async def end(self) -> None:
        """Halt, wait until nothing rests and nothing is unknown, and tell the stand until stopped."""
        await self.executor.halt("the end")
        while not (self.folder / "stop").exists():
            await self.executor.maintain()
            report = await self.executor.reconcile()
            stand = self.executor.snapshot()
            is_calm = report.is_whole and not stand.orders and not stand.undecided
            ledger = self.executor.ledger
            result = {
                "is_calm": is_calm and not ledger.waiting,
                "why": [report.why, [o.state for o in stand.orders], list(stand.undecided)],
                **stand_of(ledger),
                "surprises": dict(ledger.surprises), "counts": dict(stand.counts), "mode": stand.mode,
                "mode_why": stand.mode_why,
            }  # fmt: skip
            path = self.folder / "result.tmp"
            path.write_text(json.dumps(result))
            path.rename(self.folder / "result.json")
            await asyncio.sleep(0.1)
        await self.executor.close()


async def live(plan: dict[str, Any], folder: Path) -> None:
    """One life of the trader."""
    rng = np.random.default_rng([plan["seed"], plan["life"]])
    draw = random.Random(f"line {plan['seed']} {plan['life']}")
    clock, signer = SystemClock(), signer_from_file(plan["key_id"], Path(plan["key_file"]))
    settings = RestSettings(
        url=plan["url"], write_deadline_s=0.6, read_timeout_s=2.0, attempts=2, retry_for_s=3.0,
        first_pause_s=0.05, longest_pause_s=0.2,
    )  # fmt: skip
    rest = RestTransport(settings, signer, clock, rng, Outages(draw, plan["outage_s"]))
    orders, sink = WatchedOrders(OrderCalls(rest), folder), Reports()
    stream = ExchangeStream(
        ExchangeStreamSettings(
            url=plan["ws_url"], market_channels=(), ping_every_s=0.5, pong_timeout_s=0.5, first_pause_s=0.05,
            longest_pause_s=0.2, open_timeout_s=2.0,
            global_channels=("fill", "user_orders", "market_positions", "market_lifecycle_v2"),
        ),
        signer, sink, clock, rng,
    )  # fmt: skip
    async with rest:
        account = AccountCalls(rest)
        executor = None
        while executor is None:
            try:
                await account.learn_limits()
                ports = ExecutionPorts(orders, account, clock, lambda: rest.skew.skew_ns)
                name = AccountName(plan["key_id"], plan["url"])
                executor = await open_executor(
                    folder, name, RiskLimits.parse(LIMITS), ports, ExecutionSettings.parse(SETTINGS)
                )
            except PlatformError as err:
                if "older copy" in str(err) or "damaged" in str(err):
                    raise
                await asyncio.sleep(0.1)
        orders.executor = sink.executor = executor
        (folder / f"life{plan['life']}").touch()
        work = [asyncio.create_task(stream.run()), asyncio.create_task(executor.run())]
        trader = Trader(plan, folder, executor, PublicCalls(rest))
        await trader.look()
        main = asyncio.create_task(trader.trade() if plan["trades"] else asyncio.sleep(0))
        await asyncio.wait([main, *work], return_when=asyncio.FIRST_COMPLETED)
        for task in work:
            if task.done():
                task.result()
        await main
        work[1].cancel()
        await trader.end()
        await stream.stop()
        for task in work:
            task.cancel()


def run(folder: str) -> None:
    """Live one life by the plan in ``folder``; its log and its error go to files there."""
    place = Path(folder)
    # Of its own: the journal of another schedule is no earlier one of this trader.
    os.environ["KALSHI_PLATFORM_HOME"] = str(place / "home")
    logging.basicConfig(filename=place / "log", level=logging.WARNING, force=True)
    logging.getLogger("stamina").setLevel(logging.ERROR)
    try:
        asyncio.run(live(json.loads((place / "plan.json").read_text()), place))
    except BaseException as err:
        with (place / "violations").open("a") as file:
            file.write(f"{type(err).__name__}: {err}\n")
        logging.exception("the trader ended")
        os._exit(1)
