"""The pages of a tier set: one HTML file that opens anywhere, the same figures as JSON, a terminal table.

Owns   tiers.html and tiers.json (written atomically) and what the terminal shows.
Not    any figure: all of them lie in the TierReport.
"""

from pathlib import Path
from typing import Final

from markupsafe import Markup
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kalshi_platform.domain.json_text import json_value
from kalshi_platform.evaluation.pages import charts
from kalshi_platform.evaluation.pages.charts import Series
from kalshi_platform.evaluation.pages.drawing import (
    BOTTOM,
    TOP,
    Scale,
    draw_axes,
    draw_line,
    draw_point,
    draw_text,
    draw_x_ticks,
    nice_ticks,
    padded,
    svg,
)
from kalshi_platform.evaluation.pages.formats import blocks_text, interval_text, ms, percent, plain, share
from kalshi_platform.evaluation.pages.head import PageHead
from kalshi_platform.evaluation.pages.page import render, write_html_and_json
from kalshi_platform.evaluation.pages.terminal import show
from kalshi_platform.models.registry.provenance import counts_words
from kalshi_platform.serving.distillation.calibration import Reliability
from kalshi_platform.serving.distillation.judge import TierJudgement
from kalshi_platform.serving.distillation.report import TierReport
from kalshi_platform.serving.distillation.students import Learning
from kalshi_platform.serving.distillation.thresholds import Choice, Pair
from kalshi_platform.serving.inference.batch import TIER_NAMES, Tier, tier_words

HTML_NAME: Final = "tiers.html"
JSON_NAME: Final = "tiers.json"
_TENTHS: Final = [(k / 10, f"{k / 10:g}") for k in range(0, 11, 2)]
_DIAGONAL: Final = Series("perfectly calibrated", (0.0, 1.0), (0.0, 1.0), 1)
#: Tiers as a page calls them, by number.
NAMES: Final = {t: tier_words(TIER_NAMES[t]) for t in (1, 2, 3)}


def write_page(report: TierReport, out: Path) -> tuple[Path, Path]:
    """Write tiers.html and tiers.json into ``out``; StorageError where it cannot be written."""
    return write_html_and_json(Path(out) / HTML_NAME, render_html(report), report)


def read_page(path: Path) -> TierReport:
    """Read the report in the tiers.json at ``path``."""
    return TierReport.parse(json_value(Path(path).read_text()))


def render_html(report: TierReport) -> str:
    """Text of the whole page; opening it fetches nothing."""
    return render(
        "kalshi_platform.serving.distillation",
        "tiers.html.j2",
        page_head(report),
        {"threshold": threshold_text},
        r=report,
        j=report.judgement,
        names=NAMES,
        pairs=sorted(report.choice.pairs, key=lambda p: p.expected_ms),
        events=events_text(report),
        reliability=[
            (NAMES[t.number], t, reliability_chart(t.before, t.after))
            for t in report.judgement.tiers
            if t.before is not None and t.after is not None
        ],
        exits=[(NAMES[t.number], t, exit_chart(t)) for t in report.judgement.tiers if t.exits],
        choice_chart=choice_chart(report.choice),
        learning=[(NAMES[x.tier], x, learning_chart(x)) for x in report.learnings],
        returns=charts.forest_plot(
            [
                ("with the tiers", report.judgement.cascade_return),
                *((f"tier {t.number} alone", t.alone_return) for t in report.judgement.tiers),
                ("with the tiers - the model", report.judgement.difference),
            ],
            "returns with intervals",
            "mean return a block, % of capital",
        ),
    )


def page_head(report: TierReport) -> PageHead:
    """Head of the page: the tiers of which model, judged on which data, made by whom and when."""
    return PageHead(
        kind="Tiers",
        name=f"Tiers of {report.model}",
        data=counts_words(report.judged_on),
        facts={
            "model": report.model,
            "dataset": report.dataset,
            "dataset digest": report.dataset_digest,
            "judging half": events_text(report) if report.judgement.half else "",
            "schedule": report.config.judge.schedule,
            "machine": report.machine,
            "made": "" if report.program else report.made_at[:16].replace("T", " ") + " UTC",
        },
        made=report.program,
    )


def events_text(report: TierReport) -> str:
    """Words for the events that judged: their number, half and split."""
    j = report.judgement
    half = "judging half of the " if j.half else ""
    return f"{blocks_text(j.n_blocks or j.n_events, j.n_events)} of the {half}{j.split} split"


def threshold_text(value: float | None) -> str:
    """A threshold; "never" where the tier does not exit."""
    return "never" if value is None else f"{value:.4f}"


def reliability_chart(before: Reliability, after: Reliability) -> Markup:
    """Chart of the share of right actions over confidence, before and after the temperature."""
    lines = [_DIAGONAL]
    for name, found, slot in (("before", before, 2), ("after", after, 0)):
        bins = [b for b in found.bins if b.n]
        lines.append(Series(name, [b.confidence for b in bins], [b.accuracy for b in bins], slot))
    finding = f"calibration error {percent(before.ece)} before, {percent(after.ece)} after the temperature"
    return charts.line_chart(
        lines, "reliability", _TENTHS, plain, x_axis="confidence of the tier", y_axis="share that is right",
        finding=finding,
    )  # fmt: skip


