"""Files to import jobs: every input is recognised and indexed once, then cut into jobs of whole events."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kalshi_platform.events.importers.types import ImportJob


@dataclass(frozen=True)
class ImportPlan:
    """What was found in the inputs."""

    sources: tuple[str, ...]  # names of the files that hold rows or metadata
    skipped: dict[str, str]  # file in a walked directory -> why it was left out
    counters: Counter[str]

    def jobs(self, target_rows: int = 100_000) -> list[ImportJob]:
        """Cut the plan into jobs of whole events, about ``target_rows`` source rows each."""
        raise NotImplementedError


def discover(inputs: Sequence[Path]) -> ImportPlan:
    """Walk ``inputs``, recognise every file by its schema and index which rows belong to which event.

    DataError for a file named explicitly that is of no known schema, for a broken or empty data file
    anywhere, and where nothing can be imported; unknown files met in a directory are listed in ``skipped``.
    """
    raise NotImplementedError
