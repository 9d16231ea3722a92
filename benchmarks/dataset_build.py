"""Events a second from recorded files to feature shards, and the memory of the whole build.

Input    the weather trades and the capture files of ../shared/data where present, else random trades in the
         same Parquet format; built with one process and with Ray on every core.
Memory   resident sizes of this process and all its descendants (Ray's own processes too), summed, sampled
         every 50 ms; pages shared between them count once each process, so the figure is an upper bound.
"""

import json
import os
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
    for line in main():
        print(json.dumps(line), flush=True)
