"""Ledger of a session with orders: what the exchange filled and paid, from the notes of its recording."""

from kalshi_platform.domain.units import DOLLAR_E4
from kalshi_platform.trading.session.ledger import LedgerRow
from kalshi_platform.trading.session.report.session_replay import ReplayedSession, signed_e2


def realised_rows(played: ReplayedSession) -> list[LedgerRow]:
    """Every fill and payment of the account in the session's markets, in order of time."""
    rows: list[LedgerRow] = []
    held = dict(played.realised.opening_e2)
    for fill in played.fills:
        ticker = str(fill["ticker"])
        held[ticker] = held.get(ticker, 0) + signed_e2(fill)
        rows.append(
            LedgerRow(
                at_ns=int(fill["at_ns"]), ticker=ticker, event=played.book.event_of(ticker),
                order=str(fill["client_id"]), kind="taker" if fill["is_taker"] else "maker",
                action=str(fill["action"]), qty_e2=int(fill["qty_e2"]),
                yes_price_e4=float(fill["price_e4"]), cash_e6=int(fill["cash_e6"]),
                fee_e6=int(fill["fee_e6"]), position_e2=held[ticker],
            )
        )  # fmt: skip
    for ticker, value_e4 in played.core.paid.items():
        if position := held.get(ticker, 0):
            rows.append(_payment(played, ticker, position, value_e4))
    return sorted(rows, key=lambda row: row.at_ns)


def _payment(played: ReplayedSession, ticker: str, position_e2: int, value_e4: int) -> LedgerRow:
    """Row of a position's outcome."""
    worth_e4 = value_e4 if position_e2 > 0 else DOLLAR_E4 - value_e4
    return LedgerRow(
        at_ns=played.core.paid_ns[ticker], ticker=ticker, event=played.book.event_of(ticker), order="",
        kind="settlement", action="", qty_e2=abs(position_e2), yes_price_e4=None,
        cash_e6=abs(position_e2) * worth_e4, fee_e6=0, position_e2=0,
    )  # fmt: skip
