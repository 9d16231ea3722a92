"""Account of a session at an exchange: actions become orders, the exchange's reports become the account.

Begin reading at exchange_book.py, then order_sender.py: from an action to an order.
Not here   limits, journal and reconciliation of those orders (trading/execution).
"""

__all__ = ["exchange_book", "exchange_switch", "timed_orders"]
