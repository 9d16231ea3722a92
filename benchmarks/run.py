"""Runs the benchmarks one after the other and records what they measured.

A benchmark is a module of this folder whose ``main()`` returns (or yields) dicts, or prints them as JSON,
one a line, with the keys of FIELDS and any further ones. It checks its own answer against its peer and
raises where they differ. Each runs in a process of its own, so that none sees another's memory or caches.

    python benchmarks/run.py [--only NAME]... [--no-record]

``serve_many`` and ``session`` run only where ``--only`` names them. The kernels of a replica are
compiled before the benchmarks that start one, in none of their limits: minutes on a fresh machine.
Programs of their own, because these stay under twenty minutes together: ``client_decode``, ``matching``,
``recorder``, ``simserver``, ``simulator``, ``on_demand``, ``order_size``, ``sweep_two_nodes``,
``cjp_policy``, ``hftbacktest_fills``, and ``dataset_build`` and ``open_cold`` of large recordings.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
FIELDS = ("bench", "value", "unit", "peer", "peer_value", "ratio")

#: module -> seconds it may take; their sum keeps `make bench`, kernels aside, under twenty minutes.
LIMITS_S = {
    "book_replay": 35,
    "feature_replay": 60,
    "env_step": 30,
    "dataset_build": 60,
    "open_cold": 75,
    "rllib_sampling": 80,
    "train_iteration": 130,
    "train_moderate": 60,
    "sampling_workers": 46,
    "train_overlap": 60,
    "sweep_overhead": 240,
    "serve_tiers": 38,
    "serve_http": 155,
    "serve_stream": 130,
}
#: Run where ``--only`` names them: with these the others would take more than twenty minutes.
ALONE_S = {"serve_many": 200, "session": 280, "rest_write": 60}
LIMITS = LIMITS_S | ALONE_S
#: Start a replica, which compiles its kernels before it is ready; the limits above do not count that.
SERVED = ("serve_http", "serve_stream", "serve_many")
#: Seconds for those kernels: about 180 of a core on a fresh machine, 33 where they are compiled already.
WARM_UP_S = 600
#: line -> least ratio promised; a miss is shown and recorded, it is not a failure of the run.
TARGET_RATIOS = {
    "book_replay": 1.0,
    "feature_replay": 0.3,
    "feature_replay_python": 300.0,
    "rllib_sampling": 10.0,
    "rllib_sampling_simple": 5.0,
    "train_iteration": 4.0,
    "train_iteration_sb3": 4.0,
    "train_iteration_simple": 0.8,
    "train_iteration_moderate": 0.8,
    "sampling_workers": 1.6,
    "sweep_overhead": 0.952,  # an overhead of 5 %
    "serve_tier1": 1 / 3,
    "serve_tier2": 1 / 3,
    "serve_tier3": 1 / 3,
    "serve_tier3_complex": 1 / 3,
    "serve_batch": 4.0,  # 20 groups for the price of 5
    "serve_http": 1 / 1.25,  # packed: at most 1.25 times an empty application; plain JSON: its own line
    "serve_http_plain": 1 / 1.5,
    "serve_http_p99": 1 / 2,
    "serve_stream": 1 / 2.2,
    "serve_stream_p99": 1 / 3,
    "serve_batch_new": 20 / 4.5,  # 20 groups for at most 4.5 times the price of one
    "rest_write": 2.0,  # half of the time of httpx
    "serve_many_p99": 1 / 4,  # at most 4 times an empty application
}
PACKAGES = ("torch", "ray", "numba", "numpy", "onnxruntime", "hftbacktest", "stable-baselines3", "nanobook")


class BenchmarkError(Exception):
    """A benchmark crashed, took too long, or printed something that is not a result."""


def parse_lines(name: str, text: str) -> list[dict]:
    """Results among the lines a benchmark printed.

    BenchmarkError where there is none or a field is missing.
    """
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    if not lines:
        raise BenchmarkError(f"{name} printed no result")
    for line in lines:
        if missing := [field for field in FIELDS if field not in line]:
            raise BenchmarkError(f"{name}: {line} lacks {', '.join(missing)}")
    return lines


def imported(name: str) -> ModuleType:
    """Module of this folder, which may import the package, the tests' builders and the examples."""
    sys.path[:0] = [str(HERE.parent / folder) for folder in ("", "tests", "examples")]
    return import_module(name)


def run_child(name: str) -> None:
    """Import the benchmark, run it, and print its results; this is the body of the subprocess."""
    results: Iterable[dict] | None = imported(name).main()
    for result in results or ():
        print(json.dumps(result), flush=True)


