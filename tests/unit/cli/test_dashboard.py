"""The dashboard command without any server."""

import socket
from pathlib import Path

import pytest
from made.runs import make_sweep
from typer.testing import CliRunner

from kalshi_platform.cli import dashboard
from kalshi_platform.cli.main import app
from kalshi_platform.domain.places import HOME_VARIABLE
from kalshi_platform.learning.tuning.tracking import URI_VARIABLE


def test_a_tracking_server_is_shown_where_it_is(monkeypatch):
    monkeypatch.setenv(URI_VARIABLE, "http://127.0.0.1:5555")
    outcome = CliRunner().invoke(app, ["dashboard", "mlflow"])
    assert (outcome.exit_code, outcome.output) == (0, "http://127.0.0.1:5555\n")


def test_a_taken_port_and_a_missing_folder_are_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(app, ["dashboard", "tensorboard"])
    assert outcome.exit_code == 2
    assert f"no learning curves below runs or {tmp_path / 'sweeps'}: `make run`," in outcome.output
    outcome = CliRunner().invoke(app, ["dashboard", "tensorboard", str(tmp_path / "none")])
    assert "none is not a folder: name a run, a sweep" in outcome.output
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard" / "events.out.tfevents.1").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = CliRunner().invoke(app, ["dashboard", "tensorboard", str(tmp_path), "--port", str(port)])
    assert outcome.exit_code == 2
    assert f"port {port} of 127.0.0.1 is taken" in outcome.output


@pytest.mark.parametrize(
    ("curves_in", "shown"),
    [
        (["runs/quickstart/work-1/runs-1/seed-0"], ["--logdir", "runs"]),
        (["home/sweeps/a/trials/t0"], ["--logdir", "HOME/sweeps"]),
        (["runs/a", "home/sweeps/a/trials/t0"], ["--logdir_spec", "runs:runs,sweeps:HOME/sweeps"]),
    ],
)
def test_tensorboard_finds_the_curves_of_runs_and_sweeps_by_itself(tmp_path, monkeypatch, curves_in, shown):
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    started: list[list[str]] = []
    monkeypatch.setattr(dashboard, "_serve", lambda command, url, browser: started.append(command))
    (tmp_path / "runs").mkdir()
    for place in curves_in:
        (tmp_path / place / "tensorboard").mkdir(parents=True)
        (tmp_path / place / "tensorboard" / "events.out.tfevents.1").touch()
    outcome = CliRunner().invoke(app, ["dashboard", "tensorboard", "--port", "0"])
    assert outcome.exit_code == 0, outcome.output
    at = started[0].index(shown[0])
    assert started[0][at + 1] == shown[1].replace("HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("url", [None, "127.0.0.1:8265"])
def test_a_rays_dashboard_is_shown_or_how_to_start_one_is_said(monkeypatch, url):
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    monkeypatch.setattr("ray._private.worker.get_dashboard_url", lambda: url)
    outcome = CliRunner().invoke(app, ["dashboard", "ray"])
    if url:
        assert (outcome.exit_code, outcome.stdout) == (0, f"http://{url}\n")
    else:
        assert outcome.exit_code == 2
        assert "--include-dashboard=true" in outcome.stderr


def test_a_sweeps_page_is_written_again_and_opened_where_asked(monkeypatch, tmp_path: Path):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    make_sweep(tmp_path, [])
    outcome = CliRunner().invoke(app, ["dashboard", "sweep", str(tmp_path), "--browser"])
    assert outcome.exit_code == 0, outcome.output
    page = tmp_path / "compare.html"
    assert page.exists()
    assert opened == [page.as_uri()] == [outcome.stdout.strip()]
