"""REST: the gate before every call, forms of requests, and the calls themselves.

Begin reading at gate.py, then order_calls.py.
Not here   signatures (auth.py), what an order does (venue/desk.py).
"""

__all__ = [
    "account_calls",
    "answers",
    "candle_calls",
    "cash_calls",
    "exchange_calls",
    "gate",
    "group_calls",
    "limits",
    "market_calls",
    "order_calls",
    "order_forms",
    "portfolio_calls",
    "unserved_calls",
]
