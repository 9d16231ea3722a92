"""States of an order and what each event makes of them: one table, also printed in docs/live.md.

Read    ``STEPS[state][event]`` is the next state. A step marked as a surprise contradicts what the exchange
        said before: its later word stands, and the surprise is counted and stops trading.
Never   an order that ended comes back by a report, except from REFUSED and ABSENT: those say that the
        exchange never had it, and a report of it proves the opposite. Whole lists that go on showing it at
        rest, read long after its end, bring it back (reconcile/ended.py).
Stale   a report that is older than what is known (resting after cancelled) changes nothing.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class OrderState(StrEnum):
    """State of one order, as far as this process knows it."""

    PENDING = "pending"  # journaled; its request may be on the way
    UNKNOWN = "unknown"  # the request's outcome is unknown: the exchange may have the order
    RESTING = "resting"  # the exchange has it, and something is left of it
    CANCELLING = "cancelling"  # rests; a cancel is on the way
    CANCEL_UNKNOWN = "cancel_unknown"  # a cancel's outcome is unknown: it may rest
    FILLED = "filled"  # nothing is left
    CANCELLED = "cancelled"  # ended with something left
    REFUSED = "refused"  # the exchange, or the line to it, did not take it
    ABSENT = "absent"  # unknown before; the exchange's whole lists prove that it never had it


class OrderEvent(StrEnum):
    """Events that move an order."""

    RESTS = "rests"  # an acknowledgement or a report: it rests
    PART_FILLED = "part_filled"  # a fill came that leaves something
    EXECUTED = "executed"  # filled to the end
    ENDED = "ended"  # reported as cancelled, by whomever
    REFUSED = "refused"  # the create was refused, or never left
    LOST = "lost"  # the create's outcome is unknown
    CANCEL_SENT = "cancel_sent"  # a cancel is about to leave
    CANCEL_REFUSED = "cancel_refused"  # the cancel did nothing, for certain
    CANCEL_LOST = "cancel_lost"  # the cancel's outcome is unknown
    PROVEN_RESTING = "proven_resting"  # whole lists, read after the outcome was lost, show it resting
    PROVEN_ABSENT = "proven_absent"  # whole lists, twice and late enough, do not show it
    RESTARTED = "restarted"  # the process ended; another one took its journal over


class Step(NamedTuple):
    """Next state; ``surprise`` where the exchange contradicts itself."""

    state: OrderState
    surprise: bool = False


_S, _E = OrderState, OrderEvent
#: The exchange has it, something of it is left.
WORKING: Final = frozenset({_S.RESTING, _S.CANCELLING, _S.CANCEL_UNKNOWN})
#: Nothing can happen to it any more but late reports.
ENDED: Final = frozenset({_S.FILLED, _S.CANCELLED, _S.REFUSED, _S.ABSENT})
#: The outcome of a write is not known: no new order goes out.
UNDECIDED: Final = frozenset({_S.UNKNOWN, _S.CANCEL_UNKNOWN})
#: Whether the exchange has the order is not known; it counts as filled against every limit.
MAYBE_THERE: Final = frozenset({_S.PENDING, _S.UNKNOWN})


def _steps(stay: OrderState, **moves: OrderState | Step) -> Mapping[OrderEvent, Step]:
    """Steps from one state: those named, and staying for every other event."""
    found = {event: Step(stay) for event in OrderEvent}
    for name, move in moves.items():
        found[OrderEvent(name)] = move if isinstance(move, Step) else Step(move)
    return found


_TOLD: Final = {
    "rests": _S.RESTING,
    "part_filled": _S.RESTING,
    "executed": _S.FILLED,
    "ended": _S.CANCELLED,
    "proven_resting": _S.RESTING,
}
_BACK: Final = {name: Step(state, surprise=True) for name, state in _TOLD.items()}
_AT_WORK: Final = {
    "executed": _S.FILLED,
    "ended": _S.CANCELLED,
}

STEPS: Final[Mapping[OrderState, Mapping[OrderEvent, Step]]] = {
    _S.PENDING: _steps(_S.PENDING, **_TOLD, refused=_S.REFUSED, lost=_S.UNKNOWN, restarted=_S.UNKNOWN),
    _S.UNKNOWN: _steps(_S.UNKNOWN, **_TOLD, proven_absent=_S.ABSENT),
    _S.RESTING: _steps(
        _S.RESTING,
        **_AT_WORK,
        cancel_sent=_S.CANCELLING,
        cancel_lost=_S.CANCEL_UNKNOWN,
        refused=Step(_S.RESTING, surprise=True),
        proven_absent=Step(_S.RESTING, surprise=True),
    ),
    _S.CANCELLING: _steps(
        _S.CANCELLING,
        **_AT_WORK,
        cancel_refused=_S.RESTING,
        cancel_lost=_S.CANCEL_UNKNOWN,
        restarted=_S.CANCEL_UNKNOWN,
        refused=Step(_S.CANCELLING, surprise=True),
        proven_absent=Step(_S.CANCELLING, surprise=True),
    ),
    # A second cancel of an order whose first one is unknown decides nothing about the first.
    _S.CANCEL_UNKNOWN: _steps(
        _S.CANCEL_UNKNOWN,
        **_AT_WORK,
        proven_resting=_S.RESTING,
        refused=Step(_S.CANCEL_UNKNOWN, surprise=True),
        proven_absent=Step(_S.CANCEL_UNKNOWN, surprise=True),
    ),
    _S.FILLED: _steps(
        _S.FILLED,
        refused=Step(_S.FILLED, surprise=True),
        part_filled=_S.FILLED,
        proven_resting=Step(_S.RESTING, surprise=True),
    ),
    _S.CANCELLED: _steps(
        _S.CANCELLED,
        executed=_S.FILLED,  # the last fill came after the end was told
        proven_resting=Step(_S.RESTING, surprise=True),
    ),
    # The exchange may tell the end of an order that it refused (PostOnlyCrossCancel), after the refusal or
    # before it: the stream and the answer are two lines. Order.step looks whether anything was filled.
    _S.REFUSED: _steps(_S.REFUSED, **{**_BACK, "ended": Step(_S.REFUSED)}),
    _S.ABSENT: _steps(_S.ABSENT, **_BACK),
}


def table_rows() -> Iterator[tuple[str, str, str, bool]]:
    """Every step that moves or surprises: (state, event, next state, surprise), in the order of the table."""
    for state, steps in STEPS.items():
        for event, step in steps.items():
            if step.state is not state or step.surprise:
                yield state.value, event.value, step.state.value, step.surprise
