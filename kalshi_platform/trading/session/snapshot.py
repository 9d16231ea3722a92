"""State of a running session in one object, for a terminal, a page, metrics: all read this and nothing else.

Units   as named; times ns UTC. Frozen: made anew each time it is asked for (a millisecond or two).
"""

from dataclasses import asdict, dataclass, field
from typing import Any


def whose_money(mode: str, is_simulated: bool) -> str:
    """Words for the money and the exchange of a session; live is never called harmless by mistake."""
    if mode == "live":
        return "REAL MONEY"
    if is_simulated:
        return "SIMULATED EXCHANGE, " + ("PAPER MONEY" if mode == "paper" else "SIMULATED MONEY")
    return "REAL EXCHANGE'S FEED, PAPER MONEY" if mode == "paper" else "DEMONSTRATION, PLAY MONEY"


@dataclass(frozen=True, slots=True)
class MarketStand:
    """One market with a slot, or with a position and no slot (``is_traded`` False)."""

    ticker: str
    event: str
    group: int  # -1 without a slot, as the slot
    slot: int
    bid_e4: int | None
    ask_e4: int | None
    is_valid: bool
    row_ns: int
    position_e2: int
    cost_e6: int
    value_e6: int | None  # of the position at its mark; None where no mark is known
    cash_flow_e6: int  # of this market so far, fees included
    fees_e6: int
    order: str  # of the working order, such as "BUY_YES 10.00 @ 0.4300"; empty where none
    order_name: str  # by which SessionControls.cancel_order finds it; empty where none works
    queue_e2: int | None  # own estimate of what stands ahead of it
    #: (price_e4, qty_e2), best first; None: size unknown. Empty where the book is lost (``is_valid`` False).
    bids: tuple[tuple[int, int | None], ...] = ()
    asks: tuple[tuple[int, int | None], ...] = ()
    is_traded: bool = True


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """Everything a viewer may show."""

    mode: str
    is_simulated: bool
    first_line: str
    run: str
    started_ns: int
    now_ns: int
    model: str
    alias: str
    cautions: tuple[str, ...]
    cash_e6: int
    equity_e6: int
    capital_e6: int
    paid_in_e6: int  # cash and positions that nothing of the session explains: not in the P&L
    fees_e6: int
    pnl_e6: int
    orders: int
    fills: int
    decisions: int
    frames: int
    groups: int
    markets: tuple[MarketStand, ...]
    last_fills: tuple[dict[str, Any], ...]
    latency: dict[str, Any]
    health: dict[str, Any]  # connected, backlog, books awaited, holes, alarms
    problems: dict[str, str]
    counters: dict[str, int]
    state: str  # active, reducing, halted
    state_why: str
    risk: dict[str, Any] | None = None  # limits in use and what is unknown; None in mode paper
    log: tuple[str, ...] = field(default=())  # newest lines, oldest first
    standstill: tuple[str, ...] = ()  # why no order goes out now, besides the state of trading
    #: Orders that did not go out, by cause: n, words, at_ns (refusals.py).
    refused: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Market by name of the orders that are on their way, or of a market without a slot.
    other_orders: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
