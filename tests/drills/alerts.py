"""Provoke every alert of docker/alerts.yml and see it firing on a real Prometheus (`make alerts-drill`).

    python tests/drills/alerts.py OUT [--port-prometheus 29090]

Starts ``serve`` behind HAProxy (two replicas and tier 3, models that were never trained) and Prometheus with
the configuration and rules of docker/ at their real times: about 25 minutes, 4 GiB, two cores. Into OUT go

    drill.json, drill.md    each alert: when it was provoked, pending, firing, its value
    panels.json             every query of both boards: series, samples, or that it was empty
    prometheus/             the data, which `prometheus --storage.tsdb.path` shows again

Exit status 1 where an alert did not fire or one fired that nothing had provoked yet.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "integration"), str(ROOT)]

from made.prometheus import ALERTS, DOCKER, program, queries_of, scrape_config  # noqa: E402
from made.stream_texts import T0_NS, delta, line, snapshot  # noqa: E402
from test_serving import ADMIN, registered  # noqa: E402
from websockets.asyncio.client import connect  # noqa: E402

from kalshi_platform.models.registry.store import CHALLENGER, CHAMPION, Registry  # noqa: E402
from serve_deployments.local import free_port  # noqa: E402

#: Requests a second that go on all the time, and beside them those with too short a deadline.
RATE, HURRIED = 20.0, 8.0


class Place(NamedTuple):
    """Where everything runs."""

    out: Path
    url: str
    prometheus: str
    registry: Registry
    models: list[str]
    child: subprocess.Popen[str]


class Log:
    """What was provoked when, and what each alert did; seconds since the start."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.provoked: dict[str, float] = {}
        self.seen: dict[str, dict[str, Any]] = {}

    def now(self) -> float:
        return round(time.monotonic() - self.begun, 1)

    def provoke(self, *alerts: str) -> None:
        for alert in alerts:
            self.provoked.setdefault(alert, self.now())
        print(f"{self.now():7.1f} s  provoked: {', '.join(alerts)}", flush=True)

    def note(self, found: list[dict[str, Any]]) -> None:
        """Note the alerts that Prometheus shows now."""
        for alert in found:
            labels = alert["labels"]
            name = labels["alertname"] + (f" ({labels['seen_by']})" if "seen_by" in labels else "")
            entry = self.seen.setdefault(name, {})
            if alert["state"] not in entry:
                entry[alert["state"]] = self.now()
                entry["value"] = float(alert["value"])
                entry["summary"] = alert["annotations"]["summary"]
                print(f"{self.now():7.1f} s  {alert['state']}: {name}: {entry['summary']}", flush=True)

    def fires(self, name: str) -> bool:
        return any("firing" in entry for key, entry in self.seen.items() if key.split(" ")[0] == name)


