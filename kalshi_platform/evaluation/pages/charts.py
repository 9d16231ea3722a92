"""The kinds of chart that pages share: lines, intervals, bars, a map of counts.

Owns       what each kind shows, its tooltips, and the finding that its caption and a screen reader say.
Invariant  every axis has a name with its unit, or the names of its rows; lines differ by dashes and by a
           name at their end, never by colour alone.
Units      those of drawing.py; data units are the caller's.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from kalshi_platform.evaluation.pages.drawing import (
    BOTTOM,
    RIGHT,
    TOP,
    Format,
    Scale,
    draw_axes,
    draw_legend,
    draw_line,
    draw_name,
    draw_path,
    draw_point,
    draw_rect,
    draw_text,
    draw_x_ticks,
    nice_ticks,
    nothing,
    padded,
    svg,
)
from kalshi_platform.evaluation.pages.formats import interval_text, percent, plain
from kalshi_platform.evaluation.statistics.bootstrap import Interval

#: Height of a chart that stands beside others.
SMALL: Final = 200
#: Up to this many lines carry their names at their ends and share tooltips.
_NAMED: Final = 10
#: Places along a chart of lines that have a tooltip of their own.
_BANDS: Final = 48


@dataclass(frozen=True)
class Series:
    """One line of a chart: x ascending; y holds None where unknown.

    ``slot`` picks colour and dashes, 0 = the policy.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    slot: int = 0


def line_chart(
    series: Sequence[Series],
    label: str,
    x_ticks: Sequence[tuple[float, str]],
    y_format: Format = percent,
    height: int = 280,
    *,
    x_axis: str,
    y_axis: str,
    with_zero: bool = True,
    x_format: Format = plain,
    legend: Sequence[tuple[int, str]] | None = None,
    finding: str = "",
) -> Markup:
    """Chart of lines over a shared x; ``x_ticks`` are (value, text).

    ``x_axis`` and ``y_axis`` name the axes with their units; ``legend`` (slot, name) replaces the lines' own.
    ``finding`` says what the chart shows; without it, where the lines end.
    """
    shown = [s for s in series if any(v is not None for v in s.y)]
    if not shown:
        return nothing()
    xs = [v for s in shown for v in (s.x[0], s.x[-1])]
    low, high = padded([v for s in shown for v in s.y if v is not None], with_zero)
    x = Scale(min(xs), max(xs))
    y = Scale(low, high, height - BOTTOM, TOP)
    parts = [*_y_grid(y, y_format), *draw_x_ticks([(x(at), text) for at, text in x_ticks], height - 26)]
    parts += draw_axes(x_axis, y_axis, height)
    for s in reversed(shown):  # the policy is drawn last, on top
        points = [(x(a), y(b)) for a, b in zip(s.x, s.y, strict=True) if b is not None]
        if len(points) == 1:  # a line of one point is invisible
            parts.append(draw_point(*points[0], f"point s{s.slot}", s.name))
        else:
            parts.append(draw_path(points, height, f"s{s.slot}", s.name))
    is_named = 1 < len(shown) <= _NAMED
    if len(shown) <= _NAMED:
        parts += _bands(shown, x, y, x_format, y_format)
    right = RIGHT
    if is_named:
        parts += _end_names(shown, y)
        right = 20 + 7 * min(26, max(len(s.name) for s in shown))
    entries = [(s.slot, s.name) for s in shown] if legend is None and len(shown) > 1 else legend
    top = draw_legend(entries) if entries else Markup("")
    return svg(
        height, parts, label, finding or _ends_words(shown, y_format), right=right,
        kind="ends" if is_named else "",
        legend=top,
    )  # fmt: skip


def _y_grid(y: Scale, y_format: Format, wanted: int = 5) -> list[str]:
    """Lines across the field at round values, with their numbers left of it."""
    parts = []
    for tick in nice_ticks(y.low, y.high, wanted):
        parts.append(draw_line(0, y(tick), 100, y(tick), "zero" if tick == 0 else "grid"))
        parts.append(draw_text(0, y(tick) + 4, y_format(tick), anchor="end", dx=-7))
    return parts


def _last(s: Series) -> float:
    return next(v for v in reversed(s.y) if v is not None)


