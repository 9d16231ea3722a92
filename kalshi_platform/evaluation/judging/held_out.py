"""The guard of the test split: it opens on purpose only, and every opening is written down first."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kalshi_platform.data.dataset.manifest import Asked
from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.errors import DataError, LimitError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.evaluation.judging.evaluation import Subject
from kalshi_platform.storage.whole_file import append_line

OPENINGS_FILE: Final = "test_split_openings.jsonl"


def opens_test(dataset: Dataset, split: Asked) -> bool:
    """True where reading ``split`` shows events of the test split: all of a dataset that has one."""
    return split == "test" or (split == "all" and bool(dataset.entries("test")))


def openings(log_folder: Path) -> tuple[str, ...]:
    """Moments (ISO 8601) at which the test split was opened, oldest first; "" where a line tells none."""
    path = Path(log_folder) / OPENINGS_FILE
    return tuple(_moment(line) for line in path.read_text().splitlines()) if path.exists() else ()


def _moment(line: str) -> str:
    try:
        return str(json_value(line)["at"])
    except (ValueError, KeyError, TypeError):
        return ""


def open_held_out(
    dataset: Dataset, split: Asked, final: bool, log_folder: Path, subject: Subject
) -> tuple[str, ...]:
    """Allow reading ``split``; returns when the log says that the test split was opened before, oldest first.

    Call this function when nothing but opening is left to do: the opening is appended to
    ``test_split_openings.jsonl`` in ``log_folder`` and synced to disk before this function returns.
    The test split, alone or as a part of all, needs ``final=True``, LimitError otherwise; DataError, and no
    line, where it is empty.
    """
    if not opens_test(dataset, split):
        return ()
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
    earlier = openings(log_folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **subject.model_dump(mode="json")}
    append_line(path, json_text(line, sort_keys=True))
    return earlier
