"""What becomes of every trial is written down the moment it is known, and read back after a restart."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune import TuneError

from kalshi_platform.domain.errors import ContractError, DataError, StorageError
from kalshi_platform.domain.saying import time_words
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning.experiment import Variant
from kalshi_platform.learning.tuning.ledger import Ledger, read_trial
from kalshi_platform.learning.tuning.same_program import OTHER_PROGRAM
from kalshi_platform.learning.tuning.stopper import HeldOutMarketStopper
from kalshi_platform.learning.tuning.sweep_store import NOT_REACHED, SweepStore


class Trial(SimpleNamespace):
    """What the ledger sees of Ray Tune's trial."""

    def __str__(self) -> str:
        return self.name

    def get_error(self) -> Exception | None:
        return self.error


A, B = (Trial(name=name, trial_id=f"ray-{name}", error=None) for name in "ab")
PLANNED = [Variant(id=name, values={"train.gamma": 0.9}, settings=RunSettings()) for name in "ab"]


def report(iteration: int, best: float) -> dict[str, Any]:
    return {
        "iteration": iteration,
        "env_steps": 10 * iteration,
        "score": 0.0,
        "best_score": best,
        "train_s": 2.0,
    }


def made(folder: Path, said: list[str], reasons: dict[str, str] | None = None) -> Ledger:
    return Ledger(SweepStore(folder), "sweep", PLANNED, (reasons or {}).get, said.append)


def test_a_trial_that_used_its_budget_is_finished_and_one_that_was_ended_is_stopped(tmp_path):
    said: list[str] = []
    ledger = made(tmp_path, said, {"ray-b": "no gain"})
    for trial, best in ((A, 0.2), (B, 0.1)):
        ledger.on_trial_result(1, [], trial, report(3, best))
        ledger.on_trial_complete(1, [], trial)
    assert [(r.id, r.status, r.reason, r.iterations, r.score) for r in ledger.records.values()] == [
        ("a", "finished", "used its whole budget", 3, 0.2),
        ("b", "stopped", "no gain", 3, 0.1),
    ]
    assert "b: stopped, no gain; best validation return +10.00 % of capital" in said
    assert ledger.open == []


def test_a_restart_is_counted_and_a_final_failure_says_its_last_line(tmp_path):
    said: list[str] = []
    ledger = made(tmp_path, said)
    ledger.on_trial_result(1, [], A, report(3, 0.2))
    ledger.on_trial_recover(
        1,
        [],
        Trial(
            **{**A.__dict__, "error": TuneError("trace\nray.exceptions.ActorDiedError: it died\n\tpid: 7")}
        ),
    )
    assert said[-1] == "a: failed (its process or machine was lost); going on from its last checkpoint"
    A_failed = Trial(**{**A.__dict__, "error": TuneError("a stack\ntrace\nthe recording ends here")})  # noqa: N806
    ledger.on_trial_error(1, [], A_failed)
    record = ledger.records["a"]
    assert (record.status, record.restarts, record.reason) == ("failed", 1, "the recording ends here")


def test_a_new_ledger_knows_what_ended_before_and_what_is_open(tmp_path):
    first = made(tmp_path, [])
    first.on_trial_result(1, [], A, report(3, 0.2))
    first.on_trial_complete(1, [], A)
    (tmp_path / "trials" / "a" / "best").mkdir()
    second = made(tmp_path, [])
    assert second.records == first.records
    assert [v.id for v in second.open] == ["b"]


def test_an_ended_trial_whose_policy_is_gone_is_named_before_anything_runs(tmp_path):
    first = made(tmp_path, [])
    first.on_trial_result(1, [], A, report(3, 0.2))
    first.on_trial_complete(1, [], A)
    with pytest.raises(DataError, match=r"trials/a ended \(finished\) but its best checkpoint is missing"):
        made(tmp_path, [])


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "trial.json").write_text("{")
    with pytest.raises(DataError, match=r"trial\.json is not JSON"):
        read_trial(tmp_path)


def test_the_line_of_progress_estimates_what_is_left(tmp_path):
    said: list[str] = []
    ledger = made(tmp_path, said)
    ledger.on_trial_result(1, [], A, report(10, 0.2))
    iterations = RunSettings().train.iterations
    # one trial runs, 10 iterations took 2 s: both trials need (2 * iterations - 10) * 0.2 s
    left = time_words((2 * iterations - 10) * 0.2)
    assert f"about {left} left  validation return, % of capital: " in ledger.line()
    assert ledger.line().endswith(f"a 10/{iterations} 0 %")
    assert said == []  # a plain function hears of a stage when its first pause is over


