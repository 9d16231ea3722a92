"""Settlements, positions and cash of the account beside the exchange's, in which the exchange wins.

Race     positions and cash are read at other moments than fills: a difference is taken over (``adopt``) only
         where whoever compares has seen the same one several times.
Money    a change of position is booked so that it makes no result (unexplained.py); cash is corrected apart.
"""

from collections.abc import Iterable

from kalshi_platform.trading.exchange.clock import ExchangeClock
from kalshi_platform.trading.execution.journal.keeper import LedgerKeeper
from kalshi_platform.trading.execution.reconcile.differences import Difference, DifferenceKind
from kalshi_platform.trading.execution.reconcile.lists import AccountLists
from kalshi_platform.trading.execution.reconcile.money import CashMismatch, cash_mismatches, settled_value_e4
from kalshi_platform.trading.execution.reconcile.unexplained import corrections


class AccountHoldings:
    """Everything that the account holds, ours and theirs."""

    def __init__(self, keeper: LedgerKeeper, clock: ExchangeClock) -> None:
        self._keeper, self._ledger, self._clock = keeper, keeper.ledger, clock
        self.is_held_back = False  # a settlement waits for an order of its market to be decided

    def take_settlements(self, lists: AccountLists, found: list[Difference], opened_ns: int) -> None:
        """Book what markets paid, each by its own ticker; differences go into ``found`` one by one.

        ``opened_ns``: time of the account's opening; what was paid before lies in the cash of the opening.
        """
        self.is_held_back = False
        for paid in sorted(lists.settlements, key=lambda each: each.settled_ns):
            market = self._ledger.markets.get(paid.ticker)
            value_e4 = settled_value_e4(paid)
            if market is None or market.value_e4 == value_e4:
                continue  # nothing of ours was there, or it is known
            theirs_e2 = paid.yes_e2 - paid.no_e2
            if not market.position_e2 and (
                paid.settled_ns <= opened_ns or not (theirs_e2 or market.filled_e2)
            ):
                continue  # it is in the opening's cash, or nothing was ever booked that it could end
            if any(order.exposed_e2 for order in self._ledger.live_in(paid.ticker)):
                self.is_held_back = True  # an order's end or its fills are not all here yet
                continue
            if market.value_e4 is None and theirs_e2 != market.position_e2:
                ours, theirs = f"{market.position_e2} (1e-2 contract)", f"{theirs_e2}"
                kind = DifferenceKind.SETTLED_POSITION
                found.append(Difference(kind, paid.ticker, ours, theirs))
                self._correct("settled", paid.ticker, theirs_e2, value_e4=value_e4)
            self._keeper.settle(paid.ticker, value_e4, paid.settled_ns)
            theirs = f"{value_e4} (1e-4 dollar) a YES"
            kind = DifferenceKind.MISSED_SETTLEMENT
            found.append(Difference(kind, paid.ticker, "open", theirs))

    def mismatches(self, lists: AccountLists) -> dict[str, int]:
        """Name of each position and shard that differs -> theirs less ours."""
        found: dict[str, int] = {}
        for ticker in self._tickers(lists):
            held = lists.positions.get(ticker)
            off_e2 = (0 if held is None else held.position_e2) - self._ledger.position_e2(ticker)
            if off_e2:
                found[ticker] = off_e2
        return found | {each.name: each.off_e6 for each in self._cash(lists)}

    def _cash(self, lists: AccountLists) -> Iterable[CashMismatch]:
        """Shards whose cash differs, where no order of unknown stand is on them."""
        return cash_mismatches(self._ledger, lists.balance)

    def gone(self, lists: AccountLists) -> list[str]:
        """Markets of ours whose position is in no list: paid, most likely, and not told yet."""
        return [t for t in self._tickers(lists) if self._ledger.position_e2(t) and t not in lists.positions]

    def _tickers(self, lists: AccountLists) -> list[str]:
        """Markets in which either side holds something, without those that settle just now."""
        ours = {t for t, market in self._ledger.markets.items() if market.held_e2}
        theirs = {t for t, held in lists.positions.items() if held.position_e2}
        paid = {t for t, market in self._ledger.markets.items() if market.value_e4 is not None}
        busy = {o.intent.ticker for o in self._ledger.live.values() if o.may_be_there or o.fills_missing_e2}
        return sorted((ours | theirs) - paid - busy)

    def adopt(self, lists: AccountLists) -> list[Difference]:
        """Take over positions and cash that nothing explains."""
        now_ns, found = self._clock.wall_ns(), []
        for ticker in self._tickers(lists):
            held, ours_e2 = lists.positions.get(ticker), self._ledger.position_e2(ticker)
            theirs_e2 = 0 if held is None else held.position_e2
            if theirs_e2 == ours_e2:
                continue
            found.append(Difference(DifferenceKind.POSITION, ticker, f"{ours_e2}", f"{theirs_e2}"))
            self._correct("position", ticker, theirs_e2, 0 if held is None else held.exposure_e6)
        for each in self._cash(lists):
            found.append(Difference(DifferenceKind.CASH, each.name, f"{each.ours_e6}", f"{each.theirs_e6}"))
            self._keeper.open_cash(now_ns, "cash", each.shard, each.off_e6)
        return found

    def _correct(
        self, kind: str, ticker: str, theirs_e2: int, told_e6: int = 0, value_e4: int | None = None
    ) -> None:
        """Make our position theirs, at the money that invents no result (unexplained.py)."""
        market, now_ns = self._ledger.market(ticker), self._clock.wall_ns()
        for change_e2, cost_e6 in corrections(market, theirs_e2, told_e6, value_e4):
            self._keeper.correct(now_ns, kind, ticker, market.exchange_index, change_e2, cost_e6)
