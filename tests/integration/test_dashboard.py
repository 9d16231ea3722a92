"""Each dashboard opens with one command, on loopback, and its address is printed."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from made.processes import family_of, hosts_listening, kill_all

from kalshi_platform.domain.places import HOME_VARIABLE
from kalshi_platform.learning.training.curves import Curves
from kalshi_platform.learning.tuning.tracking_place import URI_VARIABLE
from serve_deployments.local import free_port

PROGRAM = "from kalshi_platform.cli.main import app; app()"


def answer(url: str, process: subprocess.Popen, log: Path) -> bytes:
    """What the server says once it is up; the test fails where it ended or says nothing for three minutes."""
    end_s = time.monotonic() + 180
    while True:
        assert process.poll() is None, f"the dashboard ended: {log.read_text()}"
        try:
            with urllib.request.urlopen(url, timeout=5) as found:
                return found.read()
        except (urllib.error.URLError, ConnectionError, TimeoutError):  # TimeoutError: a slow first page
            assert time.monotonic() < end_s, f"{url} does not answer: {log.read_text()}"
            time.sleep(0.1)


def answered_to(name: str, port: int) -> int:
    """Status of the answer to a request that calls this machine ``name``."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": f"{name}:{port}"})
    try:
        with urllib.request.urlopen(request, timeout=600) as found:
            return found.status
    except urllib.error.HTTPError as refused:
        return refused.code


@pytest.mark.parametrize(("name", "mark"), [("mlflow", b"MLflow"), ("tensorboard", b"TensorBoard")])
def test_a_dashboard_answers_at_the_address_it_prints_and_ends_with_ctrl_c(name, mark, tmp_path: Path):
    run = tmp_path / "sweeps" / "made" / "trials" / "trial-0"
    Curves(run, [{"env_steps": 128, "entropy": 1.5}]).close()
    env = {**os.environ, HOME_VARIABLE: str(tmp_path)}
    env.pop(URI_VARIABLE, None)
    log = tmp_path / "stderr"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "dashboard", name, "--port", str(free_port("127.0.0.1"))],
            stdout=subprocess.PIPE, stderr=stderr, text=True, env=env, start_new_session=True,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), log.read_text()
        assert mark in answer(url, process, log)
        port = int(url.rpartition(":")[2])
        assert answered_to("evil.example", port) == 403  # a foreign name that was made to point here
        assert answered_to("127.0.0.1.evil.example", port) == 403
        assert hosts_listening(process.pid, port) == {"127.0.0.1"}
        family = family_of(process.pid)
        if name == "mlflow":  # the command, MLflow's own, its one worker: no runners of jobs
            assert len(family) <= 3, family
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=600) in (0, 130)
        assert psutil.wait_procs(family, timeout=600)[1] == []
    finally:
        if process.poll() is None:
            kill_all(family_of(process.pid))  # some are in sessions of their own
            process.kill()
            process.wait(timeout=600)
        process.stdout.close()
