"""Explanation of each difference between an order at the exchange and the replay's, from what both saw.

Evidence    the account of both sides at the decision; when each order came to the book and left it; when each
            contract filled; whether any message of the market came between the two arrivals.
Kinds       *causes* are differences of execution: latency, queue, an order's end, a refusal. *Consequences*
            (CONSEQUENCES) follow from one: the accounts were apart already. ``causes.py`` names for each of
            them the order with the cause.
UNEXPLAINED the evidence shows no difference that could have led to this one: look at it, it is a bug of ours
            or something that the exchange does and nobody knew.
Units       size 1e-2 contract, price 1e-4 dollar, time ns UTC.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from kalshi_platform.domain.actions import HOLD
from kalshi_platform.domain.units import DOLLAR_E6
from kalshi_platform.trading.session.report.courses import Course, Parting, arrivals

SAME: Final = "same"
UNEXPLAINED: Final = "unexplained"
HELD_BACK: Final = "held back here by a limit or an order that had not ended: neither side sent it"
REFUSED: Final = "the exchange refused it"
POSITION: Final = "the positions differed already"
OPENING: Final = "the session began with a position of an earlier one, the replay with none"
ELSEWHERE: Final = "an order filled here that this session did not send: of an earlier one, or by hand"
CASH: Final = "the cash differed already: the replay could not pay for it"
ON_WAY_HERE: Final = "an order or a cancel was on its way here, and nothing else could be sent"
ON_WAY_THERE: Final = "an order or a cancel was on its way in the replay, and nothing else could be sent"
KEPT_HERE: Final = "kept here: the same order still rested, the replay's had ended"
KEPT_THERE: Final = "kept in the replay: the same order still rested, the one here had ended"
NO_BOOK: Final = "the replay had no book at that moment"
LATER_HERE: Final = "latency: the order came to the book later here than in the replay"
EARLIER_HERE: Final = "latency: the order came to the book earlier here than in the replay"
ENDED_HERE: Final = "the order had ended here before the replay's filled"
ENDED_THERE: Final = "the replay's order had ended before the one here filled"
QUEUE_HERE: Final = "queue: more stood ahead here, or left later, than the replay counts"
QUEUE_THERE: Final = "queue: the replay lets more stand ahead than did here"
SMALLER_THERE: Final = "the replay made the order smaller as it came to the book: its position had changed"
MOMENT: Final = "the same fill within a second, and a decision between the two"
LIVED_HERE: Final = "nothing filled otherwise, but the order ended in the replay while the one here rested"
LIVED_THERE: Final = "nothing filled otherwise, but the order ended here while the replay's rested"
FEES: Final = "the same fills, other fees"

#: Explanations that name no cause of their own: the accounts were apart already.
CONSEQUENCES: Final = frozenset({POSITION, CASH, KEPT_HERE, KEPT_THERE})

#: Group, slot, and time of the decision: they name an order on both sides.
Key = tuple[int, int, int]


class ReplayState(NamedTuple):
    """Slot of the replay's account just before a decision."""

    position_e2: int
    has_book: bool
    is_allowed: bool
    is_resting: bool
    action: int  # of the resting order
    on_way: int  # HOLD: nothing
    cash_e6: int  # of the group
    order: Key | None = None  # the resting order
    line: int = 0  # of the recording


class LiveState(NamedTuple):
    """Slot of the exchange's account just before a decision."""

    position_e2: int
    is_resting: bool
    on_way: bool
    action: str  # of the resting order
    cash_e6: int  # of the group: the model's capital and what fills and payments changed
    order: Key | None = None  # the resting order


class Explained(NamedTuple):
    """Explanation, and the figures behind it."""

    why: str
    detail: str = ""


def not_sent_here(here: LiveState, there: ReplayState, action: str) -> Explained:
    """Explain an order of the replay that the exchange never got."""
    if here.position_e2 != there.position_e2:
        return Explained(POSITION, positions(here, there))
    if here.on_way:
        return Explained(ON_WAY_HERE)
    if here.is_resting and here.action == action:
        return Explained(KEPT_HERE)
    return Explained(UNEXPLAINED, f"here {here}, replay {there}")


def not_sent_there(here: LiveState, there: ReplayState | None, action: int) -> Explained:
    """Explain an order at the exchange that the replay did not send."""
    if there is None or not there.has_book:
        return Explained(NO_BOOK)
    if here.position_e2 != there.position_e2:
        return Explained(POSITION, positions(here, there))
    if there.on_way != HOLD:
        return Explained(ON_WAY_THERE)
    if there.is_resting and there.action == action:
        return Explained(KEPT_THERE)
    if not there.is_allowed and here.cash_e6 != there.cash_e6:
        words = f"{here.cash_e6 / DOLLAR_E6:.6f} $ here, {there.cash_e6 / DOLLAR_E6:.6f} $ in the replay"
        return Explained(CASH, words)
    return Explained(UNEXPLAINED, f"here {here}, replay {there}")


def positions(here: LiveState, there: ReplayState) -> str:
    """Positions of both sides in words."""
    return f"{here.position_e2 / 100:+.2f} here, {there.position_e2 / 100:+.2f} in the replay"


def taken_otherwise(here: Course, there: Course, row_times: Sequence[int]) -> Explained:
    """Explain two takers that filled differently; ``row_times``: of the market's rows, in order."""
    came = arrivals(here, there)
    if here.arrived_ns is None or there.arrived_ns is None:
        return Explained(UNEXPLAINED, came)
    first, last = sorted((here.arrived_ns, there.arrived_ns))
    n = bisect_right(row_times, last) - bisect_left(row_times, first)
    if not n:
        return Explained(UNEXPLAINED, f"{came}; no message of the market between")
    why = LATER_HERE if here.arrived_ns > there.arrived_ns else EARLIER_HERE
    return Explained(why, f"{came}; {n} messages between")


def filled_otherwise(here: Course, there: Course, parted: Parting) -> Explained:
    """Explain two resting orders whose fills parted: one was not there yet, had ended, or stood behind."""
    if parted.is_here_first:
        less, words = there, (EARLIER_HERE, ENDED_THERE, QUEUE_THERE)
    else:
        less, words = here, (LATER_HERE, ENDED_HERE, QUEUE_HERE)
    came = "; ".join(word for word in (arrivals(here, there), parted.words) if word)
    if less.arrived_ns is None or parted.first_ns < less.arrived_ns:
        return Explained(words[0], came)
    rested_e2 = less.rested_e2
    if rested_e2 is not None and less.filled_e2 >= rested_e2 and None in parted:  # more never was there
        return Explained(SMALLER_THERE, f"{came}; {rested_e2 / 100:.2f} rested there")
    if less.ended_ns is not None and less.ended_ns <= parted.first_ns:
        return Explained(words[1], "; ".join(word for word in (came, less.why_ended) if word))
    ahead = ["unknown" if way.ahead_e2 is None else f"{way.ahead_e2 / 100:.2f}" for way in (here, there)]
    return Explained(words[2], f"{came}; ahead when they came: {ahead[0]} here, {ahead[1]} there")
