"""The guard of the test split: it opens on purpose only, and every opening is written down first."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kalshi_platform.data.dataset.manifest import Asked
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import LimitError
from kalshi_platform.evaluation.judging.evaluation import Subject
from kalshi_platform.storage.whole_file import append_line

OPENINGS_FILE: Final = "test_split_openings.jsonl"


def opens_test(dataset: Dataset, split: Asked) -> bool:
    """True where reading ``split`` shows events of the test split: all of a dataset that has one."""
    return split == "test" or (split == "all" and bool(dataset.entries("test")))


def open_held_out(split: Asked, final: bool, log_folder: Path, subject: Subject) -> int:
    """Allow reading ``split``; returns how often the log says that the test split was opened before.

    The test split needs ``final=True``, LimitError otherwise. The opening is appended to
    ``test_split_openings.jsonl`` in ``log_folder`` and synced to disk before this function returns.
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
