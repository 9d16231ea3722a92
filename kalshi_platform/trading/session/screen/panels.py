"""Panels of the screen: each is a function from what is known to text. Newest lines stand first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from kalshi_platform.trading.session.screen.wording import (
    UNKNOWN,
    bar,
    clean,
    contracts,
    cropped,
    dollars,
    milliseconds,
    price,
    short_order,
    sparkline,
    time_of_day,
)
from kalshi_platform.trading.session.snapshot import MarketStand, SessionSnapshot

_NARROW: Final = 70
_MOST_LINES: Final = 50
_WARN_SHARE: Final = 0.8


@dataclass(frozen=True, slots=True)
class PanelView:
    """Everything that a panel may show, and how many cells it has."""

    snapshot: SessionSnapshot
    market: MarketStand | None  # the selected one
    equities_e6: Sequence[int]  # one a snapshot, the newest last
    width: int


def book_text(view: PanelView) -> Text:
    """Levels of the selected market's book and the market's own order and position."""
    market = view.market
    if market is None:
        return Text("no market yet: none has a slot, or no frame of one has come")
    text = Text()
    text.append(f"{cropped(market.ticker, max(view.width - 1, 8)).rstrip()}\n", "bold")
    if not market.is_traded:
        event = f"of event {clean(market.event)}, in a market without a slot"
        unknown = "of an event that nobody told: it counts in no event's or category's limit"
        text.append(f"not traded here: a position {event if market.event else unknown}\n", "yellow")
    elif not market.is_valid:
        text.append("book unknown: it was lost, or has not come yet\n", "yellow")
    else:
        text.append(f"{'bid size':>10} {'bid':>7}   {'ask':<7} {'ask size':<10}\n", "dim")
        for k in range(max(len(market.bids), len(market.asks), 1)):
            text.append("{:>10} {:>7}".format(*_level(market.bids, k)[::-1]), "green")
            text.append("   {:<7} {:<10}\n".format(*_level(market.asks, k)), "red")
    text.append(f"position {contracts(market.position_e2)}, cost {dollars(market.cost_e6)} $\n")
    text.append(_order_line(market) if market.order else "no working order")
    return text


def _level(levels: Sequence[Sequence[int | None]], k: int) -> tuple[str, str]:
    """(price, size) of a level; of the first one in words where there is none."""
    if k < len(levels):
        return price(levels[k][0]), contracts(levels[k][1])
    return ("none", "") if k == 0 else ("", "")


def _order_line(market: MarketStand) -> str:
    return f"{short_order(market.order)}, queue {contracts(market.queue_e2)}"


def orders_text(view: PanelView) -> Text:
    """Working orders, and writes whose outcome is unknown."""
    snapshot = view.snapshot
    text = Text()
    for client_id in (snapshot.risk or {}).get("undecided", ()):
        text.append(f"OUTCOME UNKNOWN {clean(str(client_id))}\n", "bold red")
    working = [market for market in snapshot.markets if market.order]
    for name, ticker in list(snapshot.other_orders.items())[:_MOST_LINES]:
        text.append(f"{cropped(ticker, _name_width(view.width))} on its way, or of a market that is ")
        text.append(f"followed no more: {clean(name)}\n")
    for market in working[:_MOST_LINES]:
        text.append(f"{cropped(market.ticker, _name_width(view.width))} {_order_line(market)}\n")
    if len(working) > _MOST_LINES:
        text.append(f"and {len(working) - _MOST_LINES} more: see the list of markets\n")
    return text if text else Text("no working order")


def fills_text(view: PanelView) -> Text:
    """Last fills and payments."""
    text = Text()
    for fill in reversed(view.snapshot.last_fills):
        what = fill["action"] or "paid"
        text.append(f"{time_of_day(fill['at_ns'])} {cropped(fill['ticker'], _name_width(view.width))} ")
        text.append(f"{what} {contracts(fill['qty_e2'])}")
        if fill["action"]:
            text.append(f" @ {price(fill['yes_price_e4'])} YES")
        text.append(f", {dollars(fill['cash_e6'], signed=True)} $")
        if view.width >= _NARROW:
            text.append(f", fee {dollars(fill['fee_e6'])} $, {fill['kind']}")
        text.append("\n")
    return text if text else Text("no fill yet")


def money_text(view: PanelView) -> Text:
    """Account, and equity since the screen began."""
    snapshot, values = view.snapshot, view.equities_e6
    text = Text()
    text.append(f"P&L    {dollars(snapshot.pnl_e6, signed=True):>12} $", "bold")
    text.append(f"   fees {dollars(snapshot.fees_e6)} $\n")
    text.append(f"equity {dollars(snapshot.equity_e6):>12} $   began with {dollars(snapshot.capital_e6)} $\n")
    if snapshot.paid_in_e6:
        text.append(
            f"{dollars(snapshot.paid_in_e6, signed=True)} $ that no order explains: not in the P&L\n",
            "yellow",
        )
    text.append(
        f"cash   {dollars(snapshot.cash_e6):>12} $   {snapshot.orders} orders, {snapshot.fills} fills\n"
    )
    if values:
        text.append(f"equity from {dollars(min(values))} to {dollars(max(values))} $ on this screen\n", "dim")
        text.append(sparkline(values, max(view.width - 1, 1)), "cyan")
    return text


def limits_text(view: PanelView) -> Text:
    """Limits in use, as bars of used and most."""
    risk = view.snapshot.risk
    if not risk or "used" not in risk:
        return Text("no limits: paper money has none but the model's own")
    text = Text()
    for cause, each in view.snapshot.refused.items():
        text.append(f"not sent or refused, {clean(cause)}: {each['n']} orders, ", "yellow")
        text.append(f"newest {time_of_day(each['at_ns'])}: {clean(each['words'])}\n", "yellow")
    for each in risk["used"]:
        share = each["value"] / each["most"] if each["most"] > 0 else 1.0
        style = "bold red" if share >= 1 else "yellow" if share >= _WARN_SHARE else ""
        text.append(f"{cropped(each['limit'], 17)} [{bar(each['value'], each['most'], 12)}] ", style)
        text.append(f"{_amount(each, 'value')} of {_amount(each, 'most')} {_unit(each)}", style)
        text.append(" FULL\n" if share >= 1 else "\n", style)
    for doubt in risk.get("cash_doubts", ()):
        text.append(f"{clean(str(doubt))}\n", "yellow")
    if not risk.get("is_reconciled", True):
        text.append(f"not compared with the exchange: {clean(str(risk['reconciled_why']))}", "yellow")
    return text


def _amount(used: dict[str, Any], name: str) -> str:
    """Amount of a limit in the unit that people use."""
    value, unit = used[name], used["unit"]
    if unit == "1e-6 dollar":
        return dollars(value)
    return contracts(value) if unit == "1e-2 contract" else str(value)


def _unit(used: dict[str, Any]) -> str:
    """Unit of a limit that people use."""
    return {"1e-6 dollar": "$", "1e-2 contract": ""}.get(used["unit"], clean(str(used["unit"])))


def health_text(view: PanelView) -> Text:
    """Connections, backlog, holes, and latencies by stage."""
    snapshot, health, text = view.snapshot, view.snapshot.health, Text()
    connections = health.get("connections")
    style = "bold red" if connections == 0 else ""
    text.append(f"connections {_count(connections)}", style)
    text.append(f"   backlog {_count(health.get('backlog'))}   holes {_count(health.get('holes'))}\n")
    text.append(f"frames {snapshot.frames}   decisions {snapshot.decisions}   ")
    text.append(f"age p99 {milliseconds(health.get('age_p99_ms'))} ms\n")
    text.append(f"{'latency, ms':<12}{'p50':>9}{'p99':>9}{'most':>9}\n", "dim")
    for name, figures in snapshot.latency["stages"].items():
        cells = [f"{milliseconds(figures.get(key)):>9}" for key in ("p50_ms", "p99_ms", "most_ms")]
        text.append(f"{cropped(name, 12)}{''.join(cells)}\n")
    if snapshot.latency.get("ticks"):
        text.append(f"clock kept {snapshot.latency['kept']:.1%} of {snapshot.latency['ticks']} ticks")
    return text


def _count(value: Any) -> str:
    return UNKNOWN if value is None else str(value)


def alarms_text(view: PanelView) -> Text:
    """Reasons why no order goes out, problems of the session, and alarms that stand."""
    text = Text()
    for why in view.snapshot.standstill:
        text.append(f"no order goes out: {clean(why)}\n", "bold yellow")
    for what, why in view.snapshot.problems.items():
        text.append(f"{clean(what)}: {clean(why)}\n", "bold red")
    for alarm in view.snapshot.health.get("alarms", ()):
        text.append(f"{clean(alarm['name'])}: {clean(alarm['text'])}\n", "yellow")
    return text if text else Text("nothing stands")


def log_text(view: PanelView) -> Text:
    """Lines of the session's log."""
    lines = [clean(line) for line in reversed(view.snapshot.log)]
    return Text("\n".join(lines) if lines else "nothing has happened yet")


def _name_width(width: int) -> int:
    """Cells for a ticker in a line."""
    return 12 if width < _NARROW else 22


#: (name, its text) in the order of their keys 1 to 8.
PANELS: Final[tuple[tuple[str, Callable[[PanelView], Text]], ...]] = (
    ("book", book_text), ("orders", orders_text), ("fills", fills_text), ("money", money_text),
    ("limits", limits_text), ("health", health_text), ("alarms", alarms_text), ("log", log_text),
)  # fmt: skip


def pressing(snapshot: SessionSnapshot) -> int:
    """Problems and alarms that stand, and reasons why no order goes out."""
    return len(snapshot.standstill) + len(snapshot.problems) + len(snapshot.health.get("alarms", ()))


def pnl_e6(market: MarketStand) -> int | None:
    """Result of a market; None where its position's value is unknown."""
    return None if market.value_e6 is None else market.cash_flow_e6 + market.value_e6
