"""A wish to trade, in exact integers, refused where a number is not one.

Units   price_e4 1e-4 dollar on the YES scale, qty_e2 1e-2 contract, times ns since 1970 UTC.
Sides   bid buys YES; ask sells YES, which is buying NO at 1 - price.
"""

from dataclasses import dataclass

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.exchange.new_orders import BookSide, TimeInForce

_MOST_QTY_E2 = 10**12


@dataclass(frozen=True, slots=True)
class Intent:
    """One wanted order, before any limit has looked at it.

    ``decided_ns`` is when the model decided (the wall clock of this machine); ``model`` and ``decision`` name
    the model and the decision in the journal, so that a report can join them.

    ContractError for a value that is no whole number (NaN, None, a float, a bool) or out of range.
    """

    ticker: str
    side: BookSide
    price_e4: int
    qty_e2: int
    decided_ns: int
    time_in_force: TimeInForce = TimeInForce.GOOD_TILL_CANCELED
    post_only: bool = False
    reduce_only: bool = False
    expires_s: int | None = None
    model: str = ""
    decision: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.ticker, str) or not self.ticker:
            raise ContractError(f"ticker = {self.ticker!r}; expected a market's ticker")
        if not isinstance(self.side, BookSide):
            raise ContractError(f"side = {self.side!r}; expected BookSide.BID or BookSide.ASK")
        whole("price_e4", self.price_e4, 1, DOLLAR_E4 - 1)
        whole("qty_e2", self.qty_e2, 1, _MOST_QTY_E2)
        whole("decided_ns", self.decided_ns, 0, 2**63 - 1)

    @property
    def own_e4(self) -> int:
        """Price of one contract of the outcome that the order buys, 1e-4 dollar."""
        return self.price_e4 if self.side is BookSide.BID else DOLLAR_E4 - self.price_e4

    @property
    def cost_e6(self) -> int:
        """Cash that the whole order costs without fees, nothing netted, 1e-6 dollar."""
        return self.own_e4 * self.qty_e2


def whole(name: str, value: object, least: int, most: int) -> int:
    """Return ``value``; ContractError unless it is a whole number of ``least`` to ``most``.

    A comparison with NaN is false whichever way it is asked, so that a limit would let it pass: the kind is
    looked at before the value.
    """
    if type(value) is not int:
        raise ContractError(
            f"{name} = {value!r} is {type(value).__name__}; expected a whole number in its unit, such as "
            "4200 for a price_e4 of $0.42"
        )
    if not least <= value <= most:
        raise ContractError(f"{name} = {value}; expected {least} to {most}")
    return value
