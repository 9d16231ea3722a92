"""Who runs the jobs of a build: workers only where they pay."""

import pytest

from kalshi_platform.data.dataset.journal import Journal
from kalshi_platform.data.dataset.runner import paying_workers, run_jobs
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.domain.errors import DataError
from kalshi_platform.storage.storage import open_storage


@pytest.mark.parametrize(
    ("rows", "cores", "workers"), [(0, 8, 1), (999_999, 8, 1), (3_500_000, 8, 3), (50_000_000, 8, 8)]
)
def test_workers_are_started_only_where_they_pay(rows, cores, workers):
    assert paying_workers(rows, cores) == workers


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
