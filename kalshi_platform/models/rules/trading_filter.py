"""Decides slots by rules that come before any policy: what must be held, and what pays for certain.

Crossed    best bid at or above best ask: the local book is broken, or caught inside one match -> HOLD.
Apparent   of mutually exclusive markets at most one pays its YES. Where the best bids of one set add up to
           more than a dollar, NO in all of them looks like a certain gain. The rule trades where it is one at
           the prices and sizes of the orders that would be sent, else it holds every slot of the set.
Legs       the slots of the set that take an order to buy NO, whose book is younger than MAX_AGE_NS and shows
           the whole order at its best bid. A leg adds, with a limit L <= bid and q contracts,
               L x q - highest fee of q contracts at a price in [L, bid] - one balance unit (rounding)
           and a slot that adds nothing is no leg.
Riskless   n legs of q contracts cost at most n x q less what they add, and bring at least (n - 1) x q
           dollars: where they add more than q dollars no outcome loses. Orders of different sizes are held,
           and so is a maker, whose orders rest at the ask and sell nothing to the bids.
Not sure   whether the books still stand when the orders arrive, nor how many fills an order makes: each may
           round up by one balance unit. The displayed size and the bound on age keep both small.
Units      prices 1e-4 dollar on the YES scale, sizes 1e-2 contract, cash 1e-6 dollar, rates 1e-6, time ns;
           integers throughout. N groups, S slots.
"""

from typing import Final, NamedTuple

import numpy as np

from kalshi_platform.domain.actions import BUY_NO, HOLD
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.fees import DIRECT_UNIT_E6, model_fee_e6
from kalshi_platform.domain.units import DOLLAR_E4, NO_PRICE, NO_TIME, NS_PER_SECOND, UNKNOWN_QTY
from kalshi_platform.simulation.replay.planning import ExecutionParams, taker_limit_e4, wanted_qty_e2

#: The rules leave the slot to the policy.
FREE: Final = -1
#: A leg's book must be younger.
MAX_AGE_NS: Final = 2 * NS_PER_SECOND

#: Codes of the reasons, by which :data:`REASONS` is indexed; UNSAID where no rule spoke.
(
    UNSAID, CROSSED_BOOK, RISKLESS, APART, CLOSED_LEG, STALE, AGE_UNKNOWN, SIZE_UNKNOWN, TOO_SMALL,
    SIZES_DIFFER, MAKER, COSTS,
) = range(12)  # fmt: skip
_BUT: Final = "the bids of exclusive markets add up to more than a dollar, but"
REASONS: Final = (
    "",
    "crossed: the best bid is not below the best ask, so the book is broken or amid a change",
    "riskless: NO is bought in every leg of exclusive markets, which pays whatever the outcome is",
    "apart: the legs of its set are bought for a certain gain, and this market is none of them",
    f"closed: {_BUT} one of them takes no order to buy NO now",
    f"stale: {_BUT} the book of one of them is not younger than 2 s",
    f"age unknown: {_BUT} nobody says how old the book of one of them is",
    f"size unknown: {_BUT} nobody says how much is bid for in one of them",
    f"too small: {_BUT} less than the order is bid for in one of them",
    f"sizes differ: {_BUT} the orders would be of different sizes",
    f"maker: {_BUT} this model's orders rest in the book and take no bid",
    f"costs: {_BUT} not by enough for the slippage, fees and rounding that the orders may pay",
)


class FilterInputs(NamedTuple):
    """Values that the rules read, one a slot (N, S); a slot without a market has no price and set -1."""

    bid_e4: np.ndarray  # i4, best; NO_PRICE where there is none
    ask_e4: np.ndarray  # i4
    bid_size_e2: np.ndarray  # i8, displayed at the best bid; UNKNOWN_QTY where nobody knows
    age_ns: np.ndarray  # i8, since the latest row of the book; NO_TIME where nobody knows
    exclusive_set: np.ndarray  # i4: equal numbers >= 0 are mutually exclusive
    taker_rate_e6: np.ndarray  # i8
    unit_e6: np.ndarray  # i8: most that aligning a fill to the balance takes
    limit_e4: np.ndarray  # i4, of the order to buy NO that would be sent
    qty_e2: np.ndarray  # i8, its size
    may_buy_no: np.ndarray  # u1: 1 where the action mask allows it


