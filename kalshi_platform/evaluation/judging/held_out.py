"""The guard of the test split: it opens on purpose only, and every opening is written down first."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kalshi_platform.data.dataset.manifest import Asked
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import DataError, LimitError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.evaluation.judging.evaluation import Subject
from kalshi_platform.storage.whole_file import append_line

OPENINGS_FILE: Final = "test_split_openings.jsonl"


def opens_test(dataset: Dataset, split: Asked) -> bool:
    """True where reading ``split`` shows events of the test split: all of a dataset that has one."""
    return split == "test" or (split == "all" and bool(dataset.entries("test")))


def open_held_out(dataset: Dataset, split: Asked, final: bool, log_folder: Path, subject: Subject) -> int:
    """Allow reading ``split``; returns how often the log says that the test split was opened before.

    Call this function when nothing but opening is left to do: the opening is appended to
    ``test_split_openings.jsonl`` in ``log_folder`` and synced to disk before this function returns.
    The test split, alone or as a part of all, needs ``final=True``, LimitError otherwise; DataError, and no
    line, where it is empty.
    """
    if not opens_test(dataset, split):
        return 0
    if not dataset.entries(split):
        raise DataError(
            f"{dataset.uri} has no market in its {split} split: add events or choose another split"
        )
    path = Path(log_folder) / OPENINGS_FILE
    if not final:
        raise LimitError(
            "the test split opens only for the final evaluation: tune on --split validation, then repeat "
            f"with --final; each opening is recorded in {path}"
        )
    earlier = len(path.read_text().splitlines()) if path.exists() else 0
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **subject.model_dump(mode="json")}
    append_line(path, json_text(line, sort_keys=True))
    return earlier
