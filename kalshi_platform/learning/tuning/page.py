"""The page that compares runs: one HTML file that opens anywhere, and the same figures as JSON.

Owns   compare.html and compare.json (written atomically) and the view for the terminal.
Not    any figure: all of them lie in the RunComparison.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from markupsafe import Markup
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kalshi_platform.domain.commit import Stamp
from kalshi_platform.domain.config import Config
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.evaluation.judging.worth import WorthFigures, worth
from kalshi_platform.evaluation.pages import charts
from kalshi_platform.evaluation.pages.charts import Series
from kalshi_platform.evaluation.pages.drawing import nice_ticks, nothing
from kalshi_platform.evaluation.pages.formats import interval_text, percent, ratio
from kalshi_platform.evaluation.pages.head import PageHead, of_path
from kalshi_platform.evaluation.pages.page import render, write_html_and_json
from kalshi_platform.evaluation.pages.return_map import return_map
from kalshi_platform.evaluation.statistics.blocks import decides_nothing
from kalshi_platform.evaluation.statistics.bootstrap import BootstrapConfig, Interval
from kalshi_platform.learning.tuning import words
from kalshi_platform.learning.tuning.charts import axis_of, parallel_coordinates
from kalshi_platform.learning.tuning.findings import Findings, FindingsConfig, find
from kalshi_platform.learning.tuning.load_runs import Loaded, Run, Sweep, load, varied
from kalshi_platform.learning.tuning.outcome import SweepOutcome, outcome_of
from kalshi_platform.learning.tuning.registered import read_registered
from kalshi_platform.learning.tuning.winner_report import WINNER, WinnerReport, winner_report
from kalshi_platform.learning.tuning.words import Figure, arms_text, setting_text, several, value_text
from kalshi_platform.models.registry.evidence import Estimate
from kalshi_platform.models.registry.provenance import blocks_by_provenance, counts_words

COMPARE_HTML: Final = "compare.html"
COMPARE_JSON: Final = "compare.json"
VERSION: Final = 1
#: Up to this many curves have a colour each; more are grey but for the winner's.
_COLOURS: Final = 5
#: Most that a chart can show before it smears: the best runs, the first settings, every k-th event.
_MOST_ROWS, _MOST_AXES, _MOST_EVENTS = 40, 7, 150


#: Heads of the table of runs after how each ended and the settings in which they differ.
_TRIAL_HEADS: Final = (
    "seed", "Sharpe a block", "max drawdown", "trade rate", "iterations", "steps",
    "restarts",
)  # fmt: skip


class RunComparison(Config):
    """Everything the page shows; ``compare.json`` is this record."""

    version: int = VERSION
    runs: tuple[Run, ...]
    sweeps: tuple[Sweep, ...]
    varied: tuple[str, ...]
    findings: Findings
    figures: tuple[Figure, ...]
    verdict: str
    worth: str = ""  # the first line; empty in pages of an earlier version
    survives: bool
    winner_report: WinnerReport | None
    problems: tuple[str, ...]
    made: Stamp | None = None  # None in pages of an earlier version
    outcome: SweepOutcome | None = None  # of the one sweep compared; None for several, or without a winner

    @property
    def data_words(self) -> str:
        """Words on the data that judged the runs; unknown where a run's validation does not say."""
        found = dict.fromkeys(
            counts_words(run.validation.judged_on) for run in self.runs if run.validation is not None
        )
        return f"Judged on {' / '.join(found)}" if found else ""


def compare_runs(folders: Sequence[Path], config: FindingsConfig | None = None) -> RunComparison:
    """Read ``folders`` (runs and sweeps in any mix) and judge them together; errors as in load_runs.load."""
    loaded = load(folders)
    found = find(loaded, config)
    problems = [f"{run.name}: {problem}" for run in loaded.runs for problem in run.problems]
    report = winner_report(loaded, found, problems)
    return RunComparison(
        runs=loaded.runs,
        sweeps=loaded.sweeps,
        varied=varied(loaded.runs),
        findings=found,
        figures=words.figures(found),
        verdict=words.verdict(found),
        worth=report.worth if report else _worth(loaded, found),
        survives=words.survives(found),
        winner_report=report,
        problems=tuple(problems),
        made=Stamp.now(),
        outcome=_outcome(loaded, report),
    )


def _outcome(loaded: Loaded, report: WinnerReport | None) -> SweepOutcome | None:
    """Outcome of the sweep, where exactly one is compared."""
    if len(loaded.sweeps) != 1 or any(run.sweep is None for run in loaded.runs):
        return None
    sweep = loaded.sweeps[0]
    registered = read_registered(Path(sweep.folder) / WINNER)
    if report is None:
        return outcome_of(sweep.record, registered, None, None, 0, ())
    figures = report.split, report.mean_return, report.pnl_e6
    return outcome_of(sweep.record, registered, *figures, report.findings)


