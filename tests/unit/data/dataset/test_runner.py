"""Who runs the jobs of a build: workers only where they pay, and this process beside the Ray it started."""

import sys
import threading
from concurrent import futures
from typing import Any

import pytest

from kalshi_platform.data.dataset import runner
from kalshi_platform.data.dataset.journal import Journal
from kalshi_platform.data.dataset.runner import run_jobs
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.domain.errors import DataError, PlatformError
from kalshi_platform.storage.storage import open_storage


@pytest.mark.parametrize("workers", [0, 1, None])
def test_a_small_build_runs_here_one_job_after_the_other(fake, tmp_path, workers):
    jobs = {f"key{n}": job for n, job in enumerate(fake.jobs(1))}
    done = list(run_jobs(jobs, open_storage(tmp_path / "out"), workers, ResolutionHistory(())))
    assert [built.key for built in done] == list(jobs)
    assert fake.ran == [event for job in jobs.values() for event in job.events]


def test_the_first_refused_job_ends_the_build_and_what_was_finished_before_is_kept(fake, tmp_path):
    fake.broken = {"EV1"}
    jobs = {f"key{n}": job for n, job in enumerate(fake.jobs(1))}
    storage = open_storage(tmp_path / "out")
    with pytest.raises(DataError, match="EV1"):
        list(run_jobs(jobs, storage, 0, ResolutionHistory(())))
    assert fake.ran == ["EV0", "EV1"]
    assert list(Journal(storage).finished(set(jobs))) == ["key0"]


class RayError(Exception):
    """Error of Ray's own: a process is gone."""


class RayTaskError(RayError):
    """Error of a job that ran in a worker."""

    def __init__(self, cause):
        self.cause = cause


class FakeRay:
    """Ray whose tasks run in the test's own process, each when it is asked for."""

    def __init__(self, is_running):
        self.given, self.cancelled, self.was_shut_down = [], [], False
        self._is_running = is_running
        self.exceptions = type("exceptions", (), {"RayTaskError": RayTaskError, "RayError": RayError})

    def is_initialized(self):
        return self._is_running

    def put(self, value):
        return value

    def remote(self, **options):
        return lambda function: type("Task", (), {"remote": lambda *job: self._give(function, job)})

    def _give(self, function, job):
        self.given.append(job[1])
        return lambda: function(*job)

    def wait(self, running, num_returns, timeout):
        return ([], running) if timeout == 0 else (running[:1], running[1:])

    def get(self, done):
        try:
            return [task() for task in done]
        except DataError as err:
            raise RayTaskError(err) from err

    def cancel(self, reference, force):
        self.cancelled.append(reference)

    def shutdown(self):
        self.was_shut_down = True


def run_with(ray, fake, tmp_path, monkeypatch, workers=2, start=lambda ray, **options: None):
    """Records of the six jobs of ``fake``, run on ``ray``."""
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(runner, "start_ray", start)
    jobs = {f"key{n}": job for n, job in enumerate(fake.jobs(1))}
    return list(run_jobs(jobs, open_storage(tmp_path / "out"), workers, ResolutionHistory(())))


def test_a_process_that_starts_ray_is_one_of_the_workers(fake, tmp_path, monkeypatch):
    ray = FakeRay(is_running=False)
    asked = {}
    has_worked = threading.Event()

    def start(ray, **options):
        asked.update(options)
        assert has_worked.wait(600)  # Ray starts only when this process does a job

    do, look = runner.run_and_record, runner._RayStart.ray

    def run(*job: Any) -> Any:
        has_worked.set()
        return do(*job)

    def look_again(self: Any, wait: bool) -> Any:
        if has_worked.is_set():
            futures.wait([self._started])  # and has started before this process looks for it again
        return look(self, wait)

    monkeypatch.setattr(runner, "run_and_record", run)
    monkeypatch.setattr(runner._RayStart, "ray", look_again)
    done = run_with(ray, fake, tmp_path, monkeypatch, start=start)
    assert sorted(built.key for built in done) == [f"key{n}" for n in range(6)]
    assert asked["num_cpus"] == 1  # the other worker is this process
    assert 0 < len(ray.given) < 6
    assert ray.was_shut_down


def test_on_a_ray_that_was_there_only_its_workers_work(fake, tmp_path, monkeypatch):
    ray = FakeRay(is_running=True)
    done = run_with(ray, fake, tmp_path, monkeypatch)
    assert len(done) == len(ray.given) == 6
    assert not ray.was_shut_down


def test_where_ray_does_not_come_up_this_process_does_the_rest_and_says_so(
    fake, tmp_path, monkeypatch, caplog
):
    def start(ray, **options):
        raise PlatformError("Ray did not start: too busy.")

    done = run_with(FakeRay(is_running=False), fake, tmp_path, monkeypatch, start=start)
    assert len(done) == 6
    assert "Ray did not start: too busy. The build goes on with one process." in caplog.text


def test_a_job_refused_in_a_worker_is_the_users_error_and_the_others_are_cancelled(
    fake, tmp_path, monkeypatch
):
    fake.broken = {"EV0"}
    ray = FakeRay(is_running=True)
    with pytest.raises(DataError, match="row 7"):
        run_with(ray, fake, tmp_path, monkeypatch)
    assert len(ray.cancelled) == 3


def test_a_worker_that_is_lost_ends_the_build_in_words(fake, tmp_path, monkeypatch):
    ray = FakeRay(is_running=True)

    def lost(done):
        raise RayError("The worker died unexpectedly while executing this task.")

    monkeypatch.setattr(ray, "get", lost)
    with pytest.raises(PlatformError, match=r"was lost \(RayError\): memory ran out.* repeat the command"):
        run_with(ray, fake, tmp_path, monkeypatch)
    assert len(ray.cancelled) == 3
