"""Live minus replay, order by order: what the exchange made of each order, and what the backtest would have.

Not here  the words of a difference (``explaining.py``), its cause (``causes.py``), figures of all
          (``pair_figures.py``).
Pairs     an order of the session and one of the replay are the same where group, slot and decision are. Both
          saw the same frames; the replay's account goes on from its own fills, so that one difference can
          bring others: these name the order that they follow from.
"""

from collections.abc import Mapping
from typing import Any

from kalshi_platform.domain.actions import ACTION_NAMES, ACTIONS
from kalshi_platform.simulation.replay.planning import raises_position
from kalshi_platform.trading.session.report import explaining as words
from kalshi_platform.trading.session.report.causes import Link, trace
from kalshi_platform.trading.session.report.courses import Course, arrivals, course_of, parting
from kalshi_platform.trading.session.report.explaining import Explained, Key, LiveState, ReplayState
from kalshi_platform.trading.session.report.live_states import LiveStates
from kalshi_platform.trading.session.report.order_pairs import (
    OrderPair,
    OrderSide,
    Replayed,
    live_side,
    replayed_orders,
)
from kalshi_platform.trading.session.report.session_replay import ReplayedSession, key_of, signed_e2
from kalshi_platform.trading.session.report.steps import AccountStep, AccountSteps
from kalshi_platform.trading.session.report.watched_book import REPLACED


def compare_orders(played: ReplayedSession) -> list[OrderPair]:
    """Every order of the session or of its replay, in order of time."""
    compared = _Comparison(played)
    explained = {key: compared.explain(key) for key in compared.keys}
    links = {key: link for key, found in explained.items() if (link := compared.link(key, found)) is not None}
    traced = trace(explained, links)
    numbers = {key: number for number, key in enumerate(compared.keys, 1)}
    return [
        OrderPair(
            key[2], compared.ticker(key), compared.action(key), compared.live_side(key),
            compared.replay_side(key), found.explained.why, found.explained.detail,
            number=numbers[key], cause=0 if found.cause is None else numbers[found.cause],
        )
        for key, found in traced.items()
    ]  # fmt: skip


