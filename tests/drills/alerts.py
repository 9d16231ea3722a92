"""Provoke every alert of docker/alerts.yml and see it firing on a real Prometheus (`make alerts-drill`).

    PYTHONPATH=.:tests:tests/integration python tests/drills/alerts.py OUT [--skip PARTS]

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
from pathlib import Path
from typing import Any

import aiohttp
from made.prometheus import ALERTS, queries_of
from trouble import (
    Place,
    admin,
    again_and_again,
    beside,
    kill_all_the_time,
    load,
    replica,
    silent_stream,
    stale_stream,
    stall,
    started,
)

from kalshi_platform.models.registry.store import CHAMPION

#: Requests a second that go on all the time, and beside them those with too short a deadline.
RATE, HURRIED = 10.0, 4.0


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


async def changes(place: Place, log: Log) -> None:
    """What happens to models: one refused, one that only one of two replicas takes."""
    registry, (_, second, broken) = place.registry, place.models
    log.provoke("ShadowDisagrees")
    registry.promote(CHAMPION, broken, reason="a mistake")
    await admin(place, "/v1/models/reload")
    registry.rollback(CHAMPION, reason="a mistake")
    log.provoke("CandidateRefused")
    registry.promote(CHAMPION, second, reason="better")
    await admin(place, "/v1/models/reload")  # of one replica: the other looks in an hour
    log.provoke("ReplicasDisagree")


async def slow(place: Place, log: Log) -> None:
    """Stall a replica, hurry requests, open a stream and say nothing."""
    ingress = replica(place, "Ingress")
    assert ingress is not None
    log.provoke("SilentStreams", "SlowInference", "DeadlinesMissed")
    silent = again_and_again(lambda: silent_stream(place))
    hurried = load(place, HURRIED, deadline_ms=1)
    async with beside(silent), beside(stall(ingress, 0.12, 0.6)), beside(hurried):
        await until(log, "SilentStreams", "SlowInference", "DeadlinesMissed", limit_s=480)


async def streams(place: Place, log: Log) -> None:
    """Take the registry away for a moment; send stale frames while tier 3 is stopped half of the time."""
    log.provoke("ServiceFails")
    os.rename(place.out / "registry", place.out / "away")  # a bucket that cannot be read
    for _ in range(20):
        await admin(place, "/v1/models/reload")
    os.rename(place.out / "away", place.out / "registry")
    tier_3 = replica(place, "Tier3")
    assert tier_3 is not None
    log.provoke("StaleFeatures", "SlowStream")
    stale = again_and_again(lambda: stale_stream(place, 20.0))
    async with beside(stale), beside(stall(tier_3, 0.3, 0.6)):
        await until(log, "StaleFeatures", "SlowStream", "ServiceFails", limit_s=540)


async def crashes(place: Place, log: Log) -> None:
    """Kill tier 3 as soon as it is there; then roll back."""
    log.provoke("Fallbacks", "CrashLoop", "ReplicasMissing")
    async with beside(kill_all_the_time(place, "Tier3")):
        await until(log, "Fallbacks", "CrashLoop", "ReplicasMissing", limit_s=540)
    await until(log, "ReplicasDisagree", limit_s=660)  # before all answer with one model again
    for _ in range(10):  # each call asks one of the two replicas: both serve what the alias names then
        await admin(place, "/v1/models/reload")
    log.provoke("RolledBack")
    await admin(place, "/v1/models/rollback", reason="it trades too much")
    await until(log, "RolledBack", limit_s=120)


async def provoke_all(place: Place, log: Log, skipped: list[str]) -> None:
    """Run the parts of the drill one after the other."""
    async with beside(watch(place, log)):
        async with beside(load(place, RATE)):
            await asyncio.sleep(45)  # nothing is wrong: nothing may fire
            for part in (changes, slow, streams, crashes):
                if part.__name__ not in skipped:
                    await part(place, log)
            await until(log, "ShadowDisagrees", limit_s=600)
            (place.out / "panels.json").write_text(json.dumps(await panels(place), indent=1))
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
    parser.add_argument("--skip", nargs="*", default=[], help="parts: changes, slow, streams, crashes")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True)
    place, prometheus = started(asked.out.resolve(), asked.port_prometheus)
    log = Log()
    try:
        asyncio.run(provoke_all(place, log, asked.skip))
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
