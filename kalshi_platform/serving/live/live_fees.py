"""Fees of a session's markets: what its client said of a market, what frames said of its event, or defaults.

Invariant  a market's fees at any time are those that a dataset built from the same frames and the same
           specification has at that time (``domain/fee_history.py`` weighs both).
REST       what its answers say of a market's own fees comes before what it says of the series.
Client     fee fields that a specification leaves out are not said: the default of the series stands in.
"""

from collections import Counter
from typing import Any

from kalshi_platform.data.market_data.facts import EventFeeTold
from kalshi_platform.data.market_data.fee_meta import FeeNotes, with_frames
from kalshi_platform.data.market_data.history import steps_of, told_fees
from kalshi_platform.data.market_data.market_meta import MarketRecord
from kalshi_platform.domain.fee_history import FeeTable, FeeTelling, fee_steps
from kalshi_platform.domain.fee_schedule import FeeStep, series_of
from kalshi_platform.domain.market import MarketSpec


class LiveFees:
    """Statements of fees that one session has heard."""

    def __init__(self) -> None:
        """Begin without statements."""
        self._table = FeeTable()

    def hear(self, event: str, told: EventFeeTold, counters: Counter[str]) -> None:
        """Let what a frame told of an event's fees hold from the frame's time on."""
        self._table = with_frames(self._table, {event: [told]}, counters)

    def read(self, answer: Any, source: str, counters: Counter[str]) -> None:
        """Take what an answer of REST tells of the fees of series and events; DataError for a broken one."""
        notes = FeeNotes(counters, self._table)
        notes.read_document(answer, source)
        self._table = notes.table()

    def of_record(self, record: MarketRecord) -> tuple[FeeStep, ...]:
        """Fees over time of a market of which answers of REST tell."""
        return steps_of(record.spec, told_fees(record, self._table))

    def of(self, spec: MarketSpec) -> tuple[FeeStep, ...]:
        """Fees of a market over time, as they are known now."""
        said = spec.model_fields_set
        own = FeeTelling(
            fee_type=spec.fee_type if "fee_type" in said else None,
            fee_multiplier_e6=spec.fee_multiplier_e6 if "fee_multiplier_e6" in said else None,
        )
        series = spec.series or series_of(spec.event)
        return fee_steps(series, self._table.events.get(spec.event, ()), (own,), (), spec.open_ns)