def _worth(loaded: Loaded, found: Findings) -> str:
    """Worth of the winner by its validation alone, where it has no report of its own."""
    winner = next((run for run in loaded.runs if run.name == found.winner), None)
    scored = winner.validation if winner else None
    earned, n_blocks, blocks = Estimate(value=None, low=None, high=None), 0, {}
    if scored is not None:
        n_blocks, blocks = len(scored.block_returns), blocks_by_provenance(scored.judged_on)
        earned = Estimate(value=scored.score, low=scored.low, high=scored.high)
    why = "the winner has no report of its own" if winner else "there is no winner"
    figures = WorthFigures(
        blocks=blocks, n_blocks=n_blocks, earned=earned, rule=None, why_no_rule=why, against_rule=None
    )
    return worth(figures)


def write_page(comparison: RunComparison, out: Path) -> tuple[Path, Path]:
    """Write compare.html and compare.json into ``out``; StorageError where it cannot be written."""
    return write_html_and_json(Path(out) / COMPARE_HTML, render_html(comparison, out), comparison)


def read_page(path: Path) -> RunComparison:
    """Comparison in the compare.json at ``path``."""
    return RunComparison.parse(json_value(Path(path).read_text()))


def render_html(comparison: RunComparison, out: Path) -> str:
    """Text of the page.

    It needs nothing beside it, and its link to the winner's report is relative to ``out``.
    """
    report = comparison.winner_report
    return render(
        "kalshi_platform.learning.tuning",
        "compare.html.j2",
        page_head(comparison),
        {
            "value": value_text,
            "setting": setting_text,
            "score": score_text,
            "arms": arms_text,
            "several": several,
        },
        c=comparison,
        f=comparison.findings,
        ordered=best_first(comparison.runs),
        charts={
            "curves": _curves(comparison),
            "parallel": _parallel(comparison),
            "forest": _forest(comparison),
            "heat": _heat(comparison),
            "finalists": _finalists(comparison.findings),
        },
        trial_heads=["run", "score and interval", "<how it ended", *_short(comparison.varied), *_TRIAL_HEADS],
        link=None if report is None else os.path.relpath(report.html, out),
        most={"rows": _MOST_ROWS, "axes": _MOST_AXES, "events": _MOST_EVENTS},
    )


def _short(settings: Sequence[str]) -> list[str]:
    return [name.rpartition(".")[2] for name in settings]


def page_head(comparison: RunComparison) -> PageHead:
    """Head of the page: which runs or sweeps, trained on which data, by which program and when."""
    records = [sweep.record for sweep in comparison.sweeps]
    names = [sweep.label or sweep.record.name for sweep in comparison.sweeps] or [
        run.name for run in comparison.runs
    ]
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    runs = comparison.runs
    about = {
        "dataset": [of_path(run.dataset) for run in runs if run.dataset],
        "dataset digest": [run.dataset_digest for run in runs if run.dataset_digest],
        "runs of commit": [run.commit for run in runs if run.commit],
        "started": [record.started_at for record in records],
    }
    return PageHead(
        kind="Sweep" if records else "Runs compared",
        name=f"{shown}: {len(runs)} run{'' if len(runs) == 1 else 's'}",
        data=comparison.data_words.removeprefix("Judged on ") or "unknown",
        facts={name: ", ".join(dict.fromkeys(values)) for name, values in about.items()},
        made=comparison.made,
    )


def best_first(runs: Sequence[Run]) -> list[Run]:
    """Runs ordered for the page: trials before finalists, by score.

    Last come those that failed, those whose validation decides nothing, as they were given, and those
    without one.
    """

    def place(run: Run) -> tuple[bool, bool, bool, bool, float]:
        undecided = bool(decides_nothing(run.n_blocks))
        score = 0.0 if undecided or run.score is None else run.score
        return run.stage == "finalist", run.score is None, run.status == "failed", undecided, -score

    return sorted(runs, key=place)


def score_interval(run: Run) -> Interval:
    """Score of the run with the interval that its validation gave it."""
    v = run.validation
    note = "never validated" if v is None else decides_nothing(run.n_blocks)
    return Interval(
        estimate=run.score,
        low=v.low if v else None,
        high=v.high if v else None,
        confidence=BootstrapConfig().confidence,
        n_clusters=run.n_blocks,
        note=note if v is None or v.low is None else "",
    )


def score_text(run: Run) -> str:
    """Text of score and interval; "-" where the run has none."""
    return "-" if run.score is None else interval_text(score_interval(run))


def _curve_colours(comparison: RunComparison) -> dict[str, int]:
    """Return the colour number of each run with a curve, by the run's name.

    The winner has 0. The others have 1, 2, ... if there are no more than _COLOURS of them, else all have 1.
    """
    winner = comparison.findings.winner
    shown = [run.name for run in best_first(comparison.runs) if run.curve]
    others = [name for name in shown if name != winner]
    few = len(others) <= _COLOURS
    colours = {name: (k % _COLOURS) + 1 if few else 1 for k, name in enumerate(others)}
    return ({winner: 0} if winner in shown else {}) | colours


def _legend(comparison: RunComparison) -> list[tuple[int, str]]:
    """(colour, text) of the entries under the learning curves."""
    colours = _curve_colours(comparison)
    winner = [(0, f"{name} (winner)") for name, colour in colours.items() if colour == 0]
    others = [(colour, name) for name, colour in colours.items() if colour]
    if len(others) > _COLOURS:
        return [*winner, (1, f"{len(others)} other runs; point at a line for its name")]
    return winner + others


