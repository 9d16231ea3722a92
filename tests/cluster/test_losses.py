"""A sweep that loses a worker, then its head and every disk of the cluster, ends as on one machine.

The log of the whole way, from the submit to the challenger: ``runs/test-cluster/head-lost.log``.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from made.far_sweeps import DATASET, SMALL, FarSweep, iterations, metrics, record_of, timeless
from made.machines import WORK, Machine
from made.nodes import Nodes

from kalshi_platform.learning.tuning.sweep_record import SweepRecord

pytestmark = [pytest.mark.ray, pytest.mark.timeout(2400)]

PREFIX = "style-2026-11-29"
LONG = iterations(160, validate_every=40)
#: Parts of a report that say where and when, not how well.
_PLACES = ("subject", "made", "stamp", "command", "checkpoint", "took_s", "wall_s", "what_if_s")


class Swept(NamedTuple):
    nodes: Nodes
    log: Path
    reached: dict[str, int]  # iterations at the loss of the head


@pytest.fixture(scope="module")
def alone(nodes: Nodes) -> Machine:
    """One machine that ran the whole sweep by itself, in ``/tmp/work/sweep``."""
    machine = nodes.machine("alone")
    words = ["--local", "--dataset", DATASET, "--registry", f"{WORK}/registry", "--out", f"{WORK}/sweep"]
    done = machine.run(
        [sys.executable, "-m", "tune_experiments.execution_style", *words, *SMALL, *LONG], timeout_s=900
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return machine


@pytest.fixture(scope="module")
def swept(nodes: Nodes, log: Callable[[str], Path]) -> Swept:
    """A sweep that lost a worker in the middle of a trial, then its head with all other machines."""
    kept = log("head-lost")
    head = nodes.start_head("head-1")
    (first, second) = nodes.start_workers("worker-1", "worker-2")
    sweep = FarSweep(nodes, PREFIX, kept, *LONG)
    sweep.wait_until(lambda: len(sweep.reached()) >= 2 and min(sweep.reached().values()) >= 2)
    rival = FarSweep(nodes, PREFIX, log("rival"), *LONG, "--resume")
    first.lose()
    sweep.tell(f"worker-1 lost; iterations in the storage: {sweep.reached()}")
    nodes.start_workers("worker-3")
    sweep.wait_until(lambda: "going on from its last checkpoint" in sweep.said)
    before = sweep.reached()
    sweep.wait_until(lambda: all(done > before[run] for run, done in sweep.reached().items()))
    assert rival.wait() == 2, rival.said
    assert "is being written by process" in rival.said
    assert "of head-1" in rival.said
    head.lose()
    reached = sweep.reached()
    second.lose()
    sweep.tell(f"head-1 lost, and every machine of its cluster; iterations in the storage: {reached}")
    assert sweep.wait() != 0
    assert "where its head was lost, submit a sweep again to the new head with --resume" in sweep.said
    assert "Traceback" not in sweep.said
    nodes.start_head("head-2")
    nodes.start_workers("worker-4", "worker-5")
    sweep = FarSweep(nodes, PREFIX, kept, *LONG, "--resume")
    assert sweep.wait() == 0, sweep.said[-4000:]
    return Swept(nodes, kept, reached)


def test_the_winners_numbers_are_those_of_one_machine(swept: Swept, alone: Machine):
    nodes, out = swept.nodes, alone.path(f"{WORK}/sweep")
    found = record_of(nodes, PREFIX)
    expected = SweepRecord.parse(json.loads((out / "sweep.json").read_text()))
    assert (found.winner, found.winner_run, found.why) == (expected.winner, expected.winner_run, expected.why)
    for one, other in zip(found.trials, expected.trials, strict=True):
        assert one.model_dump(exclude={"restarts"}) == other.model_dump(exclude={"restarts"})
        assert metrics(nodes, PREFIX, one.run) == timeless((out / other.run / "metrics.jsonl").read_bytes())
    for report in ("winner/report.json", "winner/validation/report.json"):
        far = json.loads(nodes.store.read("sweeps", f"{PREFIX}/{report}"))
        assert figures(far) == figures(json.loads((out / report).read_text()))


def figures(report: dict[str, Any]) -> dict[str, Any]:
    """Figures of a report, without places and times."""
    return {name: value for name, value in report.items() if name not in _PLACES}


def test_the_new_head_went_on_from_what_the_storage_had(swept: Swept):
    assert 4 <= sum(swept.reached.values()) < 2 * 160
    for run, reached in swept.reached.items():
        assert len(metrics(swept.nodes, PREFIX, f"trials/{run}")) >= reached


def test_the_command_that_it_prints_next_works_as_printed(swept: Swept):
    promote = re.search(r"^next: (kalshi-platform models promote .+)$", swept.log.read_text(), re.MULTILINE)
    assert promote is not None
    judged = swept.nodes.desk.run(["sh", "-c", promote[1]], timeout_s=600)
    assert judged.returncode == 4, judged.stdout + judged.stderr  # refused by the gates, not by a wrong place


def test_a_prefix_of_another_sweep_is_refused_with_what_differs(swept: Swept, log):
    before = swept.nodes.store.keys("sweeps")
    other = FarSweep(
        swept.nodes, PREFIX, log("prefix-of-another"), *LONG, "--set", "train.learning_rate=0.003"
    )
    assert other.wait() == 2
    assert re.search(r"was begun with another .*learning_rate: \S+ -> 0\.003", other.said)
    again = FarSweep(swept.nodes, PREFIX, log("prefix-again"), *LONG)
    assert again.wait() == 2
    assert "holds a sweep: continue it with --resume" in again.said
    assert swept.nodes.store.keys("sweeps") == before