class _Comparison:
    """Orders of both sides by decision, and what is known of each."""

    def __init__(self, played: ReplayedSession) -> None:
        self._played = played
        self._live: dict[Key, dict[str, Any]] = {key_of(told): told for told in played.orders}
        self._replay = replayed_orders(played)
        self._known = LiveStates(played)
        self._is_maker = played.core.trading.order_style == "maker"
        self._steps = _steps(played, self._live, self._replay)
        self.keys = sorted(self._live.keys() | self._replay.keys(), key=lambda k: (k[2], k[0], k[1]))

    # One order

    def ticker(self, key: Key) -> str:
        """Market of an order."""
        told = self._live.get(key)
        return self._played.book.ticker_at(*key) if told is None else str(told["ticker"])

    def action(self, key: Key) -> str:
        """Action that led to an order."""
        told = self._live.get(key)
        return ACTION_NAMES[self._replay[key].order.action] if told is None else str(told["action"])

    def live_side(self, key: Key) -> OrderSide | None:
        """Side of an order at the exchange; None where it never got one."""
        told = self._live.get(key)
        return None if told is None else live_side(told, self._known.fills.get(str(told["client_id"]), []))

    def replay_side(self, key: Key) -> OrderSide | None:
        """Side of an order in the replay; None where it never got one."""
        found = self._replay.get(key)
        return None if found is None else found.side

    def _course(self, key: Key) -> Course:
        """Way of an order at the exchange."""
        client_id = str(self._live[key]["client_id"])
        order = self._played.realised.by_id.get(client_id)
        fills = [(int(f["seen_ns"]), int(f["qty_e2"])) for f in self._known.fills.get(client_id, ())]
        return Course(None, None) if order is None else course_of(order, fills)

    def _states(self, key: Key) -> tuple[LiveState, ReplayState | None]:
        """State of both accounts before the decision."""
        there = self._played.states.get(key)
        line = int(self._live[key]["line"]) if there is None else there.line
        return self._known.at(key, line, self.ticker(key)), there

    # Explanations

    def explain(self, key: Key) -> Explained:
        """Explain the difference between both sides of an order."""
        found, ticker = self._explained(key), self.ticker(key)
        realised = self._played.realised  # a replay that knows the opening began with it
        is_opening = (
            found.why == words.POSITION and not realised.knows_opening and realised.opening_e2.get(ticker, 0)
        )
        if is_opening:
            return found._replace(why=words.OPENING)
        step = self._parting_step(key, found)
        return found._replace(why=words.ELSEWHERE) if step is not None and step.order is None else found

    def _explained(self, key: Key) -> Explained:
        """Explanation by what both accounts were at the decision, whatever they began with."""
        told, found = self._live.get(key), self._replay.get(key)
        here, there = self._states(key)
        if told is None:
            assert there is not None, "the replay noted its state where it acted"
            return words.not_sent_here(here, there, self.action(key))
        if found is None:
            if not told["client_id"]:
                return Explained(words.HELD_BACK, str(told.get("words", "")))
            return words.not_sent_there(here, there, ACTIONS[self.action(key)])
        live = self.live_side(key)
        assert live is not None, "it was told"
        return self._sent_twice(key, live, found, (here, there))

    def _sent_twice(
        self, key: Key, live: OrderSide, found: Replayed, states: tuple[LiveState, ReplayState | None]
    ) -> Explained:
        """Explain the difference of two sides that were both sent."""
        replay, (here, there) = found.side, states
        if (live.price_e4, live.qty_e2) != (replay.price_e4, replay.qty_e2):
            sizes = f"asked for {live.qty_e2 / 100:.2f} here, {replay.qty_e2 / 100:.2f} in the replay"
            if there is None or here.position_e2 == there.position_e2:
                return Explained(words.UNEXPLAINED, f"{sizes}; here {here}, replay {there}")
            return Explained(words.POSITION, f"{words.positions(here, there)}; {sizes}")
        courses = self._course(key), found.course
        # The replay tells the time of a taker's fill only to its next look at the account.
        parted = parting(*courses) if self._is_maker else None
        is_as_much = parted is None and live.filled_e2 == replay.filled_e2
        if is_as_much and live.cash_e6 == replay.cash_e6:
            return Explained(words.SAME)
        if live.words and live.filled_e2 == 0:
            return Explained(words.REFUSED, live.words)
        paid = [side.cash_e6 + side.fee_e6 for side in (live, replay)]
        if is_as_much and paid[0] == paid[1]:
            fees = f"{live.fee_e6 / 1e6:.6f} $ here, {replay.fee_e6 / 1e6:.6f} $ in the replay"
            return Explained(words.FEES, fees)
        if not self._is_maker:
            times = self._played.realised.row_times.get(self.ticker(key), [])
            return words.taken_otherwise(*courses, times)
        if parted is None:
            return Explained(words.UNEXPLAINED, f"the same fills at other prices; {arrivals(*courses)}")
        return words.filled_otherwise(*courses, parted)

    # Causes

    def _parting_step(self, key: Key, found: Explained) -> AccountStep | None:
        """First step by which the accounts differed before an order; None unless they explain it."""
        if found.why not in (words.POSITION, words.CASH):
            return None
        there = self._played.states.get(key)
        line = there.line if there is not None else 0
        what = self.ticker(key) if found.why == words.POSITION else key[0]
        return self._steps.first(what, key[2], line)

    def link(self, key: Key, found: Explained) -> Link | None:
        """Order that a difference follows from; None where it is a cause, or nothing shows one."""
        if found.why in (words.SAME, words.HELD_BACK):
            return None
        here, there = self._states(key)
        if found.why in (words.POSITION, words.CASH):
            return _of_step(self._parting_step(key, found), found)
        if found.why == words.KEPT_HERE and here.order is not None:
            there_ended = self._replay.get(here.order)
            return Link(
                here.order, words.LIVED_HERE, "" if there_ended is None else there_ended.course.why_ended
            )
        if found.why == words.KEPT_THERE and there is not None and there.order is not None:
            here_ended = self._course(there.order).why_ended if there.order in self._live else ""
            return Link(there.order, words.LIVED_THERE, here_ended)
        return self._replaced(key, found)

    def _replaced(self, key: Key, found: Explained) -> Link | None:
        """Order that took the place of one that had ended on one side, where only that side sent it."""
        if found.why == words.ENDED_HERE:
            later = self._known.next_after(key)
            if later is None or later in self._replay or not self._live[later].get("replaces"):
                return None
            return Link(later, words.ENDED_HERE)
        if found.why == words.ENDED_THERE and self._replay[key].course.why_ended == REPLACED:
            later = min((k for k in self._replay if k[:2] == key[:2] and k[2] > key[2]), default=None)
            return None if later is None or later in self._live else Link(later, words.ENDED_THERE)
        return None


def _of_step(step: AccountStep | None, found: Explained) -> Link | None:
    """Link to the order whose fill parted the accounts."""
    return None if step is None or step.order is None else Link(step.order, words.MOMENT, found.detail)


def _steps(
    played: ReplayedSession, live: Mapping[Key, Mapping[str, Any]], replay: Mapping[Key, Replayed]
) -> AccountSteps:
    """Every fill of both sides, as it changed a market's position and its group's cash.

    Payments are none: they differ only where a fill did before.
    """
    steps, book = AccountSteps(), played.book
    keys = {str(told["client_id"]): key for key, told in live.items()}
    for fill in played.fills:
        ticker, key = str(fill["ticker"]), keys.get(str(fill["client_id"]))
        at = int(fill["seen_ns"]), int(fill["line"])
        if at[1] >= book.placed_line.get(ticker, at[1] + 1):  # the replay begins with those before
            steps.add(ticker, AccountStep(*at, signed_e2(fill), key))
            steps.add(book.groups[ticker], AccountStep(*at, int(fill["cash_e6"]), key))
    return _add_replay(played, steps, replay)


def _add_replay(played: ReplayedSession, steps: AccountSteps, replay: Mapping[Key, Replayed]) -> AccountSteps:
    """Add the fills of the replay."""
    for key, found in replay.items():
        ticker, sign = played.book.ticker_at(*key), 1 if raises_position(found.order.action) else -1
        account = played.book.accounts[key[0]]
        lines = account.fills[account.fills["settlement"] == 0]
        for line in lines[(lines["slot"] == key[1]) & (lines["order"] == found.order.number)]:
            steps.add(ticker, AccountStep(int(line["at_ns"]), -1, -sign * int(line["qty_e2"]), key))
            steps.add(key[0], AccountStep(int(line["at_ns"]), -1, -int(line["cash_e6"]), key))
    return steps