def _curves(comparison: RunComparison) -> Markup:
    by_name = {run.name: run for run in comparison.runs}
    series = [
        Series(
            name, [p.env_steps for p in by_name[name].curve], [p.score for p in by_name[name].curve], colour
        )
        for name, colour in _curve_colours(comparison).items()
    ]
    if not series:
        return nothing("no run was validated while it trained")
    low, high = min(s.x[0] for s in series), max(s.x[-1] for s in series)
    ticks = [(float(x), f"{x:,.0f}") for x in nice_ticks(low, high)] if high > low else [(low, f"{low:,.0f}")]
    return charts.line_chart(
        series, "validation score over environment steps", ticks, x_axis="environment steps",
        y_axis="mean return a block, % of capital", x_format=lambda x: f"{x:,.0f} steps",
        legend=_legend(comparison),
    )  # fmt: skip


def _parallel(comparison: RunComparison) -> Markup:
    runs = [run for run in best_first(comparison.runs) if run.stage != "finalist"]
    axes = [
        axis_of(name.rpartition(".")[2], [run.value(name) for run in runs])
        for name in comparison.varied[:_MOST_AXES]
    ]
    scores = [run.score for run in runs]
    known = sorted({s for s in scores if s is not None})
    # Ranks, not scores: one run far below the rest would make all others look alike.
    strength = [0.15 if s is None else 0.25 + 0.6 * (known.index(s) + 1) / len(known) for s in scores]
    names = [run.name for run in runs]
    winner = comparison.findings.winner
    best = names.index(winner) if winner in names else None
    if not axes:
        return parallel_coordinates([], names, strength, best, "settings against score")
    axes.append(axis_of("score", scores, percent))
    return parallel_coordinates(axes, names, strength, best, "settings against score")


def _forest(comparison: RunComparison) -> Markup:
    winner = comparison.findings.winner
    runs = [run for run in best_first(comparison.runs) if run.score is not None][:_MOST_ROWS]
    marks = {run.name: " (finalist)" for run in runs if run.stage == "finalist"} | {winner: " (winner)"}
    rows = [(f"{run.name}{marks.get(run.name, '')}", score_interval(run)) for run in runs]
    return charts.forest_plot(rows, "scores with intervals", "mean return a block, % of capital")


def _heat(comparison: RunComparison) -> Markup:
    found = comparison.findings
    score = {run.name: run.score or 0.0 for run in comparison.runs}
    rows = sorted(range(len(found.trials)), key=lambda k: -score[found.trials[k]])[:_MOST_ROWS]
    columns = sorted(range(len(found.events)), key=lambda e: sum(row[e] for row in found.returns))
    columns = columns[:: max(1, math.ceil(len(columns) / _MOST_EVENTS))]
    return return_map(
        [[found.returns[k][e] for e in columns] for k in rows],
        [found.trials[k] for k in rows],
        [found.events[e] for e in columns],
        "returns by trial and block",
        f"{several(len(columns), 'block')}, by mean return over the trials, worst to best",
    )


def _finalists(found: Findings) -> Markup:
    rows = [(setting_text(f.values), f.spread.iqm) for f in found.finalists]
    return charts.forest_plot(rows, "finalists over seeds", "interquartile mean return a block, % of capital")


def terminal_view(comparison: RunComparison) -> RenderableType:
    """Runs, corrected figures and verdict for a terminal."""
    n_blocks = len(comparison.findings.events)
    over = f"statistics over {several(n_blocks, 'independent block')}"
    table = Table(title=f"{several(len(comparison.runs), 'run')} · {over}")
    for name in ("run", "status"):
        table.add_column(name)
    table.add_column(f"score [{BootstrapConfig().confidence:.0%} by block]")
    for name in ("Sharpe", "drawdown", "trade rate", "steps"):
        table.add_column(name, justify="right")
    for run in best_first(comparison.runs):
        v = run.validation
        cells = [
            run.name if run.stage != "finalist" else f"{run.name} (finalist)",
            run.status,
            score_text(run),
            "-" if v is None else ratio(v.sharpe),
            "-" if v is None else percent(v.max_drawdown),
            "-" if v is None else percent(v.trade_rate),
            f"{run.env_steps:,}",
        ]
        table.add_row(*map(Text, cells), style="bold" if run.name == comparison.findings.winner else "")
    lines = (Text(f"{f.name}: {f.value} ({f.behind})", style="dim") for f in comparison.figures)
    style = "bold green" if comparison.survives else "bold"
    first = [Text(comparison.worth, style="bold")] if comparison.worth else []
    data = [Text(comparison.data_words)] if comparison.data_words else []
    if outcome := comparison.outcome:
        alarming = outcome.does_not_trade or outcome.has_errors
        first = [*(Text(line, style="bold red" if alarming else "bold") for line in outcome.lines), *first]
    return Group(*first, *data, table, *lines, Text(comparison.verdict, style=style))
