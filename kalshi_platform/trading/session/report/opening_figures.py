"""Account at an exchange as a session began, for its report, and the rule from where the result counts.

Rule     the result of a session is equity less capital. Capital is the cash at the start and each position
         of then at the first price of the session's books (``session/opening_positions.py``); the replay's
         own account takes the middle of the first book, by which the environment marks positions.
Unknown  recordings of before this was noted do not say what the account held.
Units    position 1e-2 contract (plus YES, minus NO), price 1e-4 dollar of one YES, cash 1e-6 dollar.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import Field

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.units import DOLLAR_E6
from kalshi_platform.trading.session.report.session_replay import ReplayedSession

_NAMED: Final = 3
_UNKNOWN: Final = (
    "it is not known whether the account began flat: this recording does not say; its result counts "
    "positions of before from the price of their first fill, and the replay began with none"
)


class OpeningMarket(Config):
    """Position in one market at the start."""

    ticker: str
    position_e2: int
    price_e4: int = Field(description="of one YES; the position is valued at it")
    value_e6: int
    has_book: bool = Field(description="the price is of the session's first book; else the journal's")
    in_replay: bool = Field(description="the market had a slot: the replay began with the position")


class OpeningFigures(Config):
    """Account at the start of a session."""

    is_known: bool = Field(description="False: the recording does not say what the account held")
    cash_e6: int | None = None
    capital_e6: int | None = Field(None, description="cash and positions, from which the result counts")
    markets: tuple[OpeningMarket, ...] = ()
    other_capital_e6: int | None = Field(None, description="of the session's own figures, where they differ")

    def lines(self, is_own: bool) -> list[str]:
        """Lines for a terminal; ``is_own``: the result is the session's own account's, not the replay's."""
        if self.cash_e6 is None or self.capital_e6 is None:
            return [_UNKNOWN]
        cash = f"{self.cash_e6 / DOLLAR_E6:.4f} $ in cash"
        if not self.markets:
            return [f"the account began flat, with {cash}"]
        price = "best bid of YES, best ask of NO" if is_own else "the middle, as the replay marks them"
        worth = (self.capital_e6 - self.cash_e6) / DOLLAR_E6
        found = [
            f"the account began with {cash} and {_positions(self.markets)} worth {worth:.4f} $: the result "
            f"counts each from its price in the session's first book ({price}), not from what it cost"
        ]
        if unseen := [each.ticker for each in self.markets if not each.has_book]:
            found.append(f"no book gave these a price, they count at the journal's: {_named(unseen)}")
        if left_out := [each.ticker for each in self.markets if not each.in_replay]:
            found.append(f"these had no slot in the session, the replay left them out: {_named(left_out)}")
        if self.other_capital_e6 is not None:
            own, noted = self.other_capital_e6 / DOLLAR_E6, self.capital_e6 / DOLLAR_E6
            found.append(
                f"the session's own figures began with {own:.6f} $, its recording says "
                f"{noted:.6f} $: do not trust the result, and report this"
            )
        return found


def opening_of(played: ReplayedSession) -> OpeningFigures:
    """Opening of a session at an exchange that was played again."""
    opening, book = played.book.began_with, played.book
    if opening is None:
        return OpeningFigures(is_known=False)
    markets = tuple(
        OpeningMarket(
            ticker=ticker, position_e2=each.position_e2, price_e4=each.price_e4, value_e6=each.value_e6,
            has_book=ticker not in opening.unseen, in_replay=ticker in book.groups,
        )
        for ticker, each in sorted(opening.held.items())
    )  # fmt: skip
    return OpeningFigures(
        is_known=True, cash_e6=opening.cash_e6, capital_e6=opening.capital_e6, markets=markets,
        other_capital_e6=_other(played.ended, opening.capital_e6),
    )  # fmt: skip


def _other(ended: Mapping[str, Any] | None, capital_e6: int) -> int | None:
    """Capital of the session's own figures where it is another one."""
    own_e6 = None if ended is None else ended.get("capital_e6")
    return None if own_e6 in (None, capital_e6) else int(own_e6)


def _positions(markets: Sequence[OpeningMarket]) -> str:
    """Number of positions in words."""
    return f"{len(markets)} position{'s' if len(markets) > 1 else ''}"


def _named(tickers: Sequence[str]) -> str:
    """First markets by name, and the number of the others."""
    more = len(tickers) - _NAMED
    return ", ".join(tickers[:_NAMED]) + (f" and {more} more" if more > 0 else "")