def run_one(name: str, limit_s: float, command: list[str] | None = None) -> list[dict]:
    """Run one benchmark in a process of its own; at the limit it is ended with all its children."""
    return parse_lines(name, output_of(name, limit_s, command or child("--child", name)))


def warm_up(limit_s: float = WARM_UP_S, command: list[str] | None = None) -> float:
    """Compile a replica's kernels into the cache on disk, in a process of its own; returns its seconds."""
    started = time.perf_counter()
    output_of("the warm-up", limit_s, command or child("--warm-up"))
    return time.perf_counter() - started


def child(*words: str) -> list[str]:
    """Command line of this program in a process of its own."""
    return [sys.executable, str(Path(__file__).resolve()), *words]


def output_of(name: str, limit_s: float, command: list[str]) -> str:
    """Standard output of a command; BenchmarkError where it fails or does not finish in time."""
    with subprocess.Popen(
        command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"{name} did not finish in {limit_s} s") from None
        finally:  # also where the run is interrupted: no child outlives it
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise BenchmarkError(f"{name} ended with exit code {process.returncode}")
    return output


def below_target(line: dict) -> str | None:
    """Remark on a result that misses its target; None where it meets the target or has none."""
    if line.get("meets_targets") is False:
        return f"{line['bench']}: by its own account, see its line"
    target = TARGET_RATIOS.get(line["bench"])
    if target is None or line["ratio"] is None or line["ratio"] >= target:
        return None
    return f"{line['bench']}: ratio {line['ratio']:.3g}, promised at least {target:g}"


def machine() -> list[str]:
    """Facts that the figures depend on: processor, cores, memory, versions, commit."""
    cpu = platform.processor() or platform.machine()
    for row in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if row.startswith("model name"):
            cpu = row.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = [f"python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package} absent")
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return [f"{cpu}, {cores} cores, load at start {load}", ", ".join(versions)]


def commit() -> str:
    """Short name of the commit measured, marked where files differ from it."""
    git = ["git", "-C", str(HERE.parent), "describe", "--always", "--dirty", "--abbrev=9", "--exclude=*"]
    answer = subprocess.run(git, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "no commit"


def section(lines: list[dict], notes: list[str], about: list[str], took_s: float) -> str:
    """Text of a dated section of RESULTS.md."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    head = [f"## {stamp}, commit {commit()}", "", *(f"- {row}" for row in about), f"- took {took_s:.0f} s"]
    body = ["", "```json", *(json.dumps(line) for line in lines), "```"]
    tail = ["", *(f"- {note}" for note in notes)] if notes else []
    return "\n" + "\n".join([*head, *body, *tail]) + "\n"


def measured(names: Iterable[str]) -> tuple[list[dict], list[str]]:
    """Run the benchmarks and print their lines; returns (lines, failures)."""
    lines: list[dict] = []
    failures: list[str] = []
    if any(name in SERVED for name in names):
        print("kernels of a replica (minutes on a fresh machine; no limit) ...", file=sys.stderr, flush=True)
        try:
            print(f"kernels were ready in {warm_up():.0f} s", file=sys.stderr, flush=True)
        except BenchmarkError as err:  # a benchmark that does not need them is measured all the same
            failures.append(failed(err))
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            found = run_one(name, LIMITS[name])
        except BenchmarkError as err:
            failures.append(failed(err))
            continue
        for line in found:
            print(json.dumps(line), flush=True)
        lines += found
    return lines, failures


def failed(err: BenchmarkError) -> str:
    """Print a failure; returns the line that records it."""
    print(f"FAILED {err}", file=sys.stderr, flush=True)
    return f"FAILED {err}"


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen benchmarks, print their lines, record them; returns 1 where one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=LIMITS, help="this one; repeat for more")
    parser.add_argument("--no-record", action="store_true", help="leave RESULTS.md as it is")
    parser.add_argument("--child", choices=LIMITS, help=argparse.SUPPRESS)
    parser.add_argument("--warm-up", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.warm_up:
        imported("serving_app").warm_up()
        return 0
    if options.child:
        run_child(options.child)
        return 0
    about, started = machine(), time.perf_counter()
    lines, failures = measured(options.only or list(LIMITS_S))
    misses = [note for line in lines if (note := below_target(line))]
    for note in misses:
        print(f"below target: {note}", file=sys.stderr)
    if not options.no_record:
        notes = [f"below target: {note}" for note in misses] + failures
        with RESULTS.open("a") as file:
            file.write(section(lines, notes, about, time.perf_counter() - started))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
