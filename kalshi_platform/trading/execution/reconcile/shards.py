"""Shards of markets that the account's lists hold without naming one: known, asked for, or refused.

Order    the market as it is known here -> the answer's own ``exchange_index`` -> the account's only shard
         -> the market's own answer (``GET /markets/{ticker}``).
Refused  where none of them says it the comparison is not whole, so that no order goes out: cash that is
         booked on a guessed shard is wrong on two of them.
"""

from collections.abc import Iterator

from kalshi_platform.domain.errors import DataError
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.reconcile.lists import AccountLists, ReportPort


async def learn_shards(reports: ReportPort, ledger: OrderLedger, lists: AccountLists, opened_ns: int) -> None:
    """Let ``ledger`` know the shard of every market that is about to be booked; DataError names one that
    nobody knows. Fills up to ``opened_ns`` are in the opening already."""
    ledger.see_shards(lists.balance.by_shard_e6)
    for ticker, told in _named(ledger, lists, opened_ns):
        known = ledger.markets.get(ticker)
        if known is not None and told is not None and told != known.exchange_index:
            raise DataError(
                f"{ticker} is on shard {known.exchange_index} as it was told before, and on shard {told} "
                "now: its cash cannot be booked"
            )
        shard = ledger.shard_of(ticker, told)
        if shard is None:
            shard = await reports.market_shard(ticker)
        if shard is None:
            raise DataError(
                f"neither the account's lists nor the market {ticker} itself name its shard "
                f"(exchange_index), and the account has the shards {sorted(ledger.cash_e6)}"
            )
        ledger.market(ticker, shard)


def _named(ledger: OrderLedger, lists: AccountLists, opened_ns: int) -> Iterator[tuple[str, int | None]]:
    """Each market that is held or was filled by an order that is not ours, with the shard that is told."""
    for ticker, held in lists.positions.items():
        if held.position_e2:
            yield ticker, held.exchange_index
    for fill in (*lists.fills, *list(ledger.waiting.values())):
        is_ours = ledger.of(fill.client_order_id, fill.order_id) is not None
        if not is_ours and fill.exch_ns > opened_ns:
            yield fill.ticker, fill.exchange_index
