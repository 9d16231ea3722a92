"""Charts that only the comparison of runs needs, in the look of evaluation/pages/charts.py.

Owns   parallel coordinates of settings against score.
Units  x in percent of the field, y in pixels (evaluation/pages/drawing.py).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from markupsafe import Markup

from kalshi_platform.domain.json_text import json_text
from kalshi_platform.evaluation.pages.drawing import (
    Scale,
    draw_line,
    draw_name,
    draw_path,
    nice_ticks,
    svg,
)
from kalshi_platform.evaluation.pages.formats import plain

#: From this ratio of the largest to the smallest value on, an axis of positive numbers is logarithmic.
LOG_FROM: Final = 20.0
#: Numbers of at most this many different values are all labelled.
_FEW: Final = 7
_HEIGHT: Final = 300
_TOP, _FOOT, _SIDE = 34, 20, 88
#: Pixels that two axes are apart at least; where the page has less the chart scrolls in its own box.
_APART: Final = 104
#: Characters of a label that have room beside its axis.
_ROOM: Final = 13


@dataclass(frozen=True)
class Axis:
    """One setting: the place of each run on it (0 foot to 1 top, None where unknown) and its labels."""

    name: str
    places: tuple[float | None, ...]
    labels: tuple[tuple[float, str], ...]
    texts: tuple[str, ...]  # each run's value in words


def axis_of(name: str, values: Sequence[Any], form: Any = plain) -> Axis:
    """Axis for ``values``, one a run, None = unknown: by size for numbers, else by order of the words."""
    known = [v for v in values if v is not None]
    texts = tuple("unknown" if v is None else _word(v, form) for v in values)
    if not all(_is_number(v) for v in known):
        return _of_words(name, values, texts)
    distinct = sorted({float(v) for v in known})
    if not distinct:
        return Axis(name, tuple(None for _ in values), (), texts)
    logarithmic = distinct[0] > 0 and distinct[-1] / distinct[0] >= LOG_FROM
    turn = math.log10 if logarithmic else float
    low, high = turn(distinct[0]), turn(distinct[-1])
    span = high - low

    def place(value: float) -> float:
        return (turn(value) - low) / span if span > 0 else 0.5

    shown = distinct if len(distinct) <= _FEW else _ticks(distinct[0], distinct[-1], logarithmic)
    return Axis(
        name,
        tuple(None if v is None else place(float(v)) for v in values),
        tuple((place(v), form(v)) for v in shown),
        texts,
    )


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    """Powers of ten, or round values, inside low..high; the two ends where there are not two of those."""
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1) if logarithmic else ()
    inside = [10.0**power for power in powers] if logarithmic else nice_ticks(low, high)
    return inside if len(inside) > 1 else [low, high]


def _of_words(name: str, values: Sequence[Any], texts: tuple[str, ...]) -> Axis:
    words = sorted({t for t, v in zip(texts, values, strict=True) if v is not None})
    step = 1.0 / max(len(words) - 1, 1)
    where = {word: (k * step if len(words) > 1 else 0.5) for k, word in enumerate(words)}
    return Axis(name, tuple(where.get(t) for t in texts), tuple((y, w) for w, y in where.items()), texts)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _word(value: object, form: Any) -> str:
    if _is_number(value):
        return str(form(value))
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json_text(value)


def parallel_coordinates(
    axes: Sequence[Axis], names: Sequence[str], strength: Sequence[float], best: int | None, label: str
) -> Markup:
    """Chart with one line a run through its place on every axis.

    ``strength`` 0..1 is how clearly it is drawn.

    ``best`` is the run drawn last and in the policy's colour. A line stops before an axis it is unknown on.
    """
    if len(axes) < 2 or not names:
        return Markup('<p class="none">no setting differs between the runs</p>')
    x = Scale(0, len(axes) - 1)
    y = Scale(0.0, 1.0, _HEIGHT - _FOOT, _TOP + 8)
    parts = [
        _run_line(axes, k, x, y, names[k], f's1" stroke-opacity="{strength[k]:.2f}')
        for k in _others(names, best)
    ]
    if best is not None:
        parts.append(_run_line(axes, best, x, y, names[best], "s0"))
    shown = [_numbered(axis) for axis in axes]
    for k, axis in enumerate(shown):
        at = x(k)
        parts.append(draw_line(at, _TOP + 8, at, _HEIGHT - _FOOT, "axis-line"))
        parts.append(draw_name(at, 18, axis.name, _APART // 7, anchor="middle"))
        last = k == len(axes) - 1
        anchor, shift = ("start", 6) if last else ("end", -6)
        parts += [
            draw_name(at, y(p) + 4, text, _ROOM, "tick halo", anchor, shift)
            for p, text in _apart(axis.labels, y)
        ]
    axes_words = [words for axis in axes if (words := _key(axis))]
    chart = svg(_HEIGHT, parts, label, _words(axes, names, best), left=_SIDE, right=_SIDE)
    width = 2 * _SIDE + (len(axes) - 1) * _APART
    box = (
        '<div class="scroll" role="region" tabindex="0" aria-label="{}">'
        '<div style="min-width:{}px">{}</div></div>'
    )
    keys = Markup("").join(Markup('<p class="soft">{}</p>').format(words) for words in axes_words)
    return Markup(box).format(label, width, chart) + keys


def _is_long(axis: Axis) -> bool:
    return any(len(text) > _ROOM for _, text in axis.labels)


def _numbered(axis: Axis) -> Axis:
    """The axis with numbers for labels where a label has no room: the key below the chart explains them."""
    if not _is_long(axis):
        return axis
    return replace(axis, labels=tuple((at, str(n)) for n, (at, _) in enumerate(axis.labels, 1)))


def _key(axis: Axis) -> str:
    """Words on the numbers of an axis; "" where its labels stand at it themselves."""
    if not _is_long(axis):
        return ""
    return f"{axis.name}: " + "; ".join(f"{n} = {text}" for n, (_, text) in enumerate(axis.labels, 1))


def _apart(labels: Sequence[tuple[float, str]], y: Scale) -> list[tuple[float, str]]:
    """Labels of one axis that have room, from the top: a label 14 pixels from the last one is left out."""
    kept: list[tuple[float, str]] = []
    for place, text in sorted(labels, reverse=True):
        if not kept or y(place) - y(kept[-1][0]) >= 14:
            kept.append((place, text))
    return kept


def _words(axes: Sequence[Axis], names: Sequence[str], best: int | None) -> str:
    """Words on the settings of the run drawn in colour."""
    return "" if best is None else f"the winner {names[best]}: {_told(axes, best)}"


def _told(axes: Sequence[Axis], run: int) -> str:
    return ", ".join(f"{axis.name} {axis.texts[run]}" for axis in axes)


def _others(names: Sequence[str], best: int | None) -> list[int]:
    return [k for k in range(len(names)) if k != best]


def _run_line(axes: Sequence[Axis], run: int, x: Scale, y: Scale, name: str, kind: str) -> str:
    points = [(x(k), y(p)) for k, axis in enumerate(axes) if (p := axis.places[run]) is not None]
    return draw_path(points, _HEIGHT, kind, f"{name}: {_told(axes, run)}")