def allocate_inputs(n: int, n_slots: int) -> FilterInputs:
    """Inputs of ``n`` groups of ``n_slots`` empty slots."""
    shape = n, n_slots
    return FilterInputs(
        bid_e4=np.full(shape, NO_PRICE, np.int32),
        ask_e4=np.full(shape, NO_PRICE, np.int32),
        bid_size_e2=np.full(shape, UNKNOWN_QTY, np.int64),
        age_ns=np.full(shape, NO_TIME, np.int64),
        exclusive_set=np.full(shape, -1, np.int32),
        taker_rate_e6=np.zeros(shape, np.int64),
        unit_e6=np.zeros(shape, np.int64),
        limit_e4=np.full(shape, NO_PRICE, np.int32),
        qty_e2=np.zeros(shape, np.int64),
        may_buy_no=np.zeros(shape, np.uint8),
    )


@kernel
def plan_client_orders(position_e2: np.ndarray, params: ExecutionParams, inputs: FilterInputs) -> None:
    """Write limit, size and rounding of the orders to buy NO where ``inputs`` hold a client's prices.

    ``position_e2`` (N, S) i8: the client's positions.
    """
    for n in range(position_e2.shape[0]):
        for s in range(position_e2.shape[1]):
            if inputs.bid_e4[n, s] >= 0:
                inputs.limit_e4[n, s] = taker_limit_e4(int(inputs.bid_e4[n, s]), False, params)
                inputs.qty_e2[n, s] = wanted_qty_e2(position_e2[n, s], BUY_NO, params)
                inputs.unit_e6[n, s] = max(params.unit_e6, DIRECT_UNIT_E6)


