"""A sweep loses its driver, a trial's process, a machine, its disk: it ends as if nothing had happened.

Every trial's numbers are compared with those of a sweep that nothing interrupted, line by line.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
import ray
from made.curves import curve_points
from made.processes import command_of, family_of, kill_all
from moto.server import ThreadedMotoServer
from ray.cluster_utils import Cluster

from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.quiet_ray import patient
from kalshi_platform.learning.tuning.sweep_record import SweepRecord, read_sweep
from kalshi_platform.simulation.simexchange import SimConfig, simulate
from kalshi_platform.storage.storage import open_storage

pytestmark = [pytest.mark.ray, pytest.mark.timeout(2400)]

CLOCK = ("steps_per_s", "elapsed_s")
#: Small trials that last long enough to be killed in the middle; no scheduler, so that nothing depends on
#: which trial reports first.
ARGUMENTS = (
    "--smoke", "--no-final", "--no-register",
    "--set", "train.n_envs=16", "--set", "train.fragment_length=32", "--set", "train.minibatch=128",
    "--set", "train.total_env_steps=6144", "--set", "train.validate_every=4",
    "--set", "episodes.min_steps=10", "--set", "episodes.max_steps=40",
    "--sweep", "scheduler=none", "--sweep", "patience=0", "--sweep", "seeds=1",
)  # fmt: skip
#: An experiment whose trials wait in every iteration of which the folder in its first argument holds a file:
#: then the iteration's line is written and its checkpoint is not. A function of ``__main__`` travels to the
#: processes of the trials as it is here.
HELD = """
import sys
from importlib import import_module
from pathlib import Path
from kalshi_platform.cli.experiment import main
from kalshi_platform.learning.tuning import stage

gates = Path(sys.argv.pop(1))


def run_trial(config):
    import time
    from unittest.mock import patch
    from kalshi_platform.learning.training import run
    from kalshi_platform.learning.tuning import trial

    write = run.write_checkpoint

    def write_held(out, iteration, *more, **named):
        while (gates / str(iteration)).exists():
            time.sleep(0.05)
        write(out, iteration, *more, **named)

    with patch.object(run, "write_checkpoint", write_held):
        trial.run_trial(config)


