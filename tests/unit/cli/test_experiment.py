"""The command line that every experiment shares: options to a request, and the whole way in order."""

import contextlib
import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli import experiment as command
from kalshi_platform.domain.places import HOME_VARIABLE
from kalshi_platform.domain.program import program
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.learning.tuning.experiment import Experiment
from kalshi_platform.learning.tuning.sweep import PreparedSweep
from kalshi_platform.models.registry.store import REGISTRY_VARIABLE

ASKED = Experiment("made", "Is it so?", "No.", {"train.gamma": [0.9, 0.99]}, RunSettings())


@pytest.fixture
def way(monkeypatch, tmp_path):
    """Steps of the way that only say that they were asked."""
    found = SimpleNamespace(steps=[], sweeps=[], stores=[], registries=[], local=[])
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.delenv(REGISTRY_VARIABLE, raising=False)

    @contextlib.contextmanager
    def ray(local):
        found.local.append(local)
        yield

    def run_sweep(prepared, store, say):
        found.steps.append("sweep")
        found.sweeps.append((prepared.experiment, prepared.request))
        found.stores.append(store)
        return SimpleNamespace(winner="t1", why="best", dataset="/data", model_dump_json=lambda: '{"a": 1}')

    def step(name, answer=None):
        return lambda *given: found.steps.append(name) or answer

    monkeypatch.setattr(command, "_ray", ray)

    def register(record, store, models, say):
        found.steps.append("register")
        found.registries.append(models.uri)
        return SimpleNamespace(model="tiny-1")

    def page(comparison, out):
        found.steps.append("page")
        (out / "compare.html").write_text("a page")

    monkeypatch.setattr(command, "run_sweep", run_sweep)
    monkeypatch.setattr(
        command,
        "prepare_sweep",
        lambda asked, request: PreparedSweep(asked, request, (), None, None, {"experiment": asked.name}),
    )
    monkeypatch.setattr(
        command, "judge_winner", lambda record, store, final, say: found.steps.append(("judge", final))
    )
    monkeypatch.setattr(command, "register_winner", register)
    monkeypatch.setattr(command, "compare_runs", step("compare"))
    monkeypatch.setattr(command, "write_page", page)
    monkeypatch.setattr(command, "terminal_view", lambda comparison: "")
    models = ["--registry", str(tmp_path / "registry")]
    found.run = lambda *words: CliRunner().invoke(
        command.application(ASKED),
        ["--dataset", "/data", *([] if "--no-register" in words else models), *words],
    )
    return found


def test_the_whole_way_is_gone_in_order_and_the_next_step_is_named(way, tmp_path):
    done = way.run()
    assert done.exit_code == 0, done.output
    assert way.steps == ["sweep", ("judge", True), "register", "compare", "page"]
    assert "winner t1: best" in done.stdout
    registry = tmp_path / "registry"
    assert f"next: {program()} models promote tiny-1 --dataset /data --registry {registry}\n" in done.stdout
    assert way.local == [False]


def test_options_become_the_request_and_the_settings(way, tmp_path):
    done = way.run(
        "--out", str(tmp_path / "out"), "--storage", str(tmp_path / "far"), "--local",
        "--set", "train.total_env_steps=5000", "--sweep", "scheduler=none",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    ((experiment, request),) = way.sweeps
    assert (request.out, request.storage) == (tmp_path / "out", str(tmp_path / "far"))
    assert not request.resume
    assert experiment.base.train.total_env_steps == 5_000
    assert experiment.sweep.scheduler == "none"
    assert way.local == [True]


def test_a_sweep_lies_in_the_programs_home_unless_it_is_told_where(way, tmp_path):
    way.run("--no-register", "--no-final", "--json")
    (store,) = way.stores
    assert store.out == tmp_path / "home" / "sweeps" / "made"
    assert way.steps == ["sweep", ("judge", False), "compare", "page"]


def test_a_registry_in_which_nothing_is_registered_is_refused(way, tmp_path):
    done = way.run("--no-register", "--registry", str(tmp_path / "registry"))
    assert done.exit_code == 2
    assert "--registry beside --no-register: no model is registered; leave it out" in done.stderr


def test_steps_are_those_of_each_trial_and_are_told_once(way):
    assert way.run("--steps", "4096", "--resume").exit_code == 2  # nothing to resume yet
    assert way.run("--steps", "4096").exit_code == 0
    assert way.sweeps[0][0].base.train.total_env_steps == 4_096
    twice = way.run("--steps", "4096", "--set", "train.total_env_steps=8192")
    assert twice.exit_code == 2
    assert "--steps 4096 and --set train.total_env_steps=8192" in twice.stderr
    assert len(way.sweeps) == 1


def test_a_sweep_that_ended_early_goes_on_with_its_own_options(monkeypatch, tmp_path):
    assert command._how_to_go_on(str(tmp_path)) == "the same command starts again"
    (tmp_path / command.PLAN_FILE).write_text("{}")
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "tune_experiments.made", "--local"])
    monkeypatch.setattr(sys, "argv", ["made.py", "--local", "--set", "train.gamma=0.9", "--out", "a b"])
    assert command._how_to_go_on(str(tmp_path)) == (
        "continue with: python -m tune_experiments.made --local --set train.gamma=0.9 --out 'a b' --resume"
    )


