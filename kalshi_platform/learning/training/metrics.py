"""The learning curve of a run, read back."""

import logging
from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.storage.whole_file import write_whole

METRICS: Final = "metrics.jsonl"
_MOST_SHOWN: Final = 10  # iterations in a message
_log = logging.getLogger(__name__)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Lines of the run's metrics.jsonl; a DataError names a broken one."""
    path = run / METRICS
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            row = json_value(line)
        except ValueError as err:  # also bytes that are no text
            raise DataError(f"{path} line {number} is not JSON: {err}") from None
        if not isinstance(row, dict):
            raise DataError(f"{path} line {number} is no JSON object: {line[:80]!r}")
        rows.append(row)
    return rows


def keep_metrics(run: Path, last: int) -> None:
    """Cut metrics.jsonl back to iteration ``last``, where the run goes on.

    The log names iterations that the file lacks at its end or at its beginning. DataError as
    :func:`require_whole`.
    """
    path = run / METRICS
    kept = _kept(path, last)
    ended, begun = max(kept, default=0), min(kept, default=last + 1)
    if lost := [*range(1, begun), *range(max(ended, begun - 1) + 1, last + 1)]:
        where = f"ends with iteration {ended}" if begun == 1 else f"begins with iteration {begun}"
        _log.warning(
            "%s %s: %d of %d iterations (%s) are not in the learning curve; the run goes on from "
            "iteration %d",
            path,
            where if kept else "holds no iteration",
            len(lost),
            last,
            _shown(lost),
            last,
        )
    write_whole(path, "".join(f"{text}\n" for text in kept.values()))


def require_whole(run: Path, last: int) -> None:
    """Refuse a metrics.jsonl that is damaged before iteration ``last``: DataError with line and iterations.

    A kill or a power cut tears the last line and may lose lines at the end: such a file is whole up to there.
    It leaves no hole and no unreadable line before others: a disk or a hand did that, and nobody knows what
    else it did.
    """
    _kept(run / METRICS, last)


def _kept(path: Path, last: int) -> dict[int, str]:
    """Line of each iteration up to ``last``, in order; DataError where lines before the end are damaged."""
    data = path.read_bytes() if path.exists() else b""
    lines = data.splitlines()
    kept: dict[int, str] = {}
    before = None
    for number, line in enumerate(lines, start=1):
        iteration, text = _iteration_of(line)
        if iteration is None:
            if number == len(lines) and not data.endswith(b"\n"):
                break  # torn
            raise _damaged(path, f"line {number} is no line of a run ({line[:40]!r})")
        if before is not None and iteration != before + 1:
            hole = _hole(before, iteration)
            raise _damaged(path, f"line {number} is of iteration {iteration} after {before}{hole}")
        if iteration >= last:
            if iteration == last:
                kept[iteration] = text
            break  # what follows was written after the checkpoint, and goes
        kept[iteration], before = text, iteration
    return kept


def _hole(before: int, iteration: int) -> str:
    """Words about the iterations between two lines."""
    n_missing = iteration - before - 1
    if n_missing < 1:
        return ", out of order"
    first = ", ".join(map(str, range(before + 1, min(iteration, before + 1 + _MOST_SHOWN))))
    return f": {n_missing} iterations are missing ({first}{', ...' if n_missing > _MOST_SHOWN else ''})"


def _iteration_of(line: bytes) -> tuple[int | None, str]:
    """Iteration of a line, and the line as it is written; None where it is no line of a run."""
    try:
        row = json_value(line)
        iteration = row["iteration"]
        fits = type(iteration) is int and 1 <= iteration < 2**53
        return (iteration, json_text(row)) if fits else (None, "")
    except (ValueError, TypeError, KeyError):
        return None, ""


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is damaged: {why}. Restore the file, or delete it: the run then goes on from its "
        "checkpoint, and its learning curve begins there"
    )


def _shown(numbers: list[int]) -> str:
    """The first of ``numbers``."""
    return ", ".join(map(str, numbers[:_MOST_SHOWN])) + (", ..." if len(numbers) > _MOST_SHOWN else "")
