"""Fees of a session's markets: what its client said of a market, what frames said of its event, or defaults.

Invariant  a market's fees at any time are those that a dataset built from the same frames and the same
           specification has at that time (``domain/fee_history.py`` weighs both).
Client     fee fields that a specification leaves out are not said: the default of the series stands in.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from kalshi_platform.data.market_data.fee_meta import frame_fees
from kalshi_platform.domain.fee_history import FeeTelling, fee_steps
from kalshi_platform.domain.fee_schedule import FeeStep, series_of
from kalshi_platform.domain.market import MarketSpec

FEE_FRAME = "event_fee_update"


class LiveFees:
    """Statements of fees that one session has heard."""

    def __init__(self) -> None:
        """Begin without statements."""
        self._events: defaultdict[str, list[FeeTelling]] = defaultdict(list)

    def hear(self, message: Mapping[str, Any], recv_ns: int, counters: Counter[str]) -> str | None:
        """Take an ``event_fee_update`` frame and return its event; None for any other frame.

        DataError where the frame names no event or an impossible multiplier.
        """
        msg = message.get("msg")
        if message.get("type") != FEE_FRAME or not isinstance(msg, dict):
            return None
        event, telling = frame_fees(msg, recv_ns, counters)
        self._events[event].append(telling)
        return event

    def of(self, spec: MarketSpec) -> tuple[FeeStep, ...]:
        """Fees of a market over time, as they are known now."""
        said = spec.model_fields_set
        own = FeeTelling(
            fee_type=spec.fee_type if "fee_type" in said else None,
            fee_multiplier_e6=spec.fee_multiplier_e6 if "fee_multiplier_e6" in said else None,
        )
        series = spec.series or series_of(spec.event)
        return fee_steps(series, self._events.get(spec.event, ()), (own,), (), spec.open_ns)
