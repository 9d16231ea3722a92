"""Account at the exchange as the session knew it at any of its decisions, read from its notes.

Order     a fill or an answer was known to a decision where its note stands before the decision's in the
          recording: times alone do not tell, a decision has that of the newest frame.
Units     size 1e-2 contract, cash 1e-6 dollar, time ns UTC.
"""

from collections.abc import Mapping
from typing import Any

from kalshi_platform.simulation.replay.account import position_value_e6
from kalshi_platform.trading.session.report.explaining import Key, LiveState
from kalshi_platform.trading.session.report.session_replay import ReplayedSession, key_of, signed_e2


class LiveStates:
    """States of the slots of one session."""

    def __init__(self, played: ReplayedSession) -> None:
        self.fills: dict[str, list[dict[str, Any]]] = {}  # by client id
        self._played = played
        self._orders: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
        for told in sorted(played.orders, key=lambda o: int(o["now_ns"])):
            self._orders.setdefault((int(told["group"]), int(told["slot"])), []).append(told)
        for fill in played.fills:
            self.fills.setdefault(str(fill["client_id"]), []).append(fill)

    def at(self, key: Key, line: int, ticker: str) -> LiveState:
        """State of a slot just before the decision that stands in ``line`` of the recording."""
        known = [fill for fill in self._played.fills if fill["line"] < line]
        position = self.opening_e2(ticker)
        position += sum(signed_e2(fill) for fill in known if fill["ticker"] == ticker)
        cash = self._played.core.trading.capital_e6 + self._cash_e6(key, known)
        before = [o for o in self._orders.get(key[:2], ()) if int(o["now_ns"]) < key[2]]
        if not before or before[-1]["ticker"] != ticker:
            return LiveState(position, False, False, "", cash)
        on_way = int(before[-1]["line"]) > line  # the answer, or the refusal, came later
        sent = next((o for o in reversed(before) if o["client_id"] and int(o["line"]) < line), None)
        order = None if sent is None else self._played.realised.by_id.get(str(sent["client_id"]))
        if sent is None or order is None or sent["ticker"] != ticker:
            return LiveState(position, False, on_way, "", cash)
        if order.ended_ns is not None and order.ended_ns <= key[2]:
            return LiveState(position, False, on_way, "", cash)
        return LiveState(position, True, on_way, str(sent["action"]), cash, key_of(sent))

    def opening_e2(self, ticker: str) -> int:
        """Position with which the session began: as noted, else as far as a fill told it."""
        return self._played.realised.opening_e2.get(ticker, 0)

    def next_after(self, key: Key) -> Key | None:
        """Order at the exchange that came next in a slot; None where none did."""
        sent = (o for o in self._orders.get(key[:2], ()) if o["client_id"] and int(o["now_ns"]) > key[2])
        return next(map(key_of, sent), None)

    def _cash_e6(self, key: Key, known: list[dict[str, Any]]) -> int:
        """Change of a group's cash by known fills, and by the payments before a decision.

        A market brings its group cash from when it has a slot on.
        """
        core, book = self._played.core, self._played.book
        here = [fill for fill in known if book.groups.get(str(fill["ticker"])) == key[0]]
        cash = sum(int(f["cash_e6"]) for f in here if f["line"] >= book.placed_line[str(f["ticker"])])
        for ticker, value_e4 in core.paid.items():
            if book.groups.get(ticker) == key[0] and core.paid_ns[ticker] <= key[2]:
                held = self.opening_e2(ticker)
                held += sum(signed_e2(fill) for fill in known if fill["ticker"] == ticker)
                cash += int(position_value_e6(held, 2 * value_e4))
        return cash
