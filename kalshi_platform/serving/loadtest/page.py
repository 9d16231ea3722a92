"""The report of a load test: one HTML file that opens anywhere, the same figures as JSON, a terminal table.

Owns   loadtest.html, loadtest.json (written atomically) and what the terminal shows.
Not    any figure: all of them lie in the LoadResult (``serving/loadtest/result.py``).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from markupsafe import Markup
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kalshi_platform.evaluation.pages import charts
from kalshi_platform.evaluation.pages.charts import Series
from kalshi_platform.evaluation.pages.drawing import (
    BOTTOM,
    TOP,
    Scale,
    draw_axes,
    draw_line,
    draw_rect,
    draw_text,
    draw_x_ticks,
    nice_ticks,
    nothing,
    svg,
)
from kalshi_platform.evaluation.pages.formats import ms, percent
from kalshi_platform.evaluation.pages.head import PageHead
from kalshi_platform.evaluation.pages.page import render, write_html_and_json
from kalshi_platform.serving.inference.batch import tier_words
from kalshi_platform.serving.loadtest.result import EDGES_MS, LoadResult, Percentiles

HTML_NAME: Final = "loadtest.html"
#: Percentiles shown: (text, field).
SHOWN: Final = (
    ("p50", "p50_ms"),
    ("p90", "p90_ms"),
    ("p99", "p99_ms"),
    ("p99.9", "p999_ms"),
    ("max", "max_ms"),
)
_HEIGHT: Final = 240


def write_load_report(result: LoadResult, out: Path) -> tuple[Path, Path]:
    """Write loadtest.html and loadtest.json into ``out``; returns their paths."""
    return write_html_and_json(Path(out) / HTML_NAME, render_load(result), result)


def render_load(result: LoadResult) -> str:
    """Text of the whole page; opening it fetches nothing."""
    return render(
        "kalshi_platform.serving.loadtest",
        "loadtest.html.j2",
        page_head(result),
        r=result,
        heads=["measured", "n", *(text for text, _ in SHOWN)],
        shown=SHOWN,
        verdict=verdict(result),
        words_of=p_words,
        rows=rows(result),
        by_percentile=_by_percentile(result),
        over_time=_over_time(result),
        histogram=_histogram(result),
        exits=_exits(result),
    )


def page_head(result: LoadResult) -> PageHead:
    """Head of the page: which server, asked how, by which program and when."""
    config = result.config
    return PageHead(
        kind="Load test",
        name=f"{config.url} at {config.rate_per_s:g} requests a second",
        data=result.model.judged_on if result.model else "unknown",
        facts={
            "model": result.model.model if result.model else "",
            "asked": f"{config.url.rstrip('/')}{'/v1/stream' if config.stream else '/v1/decide'}",
            "started": f"{result.started[:16].replace('T', ' ')} UTC" if result.started else "",
            "commit": result.commit,
        },
    )


def verdict(result: LoadResult) -> str:
    """One sentence with the main figures, or the reason not to believe them."""
    if result.problem is not None:
        return f"Not to be believed: {result.problem}."
    latency, config = result.latency, result.config
    if latency is None:
        return "Not to be believed: no request was answered."
    failed = result.intended - result.answered
    return (
        f"At {config.rate_per_s:g} a second, {result.within_target:.2%} of {result.intended:,} were answered "
        f"within {config.target_ms:g} ms; {p_words(latency)}; "
        + ("none failed." if failed == 0 else f"{failed:,} failed.")
    )


def connection_words(result: LoadResult) -> str:
    """Words for the connections that were open all the time, and how many were ended and opened anew."""
    open_ones, reopened = result.config.connections, result.reopened
    return f"over {open_ones:,} open connections; {reopened:,} were ended and opened anew"


def p_words(found: Percentiles) -> str:
    """p50 and p99 of some answers, each with its 95 % interval or the reason why it has none."""
    p50 = f"p50 {ms(found.p50_ms)} {_bounds(found.p50_low_ms, found.p50_high_ms)}"
    p99 = f"p99 {ms(found.p99_ms)} {_bounds(found.p99_low_ms, found.p99_high_ms)}"
    return f"{p50}, {p99}, n = {found.n:,}"


def _bounds(low_ms: float | None, high_ms: float | None) -> str:
    if low_ms is not None and high_ms is not None:
        return f"[{ms(low_ms)}, {ms(high_ms)}]"
    return "(too few answers for an interval)"


def rows(result: LoadResult) -> list[tuple[str, Percentiles]]:
    """Lines of the table of percentiles: (name, percentiles)."""
    named = [
        ("from when it was due", result.latency),
        ("from when it was sent", result.service),
        ("due until sent (the load generator's own delay)", result.lag),
        *((f"decided by {tier_words(t.tier)}", t.latency) for t in result.tiers),
        *((f"server: {stage}", p) for stage, p in result.stages.items()),
    ]
    return [(name, found) for name, found in named if found is not None]


def _by_percentile(result: LoadResult) -> Markup:
    """Chart of each tier's latency at each percentile, logarithmic in time."""
    lines = [("all", result.latency), *((tier_words(t.tier), t.latency) for t in result.tiers)]
    series = [
        Series(name, range(len(SHOWN)), [_log(getattr(p, field)) for _, field in SHOWN], min(slot, 5))
        for slot, (name, p) in enumerate(lines)
        if p is not None
    ]
    ticks = [(float(k), text) for k, (text, _) in enumerate(SHOWN)]
    return charts.line_chart(
        series, "latency by percentile", ticks, _unlog, x_axis="percentile of the requests",
        y_axis="time to the answer, ms, logarithmic", with_zero=False,
        x_format=lambda k: SHOWN[round(k)][0],
    )  # fmt: skip


