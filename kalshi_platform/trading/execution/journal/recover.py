"""The ledger that a journal's rows add up to, as its process left it.

Restart  an order whose request was on its way becomes UNKNOWN, a cancel on its way CANCEL_UNKNOWN: the
         exchange's lists decide what became of them (reconcile).
"""

from collections.abc import Iterator
from heapq import merge
from typing import Any, Final

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.trading.exchange.new_orders import BookSide, TimeInForce
from kalshi_platform.trading.execution.journal.journal import OrderJournal, damaged
from kalshi_platform.trading.execution.journal.keeper import WRITTEN_OFF
from kalshi_platform.trading.execution.orders.intents import Intent, whole
from kalshi_platform.trading.execution.orders.ledger import OrderLedger
from kalshi_platform.trading.execution.orders.order import Order
from kalshi_platform.trading.execution.orders.reports import FillReport
from kalshi_platform.trading.execution.orders.states import OrderEvent, OrderState

#: Ends of the names of columns that hold numbers.
_NUMBERS: Final = ("_e2", "_e4", "_e6", "_ns", "_s", "exchange_index", "number", "minute")
#: Columns that hold text; a damaged byte makes bytes of it, or a number.
_TEXTS: Final = frozenset({
    "ticker", "client_order_id", "order_id", "trade_id", "side", "time_in_force", "model", "decision",
    "state", "reason", "kind", "event", "category", "detail",
})  # fmt: skip
#: Corrections that came before any fill, whatever the two clocks say.
_OPENING: Final = "opening"
_MAY_BE_NULL: Final = {("fills", "exchange_index"), ("orders", "expires_s")}


def recover(journal: OrderJournal) -> OrderLedger:
    """Return the ledger of a journal; DataError where a row cannot be read."""
    ledger = OrderLedger()
    try:
        for row in checked_rows(journal, "facts", "ticker"):
            ledger.market(row["ticker"], row["exchange_index"])
        for row in checked_rows(journal, "corrections", "number", f"kind = '{_OPENING}'"):
            _correct(ledger, row)
        for row in checked_rows(journal, "orders", "number"):
            ledger.add(_order(row))
        _move_positions(journal, ledger)
        for detail in journal.notes(WRITTEN_OFF):
            order = ledger.of(str(detail.get("client_order_id")), None)
            if order is not None:
                ledger.write_off(order, whole("written off", detail.get("size_e2"), 0, 2**63 - 1))
        for row in checked_rows(journal, "settlements", "ticker"):
            _settle(ledger, row)
    except (ContractError, ValueError, TypeError) as err:
        raise DataError(f"{journal.path}: {damaged(f'a row cannot be read: {err}')}") from None
    for order in list(ledger.live.values()):
        before = order.state
        ledger.step(order, OrderEvent.RESTARTED)
        if order.state is not before:
            journal.update_order(order)
    return ledger


def _move_positions(journal: OrderJournal, ledger: OrderLedger) -> None:
    """Book fills and later corrections in order of time: a fill closes the position that it met."""
    fills = checked_rows(journal, "fills", "exch_ns, trade_id, order_id")
    corrections = checked_rows(journal, "corrections", "at_ns, number", f"kind <> '{_OPENING}'")
    moves = (
        ((row["exch_ns"], _fill, row) for row in fills),
        ((row["at_ns"], _correct, row) for row in corrections),
    )
    for _, book, row in merge(*moves, key=lambda move: move[0]):
        book(ledger, row)


def find_order(journal: OrderJournal, client_order_id: str | None, order_id: str | None) -> Order | None:
    """Order of the journal by our id or by the exchange's, with its fills; None where it has none."""
    wanted = "client_order_id=? OR order_id=?"
    for row in checked_rows(journal, "orders", "number", wanted, (client_order_id, order_id)):
        order = _order(row)
        of_it = (order.client_order_id,)
        for fill in checked_rows(journal, "fills", "trade_id, order_id", "client_order_id=?", of_it):
            order.fill_keys.add((fill["trade_id"], fill["order_id"]))
            order.fills_e2 += fill["qty_e2"]
            order.fees_e6 += fill["fee_e6"]
        return order
    return None


