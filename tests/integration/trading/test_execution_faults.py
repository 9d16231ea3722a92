"""Faults of trading: seeded random schedules of the simulated exchange's faults, kill -9 of the trader among
them.

One server, one account, one trader after another (made/execution_child.py), each with a journal of its own:
random orders, random faults, killed at random moments and started again. Then, by the server's own truth:
no order doubled, none forgotten, position and cash equal to the last unit, no limit passed, nothing sent
while an outcome was unknown. ``FAULT_SCHEDULES`` sets how many; `make faults` runs 300.
"""

import asyncio
import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from made import execution_child
from made.raw_exchange import RawKey
from made.sim_server import demo_keys
from made.stands import differences

from kalshi_platform.trading.simserver.config import ServerConfig
from kalshi_platform.trading.simserver.faults.forms import PlantedFault
from kalshi_platform.trading.simserver.server import Server
from kalshi_platform.trading.simserver.venue.truth import account_truth

SCHEDULES = int(os.environ.get("FAULT_SCHEDULES", "6"))
FIRST = int(os.environ.get("FAULT_FIRST", "0"))
WORKERS, PER_SERVER = min(3, SCHEDULES), 20
_FAULTS = [
    {"kind": "timeout_accepted", "method": "POST", "path": "events/orders", "seconds": 1.0},
    {"kind": "timeout_refused", "method": "POST", "path": "events/orders", "seconds": 1.0},
    {"kind": "timeout_accepted", "method": "DELETE", "path": "events/orders", "seconds": 1.0},
    {"kind": "timeout_refused", "method": "DELETE", "path": "events/orders", "seconds": 1.0},
    {"kind": "http_5xx", "method": "POST", "path": "events/orders", "accepted": True},
    {"kind": "http_5xx", "method": "POST", "path": "events/orders"},
    {"kind": "http_5xx", "method": "DELETE", "path": "events/orders", "accepted": True},
    {"kind": "http_5xx", "path": "portfolio", "count": 3},
    {"kind": "http_429", "method": "POST", "path": "events/orders", "count": 2},
    {"kind": "http_429", "method": "GET", "path": "portfolio", "count": 2},
    {"kind": "late_ack", "method": "POST", "path": "events/orders", "seconds": 0.3},
    {"kind": "late_ack", "method": "DELETE", "path": "events/orders", "seconds": 0.3},
    {"kind": "duplicate_ack"},
    {"kind": "drop_frame", "channel": "fill", "count": 2},
    {"kind": "drop_frame", "channel": "user_orders", "count": 3},
    {"kind": "duplicate_frame", "channel": "fill"},
    {"kind": "reorder_frame", "channel": "user_orders"},
    {"kind": "reorder_frame", "channel": "fill"},
    {"kind": "overflow", "channel": "fill"},
    {"kind": "channel_error", "channel": "user_orders"},
    {"kind": "disconnect"},
    {"kind": "half_open"},
    {"kind": "not_found_after_fill"},
    {"kind": "partial_page", "path": "portfolio/fills"},
    {"kind": "partial_page", "path": "portfolio/orders"},
    {"kind": "pause", "seconds": 20},
    {"kind": "pause", "seconds": 20, "full": True},
    {"kind": "market_pause", "seconds": 20},
    {"kind": "tick_change"},
    {"kind": "early_close", "seconds": 5},
    {"kind": "redetermine", "seconds": 5},
    {"kind": "fee_change"},
    {"kind": "clock_skew", "skew_ms": 3_000},
]


@pytest.fixture(scope="module")
def processes():
    """Maker of traders: processes that are forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["made.execution_child"])
    return context


class Watch:
    """Server whose every accepted order is held against the limits at once."""

    def __init__(self, speed: float = 30.0) -> None:
        config = {"tier": "prestige", "n_events": 3, "speed": speed, "seed": 5, "cash_usd": 5_000}
        self.server = Server(ServerConfig.parse(config), demo_keys())
        self.violations: list[str] = []
        self.stems: Counter[str] = Counter()
        desk = self.server.desk
        create = desk.create

        def watched(wanted):
            order = create(wanted)
            self.check(order)
            return order

        desk.create = watched

    def check(self, order) -> None:
        """Check size, number and contracts of the order's market."""
        self.stems[order.client_order_id] += 1
        account, ticker = self.server.venue.account, order.market.ticker
        resting = [o for o in account.by_core.values() if o.market.ticker == ticker]
        positions = account.primary.positions
        held = positions[ticker].position_e2 if ticker in positions else 0
        bids = sum(o.left_e2 for o in resting if o.side == "bid")
        asks = sum(o.left_e2 for o in resting if o.side == "ask")
        most = execution_child.MARKET_CONTRACTS * 100
        if max(held + bids, asks - held) > most:
            self.violations.append(f"{ticker}: {held} held, {bids} bid, {asks} asked; at most {most}")
        if order.initial_e2 > execution_child.ORDER_CONTRACTS * 100:
            self.violations.append(f"{order.client_order_id} has {order.initial_e2}")
        if len(resting) > execution_child.MARKET_ORDERS:
            self.violations.append(f"{ticker} has {len(resting)} orders")

    @asynccontextmanager
    async def serving(self):
        async with self.server.serving("127.0.0.1", 0) as served:
            yield served


