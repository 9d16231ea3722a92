"""The end of a sweep: judged once, the test split opened on purpose and written down."""

import json
from types import SimpleNamespace

import pytest
from made.runs import make_run, make_sweep, trial

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.evaluation.judging.held_out import OPENINGS_FILE
from kalshi_platform.evaluation.judging.report import JSON_NAME
from kalshi_platform.learning.tuning import conclude, load_runs
from kalshi_platform.learning.tuning.conclude import judge_winner, register_winner
from kalshi_platform.learning.tuning.sweep_record import read_sweep
from kalshi_platform.learning.tuning.sweep_store import SweepStore


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A sweep with a winner, and the splits it is judged on."""
    found = make_run(tmp_path / "trials" / "t0", [0.01, 0.02])
    data = tmp_path / "data"
    data.mkdir()
    make_sweep(tmp_path, [trial("t0", found)], "t0", winner_run="trials/t0", dataset=str(data))
    judged: list[str] = []

    def judge(record, run, split, out, say, earlier=()):
        judged.append(split)
        out.mkdir(parents=True, exist_ok=True)
        (out / JSON_NAME).write_text("{}")
        return SimpleNamespace(baselines=[SimpleNamespace(name="random", block_returns={"E0": 0.5})])

    manifest = SimpleNamespace(worlds=("calibrated",))
    held = SimpleNamespace(uri=str(data), entries=lambda split: ["a market"], manifest=manifest)
    monkeypatch.setattr(conclude, "_judge", judge)
    monkeypatch.setattr(conclude, "Dataset", SimpleNamespace(open=lambda uri: held))
    return read_sweep(tmp_path), SweepStore(tmp_path), judged


def test_a_sweep_without_a_winner_has_nothing_to_judge_or_register(tmp_path):
    record = make_sweep(tmp_path, [trial("t0")])
    with pytest.raises(ContractError, match="no winner yet"):
        judge_winner(record, SweepStore(tmp_path), False, print)
    with pytest.raises(ContractError, match="no winner yet"):
        register_winner(record, SweepStore(tmp_path), None, print)


def test_the_baselines_of_the_winner_are_kept_where_comparing_looks_for_them(sweep):
    record, store, judged = sweep
    assert judge_winner(record, store, False, print) == store.out / "winner"
    assert json.loads((store.out / load_runs.BASELINES_FILE).read_text()) == {"random": {"E0": 0.5}}
    assert judged == ["validation"]


def test_what_was_judged_is_not_judged_again_and_the_test_split_opens_once(sweep):
    record, store, judged = sweep
    out = store.out
    for _ in range(2):
        judge_winner(record, store, True, print)
    assert judged == ["validation", "test"]
    opened = (out / "data" / OPENINGS_FILE).read_text().splitlines()
    assert [json.loads(line)["checkpoint"] for line in opened] == [str(out / "trials" / "t0")]


def test_an_earlier_opening_of_the_test_split_is_said(sweep):
    record, store, _ = sweep
    (store.out / "data" / OPENINGS_FILE).write_text("{}\n")
    said: list[str] = []
    judge_winner(record, store, True, said.append)
    looked = "the test events were opened once before (an unknown day)"
    assert said == [f"{looked}: a figure that was looked at before is worth less"]


def test_a_driver_on_another_machine_knows_the_opening_and_judges_nothing_again(sweep, tmp_path):
    record, local, judged = sweep
    far = record.replace(dataset="s3://bucket/data")
    stored = str(tmp_path / "store")
    (local.out / "trials").rename(tmp_path / "runs")
    here = SweepStore(tmp_path / "here", stored, "c1")
    (tmp_path / "runs").rename(here.out / "trials")
    judge_winner(far, here, True, print)
    there = SweepStore(tmp_path / "there", stored, "c1")
    there.fetch()
    (line,) = (there.out / OPENINGS_FILE).read_text().splitlines()
    assert json.loads(line)["dataset"] == "s3://bucket/data"
    judge_winner(far, there, True, print)
    assert judged == ["validation", "test"]


def test_the_opening_is_in_the_storage_before_the_test_split_is_read(sweep, tmp_path, monkeypatch):
    record, local, _ = sweep
    stored = tmp_path / "store"
    store = SweepStore(tmp_path / "here", str(stored), "c1")
    (local.out / "trials").rename(store.out / "trials")
    (store.out / load_runs.BASELINES_FILE).write_text("{}")
    monkeypatch.setattr(conclude, "_judge", lambda *given: pytest.fail((stored / OPENINGS_FILE).read_text()))
    with pytest.raises(pytest.fail.Exception, match="s3://bucket/data"):
        judge_winner(record.replace(dataset="s3://bucket/data"), store, True, print)


def test_a_driver_that_was_taken_over_opens_nothing(sweep):
    record, store, judged = sweep

    def taken_over():
        raise ContractError("was taken over")

    store.require_driven = taken_over
    with pytest.raises(ContractError, match="taken over"):
        judge_winner(record, store, True, print)
    with pytest.raises(ContractError, match="taken over"):
        register_winner(record, store, None, print)
    assert judged == ["validation"]


@pytest.mark.parametrize("report", ["winner/report.json", "winner/validation/report.json"])
def test_a_judgement_of_another_run_is_named_with_every_copy_of_it(sweep, tmp_path, report):
    record, local, judged = sweep
    store = SweepStore(tmp_path / "here", str(tmp_path / "store"), "c1")
    (local.out / "trials").rename(store.out / "trials")
    path = store.out / report.replace("report.json", JSON_NAME)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"subject": {"checkpoint": "/elsewhere/trials/t7"}}))
    both = f"delete {tmp_path}/store/winner and its copy {tmp_path}/here/winner, and"
    with pytest.raises(DataError, match=f"judges t7, but t0 has won since: {both} .*baselines.json"):
        judge_winner(record, store, True, print)
    assert judged == []


def test_a_run_whose_settings_are_damaged_is_named(tmp_path):
    record = make_sweep(tmp_path, [trial("t0")])
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(DataError, match=r"run\.json cannot be read"):
        conclude._subject(record, tmp_path)


def test_mlflow_is_told_who_is_challenger_now_and_not_who_was(sweep, monkeypatch):
    record, store, _ = sweep
    told = []
    monkeypatch.setattr(conclude, "mirror_model", lambda model, alias, *rest: told.append((model, alias)))
    monkeypatch.setattr(
        conclude, "register_judged", lambda *given: SimpleNamespace(model="tiny-1", is_challenger=True)
    )
    for present in ("tiny-1", "tiny-2"):
        aliases = SimpleNamespace(model=lambda alias, present=present: present)
        registry = SimpleNamespace(uri="r", aliases=lambda aliases=aliases: aliases)
        register_winner(record, store, registry, print)
    assert told == [("tiny-1", "challenger"), ("tiny-1", "")]
