"""Marks of the charts as inline SVG: no script, no network, colours from the page's own variables.

Owns       scales, ticks, texts, lines, rectangles, dots, the frame of a chart; every text is escaped.
Units      x in percent of the field (0 left, 100 right), which is as wide as the page lets it; y and shifts
           in pixels. So a text is as large on a telephone as on a desk, and a field uses the whole width.
Invariant  a text never stands inside a view box, the one thing that would scale it.
Not        any chart: the kinds that pages share are in charts.py.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

#: How a number is written on an axis.
Format = Callable[[float], str]
#: Pixels beside the field of a chart: left for the numbers of the vertical axis.
LEFT, RIGHT = 66, 18
#: Pixels above the field, for the name of the vertical axis, and below it, for numbers and an axis' name.
TOP, BOTTOM = 26, 46
#: Width of the view box in which lines are drawn; its height is that of the chart.
_BOX: Final = 1000
#: Pixels that one character of a label takes, about; and the width of the field on a telephone.
_CHARACTER: Final = 7.0
_NARROW_FIELD: Final = 300.0


@dataclass(frozen=True)
class Scale:
    """A linear map of low..high to start..stop: percent of the field across, pixels upward."""

    low: float
    high: float
    start: float = 0.0
    stop: float = 100.0

    def __call__(self, value: float) -> float:
        """Place of ``value``."""
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


def padded(values: Sequence[float], with_zero: bool = True) -> tuple[float, float]:
    """The ends of an axis that shows ``values`` with some room round them."""
    points = [*values, 0.0] if with_zero else list(values)
    low, high = min(points), max(points)
    pad = abs(low) * 0.1 or 0.001 if low == high else 0.06 * (high - low)
    return low - pad, high + pad


def draw_text(
    x: float, y: float, text: str, kind: str = "tick", anchor: str = "middle", dx: float = 0
) -> str:
    """SVG of one line of text, ``dx`` pixels right of ``x``."""
    shift = f' dx="{dx:g}"' if dx else ""
    return (
        f'<text class="{kind}" x="{x:.2f}%" y="{y:.1f}"{shift} text-anchor="{anchor}">{escape(text)}</text>'
    )


def draw_name(
    x: float, y: float, text: str, most: int, kind: str = "name", anchor: str = "end", dx: float = 0
) -> str:
    """SVG of a name cut to ``most`` characters in its middle; its tooltip shows the whole name."""
    if len(text) <= most:
        return draw_text(x, y, text, kind, anchor, dx)
    head = (most - 1) // 2
    shown = f"{text[:head]}…{text[head + 1 - most :]}"
    whole = f"{escape(shown)}<title>{escape(text)}</title>"
    return draw_text(x, y, "", kind, anchor, dx).replace("></text>", f">{whole}</text>")


def draw_line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """SVG of a straight line."""
    return f'<line class="{kind}" x1="{x1:.2f}%" y1="{y1:.1f}" x2="{x2:.2f}%" y2="{y2:.1f}"/>'


def draw_path(points: Sequence[tuple[float, float]], height: int, kind: str, title: str = "") -> str:
    """SVG of a line through ``points`` in a chart of ``height``; its width does not grow with the field."""
    path = " ".join(f"{x * _BOX / 100:.1f},{y:.1f}" for x, y in points)
    said = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<svg class="path" width="100%" height="{height}" viewBox="0 0 {_BOX} {height}" '
        f'preserveAspectRatio="none"><polyline class="line {kind}" points="{path}">{said}</polyline></svg>'
    )


def draw_rect(x: float, y: float, w: float, h: float, kind: str, title: str, extra: str = "") -> str:
    """SVG of a rectangle, ``w`` percent of the field by ``h`` pixels, with its tooltip."""
    space = f" {extra}" if extra else ""
    return (
        f'<rect class="{kind}" x="{x:.2f}%" y="{y:.1f}" width="{max(w, 0.05):.2f}%" '
        f'height="{max(h, 0.5):.1f}"{space}><title>{escape(title)}</title></rect>'
    )


def draw_point(x: float, y: float, kind: str, title: str) -> str:
    """SVG of a dot with its tooltip."""
    return f'<circle class="{kind}" cx="{x:.2f}%" cy="{y:.1f}" r="5"><title>{escape(title)}</title></circle>'


def draw_x_ticks(
    ticks: Sequence[tuple[float, str]], y: float, narrow_field: float = _NARROW_FIELD
) -> list[str]:
    """SVG of the numbers under a field, at percent ``x`` each; a telephone shows those that have room.

    ``narrow_field``: pixels of the field on a telephone.
    """
    shown, end, last = [], -1.0, len(ticks) - 1
    for k, (at, text) in enumerate(ticks):
        anchor = "start" if at < 3 and k == 0 else ("end" if at > 97 and k == last else "middle")
        width = (len(text) + 2) * _CHARACTER
        left = at * narrow_field / 100 - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        room_left = k == last or left + width <= _last_start(ticks, narrow_field)
        fits = left >= end and room_left
        if fits:
            end = left + width
        shown.append(draw_text(at, y, text, "tick" if fits else "tick roomy", anchor))
    return shown


def _last_start(ticks: Sequence[tuple[float, str]], narrow_field: float) -> float:
    """Pixel on a telephone at which the last number begins."""
    at, text = ticks[-1]
    width = (len(text) + 2) * _CHARACTER
    return at * narrow_field / 100 - (width if at > 97 else width / 2)


def draw_axes(x_name: str, y_name: str, height: int, left: int = LEFT) -> list[str]:
    """SVG of the names of both axes, each with its unit; an empty name is none."""
    across = [draw_text(50, height - 6, x_name, "axis")] if x_name else []
    upward = [draw_text(0, 12, y_name, "axis", "start", dx=-left)] if y_name else []
    return across + upward


def svg(
    height: int,
    parts: Sequence[str],
    label: str,
    finding: str = "",
    *,
    left: int = LEFT,
    right: int = RIGHT,
    kind: str = "",
    legend: str = "",
) -> Markup:
    """The chart made of ``parts``, with ``legend`` above it and ``finding`` below.

    A screen reader says ``label`` and ``finding``. ``left`` and ``right`` are the pixels beside its field;
    ``kind`` "ends" gives the right ones back on a telephone, "names" puts the names of rows above them there.
    """
    said = f"{label}: {finding}" if finding else label
    below = f"<figcaption>{escape(finding)}.</figcaption>" if finding else ""
    return Markup(
        f'<figure class="chart{" " + kind if kind else ""}">{legend}'
        f'<svg height="{height}" role="img" aria-label="{escape(said)}" '
        f'style="--left:{left}px;--right:{right}px">{"".join(parts)}</svg>{below}</figure>'
    )


def nothing(why: str = "no data") -> Markup:
    """Text in place of a chart that cannot be drawn."""
    return Markup('<p class="none">{}</p>').format(why)


def draw_legend(entries: Sequence[tuple[int, str]]) -> Markup:
    """Names of lines (slot, name), each beside a piece of its line: its colour and its dashes."""
    sample = (
        '<svg class="sample" width="34" height="10" aria-hidden="true">'
        '<line class="line s{}" x1="1" y1="5" x2="33" y2="5"/></svg>'
    )
    spans = "".join(f"<span>{sample.format(slot)}{escape(name)}</span>" for slot, name in entries)
    return Markup(f'<div class="legend">{spans}</div>')
