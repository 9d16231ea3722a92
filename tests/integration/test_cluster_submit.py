"""``cluster/submit.py`` against a real head with token authentication, which this file starts and stops."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_deployments.local import NICENESS, free_port

pytestmark = pytest.mark.ray

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "cluster.md").read_text()
SUBMIT = [sys.executable, str(ROOT / "cluster" / "submit.py")]
RAY = str(Path(sys.executable).with_name("ray"))
EXPERIMENT = '''"""Prints what it was given and ends with the status asked for."""
import os, sys
print("working files:", sorted(p for p in os.listdir() if not p.startswith(".")))
print("mode:", os.environ.get("SWEEP_MODE"), "arguments:", sys.argv[2:])
sys.exit(int(sys.argv[1]))
'''


def documented(start: str) -> list[str]:
    """The words after ``start`` of the first command of docs/cluster.md that begins so."""
    return shlex.split(re.search(rf"^{re.escape(start)}(.*)$", PAGE, re.MULTILINE)[1])


def free_ports(n: int) -> list[int]:
    found: set[int] = set()
    while len(found) < n:
        found.add(free_port("127.0.0.1"))
    return list(found)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def end_group(head: subprocess.Popen) -> None:
    """Ends the process group this file started, and nothing else: other sessions' Ray may run beside it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + 60
        try:
            os.killpg(head.pid, number)
            while time.monotonic() < until:
                head.poll()  # a leader that is not waited for keeps its group
                time.sleep(0.1)  # the only way to wait for processes that are not our children
                os.killpg(head.pid, 0)
        except ProcessLookupError:
            return


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """An environment with a home of its own, in which Ray's own command has made the token."""
    home = tmp_path_factory.mktemp("home")
    kept = {n: v for n, v in os.environ.items() if not n.startswith("RAY_") or n == NICENESS}
    made = {**kept, "HOME": str(home), "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    made["RAY_raylet_start_wait_time_s"] = "180"  # beside other tests
    token = subprocess.run(
        [RAY, "get-auth-token", *documented("ray get-auth-token")],
        env=made,
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    ).stdout
    assert (home / ".ray" / "auth_token").read_text() == token
    return made


@pytest.fixture(scope="module")
def address(environment) -> Iterator[str]:
    dashboard, agent, client, metrics = free_ports(4)
    # Short, because the path of a Unix socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "start.log"
        options = {
            "port": 0,
            "dashboard-port": dashboard,
            "dashboard-agent-listen-port": agent,
            "ray-client-server-port": client,
            "metrics-export-port": metrics,
            "min-worker-port": 0,
            "max-worker-port": 0,
            "temp-dir": folder,
            "num-cpus": 1,
            "object-store-memory": 100_000_000,
            "include-dashboard": "true",
        }
        # The page's own command; of an option given twice the last holds.
        command = [RAY, "start", *documented("ray start"), "--block"]
        command += [f"--{name}={value}" for name, value in options.items()]
        with log.open("wb") as out:
            head = subprocess.Popen(
                command, env=environment, stdout=out, stderr=out, cwd=folder, start_new_session=True
            )
        try:
            url = f"http://127.0.0.1:{dashboard}"
            until = time.monotonic() + 300
            while "Ray runtime started" not in log.read_text() or not answers(f"{url}/api/version"):
                assert head.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.2)
            environment["RAY_ADDRESS"] = re.search(r"--address='([\d.:]+)'", log.read_text())[1]
            yield url
        finally:
            end_group(head)


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A working folder with one tiny experiment, and things that must stay at home."""
    folder = tmp_path / "checkout"
    (folder / "tune_experiments").mkdir(parents=True)
    (folder / "tune_experiments" / "__init__.py").touch()
    (folder / "tune_experiments" / "tiny.py").write_text(EXPERIMENT)
    (folder / "tune_experiments" / "curriculum_sweep.py").write_text("print('swept')")
    for kept in ("runs", "data"):
        (folder / kept).mkdir()
        (folder / kept / "big.bin").write_bytes(bytes(1000))
    (folder / "notes.env").write_text("SECRET=1")
    return folder


def run_submit(environment, checkout, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*SUBMIT, *arguments],
        env=environment,
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_a_job_runs_is_followed_and_its_status_is_ours(address, environment, checkout):
    done = run_submit(
        environment,
        checkout,
        *("tiny", "--address", address, "--env", "SWEEP_MODE=smoke", "--", "7", "--out", "a b"),
    )
    assert done.returncode == 7, done.stderr + done.stdout
    assert "working files: ['tune_experiments']" in done.stdout  # neither data nor runs nor notes.env
    assert "mode: smoke arguments: ['--out', 'a b']" in done.stdout
    assert f"ray job logs --follow --address {address} raysubmit_" in done.stdout
    assert "FAILED, exit status 7" in done.stdout


def test_a_job_that_succeeds_is_told_as_one_json_object(address, environment, checkout):
    done = run_submit(environment, checkout, "tiny", "--address", address, "--json", "--", "0")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == "SUCCEEDED"
    assert told["exit_status"] == 0
    assert told["entrypoint"] == "python -m tune_experiments.tiny 0"
    assert "working files:" in done.stderr


def test_another_token_is_refused_before_anything_is_uploaded(address, environment, checkout):
    done = run_submit({**environment, "RAY_AUTH_TOKEN": "f" * 64}, checkout, "tiny", "--address", address)
    assert done.returncode == 2
    assert "the token was refused (403)" in done.stderr
    assert "f" * 64 not in done.stderr


def test_a_cluster_that_asks_for_a_token_refuses_a_call_without_one(address, environment, checkout):
    done = run_submit(environment, checkout, "tiny", "--address", address, "--no-auth")
    assert done.returncode == 2
    assert "leave --no-auth out" in done.stderr


def test_the_commands_of_the_page_for_this_machine_run(address, environment, checkout):
    there = {**environment, "RAY_API_SERVER_ADDRESS": address}
    done = run_submit(there, checkout, *documented("python cluster/submit.py"))
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.splitlines()[0].endswith("curriculum_sweep --smoke --out /tmp/sweep")
    assert "swept" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("SUCCEEDED, exit status 0")
    job = re.search(r"raysubmit_\w+", done.stdout)[0]
    shown = re.search(r"state +ray (job status .+)", done.stdout)[1]
    for words, said in ((["job", "list"], job), (shlex.split(shown), job), (["status"], "1 node_")):
        told = subprocess.run(
            [RAY, *words], env=there, capture_output=True, text=True, timeout=600, check=False
        )
        assert said in told.stdout + told.stderr, words
