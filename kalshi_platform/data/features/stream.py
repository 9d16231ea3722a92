"""Features of one live market, a message at a time, by the same kernel that builds datasets."""

from collections.abc import Sequence

import numpy as np

from kalshi_platform.data.features import kernel
from kalshi_platform.data.features import rows as rows_module
from kalshi_platform.data.features.resolution import Resolutions
from kalshi_platform.data.features.rows import Rows
from kalshi_platform.data.features.spec import N_ROW_FEATURES
from kalshi_platform.data.market_data.schema import FLAG_LAST, MarketRows
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.market import MarketSpec
from kalshi_platform.domain.market_history import KnownFacts


class FeatureStream:
    """Features of one market as its messages come; equal, bit for bit, to :func:`kernel.build_rows`."""

    def __init__(
        self,
        spec: MarketSpec,
        resolutions: Resolutions | None = None,
        known: Sequence[KnownFacts] | None = None,
    ) -> None:
        """Begin before the first message.

        ``resolutions`` are the known outcomes of other markets, none by default; ``known`` is the market's
        history so far.
        """
        self.ticker = spec.ticker
        self._state = kernel.new_state(spec, resolutions, None, known)
        self._rows = rows_module.empty(1, N_ROW_FEATURES)

    def push(self, message: MarketRows) -> Rows:
        """Apply the rows of one message.

        Returns its feature row (length 1), a buffer the next push overwrites.

        ContractError where ``message`` is not exactly one message. DataError where a row cannot be applied;
        the caller must then rebuild the market from its next snapshot. A refused message gives no feature
        row.
        """
        flags = message.flags
        is_one = flags.size == 1 and flags[0] & FLAG_LAST != 0
        if not is_one and (ends := np.flatnonzero(flags & FLAG_LAST)).tolist() != [flags.size - 1]:
            raise ContractError(
                f"{self.ticker}: push takes one message, its last row flagged FLAG_LAST ({FLAG_LAST}); got "
                f"{flags.size} rows with that flag on rows {ends.tolist()}"
            )
        self._state, _ = kernel.run(self._state, message, self._rows, self.ticker)
        return self._rows

    def regrid(self, tick_e4: int) -> None:
        """Move the book to a finer ladder of ``tick_e4``: the market's tick became finer while it trades."""
        self._state = kernel.regrid(self._state, tick_e4)

    def learn(self, known: Sequence[KnownFacts]) -> None:
        """Take a longer history of the market, to which FACTS rows to come may point."""
        self._state = kernel.with_history(self._state, known)

    def take_facts(self, resolutions: Resolutions) -> None:
        """More markets settled while this one trades: replaces what is known of other markets' outcomes."""
        self._state = kernel.take_facts(self._state, resolutions)