class Run:
    """One schedule."""

    def __init__(self, seed: int, folder: Path, watch: Watch, served, processes) -> None:
        self.seed, self.folder, self.watch, self.served, self.processes = (
            seed,
            folder,
            watch,
            served,
            processes,
        )
        self.draw = random.Random(f"schedule {seed}")
        self.kills = 0
        folder.mkdir(parents=True)

    def plan(self, life: int) -> None:
        key = RawKey(demo_keys(), "ed25519")
        outage = self.draw.choice([0.0, 0.0, 0.0, 0.5, 1.5])
        self.folder.joinpath("plan.json").write_text(json.dumps({
            "seed": self.seed, "life": life, "acts": self.draw.randint(8, 30), "trades": True,
            "outage_s": outage, "url": self.served.url, "ws_url": self.served.ws_url, "key_id": key.key_id,
            "key_file": str(demo_keys() / "ed25519.pem"),
        }))  # fmt: skip

    def sent(self) -> int:
        """Number of creates that this run's traders handed to their client."""
        path = self.folder / "sent"
        return len(path.read_text().splitlines()) if path.exists() else 0

    async def plant(self) -> None:
        """Plant random faults, one by one."""
        for _ in range(self.draw.randint(2, 7)):
            await asyncio.sleep(self.draw.uniform(0.02, 0.4))
            self.watch.server.acts.plant(PlantedFault.parse(self.draw.choice(_FAULTS)))
            self.watch.server.sockets.flush_all()

    async def go(self) -> dict:
        lives = self.draw.choice([1, 2, 2, 3])
        for life in range(lives):
            self.plan(life)
            child = self.processes.Process(target=execution_child.run, args=(str(self.folder),), daemon=True)
            child.start()
            try:
                await self.until(lambda n=life: (self.folder / f"life{n}").exists(), child)
                planting = asyncio.create_task(self.plant())
                if life == lives - 1:
                    await planting
                    return await self.agree(child)
                await self.kill(child)
                planting.cancel()
            finally:
                child.kill()
                await asyncio.to_thread(child.join)
        raise AssertionError("a schedule has a last life")

    async def kill(self, child) -> None:
        """End a trader without a word, some sends or some time after it began."""
        wanted, end = self.sent() + self.draw.randint(1, 8), time.monotonic() + self.draw.uniform(0.3, 3.0)
        while self.sent() < wanted and time.monotonic() < end:
            await asyncio.sleep(0.002)
        await asyncio.sleep(self.draw.choice([0.0, 0.0, 0.001, 0.005, 0.02, 0.1]))
        os.kill(child.pid, signal.SIGKILL)
        self.kills += 1

    async def until(self, true, child, seconds: float = 240.0) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert child.is_alive() or true(), self.words()
            assert time.monotonic() < end, f"not in {seconds:g} s: {self.words()}"
            await asyncio.sleep(0.02)

    async def agree(self, child) -> dict:
        """Wait until the trader's calm stand equals the server's, and stop it."""
        stand: dict = {}

        def agreed() -> bool:
            nonlocal stand
            path = self.folder / "result.json"
            if not path.exists():
                return False
            stand = json.loads(path.read_text())
            return stand["is_calm"] and not self.differences(stand)

        try:
            await self.until(agreed, child)
        except AssertionError as err:
            raise AssertionError(f"{err}\n{self.differences(stand) if stand else ''}\n{stand}") from None
        (self.folder / "stop").touch()
        await asyncio.to_thread(child.join, 240)
        assert child.exitcode == 0, self.words()
        return stand

    def differences(self, stand: dict) -> list[str]:
        """Everything that the trader's stand and the server's truth do not agree on."""
        return differences(stand, account_truth(self.watch.server.venue))

    def words(self) -> str:
        names = ("violations", "log")
        texts = [(self.folder / n).read_text()[-2_000:] for n in names if (self.folder / n).exists()]
        return f"schedule {self.seed}: " + "\n".join(texts)


def test_schedules_of_faults_and_kills_leave_nothing_doubled_forgotten_or_unlike_the_exchange(
    tmp_path, processes, monkeypatch
):
    monkeypatch.setenv("KALSHI_PLATFORM_HOME", str(tmp_path / "home"))
    totals: Counter[str] = Counter()

    async def serve(seeds: range) -> None:
        watch = Watch()
        async with watch.serving() as served:
            for seed in seeds:
                run = Run(seed, tmp_path / f"{seed}", watch, served, processes)
                began = time.monotonic()
                stand = await run.go()
                bad = run.folder / "violations"
                assert not bad.exists(), run.words()
                assert watch.violations == []
                assert [name for name, n in watch.stems.items() if n > 1] == []
                assert stand["surprises"] == {}
                totals.update(schedules=1, kills=run.kills, orders=len(stand["orders"]))
                totals.update(Counter(f"ended_{order[1]}" for order in stand["orders"].values()))
                totals.update({n: c for n, c in stand["counts"].items() if n.startswith("difference:")})
                totals.update({n: c for n, c in stand["counts"].items() if n in ("outcomes_lost", "fills")})
                took_s, fills = time.monotonic() - began, stand["counts"].get("fills", 0)
                orders = len(stand["orders"])
                print(f"schedule {seed}: {took_s:.1f} s, {run.kills} kills, {orders} orders, {fills} fills")
            totals.update({f"struck:{kind}": n for kind, n in watch.server.faults.counts.items()})

    async def serve_side_by_side(first: int) -> None:
        """Run the schedules of one round, each on one of the servers, so that their waits overlap."""
        async with asyncio.TaskGroup() as group:
            for worker in range(WORKERS):
                last = min(first + WORKERS * PER_SERVER, FIRST + SCHEDULES)
                group.create_task(serve(range(first + worker, last, WORKERS)))

    for first in range(FIRST, FIRST + SCHEDULES, WORKERS * PER_SERVER):
        asyncio.run(serve_side_by_side(first))
    print(json.dumps(dict(sorted(totals.items())), indent=1))
    assert totals["orders"] >= execution_child.LEAST_ORDERS * SCHEDULES
    assert totals["fills"] > 0
