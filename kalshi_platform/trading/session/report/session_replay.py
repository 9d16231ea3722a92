"""A session played again from its own recording: frames and actions in, the account out.

Paper      the account must be the session's own, to the unit: the same matcher met the same rows.
Exchange   the session's actions meet the environment's matcher: what the backtest says would have filled. The
           session's own orders are left out of the books, as they were in the session. Orders that a limit
           held back stay here, too: limits are no matter of execution. The recorded book has lost already
           whatever a taker took, so that the account does not remember it as well.
Controls   a halt, a reduction, a cancel and the end of a session at an exchange end the replay's orders as a
           control of a paper session would: at once, and with the model's latency. On paper the cancels
           themselves are in the recording.
Opening    an account at an exchange begins the replay with the positions that the session's first note names,
           as soon as their markets get a slot. Older recordings name none: their replay begins flat, and the
           report says that nobody knows.
Own run    a folder may hold several runs; one is played, the last by default.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from kalshi_platform.data.market_data.capture import read_lines
from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.serving.live.own_orders import OwnOrders
from kalshi_platform.simulation.replay.trading import TradingConfig
from kalshi_platform.trading.exchange.sink import DISCONNECTED
from kalshi_platform.trading.execution.risk.modes import RiskMode
from kalshi_platform.trading.recorder.segments.seals import FRAMES, SUFFIX
from kalshi_platform.trading.session import session_notes as notes
from kalshi_platform.trading.session.core import SessionCore
from kalshi_platform.trading.session.opening_positions import OpeningPositions
from kalshi_platform.trading.session.paper.paper_switch import PaperSwitch, send_cancels
from kalshi_platform.trading.session.report.explaining import Key, ReplayState
from kalshi_platform.trading.session.report.realised import RealisedOrders
from kalshi_platform.trading.session.report.watched_book import WatchedBook


@dataclass
class ReplayedSession:
    """Result of playing a session again."""

    run: str
    began: dict[str, Any]  # detail of the note that began it
    book: WatchedBook
    core: SessionCore
    switch: PaperSwitch | None = None  # of the replay of orders at an exchange
    ended: dict[str, Any] | None = None  # detail of the note that ended it; None: it was killed
    orders: list[dict[str, Any]] = field(default_factory=list)  # at an exchange, as noted
    fills: list[dict[str, Any]] = field(default_factory=list)
    controls: list[dict[str, Any]] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)  # client id -> group, slot
    first_ns: int = 0
    last_ns: int = 0

    @property
    def realised(self) -> RealisedOrders:
        """Orders as the exchange realised them."""
        return self.book.realised

    @property
    def states(self) -> dict[Key, ReplayState]:
        """State of the replay's account before each decision that ordered."""
        return self.book.states


def session_runs(folder: Path) -> list[str]:
    """Names of the runs in a recording, oldest first."""
    names = {path.name.rpartition("-")[0] for path in (folder / FRAMES).glob(f"*{SUFFIX}")}
    return sorted(names)


def session_lines(folder: Path, run: str) -> Iterator[Mapping[str, Any]]:
    """Lines of one run in order, parsed; DataError for a line that is no JSON object."""
    for path in sorted((folder / FRAMES).glob(f"{run}-*{SUFFIX}")):
        for number, line in read_lines(path):
            try:
                record = from_json(line)
            except ValueError as err:
                raise DataError(f"{path}: line {number} is no JSON ({err}); copy the file again") from None
            if not isinstance(record, dict):
                raise DataError(f"{path}: line {number} is no JSON object; copy the file again")
            yield record


def replay_session(folder: Path, run: str | None = None) -> ReplayedSession:
    """Play one run again; ContractError where the folder holds no session."""
    runs = session_runs(folder)
    if run is None and not runs:
        raise ContractError(f"{folder} holds no recorded session; name the folder given as --out to trade")
    name = run or runs[-1]
    played: ReplayedSession | None = None
    number = 0
    for line, record in enumerate(session_lines(folder, name)):
        kind = record.get("note")
        if kind == notes.SESSION_BEGAN:
            played = _begin(name, record["detail"], noted_orders(folder, name))
            played.first_ns = int(record["recv_ns"])
        if played is None:
            continue
        played.last_ns = int(record["recv_ns"])
        played.book.line = line
        if kind is not None:
            _take_note(played, str(kind), record["detail"], int(record["recv_ns"]))
            if kind == DISCONNECTED:
                played.core.end_connection(int(record["conn"]), int(record["recv_ns"]))
        elif "raw" in record:
            message = _message(record["raw"])
            if isinstance(message, dict):
                number += 1
                recv_ns = int(record["recv_ns"])
                played.core.frame(number, recv_ns, int(record["conn"]), record["raw"], message)
                played.realised.frame(recv_ns, message)
                if played.switch is not None:
                    played.switch.look()
    if played is None:
        raise ContractError(f"{folder} holds no recorded session; name the folder given as --out to trade")
    if played.ended is None:
        played.core.finish()
    return played


def noted_orders(folder: Path, run: str) -> list[dict[str, Any]]:
    """Orders of a run at an exchange as noted; those without a client id were held back by a limit."""
    mark, found = f'"{notes.SESSION_ORDER}"'.encode(), []
    for path in sorted((folder / FRAMES).glob(f"{run}-*{SUFFIX}")):
        for _, line in read_lines(path):
            if mark in line:
                told = from_json(line)
                if told.get("note") == notes.SESSION_ORDER:
                    found.append(told["detail"])
    return found


