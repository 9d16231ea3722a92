"""The page of a progressive run: one HTML file that opens anywhere, beside the same figures as JSON.

Owns   progressive.html and progressive.json, both written atomically.
Not    any figure: all of them lie in the ProgressiveRecord; curves come from the runs' metrics.jsonl.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from kalshi_platform.evaluation.judging.report import training_charts
from kalshi_platform.evaluation.pages import charts
from kalshi_platform.evaluation.pages.charts import Series
from kalshi_platform.evaluation.pages.drawing import nothing
from kalshi_platform.evaluation.pages.formats import percent, plain
from kalshi_platform.evaluation.pages.head import PageHead
from kalshi_platform.evaluation.pages.page import render, write_html_and_json
from kalshi_platform.evaluation.statistics.bootstrap import Interval
from kalshi_platform.learning.training.metrics import METRICS, read_metrics
from kalshi_platform.models.registry.provenance import counts_words
from kalshi_platform.workflows.progressive_record import PAGE_FILE, ProgressiveRecord

Rows = Sequence[Mapping[str, object]]


def write_progressive(record: ProgressiveRecord, out: Path) -> tuple[Path, Path]:
    """Write progressive.html and progressive.json into ``out``; returns their paths."""
    return write_html_and_json(
        Path(out) / PAGE_FILE, render_progressive(record, _metrics(record, out)), record
    )


def render_progressive(record: ProgressiveRecord, metrics: Mapping[str, Rows]) -> str:
    """Text of the whole page; ``metrics`` holds the rows of metrics.jsonl of each level."""
    return render(
        "kalshi_platform.workflows",
        "progressive.html.j2",
        page_head(record),
        {"sharpe_interval": sharpe_interval},
        r=record,
        curves=[
            ("validation score", _curve(metrics, "score", percent, "mean return a block, % of capital")),
            ("validation Sharpe a block", _curve(metrics, "sharpe", plain, "Sharpe ratio a block")),
        ],
        training={name: training_charts(rows) for name, rows in metrics.items()},
    )


def page_head(record: ProgressiveRecord) -> PageHead:
    """Head of the page: which levels, on which data, by which program and when."""
    return PageHead(
        kind="Progressive training",
        name=f"{', '.join(record.config.levels)} on dataset {record.dataset_digest}",
        data=counts_words(record.judged_on),
        facts={
            "dataset": record.dataset,
            "dataset digest": record.dataset_digest,
            "commit": (record.commit or "") if record.made is None else "",
        },
        made=record.made,
    )


def sharpe_interval(value: Interval | None) -> str:
    """Text of a difference of Sharpe ratios with its interval."""
    if value is None or value.estimate is None:
        return "-"
    bounds = "" if value.low is None else f" [{value.low:+.3f}, {value.high:+.3f}]"
    return f"{value.estimate:+.3f}{bounds}"


def _metrics(record: ProgressiveRecord, out: Path) -> dict[str, Rows]:
    runs = {x.level: Path(out) / x.run for x in record.levels}
    return {level: read_metrics(run) for level, run in runs.items() if (run / METRICS).is_file()}


def _curve(metrics: Mapping[str, Rows], name: str, form: Callable[[float], str], y_axis: str) -> Markup:
    """Chart with one line a level over the steps of its own training."""
    lines = []
    for slot, (level, rows) in enumerate(metrics.items()):
        points = [(row["env_steps"], row["validation"][name]) for row in rows if name in row["validation"]]  # type: ignore[index, operator]
        if len(points) > 1:
            xs, ys = zip(*points, strict=True)
            lines.append(Series(level, xs, ys, slot))
    if not lines:
        return nothing("not validated often enough for a curve")
    last = max(line.x[-1] for line in lines)
    first = min(line.x[0] for line in lines)
    return charts.line_chart(
        lines, name, [(first, f"{first:,}"), (last, f"{last:,}")], form, x_axis="environment steps",
        y_axis=y_axis, x_format=lambda x: f"{x:,.0f} steps",
    )  # fmt: skip
