"""Refusals of an order: which limit, its value, and what the order would have made of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RiskRefusal:
    """One limit that an order would pass; nothing was journaled and nothing sent.

    limit: name of the setting (risk/limits.py), or one of the names below; value and most in ``unit``.

    not_active       trading is HALTED, or REDUCING and the order would not make the position smaller
    write_unknown    the outcome of a write is unknown: cancels go out, orders do not
    not_reconciled   the last comparison with the exchange failed, is too old, or found what it may not
    market_closed    the market takes no orders
    book_invalid     a gap since the last whole book
    """

    limit: str
    value: int
    most: int
    unit: str
    words: str  # one line for people: what would be what, and what is allowed