def key_of(told: Mapping[str, Any]) -> Key:
    """Group, slot and time of the decision of an order as noted."""
    return int(told["group"]), int(told["slot"]), int(told["now_ns"])


def signed_e2(fill: Mapping[str, Any]) -> int:
    """Change of the YES position by a fill as noted."""
    return int(fill["qty_e2"]) * (1 if fill["side"] == "bid" else -1)


def _begin(run: str, detail: dict[str, Any], orders: list[dict[str, Any]]) -> ReplayedSession:
    """Session without markets, by the settings of the one that was recorded."""
    trading = TradingConfig.parse(detail["trading"])
    is_paper = detail["mode"] == "paper"
    noted = detail.get("opening")
    book = WatchedBook(
        trading, int(detail["seed"]), None if is_paper or noted is None else OpeningPositions.of_note(noted)
    )
    book.unsent = frozenset(key_of(told) for told in orders if not told["client_id"])
    book.is_taker_at_exchange = not is_paper and trading.order_style == "taker"
    core = SessionCore(
        trading, int(detail["window"]), book, _Nobody(), lambda kind, told: None,
        max_markets=int(detail["max_markets"]), accepts_missing=bool(detail["accepts_missing"]),
        own=None if is_paper else OwnOrders(),
    )  # fmt: skip
    places = {str(told["client_id"]): key_of(told)[:2] for told in orders if told["client_id"]}
    switch = None if is_paper else PaperSwitch(core, book, lambda kind, told: None)
    return ReplayedSession(run, detail, book, core, switch, places=places)


def _take_note(played: ReplayedSession, kind: str, detail: dict[str, Any], at_ns: int) -> None:
    """Do again what a note says was done."""
    core, noted = played.core, {"noted_ns": at_ns, "seen_ns": played.core.now_ns, "line": played.book.line}
    if kind == notes.SESSION_TOLD:
        core.tell(detail["answer"])
    elif kind == notes.SESSION_ACTS:
        core.repeat(int(detail["now_ns"]), notes.acts_of(detail, core.trading.n_slots))
    elif kind == notes.SESSION_CANCELS:
        core.require_time(int(detail["now_ns"]))
        send_cancels(core, notes.acts_of(detail, core.trading.n_slots))
    elif kind == notes.SESSION_CONTROL:
        played.controls.append({**detail, **noted})
        if played.switch is not None:
            _control(played.switch, detail, played.places)
    elif kind == notes.SESSION_PAID:
        core.pay(str(detail["ticker"]), int(detail["value_e4"]), int(detail["at_ns"]))
    elif kind == notes.SESSION_LEFT:
        core.tell_left(str(detail["client_id"]), int(detail["left_e2"]))
        played.realised.left(str(detail["client_id"]), int(detail["left_e2"]), at_ns)
    elif kind == notes.SESSION_ORDER:
        played.orders.append({**detail, **noted})
        played.realised.note(detail)
    elif kind == notes.SESSION_FILL:
        played.fills.append({**detail, **noted})
        signed, price_e4 = signed_e2(detail), int(detail["price_e4"])
        played.book.filled_elsewhere(str(detail["ticker"]), signed, price_e4, int(detail["at_ns"]))
    elif kind == notes.SESSION_ENDED:
        core.finish()
        played.ended = detail


def _control(switch: PaperSwitch, detail: Mapping[str, Any], places: Mapping[str, tuple[int, int]]) -> None:
    """Let a control at an exchange act on the replay's orders; a named order stands for its slot."""
    why = str(detail["why"])
    if "orders" in detail:
        slots = {places[name] for name in detail["orders"] if name in places}
        switch.cancel([f"{group}/{slot}/" for group, slot in sorted(slots)])
        return
    told = RiskMode.HALTED if detail["control"] == notes.CONTROL_END else detail["state"]
    if told not in set(RiskMode):
        raise DataError(f"a note {notes.SESSION_CONTROL} names the state {told!r}; copy the recording again")
    state = RiskMode(told)
    if state is RiskMode.HALTED:
        switch.halt(why)
    elif state is RiskMode.REDUCING:
        switch.reduce(why)
    else:
        switch.resume(why)


def _message(raw: str) -> Any:
    """Parsed frame; None where it is no JSON, as the session itself took it."""
    try:
        return from_json(raw)
    except ValueError:
        return None


class _Nobody:
    """Policy that is never asked: a replay has the actions already."""

    def decide(self, batch: Any, groups: list[int], now_ns: int) -> Any:
        """Fail."""
        raise AssertionError("a replay asks no policy")


def differences_e6(played: ReplayedSession) -> dict[str, int]:
    """Replay minus session, 1e-6 dollar, of a paper session that ended; DataError where it did not."""
    if played.ended is None:
        raise DataError(
            f"run {played.run} has no note {notes.SESSION_ENDED}: it was killed; nothing to compare"
        )
    found = played.book.figures()
    return {
        name: int(found[name]) - int(played.ended[name])
        for name in ("cash_e6", "equity_e6", "fees_e6", "reserved_e6")
    }
