"""One seed, one result: two processes whose sets and dicts of text are in another order make the same bits.

Python orders sets of text by a secret of the process (PYTHONHASHSEED). Everything from the simulated exchange
to the checkpoint must not depend on it.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from made.curves import curve_points
from made.scripts import ROOT

from kalshi_platform.learning.training.curves import FOLDER as CURVES

#: Simulates, builds and trains in the folder that it is started in; both kinds of recordings are built.
WAY = """
from pathlib import Path
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.learning.training.session import RunSettings, run_training
from kalshi_platform.simulation.simexchange import SimConfig, simulate
simulate(SimConfig(n_events=12, seed=3, messages_per_market=200), Path("rec"))
build_dataset([Path("rec")], "data", BuildConfig(workers=0))
simulate(SimConfig(n_events=2, seed=4, messages_per_market=200), Path("rec-frames"), file_format="capture")
build_dataset([Path("rec-frames")], "data-frames", BuildConfig(workers=0))
settings = RunSettings().with_values({
    "train.level": "tiny", "train.total_env_steps": 256, "train.n_envs": 8, "train.fragment_length": 16,
    "train.minibatch": 64, "train.validate_every": 1, "episodes.min_steps": 5, "episodes.max_steps": 20,
})
run_training(settings, "data", Path("run"))
"""

PARTS = ("rec", "data", "rec-frames", "data-frames", "run")
#: Numbers of the clock in a run's state and metrics.
CLOCK = ("elapsed_s", "startup_s", "validation_s", "steps_per_s")
#: Entry of run.json that names the folder of the dataset.
PLACE = "dataset"


def without_clock(value):
    """``value`` without the entries that a clock made, and without the dataset's folder."""
    if isinstance(value, dict):
        return {k: without_clock(v) for k, v in value.items() if k not in (*CLOCK, PLACE)}
    return [without_clock(v) for v in value] if isinstance(value, list) else value


def content(path: Path) -> str:
    """Digest of a file; of one with the clock in it, without the clock."""
    data = path.read_bytes()
    if path.parent.name == CURVES:
        found = curve_points(path.parents[1])
        assert found
        data = json.dumps(found).encode()
    elif path.name in ("state.json", "metrics.jsonl", "run.json"):
        text = data.decode()
        rows = (
            [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
        )
        data = json.dumps(without_clock(rows)).encode()
    return hashlib.sha256(data).hexdigest()


def named(path: Path) -> str:
    """Name of a file; of a file of curves, without the time and the machine."""
    return str(path.with_name("events") if path.parent.name == CURVES else path)


def files(folder: Path) -> dict[str, str]:
    """Every file that the way left, apart from locks and the sums of files that hold the clock."""
    found = (path for part in PARTS for path in sorted((folder / part).rglob("*")))
    return {
        named(path.relative_to(folder)): content(path)
        for path in found
        if path.is_file() and path.parent.name not in ("best", "latest")
        and path.name not in (".lock", "lock")
        and not (path.name == "manifest.json" and "checkpoints" in path.parts)
    }  # fmt: skip


def test_two_hash_seeds_make_the_same_recordings_dataset_and_checkpoints(tmp_path: Path):
    started: list[subprocess.Popen[bytes]] = []
    for hash_seed in ("1", "4242"):
        place = tmp_path / hash_seed
        place.mkdir()
        user = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}  # conftest.py
        env = user | {
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": str(ROOT),  # this tree, whichever is installed
            "KALSHI_PLATFORM_CACHE": str(place / "cache"),
            "RAY_raylet_start_wait_time_s": "120",  # two start at once, beside other tests
        }
        started.append(subprocess.Popen([sys.executable, "-c", WAY], cwd=place, env=env))
    try:
        assert [process.wait(timeout=600) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
            process.wait()
    one, two = (files(tmp_path / hash_seed) for hash_seed in ("1", "4242"))
    kinds = ("rec/markets", "data/manifest.json", "data/features", "run/checkpoints/000002/policy.pt")
    assert all(any(name.startswith(kind) for name in one) for kind in kinds), sorted(one)
    assert {name: digest for name, digest in one.items() if two.get(name) != digest} == {}
    assert one.keys() == two.keys()