def test_json_is_the_record_alone(way):
    assert way.run("--json").stdout == '{"a": 1}\n'


def test_a_setting_that_the_experiment_varies_is_refused_before_the_sweep(way):
    done = way.run("--set", "train.gamma=0.5")
    assert done.exit_code != 0
    assert way.steps == []


MANIFEST = SimpleNamespace(markets=[1, 2])


def test_without_a_dataset_one_is_simulated_beside_the_sweep(way, monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(
        command, "simulated", lambda config, place, say: made.append(config.n_events) or place
    )
    monkeypatch.setattr(
        command, "build_dataset", lambda inputs, uri, config, progress: made.append(uri) or MANIFEST
    )
    done = way.run("--dataset", "", "--smoke", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert made == [100, str(tmp_path / "out" / "dataset")]
    assert way.sweeps[0][1].dataset == made[1]


def test_a_simulated_dataset_of_a_sweep_with_a_storage_lies_in_the_storage_and_is_made_once(
    way, monkeypatch, tmp_path
):
    made, recorded = [], []
    monkeypatch.setattr(command, "simulated", lambda config, place, say: recorded.append(place) or place)
    monkeypatch.setattr(
        command, "build_dataset", lambda inputs, uri, config, progress: made.append(uri) or MANIFEST
    )
    monkeypatch.setattr(command, "Dataset", SimpleNamespace(open=lambda uri: SimpleNamespace(uri=uri)))
    words = ("--dataset", "", "--storage", str(tmp_path / "far"))
    assert way.run(*words).exit_code == 0
    assert made == [str(tmp_path / "far" / "dataset")]
    assert recorded == [tmp_path / "home" / "sweeps" / "made"]  # not in the storage: no driver reads them
    again = way.run(*words)
    assert again.exit_code == 2
    assert "holds a sweep: continue it with --resume" in again.stderr
    assert way.run(*words, "--resume").exit_code == 0
    assert len(made) == 1


def test_what_a_sweep_leaves_lies_in_its_storage_with_its_registry_and_the_next_command_says_so(
    way, tmp_path
):
    far = tmp_path / "far"
    words = ("--registry", "", "--storage", str(far))
    done = way.run(*words)
    assert done.exit_code == 0, done.output
    assert (far / "compare.html").read_text() == "a page"
    assert way.registries == [f"{far}/registry"]
    assert f"models promote tiny-1 --dataset /data --registry {far}/registry\n" in done.stdout
    assert f"also {far}/compare.html" in done.stdout


def test_a_registry_that_is_named_wins_over_that_of_the_storage(way, tmp_path, monkeypatch):
    way.run("--storage", str(tmp_path / "far"))
    monkeypatch.setenv(REGISTRY_VARIABLE, str(tmp_path / "named"))
    way.run("--registry", "", "--storage", str(tmp_path / "far2"))
    assert way.registries == [str(tmp_path / "registry"), str(tmp_path / "named")]


def test_the_two_dashes_a_jobs_command_line_carries_are_ignored(monkeypatch):
    seen = []
    monkeypatch.setattr(command, "application", lambda experiment: seen.append)
    for words in (["--", "--smoke"], ["--smoke"]):
        monkeypatch.setattr(sys, "argv", ["made", *words])
        command.main(ASKED)
    assert seen == [["--smoke"], ["--smoke"]]


def test_where_no_ray_runs_the_ways_to_one_are_named(monkeypatch):
    def init(**_):
        raise ConnectionError

    monkeypatch.setattr(command.ray, "init", init)
    with pytest.raises(command.ContractError, match="add --local"), command._ray(False):
        pass


def test_an_address_is_no_folder_for_copies(way):
    done = way.run("--out", "s3://bucket/sweeps/one")
    assert done.exit_code == 2
    assert (
        "--out s3:/bucket/sweeps/one is an address, and --out is a folder of this machine: give --storage"
        in (" ".join(done.stderr.split()))
    )
    assert way.steps == []


def test_nothing_is_simulated_where_there_is_nothing_to_resume(way, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "simulated", lambda *given: pytest.fail("it was simulated"))
    done = way.run("--dataset", "", "--out", str(tmp_path / "out"), "--resume")
    assert done.exit_code == 2
    assert "holds no sweep to resume: leave out --resume" in done.stderr


def test_a_dataset_that_lies_in_the_place_is_not_replaced_by_a_simulated_one(way, monkeypatch, tmp_path):
    def build(inputs, uri, config, progress):
        assert not config.overwrite
        raise command.ContractError("holds dataset abc: give --overwrite to replace it, or another --out")

    monkeypatch.setattr(command, "simulated", lambda config, place, say: place)
    monkeypatch.setattr(command, "build_dataset", build)
    (tmp_path / "out" / "dataset").mkdir(parents=True)
    (tmp_path / "out" / "dataset" / "manifest.json").write_text("{}")
    done = way.run("--dataset", "", "--out", str(tmp_path / "out"))
    assert done.exit_code == 3
    assert (
        "holds another dataset, which the simulated one would replace: name it with --dataset" in done.stderr
    )


def test_a_store_that_is_away_does_not_hide_that_the_sweep_was_interrupted(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made")
    assert "--resume" in command._how_to_go_on("s3://bucket/sweep")