@kernel
def _adds_e6(inputs: FilterInputs, n: int, s: int) -> int:
    """Return the 1e-6 dollar that the slot's order adds for certain, at its limit and highest fee."""
    limit, bid, qty = int(inputs.limit_e4[n, s]), int(inputs.bid_e4[n, s]), int(inputs.qty_e2[n, s])
    dearest = min(max(DOLLAR_E4 // 2, limit), bid)  # P x (1 - P) is highest at one half
    fee_e6 = model_fee_e6(int(inputs.taker_rate_e6[n, s]), dearest, qty)
    return limit * qty - fee_e6 - int(inputs.unit_e6[n, s])


@kernel
def _doubt(inputs: FilterInputs, n: int, s: int) -> int:
    """Return the reason why the slot's displayed bid does not vouch for its order, UNSAID where it does."""
    if inputs.age_ns[n, s] < 0:
        return AGE_UNKNOWN
    if inputs.age_ns[n, s] >= MAX_AGE_NS:
        return STALE
    if inputs.bid_size_e2[n, s] < 0:
        return SIZE_UNKNOWN
    return TOO_SMALL if inputs.bid_size_e2[n, s] < inputs.qty_e2[n, s] else UNSAID


@kernel
def _role(inputs: FilterInputs, is_taker: bool, n: int, s: int) -> int:
    """Return RISKLESS where the slot is a leg, else the reason why it is none."""
    bid, ask = inputs.bid_e4[n, s], inputs.ask_e4[n, s]
    if 0 <= ask <= bid:
        return CROSSED_BOOK
    if bid <= 0:
        return APART
    if not is_taker:
        return MAKER
    if inputs.may_buy_no[n, s] == 0 or inputs.qty_e2[n, s] <= 0:
        return CLOSED_LEG
    doubt = _doubt(inputs, n, s)
    if doubt != UNSAID:
        return doubt
    return RISKLESS if _adds_e6(inputs, n, s) > 0 else COSTS


@kernel
def _force_set(
    inputs: FilterInputs, is_taker: bool, n: int, first: int, forced: np.ndarray, reasons: np.ndarray
) -> None:
    """Decide the slots of the set whose first slot is ``first``, where its bids exceed a dollar."""
    own, n_slots = inputs.exclusive_set[n, first], inputs.bid_e4.shape[1]
    bids_e4 = 0
    for s in range(first, n_slots):
        if inputs.exclusive_set[n, s] == own:
            bids_e4 += max(int(inputs.bid_e4[n, s]), 0)
    if bids_e4 <= DOLLAR_E4:
        return
    adds_e6, qty_e2, blame, differ = 0, 0, UNSAID, False
    for s in range(first, n_slots):
        if inputs.exclusive_set[n, s] != own:
            continue
        role = _role(inputs, is_taker, n, s)
        reasons[n, s] = role
        if role == RISKLESS:
            adds_e6 += _adds_e6(inputs, n, s)
            differ = differ or (qty_e2 > 0 and qty_e2 != inputs.qty_e2[n, s])
            qty_e2 = int(inputs.qty_e2[n, s])
        elif blame == UNSAID and role != APART:
            blame = role
    if differ:
        blame = SIZES_DIFFER
    elif blame == UNSAID:
        blame = COSTS
    trades = not differ and adds_e6 > DOLLAR_E4 * qty_e2
    for s in range(first, n_slots):
        if inputs.exclusive_set[n, s] != own:
            continue
        forced[n, s] = HOLD
        if trades and reasons[n, s] == RISKLESS:
            forced[n, s] = BUY_NO
        elif not trades and (reasons[n, s] == RISKLESS or reasons[n, s] == APART):
            reasons[n, s] = blame


@kernel
def force_slots(inputs: FilterInputs, is_taker: bool, forced: np.ndarray, reasons: np.ndarray) -> None:
    """Write the action that the rules demand of every slot, or FREE, (N, S) i1, and reasons (N, S) u1."""
    for n in range(inputs.bid_e4.shape[0]):
        for s in range(inputs.bid_e4.shape[1]):
            is_crossed = 0 <= inputs.ask_e4[n, s] <= inputs.bid_e4[n, s]
            forced[n, s] = HOLD if is_crossed else FREE
            reasons[n, s] = CROSSED_BOOK if is_crossed else UNSAID
        for s in range(inputs.bid_e4.shape[1]):
            is_first = inputs.exclusive_set[n, s] >= 0
            for k in range(s):
                is_first = is_first and inputs.exclusive_set[n, k] != inputs.exclusive_set[n, s]
            if is_first:
                _force_set(inputs, is_taker, n, s, forced, reasons)


def forced_slots(inputs: FilterInputs, *, is_taker: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the actions (N, S) i1 that the rules demand, or FREE, and the reasons (N, S) u1.

    ``is_taker``: the model's orders take the bids. ContractError where shapes or types are not those of
    :func:`allocate_inputs`.
    """
    shape = inputs.bid_e4.shape
    wanted = allocate_inputs(0, 0)
    for name, given, right in zip(FilterInputs._fields, inputs, wanted, strict=True):
        if len(shape) != 2 or given.shape != shape or given.dtype != right.dtype:
            raise ContractError(
                f"{name} is {given.dtype} {given.shape}, bids {shape}: the rules take {right.dtype}, one "
                "value a slot (N, S)"
            )
    forced, reasons = np.empty(shape, np.int8), np.empty(shape, np.uint8)
    force_slots(inputs, is_taker, forced, reasons)
    return forced, reasons


def said(names: list[str], reasons: list[int]) -> dict[str, str]:
    """Sentences of the rules by name, where one spoke; ``reasons`` may be longer than ``names``."""
    return {name: REASONS[code] for name, code in zip(names, reasons, strict=False) if code}
