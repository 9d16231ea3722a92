"""The dashboard command without any server."""

import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest
from made.runs import make_run, make_sweep, trial
from typer.testing import CliRunner

from kalshi_platform.cli import dashboard
from kalshi_platform.cli.main import app
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.places import HOME_VARIABLE
from kalshi_platform.learning.training.checkpoint import BEST, LATEST, point
from kalshi_platform.learning.training.mirror import Mirror
from kalshi_platform.learning.tuning import tracking_place
from kalshi_platform.learning.tuning.load_runs import CACHE_FILE
from kalshi_platform.learning.tuning.tracking_place import URI_VARIABLE, TrackingPlace
from serve_deployments.local import free_port


def test_a_tracking_server_is_shown_where_it_is(monkeypatch):
    monkeypatch.setenv(URI_VARIABLE, "http://127.0.0.1:5555")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    outcome = CliRunner().invoke(app, ["dashboard", "mlflow"])
    assert (outcome.exit_code, outcome.output) == (0, "http://127.0.0.1:5555\n")
    outcome = CliRunner().invoke(app, ["dashboard", "mlflow", "--port", "5001"])
    assert outcome.exit_code == 2
    assert "--port beside MLflow's own server http://127.0.0.1:5555: none is started here" in outcome.stderr


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
    monkeypatch.setattr(dashboard, "_serve", lambda command, *_, **__: started.append(command))
    (tmp_path / "runs").mkdir()
    for place in curves_in:
        (tmp_path / place / "tensorboard").mkdir(parents=True)
        (tmp_path / place / "tensorboard" / "events.out.tfevents.1").touch()
    outcome = CliRunner().invoke(app, ["dashboard", "tensorboard", "--port", "0"])
    assert outcome.exit_code == 0, outcome.output
    at = started[0].index(shown[0])
    assert started[0][at + 1] == shown[1].replace("HOME", str(tmp_path / "home"))


def test_the_curves_of_a_sweep_in_a_storage_are_fetched_and_a_copy_of_it_names_the_storage(
    tmp_path, monkeypatch
):
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    started: list[list[str]] = []
    monkeypatch.setattr(dashboard, "_serve", lambda command, *_, **__: started.append(command))
    uri = f"file://{tmp_path}/storage"
    outcome = CliRunner().invoke(app, ["dashboard", "tensorboard", uri, "--port", "0"])
    assert outcome.exit_code == 2
    assert f"no learning curves below {uri}: name the --storage" in outcome.output
    make_run(tmp_path / "run", [0.01, 0.02], iterations=2)
    point(tmp_path / "run", LATEST, (tmp_path / "run" / BEST).resolve())
    for trial_id in ("t1", "t0"):  # the second call finds another sweep there
        shutil.rmtree(tmp_path / "storage", ignore_errors=True)
        Mirror(f"{tmp_path}/storage/trials/{trial_id}").push(tmp_path / "run")
        outcome = CliRunner().invoke(app, ["dashboard", "tensorboard", uri, "--port", "0"])
        assert outcome.exit_code == 0, outcome.output
    assert "1 curves" not in outcome.output
    assert "1 curve of" in outcome.output
    logs = Path(started[1][started[1].index("--logdir") + 1])
    (curve,) = logs.rglob("events.out.tfevents.*")
    assert curve.relative_to(logs).parts[:2] == ("trials", "t0")
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / CACHE_FILE).write_text(f'{{"storage": "{uri}", "claim": "c"}}')
    outcome = CliRunner().invoke(app, ["dashboard", "tensorboard", str(copy)])
    assert outcome.exit_code == 2
    assert f"dashboard tensorboard {uri}" in outcome.output


