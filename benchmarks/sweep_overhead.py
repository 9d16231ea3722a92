"""The cost of a sweep beside the training itself: Tune, its logs, MLflow, a checkpoint an iteration, reports.

sweep_overhead  samples a second of a trial inside a sweep against the same run alone, which writes a
                checkpoint only where it validates and reports to nobody. Both train the same iterations of
                level simple in a process of their own, from the second iteration to the last; the time that
                a trial's process takes to start stands beside it (``start_s``).
Checked: both runs end with the same validation score, to the bit.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

N_ENVS, N_STEPS, ITERATIONS = 64, 64, 20
SETTINGS = {
    "env.decision_interval_ms": 30_000,
    "episodes.min_steps": 100,
    "episodes.max_steps": 300,
    "train.level": "simple",
    "train.n_envs": N_ENVS,
    "train.fragment_length": N_STEPS,
    "train.total_env_steps": N_ENVS * N_STEPS * ITERATIONS,
    "train.validate_every": 10,
}
ALONE = """
import json, sys, time
from pathlib import Path
from kalshi_platform.learning.training.session import RunSettings, run_training
dataset, out, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
times = []
chosen = RunSettings().with_values({**settings, "train.checkpoint_every": 10**6})
result = run_training(chosen, dataset, out, lambda progress: times.append(time.perf_counter()))
print(json.dumps({"took_s": times[-1] - times[0], "score": result.best_score}))
"""
SWEPT = """
import json, sys
from pathlib import Path
import ray
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning.experiment import Experiment, SweepConfig, variants
from kalshi_platform.learning.tuning.schedulers import build_scheduler
from kalshi_platform.learning.tuning.stage import SweepPlaces, run_stage
from kalshi_platform.learning.tuning.sweep_store import SweepStore
from kalshi_platform.learning.tuning.tracking import SweepTracking
from kalshi_platform.learning.tuning.tracking_place import tracking_place
dataset, out, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
experiment = Experiment(
    "overhead", "What does a sweep cost?", "Little.", {"train.clip": [0.2]},
    RunSettings().with_values(settings),
    SweepConfig(patience=0, concurrent=1),
)
planned = variants(experiment, experiment.sweep)
tags = {"sweep": str(out), "dataset": "made"}
tracking = SweepTracking(tracking_place(), "overhead", tags, list(experiment.space), print)
tracker = tracking.stage(planned)
records = run_stage(
    "sweep", planned, build_scheduler(experiment, experiment.sweep), experiment.sweep,
    SweepPlaces(dataset, SweepStore(out)), tracker, lambda line: None,
)
rows = [json.loads(line) for line in next((out / "tune" / "sweep-0").glob("t*/result.json")).open()]
print(json.dumps({
    "took_s": rows[-1]["time_total_s"] - rows[0]["time_total_s"],
    "start_s": rows[0]["time_total_s"],
    "score": records[planned[0].id].score,
}))
ray.shutdown()
"""


def measure(program: str, dataset: Path, out: Path) -> dict[str, float]:
    """Run one of the programs alone, with a home of its own; returns the figures that it printed."""
    env = {**os.environ, "KALSHI_PLATFORM_HOME": str(out.parent / "home")}
    command = [sys.executable, "-c", program, str(dataset), str(out), json.dumps(SETTINGS)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> Iterator[dict[str, object]]:
    from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
    from kalshi_platform.simulation.simexchange import SimConfig, simulate

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        simulate(SimConfig(n_events=60), place / "recordings")
        build_dataset([place / "recordings"], place / "dataset", BuildConfig(workers=0))
        runs = [measure(ALONE, place / "dataset", place / f"alone-{k}") for k in range(2)]
        swept = [measure(SWEPT, place / "dataset", place / f"swept-{k}") for k in range(2)]
    scores = {run["score"] for run in (*runs, *swept)}
    assert len(scores) == 1, f"a trial in a sweep and the run alone score differently: {scores}"
    n = N_ENVS * N_STEPS * (ITERATIONS - 1)
    ours, alone = (min(r["took_s"] for r in found) for found in (swept, runs))
    yield {
        "bench": "sweep_overhead",
        "value": round(n / ours),
        "unit": "samples/s",
        "peer": "the same run outside a sweep, without checkpoints and reports",
        "peer_value": round(n / alone),
        "ratio": round(alone / ours, 3),
        "overhead": round(ours / alone - 1, 3),
        "start_s": round(min(r["start_s"] for r in swept), 1),
    }


if __name__ == "__main__":
    for result in main():
        print(result)
