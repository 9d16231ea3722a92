"""Sweeps on machines that share no disk: from the documented command to a challenger in a bucket's registry.

``make test-cluster`` (tests/cluster) breaks such clusters; here is the way that must always work.
"""

import json
import re
import shlex
from pathlib import Path

import pytest
from made.machines import HOME, ROOT, WORK, Machine, why_not
from made.nodes import Nodes, documented, running

from kalshi_platform.domain.commit import git_commit
from kalshi_platform.models.registry.load import load_model
from kalshi_platform.models.registry.store import Registry
from kalshi_platform.simulation.simexchange import SimConfig, simulate

pytestmark = pytest.mark.ray

#: Trials of two iterations of the smallest network; the way to the end is that of a sweep of hours.
TINY = (
    "--smoke", "--set", "train.n_envs=16", "--set", "train.fragment_length=32",
    "--set", "train.minibatch=128", "--set", "train.total_env_steps=1024", "--set", "train.validate_every=2",
    "--set", "episodes.min_steps=10", "--set", "episodes.max_steps=40",
    "--sweep", "scheduler=none", "--sweep", "patience=0", "--sweep", "seeds=1",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _machines() -> None:
    if reason := why_not():
        pytest.skip(f"this computer makes no machines of its own (tests/made/machines.py): {reason}")


def test_machines_see_no_file_of_each_other_and_change_none_of_this_computer(tmp_path):
    one, other = Machine(tmp_path / "one", {}), Machine(tmp_path / "other", {}, disk_mib=8)
    try:
        for place in (WORK, HOME, "/dev/shm"):
            assert one.run(["sh", "-c", f"echo told > {place}/note"]).returncode == 0
            assert other.run(["cat", f"{place}/note"]).returncode == 1
            assert one.path(f"{place}/note").read_text() == "told\n"
        for outside in (ROOT, "/var", "/etc"):
            refused = one.run(["touch", f"{outside}/note"])
            assert "Read-only file system" in refused.stderr, outside
        assert [m.run(["hostname"]).stdout.strip() for m in (one, other)] == ["one", "other"]
        assert str(tmp_path) not in one.run(["find", "/tmp", "-maxdepth", "4"]).stdout
        assert "No space left" in other.run(["sh", "-c", "head -c 20000000 /dev/zero > full"]).stderr
        assert len(one.run(["ps", "-e", "-o", "pid="]).stdout.split()) < 10  # nobody else's processes
    finally:
        one.lose()
        other.lose()


def test_a_lost_machine_takes_its_processes_with_it(tmp_path):
    machine = Machine(tmp_path / "one", {})
    started = machine.start(["sh", "-c", "sleep 300 & sleep 300"], tmp_path / "log")
    machine.lose()
    assert started.wait(timeout=600) != 0


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    with running(tmp_path_factory.mktemp("nodes"), "worker-1", "worker-2") as found:
        yield found


@pytest.fixture
def store(nodes: Nodes, monkeypatch) -> Nodes:
    """The cluster, whose store this process reaches as well."""
    for name, value in nodes.store.environ.items():
        monkeypatch.setenv(name, value)
    return nodes


@pytest.mark.timeout(1800)  # Ray on three machines, four trials: minutes on a busy computer
def test_the_documented_commands_lead_to_a_challenger_in_the_buckets_registry(store: Nodes, tmp_path: Path):
    nodes = store
    simulate(SimConfig(n_events=12, messages_per_market=300), nodes.desk.path(f"{WORK}/recordings"))
    built = nodes.desk.run(["kalshi-platform", *documented("kalshi-platform")])
    assert built.returncode == 0, built.stderr
    words = documented("python cluster/submit.py curriculum_sweep --address")
    log = tmp_path / "submit.log"
    sweep = nodes.submit(log, "curriculum_sweep", *words[1:], *TINY)
    assert sweep.wait(timeout=1500) == 0, log.read_text()[-5000:]

    place = words[words.index("--storage") + 1].removeprefix("s3://sweeps/")
    assert words[words.index("--registry") + 1] == "s3://registry"
    kept = {key.removeprefix(f"{place}/") for key in nodes.store.keys("sweeps", f"{place}/")}
    judged = {"winner/report.html", "winner/report.json"}
    assert {"plan.json", "sweep.json", "compare.html", "mlflow.db", *judged} <= kept
    record = json.loads(nodes.store.read("sweeps", f"{place}/sweep.json"))
    assert [trial["status"] for trial in record["trials"]] == ["finished"] * 4
    for trial in record["trials"]:
        assert {f"{trial['run']}/trial.json", f"{trial['run']}/env.json"} <= kept

    # Both workers trained, and no disk of the cluster is needed for anything that follows.
    shared = [name for name in ("worker-1", "worker-2") if list((nodes.folder / name).rglob("metrics.jsonl"))]
    assert shared == ["worker-1", "worker-2"]
    model = Registry("s3://registry").resolve("challenger")
    assert load_model(Registry("s3://registry"), model).record.commit == git_commit()
    said = log.read_text()
    promote = re.search(r"^next: (kalshi-platform models promote .+)$", said, re.MULTILINE)[1]
    assert shlex.split(promote)[3:] == [
        model,
        "--dataset",
        "s3://datasets/current",
        "--registry",
        "s3://registry",
    ]
    assert nodes.store.environ["AWS_SECRET_ACCESS_KEY"] not in said