stage.run_trial = run_trial
main(import_module(sys.argv.pop(1)).EXPERIMENT)
"""
#: Iteration in which the trials of a sweep wait that is to lose something.
HELD_AT = 4  # of 12


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("data")
    simulate(SimConfig(n_events=12, messages_per_market=300), folder / "recordings")
    build_dataset([folder / "recordings"], folder / "dataset", BuildConfig(workers=0))
    return str(folder / "dataset")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


class Sweep:
    """A sweep in a process of its own; its trials wait in the iterations ``held`` until each is let go."""

    def __init__(
        self,
        dataset: str,
        out: Path,
        home: Path,
        *more: str,
        experiment: str = "execution_style",
        held: Sequence[int] = (),
        **env: str,
    ) -> None:
        self.out, self._gates = out, out.with_suffix(".gates")
        how = ["-m"]
        if held:
            self._gates.mkdir()
            for iteration in held:
                (self._gates / str(iteration)).touch()
            how = ["-c", HELD, str(self._gates)]
        command = [sys.executable, *how, f"tune_experiments.{experiment}", "--dataset", dataset]
        self.log = out.with_suffix(".log")
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, "--out", str(out), *ARGUMENTS, *more],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "KALSHI_PLATFORM_HOME": str(home), "PYTHONUNBUFFERED": "1", **env},
            )

    def end(self) -> SweepRecord:
        """Wait for it; the test fails with its output where it failed."""
        assert self.process.wait(timeout=2000) == 0, self.log.read_text()[-4000:]
        return read_sweep(self.out)

    def wait_until(self, true: Callable[[], object]) -> None:
        """Poll ``true``; the sweep must still be running then."""
        end_s = time.monotonic() + 600
        while not true():
            assert self.process.poll() is None, f"ended too early: {self.log.read_text()[-4000:]}"
            assert time.monotonic() < end_s, self.log.read_text()[-4000:]
            time.sleep(0.02)

    def wait_until_held(self, iteration: int) -> None:
        """Wait until both trials of the first stage wait in ``iteration``."""
        self.wait_until(lambda: list(self.iterations().values()) == [iteration] * 2)

    def let_go(self, iteration: int) -> None:
        """Let the trials that wait in ``iteration`` go on."""
        (self._gates / str(iteration)).unlink()

    def iterations(self) -> dict[str, int]:
        """Iterations of each trial of the first stage that stand in its metrics."""
        return {path.parent.name: len(lines(path.parent)) for path in self.out.glob("trials/*/metrics.jsonl")}

    def stop(self) -> None:
        """End it and every process it started."""
        if self.process.poll() is None:
            kill_all(family_of(self.process.pid))
            self.process.kill()
        self.process.wait(timeout=600)


@pytest.fixture
def started() -> Iterator[list[Sweep]]:
    found: list[Sweep] = []
    yield found
    for sweep in found:
        sweep.stop()


def lines(run: Path) -> list[dict[str, Any]]:
    found = [
        json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines() if line.endswith("}")
    ]
    return [{k: v for k, v in line.items() if k not in CLOCK} for line in found]


@pytest.fixture(scope="module")
def unbroken(dataset: str, home: Path, tmp_path_factory) -> Path:
    sweep = Sweep(dataset, tmp_path_factory.mktemp("unbroken") / "sweep", home, "--local")
    try:
        record = sweep.end()
    finally:
        sweep.stop()
    assert [t.status for t in record.trials] == ["finished"] * 3
    return sweep.out


def require_same(out: Path, unbroken: Path) -> SweepRecord:
    """Every trial has ended with the numbers it has in a sweep that nothing interrupted."""
    found, expected = read_sweep(out), read_sweep(unbroken)
    assert (found.winner, found.winner_run, found.why) == (expected.winner, expected.winner_run, expected.why)
    for one, other in zip(found.trials, expected.trials, strict=True):
        assert one.model_dump(exclude={"restarts"}) == other.model_dump(exclude={"restarts"})
        assert lines(out / one.run) == lines(unbroken / other.run)
        assert curve_points(out / one.run) == curve_points(unbroken / other.run) != {}
    # TensorBoard shows each trial once: beside its metrics, and not in Tune's own folders as well.
    with_curves = [path.parents[1] for path in out.rglob("events.out.tfevents.*")]
    assert sorted(with_curves) == sorted(out / trial.run for trial in found.trials)
    return found


def test_a_killed_driver_resumes_to_the_result_of_an_unbroken_sweep(
    dataset, home, unbroken, tmp_path, started
):
    first = Sweep(dataset, tmp_path / "sweep", home, "--local", held=[HELD_AT])
    started.append(first)
    first.wait_until_held(HELD_AT)
    family = family_of(first.process.pid)
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait(timeout=600)
    reached = first.iterations()
    assert set(reached.values()) == {HELD_AT}
    psutil.wait_procs(family, timeout=600)  # Ray ends with its driver
    second = Sweep(dataset, tmp_path / "sweep", home, "--local", "--resume")
    started.append(second)
    second.end()
    require_same(tmp_path / "sweep", unbroken)
    # It went on where it was: no iteration but the one under way was done again.
    for name, iterations in reached.items():
        assert len(lines(tmp_path / "sweep" / "trials" / name)) >= iterations - 1


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head that runs nothing and two machines of one CPU each, as processes on loopback."""
    with patient(ray):
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        try:
            yield made
        finally:
            made.shutdown()


def test_a_killed_process_and_a_lost_machine_cost_no_trial(
    dataset, home, unbroken, tmp_path, started, cluster
):
    first, second = cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    sweep = Sweep(dataset, tmp_path / "sweep", home, held=[HELD_AT], RAY_ADDRESS=cluster.address)
    started.append(sweep)
    sweep.wait_until_held(HELD_AT)
    victims = [
        p for p in processes_of(first) if "run_trial" in command_of(p) or "ImplicitFunc" in command_of(p)
    ]
    assert victims, "no trial runs on the first machine"
    victims[0].kill()
    sweep.wait_until(lambda: "going on from its last checkpoint" in sweep.log.read_text())
    cluster.remove_node(second, allow_graceful=False)
    sweep.let_go(HELD_AT)
    record = sweep.end()
    assert len(record.trials) == 3
    assert sum(t.restarts for t in record.trials) >= 2
    require_same(tmp_path / "sweep", unbroken)


