"""``kalshi-platform runs``: compare training runs and sweeps, or list those below a folder.

With ``--json`` stdout carries JSON only: the content of compare.json, or one array of the runs found.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kalshi_platform.cli.command_app import CommandApp
from kalshi_platform.cli.options import JsonOption, page_folder
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.evaluation.pages.formats import signed_percent
from kalshi_platform.evaluation.pages.terminal import output

app = CommandApp(no_args_is_help=True, help="Compare training runs and sweeps.")


@app.command()
def compare(
    folders: Annotated[
        list[Path], typer.Argument(help="folders of runs and sweeps, in any mix", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="folder of compare.html  [default: the folder named, or comparison beside them all]",
            callback=page_folder,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge runs together and write the page. Exit 3 where a folder is neither a run nor a sweep."""
    from kalshi_platform.learning.tuning.page import compare_runs, terminal_view, write_page

    found = compare_runs(folders)
    html, _ = write_page(found, out or _beside(folders))
    if as_json:
        sys.stdout.write(found.model_dump_json() + "\n")
        return
    console = output()
    console.print(terminal_view(found))
    console.print(f"page: {html}", soft_wrap=True)


def _beside(folders: list[Path]) -> Path:
    """Folder of the page where none is named: the one compared, else ``comparison`` where all of them lie."""
    if len(folders) == 1:
        return folders[0]
    return Path(os.path.commonpath([os.path.abspath(folder.parent) for folder in folders])) / "comparison"


@app.command("list")
def list_runs(
    folder: Annotated[
        Path, typer.Argument(help="where runs and sweeps lie, at any depth", show_default=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """List the runs and sweeps below a folder; the trials of a sweep are counted, not listed."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: name one that holds runs or sweeps")
    rows = [_row(found, folder) for found in _places(folder)]
    if as_json:
        sys.stdout.write(json_text(rows) + "\n")
        return
    console = output()
    if not rows:
        console.print(f"no run or sweep below {folder}")
        return
    table = Table()
    for name in ("folder", "kind", "status", "best return, % of capital", "steps", "dataset"):
        table.add_column(name, justify="right" if name in ("best return, % of capital", "steps") else "left")
    for row in rows:
        score = "-" if row["score"] is None else signed_percent(row["score"])
        cells = (
            row["folder"],
            row["kind"],
            row["status"],
            score,
            f"{row['env_steps']:,}",
            row["dataset"] or "-",
        )
        table.add_row(*map(Text, cells))
    console.print(table)


def _places(root: Path) -> Iterator[Path]:
    """Folders of runs and sweeps below ``root``, by name; the search does not enter such a folder."""
    from kalshi_platform.learning.tuning.load_runs import is_run, is_sweep

    for at, folders, _ in os.walk(root):
        folders.sort()
        if is_sweep(Path(at)) or is_run(Path(at)):
            folders.clear()
            yield Path(at)


def _row(found: Path, root: Path) -> dict[str, Any]:
    from kalshi_platform.learning.tuning.load_runs import load

    loaded = load([found])
    row: dict[str, Any] = {"folder": str(found.relative_to(root)) if found != root else str(found)}
    if not loaded.sweeps:
        (run,) = loaded.runs
        return row | {
            "kind": "run",
            "status": run.status,
            "score": run.score,
            "env_steps": run.env_steps,
            "dataset": run.dataset,
            "dataset_digest": run.dataset_digest,
        }
    record = loaded.sweeps[0].record
    trials = [run for run in loaded.runs if run.stage == "sweep"]
    done = sum(run.status in ("finished", "stopped") for run in trials)
    return row | {
        "kind": f"sweep of {len(trials)}",
        "status": f"{done} of {len(trials)} ended; winner {record.winner or '-'}",
        "score": max((run.score for run in trials if run.score is not None), default=None),
        "env_steps": sum(run.env_steps for run in loaded.runs),
        "dataset": record.dataset,
        "dataset_digest": record.dataset_digest,
    }