def checked_rows(
    journal: OrderJournal, table: str, order_by: str, where: str = "1", values: tuple[Any, ...] = ()
) -> Iterator[dict[str, Any]]:
    """Rows of a table, its numbers whole and its texts text: SQLite keeps whatever was put into a column.

    ``where``, ``values``: as ``OrderJournal.rows`` takes them. DataError names a value that is not so.
    """
    for row in journal.rows(table, order_by, where, values):
        for name, value in row.items():
            if name in _TEXTS and not isinstance(value, str | None):
                raise DataError(f"{journal.path}: {damaged(f'{table}.{name} is {value!r}')}")
            if name.endswith(_NUMBERS) and (value is not None or (table, name) not in _MAY_BE_NULL):
                try:
                    whole(f"{table}.{name}", value, -(2**63), 2**63 - 1)
                except ContractError as err:
                    raise DataError(f"{journal.path}: {damaged(str(err))}") from None
        yield row


def _correct(ledger: OrderLedger, row: dict[str, Any]) -> None:
    """Book one correction: of cash, or of a position."""
    if row["ticker"] is None:
        ledger.open_cash(row["exchange_index"], row["amount_e6"])
    else:
        shard, at_ns = row["exchange_index"], row["at_ns"]
        ledger.correct(row["ticker"], shard, row["position_e2"], row["amount_e6"], at_ns)


def _settle(ledger: OrderLedger, row: dict[str, Any]) -> None:
    """Book one settlement, of a market in which something of ours was."""
    if row["ticker"] not in ledger.markets:
        raise ValueError(f"settlement of the unknown market {row['ticker']}")
    ledger.settle(row["ticker"], row["value_e4"], row["at_ns"])


def _order(row: dict[str, Any]) -> Order:
    """Order of one row."""
    intent = Intent(
        ticker=row["ticker"],
        side=BookSide(row["side"]),
        price_e4=row["price_e4"],
        qty_e2=row["qty_e2"],
        decided_ns=row["decided_ns"],
        time_in_force=TimeInForce(row["time_in_force"]),
        post_only=bool(row["post_only"]),
        reduce_only=bool(row["reduce_only"]),
        expires_s=row["expires_s"],
        model=row["model"],
        decision=row["decision"],
    )
    return Order(
        number=row["number"],
        client_order_id=row["client_order_id"],
        intent=intent,
        exchange_index=row["exchange_index"],
        created_ns=row["created_ns"],
        fee_bound_e6=row["fee_bound_e6"],
        state=OrderState(row["state"]),
        order_id=row["order_id"],
        told_filled_e2=row["told_filled_e2"],
        cancel_wanted=bool(row["cancel_wanted"]),
        reason=row["reason"],
    )


def _fill(ledger: OrderLedger, row: dict[str, Any]) -> None:
    """Book one fill, of an order of ours or of nobody's."""
    fill = FillReport(
        trade_id=row["trade_id"],
        order_id=row["order_id"],
        client_order_id=row["client_order_id"],
        ticker=row["ticker"],
        side=BookSide(row["side"]),
        price_e4=row["price_e4"],
        qty_e2=row["qty_e2"],
        fee_e6=row["fee_e6"],
        is_taker=bool(row["is_taker"]),
        exchange_index=row["exchange_index"],
        exch_ns=row["exch_ns"],
    )
    if fill.client_order_id is None:
        if ledger.shard_of(fill.ticker, fill.exchange_index) is None:
            raise ValueError(f"fill {fill.trade_id} of {fill.ticker} names no shard")
        ledger.book_foreign(fill)
    elif ledger.take_fill(fill) is None:
        raise ValueError(f"fill {fill.trade_id} of the unknown order {fill.client_order_id}")