def _over_time(result: LoadResult) -> Markup:
    at = [moment.at_s for moment in result.moments]
    series = [
        Series(name, at, [_log(value) for value in values], slot)
        for slot, (name, values) in enumerate(
            (
                ("p50", [m.p50_ms for m in result.moments]),
                ("p99", [m.p99_ms for m in result.moments]),
                ("max", [m.max_ms for m in result.moments]),
            )
        )
    ]
    if len(at) < 2:
        return nothing("too short for a curve")
    ticks = [(at[0], f"{at[0]:.0f}"), (at[-1], f"{at[-1]:.0f}")]
    return charts.line_chart(
        series, "latency over time", ticks, _unlog, x_axis="seconds since the warm-up",
        y_axis="time to the answer, ms, logarithmic", with_zero=False, x_format=lambda s: f"at {s:.1f} s",
    )  # fmt: skip


def _log(value: float | None) -> float | None:
    return None if value is None else math.log10(max(value, 1e-3))


def _unlog(value: float) -> str:
    return ms(10**value)


def _histogram(result: LoadResult) -> Markup:
    """Chart of answers by latency, over the range that has any."""
    seen = [k for k, n in enumerate(result.histogram) if n]
    if not seen:
        return nothing("no answers")
    first, last = seen[0], seen[-1]
    counts = result.histogram[first : last + 1]
    x = Scale(first, last + 1)
    y = Scale(0.0, float(max(counts)), _HEIGHT - BOTTOM, TOP)
    parts = draw_axes("time to the answer, ms, logarithmic", "answers", _HEIGHT)
    for tick in nice_ticks(0.0, float(max(counts)), 4):
        parts.append(draw_line(0, y(tick), 100, y(tick), "grid"))
        parts.append(draw_text(0, y(tick) + 4, f"{tick:,.0f}", anchor="end", dx=-7))
    for k, n in enumerate(counts, start=first):
        title = f"{_range(k)}: {n:,} ({percent(n / result.answered)})"
        width = 0.94 * (x(k + 1) - x(k))
        parts.append(draw_rect(x(k), y(n), width, y(0.0) - y(n), "cell", title))
    step = max(1, (last + 1 - first) // 8)
    edges = [k for k in range(first, last + 1, step) if k < len(EDGES_MS)]
    parts += draw_x_ticks([(x(k + 1), ms(EDGES_MS[k])) for k in edges], _HEIGHT - 26)
    most = max(range(len(counts)), key=counts.__getitem__)
    finding = f"the tallest bar: {counts[most]:,} of {result.answered:,} answers took {_range(first + most)}"
    return svg(_HEIGHT, parts, "answers by time", finding)


def _range(k: int) -> str:
    if k == 0:
        return f"up to {ms(EDGES_MS[0])}"
    if k == len(EDGES_MS):
        return f"over {ms(EDGES_MS[-1])}"
    return f"{ms(EDGES_MS[k - 1])} to {ms(EDGES_MS[k])}"


def _exits(result: LoadResult) -> Markup:
    """Chart of the share of answers that each tier decided."""
    if not result.tiers:
        return nothing("the answers name no tier")
    row_h, top = 28, 4
    x = Scale(0.0, 1.0)
    foot = row_h * len(result.tiers) + top
    parts = draw_axes("% of the answers", "", foot + 40)
    parts += draw_x_ticks([(x(share), percent(share)) for share in (0, 0.25, 0.5, 0.75, 1)], foot + 16, 190)
    for k, tier in enumerate(result.tiers):
        at = k * row_h + top
        parts.append(draw_text(0, at + 15, tier_words(tier.tier), "name", "end", dx=-8))
        title = f"{tier_words(tier.tier)}: {percent(tier.share)}, p50 {ms(tier.latency.p50_ms)}"
        parts.append(draw_rect(0, at, x(tier.share), row_h - 8, "cell", title))
        parts.append(draw_text(x(tier.share), at + 15, percent(tier.share), anchor="start", dx=6))
    most = max(result.tiers, key=lambda tier: tier.share)
    finding = f"{tier_words(most.tier)} decided most, {percent(most.share)}"
    return svg(foot + 40, parts, "who decided", finding, left=172, right=64)


def load_view(result: LoadResult) -> RenderableType:
    """The percentiles, the failures and the verdict for a terminal."""
    table = Table(title=f"{result.config.url} · {result.config.rate_per_s:g}/s · {result.config.arrivals}")
    table.add_column("latency")
    table.add_column("n", justify="right")
    for text, _ in SHOWN:
        table.add_column(text, justify="right")
    for name, found in rows(result):
        table.add_row(name, f"{found.n:,}", *(ms(getattr(found, field)) for _, field in SHOWN))
    lines: list[Text] = []
    if result.rows is not None:
        lines.append(Text(f"sent: {result.rows.words}"))
    lines += [
        Text(f"answered {result.answered:,} of {result.intended:,}, {result.throughput_per_s:g} a second"),
        Text(f"the load generator itself: {result.late_words}"),
    ]
    if result.config.connections:
        lines.append(Text(connection_words(result)))
    if result.quiet:
        lines.append(Text(f"frames that asked for no decision: {result.quiet:,}"))
    lines += [Text(f"  {n:,} x {kind}", style="red") for kind, n in result.errors.items()]
    lines += _named("decided by", [(tier_words(t.tier), t.share) for t in result.tiers])
    lines += _named("notes", [(note, n / result.answered) for note, n in result.notes.items()])
    style = "bold" if result.problem is None else "bold red"
    left_open = [Text(f"{words}.", style="yellow") for words in (*result.cautions, result.mark) if words]
    return Group(table, *lines, Text(verdict(result), style=style), *left_open)


def _named(head: str, shares: Sequence[tuple[str, float]]) -> list[Text]:
    if not shares:
        return []
    return [Text(f"{head}: " + ", ".join(f"{name} {percent(share)}" for name, share in shares))]
