"""Rows a second and peak memory of opening a dataset's training split with an empty cache.

Input    170 simulated events (1 million rows, built here), and every dataset named in OPEN_COLD_DATASETS
         (paths, separated by colons), such as 1,000 and 3,000 simulated events: 6 and 18 million rows.
Peer     the builder of the versions before (``plain_bank.py``): all rows in memory, then concatenated. It
         runs where three times the bank fit into the memory that is free.
Memory   highest resident size of the opening process, less what it had before; each opening has its own.
Checked  both give the same arrays, to the bit; the peak is below LIMIT_GIB.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
from plain_bank import plain_arrays

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.split import Split
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.bank import BankArrays
from kalshi_platform.simulation.replay.cache import CACHE_VARIABLE, LIMIT_VARIABLE
from kalshi_platform.simulation.replay.open import bank_bytes, markets_of_split, open_bank
from kalshi_platform.simulation.simexchange.config import SimConfig
from kalshi_platform.simulation.simexchange.simulate import simulate

N_EVENTS = 170
LIMIT_GIB = 0.1
_SPLIT: Split = "train"
_SETS = EnvConfig().groups
_GIB = 2**30


def opened(way: str, uri: str) -> dict[str, object]:
    """Open the split in this process; returns seconds, rows, peak and the digest of each array."""
    before = _peak_bytes()
    started_s = time.perf_counter()
    if way == "plain":
        markets, wanted = markets_of_split(uri, _SPLIT, _SETS)
        arrays = plain_arrays(list(markets), *wanted)
    else:
        arrays = open_bank(uri, _SPLIT, _SETS).arrays
    seconds = time.perf_counter() - started_s
    peak = _peak_bytes() - before
    return {"seconds": seconds, "rows": int(arrays.rows.size), "peak_gib": peak / _GIB} | _digests(arrays)


def _peak_bytes() -> int:
    # Not ru_maxrss: a child begins with its parent's.
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def _digests(arrays: BankArrays) -> dict[str, object]:
    """Digest of every array by name, field by field: the padding of records is anything."""
    found = {}
    for name, array in arrays._asdict().items():
        seen = hashlib.sha256(str(array.shape).encode())
        for field in array.dtype.names or (None,):
            column = array if field is None else np.asarray(array)[field]
            for at in range(0, len(column), 1 << 18):
                seen.update(np.ascontiguousarray(column[at : at + (1 << 18)]).view(np.uint8).data)
        found[name] = seen.hexdigest()
    return {"digests": found}


def _in_a_process(way: str, uri: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("OPEN_COLD_CACHE")) as cache:
        environment = {**os.environ, CACHE_VARIABLE: cache, LIMIT_VARIABLE: "1000"}
        done = subprocess.run(
            [sys.executable, __file__, way, uri], env=environment, check=True, stdout=subprocess.PIPE
        )
    return dict(json.loads(done.stdout))


def main() -> Iterator[dict[str, object]]:
    """Yield one line a dataset; raises where the arrays differ."""
    with tempfile.TemporaryDirectory() as scratch:
        named = [path for path in os.environ.get("OPEN_COLD_DATASETS", "").split(":") if path]
        simulate(SimConfig(n_events=N_EVENTS), Path(scratch) / "raw")
        small = Path(scratch) / "data"
        build_dataset([Path(scratch) / "raw"], small, BuildConfig(workers=0))
        for uri in (str(small), *named):
            yield _line(uri)


def _line(uri: str) -> dict[str, object]:
    size = bank_bytes(Dataset.open(uri), _SPLIT, _SETS)
    new = _in_a_process("streamed", uri)
    old = _in_a_process("plain", uri) if 3 * size < psutil.virtual_memory().available else None
    if old is not None and old["digests"] != new["digests"]:
        raise RuntimeError(f"open_cold: {uri}: the streamed bank is not the plain one")
    rate = new["rows"] / new["seconds"]
    peer_rate = None if old is None else old["rows"] / old["seconds"]
    return {
        "bench": f"open_cold_{new['rows'] / 1e6:.1f}m",
        "value": round(rate),
        "unit": "rows/s, cold",
        "peer": "all rows in memory, nothing written",
        "peer_value": None if peer_rate is None else round(peer_rate),
        "ratio": None if peer_rate is None else round(rate / peer_rate, 2),
        "bank_gib": round(size / _GIB, 3),
        "peak_gib": round(new["peak_gib"], 3),
        "peer_peak_gib": None if old is None else round(old["peak_gib"], 3),
        "target_gib": LIMIT_GIB,
        "meets_targets": bool(new["peak_gib"] <= LIMIT_GIB),
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(opened(*sys.argv[1:])))
    else:
        for line in main():
            print(json.dumps(line))