def processes_of(node: Any) -> list[psutil.Process]:
    """Processes that a machine of the test's cluster runs."""
    raylet = next(info[0].process.pid for name, info in node.all_processes.items() if name == "raylet")
    return family_of(raylet)


@pytest.fixture
def bucket(monkeypatch) -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "very-secret-value",
            "AWS_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}").create_bucket(Bucket="sweeps")
        yield "s3://sweeps"
    finally:
        server.stop()


def test_a_sweep_in_a_bucket_survives_the_loss_of_the_machine_that_drove_it(
    dataset, home, unbroken, tmp_path, started, bucket
):
    far = f"{bucket}/dataset"
    recordings = Path(dataset).parent / "recordings"
    assert build_dataset([recordings], far, BuildConfig(workers=0)).digest == Dataset.open(dataset).digest
    first = Sweep(far, tmp_path / "sweep", home, "--local", "--storage", f"{bucket}/runs", held=[HELD_AT])
    started.append(first)
    first.wait_until_held(HELD_AT)
    first.stop()
    reached, far_runs = first.iterations(), open_storage(f"{bucket}/runs")
    left = {name: bytes(far_runs.read_bytes(f"trials/{name}/metrics/000000.jsonl")) for name in reached}
    shutil.rmtree(tmp_path / "sweep")
    other = Sweep(
        far, tmp_path / "other", home, "--local", "--storage", f"{bucket}/runs",
        "--set", "train.learning_rate=0.003",
    )  # fmt: skip
    second = Sweep(far, tmp_path / "new-head", home, "--local", "--storage", f"{bucket}/runs", "--resume")
    started += [other, second]
    assert other.process.wait(timeout=600) == 2
    assert "base.train.learning_rate: 0.001 -> 0.003: name another --storage" in other.log.read_text()
    second.end()
    record = require_same(tmp_path / "new-head", unbroken)
    for name, begun in left.items():  # at most an iteration was lost, and none that was kept is done again
        assert begun.count(b"\n") >= reached[name] - 1
        vouched = b"".join(begun.splitlines(keepends=True)[:-1])  # the last line may precede mirror.json
        assert (tmp_path / "new-head" / "trials" / name / "metrics.jsonl").read_bytes().startswith(vouched)
    assert "very-secret-value" not in second.log.read_text()
    stored = {file.path for file in far_runs.list_files()}
    assert {"plan.json", "sweep.json", "baselines.json", "compare.html", "compare.json"} <= stored
    assert {f"{t.run}/trial.json" for t in record.trials} <= stored
    assert "winner/validation/report.json" in stored


def test_a_population_takes_over_weights_and_changes_settings(dataset, home, tmp_path, started):
    iterations = 24  # the better saves from its second decision on, so the other finds something at its third
    # First iterations after a decision: nobody comes to the next one before the other has made this one.
    decided = [7, 13, 19]
    sweep = Sweep(
        dataset, tmp_path / "sweep", home, "--local",
        "--sweep", "scheduler=pbt", "--sweep", "samples=2", "--sweep", "grace_iterations=6",
        "--set", f"train.total_env_steps={512 * iterations}",
        experiment="hyperparameters", held=decided,
    )  # fmt: skip
    started.append(sweep)
    for iteration in decided:
        sweep.wait_until_held(iteration)
        sweep.let_go(iteration)
    record = sweep.end()
    assert "Warning" not in sweep.log.read_text()
    trials = [t for t in record.trials if t.stage == "sweep"]
    assert [t.status for t in trials] == ["finished"] * 2
    used = {
        t.id: json.loads((sweep.out / t.run / "config.json").read_text())["learning_rate"] for t in trials
    }
    assert any(used[t.id] != t.values["train.learning_rate"] for t in trials), "nobody took anything over"
    for trial in trials:
        found = lines(sweep.out / trial.run)
        assert [line["iteration"] for line in found] == list(range(1, iterations + 1))
