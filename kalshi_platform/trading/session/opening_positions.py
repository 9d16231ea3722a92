"""Cash and positions with which an account at an exchange began a session, and what they were worth then.

Value    at the start: of each position at the first price that the session's own books give it, the best bid
         of YES, the best ask of NO. Until one does, and where none ever does, at the price that the journal
         knows: the last that the account saw; else of the last fill, or of what the position cost.
Why      the result of a session counts from there: what a position had gained or lost before is no result of
         this session, and the journal's price may be days old.
Units    position 1e-2 contract (plus YES, minus NO), price 1e-4 dollar of one YES, cash 1e-6 dollar.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.simulation.replay.account import position_value_e6


class OpeningPosition(NamedTuple):
    """Position in one market at the start of a session."""

    position_e2: int
    price_e4: int  # at which it is valued
    cost_e6: int  # what its contracts cost, fees not counted
    opened_ns: int  # when it left zero, as far as anybody told

    @property
    def value_e6(self) -> int:
        """Worth of the position."""
        return int(position_value_e6(self.position_e2, 2 * self.price_e4))


class OpeningPositions:
    """Account at the start of a session; ``see`` takes the prices of its books."""

    def __init__(self, cash_e6: int, held: Mapping[str, OpeningPosition]) -> None:
        """Begin with prices that the journal knows; ``held`` by market, none of size 0."""
        self.cash_e6 = cash_e6
        self.held = dict(held)
        self.unseen = set(self.held)  # markets of which no book has given a price yet

    @property
    def value_e6(self) -> int:
        """Worth of all positions."""
        return sum(each.value_e6 for each in self.held.values())

    @property
    def capital_e6(self) -> int:
        """Cash and positions: what the session's result counts from."""
        return self.cash_e6 + self.value_e6

    def see(self, ticker: str, bid_e4: int | None, ask_e4: int | None) -> None:
        """Take the best prices of a market's book, of which the first count; None: that side is empty."""
        if ticker not in self.unseen:
            return
        price_e4 = bid_e4 if self.held[ticker].position_e2 > 0 else ask_e4
        if price_e4 is None:
            return
        self.unseen.discard(ticker)
        self.held[ticker] = self.held[ticker]._replace(price_e4=price_e4)

    def as_note(self) -> dict[str, object]:
        """Detail for the recording."""
        return {"cash_e6": self.cash_e6, "positions": {t: each._asdict() for t, each in self.held.items()}}

    @classmethod
    def of_note(cls, detail: Mapping[str, Any]) -> Self:
        """Account of a recording's detail; DataError where that is damaged."""
        try:
            cash_e6 = _whole(detail["cash_e6"])
            held = {
                str(ticker): OpeningPosition(*(_whole(each[name]) for name in OpeningPosition._fields))
                for ticker, each in detail["positions"].items()
            }
        except (KeyError, TypeError, AttributeError, ValueError) as err:
            words = f"{type(err).__name__}: {err}"[:100]
            raise DataError(
                f"the note of the account at the session's start cannot be read ({words}); "
                "copy the recording again"
            ) from None
        return cls(cash_e6, held)


def price_or_none(price_e4: int) -> int | None:
    """Best price, None where the side is empty or stands at an edge."""
    return price_e4 if 0 < price_e4 < DOLLAR_E4 else None


def _whole(value: object) -> int:
    """Return ``value``; ValueError unless it is a whole number."""
    if type(value) is not int:
        raise ValueError(f"{value!r} is no whole number")
    return value
