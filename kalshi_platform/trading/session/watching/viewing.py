"""Snapshot of a running session, and its file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from kalshi_platform.domain.actions import ACTION_NAMES
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.domain.units import CONTRACT_E2, DOLLAR_E4, UNKNOWN_QTY
from kalshi_platform.serving.live.books import LiveBooks
from kalshi_platform.serving.live.places import LivePlace
from kalshi_platform.simulation.replay.account import position_value_e6
from kalshi_platform.simulation.replay.execution import CANCEL, IDLE
from kalshi_platform.simulation.replay.queue import QUEUE_UNKNOWN
from kalshi_platform.simulation.replay.state import LIVE
from kalshi_platform.trading.session.core import OpenPosition
from kalshi_platform.trading.session.result import result_e6
from kalshi_platform.trading.session.running import RunningSession
from kalshi_platform.trading.session.snapshot import MarketStand, SessionSnapshot, whose_money
from kalshi_platform.trading.session.watching.session_watch import PROBLEM_ALARM
from kalshi_platform.trading.session.watching.standstill import standstill

_LAST_FILLS: Final = 20
#: Folder of what a running session shows, inside its own.
SESSION_PLACE: Final = ".session"
_Side: TypeAlias = tuple[tuple[int, int | None], ...]


def snapshot_of(session: RunningSession, alias: str, model: Mapping[str, int]) -> SessionSnapshot:
    """State of the session now; ``model``: counts that the model's own tiers keep."""
    core, recorder, account = session.core, session.recorder, session.account
    money, risk, markets = account.figures(), account.risk(), _markets(session)
    markets += _positions_elsewhere(account.positions(), {market.ticker for market in markets})
    said = "; ".join(session.marks.cautions) or "judged on real data"
    shown = {market.order_name for market in markets}
    return SessionSnapshot(
        mode=session.mode, is_simulated=recorder.simulated,
        first_line=f"{whose_money(session.mode, recorder.simulated)}, mode {session.mode}: {said}",
        run=recorder.run_name, started_ns=session.started_ns, now_ns=recorder.clock.wall_ns(),
        model=core.model, alias=alias, cautions=session.marks.cautions,
        cash_e6=money["cash_e6"], equity_e6=money["equity_e6"], capital_e6=money["capital_e6"],
        paid_in_e6=money.get("paid_in_e6", 0),
        fees_e6=money["fees_e6"], pnl_e6=result_e6(money), orders=money["orders"],
        fills=money["fills"], decisions=core.counters["decisions"], frames=core.counters["frames"],
        groups=len(core.books.groups), markets=tuple(markets),
        last_fills=tuple(_plain(row) for row in account.ledger(_LAST_FILLS)),
        latency=session.latencies.figures(),
        health=_health(session), problems=dict(core.problems),
        counters={**core.counters, **_counts(money), **model},
        state=session.controls.state, state_why=session.controls.why, risk=risk,
        log=session.log.lines, standstill=standstill(session, risk), refused=session.refusals.figures(),
        other_orders={n: ticker for n, ticker in session.controls.working().items() if n not in shown},
    )  # fmt: skip


def _health(session: RunningSession) -> dict[str, Any]:
    """Connections, frames, and alarms besides the one that repeats the problems."""
    recorder = session.recorder
    counts, standing = recorder.journal.counts, recorder.alarms.standing.values()
    return {
        "connections": len(recorder.sink.connected),
        "backlog": session.backlog,
        "frame_ns": session.core.now_ns,  # when the newest frame came; 0 before the first
        "holes": recorder.follower.holes,
        "age_p99_ms": recorder.meters.age_ms(0.99),
        "alarms": [{"name": a.name, "text": a.text} for a in standing if a.name != PROBLEM_ALARM],
        "frames_recorded": counts.frames,
        "frames_acknowledged": counts.frames_acknowledged,
    }


