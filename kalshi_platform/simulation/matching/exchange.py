"""The matching core for Python: one method a command, numbers in the house's units, the tape as an array.

Use        tests, and a server that answers as the exchange does. Agents in numba fill command records and
           call ``execute.execute`` themselves, or hand many to ``SimulatedExchange.run``.
Numbers    orders and groups are the core's; a caller keeps its own strings beside them (``client`` is a tag
           that comes back on the tape).
"""

from collections.abc import Sequence
from operator import index
from typing import Any, Final, NamedTuple

import numpy as np

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.fee_schedule import FeeTerms
from kalshi_platform.domain.fees import ROUNDING_CODE, maker_rate_e6, taker_rate_e6
from kalshi_platform.domain.market import MarketSpec, PriceBand
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.simulation.matching import book, command, execute, meeting, reasons
from kalshi_platform.simulation.matching.records import (
    ASK,
    BID,
    MAX_BANDS,
    MOST_OPEN_ORDERS,
    NEVER_NS,
    NONE,
    TAPE_DTYPE,
    Core,
    Sizes,
    new_core,
)

#: Codes of ``book_side``.
SIDE_CODES: Final = {"bid": BID, "ask": ASK}


class CoreAnswer(NamedTuple):
    """Answer to a command; sizes in 1e-2 contract."""

    reason: str  # "OK", or why it was refused (reasons.NAMES)
    order_id: int  # of the order or the group; -1 where there is none
    filled_e2: int
    left_e2: int
    reduced_e2: int
    ended: str  # why the rest of the order was cancelled, "OK" where it was not

    @property
    def ok(self) -> bool:
        """True where the command was done."""
        return self.reason == "OK"


