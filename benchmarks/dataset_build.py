"""Events a second from recorded files to feature shards, and the memory of the whole build.

    python benchmarks/dataset_build.py                  # the recorded data, in a minute (make bench)
    python benchmarks/dataset_build.py FOLDER [ROUNDS]  # recordings of `simulate --events 1000` or 3000 (6 or
                                                        # 18 M rows): one process, two, and by size, by turns

Input    the weather trades and the capture files of ../shared/data where present, else random trades in the
         same Parquet format; built with one process and with Ray on every core.
Memory   resident sizes of this process and all its descendants (Ray's own processes too), summed, sampled
         every 50 ms; pages shared between them count once each process, so the figure is an upper bound.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.inspect import find_problems
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.data.features.kernel import warm

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data"
MEMORY_LIMIT_MIB = 2_048
_SAMPLE_S = 0.05


class PeakMemory:
    """Samples the resident memory of this process and its descendants while it is entered."""

    def __enter__(self) -> "PeakMemory":
        self.peak_mib = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        here = psutil.Process()
        while not self._stop.wait(_SAMPLE_S):
            total = 0
            for process in (here, *here.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak_mib = max(self.peak_mib, total / 2**20)


def main() -> Iterator[dict[str, object]]:
    """Yield one line for each input and number of workers."""
    warm()
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        if RECORDED.is_dir():
            trades = [RECORDED / "trades", RECORDED / "markets.parquet"]
            captures = [RECORDED / "captures", RECORDED / "markets.parquet"]
            yield _measure("dataset_build_capture", captures, Path(folder, "captures"), 1, "captures")
            source = "weather trades"
        else:
            trades = [_random_trades(Path(folder, "trades.parquet"))]
            source = "random trades"
        yield _measure("dataset_build_one_process", trades, Path(folder, "one"), 1, source)
        if cores > 1:
            yield _measure("dataset_build", trades, Path(folder, "ray"), cores, source)


def _measure(name: str, inputs: list[Path], out: Path, workers: int, source: str) -> dict[str, object]:
    start_s = time.perf_counter()
    with PeakMemory() as memory:
        manifest = build_dataset(inputs, out, BuildConfig(workers=workers))
    wall_s = time.perf_counter() - start_s
    problems = find_problems(Dataset.open(out))
    if problems:
        raise RuntimeError(f"{name}: the dataset is not as its manifest says: {problems[0]}")
    if memory.peak_mib > MEMORY_LIMIT_MIB:
        raise RuntimeError(f"{name}: peak memory {memory.peak_mib:.0f} MiB is above {MEMORY_LIMIT_MIB}")
    n_events = sum(m.n_events for m in manifest.markets)
    return {
        "bench": name,
        "value": round(n_events / wall_s),
        "unit": "events/s",
        "peer": None,
        "peer_value": None,
        "ratio": None,
        "peak_rss_mib": round(memory.peak_mib),
        "workers": workers,
        "events": n_events,
        "markets": len(manifest.markets),
        "wall_s": round(wall_s, 1),
        "source": source,
    }


def large(recordings: Path, rounds: int = 2) -> Iterator[dict[str, object]]:
    """Yield a line for one process, for two, and for the number that is chosen by size, the best of rounds.

    The builds take turns, each in a process of its own, and must give one digest.
    """
    best: dict[int | None, dict[str, object]] = {}
    digests = set()
    for _ in range(rounds):
        for workers in (1, 2, None):
            line = _in_a_process(recordings, workers)
            digests.add(line.pop("digest"))
            before = best.get(workers)
            if before is None or float(str(line["value"])) > float(str(before["value"])):
                best[workers] = line
    if len(digests) != 1:
        raise RuntimeError(f"{recordings}: the number of workers changes the dataset: {digests}")
    one = best[1]["value"]
    for line in best.values():
        ratio = round(float(str(line["value"])) / float(str(one)), 3)
        yield line | {"peer": "one process", "peer_value": one, "ratio": ratio}


def _in_a_process(recordings: Path, workers: int | None) -> dict[str, object]:
    """Measure one build in a new process, whose peak memory is the driver's own."""
    code = f"import dataset_build as b; print(b.one_large({str(recordings)!r}, {workers!r}))"
    here = Path(__file__).resolve().parent
    done = subprocess.run([sys.executable, "-c", code], cwd=here, check=True, capture_output=True, text=True)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def one_large(recordings: str, workers: int | None) -> str:
    """Build once; returns the line as JSON."""
    warm()
    with tempfile.TemporaryDirectory() as folder, PeakMemory() as memory:
        start_s = time.perf_counter()
        manifest = build_dataset([Path(recordings)], Path(folder, "out"), BuildConfig(workers=workers))
        wall_s = time.perf_counter() - start_s
        n_events = sum(m.n_events for m in manifest.markets)
    driver_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    line = {
        "bench": f"dataset_build_{Path(recordings).name}", "value": round(n_events / wall_s),
        "unit": "events/s", "workers": workers, "wall_s": round(wall_s, 1), "events": n_events,
        "markets": len(manifest.markets), "driver_peak_mib": driver_mib,
        "all_peak_mib": round(memory.peak_mib), "load": os.getloadavg()[0], "digest": manifest.digest,
    }  # fmt: skip
    return json.dumps(line)


def _random_trades(path: Path) -> Path:
    """Write 200,000 prints of 600 markets in 100 events, in the format of the recorded trades."""
    rng = np.random.default_rng([2, 0])
    n = 200_000
    market = rng.integers(0, 600, n)
    tickers = np.array([f"RANDOM-{i // 6}-{i % 6}" for i in range(600)])
    table = pa.table(
        {
            "ts_us": pa.array(1_700_000_000_000_000 + np.sort(rng.integers(0, 10**12, n))),
            "market_ticker": pa.array(tickers[market]),
            "yes_price_e4": pa.array((rng.integers(1, 100, n) * 100).astype(np.int32)),
            "count_e2": pa.array(rng.integers(1, 100, n) * 100),
            "taker_side": pa.array(np.array(["yes", "no"])[rng.integers(0, 2, n)]),
        }
    )
    pq.write_table(table, path)
    return path


if __name__ == "__main__":
    given = sys.argv[1:]
    for line in large(Path(given[0]).absolute(), *map(int, given[1:])) if given else main():
        print(json.dumps(line), flush=True)