def test_mlflow_starts_with_one_worker_and_none_of_its_job_runners(tmp_path, monkeypatch):
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    started: list[tuple[list[str], str, dict[str, str]]] = []
    monkeypatch.setattr(
        dashboard, "_serve",
        lambda command, url, browser, *, health, env: started.append((command, health, env)),
    )  # fmt: skip
    monkeypatch.setattr(TrackingPlace, "open", lambda self: None)
    monkeypatch.setattr(tracking_place, "view_address", lambda place, server: server)
    outcome = CliRunner().invoke(app, ["dashboard", "mlflow", "--port", "0"])
    assert outcome.exit_code == 0, outcome.output
    ((command, health, env),) = started
    assert command[command.index("--workers") + 1] == "1"
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert health.endswith("/health")
    assert env == {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def test_an_address_is_printed_once_the_server_answers(monkeypatch, capfd, tmp_path: Path):
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    show, shown = dashboard._show, tmp_path / "shown"

    def show_and_end(url: str, browser: bool) -> None:
        show(url, browser)
        with urllib.request.urlopen(url):  # as who reads the address does
            shown.touch()

    monkeypatch.setattr(dashboard, "_show", show_and_end)
    program = (
        "import http.server as h, os, sys, time; time.sleep(0.5);"
        "server = h.HTTPServer(('127.0.0.1', int(sys.argv[1])), h.SimpleHTTPRequestHandler);"
        "server.timeout = 0.1\n"
        "while not os.path.exists(sys.argv[2]): server.handle_request()"
    )
    port = free_port("127.0.0.1")
    url = f"http://127.0.0.1:{port}"
    dashboard._serve([sys.executable, "-c", program, str(port), str(shown)], url, False, health=url)
    assert capfd.readouterr().out == f"{url}\n"


def test_a_server_that_ends_at_once_is_refused_and_its_address_not_printed(monkeypatch, capfd):
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    command = [sys.executable, "-c", "raise SystemExit(7)"]
    with pytest.raises(ContractError, match="ended with code 7"):
        dashboard._serve(command, "http://127.0.0.1:9", False, health="http://127.0.0.1:9")
    assert capfd.readouterr().out == ""


class Store:
    """Ray's store of addresses, as far as this asks it."""

    url: bytes | None = None

    def __init__(self, address: str) -> None:
        assert address == "here:6379"

    def internal_kv_get(self, key: bytes, namespace: bytes) -> bytes | None:
        return self.url if key == b"webui:url" else None


@pytest.mark.parametrize("url", [None, b"127.0.0.1:8265"])
def test_a_rays_dashboard_is_shown_without_a_driver_or_how_to_start_one_is_said(monkeypatch, url):
    monkeypatch.setattr(
        "ray._private.services.canonicalize_bootstrap_address_or_die", lambda address: "here:6379"
    )
    monkeypatch.setattr("ray._raylet.GcsClient", Store)
    monkeypatch.setattr(Store, "url", url)
    monkeypatch.setattr("ray.init", lambda *_, **__: pytest.fail("a driver is a job of the cluster"))
    outcome = CliRunner().invoke(app, ["dashboard", "ray"])
    if url:
        assert (outcome.exit_code, outcome.stdout) == (0, f"http://{url.decode()}\n")
    else:
        assert outcome.exit_code == 2
        assert "--include-dashboard=true" in outcome.stderr


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("Could not find any running Ray instance.", "no Ray runs here: start one"),
        ("Found multiple active Ray instances: {'a', 'b'}.", "Name one with RAY_ADDRESS"),
    ],
)
def test_no_ray_and_several_are_told_apart(monkeypatch, raised, said):
    def refuse(address: str) -> str:
        raise ConnectionError(raised)

    monkeypatch.setattr("ray._private.services.canonicalize_bootstrap_address_or_die", refuse)
    outcome = CliRunner().invoke(app, ["dashboard", "ray"])
    assert outcome.exit_code == 2
    assert said in outcome.stderr


def test_a_sweeps_page_is_written_again_and_opened_where_asked(monkeypatch, tmp_path: Path):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    make_sweep(tmp_path, [trial("a")])
    outcome = CliRunner().invoke(app, ["dashboard", "sweep", str(tmp_path), "--browser"])
    assert outcome.exit_code == 0, outcome.output
    page = tmp_path / "compare.html"
    assert page.exists()
    assert opened == [page.as_uri()] == [outcome.stdout.strip()]


def test_the_page_of_a_sweep_in_a_storage_is_named_and_not_written_anew(tmp_path):
    outcome = CliRunner().invoke(app, ["dashboard", "sweep", "s3://bucket/sweeps/one/"])
    assert outcome.exit_code == 2
    assert "its page is s3://bucket/sweeps/one/compare.html" in outcome.output
    make_sweep(tmp_path, [trial("t0")])
    (tmp_path / "compare.html").write_text("the sweep's own page")
    (tmp_path / "trials" / "t0").mkdir(parents=True)
    (tmp_path / "trials" / "t0" / "mirror.json").write_text("{}")
    outcome = CliRunner().invoke(app, ["dashboard", "sweep", str(tmp_path)])
    assert outcome.exit_code == 3
    assert "is a sweep's --storage, where runs are packed: its page is compare.html there" in outcome.output
    assert (tmp_path / "compare.html").read_text() == "the sweep's own page"


#: ``dashboard mlflow`` with another server, as in a terminal; it prints the number of the server's process,
#: and asks the port in its argument whether that server answers.
HELD = """
import signal, sys
from kalshi_platform.cli import dashboard
signal.signal(signal.SIGHUP, signal.SIG_DFL)
server = "import os, time; print(os.getpid(), file=sys.stderr, flush=True); time.sleep(600)"
health = "http://127.0.0.1:" + sys.argv[1]
dashboard._serve([sys.executable, "-c", "import sys; " + server], "http://x", False, health=health)
"""


def test_a_terminal_that_is_closed_leaves_no_server_behind():
    with socket.create_server(("127.0.0.1", 0)) as health:
        command = [sys.executable, "-c", HELD, str(health.getsockname()[1])]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
            assert program.stderr is not None
            server = next(int(line) for line in program.stderr if line.strip().isdigit())
            with health.accept()[0]:  # the command asks: it knows its server by now
                program.send_signal(signal.SIGHUP)
                program.communicate(timeout=600)
    assert not psutil.pid_exists(server)


#: The same, whose signal comes right after the server's process was made and before anybody knows its number.
EARLY = HELD.replace(
    "signal.signal(signal.SIGHUP",
    """
import os, subprocess
start = subprocess.Popen
def early(*args, **more):
    made = start(*args, **more)
    os.kill(os.getpid(), signal.SIGTERM)
    return made
subprocess.Popen = early
signal.signal(signal.SIGHUP""",
)


def test_a_signal_while_the_server_is_made_leaves_none_behind():
    command = [sys.executable, "-c", EARLY.replace("time.sleep(600)", "time.sleep(599.25)"), "9"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    left = [p.pid for p in psutil.process_iter(["cmdline"]) if "599.25" in str(p.info["cmdline"])]
    assert left == []
