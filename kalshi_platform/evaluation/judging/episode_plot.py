"""The plot of one play: bid and ask, the policy's fills and resting orders above, its position below.

Units   cents of the YES scale, contracts, UTC; pixels and percent as in pages/drawing.py.
Bound   fills of one action in one of 60 stretches of time are one mark; the longest MOST_ORDERS resting
        orders and the widest gaps are drawn: a plot stays under MOST_BYTES whatever it shows.
Not     which plays are shown nor their figures (plays.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from markupsafe import Markup, escape

from kalshi_platform.domain.actions import BUY_NO, BUY_YES, SELL_NO, SELL_YES
from kalshi_platform.domain.units import NS_PER_DAY, NS_PER_SECOND
from kalshi_platform.evaluation.judging.fills import MIXED
from kalshi_platform.evaluation.judging.plays import BUCKETS, Play, extremes
from kalshi_platform.evaluation.judging.trades_table import DEEDS
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
    padded,
    svg,
)
from kalshi_platform.evaluation.pages.formats import dollars, percent

MOST_ORDERS: Final = 300
_MOST_GAPS: Final = 100
MOST_BYTES: Final = 100_000
#: Stretches of time in which fills of one action are one mark: on a telephone a mark is as wide as one.
_MARK_STRETCHES: Final = 60
_PRICE_H, _BETWEEN, _POSITION_H = 210, 40, 70
_PRICE_FOOT: Final = TOP + _PRICE_H
_HEIGHT: Final = _PRICE_FOOT + _BETWEEN + _POSITION_H + BOTTOM
#: Width of the view box that stretched paths are drawn in.
_BOX: Final = 1000
#: Height of a line of text.
_LINE_H: Final = 14
#: Action -> (words, outline of its mark round 0,0): four shapes, so that no colour is needed to tell them.
MARKS: Final = {
    BUY_YES: ("buys YES", "M0-6 6 5H-6Z"),
    SELL_YES: ("sells YES", "M0 6 6-5H-6Z"),
    BUY_NO: ("buys NO", "M0-6 6 0 0 6-6 0Z"),
    SELL_NO: ("sells NO", "M-5-5H5V5H-5Z"),
    MIXED: ("buys and sells", "M0-5A5 5 0 1 1-.01-5Z"),
}


@dataclass(frozen=True)
class _Field:
    """Scales of one plot."""

    x: Scale
    price: Scale  # 1e-4 dollar
    position: Scale  # 1e-2 contract


def plot_play(play: Play) -> Markup:
    """Figure of ``play``; its caption, which a screen reader says too, tells how it ended."""
    position = _positions(play)
    field = _field_of(play, position[1])
    parts = [
        *_gaps(play, field),
        *_price_axis(field),
        *_position_axis(field, position[1]),
        _steps(field.x, field.price, _price_parts(play, play.bid_e4), "bid"),
        _steps(field.x, field.price, _price_parts(play, play.ask_e4), "ask"),
        _orders(play, field),
        _steps(field.x, field.position, [position], "held"),
        *_fill_marks(play, field),
        *_settlement(play),
        *_time_axis(play, field),
    ]
    label = f"Price, fills and position in {play.market.ticker}"
    return svg(_HEIGHT, parts, label, finding(play), legend=_legend(play))


def finding(play: Play) -> str:
    """One sentence on how the play went."""
    share = percent(abs(play.pnl_e6) / play.capital_e6)
    word = "profit" if play.pnl_e6 >= 0 else "loss"
    end = "no outcome ended it: what was left counts at what closing it would have brought"
    if play.settlement_e4 is not None:
        paid = f"a YES contract paid {play.settlement_e4 / 100:g} cents"
        end = f"the market settled {_outcome(play.settlement_e4)}: {paid}"
    if play.n_fills == 0:
        return f"{play.market.ticker} had no fill, so no profit and no loss; {end}"
    gaps = len(play.spans) - 1
    across = (
        f", across {gaps} gap{'s' if gaps > 1 else ''} (grey), at which what was held counts as closed"
        if gaps
        else ""
    )
    fills = f"{play.n_fills:,} fill{'s' if play.n_fills > 1 else ''}"
    return (
        f"{play.market.ticker}: {word} {dollars(abs(play.pnl_e6))} ({share} of capital) after "
        f"{dollars(play.fees_e6)} of fees, {fills}{across}; {end}"
    )


def _field_of(play: Play, held_e2: np.ndarray) -> _Field:
    shown = np.concatenate(
        [play.bid_e4[play.bid_e4 >= 0], play.ask_e4[play.ask_e4 >= 0], _yes_e4(play.fills)]
    )
    low, high = padded(
        [float(shown.min()), float(shown.max())] if shown.size else [0.0, 10_000.0], with_zero=False
    )
    x = Scale(play.start_ns, max(play.end_ns, play.start_ns + 1))
    foot = _PRICE_FOOT + _BETWEEN + _POSITION_H
    ends = padded([float(held_e2.min()), float(held_e2.max())])
    return _Field(
        x=x,
        price=Scale(max(low, -300.0), min(high, 10_300.0), _PRICE_FOOT, TOP),
        position=Scale(*ends, foot, foot - _POSITION_H),
    )


def _yes_e4(fills: np.ndarray) -> np.ndarray:
    """Average price (K,) of each fill on the YES scale; those without a price are left out."""
    priced = fills[(fills["contracts_e2"] > 0) & (fills["action"] != MIXED)]
    own = priced["value_e6"] / priced["contracts_e2"]
    return np.where(np.isin(priced["action"], (BUY_NO, SELL_NO)), 10_000 - own, own)


def _price_parts(play: Play, price_e4: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(times, prices) of every unbroken stretch in which there is a price."""
    broken = np.concatenate([[0], np.cumsum((np.diff(play.part) != 0) | (np.diff(price_e4 < 0)))])
    kept = price_e4 >= 0
    return [
        (play.at_ns[kept & (broken == k)], price_e4[kept & (broken == k)])
        for k in np.unique(broken[kept]).tolist()
    ]