def test_the_estimate_counts_trials_that_ended_and_those_that_run_at_once(tmp_path):
    ledger = made(tmp_path, [])
    iterations = RunSettings().train.iterations
    ledger.on_trial_result(1, [], A, report(10, 0.2))  # 2 s, as every report
    ledger.on_trial_result(1, [], B, report(10, 0.2))
    assert f"about {time_words((2 * iterations - 20) * 0.2 / 2)} left" in ledger.line()
    ledger.on_trial_result(1, [], A, report(iterations, 0.2))
    ledger.on_trial_complete(1, [], A)
    # b alone is open: it has no other to share its time with
    assert f"about {time_words((iterations - 10) * 4.0 / (iterations + 10))} left" in ledger.line()


def test_a_trial_whose_policy_collapses_or_recovers_says_so_once_and_at_its_end(tmp_path):
    said: list[str] = []
    ledger = made(tmp_path, said)
    for k, collapse in enumerate(("", "it holds", "it holds", "", "it holds")):
        ledger.on_trial_result(1, [], A, {**report(k + 1, 0.2), "collapse": collapse})
    told = [line for line in said if line.startswith("a: ")]
    assert told == [
        "a: warning: it holds",
        "a: the policy has recovered: it trades again",
        "a: warning: it holds",
    ]
    ledger.on_trial_complete(1, [], A)
    assert said[-1] == (
        "a: finished, used its whole budget; best validation return +20.00 % of capital; warning: at its end "
        "it holds"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("trace\nray.exceptions.RpcError: Socket closed\nNone", "its process or machine was lost"),
        ("a stack\nValueError: too small\nNone\n", "ValueError: too small"),
        (
            "Failure # 1 (at noon)\nRpcError: Socket closed\nFailure # 2 (later)\nValueError: so",
            "ValueError: so",
        ),
        (
            "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.\n"
            "To disable it, set the environment variable `RAY_memory_monitor_refresh_ms` to zero.",
            "its process was ended for want of memory: run fewer at once (--sweep concurrent=N)",
        ),
        ("torch.OutOfMemoryError: CUDA out of memory.", "torch.OutOfMemoryError: CUDA out of memory."),
        ("None", "its process ended and left no error: it was killed, or its machine was lost"),
    ],
)
def test_an_error_that_ends_with_none_is_told_by_its_words(tmp_path, error, words):
    said: list[str] = []
    made(tmp_path, said).on_trial_recover(1, [], Trial(**{**A.__dict__, "error": TuneError(error)}))
    assert said == [f"a: failed ({words}); going on from its last checkpoint"]


def test_a_record_is_in_the_storage_when_the_trial_has_ended_and_a_new_machine_knows_it(tmp_path):
    ended: list[list[str]] = []
    store = SweepStore(tmp_path / "here", str(tmp_path / "store"), "c1")
    first = Ledger(store, "sweep", PLANNED, {}.get, print, lambda r: ended.append([t.id for t in r]))
    for trial in (A, B):
        first.on_trial_complete(1, [], trial)
    assert ended == [["a"], ["a", "b"]]
    elsewhere = SweepStore(tmp_path / "there", str(tmp_path / "store"), "c1")
    elsewhere.fetch()
    assert Ledger(elsewhere, "sweep", PLANNED, {}.get, print).records == first.records


def test_an_ended_trial_whose_policy_is_gone_from_the_storage_too_is_named(tmp_path):
    store = SweepStore(tmp_path / "here", str(tmp_path / "store"), "c1")
    first = Ledger(store, "sweep", PLANNED, {}.get, print)
    first.on_trial_result(1, [], A, report(3, 0.2))
    first.on_trial_complete(1, [], A)
    with pytest.raises(DataError, match=r"store/trials/a ended \(finished\) but its best checkpoint"):
        Ledger(store, "sweep", PLANNED, {}.get, print)


@pytest.mark.parametrize("words", [OTHER_PROGRAM, NOT_REACHED])
def test_a_machine_that_is_not_fit_ends_the_stage_and_fails_no_trial(tmp_path, words):
    stopper = HeldOutMarketStopper(1, 0.0, 1)
    said: list[str] = []
    ledger = Ledger(SweepStore(tmp_path), "sweep", PLANNED, {}.get, said.append, end_all=stopper.end_all)
    assert not stopper.stop_all()
    told = f"machine x {words} (code a there, b here): give every machine the same image"
    error = TuneError(f"a stack\nkalshi_platform.domain.errors.ContractError: {told}")
    ledger.on_trial_recover(1, [], Trial(**{**A.__dict__, "error": error}))
    assert stopper.stop_all()
    ledger.on_trial_complete(1, [], B)  # Tune stops the others with it
    ledger.on_trial_error(1, [], Trial(**{**A.__dict__, "error": error}))
    assert (str(ledger.refusal), ledger.records, said) == (told, {}, [])
    assert [v.id for v in ledger.open] == ["a", "b"]


