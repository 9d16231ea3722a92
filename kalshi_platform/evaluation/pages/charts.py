"""Charts of the pages as inline SVG: no script, no network, colours from the page's own variables.

Owns   scales, ticks and the kinds of chart that every page shares; every text is escaped, every mark
       carries a tooltip.
Units  pixels of a 720 wide view box that the page stretches; data units are the caller's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from kalshi_platform.evaluation.pages.formats import interval_text, percent
from kalshi_platform.evaluation.statistics.bootstrap import Interval

#: How a number is written on an axis.
Format = Callable[[float], str]
WIDTH: Final = 720
#: Room round the field of a chart.
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 12, 30
#: Height and width of the view box of a chart that stands beside others.
SMALL: Final = (170, 360)


@dataclass(frozen=True)
class Series:
    """One line of a chart: x ascending; y holds None where unknown.

    ``slot`` picks the colour, 0 = the policy.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    slot: int = 0


@dataclass(frozen=True)
class Scale:
    """A linear map of low..high to start..stop."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Pixel of ``value``."""
        span = (self.high - self.low) or 1.0
        return self.start + (value - self.low) / span * (self.stop - self.start)


def nice_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round values (1, 2, 5 x a power of ten) inside low..high, about ``wanted`` of them."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low]
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def draw_text(x: float, y: float, text: str, kind: str = "tick", anchor: str = "middle") -> str:
    """SVG of one line of text."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def draw_name(x: float, y: float, text: str, most: int, kind: str = "name", anchor: str = "end") -> str:
    """SVG of a name cut to ``most`` characters in its middle; its tooltip shows the whole name."""
    if len(text) <= most:
        return draw_text(x, y, text, kind, anchor)
    head = (most - 1) // 2
    shown = f"{text[:head]}…{text[head + 1 - most :]}"
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(shown)}'
        f"<title>{escape(text)}</title></text>"
    )


def draw_line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """SVG of a straight line."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def draw_rect(x: float, y: float, w: float, h: float, kind: str, title: str, extra: str = "") -> str:
    """SVG of a rectangle of at least half a pixel, with its tooltip."""
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(w, 0.5):.1f}" height="{max(h, 0.5):.1f}" '
        f"{extra}><title>{escape(title)}</title></rect>"
    )


def draw_point(x: float, y: float, kind: str, title: str) -> str:
    """SVG of a dot with its tooltip."""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{escape(title)}</title></circle>'