def exit_chart(tier: TierJudgement) -> Markup:
    """Chart over the threshold: the share of groups that leaves, and the share of those that is right."""
    x = [p.threshold for p in tier.exits]
    ticks = [(v, f"{v:.3f}") for v in sorted({x[0], (x[0] + x[-1]) / 2, x[-1]})]
    lines = [
        Series("share that leaves", x, [p.share for p in tier.exits], 0),
        Series("all actions the model's", x, [p.agreement for p in tier.exits], 3),
    ]
    return charts.line_chart(
        lines, f"exits of {NAMES[tier.number]}", ticks, percent, x_axis="exit threshold: least confidence",
        y_axis="% of groups", x_format=lambda v: f"threshold {v:.4f}",
        finding=exit_words(tier),
    )  # fmt: skip


def exit_words(tier: TierJudgement) -> str:
    """Words for the share of all groups that leave at the tier in the cascade, after the tiers before it."""
    if tier.exit_threshold is None:
        return "in the cascade no group leaves here"
    first = ", after those that left before it" if tier.number > 1 else ""
    at = threshold_text(tier.exit_threshold)
    return f"in the cascade it exits at {at}, and {share(tier.exit_share)} of all groups leave here{first}"


def learning_chart(learning: Learning) -> Markup:
    """Chart of the held-out loss over the passes."""
    values = [epoch.held_out_kl for epoch in learning.epochs]
    x = [float(k + 1) for k in range(len(values))]
    ticks = [(x[0], "1"), (x[-1], str(len(values)))]
    line = Series("distance to the model (KL)", x, values)
    return charts.line_chart(
        [line], "held-out KL", ticks, plain, charts.SMALL, x_axis="passes over the states",
        y_axis="distance to the model (KL), nats", x_format=lambda x: f"pass {x:.0f}",
    )  # fmt: skip


def choice_chart(choice: Choice, height: int = 320) -> Markup:
    """Chart of every pair of thresholds: return over expected latency, the chosen one in colour."""
    values = [*(p.mean_return for p in choice.pairs), choice.champion_return]
    x = Scale(*padded([p.expected_ms for p in choice.pairs], with_zero=False))
    y = Scale(*padded(values, with_zero=False), height - BOTTOM, TOP)
    parts = []
    for tick in nice_ticks(y.low, y.high):
        parts.append(draw_line(0, y(tick), 100, y(tick), "grid"))
        parts.append(draw_text(0, y(tick) + 4, percent(tick), anchor="end", dx=-7))
    parts += draw_x_ticks([(x(t), plain(t)) for t in nice_ticks(x.low, x.high)], height - 26)
    parts += draw_axes(
        "expected time of a group, ms (left is quicker)", "mean return a block, % of capital", height
    )
    line = y(choice.champion_return)
    parts.append(draw_line(0, line, 100, line, "zero"))
    parts.append(draw_text(100, line - 5, "the model alone", "name halo", "end"))
    for k, pair in sorted(enumerate(choice.pairs), key=lambda item: item[0] == choice.chosen):
        kind = "point s0" if k == choice.chosen else "point s1"
        parts.append(draw_point(x(pair.expected_ms), y(pair.mean_return), kind, _pair_text(pair)))
    pair = choice.pairs[choice.chosen]
    at = x(pair.expected_ms)
    anchor = "end" if at > 75 else ("start" if at < 25 else "middle")
    parts.append(draw_text(at, y(pair.mean_return) + 20, "chosen", "name halo", anchor))
    return svg(height, parts, "mean return over expected time", f"chosen: {_pair_text(pair)}")


def _pair_text(pair: Pair) -> str:
    return (
        f"tier 1 at {threshold_text(pair.first)}, tier 2 at {threshold_text(pair.second)}: "
        f"{ms(pair.expected_ms)}, return {percent(pair.mean_return)}, agreement {share(pair.agreement)}"
    )


def print_view(report: TierReport, html: Path | None) -> None:
    """Print the table, the verdict, why these exits, and the path of the page."""
    show(terminal_view(report), html)


def terminal_view(report: TierReport) -> RenderableType:
    """The tiers and the cascade as a table, the verdict, and why these exits."""
    j = report.judgement
    table = Table(title=f"tiers of {report.model} · {events_text(report)}")
    for name in ("", "runs as"):
        table.add_column(name)
    for name in ("p50", "p99", "exit at", "decides", "agrees", "ECE before", "ECE after"):
        table.add_column(name, justify="right")
    table.add_column("mean return alone")
    for t in j.tiers:
        table.add_row(
            NAMES[t.number], t.form, ms(t.p50_ms), ms(t.p99_ms),
            "-" if t.number == Tier.TIER_3 else threshold_text(t.exit_threshold),
            share(t.exit_share), share(t.alone_agreement),
            percent(t.before.ece) if t.before else "-", percent(t.after.ece) if t.after else "-",
            interval_text(t.alone_return),
        )  # fmt: skip
    table.add_row(
        "with the tiers", "", ms(j.p50_ms), ms(j.p99_ms), "", share(1 - j.without_choice), share(j.agreement),
        "", "", interval_text(j.cascade_return), style="bold",
    )  # fmt: skip
    return Group(
        table,
        Text(report.time_words, style="bold"),
        Text(report.kept_words, style="bold"),
        Text(report.service_words, style="bold"),
        *([Text(report.caution, style="yellow")] if report.caution else []),
        Text(f"with the tiers - the model: {interval_text(j.difference)} of capital a block"),
        Text(f"chosen on the calibrating half: {report.choice.reason}."),
    )
