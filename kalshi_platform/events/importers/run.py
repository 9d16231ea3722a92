"""An import job to its validated events."""

from collections.abc import Iterator

from kalshi_platform.events.importers.types import ImportedEvent, ImportJob


def run_job(job: ImportJob) -> Iterator[ImportedEvent]:
    """Read, convert and validate the events of ``job``, one ImportedEvent each, in ``job.events`` order.

    Raises DataError naming file, market, row and value; events already yielded stay valid, the caller
    decides whether to keep them.
    """
    raise NotImplementedError
