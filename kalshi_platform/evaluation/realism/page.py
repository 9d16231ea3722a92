"""The page of a comparison: one HTML file that opens anywhere, the same figures as JSON, a terminal table.

Owns   calibration.html, calibration.json (written atomically) and what the terminal shows.
Not    any figure: all of them lie in the record (record.py).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from markupsafe import Markup
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kalshi_platform.evaluation.pages.charts import SMALL, Series, line_chart
from kalshi_platform.evaluation.pages.drawing import nice_ticks, nothing
from kalshi_platform.evaluation.pages.formats import percent, plain
from kalshi_platform.evaluation.pages.head import PageHead, of_path
from kalshi_platform.evaluation.pages.page import render, write_html_and_json
from kalshi_platform.evaluation.realism.measures import SCALES
from kalshi_platform.evaluation.realism.record import (
    DistributionFound,
    NumberFound,
    Realism,
    SeenDistribution,
    SideFacts,
    is_within,
)

HTML_NAME: Final = "calibration.html"
#: Heads of the table of distances.
HEADS: Final = (
    "measure", "recorded", "simulated", "distance", "<unit", "noise", "distance / noise", "KS",
)  # fmt: skip
Found = DistributionFound | NumberFound


def write_realism(found: Realism, out: Path) -> tuple[Path, Path]:
    """Write calibration.html and calibration.json into ``out``; returns their paths."""
    return write_html_and_json(Path(out) / HTML_NAME, render_realism(found), found)


def render_realism(found: Realism) -> str:
    """Text of the whole page; opening it fetches nothing."""
    return render(
        "kalshi_platform.evaluation.realism",
        "calibration.html.j2",
        page_head(found),
        {"plain": plain},
        r=found,
        verdict=verdict(found),
        heads=[*HEADS, "within the noise"],
        rows=[(each, row_texts(each), is_within(each)) for each in found.found],
        charts=[(d, _curve_chart(d)) for d in found.distributions if d.curves],
        sides=(("recorded", found.recorded), ("simulated", found.simulated)),
        side_words=side_words,
        missing=[(each.name, side, why) for each in found.found for side, why in each.missing.items()],
        left_out=_left_out(found),
    )


def page_head(found: Realism) -> PageHead:
    """Head of the page: which two datasets, measured by which program and when."""
    return PageHead(
        kind="Calibration",
        name=f"{of_path(found.simulated.uri)} beside {_chosen(found.recorded)}",
        data="nothing: simulated and recorded data are set side by side",
        facts={
            "recorded": f"{of_path(found.recorded.uri)} ({found.recorded.dataset_digest})",
            "simulated": f"{of_path(found.simulated.uri)} ({found.simulated.dataset_digest})",
        },
        made=found.made,
    )


def _chosen(side: SideFacts) -> str:
    return ", ".join(side.selected) or of_path(side.uri)


def side_words(side: SideFacts) -> str:
    """Size of a side in words."""
    return (
        f"{side.events:,} event{'' if side.events == 1 else 's'}, {side.markets:,} "
        f"market{'' if side.markets == 1 else 's'}, {side.rows:,} rows, {side.quoted_rows:,} of them quoted"
    )


def verdict(found: Realism) -> str:
    """One sentence: how many distances lie within the noise, and the furthest one."""
    known = [(each, is_within(each)) for each in found.found if is_within(each) is not None]
    if not known:
        computed = sum(each.distance is not None for each in found.found)
        return f"{computed} of {len(found.found)} distances computed, none with a noise to hold it against."
    far = [(times, each.name) for each, _ in known if (times := times_noise(each))]
    furthest = f"; the furthest: {max(far)[1]}, {max(far)[0]:.1f} times the noise" if far else ""
    within = sum(bool(inside) for _, inside in known)
    return (
        f"{within} of {len(known)} distances lie within the recorded data's own sampling noise{furthest}; "
        f"{len(found.found) - len(known)} could not be judged."
    )


def times_noise(each: Found) -> float | None:
    """Distance as a multiple of the noise; None where either is unknown or there is no noise."""
    if each.distance is None or not each.noise:
        return None
    return each.distance / each.noise


def row_texts(each: Found) -> tuple[str, ...]:
    """Cells of a measure after its name, in the order of HEADS."""
    times = times_noise(each)
    return (
        _side_text(each.recorded, each.unit),
        _side_text(each.simulated, each.unit),
        _number_text(each.distance, each.distance_unit),
        each.distance_unit,
        _number_text(each.noise, each.distance_unit),
        "-" if times is None else f"{times:.1f}",
        _number_text(each.ks, "") if isinstance(each, DistributionFound) else "",
    )


def _side_text(seen: SeenDistribution | float | None, unit: str) -> str:
    if isinstance(seen, SeenDistribution):
        return " / ".join(plain(seen.quantiles[name]) for name in ("p10", "p50", "p90"))
    return _number_text(seen, unit)


def _number_text(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.3g} %" if unit == "fraction" else plain(value)


def _left_out(found: Realism) -> list[tuple[str, int, int]]:
    """(reason, recorded rows, simulated rows) of the rows that are not quoted."""
    ours, theirs = found.recorded.left_out, found.simulated.left_out
    return [(reason, ours.get(reason, 0), theirs.get(reason, 0)) for reason in {**ours, **theirs}]


def _curve_chart(found: DistributionFound) -> Markup:
    """Chart of the share of values at or below each value, for both sides."""
    at = SCALES[found.scale](np.array([value for value, _, _ in found.curves])).tolist()
    if len(at) < 2 or found.recorded is None or found.simulated is None:
        return nothing("one value only")
    recorded, simulated = ([point[k] for point in found.curves] for k in (1, 2))
    medians = found.recorded.quantiles["p50"], found.simulated.quantiles["p50"]
    return line_chart(
        [Series("recorded", at, recorded, 0), Series("simulated", at, simulated, 2)],
        f"{found.name}: share of values at or below",
        _ticks(found.scale, at[0], at[-1]),
        percent,
        SMALL,
        x_axis=f"{found.name}, {found.unit}{'' if found.scale == 'linear' else ', logarithmic'}",
        y_axis="share of the values",
        x_format=lambda x: plain(_value_of(found.scale, x)),
        finding=(
            f"half of the values are at most {plain(medians[0])} recorded, {plain(medians[1])} simulated "
            f"({found.unit}); n = {found.recorded.n:,} and {found.simulated.n:,}"
        ),
    )


def _ticks(scale: str, low: float, high: float) -> list[tuple[float, str]]:
    """Ticks (place, text) of a chart's values: powers of ten on a logarithmic scale."""
    if scale == "linear":
        return [(tick, plain(tick)) for tick in nice_ticks(low, high, 6)]
    powers = [10.0**k for k in range(-6, 9)] + ([0.0] if scale != "log10" else [])
    placed = [(float(SCALES[scale](np.array(power))), power) for power in powers]
    return [(place, plain(power)) for place, power in sorted(placed) if low <= place <= high]


