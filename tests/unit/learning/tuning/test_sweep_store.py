"""A sweep's files lie in its storage; a machine's folder is a copy that can be lost and is never mixed up."""

import json
import shutil

import pytest
from made.runs import make_run, trial

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.judging.held_out import OPENINGS_FILE
from kalshi_platform.learning.training.checkpoint import BEST, LATEST, point
from kalshi_platform.learning.training.curves import FOLDER
from kalshi_platform.learning.training.mirror import Mirror
from kalshi_platform.learning.tuning import sweep_store
from kalshi_platform.learning.tuning.ledger import read_trial, write_trial
from kalshi_platform.learning.tuning.load_runs import BASELINES_FILE
from kalshi_platform.learning.tuning.page import COMPARE_HTML, COMPARE_JSON
from kalshi_platform.learning.tuning.sweep_record import SWEEP_FILE
from kalshi_platform.learning.tuning.sweep_store import (
    CACHE_FILE,
    PLAN_FILE,
    SweepStore,
    cache_name,
    require_reached,
)
from kalshi_platform.learning.tuning.winner_report import WINNER


def on(machine, tmp_path, claim="c1") -> SweepStore:
    return SweepStore(tmp_path / machine, str(tmp_path / "store"), claim)


def test_records_and_pages_travel_and_what_a_machine_chose_for_itself_stays(tmp_path):
    here = on("here", tmp_path)
    (here.out / "winner" / "validation").mkdir(parents=True)
    for name in ("sweep.json", "winner/report.html", "winner/validation/report.json", ".hidden"):
        (here.out / name).write_text(name)
    here.keep("sweep.json", "winner", "absent")
    for other in ("tune/sweep-0/result.json", "registry/aliases.json", "dataset/manifest.json", "driver/1"):
        here.storage.write_bytes_atomic(other, b"not for a driver")
    there = on("there", tmp_path)
    there.fetch()
    found = sorted(p.relative_to(there.out).as_posix() for p in there.out.rglob("*") if p.is_file())
    assert found == [CACHE_FILE, "sweep.json", "winner/report.html", "winner/validation/report.json"]


def test_where_both_have_a_record_the_storage_counts_and_one_left_here_alone_is_sent(tmp_path):
    here = on("here", tmp_path)
    here.storage.write_bytes_atomic("sweep.json", b"newer")
    (here.out / "sweep.json").write_text("older")
    write_trial(here.out / "trials" / "t0", trial("t0"))
    (here.out / "trials" / "t0" / "metrics.jsonl").write_text("{}\n")
    here.fetch()
    assert (here.out / "sweep.json").read_text() == "newer"
    assert [f.path for f in here.storage.list_files("trials")] == ["trials/t0/trial.json"]
    there = on("there", tmp_path)
    there.fetch()
    assert read_trial(there.out / "trials" / "t0") == trial("t0")


def test_other_peoples_files_neither_leave_a_chosen_folder_nor_come_from_the_storage(tmp_path):
    """``--out .`` holds a user's secrets and recordings, ``--storage s3://bucket`` perhaps all sweeps."""
    here = on("here", tmp_path)
    for name in (".env", "secrets.txt", "recordings/a.jsonl", "other/sweep.json", "mlflow.db"):
        (here.out / name).parent.mkdir(parents=True, exist_ok=True)
        (here.out / name).write_text("mine")
    for other in ("curriculum/trials/t0/checkpoints/000001/weights", "events/a.parquet", "mlflow.db"):
        here.storage.write_bytes_atomic(other, b"another one's")
    here.fetch()
    assert not (here.out / "curriculum").exists()
    assert not (here.out / "events").exists()
    assert (here.out / "mlflow.db").read_text() == "mine"  # tracking_place.py takes the one with more figures
    sent = {file.path for file in here.storage.list_files()}
    assert sent.isdisjoint({".env", "secrets.txt", "recordings/a.jsonl", "other/sweep.json"})


def test_the_records_are_called_as_their_writers_call_them():
    written = {SWEEP_FILE, BASELINES_FILE, COMPARE_HTML, COMPARE_JSON, OPENINGS_FILE}
    assert (set(sweep_store._RECORDS), sweep_store._RECORD_FOLDER) == (written, WINNER)


