"""Runs the jobs of a build in this process or in Ray workers; both give the same bytes.

Bounds    at most two jobs a worker are in flight, and workers hand back only records (no rows), so memory
          does not grow with the dataset. Ray's object store is kept small for the same reason.
Failure   the first refused job ends the build. Waiting jobs are cancelled and running ones abandoned; no
          manifest names the files that they wrote.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from kalshi_platform.data.dataset.job import run_and_record
from kalshi_platform.data.dataset.journal import BuiltJob
from kalshi_platform.data.features.kernel import warm
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.market_data.importers import ImportJob
from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.domain.quiet_ray import start_ray
from kalshi_platform.storage.storage import Storage

_OBJECT_STORE_BYTES = 96 * 1024 * 1024
_JOBS_A_WORKER = 2
#: Measured: Ray and its workers need 10-20 s to start, in which one process does about a million rows.
_ROWS_THAT_PAY_A_WORKER = 1_000_000


def run_jobs(
    jobs: Mapping[str, ImportJob], storage: Storage, workers: int | None, history: ResolutionHistory
) -> Iterator[BuiltJob]:
    """Run ``jobs`` (key -> job) and yield their records in any order.

    ``workers`` below 2 stays in this process, None chooses by :func:`paying_workers`. ``history`` holds the
    known outcomes of all markets, from which each market gets the part it may know. Raises the PlatformError
    of the first job that is refused.
    """
    if workers is None:
        workers = paying_workers(sum(job.n_rows for job in jobs.values()), os.cpu_count() or 1)
    if min(workers, len(jobs)) < 2:
        for key, job in jobs.items():
            yield run_and_record(job, key, storage, history)
    else:
        yield from _run_with_ray(jobs, storage, min(workers, len(jobs)), history)


def paying_workers(rows: int, cores: int) -> int:
    """Number of workers that pays for ``rows`` source rows.

    One a million rows, at least one, at most one a core.
    """
    return max(min(rows // _ROWS_THAT_PAY_A_WORKER, cores), 1)


def _run_with_ray(
    jobs: Mapping[str, ImportJob], storage: Storage, workers: int, history: ResolutionHistory
) -> Iterator[BuiltJob]:
    import ray  # noqa: PLC0415 - two seconds that small builds do not pay

    warm()  # compiled once, into the cache on disk that the workers load
    started_here = not ray.is_initialized()
    if started_here:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        start_ray(ray, num_cpus=workers, include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES)
    running: list[ray.ObjectRef[Any]] = []
    try:
        task = ray.remote(num_cpus=1, max_retries=1)(run_and_record)
        shared = ray.put(history)
        waiting = list(jobs.items())[::-1]
        while waiting or running:
            while waiting and len(running) < workers * _JOBS_A_WORKER:
                key, job = waiting.pop()
                running.append(task.remote(job, key, storage, shared))
            done, running = ray.wait(running, num_returns=1)
            yield ray.get(done[0])
    except ray.exceptions.RayTaskError as err:
        if isinstance(err.cause, PlatformError):
            raise err.cause from None
        raise
    finally:
        if started_here:
            ray.shutdown()
        else:
            for reference in running:
                ray.cancel(reference, force=False)