def _value_of(scale: str, place: float) -> float:
    """Value at a place of the scale."""
    return {"linear": place, "log10": 10.0**place, "log10(1 + x)": math.pow(10.0, place) - 1.0}[scale]


def realism_view(found: Realism) -> RenderableType:
    """The distances, what is missing and the limits, for a terminal."""
    table = Table(title=page_head(found).name)
    for head in HEADS:
        left = head.startswith("<") or head == "measure"
        table.add_column(head.removeprefix("<"), justify="left" if left else "right")
    for each in found.found:
        style = {True: "green", False: "red", None: "dim"}[is_within(each)]
        table.add_row(each.name, *row_texts(each), style=style)
    lines = [
        Text(f"recorded: {side_words(found.recorded)}; noise over {found.recorded.units}"),
        Text(f"simulated: {side_words(found.simulated)}"),
    ]
    lines += [Text(f"not computed: {words}", style="yellow") for words in missing_words(found.found)]
    lines += [Text(limit, style="yellow") for limit in found.limits]
    note = Text(
        "p10 / p50 / p90 of a distribution; noise: 95 % of resamples of the recorded data lie nearer to it"
    )
    return Group(table, note, *lines, Text(verdict(found), style="bold"))


def missing_words(found: Sequence[Found]) -> list[str]:
    """Lines "measures: side: why", measures with the same reasons together."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for each in found:
        for side, why in each.missing.items():
            by_reason.setdefault((side, why), []).append(each.name)
    return [f"{', '.join(names)}: {side}: {why}" for (side, why), names in by_reason.items()]
