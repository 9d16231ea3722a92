"""The benchmark runner: a crash, a hang or a malformed line fails the run, and results are recorded."""

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
LINE = {
    "bench": "book_replay",
    "value": 2e7,
    "unit": "events/s",
    "peer": "p",
    "peer_value": 1e7,
    "ratio": 2.0,
}


#: Seconds against a hang, not a slow machine.
HANGS_S = 600


@pytest.fixture(scope="module")
def runner():
    spec = importlib.util.spec_from_file_location("bench_runner", ROOT / "benchmarks" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def script(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_results_are_picked_out_of_the_other_output(runner):
    code = f"print('warming up'); print({json.dumps(LINE)!r}); print('done')"
    assert runner.run_one("x", HANGS_S, script(code)) == [LINE]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(3)", "x ended with exit code 3"),
        ("print('nothing measured')", "x printed no result"),
        ("""print('{"bench": "x", "value": 1}')""", "lacks unit, peer, peer_value, ratio"),
    ],
)
def test_a_benchmark_that_measures_nothing_fails(runner, code, said):
    with pytest.raises(runner.BenchmarkError, match=said):
        runner.run_one("x", HANGS_S, script(code))


def until(true: Callable[[], object]) -> None:
    end_s = time.monotonic() + HANGS_S
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def has_ended(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_benchmark_that_hangs_is_ended_with_its_children(runner, tmp_path, monkeypatch):
    pid_file = tmp_path / "pid"
    hang = f"time.sleep({2 * HANGS_S})"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; {hang}'])\n"
        f"open({str(pid_file)!r}, 'w').write(str(child.pid)); {hang}"
    )
    communicate = subprocess.Popen.communicate

    def with_a_child(process: Any, timeout: float) -> Any:
        until(lambda: pid_file.exists() and pid_file.read_text())  # the limit begins when there is a child
        return communicate(process, timeout=timeout)

    monkeypatch.setattr(subprocess.Popen, "communicate", with_a_child)
    with pytest.raises(runner.BenchmarkError, match="did not finish in 1 s"):
        runner.run_one("x", 1, script(code))
    until(lambda: has_ended(pid_file.read_text()))


def test_a_failure_is_recorded_and_ends_with_one_while_the_others_still_run(runner, tmp_path, monkeypatch):
    def run_one(name, limit_s):
        if name == "env_step":
            raise runner.BenchmarkError("env_step ended with exit code 1")
        return [{**LINE, "ratio": 0.5}]

    monkeypatch.setattr(runner, "run_one", run_one)
    monkeypatch.setattr(runner, "RESULTS", tmp_path / "RESULTS.md")
    assert runner.main(["--only", "env_step", "--only", "book_replay"]) == 1
    text = (tmp_path / "RESULTS.md").read_text()
    assert "FAILED env_step ended with exit code 1" in text
    assert "below target: book_replay: ratio 0.5, promised at least 1" in text
    assert json.dumps({**LINE, "ratio": 0.5}) in text


@pytest.fixture
def order(runner, tmp_path, monkeypatch) -> list[str]:
    """Warm-ups and benchmarks in the order in which they ran."""
    ran: list[str] = []
    monkeypatch.setattr(runner, "warm_up", lambda: ran.append("warm-up") or 91.0)
    monkeypatch.setattr(runner, "run_one", lambda name, limit_s: ran.append(name) or [LINE])
    monkeypatch.setattr(runner, "RESULTS", tmp_path / "RESULTS.md")
    return ran


def test_kernels_of_a_replica_are_compiled_once_before_the_limits_of_the_benchmarks_that_need_them(
    runner, order, capsys
):
    assert runner.main(["--only", "serve_http", "--only", "serve_stream"]) == 0
    assert order == ["warm-up", "serve_http", "serve_stream"]
    assert "kernels were ready in 91 s" in capsys.readouterr().err


def test_benchmarks_without_a_replica_wait_for_no_kernels_of_one(runner, order):
    assert runner.main(["--only", "env_step"]) == 0
    assert order == ["env_step"]


def test_a_warm_up_that_fails_is_recorded_and_the_benchmarks_run_all_the_same(
    runner, order, monkeypatch, tmp_path
):
    def warm_up():
        raise runner.BenchmarkError("the warm-up did not finish in 600 s")

    monkeypatch.setattr(runner, "warm_up", warm_up)
    assert runner.main(["--only", "serve_http"]) == 1
    assert order == ["serve_http"]
    assert "FAILED the warm-up did not finish in 600 s" in (tmp_path / "RESULTS.md").read_text()


def test_the_warm_up_has_a_limit_of_its_own_and_tells_its_seconds(runner):
    assert runner.warm_up(HANGS_S, script("pass")) > 0
    with pytest.raises(runner.BenchmarkError, match="the warm-up did not finish in 1 s"):
        runner.warm_up(1, script(f"import time; time.sleep({2 * HANGS_S})"))


def test_every_benchmark_that_starts_a_replica_is_warmed(runner):
    using = {
        name for name in runner.LIMITS if "both_running" in (ROOT / "benchmarks" / f"{name}.py").read_text()
    }
    assert using == set(runner.SERVED)


def test_sections_are_appended_and_name_machine_commit_and_versions(runner, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "run_one", lambda name, limit_s: [LINE])
    monkeypatch.setattr(runner, "RESULTS", tmp_path / "RESULTS.md")
    assert runner.main(["--only", "book_replay"]) == runner.main(["--only", "book_replay"]) == 0
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.count("\n## 2") == 2
    assert "cores" in text
    assert "numba 0." in text
    assert ", commit " in text


def test_a_target_is_missed_only_below_it(runner):
    assert runner.below_target({**LINE, "ratio": 1.0}) is None
    assert "0.99" in runner.below_target({**LINE, "ratio": 0.99})
    assert runner.below_target({**LINE, "bench": "without a target", "ratio": 0.0}) is None
    assert "by its own account" in runner.below_target({**LINE, "bench": "env_step", "meets_targets": False})


def test_all_limits_together_keep_the_promise_of_twenty_minutes(runner):
    assert sum(runner.LIMITS_S.values()) < 1_200


def test_every_benchmark_in_the_list_is_a_file(runner):
    assert [name for name in runner.LIMITS if not (ROOT / "benchmarks" / f"{name}.py").is_file()] == []
