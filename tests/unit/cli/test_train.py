"""The train command: its options become settings, workers follow the machine."""

import json
from types import SimpleNamespace

import pytest
import torch
from made.fake_import import FakeImport
from made.training import begun
from typer.testing import CliRunner

from kalshi_platform.cli import train as command
from kalshi_platform.cli.main import app
from kalshi_platform.data.dataset.build import BuildConfig, build_dataset
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.program import program
from kalshi_platform.learning.training.machine import (
    GIB,
    Machine,
)
from kalshi_platform.learning.training.run import TrainResult
from kalshi_platform.learning.training.session import RunSettings

GPU = Machine(cores=16, memory_bytes=64 * GIB, gpus=("a GPU",))


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """The settings that ``train`` would run with; nothing is trained."""
    FakeImport(tmp_path, ("EV0", "EV1", "EV2")).install(monkeypatch)
    build_dataset([], tmp_path / "data", BuildConfig(workers=0))
    seen: list[RunSettings] = []

    class Stop(Exception):  # noqa: N818
        pass

    def run_training(settings, dataset, *_):
        seen.append(settings)
        run.dataset = dataset
        raise Stop

    monkeypatch.setattr(command, "run_training", run_training)
    base = ["train", "--dataset", str(tmp_path / "data"), "--out", str(tmp_path / "run")]

    def run(*words: str):
        outcome = CliRunner().invoke(app, [*base, *words])
        run.settings = seen.pop() if seen else None
        return outcome, (run.settings and run.settings.train)

    run.place = tmp_path
    return run


LONG = RunSettings().with_values(
    {"train.total_env_steps": 3_000_000, "train.seed": 4, "env.order_style": "maker", "train.patience": 2}
)


def test_resume_takes_every_setting_from_the_run_and_the_dataset_as_well(trained):
    data = Dataset.open(str(trained.place / "data"))
    begun(trained.place / "begun", LONG, data)
    outcome, _ = trained("--out", str(trained.place / "begun"), "--resume")
    assert outcome.exit_code == 1  # the stand-in's end
    assert trained.settings == LONG
    trained.dataset = None
    CliRunner().invoke(app, ["train", "--out", str(trained.place / "begun"), "--resume"])
    assert trained.dataset == str(trained.place / "data")
    _, config = trained("--out", str(trained.place / "begun"), "--resume", "--steps", "5000000")
    assert config == LONG.train.replace(total_env_steps=5_000_000)
    _, config = trained("--out", str(trained.place / "begun"), "--resume", "--workers", "auto")
    assert config == LONG.train


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--seed", "3"), "train.seed 4 -> 3"),
        (("--order-style", "taker"), "env.order_style 'maker' -> 'taker'"),
        (("--set", "env.latency_ms=0"), "env.latency_ms"),
        (("--workers", "2"), "train.num_env_runners 0 -> 2"),
        (("--steps", "5"), "has made 8,192 steps already, 5 are asked for"),
        (("--set", "train.gamma=NaN"), "--set train.gamma=NaN: give a finite number"),
    ],
)
def test_a_setting_given_anew_that_differs_is_refused_with_both_values(tmp_path, monkeypatch, words, named):
    FakeImport(tmp_path, ("EV0", "EV1", "EV2")).install(monkeypatch)
    build_dataset([], tmp_path / "data", BuildConfig(workers=0))
    out = begun(tmp_path / "run", LONG, Dataset.open(str(tmp_path / "data")))
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    outcome = CliRunner().invoke(app, ["train", "--out", str(out), "--resume", *words])
    assert outcome.exit_code == 2
    assert named in outcome.stderr
    assert {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()} == before


def test_a_new_run_needs_a_dataset_and_a_resumed_one_a_run(tmp_path):
    for words, named in (((), "--dataset is missing"), (("--resume",), "holds no checkpoint to resume from")):
        outcome = CliRunner().invoke(app, ["train", "--out", str(tmp_path / "new"), *words])
        assert outcome.exit_code == 2
        assert named in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_says_how_to_go_on(tmp_path):
    assert "the same command starts again" in command.how_to_go_on(tmp_path / "new")
    out = begun(tmp_path / "run", LONG, SimpleNamespace(uri="/data", digest="d" * 12))
    told = command.how_to_go_on(out)
    again = f"continue with: {program()} train --resume --out {out}"
    assert told == f"{out} holds everything up to iteration 2; {again}"