class SimulatedExchange:
    """Exchange of ``markets`` for ``sizes.accounts`` accounts, all open at once unless told otherwise."""

    def __init__(
        self,
        markets: Sequence[MarketSpec],
        sizes: Sizes,
        *,
        shards: Sequence[int] | None = None,
        decrease_keeps_place: bool = True,
        reprice_keeps_place: bool = False,
        most_open_orders: int = MOST_OPEN_ORDERS,
    ) -> None:
        """``shards`` names the shard of each market, 0 where it is left out.

        ``most_open_orders`` is the cap of one account's resting orders.
        """
        if not markets or min(sizes) < 0 or min(sizes.accounts, sizes.shards, sizes.orders) < 1:
            raise ContractError(f"an exchange needs markets, accounts, shards and orders, not {sizes}")
        if most_open_orders < 1:
            raise ContractError(f"most_open_orders={most_open_orders} is below 1: nobody could rest an order")
        self.core: Core = new_core(sizes._replace(markets=len(markets), matches=max(sizes.matches, 1)))
        self.core.state["decrease_keeps_place"] = int(decrease_keeps_place)
        self.core.state["reprice_keeps_place"] = int(reprice_keeps_place)
        self.core.state["most_open"] = most_open_orders
        self._blank = command.new_commands(1)
        self._command, self._answer = self._blank.copy(), command.new_answers(1)
        for market, spec in enumerate(markets):
            shard = shards[market] if shards else 0
            if not 0 <= shard < sizes.shards:
                raise ContractError(f"{spec.ticker} lies on shard {shard}, outside 0..{sizes.shards - 1}")
            self.core.markets[market]["shard"] = shard
            self._write_bands(market, spec.price_ranges)
            terms = FeeTerms(fee_type=spec.fee_type, fee_multiplier_e6=spec.fee_multiplier_e6)
            self.set_fees(market, terms)
            self.set_close(market, NEVER_NS if spec.close_ns is None else spec.close_ns)
            self.set_market_status(market, "ACTIVE")

    # Orders

    def submit(
        self, account: int, market: int, side: str, price_e4: int, qty_e2: int, *,
        time_in_force: str = "good_till_canceled", self_trade_prevention: str = "taker_at_cross",
        post_only: bool = False, reduce_only: bool = False, cancel_on_pause: bool = False,
        group_id: int = NONE, expiry_ns: int = NEVER_NS, client: int = 0, at_ns: int = 0,
    ) -> CoreAnswer:  # fmt: skip
        """Send a new order, as POST /portfolio/events/orders does."""
        options = command.POST_ONLY * post_only + command.REDUCE_ONLY * reduce_only
        return self._do(
            command.SUBMIT, at_ns, account=account, market=market, price_e4=price_e4, qty_e2=qty_e2,
            side=_code(SIDE_CODES, "side", side), client=client, group_id=group_id, expiry_ns=expiry_ns,
            tif=_code(command.TIF_CODES, "time_in_force", time_in_force),
            stp=_code(meeting.STP_CODES, "self_trade_prevention_type", self_trade_prevention),
            options=options + command.CANCEL_ON_PAUSE * cancel_on_pause,
        )  # fmt: skip

    def cancel(self, account: int, order_id: int, *, market: int = NONE, at_ns: int = 0) -> CoreAnswer:
        """Cancel an order; with its market told, the answer after the close is MARKET_INACTIVE."""
        return self._do(command.CANCEL, at_ns, account=account, order_id=order_id, market=market)

    def cancel_all(self, account: int, at_ns: int = 0) -> CoreAnswer:
        """Cancel all orders of an account; ``reduced_e2`` is their number."""
        return self._do(command.CANCEL_ALL, at_ns, account=account)

    def amend(
        self, account: int, order_id: int, market: int, side: str, price_e4: int, count_e2: int, *,
        expiry_ns: int = NONE, client: int = 0, at_ns: int = 0,
    ) -> CoreAnswer:  # fmt: skip
        """Change an order; ``count_e2`` is what was filled plus what shall be left.

        ``expiry_ns`` NONE leaves it as it is, NEVER_NS clears it.
        """
        return self._do(
            command.AMEND, at_ns, account=account, order_id=order_id, market=market, price_e4=price_e4,
            side=_code(SIDE_CODES, "side", side), qty_e2=count_e2, expiry_ns=expiry_ns, client=client,
        )  # fmt: skip

    def decrease(
        self,
        account: int,
        order_id: int,
        *,
        by_e2: int | None = None,
        to_e2: int | None = None,
        at_ns: int = 0,
    ) -> CoreAnswer:
        """Make an order smaller, by or to a size."""
        if (by_e2 is None) == (to_e2 is None):
            raise ContractError("a decrease takes exactly one of by_e2 and to_e2")
        op = command.DECREASE_TO if by_e2 is None else command.DECREASE_BY
        qty = to_e2 if by_e2 is None else by_e2
        return self._do(op, at_ns, account=account, order_id=order_id, qty_e2=qty)

    # Groups

    def create_group(self, account: int, limit_e2: int, *, shard: int = 0, at_ns: int = 0) -> CoreAnswer:
        """Make an order group; its number is the answer's ``order_id``."""
        return self._do(command.GROUP_CREATE, at_ns, account=account, market=shard, qty_e2=limit_e2)

    def limit_group(self, account: int, group_id: int, limit_e2: int, at_ns: int = 0) -> CoreAnswer:
        """Set a group's limit."""
        return self._do(command.GROUP_LIMIT, at_ns, account=account, group_id=group_id, qty_e2=limit_e2)

    def reset_group(self, account: int, group_id: int, at_ns: int = 0) -> CoreAnswer:
        """Let a triggered group take orders again, and forget its matches."""
        return self._do(command.GROUP_RESET, at_ns, account=account, group_id=group_id)

    def trigger_group(self, account: int, group_id: int, at_ns: int = 0) -> CoreAnswer:
        """Cancel a group's orders and close it to new ones."""
        return self._do(command.GROUP_TRIGGER, at_ns, account=account, group_id=group_id)

    def delete_group(self, account: int, group_id: int, at_ns: int = 0) -> CoreAnswer:
        """Cancel a group's orders and forget it."""
        return self._do(command.GROUP_DELETE, at_ns, account=account, group_id=group_id)

    # Cash

    def deposit(self, account: int, amount_e6: int, *, shard: int = 0, at_ns: int = 0) -> CoreAnswer:
        """Pay cash in; a negative amount pays free cash out."""
        return self._do(command.DEPOSIT, at_ns, account=account, market=shard, amount_e6=amount_e6)

    def transfer(self, account: int, source: int, target: int, amount_e6: int, at_ns: int = 0) -> CoreAnswer:
        """Move free cash between shards."""
        return self._do(
            command.TRANSFER, at_ns, account=account, market=source, price_e4=target, amount_e6=amount_e6
        )

    # The exchange's own acts

    def set_market_status(self, market: int, status: str, at_ns: int = 0) -> CoreAnswer:
        """Open, pause (INACTIVE), resume, close (early or late) or reopen a market."""
        code = _code({"ACTIVE": 1, "INACTIVE": 2, "CLOSED": 3}, "status", status)
        return self._do(command.MARKET_STATUS, at_ns, market=market, status=code)

    def set_close(self, market: int, close_ns: int, at_ns: int = 0) -> CoreAnswer:
        """Move a market's close; NEVER_NS leaves the close to a command."""
        return self._do(command.MARKET_CLOSE_AT, at_ns, market=market, expiry_ns=close_ns)

    def set_shard_status(self, shard: int, status: str, at_ns: int = 0) -> CoreAnswer:
        """Pause a shard's trading, pause it fully, or let it run."""
        code = _code({"RUNNING": 0, "TRADING_PAUSE": 1, "FULL_PAUSE": 2}, "status", status)
        return self._do(command.SHARD_STATUS, at_ns, market=shard, status=code)

    def set_bands(self, market: int, bands: Sequence[PriceBand], at_ns: int = 0) -> CoreAnswer:
        """Change a market's price grid; resting orders stay."""
        self._known_bands(market, bands)
        if not (waited := self.wait(at_ns)).ok:
            return waited
        self._write_bands(market, bands)
        return self._do(command.MARKET_GRID, at_ns, market=market)

    def set_fees(self, market: int, terms: FeeTerms, at_ns: int = 0) -> CoreAnswer:
        """Change the fees of a market's fills from now on, also those of orders that rest already.

        The cash that a resting order holds for fees follows when the order is next filled or amended. A fill
        that cannot be paid does not happen (MARGIN_CANCEL).
        """
        self._known_market(market)
        if not (waited := self.wait(at_ns)).ok:
            return waited
        spec = self.core.markets[market]
        spec["taker_rate_e6"], spec["maker_rate_e6"] = taker_rate_e6(terms), maker_rate_e6(terms)
        spec["rounding"] = ROUNDING_CODE[terms.rounding]
        return self._do(command.MARKET_FEES, at_ns, market=market)

    def set_position_limit(self, market: int, limit_e2: int) -> None:
        """Set the largest position of one account on either side; 0 = none."""
        self._known_market(market)
        if limit_e2 < 0:
            raise ContractError(f"position limit {limit_e2} is below 0 (1e-2 contract)")
        self.core.markets[market]["position_limit_e2"] = limit_e2

    def set_balance_unit(self, account: int, unit_e6: int) -> None:
        """Set the smallest step of an account's balance: 100 of a direct member, 10,000 of another."""
        if not 0 <= account < self.core.units.size or unit_e6 not in (1, 100, 10_000):
            raise ContractError(
                f"account {account} cannot have a balance in steps of {unit_e6} (1e-6 dollar)"
            )
        if self.core.markets["floor_e4"].any() or self.core.holdings["position_e2"][account].any():
            raise ContractError(f"account {account} needs its steps before it trades or a floor rises")
        self.core.units[account] = unit_e6

    def settle(self, market: int, value_e4: int, at_ns: int = 0) -> CoreAnswer:
        """Pay every position of a market; ``value_e4`` is the payment of one YES."""
        return self._do(command.SETTLE, at_ns, market=market, price_e4=value_e4)

    def raise_floor(self, market: int, floor_e4: int, at_ns: int = 0) -> CoreAnswer:
        """Raise the settlement floor, the least payment of one YES (the exchange: not live yet)."""
        return self._do(command.MARKET_FLOOR, at_ns, market=market, price_e4=floor_e4)

    def wait(self, at_ns: int) -> CoreAnswer:
        """Let the clock come to ``at_ns``."""
        return self._do(command.WAIT, at_ns)

    # Reading

    def run(self, commands: np.ndarray, answers: np.ndarray) -> int:
        """Do command records (``new_commands``) in order; returns how many before the tape was full."""
        if commands.dtype != command.COMMAND_DTYPE or answers.dtype != command.ANSWER_DTYPE:
            raise ContractError("run takes records of COMMAND_DTYPE and ANSWER_DTYPE")
        if answers.size < commands.size:
            raise ContractError(f"{answers.size} answers have no room for {commands.size} commands")
        return int(execute.execute_all(self.core, commands, answers))

    def read_tape(self) -> np.ndarray:
        """Rows (TAPE_DTYPE) written since the last call, in order."""
        state, tape = self.core.state[0], self.core.tape
        at = np.arange(state["read"], state["written"]) % tape.size
        state["read"] = state["written"]
        return np.asarray(tape[at]).astype(TAPE_DTYPE, copy=True)

    def levels(self, market: int, side: str) -> np.ndarray:
        """Price levels (L, 2) of one side: price on the YES scale and size, the best first."""
        self._known_market(market)
        code = _code(SIDE_CODES, "side", side)
        depth = self.core.depth[market, code]
        own = np.flatnonzero(depth)[::-1]
        return np.column_stack((DOLLAR_E4 - own if code == ASK else own, depth[own]))

    def order(self, order_id: int) -> dict[str, int] | None:
        """Fields of a resting order, and the contracts ahead of it; None where it does not rest."""
        slot = order_id % self.core.orders.size
        record = self.core.orders[slot]
        if order_id < 0 or record["order_id"] != order_id:
            return None
        fields = {name: int(record[name]) for name in self.core.orders.dtype.names}
        return fields | {"ahead_e2": int(book.qty_ahead(self.core, slot))}

    def open_orders(self, account: int = NONE) -> list[int]:
        """Numbers of the resting orders of an account; NONE = everybody's."""
        orders = self.core.orders[: int(self.core.state[0]["n_used"])]
        here = (orders["rests"] == 1) & ((account == NONE) | (orders["account"] == account))
        return sorted(int(number) for number in orders["order_id"][here])

    def _do(self, op: int, at_ns: int, **fields: Any) -> CoreAnswer:
        record = self._command
        record[:] = self._blank
        record["op"], record["time_ns"] = op, at_ns
        for name, value in fields.items():
            try:
                record[name] = index(value)  # a float would lose its fraction in silence
            except (OverflowError, TypeError, ValueError):
                raise ContractError(
                    f"{name} {value!r} is no whole number of a size the exchange knows"
                ) from None
        execute.execute_all(self.core, record, self._answer)
        told = self._answer[0]
        return CoreAnswer(
            reasons.NAMES[int(told["reason"])], int(told["order_id"]), int(told["filled_e2"]),
            int(told["left_e2"]), int(told["reduced_e2"]), reasons.NAMES[int(told["ended"])],
        )  # fmt: skip

    def _known_market(self, market: int) -> None:
        if not 0 <= market < self.core.markets.size:
            raise ContractError(f"market {market} is not one of 0..{self.core.markets.size - 1}")

    def _known_bands(self, market: int, bands: Sequence[PriceBand]) -> None:
        self._known_market(market)
        if not 1 <= len(bands) <= MAX_BANDS:
            raise ContractError(f"a market has 1 to {MAX_BANDS} price bands, not {len(bands)}")

    def _write_bands(self, market: int, bands: Sequence[PriceBand]) -> None:
        self._known_bands(market, bands)
        for i, band in enumerate(bands):
            self.core.bands[market, i] = (band.start_e4, band.end_e4, band.step_e4)
        self.core.markets[market]["n_bands"] = len(bands)


def _code(codes: dict[str, int], what: str, word: str) -> int:
    if word not in codes:
        raise ContractError(f"{what} {word!r} is not one of {', '.join(codes)}")
    return codes[word]