def _markets(session: RunningSession) -> list[MarketStand]:
    """Every market that has a slot and of which a frame has come, by ticker."""
    books, found = session.core.books, []
    known = books.known_tickers
    for g, group in enumerate(books.groups):
        rows, states = group.bank.rows, group.slots["state"][0].tolist()
        bids = _sides(rows["bid_px_e4"], rows["bid_qty_e2"])
        asks = _sides(rows["ask_px_e4"], rows["ask_qty_e2"])
        times, held = rows["recv_ns"].tolist(), session.account.holdings(books, g)
        for s, ticker in enumerate(books.tickers[g]):
            if ticker in known:
                row = bids[s], asks[s], times[s], states[s]
                name = session.account.order_name(g, s)
                found.append(_market(books, ticker, LivePlace(g, s), row, held[s], name))
    return sorted(found, key=lambda market: market.ticker)


def _positions_elsewhere(positions: list[OpenPosition], shown: set[str]) -> list[MarketStand]:
    """Return positions of markets that are not ``shown``: their books are not followed."""
    return [
        MarketStand(
            ticker=each.ticker, event=each.event, group=-1, slot=-1, bid_e4=None, ask_e4=None, is_valid=False,
            row_ns=0, position_e2=each.position_e2, cost_e6=each.cost_e6, value_e6=each.value_e6,
            cash_flow_e6=each.cash_flow_e6, fees_e6=each.fees_e6, order="", order_name="", queue_e2=None,
            is_traded=False,
        )
        for each in positions if each.ticker not in shown
    ]  # fmt: skip


def _market(
    books: LiveBooks,
    ticker: str,
    place: LivePlace,
    row: tuple[_Side, _Side, int, int],
    held: dict[str, int],
    order_name: str,
) -> MarketStand:
    """One market; ``row``: bids, asks, time and state of its slot."""
    bids, asks, row_ns, state = row
    if state != LIVE:  # the levels are those of the time before the book was lost
        bids = asks = ()
    position_e2, mark2_e4 = held["position_e2"], held["mark2_e4"]
    is_idle = held["order_state"] == IDLE
    queue = held.get("queue_e2", QUEUE_UNKNOWN)
    return MarketStand(
        ticker=ticker, event=books.specification(ticker).event, group=place.group, slot=place.slot,
        bid_e4=bids[0][0] if bids else None, ask_e4=asks[0][0] if asks else None, is_valid=state == LIVE,
        row_ns=row_ns, position_e2=position_e2, cost_e6=held["cost_e6"],
        value_e6=None if position_e2 and not mark2_e4 else int(position_value_e6(position_e2, mark2_e4)),
        cash_flow_e6=held["slot_cash_e6"], fees_e6=held["fees_e6"],
        order="" if is_idle else _order_words(held), order_name=order_name,
        queue_e2=None if is_idle or queue >= QUEUE_UNKNOWN else queue, bids=bids, asks=asks,
    )  # fmt: skip


def _sides(prices_e4: np.ndarray, sizes_e2: np.ndarray) -> list[_Side]:
    """Levels of one side by slot; those without a price are left out."""
    return [
        tuple((p, None if q == UNKNOWN_QTY else q) for p, q in zip(*levels, strict=True) if p > 0)
        for levels in zip(prices_e4.tolist(), sizes_e2.tolist(), strict=True)
    ]


def _order_words(held: Any) -> str:
    """Words of a working order."""
    action = ACTION_NAMES[held["order_action"]]
    size, price = held["order_qty_e2"] / CONTRACT_E2, held["order_price_e4"] / DOLLAR_E4
    ending = ", cancel on its way" if held["sent_action"] == CANCEL else ""
    return f"{action} {size:.2f} @ {price:.4f}{ending}"


def _plain(row: Any) -> dict[str, Any]:
    """Fields of a ledger row."""
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def _counts(money: dict[str, Any]) -> dict[str, int]:
    """Counts of the account besides money."""
    return {name: money[name] for name in ("forbidden", "played_again", "bursts_assumed") if name in money}


def snapshot_text(snapshot: SessionSnapshot) -> str:
    """Text of a snapshot: JSON in one line."""
    return json_text(snapshot.as_json())


def write_snapshot(folder: Path, text: str) -> None:
    """Write a snapshot's text for other processes; OSError where the disk does not take it.

    It need not survive a power cut, so nothing is synced.
    """
    place = folder / SESSION_PLACE
    place.mkdir(exist_ok=True)
    partial = place / "snapshot.json.partial"
    partial.write_text(text)
    partial.replace(place / "snapshot.json")
