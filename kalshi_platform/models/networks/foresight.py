"""Targets of the microstructure head: what happened after a row. Only the loss reads them, in training.

Owns       the kernel that reads them from the training rows, and the place of its columns.
Invariant  nothing here is an input of a decision. A row has targets only where its own unbroken segment holds
           ``HORIZON_ROWS`` later rows: none reaches over lost messages or into another market.
Units      moves in cents of the YES price; a burst is the feature table's: less than 0.1 s between messages.
"""

from typing import Final

import numpy as np
import torch

from kalshi_platform.data.features.spec import features_of
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks.heads import Targets
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.pages import reading

#: Rows over which the mid's move is foreseen, K.
HORIZON_ROWS: Final = 16
_MID: Final = "yes_mid"
_BURST: Final = [f.name for f in features_of(["temporal"])].index("is_burst")


@kernel
def look_ahead(
    mid: np.ndarray,
    burst: np.ndarray,
    age: np.ndarray,
    rows: np.ndarray,
    horizon: int,
    move_cents: np.ndarray,
    next_burst: np.ndarray,
    known: np.ndarray,
) -> None:
    """Write for each of ``rows`` the move and burst after it; zeros where they are not known.

    mid, burst (R,) f4: columns of the rows; age (R,) i4: rows since the first of the segment; rows (M,) i8,
    -1 = empty slot; move_cents, next_burst, known (M,) f4, written.
    """
    for m in range(rows.size):
        row = rows[m]
        later = row + horizon
        # Ages count up by one inside a segment and start again at 0 in the next; a row of another event that
        # is not filled (on demand) has age 0 and is none of this segment either.
        if row >= 0 and age[row] >= 0 and later < age.size and age[later] == age[row] + horizon:
            move_cents[m] = 100.0 * (mid[later] - mid[row])
            next_burst[m] = burst[row + 1]
            known[m] = 1.0
        else:
            move_cents[m] = 0.0
            next_burst[m] = 0.0
            known[m] = 0.0


class Foresight:
    """Reader of targets for batches of rows of one bank."""

    def __init__(self, bank: Bank) -> None:
        if _MID not in bank.feature_names:
            raise ContractError(
                f"this level learns to foresee feature {_MID!r}, which is switched off (there are "
                f"{', '.join(bank.feature_names)}); add 'orderbook' to env.groups or take another level"
            )
        self._arrays, self._mid = bank.arrays, bank.feature_names.index(_MID)

    def targets(self, rows: np.ndarray) -> Targets:
        """Targets of ``rows`` (B, S) i8."""
        flat = np.ascontiguousarray(rows, np.int64).reshape(-1)
        found = [np.empty(flat.size, np.float32) for _ in range(3)]
        with reading(self._arrays, flat) as arrays:
            mid, burst = arrays.features[:, self._mid], arrays.temporal[:, _BURST]
            look_ahead(mid, burst, arrays.age, flat, HORIZON_ROWS, *found)
        return Targets(*(torch.from_numpy(x.reshape(rows.shape)) for x in found))