def test_workers_auto_uses_the_plan_and_prints_its_reasons(trained, monkeypatch):
    monkeypatch.setattr(command.Machine, "here", classmethod(lambda cls: GPU))
    outcome, config = trained("--workers", "auto")
    assert (config.num_env_runners, config.n_envs) == (8, 8)
    assert "8 sampling workers, 8 environments each" in outcome.stderr
    assert "8 workers: the GPU learns" in outcome.stderr


def test_what_is_set_by_hand_is_not_planned(trained, monkeypatch):
    monkeypatch.setattr(command.Machine, "here", classmethod(lambda cls: GPU))
    _, config = trained("--workers", "auto", "--set", "train.torch_threads=3")
    assert (config.num_env_runners, config.torch_threads) == (8, 3)


def test_a_number_of_workers_is_taken_as_it_is(trained):
    assert trained("--workers", "2")[1].num_env_runners == 2
    outcome, config = trained("--workers", "many")
    assert config is None
    assert "--workers 'many' is neither a number of processes nor auto" in outcome.stderr


def test_a_gpu_asked_for_and_absent_is_refused_before_the_dataset_is_opened(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ["train", "--dataset", str(tmp_path / "none"), "--out", str(tmp_path / "run"), "--device", "cuda"]
    outcome = CliRunner().invoke(app, words)
    assert "torch sees no CUDA device" in outcome.stderr
    assert not (tmp_path / "run").exists()


def test_options_become_settings_and_named_settings_go_before_them(trained):
    outcome, config = trained("--level", "tiny", "--steps", "5000", "--seed", "7", "--set", "train.seed=9")
    assert config is not None, outcome.output
    assert (config.level, config.total_env_steps, config.seed) == ("tiny", 5_000, 9)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--set", "train.pace=1"), "train.pace"),
        (("--order-style", "giver"), "--order-style 'giver': expected taker, maker"),
        (("--steps", "0"), "steps"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_trained(trained, words, named):
    outcome, config = trained(*words)
    assert (outcome.exit_code, config) == (2, None)
    assert named in outcome.stderr


@pytest.mark.parametrize(
    ("stopped", "score", "words"),
    [
        ("budget", 0.5, "(budget used up); best validation return +50.00 % of capital"),
        ("patience", None, "(no better validation for too long); not validated"),
        ("a plateau", 0.1, "(a plateau); best"),
    ],
)
def test_the_end_says_why_it_stopped_and_what_comes_next(capsys, tmp_path, stopped, score, words):
    result = TrainResult(tmp_path, tmp_path / "best", tmp_path / "metrics.jsonl", 3, 384, score, stopped)
    command.report(result, "the data", as_json=False)
    said = capsys.readouterr().out
    assert said.startswith("384 steps in 3 iterations ")
    assert words in said
    assert f"next: {program()} evaluate --run {tmp_path} --dataset 'the data'\n" in said
    assert "warning" not in said
    command.report(result, "the data", as_json=True)
    assert json.loads(capsys.readouterr().out)["best"] == str(tmp_path / "best")


@pytest.mark.parametrize(
    ("last", "best", "words"),
    [
        ("it holds", "it holds", "warning: the best policy of the run is not worth using: it holds"),
        ("it holds", "", "warning: at its end it holds; the best one, of iteration 2, does trade"),
    ],
)
def test_the_last_line_and_the_json_say_that_the_policy_collapsed(capsys, tmp_path, last, best, words):
    result = TrainResult(tmp_path, tmp_path, tmp_path, 3, 384, 0.0, "budget", 0, last, best, 2)
    command.report(result, "the data", as_json=False)
    assert capsys.readouterr().out.splitlines()[-1] == words
    command.report(result, "the data", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["collapse"], told["best_collapse"]) == (last, best)


def test_the_first_line_says_the_settings(trained):
    outcome, _ = trained("--steps", "5000")
    assert outcome.stderr.splitlines()[0] == "settings: preset standard with train.total_env_steps=5000"
