"""Commands to call next on a dataset that was just built: training, or judging where it is judge only."""

from pathlib import Path

from kalshi_platform.cli.registries import QUICKSTART_RUN
from kalshi_platform.data.dataset.inspect import DatasetSummary
from kalshi_platform.data.dataset.split import SPLITS
from kalshi_platform.domain.program import command_line


def next_lines(summary: DatasetSummary, out: str) -> list[str]:
    """Lines with the command to call next: train, or judge another policy where none can be trained."""
    name = out.rstrip("/").rpartition("/")[2]
    events = {part: split.events for part, split in summary.splits.items()}
    train = summary.splits["train"]
    is_playable = train.markets > (train.unplayable_markets or 0)
    if is_playable and events["validation"]:
        return [f"next: {command_line('train', '--dataset', out, '--out', Path('runs') / name)}"]
    if not events.get("judge_only"):
        unplayable = events["train"] and not is_playable
        lack = "no market in train that can be played" if unplayable else "no event in train or in validation"
        return [f"no policy can be trained on it: it has {lack}; record more"]
    part = ("--split", "judge_only") if any(events[split] for split in SPLITS) else ()
    where = ("--dataset", out, "--out", Path("runs") / f"{name}-judged")
    lines = ["judge only: no policy can be trained on it, but one of other data can be judged"]
    if not QUICKSTART_RUN.exists():
        lines.append(f"first: {command_line('quickstart')}    (it makes {QUICKSTART_RUN})")
    return [*lines, f"next: {command_line('evaluate', '--run', QUICKSTART_RUN, *where, *part)}"]
