"""A session's own speed: frames to features, to decisions, to orders; and 100 markets at 10 Hz.

feed_to_features  from the frame's leaving the socket to the market's features; mode paper, decisions at every
                  message. Goal: p99 < 1 ms
feed_to_order     from there to the signed request being handed to HTTP: policy (a small network in this
                  process), limits and the journal's sync are in it; mode simulated. Goals: p50 < 1 ms,
                  p99 < 5 ms
..._memory        the same with the session's folder in memory (/dev/shm): without the disk's sync
markets_100       100 markets, 10 Hz, on paper. Goals: 1,000 frames/s, 99.9 % of ticks kept, on one core
Exchange          simulated, on the other core; it moves every 2 ms, so that frames come singly
Peers             session_peers.py, each right after the session, at the same exchange
Run               python benchmarks/run.py --only session
Without a record  PYTHONPATH=tests:examples python benchmarks/session.py [--seconds 20]
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from made.sim_server import demo_keys
from made.trading_scene import key_in_environment, registry_with_model
from record_simulated import PROGRAM, SERIES, stop_exchange
from session_peers import BareClient, figures_ms, sync_ms

from kalshi_platform.trading.exchange.signing import signer_from_environment
from kalshi_platform.trading.execution.risk.limits import RiskLimits
from kalshi_platform.trading.recorder.settings import RecordConfig
from kalshi_platform.trading.session.live_session import AskedSession, trade
from kalshi_platform.trading.session.modes import PaperMode, SimulatedMode
from kalshi_platform.trading.session.report.session_replay import session_lines, session_runs
from kalshi_platform.trading.session.session_config import TradingSessionConfig

WIDE = {
    "order_contracts": 100, "order_cost_usd": 100, "market_contracts": 1_000, "market_loss_usd": 1_000,
    "event_loss_usd": 9_000, "category_loss_usd": 9_000, "account_loss_usd": 9_000, "day_loss_usd": 9_000,
    "drawdown_usd": 9_000, "spread_usd": 1, "day_spend_usd": 1_000_000, "day_contracts": 1_000_000,
    "orders_per_second": 1_000, "orders_per_minute": 60_000, "losing_streak": 10_000, "price_distance_usd": 1,
    "day_orders": 1_000_000, "market_orders": 100,
}  # fmt: skip
FEATURES_P99_MS, ORDER_P50_MS, ORDER_P99_MS = 1.0, 1.0, 5.0
FRAMES_A_SECOND, KEPT = 1_000, 0.999


@dataclass(frozen=True)
class Scene:
    """One session at one exchange."""

    mode: str  # paper, simulated
    events: int  # about three markets each
    speed: float  # of the exchange's clock: frames a second follow
    hz: float
    seconds: float
    place: Path | None = None  # of the session's folder; None: the disk's


@contextmanager
def exchange(scene: Scene) -> Iterator[dict[str, str]]:
    """Addresses of a simulated exchange in a process of its own, on the first core."""
    words = ["simexchange", "serve", "--keys", str(demo_keys()), "--speed", str(scene.speed)]
    words += ["--tier", "prestige", "--set", "slice_ms=2", "--events", str(scene.events), "--json"]
    served = subprocess.Popen(
        [*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    os.sched_setaffinity(served.pid, {CORES[0]})
    assert served.stdout is not None
    addresses = json.loads(served.stdout.readline())
    threading.Thread(target=served.stdout.read, daemon=True).start()
    try:
        yield addresses
    finally:
        stop_exchange(served)


CORES = sorted(os.sched_getaffinity(0))


def measure(scene: Scene, peer_every: int = 0, peer_seconds: float = 0.0) -> dict[str, Any]:
    """Latencies of one session on the last core, and of the bare client after it."""
    folder = Path(tempfile.mkdtemp(prefix="session-bench-", dir=scene.place))
    mode, key = (PaperMode, "reader") if scene.mode == "paper" else (SimulatedMode, "ed25519")
    try:
        with exchange(scene) as served, key_in_environment(key):
            asked = AskedSession(
                mode=mode.parse({"rest_url": served["url"], "stream_url": served["ws_url"]}),
                config=TradingSessionConfig(hz=scene.hz, told_s=1e6),
                record=RecordConfig.parse({"wanted": {"series": SERIES}}), out=folder / "session",
                registry=registry_with_model(folder / "registry", order_style="taker"),
                alias="challenger", minutes=scene.seconds / 60, limits=RiskLimits.parse(WIDE),
            )  # fmt: skip
            begun_s, begun_cpu_s = time.monotonic(), time.process_time()
            trade(asked, lambda line: None)
            cores = (time.process_time() - begun_cpu_s) / (time.monotonic() - begun_s)
            found = figures_of(asked.out, scene.seconds) | {"cores": round(cores, 2)}
            if peer_seconds:
                found["peer"] = bare(served, found["tickers"], peer_every, peer_seconds, folder)
        return found | {"sync_ms": sync_ms(folder)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def figures_of(out: Path, seconds: float) -> dict[str, Any]:
    """Figures of a session from its own recording."""
    run = session_runs(out)[-1]
    frames, tickers, ended = 0, {}, {}
    for record in session_lines(out, run):
        if "raw" in record:
            frames += 1
            msg = json.loads(record["raw"]).get("msg")
            if isinstance(msg, dict) and "market_ticker" in msg:
                tickers[msg["market_ticker"]] = None
        elif record.get("note") == "session_ended":
            ended = record["detail"]
    return {
        "frames_per_s": round(frames / seconds), "markets": len(tickers), "tickers": list(tickers),
        "orders": ended["orders"], "problems": ended["problems"], **ended["latency"],
        "played_again": ended.get("played_again"),
    }  # fmt: skip


def bare(
    served: dict[str, str], tickers: list[str], order_every: int, seconds: float, folder: Path
) -> dict[str, Any]:
    """Figures of the bare client; RuntimeError where its books or its orders are wrong."""
    signer = signer_from_environment(os.environ)
    assert signer is not None
    client = BareClient(served, signer, tickers)
    asyncio.run(client.run(seconds, order_every, folder / "orders.log" if order_every else None))
    wrong = client.differences()
    if wrong or client.refused or not client.feed_ns:
        raise RuntimeError(f"the bare client: {wrong} books wrong, {client.refused} orders refused")
    orders = {"order_ms": figures_ms(client.order_ns), "orders": client.taken} if client.order_ns else {}
    return {"feed_ms": figures_ms(client.feed_ns), "frames": len(client.feed_ns), **orders}


def line(bench: str, value: float, peer: str, peer_value: float | None, **more: Any) -> dict[str, Any]:
    """One result; times are worse the larger they are."""
    ratio = None if peer_value is None else round(peer_value / value, 4)
    return {
        "bench": bench, "value": value, "unit": "ms", "peer": peer, "peer_value": peer_value, "ratio": ratio,
        **more,
    }  # fmt: skip


def main(seconds: float = 20.0) -> Iterator[dict[str, Any]]:
    """Measure all three and the one in memory."""
    os.sched_setaffinity(0, {CORES[-1]})
    found = measure(Scene("paper", 3, 20.0, 0.0, seconds), peer_seconds=seconds / 2)
    stage, peer = found["stages"]["features"], found["peer"]
    yield line(
        "feed_to_features", stage["p99_ms"], "websockets, json.loads and a dict, p99", peer["feed_ms"]["p99"],
        p50_ms=stage["p50_ms"], most_ms=stage["most_ms"], peer_p50_ms=peer["feed_ms"]["p50"],
        goal_p99_ms=FEATURES_P99_MS, meets_targets=stage["p99_ms"] < FEATURES_P99_MS, **_context(found),
    )  # fmt: skip
    for name, place in (("feed_to_order", None), ("feed_to_order_memory", Path("/dev/shm"))):
        found = measure(Scene("simulated", 3, 4.0, 0.0, seconds, place), 7, seconds / 2)
        stage, peer = found["stages"]["order"], found["peer"]["order_ms"]
        meets = stage["p50_ms"] < ORDER_P50_MS and stage["p99_ms"] < ORDER_P99_MS
        yield line(
            name, stage["p50_ms"], "a synced line and a signed POST, p50", peer["p50"],
            p99_ms=stage["p99_ms"], most_ms=stage["most_ms"], peer_p99_ms=peer["p99"],
            goals_ms=[ORDER_P50_MS, ORDER_P99_MS], meets_targets=meets, **_context(found),
        )  # fmt: skip
    found = measure(Scene("paper", 34, 8.0, 10.0, seconds))
    kept, rate = found["kept"], found["frames_per_s"]
    yield {
        "bench": "markets_100", "value": kept, "unit": "share of ticks kept", "peer": "every tick",
        "peer_value": 1.0, "ratio": kept, "goal": [FRAMES_A_SECOND, KEPT],
        "meets_targets": kept >= KEPT and rate >= FRAMES_A_SECOND and found["markets"] >= 100,
        "ticks": found["ticks"], "ticks_late": found["ticks_late"], **_context(found),
    }  # fmt: skip


def _context(found: dict[str, Any]) -> dict[str, Any]:
    """Figures that stand beside every result."""
    names = ("frames_per_s", "markets", "cores", "orders", "stages", "sync_ms", "played_again", "problems")
    return {name: found[name] for name in names} | {"load": round(os.getloadavg()[0], 1)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    for result in main(parser.parse_args().seconds):
        print(json.dumps(result), flush=True)