def driven_until(folder: Path, lost: list[str]) -> SweepStore:
    """A store whose lease is another's as soon as ``lost`` names that driver."""

    def still_driven() -> None:
        if lost:
            raise ContractError(f"was taken over by {lost[0]}")

    return SweepStore(folder / "here", str(folder / "store"), "c1", still_driven=still_driven)


def test_a_driver_that_was_taken_over_fails_no_trial_and_restarts_none(tmp_path):
    """Its trials fail because the new driver's have their runs: they must not take them back."""
    stopper, lost = HeldOutMarketStopper(1, 0.0, 1), []
    said: list[str] = []
    store = driven_until(tmp_path, lost)
    ledger = Ledger(store, "sweep", PLANNED, {}.get, said.append, end_all=stopper.end_all)
    ledger.on_trial_complete(1, [], B)
    lost.append("process 7 of there")
    failed = Trial(
        **{**A.__dict__, "error": TuneError("a stack\nContractError: is written by process 8 now")}
    )
    ledger.on_trial_recover(1, [], failed)
    assert stopper.stop_all()
    ledger.on_trial_error(1, [], failed)
    ledger.on_trial_complete(1, [], A)
    assert (str(ledger.refusal), list(ledger.records)) == ("was taken over by process 7 of there", ["b"])
    assert [f.path for f in store.storage.list_files("trials")] == ["trials/b/trial.json"]
    assert not (store.out / "trials" / "a" / "trial.json").exists()
    assert len(said) == 1


def test_a_trial_whose_record_the_storage_does_not_take_is_not_called_failed(tmp_path, monkeypatch):
    """Ray Tune takes an error of a callback for one of the trial, and would train it once more."""
    stopper = HeldOutMarketStopper(1, 0.0, 1)
    store = SweepStore(tmp_path / "here", str(tmp_path / "store"), "c1")
    ledger = Ledger(store, "sweep", PLANNED, {}.get, print, end_all=stopper.end_all)

    def away(path, data):
        raise StorageError("the store is away")

    monkeypatch.setattr(store.storage, "write_bytes_atomic", away)
    ledger.on_trial_complete(1, [], A)
    ledger.on_trial_error(1, [], Trial(**{**A.__dict__, "error": TuneError("stopped")}))
    assert (str(ledger.refusal), ledger.records, stopper.stop_all()) == ("the store is away", {}, True)
    monkeypatch.undo()
    store.fetch()  # the next start sends what is here alone
    assert Ledger(store, "sweep", PLANNED, {}.get, print).records["a"].status == "finished"


@pytest.mark.parametrize("damaged", ["{", "{}", "[]"])
def test_a_damaged_record_names_every_copy_that_must_go(tmp_path, damaged):
    store = SweepStore(tmp_path / "here", str(tmp_path / "store"), "c1")
    store.storage.write_bytes_atomic("trials/a/trial.json", damaged.encode())
    store.fetch()
    copies = f"delete {tmp_path}/store/trials/a/trial.json and its copy {tmp_path}/here/trials/a/trial.json"
    with pytest.raises(DataError, match=copies):
        Ledger(store, "sweep", PLANNED, {}.get, print)


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (
            "kalshi_platform.domain.errors.StorageError: cannot write s3://b/p: away",
            "a: cannot write s3://b/p: away",
        ),
        ("OSError: [Errno 28] No space left on device", "a: OSError: [Errno 28] No space left on device"),
    ],
)
def test_a_full_disk_or_a_store_that_is_away_for_long_condemns_no_trial(tmp_path, last, told):
    """A record of a failure is final; docs/sweeps.md says: free space and --resume."""
    stopper = HeldOutMarketStopper(1, 0.0, 1)
    ledger = Ledger(SweepStore(tmp_path), "sweep", PLANNED, {}.get, print, end_all=stopper.end_all)
    ledger.on_trial_error(1, [], Trial(**{**A.__dict__, "error": TuneError(f"a stack\n{last}")}))
    assert (type(ledger.refusal), str(ledger.refusal)) == (StorageError, told)
    assert (stopper.stop_all(), ledger.records) == (True, {})
    assert not (tmp_path / "trials" / "a" / "trial.json").exists()
