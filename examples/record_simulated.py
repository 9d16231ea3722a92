"""Record a simulated exchange, build a dataset of it, train a policy on it and judge the policy.

Run    python examples/record_simulated.py FOLDER [--minutes 2] [--speed 60] [--steps 20000]
Makes  FOLDER/recording, FOLDER/dataset, FOLDER/run with its report; the recorder prints its page's address.
Again  every further run records one more day, adds it to the dataset and judges the first policy on it.
Real   kalshi-platform record takes the same options with a real key, without --rest-url and --stream-url.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

#: Series of the simulated exchange.
SERIES = ("WORLDONE", "WORLDTOP", "WORLDBKT")
#: The exchange's clock when the first day begins; each further run is a day later.
FIRST_DAY = datetime(2026, 11, 2, 14, tzinfo=UTC)
#: Events of one day are numbered from day x this on.
EVENTS_A_DAY = 1_000
#: Events of ten to fifteen minutes: some sixty in two minutes at sixty times the speed.
SHORT = ("--set", "world.min_duration_s=600", "--set", "world.max_duration_s=900")
#: Fewer events teach nothing; half a dozen are few, too.
LEAST_EVENTS = 4
#: Beside the keys: what the exchange says.
LOG = "exchange.log"
PROGRAM = [sys.executable, "-c", "from kalshi_platform.cli.start import main; main()"]


def run(*words: str, environment: dict[str, str] | None = None) -> None:
    """Run one command of the program; ends with its exit code where it fails: it has said why."""
    print(f"\n$ kalshi-platform {' '.join(words)}", flush=True)
    if code := run_to_its_end(*words, environment=environment):
        raise SystemExit(code)


def run_to_its_end(*words: str, environment: dict[str, str] | None = None) -> int:
    """Exit code of a command of the program; Ctrl-C is the command's alone, which ends in its own time."""
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        done = subprocess.run([*PROGRAM, *words], check=False, env={**os.environ, **(environment or {})})
    finally:
        signal.signal(signal.SIGINT, before)
    return done.returncode


def start_exchange(
    keys: Path, speed: float, more: Sequence[str] = (), wanted: int = 2
) -> tuple["subprocess.Popen[str]", dict[str, str]]:
    """(process of the exchange, its first addresses: "REST", "WebSocket", "admin", "token").

    ``more``: further options; ``wanted``: how many addresses are waited for.
    """
    words = ["simexchange", "serve", "--keys", str(keys), "--speed", str(speed), "--events", "6", *more]
    # Ctrl-C is the session's or the recorder's, which still needs the exchange while it ends.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with (keys.parent / LOG).open("w") as log:  # the terminal is the session's: its screen may be there
            exchange = subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=log, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        addresses = _addresses(exchange, keys.parent / LOG, wanted)
    except BaseException:
        stop_exchange(exchange)
        raise
    assert exchange.stdout is not None
    threading.Thread(target=exchange.stdout.read, daemon=True).start()  # or it would fill its pipe and wait
    return exchange, addresses


def _addresses(exchange: "subprocess.Popen[str]", log: Path, wanted: int) -> dict[str, str]:
    """First addresses that the exchange prints; ends this program where the exchange ends before."""
    assert exchange.stdout is not None
    found: dict[str, str] = {}
    while len(found) < wanted:
        line = exchange.stdout.readline()
        if not line:
            said = log.read_text()[-300:].strip()
            raise SystemExit(f"the simulated exchange ended with exit code {exchange.wait()}: {said} ({log})")
        name, _, address = line.strip().partition(" ")
        found[name] = address
    return found


def stop_exchange(exchange: "subprocess.Popen[str]") -> None:
    """End the exchange."""
    exchange.terminate()
    exchange.wait(20)
    assert exchange.stdout is not None
    exchange.stdout.close()


def record(folder: Path, minutes: float, speed: float) -> Path:
    """Record one more day for some minutes; returns the folder of the recording."""
    keys, recording = folder / "keys", folder / "recording"
    if not keys.exists():
        run("simexchange", "keys", "--out", str(keys))
    day = len([*(recording / "facts").glob("*.jsonl")])
    start = FIRST_DAY + timedelta(days=day)
    print(
        f"\nthe simulated exchange starts on {start:%Y-%m-%d}, {speed:g} times as fast as a clock (the first "
        f"time it compiles for two minutes), then the recorder runs for {minutes:g} minutes: open its page",
        flush=True,
    )
    more = ["--start", f"{start:%Y-%m-%dT%H:%M:%SZ}", "--first-event", str(day * EVENTS_A_DAY), *SHORT]
    exchange, addresses = start_exchange(keys, speed, more)
    key = next(k for k in json.loads((keys / "keys.json").read_text()) if k["name"] == "ed25519")
    secrets = {"KALSHI_API_KEY_ID": key["key_id"], "KALSHI_PRIVATE_KEY_FILE": str(keys / "ed25519.pem")}
    series = [word for name in SERIES for word in ("--series", name)]
    try:
        run(
            "record", *series, "--out", str(recording), "--minutes", str(minutes),
            "--set", "world=calibrated",
            "--rest-url", addresses["REST"], "--stream-url", addresses["WebSocket"],
            environment=secrets,
        )  # fmt: skip
    finally:
        stop_exchange(exchange)
    run("record", "status", str(recording))
    return recording


def events_to_learn_from(dataset: str) -> int:
    """Events of the train split that a policy can play; the dataset must be there."""
    words = [*PROGRAM, "dataset", "info", dataset, "--json"]
    told = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    train = told["splits"].get("train")
    return 0 if train is None else train["events"] - (train["unplayable_events"] or 0)


def main() -> None:
    """Record, build, train, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--speed", type=float, default=60.0)
    parser.add_argument("--steps", type=int, default=20_000, help="0: stop after the dataset")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    recording = record(asked.folder, asked.minutes, asked.speed)
    dataset, policy = asked.folder / "dataset", asked.folder / "run"
    if (dataset / "manifest.json").exists():
        run("dataset", "build", "--add", str(recording), "--to", str(dataset))
    else:
        run("dataset", "build", "--input", str(recording), "--out", str(dataset))
    if not asked.steps:
        return
    if not (policy / "run.json").exists():
        if (events := events_to_learn_from(str(dataset))) < LEAST_EVENTS:
            raise SystemExit(
                f"\n{events} events to learn from are too few to train on (at least {LEAST_EVENTS}): record "
                f"longer, --minutes {max(2, round(asked.minutes * 3)):g}, or once more into the same folder"
            )
        run("train", "--dataset", str(dataset), "--out", str(policy), "--steps", str(asked.steps))
    run("evaluate", "--run", str(policy), "--dataset", str(dataset))
    print(
        f"\nopen {policy}/evaluation/report.html. Run this again for a second day: it joins the dataset, and "
        "the policy of the first day is judged on both"
    )


if __name__ == "__main__":
    main()
