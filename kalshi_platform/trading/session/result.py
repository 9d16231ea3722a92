"""The result of a session from its account's figures."""

from collections.abc import Mapping
from typing import Any


def result_e6(money: Mapping[str, Any]) -> int:
    """Equity less capital, and less what nothing of the session explains (``paid_in_e6``), 1e-6 dollar.

    A payment in or out is no result. Recordings of before 1 December 2026 do not tell it.
    """
    return int(money["equity_e6"] - money["capital_e6"] - money.get("paid_in_e6", 0))
