"""A map of returns as colour: gain or loss, stronger for more (by its square root, so that all stay visible).

Units  fractions, shown in percent; pixels of a 720 wide view box that the page stretches.
"""

import math
from collections.abc import Sequence

from markupsafe import Markup

from kalshi_platform.evaluation.pages.charts import WIDTH, draw_name, draw_rect, draw_text, nothing, svg
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
    left, cell_h = 196, 22 if len(rows) <= 20 else 16
    cell_w = (WIDTH - left - 8) / len(columns)
    gap = 2 if cell_w > 8 else 0.4
    foot = cell_h * len(rows) + (18 if name_columns else 0)
    parts = []
    for r, (name, row) in enumerate(zip(rows, values, strict=True)):
        top = r * cell_h
        parts.append(draw_name(left - 8, top + cell_h / 2 + 4, name, 24))
        for c, value in enumerate(row):
            share = math.sqrt(abs(value) / most) if most > 0 else 0.0
            kind = "cell-empty" if share == 0 else f"bar {'good' if value > 0 else 'bad'}"
            extra = "" if share == 0 else f'fill-opacity="{max(share, 0.06):.2f}"'
            title = f"{name}, {columns[c]}: {percent(value)}"
            parts.append(draw_rect(left + c * cell_w, top + 1, cell_w - gap, cell_h - 2, kind, title, extra))
    if name_columns:
        parts += [draw_text(left + (c + 0.5) * cell_w, foot - 4, name) for c, name in enumerate(columns)]
    parts.append(draw_text((left + WIDTH) / 2, foot + 20, axis, "axis"))
    return svg(foot + 26, parts, label)