def _positions(play: Play) -> tuple[np.ndarray, np.ndarray]:
    """(times, positions 1e-2 contract) of the play; every episode begins and ends without one."""
    at: list[int] = []
    held: list[int] = []
    for episode, start, end in play.spans:
        own = play.fills[play.fills["episode"] == episode]
        at += [start, *np.minimum(own["at_ns"], end).tolist(), end]
        held += [0, *own["position_e2"].tolist(), 0]
    times, sizes = np.array(at, np.int64), np.array(held, np.int64)
    width = max(1, -(-(play.end_ns - play.start_ns + 1) // BUCKETS))
    kept = extremes((times - play.start_ns) // width, sizes)
    return times[kept], sizes[kept]


def _steps(x: Scale, y: Scale, parts: Sequence[tuple[np.ndarray, np.ndarray]], kind: str) -> str:
    """SVG of a value that stays until it changes, in every part; drawn in one stretched path."""
    drawn = []
    for times, values in parts:
        changed = np.concatenate([[True], np.diff(values) != 0]) if len(values) else np.zeros(0, bool)
        for k, (at, value) in enumerate(zip(times[changed].tolist(), values[changed].tolist(), strict=True)):
            across = f"{x(at) * _BOX / 100:.1f}"
            drawn.append(f"H{across}V{y(value):.1f}" if k else f"M{across} {y(value):.1f}")
        if len(times):
            drawn.append(f"H{x(int(times[-1])) * _BOX / 100:.1f}")
    return _stretched("".join(drawn), kind)


def _stretched(path: str, kind: str) -> str:
    return (
        f'<svg class="path" width="100%" height="{_HEIGHT}" viewBox="0 0 {_BOX} {_HEIGHT}" '
        f'preserveAspectRatio="none"><path class="line {kind}" d="{path}"/></svg>'
    )


def _orders(play: Play, field: _Field) -> str:
    """SVG of the resting orders as bars at their price, the longest MOST_ORDERS of them."""
    lasted = play.orders["to_ns"] - play.orders["from_ns"]
    orders = play.orders[np.argsort(-lasted, kind="stable")[:MOST_ORDERS]]
    low, high = min(field.price.low, field.price.high), max(field.price.low, field.price.high)
    bars = [
        f"M{field.x(a) * _BOX / 100:.1f} {field.price(price):.1f}H{field.x(b) * _BOX / 100:.1f}"
        for a, b, price in zip(*(orders[n].tolist() for n in ("from_ns", "to_ns", "price_e4")), strict=True)
        if low <= price <= high
    ]
    return _stretched("".join(bars), "resting") if bars else ""


def _fill_marks(play: Play, field: _Field) -> list[str]:
    """SVG of the fills: one mark for those of one action in one stretch of time, with a tooltip."""
    width = max(1, -(-(play.end_ns - play.start_ns + 1) // _MARK_STRETCHES))
    bucket = (play.fills["at_ns"] - play.start_ns) // width
    marks = []
    for action, (words, outline) in MARKS.items():
        of_action = play.fills["action"] == action
        for k in np.unique(bucket[of_action]).tolist():
            marks.append(_mark(play, field, play.fills[of_action & (bucket == k)], action, words, outline))
    return marks


def _mark(play: Play, field: _Field, fills: np.ndarray, action: int, words: str, outline: str) -> str:
    size, value = int(fills["contracts_e2"].sum()), int(fills["value_e6"].sum())
    n, at = int(fills["n_fills"].sum()), int(fills["at_ns"][0])
    own = value / size
    yes = 10_000 - own if action in (BUY_NO, SELL_NO) else own
    price = f"{own / 100:.4g} cents"
    if action == MIXED:
        row = max(0, int(np.searchsorted(play.at_ns, at, side="right")) - 1)
        yes, price = float(play.bid_e4[row]), "several prices"
    said = (
        f"{_clock(at, '%Y-%m-%d %H:%M:%S')} UTC: {words}, {size / 100:g} contracts at {price}, "
        f"{n} fill{'s' if n > 1 else ''}, fees {dollars(int(fills['fees_e6'].sum()))}"
    )
    y = min(max(field.price(yes), TOP), _PRICE_FOOT)
    return (
        f'<svg class="mark-at" x="{min(max(field.x(at), 0.0), 100.0):.2f}%" y="{y:.1f}" overflow="visible">'
        f'<path class="fill {DEEDS[action]}" d="{outline}"><title>{escape(said)}</title></path></svg>'
    )


def _gaps(play: Play, field: _Field) -> list[str]:
    """SVG of the stretches between two episodes, the widest _MOST_GAPS of them."""
    pairs = zip(play.spans, play.spans[1:], strict=False)
    between = sorted((end - start, end, start) for (_, _, end), (_, start, _) in pairs)[:_MOST_GAPS]
    out = []
    for _, end, start in between:
        said = f"gap of {(start - end) / NS_PER_SECOND:,.0f} s: no valid book"
        width = field.x(start) - field.x(end)
        out.append(draw_rect(field.x(end), TOP, width, _HEIGHT - BOTTOM - TOP, "gap", said))
    return out


def _price_axis(field: _Field) -> list[str]:
    out = draw_axes("", "price of a YES contract, cents", _HEIGHT)
    for tick in nice_ticks(field.price.low / 100, field.price.high / 100):
        y = field.price(tick * 100)
        out += [draw_line(0, y, 100, y, "grid"), draw_text(0, y + 4, f"{tick:g}", anchor="end", dx=-7)]
    return out


def _position_axis(field: _Field, held_e2: np.ndarray) -> list[str]:
    head = _PRICE_FOOT + _BETWEEN
    out = [draw_text(0, head - 10, "position, contracts (YES above 0, NO below)", "axis", "start", dx=-66)]
    for held in sorted({int(held_e2.min()), int(held_e2.max()), 0}):
        y = field.position(held)
        if held and abs(y - field.position(0)) < _LINE_H:
            continue
        kind = "grid" if held else "zero"
        out += [draw_line(0, y, 100, y, kind), draw_text(0, y + 4, f"{held / 100:g}", anchor="end", dx=-7)]
    return out


def _settlement(play: Play) -> list[str]:
    """SVG of the outcome at the right edge, at the end of the price axis that it lies towards."""
    if play.settlement_e4 is None:
        return []
    up = play.settlement_e4 >= 5_000
    said = f"{'▲' if up else '▼'} settled {_outcome(play.settlement_e4)}: {play.settlement_e4 / 100:g} cents"
    return [draw_text(100, TOP + 12 if up else _PRICE_FOOT - 4, said, "settled", "end")]


def _outcome(settlement_e4: int) -> str:
    return {10_000: "YES", 0: "NO"}.get(settlement_e4, "between YES and NO")


def _time_axis(play: Play, field: _Field) -> list[str]:
    span = play.end_ns - play.start_ns
    form = "%m-%d %H:%M" if span > NS_PER_DAY else "%H:%M" if span > 600 * NS_PER_SECOND else "%H:%M:%S"
    times = [play.start_ns + k * span // 4 for k in range(5)] if span else [play.start_ns]
    ticks = [(field.x(at), _clock(at, form)) for at in times]
    name = f"time (UTC), from {_clock(play.start_ns, '%Y-%m-%d %H:%M')}"
    return [*draw_x_ticks(ticks, _HEIGHT - BOTTOM + 16), *draw_axes(name, "", _HEIGHT)]


def _clock(time_ns: int, form: str) -> str:
    return datetime.fromtimestamp(time_ns // NS_PER_SECOND, UTC).strftime(form)


def _legend(play: Play) -> str:
    """Names of the lines and marks that the plot shows."""
    line = '<svg class="sample" width="34" height="12"><path class="line {}" d="M1 6H33"/></svg>{}'
    box = 'width="14" height="14" viewBox="-7 -7 14 14"'
    mark = f'<svg class="sample" {box}><path class="fill {{}}" d="{{}}"/></svg>{{}}'
    parts = [line.format("ask", "ask"), line.format("bid", "bid")]
    if play.orders.size:
        drawn = min(MOST_ORDERS, play.orders.size)
        left_out = f" (the longest {drawn} of {play.orders.size:,})" if drawn < play.orders.size else ""
        parts.append(line.format("resting", f"resting order{left_out}"))
    there = set(play.fills["action"].tolist())
    parts += [mark.format(DEEDS[a], outline, words) for a, (words, outline) in MARKS.items() if a in there]
    return f'<div class="legend">{"".join(f"<span>{part}</span>" for part in parts)}</div>'