def _ends_words(shown: Sequence[Series], y_format: Format) -> str:
    """Words on where the lines end: the first one, then the highest and the lowest of the others."""
    first, *others = shown
    said = [f"{first.name} ends at {y_format(_last(first))}"]
    if others:
        said += _others_words(others, y_format)
    return ", ".join(said[:1]) + "".join(f"; {each}" for each in said[1:])


def _others_words(others: Sequence[Series], y_format: Format) -> list[str]:
    """Words on the highest and the lowest end of ``others``; lines that end alike share them."""
    high, low = max(map(_last, others)), min(map(_last, others))
    if len(others) == 1:
        return [f"{others[0].name} at {y_format(high)}"]
    if high == low:
        return [f"all the others at {y_format(high)}"]
    ends = []
    for value, words in ((high, "the highest of the others"), (low, "the lowest")):
        alike = [s.name for s in others if _last(s) == value]
        names = alike[0] if len(alike) == 1 else f"{', '.join(alike[:-1])} and {alike[-1]}"
        ends.append(f"{names}, {words}, at {y_format(value)}")
    return ends


def _end_names(shown: Sequence[Series], y: Scale) -> list[str]:
    """Names right of the lines' ends, at least 14 pixels apart."""
    places = sorted(((y(_last(s)), s) for s in shown), key=lambda place: place[0])
    at: list[float] = []
    step = 14.0
    for wanted, _ in places:
        at.append(max(wanted, at[-1] + step) if at else max(wanted, TOP))
    over = max(0.0, at[-1] - y.start) if at else 0.0
    for k in reversed(range(len(at))):  # the lowest go up again where they left the field
        at[k] = min(at[k], (at[k + 1] - step) if k + 1 < len(at) else at[k] - over)
    return [
        draw_name(100, place + 4, s.name, 26, "name roomy", "start", dx=8)
        for place, (_, s) in zip(at, places, strict=True)
    ]


def _bands(shown: Sequence[Series], x: Scale, y: Scale, x_format: Format, y_format: Format) -> list[str]:
    """Strips of the field; pointing at one shows a line, a dot on every curve, and all values there."""
    grid = max((s.x for s in shown), key=len)
    step = max(1, math.ceil(len(grid) / _BANDS))
    picked = [grid[k] for k in range(0, len(grid), step)]
    parts = []
    for k, at in enumerate(picked):
        left = x(at) if k == 0 else (x(picked[k - 1]) + x(at)) / 2
        stop = x(at) if k == len(picked) - 1 else (x(at) + x(picked[k + 1])) / 2
        here = [(s, v) for s in shown if (v := _value_at(s, at)) is not None]
        told = "\n".join(f"{s.name} {y_format(v)}" for s, v in here)
        dots = "".join(
            f'<circle class="point s{s.slot}" cx="{x(at):.2f}%" cy="{y(v):.1f}" r="4"/>' for s, v in here
        )
        strip = draw_rect(left, TOP, stop - left, y.start - TOP, "strip", f"{x_format(at)}\n{told}")
        guide = draw_line(x(at), TOP, x(at), y.start, "guide")
        parts.append(f'<g class="band">{guide}{dots}{strip}</g>')
    return parts


def _value_at(s: Series, at: float) -> float | None:
    """Latest known value at or before ``at``; None before the line begins and after it ended."""
    k = bisect_right(s.x, at) - 1
    if k < 0 or at > s.x[-1]:
        return None
    return next((v for v in reversed(s.y[: k + 1]) if v is not None), None)


def forest_plot(
    rows: Sequence[tuple[str, Interval]],
    label: str,
    axis: str,
    number: Callable[[float], str] = percent,
) -> Markup:
    """Chart of estimates with their intervals, one a row, and the line of zero; fractions in percent."""
    known = [(name, i) for name, i in rows if i.estimate is not None]
    if not known:
        return nothing()
    row_h, left = 36, 226
    foot = row_h * len(known) + 8
    height = foot + 40
    x = Scale(*padded([v for _, i in known for v in (i.estimate, i.low, i.high) if v is not None]))
    ticks = nice_ticks(x.low, x.high, 6)
    parts = [draw_line(x(t), 4, x(t), foot, "zero" if t == 0 else "grid") for t in ticks]
    parts += draw_x_ticks([(x(t), number(t)) for t in ticks], foot + 16)
    parts += draw_axes(axis, "", height)
    for k, (name, i) in enumerate(known):
        mid = row_h * k + 24
        parts.append(draw_name(0, mid + 4, name, 30, "name row", dx=-14))
        kind = "good" if i.above_zero else ("bad" if i.excludes_zero else "flat")
        title = f"{name}: {interval_text(i)}"
        if i.low is not None and i.high is not None:
            parts.append(draw_line(x(i.low), mid, x(i.high), mid, f"whisker {kind}"))
        parts.append(draw_point(x(i.estimate or 0.0), mid, f"dot {kind}", title))
    return svg(height, parts, label, _forest_words(known), left=left, right=24, kind="names")