def svg(height: int, parts: Sequence[str], label: str, width: int = WIDTH) -> Markup:
    """The picture made of ``parts``; a screen reader says ``label``."""
    body = "".join(parts)
    return Markup(f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{body}</svg>')


def nothing(why: str = "no data") -> Markup:
    """Text in place of a chart that cannot be drawn."""
    return Markup('<p class="none">{}</p>').format(why)


def padded(values: Sequence[float], with_zero: bool = True) -> tuple[float, float]:
    """The ends of an axis that shows ``values`` with some room round them."""
    points = [*values, 0.0] if with_zero else list(values)
    low, high = min(points), max(points)
    pad = abs(low) * 0.1 or 0.001 if low == high else 0.06 * (high - low)
    return low - pad, high + pad


def line_chart(
    series: Sequence[Series],
    label: str,
    x_ticks: Sequence[tuple[float, str]],
    y_format: Format = percent,
    height: int = 260,
    width: int = WIDTH,
    with_zero: bool = True,
) -> Markup:
    """Chart of lines over a shared x; ``x_ticks`` are (value, text)."""
    shown = [s for s in series if any(v is not None for v in s.y)]
    if not shown:
        return nothing()
    xs = [v for s in shown for v in (s.x[0], s.x[-1])]
    low, high = padded([v for s in shown for v in s.y if v is not None], with_zero)
    x = Scale(min(xs), max(xs), LEFT, width - RIGHT)
    y = Scale(low, high, height - BOTTOM, TOP)
    parts = []
    for tick in nice_ticks(low, high):
        parts.append(draw_line(LEFT, y(tick), width - RIGHT, y(tick), "zero" if tick == 0 else "grid"))
        parts.append(draw_text(LEFT - 6, y(tick) + 4, y_format(tick), anchor="end"))
    for k, (at, text) in enumerate(x_ticks):
        anchor = "start" if k == 0 else ("end" if k == len(x_ticks) - 1 else "middle")
        parts.append(draw_text(x(at), height - 10, text, anchor=anchor))
    for s in reversed(shown):  # the policy is drawn last, on top
        points = [(x(a), y(b)) for a, b in zip(s.x, s.y, strict=True) if b is not None]
        if len(points) == 1:  # a line of one point is invisible
            parts.append(draw_point(*points[0], f"point s{s.slot}", s.name))
            continue
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(
            f'<polyline class="line s{s.slot}" points="{path}"><title>{escape(s.name)}</title></polyline>'
        )
    return svg(height, parts, label, width)


def forest_plot(rows: Sequence[tuple[str, Interval]], label: str, axis: str) -> Markup:
    """Chart of estimates with their intervals, one a row, and the line of zero.

    Fractions shown in percent.
    """
    known = [(name, i) for name, i in rows if i.estimate is not None]
    if not known:
        return nothing()
    row_h, left = 30, 214
    height = row_h * len(known) + BOTTOM + 18
    ends = [v for _, i in known for v in (i.estimate, i.low, i.high) if v is not None]
    low, high = padded(ends)
    x = Scale(low, high, left, WIDTH - RIGHT - 8)
    parts = []
    for tick in nice_ticks(low, high, 6):
        parts.append(draw_line(x(tick), 4, x(tick), height - BOTTOM - 14, "zero" if tick == 0 else "grid"))
        parts.append(draw_text(x(tick), height - BOTTOM + 2, percent(tick)))
    parts.append(draw_text((left + WIDTH) / 2, height - 6, axis, "axis"))
    for k, (name, i) in enumerate(known):
        mid = row_h * k + 20
        parts.append(draw_name(left - 12, mid + 4, name, 27))
        kind = "good" if i.above_zero else ("bad" if i.excludes_zero else "flat")
        title = f"{name}: {interval_text(i)}"
        if i.low is not None and i.high is not None:
            parts.append(draw_line(x(i.low), mid, x(i.high), mid, f"whisker {kind}"))
        parts.append(draw_point(x(i.estimate or 0.0), mid, f"dot {kind}", title))
    return svg(height, parts, label)


def bar_chart(
    bars: Sequence[tuple[str, float]], label: str, y_format: Format = percent, height: int = 240
) -> Markup:
    """Chart of signed bars, one a name, in the order given; names only in the tooltips."""
    if not bars:
        return nothing()
    low, high = padded([v for _, v in bars])
    y = Scale(low, high, height - BOTTOM, TOP)
    slot = (WIDTH - LEFT - RIGHT) / len(bars)
    gap = 2 if slot > 6 else 0
    parts = []
    for tick in nice_ticks(low, high):
        parts.append(draw_line(LEFT, y(tick), WIDTH - RIGHT, y(tick), "zero" if tick == 0 else "grid"))
        parts.append(draw_text(LEFT - 6, y(tick) + 4, y_format(tick), anchor="end"))
    for k, (name, value) in enumerate(bars):
        top, foot = min(y(value), y(0.0)), max(y(value), y(0.0))
        width = min(slot - gap, 48)
        at = LEFT + k * slot + (slot - width) / 2
        kind = "bar good" if value > 0 else "bar bad"
        parts.append(draw_rect(at, top, width, foot - top, kind, f"{name}: {y_format(value)}"))
    parts.append(draw_text((LEFT + WIDTH) / 2, height - 8, f"{len(bars)} events, worst to best", "axis"))
    return svg(height, parts, label)


def heat_map(
    counts: Sequence[Sequence[int]], rows: Sequence[str], columns: Sequence[str], label: str
) -> Markup:
    """Chart of counts as the strength of one colour (square root, so that rare cells stay visible)."""
    total = sum(map(sum, counts))
    if total == 0:
        return nothing()
    most = max(max(row) for row in counts)
    left, cell_h = 118, 24
    cell_w = (WIDTH - left - RIGHT) / len(columns)
    height = cell_h * len(rows) + BOTTOM + 4
    parts = []
    for r, row in enumerate(reversed(counts)):
        name = rows[len(rows) - 1 - r]
        parts.append(draw_text(left - 8, r * cell_h + 17, name, "name", "end"))
        for c, value in enumerate(row):
            share = math.sqrt(value / most)
            title = f"{name}, {columns[c]}: {value:,} looks ({100 * value / total:.1f} %)"
            extra = f'fill-opacity="{share:.3f}"'
            x, y = left + c * cell_w, r * cell_h
            parts.append(draw_rect(x + 1, y + 1, cell_w - 2, cell_h - 2, "cell-empty", title))
            parts.append(draw_rect(x + 1, y + 1, cell_w - 2, cell_h - 2, "cell", title, extra))
    for c, name in enumerate(columns):
        parts.append(draw_text(left + (c + 0.5) * cell_w, height - 10, name))
    return svg(height, parts, label)