def started(out: Path, prometheus_port: int) -> tuple[Place, subprocess.Popen[bytes]]:
    """Start server and Prometheus; returns when the server is ready."""
    registry = Registry(out / "registry")
    models = [registered(registry, 0), registered(registry, 1), registered(registry, 2, broken=True)]
    registry.promote(CHAMPION, models[0], reason="first", evidence="e" * 12)
    registry.promote(CHALLENGER, models[1], reason="to be compared")
    (out / "admins").write_text(ADMIN)
    args = {
        "registry": str(out / "registry"), "shadow": CHALLENGER,
        "access": {"require_token": False, "admin_token_file": str(out / "admins")},
        "limits": {"rates": {"rate_per_s": 10_000, "burst": 10_000}},
        "check": {"min_agreement": 0.0, "latency_factor": 100.0},
        "watch": {"max_p99_ms": 5_000.0, "worse_p99_ms": 5_000.0},
        "replicas": 2, "replica_cpus": 0, "tier_3_cpus": 0, "deadline_ms": 1_000.0, "inference_ttl_ms": 0,
        "tier_3_inside_ms": 0.0,
        "poll_s": 3_600.0,  # a replica looks when it is told to: so two of them can disagree
    }  # fmt: skip
    (out / "args.json").write_text(json.dumps(args))
    port, metrics_port = free_port("127.0.0.1"), free_port("127.0.0.1")
    log = (out / "serve.log").open("w")
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/integration/serve_child.py"), str(out / "args.json"), str(port),
         str(metrics_port)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    own = f"127.0.0.1:{prometheus_port}"
    config = scrape_config(f"127.0.0.1:{metrics_port}", own, DOCKER / "alerts.yml")
    (out / "prometheus.yml").write_text(yaml.safe_dump(config))
    prometheus = subprocess.Popen(
        [program("prometheus"), f"--config.file={out / 'prometheus.yml'}",
         f"--storage.tsdb.path={out / 'prometheus'}", f"--web.listen-address={own}"],
        stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    if not child.stdout.readline().startswith("ready"):
        prometheus.terminate()
        raise SystemExit(f"serve did not start: {out / 'serve.log'} says why")
    return Place(out, f"http://127.0.0.1:{port}", f"http://{own}", registry, models, child), prometheus


def replica(place: Place, deployment: str) -> int | None:
    """Process id of a replica of our own server, the oldest; None where none is alive."""
    found = []
    for process in psutil.Process(place.child.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[:1] and f"ServeReplica:policy:{deployment}" in process.cmdline()[0]:
                found.append((process.create_time(), process.pid))
    return min(found)[1] if found else None


@contextlib.asynccontextmanager
async def beside(work: Any) -> AsyncIterator[None]:
    """Run the coroutine ``work`` while the block runs."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def stall(pid: int, stopped_s: float, of_s: float) -> None:
    """Stop a process ``stopped_s`` of every ``of_s`` seconds, as a machine that is shared does."""
    try:
        while True:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(stopped_s)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(of_s - stopped_s)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def load(place: Place, rate: float, **more: Any) -> None:
    """Send requests at ``rate`` a second, whatever becomes of those before."""
    async with aiohttp.ClientSession(place.url, timeout=aiohttp.ClientTimeout(total=10)) as session:
        async with session.get("/v1/example") as found:
            body = await found.json()
        waiting: set[asyncio.Task[None]] = set()

        async def ask(number: int) -> None:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(
                    "/v1/decide", json={**body, **more, "request_id": f"{rate}-{number}"}
                ) as answer:
                    await answer.read()

        for number in range(10**9):
            task = asyncio.create_task(ask(number))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
            await asyncio.sleep(1 / rate)


async def admin(place: Place, path: str, **body: Any) -> int:
    """Status of a call of the administrator; of no JSON where ``body`` is empty."""
    async with (
        aiohttp.ClientSession(place.url, headers={"Authorization": f"Bearer {ADMIN}"}) as session,
        session.post(path, **({"json": body} if body else {})) as found,
    ):
        return found.status


def stream(place: Place) -> connect:
    """A connection to the stream, by ``async with``."""
    return connect(f"{place.url.replace('http', 'ws', 1)}/v1/stream", proxy=None, max_queue=None)


OPEN = json.dumps(
    {"type": "open", "decision_interval_ms": 0, "accept_missing_inputs": True, "allow_simulated": True}
)


async def silent_stream(place: Place) -> None:
    """Open a stream and send no frame."""
    async with stream(place) as socket:
        await socket.send(OPEN)
        await asyncio.Future()


async def stale_stream(place: Place, rate: float) -> None:
    """Send changes of one market, 40 minutes after the last message of the other market of its group."""
    later = T0_NS + 40 * 60 * 10**9
    async with stream(place) as socket:
        await socket.send(OPEN)
        await socket.send(line(T0_NS, snapshot(ticker="KXTEST-1-A", sid=1)))
        await socket.send(line(T0_NS + 10**9, snapshot(ticker="KXTEST-1-B", sid=2)))
        for k in range(10**9):
            change = "-1.00" if k % 2 else "1.00"
            await socket.send(
                line(later + k * 5 * 10**7, delta(2 + k, change=change, ticker="KXTEST-1-B", sid=2))
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1 / rate):
                    while True:
                        await socket.recv()


async def kill_all_the_time(place: Place, deployment: str) -> None:
    """Kill a deployment's replica twice a second: it crashes as soon as it is there."""
    while True:
        if (pid := replica(place, deployment)) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.5)


async def until(log: Log, *names: str, limit_s: float) -> None:
    """Wait until the alerts fire, at most ``limit_s`` seconds."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end and not all(log.fires(name) for name in names):
        await asyncio.sleep(1)


async def watch(place: Place, log: Log) -> None:
    """Note what Prometheus says of its alerts, every two seconds."""
    async with aiohttp.ClientSession(place.prometheus) as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get("/api/v1/alerts") as found:
                    log.note((await found.json())["data"]["alerts"])
            await asyncio.sleep(2)


async def provoke_all(place: Place, log: Log) -> None:
    """The whole drill, in four parts."""
    registry, (_, second, broken) = place.registry, place.models
    async with beside(watch(place, log)), beside(load(place, RATE)):
        await asyncio.sleep(45)  # nothing is wrong: nothing may fire
        log.provoke("ShadowDisagrees")
        registry.promote(CHAMPION, broken, reason="a mistake")
        await admin(place, "/v1/models/reload")
        registry.rollback(CHAMPION, reason="a mistake")
        log.provoke("CandidateRefused")
        registry.promote(CHAMPION, second, reason="better")
        await admin(place, "/v1/models/reload")  # of one replica: the other looks in an hour
        log.provoke("ReplicasDisagree")
        ingress = replica(place, "Ingress")
        assert ingress is not None
        log.provoke("SilentStreams", "SlowInference", "DeadlinesMissed")
        async with (
            beside(silent_stream(place)), beside(stall(ingress, 0.12, 0.6)),
            beside(load(place, HURRIED, deadline_ms=1)),
        ):  # fmt: skip
            await until(log, "SilentStreams", "SlowInference", "DeadlinesMissed", limit_s=480)

        log.provoke("ServiceFails")
        os.rename(place.out / "registry", place.out / "away")  # a bucket that cannot be read
        for _ in range(20):
            await admin(place, "/v1/models/reload")
        os.rename(place.out / "away", place.out / "registry")
        tier_3 = replica(place, "Tier3")
        assert tier_3 is not None
        log.provoke("StaleFeatures", "SlowStream")
        async with beside(stale_stream(place, 20.0)), beside(stall(tier_3, 0.3, 0.6)):
            await until(log, "StaleFeatures", "SlowStream", "ServiceFails", limit_s=480)
        await until(log, "ReplicasDisagree", limit_s=300)

        log.provoke("RolledBack")
        await admin(place, "/v1/models/rollback", reason="it trades too much")
        log.provoke("Fallbacks", "CrashLoop", "ReplicasMissing")
        async with beside(kill_all_the_time(place, "Tier3")):
            await until(log, "RolledBack", "Fallbacks", "CrashLoop", "ReplicasMissing", limit_s=540)
        await until(log, "ShadowDisagrees", limit_s=300)
        (place.out / "panels.json").write_text(json.dumps(await panels(place), indent=1))
    async with beside(watch(place, log)):
        log.provoke("NoReadyReplica", "NotScraped")
        assert place.child.stdin is not None
        place.child.stdin.close()
        await until(log, "NoReadyReplica", "NotScraped", limit_s=300)


async def panels(place: Place) -> list[dict[str, Any]]:
    """Every query of both boards over the drill: how many series and samples it has."""
    end, found = time.time(), []
    async with aiohttp.ClientSession(place.prometheus) as session:
        for query in (*queries_of("serving"), *queries_of("ray")):
            asked = {"query": query.expression, "start": str(end - 1_800), "end": str(end), "step": "15"}
            async with session.post("/api/v1/query_range", data=asked) as answer:
                told = await answer.json()
            series = told.get("data", {}).get("result", [])
            samples = sum(value != "NaN" for each in series for _, value in each["values"])
            entry = {
                "panel": query.where,
                "query": query.expression,
                "series": len(series),
                "samples": samples,
            }
            found.append(entry if told["status"] == "success" else {**entry, "error": told.get("error")})
            if not samples:
                print(f"          empty: {query.where}: {query.expression}", flush=True)
    return found


def report(place: Place, log: Log) -> int:
    """Write the table; returns the exit status."""
    rows, wrong = [], []
    for name in (rule["alert"] for rule in ALERTS):
        keys = [key for key in log.seen if key.split(" ")[0] == name] or [name]
        for key in keys:
            entry, at = log.seen.get(key, {}), log.provoked.get(name)
            firing = entry.get("firing")
            if firing is None and not log.fires(name):
                wrong.append(f"{key} did not fire")
            if firing is not None and (at is None or firing < at):
                wrong.append(f"{key} fired before it was provoked")
            after = None if firing is None or at is None else round(firing - at)
            rows.append({"alert": key, "provoked_s": at, **entry, "after_s": after})
    (place.out / "drill.json").write_text(json.dumps({"alerts": rows, "wrong": wrong}, indent=1))
    lines = ["| alert | provoked | pending | firing | after | says |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {r['alert']} | {r['provoked_s']} s | {r.get('pending', '')} | {r.get('firing', '')} "
        f"| {r['after_s']} s | {r.get('summary', '')} |"
        for r in rows
    ]
    (place.out / "drill.md").write_text("\n".join(lines) + "\n")
    print("\n".join([*lines, *wrong]))
    return 1 if wrong else 0


def main() -> int:
    """Run the drill; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--port-prometheus", type=int, default=29_090)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True)
    place, prometheus = started(asked.out.resolve(), asked.port_prometheus)
    log = Log()
    try:
        asyncio.run(provoke_all(place, log))
    finally:
        status = report(place, log)
        assert place.child.stdin is not None
        place.child.stdin.close()
        prometheus.terminate()
        prometheus.wait()
        try:
            place.child.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(place.child.pid, signal.SIGKILL)
    return status


if __name__ == "__main__":
    sys.exit(main())
