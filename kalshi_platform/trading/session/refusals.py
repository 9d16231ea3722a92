"""Orders that did not go out, or that the exchange refused: how often, by cause, and the newest words.

Cause    the limit that refused the order first (``spread_usd``), ``shard_unknown``, or ``exchange``.
Fed by   the notes SESSION_ORDER of the recording: whatever is noted there is counted here.
"""

from collections.abc import Mapping
from typing import Any, Final

from kalshi_platform.trading.execution.orders.states import OrderState
from kalshi_platform.trading.session import session_notes as notes

#: Cause of an order that went out and that the exchange refused.
BY_EXCHANGE: Final = "exchange"
_MOST_NAME: Final = 48


class Refusals:
    """Refused orders of one session by cause."""

    def __init__(self) -> None:
        self._by_cause: dict[str, dict[str, Any]] = {}

    def noted(self, at_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        """Take a note of the recording; those of other kinds and of orders that went out change nothing."""
        if kind != notes.SESSION_ORDER:
            return
        words = str(detail.get("words", ""))
        if not detail.get("client_id"):
            cause = words.partition(":")[0][:_MOST_NAME]
        elif detail.get("state") == OrderState.REFUSED.value:
            cause = BY_EXCHANGE
        else:
            return
        n = self._by_cause.get(cause, {"n": 0})["n"] + 1
        self._by_cause[cause] = {"n": n, "words": words, "at_ns": at_ns}

    def figures(self) -> dict[str, dict[str, Any]]:
        """Count ``n``, newest ``words`` and their time ``at_ns`` by cause."""
        return {cause: dict(each) for cause, each in self._by_cause.items()}
