"""The quickstart command: where its recordings come from and what it says at the end."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from kalshi_platform.cli import quickstart as command
from kalshi_platform.cli.main import app
from kalshi_platform.cli.quickstart import simulated
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.simulation.simexchange.config import SimConfig
from kalshi_platform.simulation.simexchange.presets import world_of
from kalshi_platform.workflows.quickstart import QuickstartConfig


@pytest.fixture
def asked(monkeypatch):
    """What the command asks for; nothing is simulated or trained."""
    found = SimpleNamespace(simulated=[], runs=[], again=[], champion=True, cautions=())

    def quickstart(config, recordings, out, say, again):
        found.again.append(again)
        found.runs.append((config, recordings, out))
        published = SimpleNamespace(
            champion=found.champion,
            refusals=("too slow",),
            record=SimpleNamespace(id="tiny-1"),
            cautions=found.cautions,
            challenger=True,
        )
        evaluation = SimpleNamespace(model_dump_json=lambda: '{"the": "report"}')
        return SimpleNamespace(
            evaluation=evaluation, html="r.html", published=published, registry="/registry"
        )

    monkeypatch.setattr(command, "quickstart", quickstart)

    def simulate(config, folder, progress):
        progress(1, config.n_events)
        found.simulated.append((config, folder))
        return SimpleNamespace(n_events=config.n_events, n_markets=3 * config.n_events)

    monkeypatch.setattr(command, "simulate", simulate)
    monkeypatch.setattr(command, "print_view", lambda evaluation, html: None)
    return found


def run(*words):
    return CliRunner().invoke(app, ["quickstart", *words])


def test_without_data_an_exchange_is_simulated_inside_the_folder(asked, tmp_path):
    done = run("--out", str(tmp_path), "--events", "40")
    assert done.exit_code == 0, done.output
    ((config, folder),) = asked.simulated
    assert (config.n_events, world_of(config), folder.parent) == (40, "calibrated", tmp_path)
    assert "of the world calibrated (agents on a matching core" in done.stderr
    wide = SplitConfig(train=200, validation=50, test=50)  # enough held-out blocks for half of a rule's edge
    assert asked.runs == [(QuickstartConfig(split=wide), [folder], tmp_path)]


def test_the_wait_for_kernels_is_announced_before_the_first_event(asked, tmp_path, monkeypatch):
    said: list[str] = []

    def simulate(config, folder, progress):
        assert "kernels compile" in said[-1]
        return SimpleNamespace(n_events=config.n_events, n_markets=1)

    monkeypatch.setattr(command, "simulate", simulate)
    simulated(SimConfig(n_events=40), tmp_path, said.append)
    assert said[0].startswith("simulating 40 events (the first time ")


def test_another_world_is_taken_by_its_name_and_an_unknown_one_is_refused(asked, tmp_path):
    assert run("--out", str(tmp_path), "--events", "40", "--exchange", "planted_imbalance").exit_code == 0
    assert asked.simulated[0][0] == SimConfig(n_events=40)
    assert run("--out", str(tmp_path), "--exchange", "casino").exit_code == 2


def test_recordings_that_are_there_are_neither_made_again_nor_mixed_with_others(asked, tmp_path):
    config = SimConfig(n_events=40)
    (tmp_path / f"simulated-{config.digest}").mkdir()
    assert simulated(config, tmp_path, print).is_dir()
    assert asked.simulated == []
    assert simulated(config.replace(seed=1), tmp_path, print) != simulated(config, tmp_path, print)


def test_named_data_and_settings_are_taken(asked, tmp_path):
    done = run("--input", str(tmp_path), "--out", "o", "--seeds", "3", "--set", "train.total_env_steps=5000")
    assert done.exit_code == 0, done.output
    ((config, recordings, out),) = asked.runs
    assert (recordings, out, config.seeds) == ([tmp_path], Path("o"), 3)
    assert config.run.train.total_env_steps == 5_000
    assert asked.simulated == []


def test_input_that_is_not_there_is_refused(asked, tmp_path):
    done = run("--input", str(tmp_path / "absent"))
    assert done.exit_code == 2
    assert str(tmp_path / "absent") in done.stderr
    assert asked.runs == []


@pytest.mark.parametrize(
    ("champion", "role"), [(True, "champion"), (False, "challenger; the gates refused: too slow")]
)
def test_the_end_says_what_became_of_the_model_and_how_to_serve_it(asked, tmp_path, champion, role):
    asked.champion = champion
    done = run("--input", str(tmp_path))
    assert f"model: tiny-1 in /registry, {role}\n" in done.stdout
    asked.cautions = ("simulated: judged on simulated data only",)
    marked = run("--input", str(tmp_path)).stdout
    assert f"model: tiny-1 in /registry, {role}; simulated: judged on simulated data only\n" in marked
    assert "kalshi-platform serve --registry /registry" in done.stdout


def test_json_is_the_report_alone(asked, tmp_path):
    assert run("--input", str(tmp_path), "--json").stdout == '{"the": "report"}\n'
