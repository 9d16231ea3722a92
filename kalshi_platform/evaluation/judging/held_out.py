"""The test split opens only on purpose, and every opening is written down before a byte of it is read."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kalshi_platform.data.dataset.manifest import Split
from kalshi_platform.domain.errors import LimitError
from kalshi_platform.evaluation.judging.evaluation import Subject
from kalshi_platform.storage.whole_file import append_line

OPENINGS_FILE: Final = "test_split_openings.jsonl"


def open_held_out(split: Split, final: bool, log_folder: Path, subject: Subject) -> int:
    """Allow reading ``split``; returns how often the test split has been opened before, per the log.

    The test split needs ``final=True``, LimitError otherwise; the opening is appended to
    ``test_split_openings.jsonl`` in ``log_folder`` and synced to disk before this returns.
    """
    if split != "test":
        return 0
    path = Path(log_folder) / OPENINGS_FILE
    if not final:
        raise LimitError(
            "the test split opens only for the final evaluation: tune on --split validation, then repeat "
            f"with --final; each opening is recorded in {path}"
        )
    earlier = len(path.read_text().splitlines()) if path.exists() else 0
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **subject.model_dump(mode="json")}
    append_line(path, json.dumps(line, sort_keys=True))
    return earlier