def _forest_words(known: Sequence[tuple[str, Interval]]) -> str:
    if len(known) == 1:
        return f"{known[0][0]} {interval_text(known[0][1])}"
    if all(i.low is None for _, i in known):
        return f"none of {len(known)} estimates has an interval"
    above = sum(i.above_zero for _, i in known)
    below = sum(i.excludes_zero and not i.above_zero for _, i in known)
    name, best = max(known, key=lambda row: row[1].estimate or 0.0)
    return (
        f"of {len(known)} intervals {above} {'lies' if above == 1 else 'lie'} wholly above zero, {below} "
        f"wholly below; the highest is {name}, {interval_text(best)}"
    )


def bar_chart(
    bars: Sequence[tuple[str, float]],
    label: str,
    y_format: Format = percent,
    height: int = 260,
    *,
    y_axis: str,
    what: str = "events",
) -> Markup:
    """Chart of signed bars, one a name, in the order given; names only in the tooltips."""
    if not bars:
        return nothing()
    y = Scale(*padded([v for _, v in bars]), height - BOTTOM + 16, TOP)
    slot = 100 / len(bars)
    width = min(slot * 0.86, 5.0)
    parts = [*_y_grid(y, y_format), *draw_axes(f"{len(bars)} {what}, worst to best", y_axis, height)]
    for k, (name, value) in enumerate(bars):
        top, foot = min(y(value), y(0.0)), max(y(value), y(0.0))
        kind = f"bar {'good' if value > 0 else 'bad' if value < 0 else 'flat'}"
        at = k * slot + (slot - width) / 2
        parts.append(draw_rect(at, top, width, foot - top, kind, f"{name}: {y_format(value)}"))
    gained = sum(value > 0 for _, value in bars)
    finding = f"{gained} of {len(bars)} gain; from {y_format(bars[0][1])} to {y_format(bars[-1][1])}"
    return svg(height, parts, label, finding)


def heat_map(
    counts: Sequence[Sequence[int]],
    rows: Sequence[str],
    columns: Sequence[str],
    label: str,
    *,
    x_axis: str,
    y_axis: str,
) -> Markup:
    """Chart of counts as the strength of one colour (square root, so that rare cells stay visible)."""
    total = sum(map(sum, counts))
    if total == 0:
        return nothing()
    most, place = max((n, (r, c)) for r, row in enumerate(counts) for c, n in enumerate(row))
    left, cell_h, top = 104, 26, 22
    width = 100 / len(columns)
    foot = top + cell_h * len(rows)
    parts = draw_axes(x_axis, y_axis, foot + 44, left)
    for r, row in enumerate(reversed(counts)):
        name, y = rows[len(rows) - 1 - r], top + r * cell_h
        parts.append(draw_text(0, y + 18, name, "name", "end", dx=-8))
        for c, value in enumerate(row):
            strength = math.sqrt(value / most)
            title = f"{name}, {columns[c]}: {value:,} times ({100 * value / total:.1f} % of all times looked)"
            extra = f'fill-opacity="{strength:.3f}"'
            parts.append(draw_rect(c * width, y, width, cell_h, "cell-empty", title))
            parts.append(draw_rect(c * width, y, width, cell_h, "cell", title, extra))
    parts += draw_x_ticks([((c + 0.5) * width, name) for c, name in enumerate(columns)], foot + 18)
    finding = (
        f"most often {rows[place[0]]} at {columns[place[1]]}, {100 * most / total:.1f} % of all times looked"
    )
    return svg(foot + 44, parts, label, finding, left=left)
