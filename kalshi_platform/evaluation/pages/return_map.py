"""A map of returns as colour: gain or loss, stronger for more (by its square root, so that all stay visible).

Units  fractions, shown in percent; the field as in drawing.py.
"""

import math
from collections.abc import Sequence

from markupsafe import Markup

from kalshi_platform.evaluation.pages.drawing import (
    draw_axes,
    draw_name,
    draw_rect,
    draw_x_ticks,
    nothing,
    svg,
)
from kalshi_platform.evaluation.pages.formats import percent


def return_map(
    values: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    label: str,
    axis: str,
    *,
    name_columns: bool = False,
) -> Markup:
    """Map of returns (rows x columns); ``axis`` says what the columns are, their names are in the tooltips.

    ``name_columns`` writes the names below the map too, where few columns have short ones.
    """
    most = max((abs(v) for row in values for v in row), default=0.0)
    if not rows or not columns:
        return nothing()
    left, cell_h = 206, 22 if len(rows) <= 20 else 18
    width = 100 / len(columns)
    gap = min(0.1 * width, 0.25)
    foot = cell_h * len(rows) + (20 if name_columns else 0)
    height = foot + 28
    parts = draw_axes(axis, "", height)
    for r, (name, row) in enumerate(zip(rows, values, strict=True)):
        top = r * cell_h
        parts.append(draw_name(0, top + cell_h / 2 + 4, name, 26, "name roomy", dx=-8))
        parts.append(draw_name(0, top + cell_h / 2 + 4, name, 13, "name tight", dx=-6))
        for c, value in enumerate(row):
            share = math.sqrt(abs(value) / most) if most > 0 else 0.0
            kind = "cell-empty" if share == 0 else f"bar {'good' if value > 0 else 'bad'}"
            extra = "" if share == 0 else f'fill-opacity="{max(share, 0.06):.2f}"'
            title = f"{name}, {columns[c]}: {percent(value)}"
            parts.append(draw_rect(c * width, top + 1, width - gap, cell_h - 2, kind, title, extra))
    if name_columns:
        parts += draw_x_ticks([((c + 0.5) * width, name) for c, name in enumerate(columns)], foot - 2)
    return svg(height, parts, label, _finding(values, rows, columns), left=left, right=8, kind="cut")


def _finding(values: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str]) -> str:
    """Words on how many cells gain and lose, and on the strongest of both."""
    cells = [(v, r, c) for r, row in enumerate(values) for c, v in enumerate(row)]
    up, down = sum(v > 0 for v, _, _ in cells), sum(v < 0 for v, _, _ in cells)
    said = [f"{up} of {len(cells)} cells gain, {down} lose"]
    for (value, r, c), wanted in ((max(cells), up), (min(cells), down)):
        if wanted:
            said.append(f"{'best' if value > 0 else 'worst'} {percent(value)} ({rows[r]}, {columns[c]})")
    return "; ".join(said)
