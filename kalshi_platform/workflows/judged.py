"""Memory of what a report was made from: from equal settings, data, code and policies comes nothing new.

File   <out>/judged.json beside report.html: settings, dataset, commit and checkpoints behind the report
Rule   a figure that is only shown again costs nothing; the test events stay shut for it. Where the code is
       not exactly a commit (changed files, no checkout) nobody can say that nothing is new: judged anew.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.evaluation.judging.evaluation import REPORT_VERSION, Evaluation
from kalshi_platform.evaluation.judging.report import HTML_NAME, JSON_NAME, read_report
from kalshi_platform.storage.whole_file import file_digest, write_whole

JUDGED_FILE: Final = "judged.json"


def judged_from(
    settings: Any, dataset_digest: str, runs: Sequence[Path], commit: str | None
) -> dict[str, Any] | None:
    """Everything that decides the report on ``runs``, in JSON; None where the code has no exact name."""
    if commit is None or commit.endswith("-dirty"):
        return None
    return {
        "version": REPORT_VERSION,
        "settings": settings,
        "dataset_digest": dataset_digest,
        "commit": commit,
        "runs": [str(run) for run in runs],
        "checkpoints": [run.joinpath("best").resolve().name for run in runs],
    }


def remember(out: Path, basis: dict[str, Any] | None) -> None:
    """Write beside the report in ``out`` what it was made from; without a basis forget an older one."""
    path = out / JUDGED_FILE
    if basis is None:
        path.unlink(missing_ok=True)
        return
    values = {**basis, "report": file_digest(out / JSON_NAME)}
    write_whole(path, json_text(values, indent=1) + "\n")


def still_true(out: Path, basis: dict[str, Any] | None, reports: Sequence[Path]) -> list[Evaluation] | None:
    """Evaluations in the files ``reports`` where the report in ``out`` was made from ``basis``, else None."""
    path = out / JUDGED_FILE
    page, figures = out / HTML_NAME, out / JSON_NAME
    if basis is None or not all(file.is_file() for file in (path, page, figures, *reports)):
        return None
    try:
        known = json_value(path.read_text())
    except ValueError:
        return None
    found = {**basis, "report": file_digest(figures)}
    return [read_report(report) for report in reports] if known == found else None
