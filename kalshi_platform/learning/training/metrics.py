"""The learning curve of a run, read back."""

import json
import logging
from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.storage.whole_file import write_whole

METRICS: Final = "metrics.jsonl"
_log = logging.getLogger(__name__)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Lines of the run's metrics.jsonl; a DataError names a broken one."""
    path = run / METRICS
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            row = json.loads(line)
        except ValueError as err:  # also bytes that are no text
            raise DataError(f"{path} line {number} is not JSON: {err}") from None
        if not isinstance(row, dict):
            raise DataError(f"{path} line {number} is no JSON object: {line[:80]!r}")
        rows.append(row)
    return rows


def keep_metrics(run: Path, last: int) -> None:
    """Cut metrics.jsonl back to iteration ``last``, where the run goes on; the log names lines that are lost.

    Lines are lost where a disk or a hand cut the file: they are no reason to lose the run as well.
    """
    path = run / METRICS
    kept: dict[int, str] = {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
            if 1 <= row["iteration"] <= last:
                kept[row["iteration"]] = json_text(row)
        except (ValueError, TypeError, KeyError):
            continue  # counted below, unless it was to be cut off
    lost = [k for k in range(1, last + 1) if k not in kept]
    if lost:
        shown = ", ".join(map(str, lost[:10])) + (", ..." if len(lost) > 10 else "")
        _log.warning(
            "%s lacks %d of %d iterations (%s): the learning curve has a hole there",
            path,
            len(lost),
            last,
            shown,
        )
    write_whole(path, "".join(f"{kept[k]}\n" for k in sorted(kept)))
