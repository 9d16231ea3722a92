"""Runs the jobs of a build in this process, or also in Ray workers; both give the same bytes.

Helps     where this process starts Ray for the build, it is one of the workers itself: it works while Ray
          starts, which takes longer than a small build, and no core only waits. On a Ray that was there
          already (a cluster, whose head may have no core to spare) only Ray's workers work.
Bounds    two jobs a worker are in flight, and workers hand back only records (no rows), so memory
          does not grow with the dataset. Ray's object store is kept small for the same reason.
Busy      where Ray does not come up on a machine that is too busy, this process does the rest, and says so.
Failure   the first refused job ends the build, and so does a job that loses two workers. Waiting jobs are
          cancelled and running ones abandoned; no manifest names the files that they wrote.
"""

import logging
import os
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kalshi_platform.data.dataset.job import run_and_record
from kalshi_platform.data.dataset.journal import BuiltJob
from kalshi_platform.data.features.kernel import warm
from kalshi_platform.data.features.resolution import ResolutionHistory
from kalshi_platform.data.market_data.importers import ImportJob
from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.domain.machine_room import own_cores
from kalshi_platform.domain.quiet_ray import start_ray
from kalshi_platform.domain.slopes import paying_workers
from kalshi_platform.storage.storage import Storage

_OBJECT_STORE_BYTES = 96 * 1024 * 1024
_JOBS_A_WORKER = 2

_log = logging.getLogger(__name__)


def run_jobs(
    jobs: Mapping[str, ImportJob], storage: Storage, workers: int | None, history: ResolutionHistory
) -> Iterator[BuiltJob]:
    """Run ``jobs`` (key -> job) and yield their records in any order.

    ``workers`` below 2 stays in this process, None chooses by ``paying_workers``. ``history`` holds the
    known outcomes of all markets, from which each market gets the part it may know. Raises the PlatformError
    of the first job that is refused.
    """
    if workers is None:
        workers = paying_workers(sum(job.n_rows for job in jobs.values()), own_cores())
    if min(workers, len(jobs)) < 2:
        for key, job in jobs.items():
            yield run_and_record(job, key, storage, history)
    else:
        yield from _run_with_ray(jobs, storage, min(workers, len(jobs)), history)


def _run_with_ray(
    jobs: Mapping[str, ImportJob], storage: Storage, workers: int, history: ResolutionHistory
) -> Iterator[BuiltJob]:
    warm()  # compiled once, into the cache on disk that the workers load
    # Ray gets the largest job that waits, this process the smallest: between its own it looks after Ray.
    waiting = deque(sorted(jobs.items(), key=lambda item: -item[1].n_rows))
    crew: _Crew | None = None
    with _RayStart(workers) as start:
        try:
            while waiting or (crew is not None and crew.running):
                if crew is None and (ray := start.ray(wait=not start.helps)) is not None:
                    crew = _Crew(ray, workers - start.helps, storage, history)
                if crew is not None:
                    crew.give(waiting)
                    helps = start.helps and bool(waiting)
                    done = crew.ended(wait=not helps)
                    yield from done
                    if done or not helps:
                        continue
                key, job = waiting.pop()
                yield run_and_record(job, key, storage, history)
        finally:
            if crew is not None:
                crew.abandon()


class _Crew:
    """Ray's workers for one build, and the jobs that they have."""

    def __init__(self, ray: Any, workers: int, storage: Storage, history: ResolutionHistory) -> None:
        self.running: list[Any] = []
        self._ray, self._most, self._storage = ray, workers * _JOBS_A_WORKER, storage
        self._task = ray.remote(num_cpus=1, max_retries=1)(run_and_record)
        self._history = ray.put(history)

    def give(self, waiting: deque[tuple[str, ImportJob]]) -> None:
        """Hand out the first of the jobs that wait, as many as may be in flight."""
        while waiting and len(self.running) < self._most:
            key, job = waiting.popleft()
            self.running.append(self._task.remote(job, key, self._storage, self._history))

    def ended(self, wait: bool) -> list[BuiltJob]:
        """Records of jobs that ended; ``wait`` for one where none did.

        Raises the error of a job that was refused; PlatformError where a worker was lost, also when its job
        was tried again.
        """
        if not self.running:
            return []
        timeout_s = None if wait else 0
        done, self.running = self._ray.wait(self.running, num_returns=1, timeout=timeout_s)
        try:
            found: list[BuiltJob] = self._ray.get(done)
        except self._ray.exceptions.RayTaskError as err:
            if isinstance(err.cause, PlatformError):
                raise err.cause from None
            raise
        except self._ray.exceptions.RayError as err:
            raise PlatformError(
                f"a process of the build was lost ({type(err).__name__}): memory ran out, somebody ended it, "
                "or its machine is gone; repeat the command, finished jobs are kept (fewer --workers take "
                "less memory)"
            ) from None
        return found

    def abandon(self) -> None:
        """Cancel the jobs that still run; none does where the build went well."""
        for reference in self.running:
            self._ray.cancel(reference, force=False)


class _RayStart:
    """Ray for the length of a block: the one that this process is connected to, else one that starts aside.

    ``helps`` is true where Ray is started here: then this process is one of the workers.
    """

    def __init__(self, workers: int) -> None:
        found = sys.modules.get("ray")  # a process that has not imported Ray is connected to nothing
        self.helps = found is None or not found.is_initialized()
        self._workers = workers
        self._is_lost = False
        self._is_over = False  # nobody waits for Ray any more

    def __enter__(self) -> "_RayStart":
        self._thread = ThreadPoolExecutor(1)
        self._started = self._thread.submit(self._start)
        return self

    def ray(self, wait: bool) -> Any:
        """Ray's module once Ray runs; None while it starts and ``wait`` is false.

        Also None, after a warning, where Ray does not come up and this process can do the work alone.
        """
        if self._is_lost or not (wait or self._started.done()):
            return None
        try:
            return self._started.result()
        except PlatformError as err:
            if not self.helps:
                raise
            self._is_lost = True
            _log.warning("%s. The build goes on with one process.", str(err).rstrip("."))
            return None

    def _start(self) -> Any:
        import ray  # noqa: PLC0415 - two seconds that small builds do not pay

        if self.helps:
            os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
            cores = max(self._workers - 1, 1)
            start_ray(
                ray, num_cpus=cores, include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES,
                wanted=lambda: not self._is_over,
            )  # fmt: skip
        return ray

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.shutdown(wait=True)
        if self.helps and self._started.exception() is None:
            self._started.result().shutdown()
