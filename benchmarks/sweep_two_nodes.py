"""A sweep on two machines that share no disk: trials an hour, against the same training without a sweep.

sweep_two_nodes  50 trials of one minute (``--trials``, ``--trial-s``) of level simple, submitted to a head
                 without CPUs and two workers of one CPU each; dataset, a checkpoint an iteration, records and
                 page go through an S3 server. From the driver's first word about trials to its finalists.
peer             the same settings trained alone on both workers at once, without sweep, store or further
                 checkpoints, after Python has started: what two machines could do if a sweep cost nothing.
Checked: every trial uses its whole budget, and the trial with the peer's settings has its score, to the bit.
Not in ``make bench``: it takes half an hour, and needs namespaces (tests/made/machines.py).

    python benchmarks/sweep_two_nodes.py [--trials 50] [--trial-s 60] [--record]
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from made.machines import WORK, Machine, why_not  # noqa: E402
from made.nodes import Nodes  # noqa: E402

N_ENVS, N_STEPS = 64, 64
#: Iterations by which the length of one is measured.
PROBE = 6
SETTINGS: dict[str, Any] = {
    "env.decision_interval_ms": 30_000,
    "episodes.min_steps": 100,
    "episodes.max_steps": 300,
    "train.level": "simple",
    "train.n_envs": N_ENVS,
    "train.fragment_length": N_STEPS,
    "train.validate_every": 10,
}
ALONE = """
import json, sys, time
from pathlib import Path
from kalshi_platform.learning.training.session import RunSettings, run_training
times = [time.perf_counter()]
chosen = RunSettings().with_values({**json.loads(sys.argv[2]), "train.checkpoint_every": 10**6})
result = run_training(
    chosen, "s3://datasets/current", Path(sys.argv[1]), lambda progress: times.append(time.perf_counter())
)
print(json.dumps({
    "took_s": times[-1] - times[0], "iteration_s": (times[-1] - times[1]) / (len(times) - 2),
    "score": result.best_score,
}))
"""
#: A file for ``tune_experiments`` of the submitted copy: equal settings but for one that costs nothing.
EXPERIMENT = '''"""Trials of equal cost."""

from kalshi_platform.cli.experiment import main
from kalshi_platform.learning.tuning.experiment import Experiment, SweepConfig
from kalshi_platform.learning.training.session import RunSettings

EXPERIMENT = Experiment(
    "two-nodes", "What does a sweep cost on two nodes?", "Little.",
    {{"train.clip": [round(0.2 + 0.001 * k, 3) for k in range({trials})]}},
    RunSettings().with_values({settings!r}),
    SweepConfig(scheduler="none", patience=0, finalists=1, seeds=1),
)

if __name__ == "__main__":
    main(EXPERIMENT)
'''


def settings(iterations: int) -> dict[str, Any]:
    """Settings of a run of ``iterations``."""
    return {**SETTINGS, "train.total_env_steps": N_ENVS * N_STEPS * iterations}


def alone(workers: list[Machine], folder: Path, iterations: int) -> list[dict[str, float]]:
    """Figures of the same run on each worker, at the same time."""
    logs = [folder / f"alone-{k}-{iterations}.log" for k in range(len(workers))]
    started = [
        worker.start(
            [sys.executable, "-c", ALONE, f"{WORK}/alone-{iterations}", json.dumps(settings(iterations))], log
        )
        for worker, log in zip(workers, logs, strict=True)
    ]
    assert [each.wait() for each in started] == [0] * len(workers), logs[0].read_text()[-3000:]
    return [json.loads(log.read_text().strip().splitlines()[-1]) for log in logs]


def checkout(desk: Machine, trials: int, iterations: int) -> None:
    """Copy to the desk of what a job carries, with the experiment in it."""
    copy = desk.path(f"{WORK}/checkout")
    for name in ("kalshi_platform", "tune_experiments", "serve_deployments"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, copy / name)
    text = EXPERIMENT.format(trials=trials, settings=settings(iterations))
    (copy / "tune_experiments" / "two_nodes.py").write_text(text)


def first_stage_s(sweep: subprocess.Popen[bytes], log: Path) -> float:
    """Wait for the sweep's end; returns seconds from its first word about trials to its word about finalists.

    Times are this process's when a word arrives: the driver's own stamps show minutes after a while.
    """
    seen_s: dict[str, float] = {}
    while sweep.poll() is None:
        said = log.read_text()
        for words in ("] settings of every", "] finalists:"):
            if words in said:
                seen_s.setdefault(words, time.monotonic())
        time.sleep(0.2)
    assert (sweep.returncode, len(seen_s)) == (0, 2), log.read_text()[-3000:]
    begin, end = seen_s.values()
    return end - begin


def main(trials: int = 50, trial_s: float = 60.0) -> dict[str, object]:
    """Measure and return the line."""
    if reason := why_not():
        raise SystemExit(f"this computer makes no machines of its own: {reason}")
    with tempfile.TemporaryDirectory(prefix="two-nodes-") as name:
        nodes = Nodes(Path(name))
        try:
            return _measure(nodes, Path(name), trials, trial_s)
        finally:
            nodes.close()


def _measure(nodes: Nodes, folder: Path, trials: int, trial_s: float) -> dict[str, object]:
    from kalshi_platform.simulation.simexchange import SimConfig, simulate

    simulate(SimConfig(n_events=60), nodes.desk.path(f"{WORK}/recordings"))
    build = ["dataset", "build", "--input", "recordings", "--out", "s3://datasets/current"]
    built = nodes.desk.run(["kalshi-platform", *build], timeout_s=600)
    assert built.returncode == 0, built.stderr
    nodes.start_head()
    workers = nodes.start_workers("worker-1", "worker-2")
    alone(workers, folder, 2)  # compiles, and opens the dataset once on each
    iterations = max(2, round(trial_s / max(run["iteration_s"] for run in alone(workers, folder, PROBE))))
    peers = alone(workers, folder, iterations)
    checkout(nodes.desk, trials, iterations)
    log = folder / "sweep.log"
    words = [
        "--dataset",
        "s3://datasets/current",
        "--storage",
        "s3://sweeps/two",
        "--no-final",
        "--no-register",
    ]
    begun = time.monotonic()
    sweep: subprocess.Popen[bytes] = nodes.submit(
        log, "two_nodes", "--working-dir", f"{WORK}/checkout", "--", *words
    )
    wall_s = first_stage_s(sweep, log)
    whole_s = time.monotonic() - begun
    record = json.loads(nodes.store.read("sweeps", "two/sweep.json"))
    ended = [trial for trial in record["trials"] if trial["stage"] == "sweep"]
    assert [trial["status"] for trial in ended] == ["finished"] * trials
    assert {run["score"] for run in peers} == {ended[0]["score"]}, (
        "a trial and the run alone score differently"
    )
    alone_s = sum(run["took_s"] for run in peers) / len(peers)
    ideal_s = alone_s * trials / len(workers)
    return {
        "bench": "sweep_two_nodes",
        "value": round(3600 * trials / wall_s, 1),
        "unit": "trials/h",
        "peer": "the same runs on both nodes without sweep, store or further checkpoints",
        "peer_value": round(3600 * trials / ideal_s, 1),
        "ratio": round(ideal_s / wall_s, 3),
        "overhead": round(wall_s / ideal_s - 1, 3),
        "trials": trials,
        "trial_s": round(alone_s, 1),
        "iterations": iterations,
        "wall_s": round(wall_s),
        "submit_to_end_s": round(whole_s),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--trial-s", type=float, default=60.0, help="seconds of training of one trial")
    parser.add_argument("--record", action="store_true", help="append the line to RESULTS.md")
    asked = parser.parse_args()
    from run import RESULTS, machine, section

    about, started = machine(), time.perf_counter()
    line = main(asked.trials, asked.trial_s)
    print(json.dumps(line), flush=True)
    if asked.record:
        with RESULTS.open("a") as file:
            file.write(section([line], [], about, time.perf_counter() - started))
