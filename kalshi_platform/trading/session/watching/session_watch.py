"""Watch over a session: each new snapshot becomes lines of the log, alarms, and points of the plots.

Alarms   trading is halted; an outcome unknown for longer than UNKNOWN_S; a problem that stands; a tier of the
         model failed within FALLBACK_S.
Log      problems that begin and end, fills, orders refused by a limit, breaks of the connection.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from kalshi_platform.domain.units import CONTRACT_E2, DOLLAR_E4, DOLLAR_E6, NS_PER_SECOND
from kalshi_platform.trading.exchange.sink import CONNECTED, DISCONNECTED
from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.session.snapshot import SessionSnapshot
from kalshi_platform.trading.session.watching.event_log import EventLog

UNKNOWN_S: Final = 10.0
FALLBACK_S: Final = 60.0
_POINTS: Final = 1_800  # one a second
#: Alarm that repeats the problems for those who are told by apprise.
PROBLEM_ALARM: Final = "the session has a problem"


class PlotPoint(NamedTuple):
    """One second of the plots."""

    at_s: int
    equity_usd: float
    p50_ms: float | None  # of a decision, from the frame on
    p99_ms: float | None


class SessionWatch:
    """Latest snapshot of a session, and what became of it."""

    def __init__(
        self,
        log: EventLog,
        alarms: Alarms,
        fallbacks: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``fallbacks``: decisions so far that a lower tier made because another one failed."""
        self._log, self._alarms, self._fallbacks, self._monotonic = log, alarms, fallbacks, monotonic
        self.latest: SessionSnapshot | None = None
        self.points: deque[PlotPoint] = deque(maxlen=_POINTS)
        self.fallbacks = 0
        self._unknown: dict[str, float] = {}  # client id -> when it was first seen
        self._failed_s: float | None = None
        self._failures = 0
        self._refused: dict[str, int] = {}

    @property
    def unknown_s(self) -> float:
        """Age of the oldest unknown outcome; 0 where there is none."""
        return self._monotonic() - min(self._unknown.values()) if self._unknown else 0.0

    def take(self, snapshot: SessionSnapshot) -> None:
        """Take a snapshot; about one a second."""
        before, self.latest = self.latest, snapshot
        decision = snapshot.latency["stages"]["decision"]
        point = PlotPoint(
            snapshot.now_ns // NS_PER_SECOND, round(snapshot.equity_e6 / DOLLAR_E6, 4),
            decision.get("p50_ms"), decision.get("p99_ms"),
        )  # fmt: skip
        if not self.points or point.at_s > self.points[-1].at_s:
            self.points.append(point)
        self._log_problems({} if before is None else before.problems, snapshot.problems)
        self._log_fills(0 if before is None else before.fills, snapshot)
        self._log_refusals(snapshot.refused)
        self._alarm(snapshot, (snapshot.risk or {}).get("undecided", ()))

    def noted(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Take a note of the stream."""
        if kind in (CONNECTED, DISCONNECTED):
            level = "info" if kind == CONNECTED else "warning"
            self._log.say(kind, str(detail.get("why", "the exchange's stream")), level=level)

    def _log_problems(self, before: Mapping[str, str], now: Mapping[str, str]) -> None:
        for what in now.keys() - before.keys():
            self._log.say("problem", f"{what}: {now[what]}", level="warning", problem=what)
        for what in before.keys() - now.keys():
            self._log.say("problem over", what, problem=what)

    def _log_fills(self, n_before: int, snapshot: SessionSnapshot) -> None:
        n_new = snapshot.fills - n_before
        if n_new > len(snapshot.last_fills):
            self._log.say("fill", f"{n_new - len(snapshot.last_fills)} more: the report's ledger has them")
        for row in snapshot.last_fills[-n_new:] if n_new > 0 else ():
            price = row["yes_price_e4"]
            at = "" if price is None else f" @ {price / DOLLAR_E4:.4f}"
            words = f"{row['action'] or 'paid'} {row['qty_e2'] / CONTRACT_E2:.2f} {row['ticker']}{at}"
            self._log.say("fill", words, fill=row)

    def _log_refusals(self, refused: Mapping[str, Mapping[str, Any]]) -> None:
        for cause, each in refused.items():
            n = each["n"] - self._refused.get(cause, 0)
            if n > 0:
                self._log.say("refused", f"{n} orders by {cause}: {each['words']}", limit=cause, orders=n)
            self._refused[cause] = each["n"]

    def _alarm(self, snapshot: SessionSnapshot, undecided: Any) -> None:
        now_s, fallbacks = self._monotonic(), self._fallbacks()
        is_halted = snapshot.state == "halted"
        self._alarms.set("trading is halted", snapshot.state_why if is_halted else None)
        self._unknown = {name: self._unknown.get(name, now_s) for name in undecided}
        old = [name for name, since_s in self._unknown.items() if now_s - since_s > UNKNOWN_S]
        text = f"{len(old)} for more than {UNKNOWN_S:.0f} s, first {old[0]}" if old else None
        self._alarms.set("an outcome is unknown", text)
        problems = "; ".join(f"{what}: {why}" for what, why in snapshot.problems.items())
        self._alarms.set(PROBLEM_ALARM, problems[:500] or None)
        failures = snapshot.counters.get("policy_failures", 0)
        if fallbacks > self.fallbacks or failures > self._failures:
            self._failed_s = now_s
        self.fallbacks, self._failures = fallbacks, failures
        is_recent = self._failed_s is not None and now_s - self._failed_s < FALLBACK_S
        text = f"{fallbacks} decisions by a lower tier and {failures} by none so far" if is_recent else None
        self._alarms.set("the model falls back", text)