def test_a_driver_that_was_taken_over_sends_nothing(tmp_path):
    def taken_over():
        raise ContractError("was taken over")

    store = SweepStore(tmp_path / "here", str(tmp_path / "store"), "c1", still_driven=taken_over)
    (store.out / "sweep.json").write_text("{}")
    with pytest.raises(ContractError, match="taken over"):
        store.keep("sweep.json")
    assert store.storage.list_files() == []


def test_a_file_in_place_of_the_folder_of_copies_is_refused_in_words(tmp_path):
    (tmp_path / "here").write_text("a file")
    with pytest.raises(
        ContractError, match=r"here cannot hold copies of a sweep \(File exists\): name another"
    ):
        on("here", tmp_path)


def test_runs_that_ended_come_with_their_best_policy_and_curves_alone(tmp_path):
    run = tmp_path / "elsewhere"
    make_run(run, [0.01, 0.02], iterations=4)
    later = shutil.copytree(run / "checkpoints" / "000004", run / "checkpoints" / "000009")
    point(run, LATEST, later)
    here = on("here", tmp_path)
    Mirror(here.mirror_of("trials/t0")).push(run)
    here.pull_runs(["trials/t0", "trials/never-pushed"])
    found = here.out / "trials" / "t0"
    assert [p.name for p in (found / "checkpoints").iterdir()] == ["000004"]
    assert (found / BEST).resolve().name == "000004"
    assert (found / "metrics.jsonl").read_text() == (run / "metrics.jsonl").read_text()
    assert list((found / FOLDER).glob("events.out.tfevents.*"))
    assert not (here.out / "trials" / "never-pushed").exists()
    assert Mirror(here.mirror_of("trials/t0")).pull(found)  # a trial that goes on here gets the rest
    assert (found / LATEST).resolve().name == "000009"


def test_without_a_storage_nothing_travels(tmp_path):
    store = SweepStore(tmp_path / "sweep")
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "sweep.json").write_text("{}")
    store.keep("sweep.json")
    store.fetch()
    store.pull_runs(["trials/t0"])
    assert (store.uri, store.mirror_of("trials")) == (str(tmp_path / "sweep"), "")
    assert store.run_folder("trials") == str(tmp_path / "sweep" / "trials")
    assert [p.name for p in (tmp_path / "sweep").iterdir()] == ["sweep.json"]


def test_a_folder_is_the_copy_of_one_claim_only(tmp_path):
    on("here", tmp_path)
    on("here", tmp_path)
    with pytest.raises(ContractError, match=r"is the cache of another sweep .*begun as c1"):
        on("here", tmp_path, claim="c2")
    (tmp_path / "own" / "trials").mkdir(parents=True)
    with pytest.raises(ContractError, match="holds a sweep of its own"):
        on("own", tmp_path)
    with pytest.raises(ContractError, match="--storage and --out are both"):
        on("store", tmp_path)
    (tmp_path / "here" / CACHE_FILE).write_text("{")
    with pytest.raises(ContractError, match="cache of another sweep"):
        on("here", tmp_path)


def test_another_claim_of_the_same_storage_has_another_cache():
    names = {cache_name("made", uri, claim) for uri in ("s3://b/1", "s3://b/2") for claim in ("c1", "c2")}
    assert len(names) == 4
    assert all(name.startswith("made-") for name in names)


@pytest.mark.parametrize("remote", [False, True])
def test_every_start_of_a_stage_gets_logs_of_its_own(tmp_path, remote):
    store = on("here", tmp_path) if remote else SweepStore(tmp_path)
    assert store.starts_of("sweep") == 0
    for name in ("sweep-0", "sweep-1", "finalist-0"):
        store.storage.write_bytes_atomic(f"tune/{name}/t0/result.json", json.dumps({}).encode())
    assert (store.starts_of("sweep"), store.starts_of("finalist")) == (2, 1)


def test_a_machine_on_whose_disk_the_sweep_does_not_lie_is_told_so(tmp_path):
    (tmp_path / PLAN_FILE).write_text('{"claim": {"token": "c1"}}')
    require_reached(tmp_path, "c1")
    for folder, claim in ((tmp_path / "none", "c1"), (tmp_path, "c2")):
        with pytest.raises(
            ContractError, match=f"does not reach the sweep in {folder}: give the sweep a --sto"
        ):
            require_reached(folder, claim)
