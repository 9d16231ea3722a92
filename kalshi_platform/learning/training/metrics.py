"""The learning curve of a run, read back."""

import json
from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.errors import DataError

METRICS: Final = "metrics.jsonl"


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Lines of the run's metrics.jsonl; a DataError names a broken one."""
    path = run / METRICS
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as err:
            raise DataError(f"{path} line {number} is not JSON: {err}") from None
    return rows
